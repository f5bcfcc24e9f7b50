use core::time::Duration;

use sloop_model::{
    FaultWritten, ObjectiveId, RouteName, ServiceName, Share, Side, SloName, WallTime,
};

use super::*;
use crate::{
    Controllers, IntentId, ObjectiveCounts, Observation, RouteSelector, ScopeCounts,
    SidecarReading, Signal, Slo,
};

fn at(second: u64) -> WallTime {
    WallTime::from_millis(second * 1_000)
}

fn service(name: &str) -> ServiceName {
    ServiceName::try_from(name).unwrap()
}

/// A fault on `payments` until the second 1,000.
fn intent() -> FaultInjectionIntent {
    let fault = FaultWritten {
        id: "a".into(),
        share: Share::WHOLE,
        abort_status: Some(503),
        expires_at_ms: at(1_000),
        ..FaultWritten::default()
    };
    FaultInjectionIntent {
        name: "a".into(),
        service: service("payments"),
        route: RouteSelector::Named(RouteName::try_from("charge").unwrap()),
        side: Side::Server,
        fault: fault.try_into().unwrap(),
    }
}

fn burns(name: &str, speed: Speed) -> Signal {
    Signal::Burning {
        objective: ObjectiveId {
            slo: SloName::try_from("pay").unwrap(),
            index: 0,
        },
        service: service(name),
        speed,
    }
}

/// An objective about `payments` of which the reports say something until `second`.
fn watched(second: u64) -> Signal {
    Signal::Watched {
        objective: ObjectiveId {
            slo: SloName::try_from("pay").unwrap(),
            index: 0,
        },
        service: service("payments"),
        until: at(second),
        burned: None,
    }
}

/// What is decided at `second` while `signals` hold.
fn decided(second: u64, signals: impl IntoIterator<Item = Signal>) -> Decision {
    let mut world = World::default();
    world.begin_step(at(second));
    world.add_signals(signals);
    FaultInjection.step(&intent(), &mut LastBurned::default(), &world)
}

/// Plays `(second, what burns)` and returns whether it injects at each.
fn injects(steps: &[(u64, Option<Signal>)]) -> Vec<bool> {
    let mut world = World::default();
    let mut memory = LastBurned::default();
    steps
        .iter()
        .map(|(second, signal)| {
            world.begin_step(at(*second));
            world.add_signals(signal.clone());
            let decision = FaultInjection.step(&intent(), &mut memory, &world);
            assert!(!decision.because.is_empty());
            !decision.policies.is_empty()
        })
        .collect()
}

#[test]
fn a_fault_holds_until_it_expires() {
    let none = None;
    assert_eq!(
        injects(&[(0, none.clone()), (999, none.clone()), (1_000, none)]),
        [true, true, false]
    );
}

#[test]
fn it_pauses_while_an_objective_burns_and_five_minutes_longer() {
    let burning = Some(burns("payments", Speed::Now));
    assert_eq!(
        injects(&[(0, burning), (1, None), (299, None), (300, None)]),
        [false, false, false, true]
    );
}

#[test]
fn others_and_slow_burns_do_not_pause_it() {
    assert_eq!(
        injects(&[
            (0, Some(burns("shop", Speed::Now))),
            (1, Some(burns("payments", Speed::Slow))),
            (2, Some(burns("payments", Speed::Fast))),
        ]),
        [true, true, false]
    );
}

#[test]
fn a_clock_that_steps_back_does_not_pause_it() {
    let burning = Some(burns("payments", Speed::Page));
    assert_eq!(injects(&[(900, burning), (10, None)]), [false, true]);
}

#[test]
fn it_wakes_when_something_changes() {
    let mut world = World::default();
    world.begin_step(at(10));
    let decision = FaultInjection.step(&intent(), &mut LastBurned::default(), &world);
    assert_eq!(decision.wake_at, Some(at(60)), "the lease is renewed");
    world.add_signals([watched(15)]);
    let decision = FaultInjection.step(&intent(), &mut LastBurned::default(), &world);
    assert_eq!(decision.wake_at, Some(at(15)), "nobody may have reported");
    world.add_signals([burns("payments", Speed::Now)]);
    let decision = FaultInjection.step(&intent(), &mut LastBurned::default(), &world);
    assert_eq!(
        decision.wake_at,
        Some(at(10).after(Duration::from_secs(300)))
    );
}

#[test]
fn what_is_pushed_ends_within_two_minutes_and_stays_the_same_for_one() {
    let pushed_end = |second| match &decided(second, []).policies[..] {
        [
            Policy {
                rule: Rule::Fault(fault),
                ..
            },
        ] => fault.expires_at(),
        other => panic!("{other:?}"),
    };
    for (second, end) in [(0, 120), (59, 120), (60, 180), (119, 180), (940, 1_000)] {
        assert_eq!(pushed_end(second), at(end), "at {second}");
    }
}

#[test]
fn not_known_is_not_well() {
    let unknown = decided(10, [watched(10)]);
    assert!(unknown.policies.is_empty());
    assert!(
        unknown.because.contains("nobody reported"),
        "{}",
        unknown.because
    );
    assert!(!decided(10, [watched(11)]).policies.is_empty());
    let one_of_two = decided(10, [watched(0), watched(11)]);
    assert!(!one_of_two.policies.is_empty(), "one objective is enough");
}

