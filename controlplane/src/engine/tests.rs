//! What goes in, what comes out, and what a restart leaves of it.

mod absent;
mod alerts;

use std::time::Duration;

use proptest::prelude::*;
use sloop_controllers::{
    BudgetingMethod, Controller, DeadlineChoice, Indicator, RouteSelector, Slo, SloIntent, SloMode,
    SloObjective, SloSource, SloWindow, Stage,
};
use sloop_model::{RouteName, ServiceName, Side, SloName, Target};
use sloop_xds_protos::report::v1 as wire;

use super::*;
use crate::ingest::FORGET_AFTER;
use crate::store::{InMemory, Store};

/// 2026-01-01T00:00:00Z.
const NOW: WallTime = WallTime::from_millis(1_767_225_600_000);

const SECOND: Duration = Duration::from_secs(1);

/// An engine and the store that outlives it.
struct Process {
    engine: Engine,
    store: InMemory,
}

impl Process {
    fn begin() -> Self {
        let store = InMemory::default();
        Self {
            engine: Engine::restore(&store).unwrap(),
            store,
        }
    }

    /// Takes a report in and stores it.
    fn take(&mut self, request: wire::ReportRequest, now: WallTime) -> Taken {
        let taken = self.take_only(request, now);
        self.store.commit(&self.engine.changes()).unwrap();
        taken
    }

    /// Takes a report in; it is not stored yet.
    fn take_only(&mut self, request: wire::ReportRequest, now: WallTime) -> Taken {
        self.engine.advance(now);
        self.engine.take(&Report::try_from(request).unwrap())
    }

    /// Forgets everything but the store.
    fn restart(&mut self) {
        let documents = std::mem::take(&mut self.engine.documents);
        self.engine = Engine::restore(&self.store).unwrap();
        self.engine.set_documents(documents, NOW);
    }

    fn requests(&self) -> u64 {
        let scopes = self.engine.scopes(NOW);
        scopes.iter().map(|scope| scope.requests).sum()
    }

    fn declare(&mut self, slos: &[SloIntent]) -> Vec<String> {
        self.engine.set_documents(documents(slos), NOW)
    }
}

fn report(incarnation: u64, sequence: u64, total: u64, bad: u64) -> wire::ReportRequest {
    let delta = wire::ScopeDelta {
        service: "checkout".to_owned(),
        route: "pay".to_owned(),
        side: wire::Side::Server.into(),
        requests: total,
        outcomes: vec![total - bad, 0, bad],
        objectives: vec![wire::ObjectiveDelta {
            slo: "pay".to_owned(),
            objective: 0,
            total,
            good: total - bad,
        }],
        ..wire::ScopeDelta::default()
    };
    wire::ReportRequest {
        node: format!("checkout-{incarnation}"),
        cluster: "checkout".to_owned(),
        incarnation,
        sequence,
        from_ms: NOW.before(SECOND).as_millis(),
        to_ms: NOW.as_millis(),
        scopes: vec![delta],
        ..wire::ReportRequest::default()
    }
}

fn slo(name: &str, mode: SloMode, target: f64) -> SloIntent {
    let service = ServiceName::try_from("checkout").unwrap();
    SloIntent {
        name: SloName::try_from(name).unwrap(),
        display_name: None,
        labels: BTreeMap::new(),
        service: service.clone(),
        mode,
        window: SloWindow::Rolling(3_600_000),
        deadline: DeadlineChoice::Derived,
        budgeting: BudgetingMethod::Occurrences,
        objectives: vec![SloObjective {
            display_name: None,
            target: Target::parse(target).unwrap(),
            slicing: None,
            weight: None,
            source: Some(SloSource {
                service,
                route: RouteSelector::Named(RouteName::try_from("pay").unwrap()),
                side: Side::Server,
                indicator: Indicator::default(),
            }),
        }],
    }
}

fn documents(slos: &[SloIntent]) -> Documents {
    let intent = |slo: &SloIntent| {
        let id = IntentId(format!("SLO/{}", slo.name));
        (id, (Slo::KIND, serde_json::to_string(slo).unwrap()))
    };
    Documents {
        intents: slos.iter().map(intent).collect(),
        ..Documents::default()
    }
}

