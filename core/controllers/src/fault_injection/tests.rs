use core::time::Duration;

use sloop_model::{
    FaultWritten, ObjectiveId, RouteName, ServiceName, Share, Side, SloName, WallTime,
};

use super::*;
use crate::{RouteSelector, Signal};

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
    };
    let decision = decided(10, [other]);
    assert!(!decision.policies.is_empty());
    assert!(
        decision.because.contains("no SLO watches payments"),
        "{}",
        decision.because
    );
}