#[test]
fn it_says_when_nobody_watches() {
    let other = Signal::Watched {
        objective: ObjectiveId {
            slo: SloName::try_from("shop").unwrap(),
            index: 0,
        },
        service: service("shop"),
        until: at(0),
        burned: None,
    };
    let decision = decided(10, [other]);
    assert!(!decision.policies.is_empty());
    assert!(
        decision.because.contains("no SLO watches payments"),
        "{}",
        decision.because
    );
}

/// When the next tests begin: long after the first moment of all, at the beginning of a minute.
const BEGIN: u64 = 1_700_000_040;

/// What one sidecar counted in so many seconds up to `second`, a hundred requests in each.
fn saw(length: u64, second: u64, bad: u64) -> Observation {
    let total = 100 * length;
    let objective = ObjectiveId {
        slo: SloName::try_from("pay").unwrap(),
        index: 0,
    };
    let scope = Scope {
        service: service("payments"),
        route: RouteName::try_from("charge").unwrap(),
        side: Side::Server,
    };
    Observation {
        node: "a".to_owned(),
        incarnation: 1,
        sidecar: SidecarReading::default(),
        from: at(BEGIN + second - length),
        at: at(BEGIN + second),
        scopes: vec![ScopeCounts {
            requests: total,
            objectives: vec![ObjectiveCounts {
                id: objective,
                total,
                good: total - bad,
            }],
            ..ScopeCounts::nothing(scope)
        }],
    }
}

/// An SLO about `payments`.
fn watching() -> Controllers {
    let slo = serde_json::json!({
        "name": "pay", "service": "payments", "mode": "monitored", "budgeting": "occurrences",
        "window": {"rolling": 2_592_000_000_u64},
        "objectives": [{"target": 999_000_000, "source": {
            "service": "payments", "route": "any", "side": "server", "indicator": {},
        }}],
    });
    let mut controllers = Controllers::with_all();
    let id = IntentId("SLO/pay".into());
    controllers.put(&id, Slo::KIND, &slo.to_string()).unwrap();
    controllers
}

fn declare(controllers: &mut Controllers) {
    let mut written = FaultWritten::from(intent().fault);
    written.expires_at_ms = at(BEGIN + 10_000);
    let intent = FaultInjectionIntent {
        fault: written.try_into().unwrap(),
        ..intent()
    };
    let body = serde_json::to_string(&intent).unwrap();
    let id = IntentId("FaultInjection/a".into());
    controllers.put(&id, FaultInjection::KIND, &body).unwrap();
}

/// The first second from `change` on in which the fault is injected, when all is bad in `outage`, and the fault is declared at
/// `change`, by a process that goes on or by one that begins with what is stored then.
fn injected_at(outage: core::ops::Range<u64>, change: u64, restarts: bool) -> u64 {
    let (mut world, mut controllers) = (World::default(), watching());
    controllers.tell_sources(&mut world);
    // A day before in health, so that long windows bear what follows.
    world.begin_step(at(BEGIN));
    world.observe(saw(86_400, 0, 0));
    for second in 1_u64.. {
        if second == change {
            if restarts {
                let stored = world.take_changes();
                (world, controllers) = (World::default(), watching());
                world.restore(stored);
                controllers.tell_sources(&mut world);
            }
            declare(&mut controllers);
        }
        world.begin_step(at(BEGIN + second));
        // A report comes a while after the start.
        if !(change..change + 3).contains(&second) {
            let bad = if outage.contains(&second) { 100 } else { 0 };
            world.observe(saw(1, second, bad));
        }
        let step = controllers.step(&mut world);
        let mut rules = step.policies.iter().map(|policy| &policy.rule);
        if rules.any(|rule| matches!(rule, Rule::Fault(_))) {
            return second;
        }
        assert!(second < 2_000, "it was never injected");
    }
    unreachable!("it ends above")
}

#[test]
fn the_pause_holds_for_a_fault_that_is_declared_within_it_and_over_a_restart() {
    let outage = 20..80;
    let from_the_first = injected_at(outage.clone(), 21, false);
    // The short window of a pair, of five minutes, has enough of it until the last few bad seconds.
    assert!((670..=679).contains(&from_the_first), "{from_the_first}");
    for change in [100, 390, 450, 550, 620] {
        let declared = injected_at(outage.clone(), change, false);
        assert_eq!(declared, from_the_first, "declared at {change}");
        let restarted = injected_at(outage.clone(), change, true);
        // What is further back than five minutes is known by the minute.
        let expected = from_the_first - 5..=from_the_first + 60;
        assert!(expected.contains(&restarted), "{restarted} after {change}");
    }
    assert_eq!(injected_at(outage, 760, true), 763);
}

#[test]
fn a_restart_pauses_nothing_where_nothing_burned() {
    for change in [1, 100, 400] {
        assert_eq!(injected_at(0..0, change, true), change + 3);
    }
}
