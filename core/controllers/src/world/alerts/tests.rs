//! What is stored of alerts, and what becomes of those that nobody declares any more.

use sloop_model::{ServiceName, SloName};

use super::*;
use crate::{AlertReason, AlertTarget};

fn alert(state: AlertState) -> Signal {
    Signal::Alert(Box::new(status(state, &[])))
}

fn status(state: AlertState, targets: &[&str]) -> AlertStatus {
    let second = |second: u64| WallTime::from_millis(second * 1_000);
    let target = |name: &&str| AlertTarget {
        name: (*name).to_owned(),
        url: "http://127.0.0.1:1/".to_owned(),
    };
    AlertStatus {
        policy: "wake".to_owned(),
        objective: ObjectiveId {
            slo: SloName::try_from("pay").unwrap(),
            index: 0,
        },
        service: ServiceName::try_from("payments").unwrap(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        severity: "page".to_owned(),
        kind: AlertKind::Breaching,
        state,
        since_ms: second(1),
        until_ms: (state == AlertState::Resolved).then(|| second(2)),
        summary: String::new(),
        targets: targets.iter().map(target).collect(),
        tells_end: true,
        reason: None,
        acting: None,
    }
}

/// How many cells are to be written and to be deleted after a step with these alerts.
fn stored(world: &mut World, alerts: &[AlertState]) -> (usize, usize) {
    world.begin_step(WallTime::from_millis(1_000));
    world.add_signals(alerts.iter().map(|state| alert(*state)));
    world.end_step();
    let gone = world.take_gone();
    (world.take_changes().len(), gone.len())
}

#[test]
fn an_alert_is_stored_when_it_changes_and_no_longer_when_it_is_gone() {
    let mut world = World::default();
    assert_eq!(stored(&mut world, &[AlertState::Pending]), (0, 0));
    assert_eq!(stored(&mut world, &[AlertState::Firing]), (1, 0));
    assert_eq!(stored(&mut world, &[AlertState::Firing]), (0, 0));
    assert_eq!(stored(&mut world, &[AlertState::Resolved]), (1, 0));
    assert_eq!(stored(&mut world, &[]), (0, 1));
    assert_eq!(stored(&mut world, &[]), (0, 0));
}

#[test]
fn one_that_comes_again_before_its_end_is_stored_stays() {
    let mut world = World::default();
    stored(&mut world, &[AlertState::Firing]);
    for alerts in [&[][..], &[alert(AlertState::Firing)]] {
        world.begin_step(WallTime::from_millis(1_000));
        world.add_signals(alerts.iter().cloned());
        world.end_step();
    }
    // Deletions are stored before what is put.
    assert_eq!(world.take_gone().len(), 1);
    assert_eq!(world.take_changes().len(), 1);
}

#[test]
fn what_was_stored_is_known_until_a_step_knows_better() {
    let mut world = World::default();
    world.begin_step(WallTime::from_millis(1_000));
    world.add_signals([alert(AlertState::Firing)]);
    world.end_step();
    let cells = world.take_changes();
    let json = serde_json::to_string(&cells).unwrap();
    let mut world = World::default();
    world.restore(serde_json::from_str(&json).unwrap());
    assert!(world.take_changes().is_empty());
    let objective = ObjectiveId {
        slo: SloName::try_from("pay").unwrap(),
        index: 0,
    };
    let told = |world: &World| world.told(&objective, AlertKind::Breaching, "wake");
    let since = WallTime::from_millis(1_000);
    assert_eq!(told(&world), Some(Told { since, until: None }));
    assert_eq!(stored(&mut world, &[]), (0, 1));
    assert_eq!(told(&world), None);
}

/// A world, and what it has stored.
#[derive(Default)]
struct Process {
    world: World,
    stored: BTreeMap<String, Cell>,
}

impl Process {
    /// Takes a step at `second` with this alert, and returns who is told that it was withdrawn, since when and when.
    fn step(&mut self, second: u64, alert: Option<AlertStatus>) -> Vec<(Vec<String>, u64, u64)> {
        self.world.begin_step(at(second));
        let alert = alert.map(|alert| Signal::Alert(Box::new(alert)));
        self.world.add_signals(alert);
        self.world.end_step();
        for key in self.world.take_gone() {
            self.stored.remove(&key);
        }
        for cell in self.world.take_changes() {
            self.stored.insert(cell.key(), cell);
        }
        let told = self.world.withdrawn_alerts().map(|alert| {
            assert_eq!(alert.state, AlertState::Resolved);
            assert_eq!(alert.reason, Some(AlertReason::Withdrawn));
            assert_eq!(
                (alert.policy.as_str(), alert.severity.as_str()),
                ("wake", "page")
            );
            let targets = alert.targets.iter().map(|it| it.name.clone());
            let second = |at: WallTime| at.as_millis() / 1_000;
            let until = alert.until_ms.map(second);
            (targets.collect(), second(alert.since_ms), until.unwrap())
        });
        told.collect()
    }

    fn restart(&mut self) {
        let json = serde_json::to_string(&self.stored.values().collect::<Vec<_>>()).unwrap();
        self.world = World::default();
        self.world.restore(serde_json::from_str(&json).unwrap());
    }
}

fn at(second: u64) -> WallTime {
    WallTime::from_millis(second * 1_000)
}

fn told(targets: &[&str], since: u64, until: u64) -> Vec<(Vec<String>, u64, u64)> {
    let targets = targets.iter().map(|name| (*name).to_owned());
    vec![(targets.collect(), since, until)]
}

#[test]
fn what_is_withdrawn_while_it_fires_is_over_for_all_who_were_told() {
    let mut process = Process::default();
    let firing = status(AlertState::Firing, &["mail", "phone"]);
    assert_eq!(process.step(1, Some(firing)), []);
    let over = told(&["mail", "phone"], 1, 5);
    assert_eq!(process.step(5, None), over);
    assert_eq!(process.step(6, None), over, "it is the same");
    process.restart();
    assert_eq!(process.step(904, None), over);
    assert_eq!(process.step(905, None), [], "they know");
    assert!(process.stored.is_empty());
}

#[test]
fn also_when_that_was_while_nothing_ran() {
    let mut process = Process::default();
    process.step(1, Some(status(AlertState::Firing, &["phone"])));
    process.restart();
    assert_eq!(process.step(60, None), told(&["phone"], 1, 60));
}

#[test]
fn nobody_is_told_who_was_not_or_does_not_want_to() {
    let quiet = AlertStatus {
        tells_end: false,
        ..status(AlertState::Firing, &["phone"])
    };
    let over = status(AlertState::Resolved, &["phone"]);
    let pending = status(AlertState::Pending, &[]);
    for alert in [quiet, over, pending, status(AlertState::Firing, &[])] {
        let mut process = Process::default();
        process.step(1, Some(alert.clone()));
        assert_eq!(process.step(5, None), [], "{alert:?}");
        assert!(process.stored.is_empty());
    }
}

#[test]
fn whom_a_policy_tells_no_more_is_told_and_who_is_told_again_is_not() {
    let mut process = Process::default();
    let both = status(AlertState::Firing, &["mail", "phone"]);
    process.step(1, Some(both.clone()));
    let phone = status(AlertState::Firing, &["phone"]);
    let over = told(&["mail"], 1, 2);
    assert_eq!(process.step(2, Some(phone.clone())), over);
    assert_eq!(process.step(3, Some(phone)), over);
    assert_eq!(process.step(4, Some(both)), []);
    assert_eq!(process.stored.len(), 1);
}

#[test]
fn an_alert_with_another_severity_is_another_one() {
    let mut process = Process::default();
    process.step(1, Some(status(AlertState::Firing, &["phone"])));
    let louder = AlertStatus {
        severity: "louder".to_owned(),
        ..status(AlertState::Firing, &["phone"])
    };
    assert_eq!(process.step(2, Some(louder)), told(&["phone"], 1, 2));
}

#[test]
fn an_alert_with_another_label_is_another_one_and_each_ends_with_its_own() {
    let mut process = Process::default();
    let of = |team: &str| AlertStatus {
        labels: BTreeMap::from([("team".to_owned(), team.to_owned())]),
        ..status(AlertState::Firing, &["phone"])
    };
    process.step(1, Some(of("payments")));
    process.restart();
    assert_eq!(process.step(2, Some(of("payments"))), [], "the same");
    assert_eq!(process.step(3, Some(of("shop"))), told(&["phone"], 1, 3));
    let over = process.world.withdrawn_alerts().next().unwrap();
    assert_eq!(over.labels, of("payments").labels);
}

#[test]
fn one_that_was_withdrawn_in_what_was_the_future_is_forgotten() {
    let mut process = Process::default();
    process.step(9_000, Some(status(AlertState::Firing, &["phone"])));
    assert_eq!(process.step(9_001, None), told(&["phone"], 1, 9_001));
    assert_eq!(process.step(5_000, None), []);
}

#[test]
fn more_alerts_than_are_remembered_are_not_taken_for_withdrawn() {
    let mut world = World::default();
    let all = (0..=ALERTS_MAX).map(|number| {
        Signal::Alert(Box::new(AlertStatus {
            policy: format!("{number:05}"),
            ..status(AlertState::Firing, &["phone"])
        }))
    });
    let mut all: Vec<Signal> = all.collect();
    for _ in 0..2 {
        world.begin_step(at(1));
        world.add_signals(all.iter().cloned());
        world.end_step();
        assert_eq!(world.withdrawn_alerts().count(), 0);
        all.reverse();
    }
    world.begin_step(at(2));
    world.end_step();
    assert_eq!(world.withdrawn_alerts().count(), ALERTS_MAX);
}

#[test]
fn an_alert_of_an_older_store_is_read_and_ends_unsaid() {
    let json = r#"[{"alert": {"objective": {"slo": "pay", "index": 0}, "kind": "breaching", "policy": "wake", "since": 1000}}]"#;
    let mut world = World::default();
    world.restore(serde_json::from_str(json).unwrap());
    world.begin_step(at(2));
    world.end_step();
    assert_eq!(world.take_gone().len(), 1);
    assert_eq!(world.withdrawn_alerts().count(), 0);
}