#[test]
fn who_asked_is_told_and_added_up_once() {
    let mut process = Process::begin();
    for (incarnation, sequence) in [(7, 1), (7, 1), (7, 2), (8, 1)] {
        let mut report = report(incarnation, sequence, 10, 1);
        report.scopes[0].retries = 2;
        report.scopes[0].dimensions = vec![wire::DimensionDelta {
            dimension: wire::Dimension::Caller.into(),
            value: "spiffe://a/b".to_owned(),
            classes: vec![9, 0, 1],
            objectives: vec![10, 9],
        }];
        process.take(report, NOW);
    }
    let scope = &process.engine.scopes(NOW)[0];
    assert_eq!(scope.retries, 6);
    let [caller] = scope.values.as_slice() else {
        panic!("one value: {:?}", scope.values)
    };
    assert_eq!(
        (caller.value.as_str(), caller.requests),
        ("spiffe://a/b", 30)
    );
    assert_eq!(
        (caller.classes["served"], caller.classes["failed"]),
        (27, 3)
    );
    let objective = &caller.objectives[0];
    assert_eq!(
        (objective.slo.as_str(), objective.total, objective.good),
        ("pay", 30, 27)
    );
}

#[test]
fn what_was_done_on_purpose_is_shown() {
    let mut process = Process::begin();
    let fault = r#"{"name": "slow", "service": "checkout", "route": "any", "side": "server", "fault":
        {"id": "slow", "share": 500, "control": 500, "delay_ms": 300, "expires_at_ms": 1767229200000}}"#;
    let id = IntentId("FaultInjection/slow".to_owned());
    let documents = Documents {
        intents: BTreeMap::from([(id, ("fault_injection", fault.to_owned()))]),
        ..Documents::default()
    };
    assert_eq!(process.engine.set_documents(documents, NOW), [""; 0]);
    process.engine.step(NOW);
    for (incarnation, level) in [(7, 2_500), (8, 0)] {
        let mut report = report(incarnation, 1, 10, 1);
        report.scopes[0].delayed = 2;
        report.scopes[0].shed = Some(wire::ShedDelta {
            level,
            shed: vec![3],
            ..wire::ShedDelta::default()
        });
        report.scopes[0].arms = vec![wire::ArmDelta {
            experiment: ExperimentKey::of("slow").bits(),
            arm: wire::Arm::Control.into(),
            requests: 4,
            ..wire::ArmDelta::default()
        }];
        report.denials = vec![wire::DenyDelta {
            side: wire::Side::Server.into(),
            id: "batch".to_owned(),
            refused: 5,
            ..wire::DenyDelta::default()
        }];
        process.take(report, NOW);
    }
    let scope = &process.engine.scopes(NOW)[0];
    assert_eq!(scope.faults.unwrap().delayed, 4);
    assert_eq!(scope.shed.as_ref().unwrap().by_class["sheddable"], 6);
    let levels: Vec<_> = scope
        .shed_levels
        .iter()
        .map(|it| it.node.as_str())
        .collect();
    assert_eq!(levels, ["checkout-7"], "who sheds nothing is left out");
    let [arm] = scope.arms.as_slice() else {
        panic!("one arm: {:?}", scope.arms)
    };
    assert_eq!((arm.experiment.as_str(), arm.requests), ("slow", 8));
    let denials = process.engine.denials();
    assert_eq!((denials[0].id.as_str(), denials[0].refused), ("batch", 10));
}

#[test]
fn a_group_can_do_what_all_of_its_sidecars_can() {
    let mut process = Process::begin();
    let mut tell = |incarnation, sequence, module: wire::Module| {
        let mut report = report(incarnation, sequence, 1, 0);
        report.filters = vec![wire::FilterStatus {
            side: wire::Side::Server.into(),
            module: module.into(),
            ..wire::FilterStatus::default()
        }];
        process.take(report, NOW);
        process.engine.modules().get("checkout").copied()
    };
    use sloop_model::Module::{Answers, Requests};
    assert_eq!(tell(7, 1, wire::Module::Answers), Some(Answers));
    assert_eq!(tell(8, 1, wire::Module::Unspecified), Some(Requests));
    assert_eq!(tell(8, 2, wire::Module::Answers), Some(Answers));
    assert_eq!(tell(9, 1, wire::Module::Requests), Some(Requests));
}

