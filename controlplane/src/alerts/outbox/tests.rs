use sloop_controllers::{Acting, AlertKind};
use sloop_model::{ObjectiveId, ServiceName, SloName, WallTime};

use super::*;

const SINCE: WallTime = WallTime::from_millis(1_700_000_000_000);

/// An alert that one is told of.
pub(in super::super) fn alert(state: AlertState) -> AlertStatus {
    let minute = Duration::from_secs(60);
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
        since_ms: SINCE,
        until_ms: (state == AlertState::Resolved).then(|| SINCE.after(minute)),
        summary: "it burns".to_owned(),
        targets: vec![AlertTarget {
            name: "phone".to_owned(),
            url: "http://127.0.0.1:1/hook".to_owned(),
        }],
        tells_end: true,
        reason: None,
        acting: None,
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn what_is_told_is_told_once() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    outbox.take(&[alert(AlertState::Pending)], now);
    assert_eq!(outbox.wake_at(), None, "not yet");
    outbox.take(&[alert(AlertState::Firing)], now);
    assert_eq!(outbox.wake_at(), Some(now));
    let due = outbox.due(now);
    assert_eq!(due.len(), 1);
    assert!(outbox.due(now).is_empty(), "it is on its way");
    outbox.ended(&due[0], Ended::Told, now);
    outbox.take(&[alert(AlertState::Firing)], now + seconds(1));
    assert_eq!(outbox.wake_at(), None);
    outbox.take(&[alert(AlertState::Resolved)], now + seconds(60));
    let over = outbox.due(now + seconds(60));
    assert_ne!(over[0].idempotency_key, due[0].idempotency_key);
    outbox.ended(&over[0], Ended::Told, now + seconds(60));
    outbox.take(&[], now + seconds(61));
    assert!(outbox.items.is_empty());
}

#[test]
fn who_does_not_answer_is_asked_again_less_and_less_often() {
    let (mut outbox, begin) = (Outbox::default(), Instant::now());
    outbox.take(&[alert(AlertState::Firing)], begin);
    let mut now = begin;
    let mut waits = Vec::new();
    let mut keys = Vec::new();
    for _ in 0..12 {
        let due = outbox.due(now);
        assert!(!outbox.ended(&due[0], Ended::Again(None), now));
        keys.push(due[0].idempotency_key.clone());
        let next = outbox.wake_at().unwrap();
        waits.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    keys.dedup();
    assert_eq!(keys.len(), 1, "each attempt has the same key");
    let late = begin + PATIENCE;
    let due = outbox.due(late);
    assert!(outbox.ended(&due[0], Ended::Again(None), late), "given up");
    assert_eq!(outbox.wake_at(), None);
}

#[test]
fn who_asks_for_more_time_gets_it_up_to_a_bound() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    outbox.take(&[alert(AlertState::Firing)], now);
    let due = outbox.due(now);
    outbox.ended(&due[0], Ended::Again(Some(seconds(30))), now);
    assert_eq!(outbox.wake_at(), Some(now + seconds(30)));
    let due = outbox.due(now + seconds(30));
    outbox.ended(
        &due[0],
        Ended::Again(Some(seconds(10_000))),
        now + seconds(30),
    );
    assert_eq!(outbox.wake_at(), Some(now + seconds(330)));
}

#[test]
fn who_refuses_is_not_asked_again() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    outbox.take(&[alert(AlertState::Firing)], now);
    let due = outbox.due(now);
    assert!(outbox.ended(&due[0], Ended::Refused, now));
    outbox.take(&[alert(AlertState::Firing)], now + seconds(1));
    assert_eq!(outbox.wake_at(), None);
}

#[test]
fn news_that_come_while_something_is_on_its_way_come_after_it() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    outbox.take(&[alert(AlertState::Firing)], now);
    let firing = outbox.due(now);
    outbox.take(&[alert(AlertState::Resolved)], now);
    assert!(outbox.due(now).is_empty());
    outbox.ended(&firing[0], Ended::Told, now);
    let body = &outbox.due(now)[0].body;
    assert!(String::from_utf8_lossy(body).contains("resolved"));
}

