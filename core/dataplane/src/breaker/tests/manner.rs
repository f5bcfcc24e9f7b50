//! Each setting of [`BreakerManner`], beside what it replaces.

use super::*;
use sloop_model::{Judge, LostProbes, Pace, ProbeVerdict, Threshold, Wake};

fn with(manner: BreakerManner) -> BreakerLimits {
    BreakerLimits { manner, ..LIMITS() }
}

const DEFAULT: BreakerManner = BreakerManner {
    threshold: Threshold::Exceeded,
    verdict: ProbeVerdict::FirstFailure,
    late: LateOutcomes::Ignored,
    wake: Wake::OnTime,
    lost: LostProbes::Replaced,
    pace: Pace::Time,
    judge: Judge::Outcomes,
};

#[test]
fn the_defaults_are_those_of_a_proxy() {
    assert_eq!(BreakerManner::default(), DEFAULT);
}

#[test]
fn a_threshold_is_exceeded_or_reached() {
    for (threshold, state) in [
        (Threshold::Exceeded, BreakerState::Closed),
        (Threshold::Reached, BreakerState::Open),
    ] {
        let manner = BreakerManner {
            threshold,
            ..DEFAULT
        };
        let mut bench = Bench::new(with(manner));
        bench.serve(2, 0);
        bench.fail(2, 0);
        assert_eq!(bench.state(0), state, "half failed: {threshold:?}");
        let mut bench = Bench::new(with(manner));
        bench.serve(2, 0);
        bench.call(Outcome::Success, SLOW, 0);
        bench.call(Outcome::Success, SLOW, 0);
        assert_eq!(bench.state(0), state, "half was slow: {threshold:?}");
    }
}

#[test]
fn probes_are_judged_by_the_first_failure_or_by_their_share() {
    let probed = |verdict, failed: u32, served: u32| {
        let mut bench = Bench::opened(BreakerLimits {
            probes: 4,
            calls_min: 4,
            ..with(BreakerManner { verdict, ..DEFAULT })
        });
        bench.serve(served, 1_000);
        bench.fail(failed, 1_000);
        bench.state(1_000)
    };
    let (first, ratio) = (ProbeVerdict::FirstFailure, ProbeVerdict::Ratio);
    assert_eq!(probed(first, 1, 0), BreakerState::Open);
    assert_eq!(probed(ratio, 1, 0), BreakerState::Probing);
    assert_eq!(probed(ratio, 3, 0), BreakerState::Probing);
    assert_eq!(probed(ratio, 2, 2), BreakerState::Ramping);
    assert_eq!(probed(ratio, 3, 1), BreakerState::Open);
}

#[test]
fn probes_judged_by_their_share_need_no_more_than_the_fewest_calls() {
    let mut bench = Bench::opened(BreakerLimits {
        probes: 100,
        ..with(BreakerManner {
            verdict: ProbeVerdict::Ratio,
            ..DEFAULT
        })
    });
    bench.serve(3, 1_000);
    assert_eq!(bench.state(1_000), BreakerState::Probing);
    bench.serve(1, 1_000);
    assert_eq!(bench.state(1_000), BreakerState::Ramping);
}

#[test]
fn what_passed_before_gives_back_no_probe() {
    let late = LateOutcomes::Counted;
    let mut bench = Bench::new(with(BreakerManner { late, ..DEFAULT }));
    let old = bench.pass(0);
    bench.fail(4, 0);
    let probe = bench.pass(1_000);
    let _other = bench.pass(1_000);
    let cancel = Outcome::ClientCancel;
    bench.breaker.record(old, cancel, FAST, at(1_010));
    assert_eq!(bench.try_pass(1_010), None, "both probes are under way");
    bench.breaker.record(probe, cancel, FAST, at(1_020));
    assert!(bench.try_pass(1_020).is_some());
}