#[test]
fn a_report_is_taken_once() {
    let mut process = Process::begin();
    let verdict = |process: &mut Process, sequence| {
        let report = report(7, sequence, 10, 1);
        process.take(report, NOW).verdict
    };
    assert_eq!(verdict(&mut process, 1), Verdict::Next);
    assert_eq!(verdict(&mut process, 1), Verdict::Repeated);
    assert_eq!(process.requests(), 10);
    assert_eq!(verdict(&mut process, 3), Verdict::AfterGap);
    assert_eq!(verdict(&mut process, 2), Verdict::Repeated, "late");
    assert_eq!(process.requests(), 20);
    let scope = &process.engine.scopes(NOW)[0];
    assert_eq!(scope.outcomes["success"], 18);
    assert_eq!(scope.outcomes["server_error"], 2);
}

#[test]
fn what_a_report_tells_is_told_once() {
    let mut process = Process::begin();
    let mut opened = report(7, 1, 10, 9);
    opened.scopes[0].breaker = Some(wire::BreakerDelta {
        state: wire::BreakerState::Open.into(),
        changes: vec![wire::BreakerChange {
            to: wire::BreakerState::Open.into(),
            at_ms: NOW.as_millis(),
            cause: wire::BreakerCause::Failures.into(),
        }],
        ..wire::BreakerDelta::default()
    });
    opened.filters = vec![wire::FilterStatus {
        side: wire::Side::Server.into(),
        generation: 3,
        applied_at_ms: 5,
        version: "v2".to_owned(),
        module: wire::Module::Answers.into(),
    }];
    process.take(opened.clone(), NOW);
    process.take(opened, NOW);
    let events = process.engine.events(0);
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!((events[0].id, events[0].at_ms), (1, 5));
    assert!(matches!(
        events[0].happened,
        Happened::InForce { generation: 3, .. }
    ));
    assert!(matches!(events[1].happened, Happened::Breaker { .. }));
    let reporters = process.engine.reporters();
    let (name, reporter) = reporters.first_key_value().unwrap();
    assert_eq!(*name, ("checkout", "checkout-7"));
    let version = &reporter.filters[0].version;
    assert_eq!(version.as_deref(), Some("v2"));
    assert_eq!(process.engine.scopes(NOW)[0].breakers.len(), 1);
}

#[test]
fn the_answer_says_what_the_whole_fleet_saw() {
    let mut process = Process::begin();
    let readings = |taken: Taken| -> Vec<(u64, u64)> {
        let readings = taken.readings.iter();
        readings.map(|(_, it)| (it.requests, it.good)).collect()
    };
    assert_eq!(readings(process.take(report(7, 1, 10, 1), NOW)), [(10, 9)]);
    assert_eq!(readings(process.take(report(8, 1, 5, 0), NOW)), [(15, 14)]);
    assert_eq!(
        readings(process.take(report(7, 1, 10, 1), NOW)),
        [(15, 14)],
        "a repeated report is answered, too"
    );
    let later = NOW.after(SECOND * 10);
    assert_eq!(readings(process.take(report(8, 2, 1, 0), later)), [(1, 1)]);
}

#[test]
fn a_restart_leaves_totals_and_budgets_exactly_as_they_were() {
    let mut process = Process::begin();
    process.declare(&[slo("pay", SloMode::Monitored, 0.9)]);
    process.take(report(7, 1, 1_000, 7), NOW);
    process.take(report(8, 1, 500, 3), NOW);
    process.engine.step(NOW);
    process.store.commit(&process.engine.changes()).unwrap();
    let before = (process.requests(), process.engine.slos().to_vec());
    let counts = before.1[0].objectives[0].counts.unwrap();
    assert_eq!((counts.total, counts.good), (1_500, 1_490));
    process.restart();
    process.engine.step(NOW);
    assert_eq!((process.requests(), process.engine.slos().to_vec()), before);
    let repeated = process.take(report(8, 1, 500, 3), NOW);
    assert_eq!(repeated.verdict, Verdict::Repeated);
    assert_eq!(process.take(report(8, 2, 1, 0), NOW).verdict, Verdict::Next);
    assert_eq!(process.requests(), 1_501);
}

#[test]
fn what_was_not_stored_is_counted_when_it_comes_again() {
    let mut process = Process::begin();
    process.take(report(7, 1, 10, 0), NOW);
    assert_eq!(
        process.take_only(report(7, 2, 5, 0), NOW).verdict,
        Verdict::Next
    );
    process.restart();
    assert_eq!(process.requests(), 10);
    assert_eq!(process.take(report(7, 2, 5, 0), NOW).verdict, Verdict::Next);
    assert_eq!(process.requests(), 15);
}