#[test]
fn an_alert_that_is_gone_is_still_told() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    outbox.take(&[alert(AlertState::Firing)], now);
    outbox.take(&[], now);
    let due = outbox.due(now);
    assert_eq!(due.len(), 1);
    outbox.ended(&due[0], Ended::Told, now);
    assert!(outbox.items.is_empty());
}

/// So many alerts, all told to `name`.
fn many(count: usize, name: &str) -> Vec<AlertStatus> {
    let target = AlertTarget {
        name: name.to_owned(),
        url: format!("http://{name}/"),
    };
    let alerts = (0..count).map(|number| AlertStatus {
        policy: format!("p{number}"),
        targets: vec![target.clone()],
        ..alert(AlertState::Firing)
    });
    alerts.collect()
}

#[test]
fn one_who_is_dead_takes_no_room_from_others_and_who_finds_none_is_counted_once() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    let mut there = many(WAITING_MAX + 2, "dead");
    let dropped = outbox.take(&there, now);
    assert_eq!(dropped, BTreeMap::from([("dead".to_owned(), 2)]));
    there.push(alert(AlertState::Firing));
    for _ in 0..3 {
        assert_eq!(outbox.take(&there, now), BTreeMap::new());
    }
    let due = outbox.due(now);
    let to_phone = due.iter().filter(|it| it.target.name == "phone").count();
    assert_eq!((due.len(), to_phone), (WAITING_MAX + 1, 1));
    let told = |outbox: &Outbox, alert: &AlertStatus| outbox.told(alert)[0];
    let states = |outbox: &Outbox, state| {
        let of_dead = there.iter().take(WAITING_MAX + 2);
        of_dead.filter(|it| told(outbox, it) == state).count()
    };
    assert_eq!(states(&outbox, Told::Dropped), 2);
    // Those who know need no room among those who wait.
    outbox.ended(&due[0], Ended::Told, now);
    outbox.take(&there, now);
    assert_eq!(states(&outbox, Told::Dropped), 1);
    // Nor does what is over.
    outbox.ended(&due[1], Ended::Refused, now);
    there.remove(1);
    assert_eq!(outbox.take(&there, now), BTreeMap::new());
    assert!(outbox.left_out.is_empty());
}

#[test]
fn there_is_a_bound_for_all_together() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    let targets = 1 + ITEMS_MAX / WAITING_MAX;
    let there: Vec<AlertStatus> = (0..targets)
        .flat_map(|number| many(WAITING_MAX, &format!("t{number}")))
        .collect();
    let dropped: u64 = outbox.take(&there, now).values().sum();
    assert_eq!((dropped, outbox.items.len()), (1_000, ITEMS_MAX));
    assert_eq!(outbox.left_out.len(), 1_000);
}

#[test]
fn who_knows_of_an_alert_is_said() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    let (firing, over) = (alert(AlertState::Firing), alert(AlertState::Resolved));
    assert_eq!(outbox.told(&firing), [Told::Waiting]);
    outbox.take(std::slice::from_ref(&firing), now);
    let due = outbox.due(now);
    outbox.ended(&due[0], Ended::Again(None), now);
    assert_eq!(outbox.told(&firing), [Told::Waiting]);
    let again = now + seconds(1);
    let due = outbox.due(again);
    outbox.ended(&due[0], Ended::Told, again);
    assert_eq!(outbox.told(&firing), [Told::Told]);
    outbox.take(std::slice::from_ref(&over), again);
    assert_eq!(outbox.told(&over), [Told::Waiting], "not that it is over");
    let due = outbox.due(again);
    outbox.ended(&due[0], Ended::Refused, again);
    assert_eq!(outbox.told(&over), [Told::Refused]);
}

/// It fires, and this is done about it.
fn acted_on(decision: u64) -> AlertStatus {
    AlertStatus {
        acting: Some(Acting {
            decision,
            because: format!("for reason {decision}"),
        }),
        ..alert(AlertState::Firing)
    }
}

