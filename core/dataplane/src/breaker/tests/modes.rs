//! What an operator wants of a breaker as a whole.

use super::*;

fn in_mode(mode: BreakerMode) -> Bench {
    let mut bench = Bench::new(LIMITS());
    bench.breaker.obey(mode, at(0));
    bench
}

#[test]
fn only_those_that_decide_open() {
    for (mode, state, counted) in [
        (BreakerMode::Enforce, BreakerState::Open, 4),
        (BreakerMode::Shadow, BreakerState::Open, 4),
        (BreakerMode::MetricsOnly, BreakerState::Closed, 4),
        (BreakerMode::Disabled, BreakerState::Closed, 0),
    ] {
        let mut bench = in_mode(mode);
        bench.fail(4, 0);
        assert_eq!(bench.state(0), state, "{mode:?}");
        assert_eq!(bench.breaker.seen(at(0)).failed, counted, "{mode:?}");
    }
}

#[test]
fn forced_open_refuses_for_ever() {
    let mut bench = in_mode(BreakerMode::ForcedOpen);
    for millis in [0, 1_000, 100_000_000] {
        assert_eq!(bench.try_pass(millis), None);
        assert_eq!(bench.state(millis), BreakerState::Open);
    }
    let changes = bench.breaker.take_changes();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].cause, Cause::Fleet);
}

#[test]
fn orders_mean_something_only_to_those_that_decide() {
    for mode in [BreakerMode::MetricsOnly, BreakerMode::Disabled] {
        let mut bench = in_mode(mode);
        bench.breaker.trip(at(0));
        assert_eq!(bench.state(0), BreakerState::Closed, "{mode:?}");
    }
    let mut bench = in_mode(BreakerMode::ForcedOpen);
    bench.breaker.trip(at(0));
    assert_eq!(bench.state(100_000), BreakerState::Open);
}

#[test]
fn after_being_forced_it_begins_with_probes() {
    let mut bench = in_mode(BreakerMode::ForcedOpen);
    bench.breaker.obey(BreakerMode::Enforce, at(5));
    assert_eq!(bench.state(5), BreakerState::Probing);
    bench.serve(2, 5);
    assert_eq!(bench.state(5), BreakerState::Ramping);
}

#[test]
fn after_only_counting_it_begins_closed_and_without_memory() {
    let mut bench = in_mode(BreakerMode::MetricsOnly);
    bench.fail(4, 0);
    let late = bench.pass(0);
    bench.breaker.obey(BreakerMode::Enforce, at(0));
    bench
        .breaker
        .record(late, Outcome::ServerError, FAST, at(0));
    bench.fail(3, 0);
    assert_eq!(bench.state(0), BreakerState::Closed);
    bench.fail(1, 0);
    assert_eq!(bench.state(0), BreakerState::Open);
}

#[test]
fn the_same_mode_again_changes_nothing() {
    for mode in [
        BreakerMode::Enforce,
        BreakerMode::Shadow,
        BreakerMode::MetricsOnly,
    ] {
        let mut bench = in_mode(mode);
        bench.fail(3, 0);
        bench.breaker.obey(mode, at(0));
        assert_eq!(bench.breaker.seen(at(0)).failed, 3, "{mode:?}");
    }
    let mut bench = Bench::opened(LIMITS());
    bench.breaker.obey(BreakerMode::Shadow, at(1));
    assert_eq!(bench.state(1), BreakerState::Open, "a shadow of it");
}

#[test]
fn switched_off_it_lets_go() {
    let mut bench = Bench::opened(LIMITS());
    bench.breaker.obey(BreakerMode::Disabled, at(1));
    assert!(bench.try_pass(1).is_some());
    bench.breaker.obey(BreakerMode::Enforce, at(2));
    assert_eq!(bench.state(2), BreakerState::Closed);
}