#[test]
fn there_is_nothing_to_store_when_nothing_came() {
    let mut process = Process::begin();
    assert!(process.engine.changes().is_empty());
    process.take(report(7, 1, 10, 0), NOW);
    assert!(process.engine.changes().is_empty());
    process.engine.step(NOW);
    assert!(process.engine.changes().is_empty());
}

#[test]
fn a_quiet_filter_is_forgotten_after_a_day_and_its_counts_are_not() {
    let mut process = Process::begin();
    process.take(report(7, 1, 10, 0), NOW);
    process.restart();
    let again = process.take(report(7, 1, 10, 0), NOW).verdict;
    assert_eq!(again, Verdict::Repeated);
    process.engine.forget(NOW.after(FORGET_AFTER));
    process.store.commit(&process.engine.changes()).unwrap();
    assert!(process.store.list(b"seen\n").unwrap().is_empty());
    assert_eq!(process.requests(), 10);
    let anew = process.take(report(7, 1, 5, 0), NOW.after(FORGET_AFTER));
    assert_eq!((anew.verdict, process.requests()), (Verdict::Next, 15));
}

#[test]
fn a_scope_without_news_makes_room_after_an_hour() {
    let mut process = Process::begin();
    process.take(report(7, 1, 10, 0), NOW);
    let reported = |process: &mut Process, now| {
        process.engine.forget(now);
        process.engine.scopes(now)[0].reported_ms
    };
    let almost = NOW.after(RECENT_KEPT - SECOND);
    assert_eq!(reported(&mut process, almost), Some(NOW.as_millis()));
    assert_eq!(reported(&mut process, NOW.after(RECENT_KEPT)), None);
    assert!(process.engine.recent.is_empty());
    assert_eq!(process.requests(), 10, "totals stay");
}

/// For scopes that one service makes up there is no more room than the world has.
#[test]
fn scopes_that_are_not_counted_have_no_readings() {
    let mut process = Process::begin();
    let mut report = report(7, 1, 1, 0);
    let scopes = 0..1_000_u64;
    for sequence in 0..11 {
        report.sequence = 1 + sequence;
        let one = report.scopes[0].clone();
        let named = scopes.clone().map(|number| wire::ScopeDelta {
            route: format!("made-up-{}", 1_000 * sequence + number),
            ..one.clone()
        });
        let mut many = report.clone();
        many.scopes = named.collect();
        process.take_only(many, NOW);
    }
    let most = World::SCOPES_BY_SERVICE_MAX;
    assert_eq!(process.engine.recent.len(), most);
    assert_eq!(process.engine.world.scopes().count(), most);
}

#[test]
fn a_breaker_is_shown_until_it_is_withdrawn_or_long_not_mentioned() {
    let guarded = |sequence| {
        let mut guarded = report(7, sequence, 1, 0);
        guarded.scopes[0].breaker = Some(wire::BreakerDelta {
            state: wire::BreakerState::Closed.into(),
            ..wire::BreakerDelta::default()
        });
        guarded
    };
    let shown = |process: &Process| process.engine.scopes(NOW)[0].breakers.len();
    let mut process = Process::begin();
    process.take(guarded(1), NOW);
    assert_eq!(shown(&process), 1);
    process.take(report(7, 2, 1, 0), NOW);
    assert_eq!(shown(&process), 0, "the scope has none any more");
    process.take(guarded(3), NOW);
    for (sequence, minutes) in [(4, 59), (5, 60)] {
        let mut quiet = report(7, sequence, 0, 0);
        quiet.scopes.clear();
        let now = NOW.after(SECOND * 60 * minutes);
        process.take(quiet, now);
        process.engine.forget(now);
        assert_eq!(shown(&process), usize::from(minutes < 60), "{minutes}");
    }
}