#[test]
fn late_outcomes_mean_nothing_or_as_much_as_others() {
    for (late, while_open, state) in [
        (LateOutcomes::Ignored, 4, BreakerState::Probing),
        (LateOutcomes::Counted, 5, BreakerState::Open),
    ] {
        let mut bench = Bench::new(with(BreakerManner { late, ..DEFAULT }));
        let [first, second] = [bench.pass(0), bench.pass(0)];
        bench.fail(4, 0);
        let record = |bench: &mut Bench, ticket, millis| {
            let breaker = &mut bench.breaker;
            breaker.record(ticket, Outcome::ServerError, FAST, at(millis));
        };
        record(&mut bench, first, 1);
        assert_eq!(bench.breaker.seen(at(1)).total, while_open, "{late:?}");
        assert_eq!(bench.state(1), BreakerState::Open, "it decides nothing");
        let _probe = bench.pass(1_000);
        record(&mut bench, second, 1_000);
        assert_eq!(bench.state(1_000), state, "{late:?}");
    }
}

#[test]
fn a_wait_ends_by_time_or_by_a_request_after_it() {
    for (wake, by_time, at_its_end) in [
        (Wake::OnTime, BreakerState::Probing, true),
        (Wake::OnRequest, BreakerState::Open, false),
    ] {
        let mut bench = Bench::opened(with(BreakerManner { wake, ..DEFAULT }));
        assert_eq!(bench.state(1_000), by_time);
        assert_eq!(bench.try_pass(1_000).is_some(), at_its_end);
        assert!(bench.try_pass(1_001).is_some());
        assert_eq!(bench.state(1_001), BreakerState::Probing);
    }
}

#[test]
fn lost_probes_are_replaced_or_awaited() {
    for (lost, passes) in [(LostProbes::Replaced, true), (LostProbes::Awaited, false)] {
        let mut bench = Bench::opened(with(BreakerManner { lost, ..DEFAULT }));
        let [first, _lost] = [bench.pass(1_000), bench.pass(1_000)];
        assert_eq!(bench.try_pass(1_000_000).is_some(), passes, "{lost:?}");
        let breaker = &mut bench.breaker;
        breaker.record(first, Outcome::Refused, FAST, at(1_000_000));
        assert!(
            bench.try_pass(1_000_000).is_some(),
            "one gave its place back"
        );
    }
}

#[test]
fn without_back_off_each_wait_is_the_same() {
    let mut bench = Bench::opened(BreakerLimits {
        open_max_ms: 1_000,
        ..LIMITS()
    });
    for second in 1..10 {
        assert_eq!(bench.try_pass(second * 1_000 - 1), None);
        bench.fail(1, second * 1_000);
    }
}

#[test]
fn a_window_in_requests_forgets_by_number_and_not_by_time() {
    let mut bench = Bench::new(BreakerLimits {
        window_ms: None,
        window_calls: Some(5),
        ..LIMITS()
    });
    bench.fail(2, 0);
    bench.serve(4, 1_000_000);
    assert_eq!(bench.breaker.seen(at(1_000_000)).failed, 1);
    bench.fail(1, 9_000_000);
    assert_eq!(bench.state(9_000_000), BreakerState::Closed);
    bench.fail(2, 9_000_000);
    assert_eq!(bench.state(9_000_000), BreakerState::Open);
}

#[test]
fn other_buckets_are_another_window() {
    let cut = |buckets| BreakerLimits {
        window_buckets: Some(buckets),
        ..LIMITS()
    };
    let mut bench = Bench::new(cut(1));
    bench.fail(3, 0);
    assert_eq!(bench.breaker.seen(at(999)).total, 3);
    bench.breaker.adopt(rule(cut(1)), at(999));
    assert_eq!(bench.breaker.seen(at(999)).total, 3);
    assert_eq!(bench.breaker.seen(at(1_000)).total, 0, "all at once");
    bench.fail(3, 1_000);
    bench.breaker.adopt(rule(cut(2)), at(1_000));
    assert_eq!(bench.breaker.seen(at(1_000)).total, 0);
}