/// The numbers of the decisions that are told at `now`, and taken.
fn told(outbox: &mut Outbox, now: Instant) -> Vec<String> {
    let due = outbox.due(now);
    let numbers = due.iter().map(|delivery| {
        assert!(!outbox.ended(delivery, Ended::Told, now));
        let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
        let decision = &body["commonAnnotations"]["decision"];
        decision.as_str().unwrap_or("none").to_owned()
    });
    numbers.collect()
}

#[test]
fn what_is_done_while_it_fires_is_told_at_once_and_then_now_and_then() {
    let (mut outbox, begin) = (Outbox::default(), Instant::now());
    let at = |second| begin + seconds(second);
    outbox.take(&[acted_on(1)], begin);
    assert_eq!(told(&mut outbox, begin), ["1"]);
    outbox.take(&[acted_on(2)], at(3));
    assert_eq!(told(&mut outbox, at(3)), ["2"]);
    for second in 4..300 {
        outbox.take(&[acted_on(second)], at(second));
        assert_eq!(outbox.wake_at(), Some(at(3) + DOING_EVERY));
    }
    assert_eq!(told(&mut outbox, at(302)), [""; 0]);
    assert_eq!(told(&mut outbox, at(303)), ["299"], "the last alone");
    outbox.take(&[acted_on(300)], at(700));
    assert_eq!(told(&mut outbox, at(700)), ["300"], "after a pause");
    outbox.take(&[acted_on(301)], at(701));
    outbox.take(&[alert(AlertState::Resolved)], at(702));
    assert_eq!(
        told(&mut outbox, at(702)),
        ["none"],
        "its end does not wait"
    );
    assert_eq!(outbox.wake_at(), None);
}

#[test]
fn each_thing_that_is_done_has_a_key_of_its_own() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    let mut keys = Vec::new();
    for decision in [1, 2] {
        outbox.take(&[acted_on(decision)], now);
        let due = outbox.due(now);
        keys.push(due[0].idempotency_key.clone());
        outbox.ended(&due[0], Ended::Told, now);
    }
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn what_is_done_meanwhile_does_not_hurry_who_cannot_be_reached() {
    let (mut outbox, begin) = (Outbox::default(), Instant::now());
    let mut now = begin;
    let mut waits = Vec::new();
    for decision in 1..6 {
        outbox.take(&[acted_on(decision)], now);
        let due = outbox.due(now);
        assert_eq!(due.len(), 1);
        outbox.take(&[acted_on(10 + decision)], now);
        outbox.ended(&due[0], Ended::Again(None), now);
        outbox.take(&[acted_on(20 + decision)], now);
        let next = outbox.wake_at().unwrap();
        waits.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16]);
    assert_eq!(
        told(&mut outbox, now),
        ["25"],
        "once, with all that is known"
    );
    assert_eq!(outbox.wake_at(), None);
}

#[test]
fn what_is_done_while_the_alert_is_on_its_way_comes_after_it() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    outbox.take(&[acted_on(1)], now);
    let first = outbox.due(now);
    outbox.take(&[acted_on(2)], now);
    assert!(outbox.due(now).is_empty());
    outbox.ended(&first[0], Ended::Told, now);
    assert_eq!(told(&mut outbox, now), ["2"]);
}

#[test]
fn who_refused_the_alert_is_not_told_what_is_done_about_it() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    outbox.take(&[acted_on(1)], now);
    let due = outbox.due(now);
    outbox.take(&[acted_on(2)], now);
    assert!(outbox.ended(&due[0], Ended::Refused, now));
    outbox.take(&[acted_on(3)], now);
    assert_eq!(outbox.wake_at(), None);
}

#[test]
fn who_does_not_want_the_end_is_not_told_after_it_what_was_done() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    for decision in 1..4 {
        outbox.take(&[acted_on(decision)], now);
        let due = outbox.due(now);
        for delivery in &due {
            outbox.ended(delivery, Ended::Told, now);
        }
    }
    assert!(outbox.wake_at().is_some(), "it waits for its turn");
    outbox.take(&[], now);
    assert!(outbox.items.is_empty());
}