#[test]
fn documents_are_replaced_and_withdrawn_without_losing_counts() {
    let mut process = Process::begin();
    let targets = |process: &mut Process| -> Vec<f64> {
        process.engine.step(NOW);
        let slos = process.engine.slos().iter();
        slos.map(|slo| slo.objectives[0].target).collect()
    };
    process.take(report(7, 1, 10, 0), NOW);
    assert!(
        process
            .declare(&[slo("pay", SloMode::Actionable, 0.9)])
            .is_empty()
    );
    assert_eq!(targets(&mut process), [0.9]);
    assert!(!process.engine.last_step().policies.is_empty());
    process.declare(&[slo("pay", SloMode::Actionable, 0.99)]);
    assert_eq!(targets(&mut process), [0.99]);
    let counts = process.engine.slos()[0].objectives[0].counts.unwrap();
    assert_eq!(counts.total, 10);
    process.declare(&[]);
    assert!(targets(&mut process).is_empty());
    assert!(process.engine.last_step().policies.is_empty());
    assert_eq!(process.requests(), 10);
}

#[test]
fn what_no_controller_takes_is_told_and_the_rest_holds() {
    let mut process = Process::begin();
    let mut documents = documents(&[slo("pay", SloMode::Monitored, 0.9)]);
    let id = IntentId("Riddle/sphinx".to_owned());
    documents.intents.insert(id, ("Riddle", "{}".to_owned()));
    let refused = process.engine.set_documents(documents, NOW);
    assert_eq!(
        refused,
        [r#"Riddle/sphinx: no controller takes intents of kind "Riddle""#]
    );
    process.engine.step(NOW);
    assert_eq!(process.engine.slos().len(), 1);
}

#[test]
fn an_intent_that_cannot_be_read_leaves_what_it_said_before() {
    let mut process = Process::begin();
    process.declare(&[slo("pay", SloMode::Monitored, 0.9)]);
    let mut broken = documents(&[slo("pay", SloMode::Monitored, 0.99)]);
    for (_, body) in broken.intents.values_mut() {
        body.push('}');
    }
    assert_eq!(process.engine.set_documents(broken, NOW).len(), 1);
    process.engine.step(NOW);
    let target = process.engine.slos()[0].objectives[0].target;
    assert!((target - 0.9).abs() < 1e-9, "{target}");
}

#[test]
fn a_decision_is_remembered_when_it_changes() {
    let mut process = Process::begin();
    process.declare(&[slo("pay", SloMode::Actionable, 0.9)]);
    process.engine.step(NOW);
    let decided = process.engine.decisions().len();
    assert!(0 < decided);
    process.engine.step(NOW.after(SECOND));
    process.engine.step(NOW.after(SECOND * 1_800));
    assert_eq!(
        process.engine.decisions().len(),
        decided,
        "leases are renewed"
    );
    process.declare(&[slo("pay", SloMode::Monitored, 0.9)]);
    process.engine.step(NOW.after(SECOND * 1_801));
    assert!(decided < process.engine.decisions().len());
}

#[test]
fn what_is_decided_as_before_a_restart_is_no_new_decision() {
    let mut process = Process::begin();
    let slos = [
        slo("pay", SloMode::Actionable, 0.9),
        slo("buy", SloMode::Monitored, 0.9),
    ];
    process.declare(&slos);
    process.engine.step(NOW);
    process.store.commit(&process.engine.changes()).unwrap();
    let decided = process.engine.decisions();
    process.restart();
    process.declare(&slos);
    process.engine.step(NOW.after(SECOND));
    assert_eq!(process.engine.decisions(), decided);
    // What held then and is withdrawn now is one, in its place in the store too.
    process.declare(&[slo("pay", SloMode::Monitored, 0.9)]);
    process.engine.step(NOW.after(SECOND * 2));
    process.store.commit(&process.engine.changes()).unwrap();
    let changed = process.engine.decisions();
    assert!(decided.len() < changed.len());
    process.restart();
    process.declare(&[slo("pay", SloMode::Monitored, 0.9)]);
    process.engine.step(NOW.after(SECOND * 3));
    assert_eq!(process.engine.decisions(), changed);
}

#[test]
fn what_holds_is_no_new_decision_after_a_restart_however_long_ago_it_was_decided() {
    let mut process = Process::begin();
    let changing = |round: usize| {
        slo(
            "pay",
            [SloMode::Monitored, SloMode::Actionable][round % 2],
            0.9,
        )
    };
    let lasting = slo("buy", SloMode::Actionable, 0.9);
    for round in 0..=decisions::MAX {
        process.declare(&[changing(round), lasting.clone()]);
        process.engine.step(NOW);
        process.store.commit(&process.engine.changes()).unwrap();
    }
    let decided = process.engine.decisions();
    assert!(decided.iter().all(|one| one.intent == "SLO/pay"));
    let slos = [changing(decisions::MAX), lasting];
    let why = |process: &Process| {
        let intent = IntentId("SLO/buy".to_owned());
        let (id, because, _) = process.engine.decisions.in_force(Stage::Protect, &intent)?;
        Some((id, because.to_owned()))
    };
    let said = why(&process);
    assert!(
        said.as_ref()
            .is_some_and(|(_, because)| !because.is_empty())
    );
    for _ in 0..2 {
        process.restart();
        process.declare(&slos);
        process.engine.step(NOW.after(SECOND));
        assert_eq!(process.engine.decisions(), decided);
        assert_eq!(why(&process), said, "as it was decided");
        process.store.commit(&process.engine.changes()).unwrap();
    }
    let standing = |process: &Process| process.store.list(b"standing\n").unwrap().len();
    assert_eq!(
        standing(&process),
        4,
        "two SLOs, each measured and protected"
    );
    process.declare(&slos[..1]);
    process.engine.step(NOW.after(SECOND * 2));
    process.store.commit(&process.engine.changes()).unwrap();
    assert_eq!(standing(&process), 2);
}

#[test]
fn what_holds_by_a_store_of_before_is_no_new_decision() {
    let mut process = Process::begin();
    process.declare(&[slo("pay", SloMode::Actionable, 0.9)]);
    process.engine.step(NOW);
    process.store.commit(&process.engine.changes()).unwrap();
    // There, what holds is with the decisions.
    let mut batch = Batch::new();
    for (key, standing) in process.store.list(b"standing\n").unwrap() {
        let standing: serde_json::Value = serde_json::from_slice(&standing).unwrap();
        let key_of = format!("decision\n{:04}", standing["id"].as_u64().unwrap());
        let decision = process.store.get(key_of.as_bytes()).unwrap().unwrap();
        let mut decision: serde_json::Value = serde_json::from_slice(&decision).unwrap();
        decision["held"] = standing["policies"].clone();
        batch.put(key_of, decision.to_string());
        batch.delete(key);
    }
    process.store.commit(&batch).unwrap();
    let decided = process.engine.decisions();
    for _ in 0..2 {
        process.restart();
        process.engine.step(NOW.after(SECOND));
        assert_eq!(process.engine.decisions(), decided);
        process.store.commit(&process.engine.changes()).unwrap();
        assert_eq!(process.store.list(b"standing\n").unwrap().len(), 2);
    }
}

#[test]
fn why_something_holds_is_known_by_a_store_of_before_that_does_not_say_it() {
    let mut process = Process::begin();
    let slos = [slo("pay", SloMode::Actionable, 0.9)];
    process.declare(&slos);
    process.engine.step(NOW);
    process.store.commit(&process.engine.changes()).unwrap();
    let why = |process: &Process| {
        let intent = IntentId("SLO/pay".to_owned());
        let (_, because, _) = process.engine.decisions.in_force(Stage::Protect, &intent)?;
        Some(because.to_owned())
    };
    let said = why(&process);
    assert!(said.as_ref().is_some_and(|because| !because.is_empty()));
    let forget = |process: &mut Process, histories: &[&str]| {
        let mut batch = Batch::new();
        for (key, standing) in process.store.list(b"standing\n").unwrap() {
            let mut standing: serde_json::Value = serde_json::from_slice(&standing).unwrap();
            standing.as_object_mut().unwrap().remove("because");
            batch.put(key, standing.to_string());
        }
        for history in histories {
            for (key, _) in process.store.list(history.as_bytes()).unwrap() {
                batch.delete(key);
            }
        }
        process.store.commit(&batch).unwrap();
    };
    forget(&mut process, &[]);
    process.restart();
    assert_eq!(why(&process), said, "by the history");
    // Where it was decided too long ago, the next step says it, and keeps it.
    forget(&mut process, &["decision\n"]);
    process.restart();
    assert_eq!(why(&process).as_deref(), Some(""));
    process.declare(&slos);
    process.engine.step(NOW.after(SECOND));
    assert_eq!(why(&process), said);
    process.store.commit(&process.engine.changes()).unwrap();
    process.restart();
    assert_eq!(why(&process), said);
}

#[test]
fn renewing_a_fault_is_no_decision() {
    let mut process = Process::begin();
    let fault = format!(
        r#"{{"name": "a", "service": "checkout", "route": "any", "side": "server", "fault":
        {{"id": "a", "share": 500, "abort_status": 503, "expires_at_ms": {}}}}}"#,
        NOW.after(SECOND * 600).as_millis()
    );
    let mut documents = documents(&[]);
    let id = IntentId("FaultInjection/a".to_owned());
    documents.intents.insert(id, ("fault_injection", fault));
    assert!(process.engine.set_documents(documents, NOW).is_empty());
    process.engine.step(NOW);
    let first = process.engine.last_step().policies.clone();
    let decided = process.engine.decisions().len();
    process.engine.step(NOW.after(SECOND * 60));
    assert_ne!(process.engine.last_step().policies, first, "renewed");
    assert_eq!(process.engine.decisions().len(), decided);
    process.engine.step(NOW.after(SECOND * 600));
    assert!(decided < process.engine.decisions().len(), "expired");
}

#[test]
fn histories_are_bounded() {
    let mut process = Process::begin();
    for _ in 0..=EVENTS_MAX {
        let problems = Happened::Documents {
            intents: 0,
            problems: 0,
        };
        process.engine.tell(NOW, NOW, problems);
    }
    let events = process.engine.events(0);
    assert_eq!((events.len(), events[0].id), (EVENTS_MAX, 2));
    for round in 0..=decisions::MAX {
        let mode = [SloMode::Monitored, SloMode::Actionable][round % 2];
        process.declare(&[slo("pay", mode, 0.9)]);
        process.engine.step(NOW);
    }
    assert_eq!(process.engine.decisions().len(), decisions::MAX);
}

#[test]
fn a_store_of_another_format_is_refused() {
    let store = InMemory::default();
    let mut batch = Batch::new();
    batch.put("format", "2");
    store.commit(&batch).unwrap();
    let error = Engine::restore(&store).unwrap_err().to_string();
    assert_eq!(
        error,
        r#"the store has format "2"; this program reads format "1""#
    );
}

#[test]
fn counts_that_cannot_be_read_are_not_forgotten_silently() {
    let mut process = Process::begin();
    process.take(report(7, 1, 10, 0), NOW);
    let (key, _) = process.store.list(b"cell\n").unwrap().remove(0);
    let mut batch = Batch::new();
    batch.put(key, "{");
    process.store.commit(&batch).unwrap();
    let error = Engine::restore(&process.store).unwrap_err();
    assert!(matches!(error, RestoreError::Entry { .. }), "{error}");
}

/// What happens to one report on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    /// The acknowledgement is lost, so it is sent again.
    Repeated,
    /// The process dies before it is stored, so it is sent again to the next one.
    Crash,
    /// The process dies when it is stored and before it is acknowledged.
    LateCrash,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Arrives),
        Just(Fate::Repeated),
        Just(Fate::Crash),
        Just(Fate::LateCrash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_request_is_counted_exactly_once_whatever_happens(
        reports in prop::collection::vec((0..3_u64, 0..50_u64, 0..50_u64, fate()), 0..30)
    ) {
        let mut process = Process::begin();
        process.declare(&[slo("pay", SloMode::Monitored, 0.9)]);
        let mut sequences = [0; 3];
        let (mut requests, mut good) = (0, 0);
        for (vm, served, bad, fate) in reports {
            let sequence = &mut sequences[usize::try_from(vm).unwrap()];
            *sequence += 1;
            let report = report(vm, *sequence, served + bad, bad);
            requests += served + bad;
            good += served;
            match fate {
                Fate::Arrives => {}
                Fate::Repeated => drop(process.take(report.clone(), NOW)),
                Fate::Crash => {
                    process.take_only(report.clone(), NOW);
                    process.restart();
                }
                Fate::LateCrash => {
                    process.take(report.clone(), NOW);
                    process.restart();
                }
            }
            process.take(report, NOW);
        }
        prop_assert_eq!(process.requests(), requests);
        process.restart();
        prop_assert_eq!(process.requests(), requests);
        process.engine.step(NOW);
        let counts = process.engine.slos()[0].objectives[0].counts.unwrap_or_default();
        prop_assert_eq!((counts.total, counts.good), (requests, good));
    }
}
