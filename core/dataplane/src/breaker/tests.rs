//! What the breaker promises.

mod manner;
mod modes;
mod pace;
mod sharing;
mod streams;

use super::*;
use proptest::prelude::*;
use sloop_model::{BreakerLimits, BreakerManner, Share};

pub(super) const LIMITS: fn() -> BreakerLimits = || BreakerLimits {
    window_ms: Some(1_000),
    window_buckets: None,
    window_calls: None,
    calls_min: 4,
    failed_max: Share::try_from(5_000).unwrap(),
    slow_max: Some(Share::try_from(5_000).unwrap()),
    slow_us: Some(100_000),
    sigmas_hundredths: 0,
    open_ms: 1_000,
    open_max_ms: 4_000,
    probes: 2,
    ramp_ms: 1_000,
    manner: BreakerManner::default(),
};

fn rule(limits: BreakerLimits) -> BreakerRule {
    BreakerRule::try_from(limits).unwrap()
}

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

const FAST: Duration = Duration::from_millis(100);
const SLOW: Duration = Duration::from_millis(101);

/// A breaker and the words of the tests.
struct Bench {
    breaker: Breaker,
}

impl Bench {
    fn new(limits: BreakerLimits) -> Self {
        Self {
            breaker: Breaker::new(rule(limits), at(0)),
        }
    }

    fn try_pass(&mut self, millis: u64) -> Option<Ticket> {
        match self.breaker.admit(0, at(millis)) {
            Admit::Pass(ticket) => Some(ticket),
            Admit::Refuse { .. } => None,
        }
    }

    fn pass(&mut self, millis: u64) -> Ticket {
        self.try_pass(millis).expect("is refused")
    }

    fn call(&mut self, outcome: Outcome, latency: Duration, millis: u64) {
        let ticket = self.pass(millis);
        self.breaker.record(ticket, outcome, latency, at(millis));
    }

    fn fail(&mut self, times: u32, millis: u64) {
        for _ in 0..times {
            self.call(Outcome::ServerError, FAST, millis);
        }
    }

    fn serve(&mut self, times: u32, millis: u64) {
        for _ in 0..times {
            self.call(Outcome::Success, FAST, millis);
        }
    }

    fn state(&mut self, millis: u64) -> BreakerState {
        self.breaker.state(at(millis))
    }

    fn opened(limits: BreakerLimits) -> Self {
        let mut bench = Self::new(limits);
        bench.fail(4, 0);
        assert_eq!(bench.state(0), BreakerState::Open);
        bench
    }
}

#[test]
fn it_judges_by_no_fewer_than_asked() {
    let mut bench = Bench::new(LIMITS());
    bench.fail(3, 0);
    assert_eq!(bench.state(0), BreakerState::Closed);
    bench.fail(1, 0);
    assert_eq!(bench.state(0), BreakerState::Open);
}

#[test]
fn a_success_can_complete_the_proof() {
    let mut bench = Bench::new(LIMITS());
    bench.fail(3, 0);
    bench.serve(1, 0);
    assert_eq!(bench.state(0), BreakerState::Open);
}

/// A hundred requests that come at once, of which so many fail within a millisecond.
fn burst(failed: usize) -> (Bench, Vec<Ticket>) {
    let mut bench = Bench::new(BreakerLimits {
        calls_min: 10,
        sigmas_hundredths: 300,
        slow_max: None,
        slow_us: None,
        ..LIMITS()
    });
    let mut tickets: Vec<Ticket> = (0..100).map(|_| bench.pass(0)).collect();
    for ticket in tickets.drain(100 - failed..) {
        bench
            .breaker
            .record(ticket, Outcome::ServerError, FAST, at(1));
    }
    (bench, tickets)
}

#[test]
fn what_a_failure_overtook_may_turn_out_well() {
    let (mut bench, others) = burst(40);
    assert_eq!(bench.state(1), BreakerState::Closed);
    for ticket in others {
        bench.breaker.record(ticket, Outcome::Success, FAST, at(70));
        assert_eq!(bench.state(70), BreakerState::Closed);
    }
}

#[test]
fn one_of_the_oldest_decides_nothing_and_four_in_a_row_do() {
    let (mut bench, mut others) = burst(40);
    for oldest in others.drain(..3) {
        bench.breaker.record(oldest, Outcome::Timeout, FAST, at(70));
        assert_eq!(bench.state(70), BreakerState::Closed);
    }
    let fourth = others.remove(0);
    bench.breaker.record(fourth, Outcome::Timeout, FAST, at(70));
    assert_eq!(bench.state(70), BreakerState::Open, "they overtook nobody");
}

#[test]
fn where_most_fail_it_opens_whatever_the_others_do() {
    let (mut bench, _) = burst(90);
    assert_eq!(bench.state(1), BreakerState::Open);
}

#[test]
fn what_hangs_far_longer_than_usual_keeps_it_closed_for_less_than_a_second() {
    let (mut bench, _) = burst(0);
    for millis in (2_000..5_000).step_by(10) {
        let served = bench.pass(millis);
        let took = Duration::from_millis(50);
        bench
            .breaker
            .record(served, Outcome::Success, took, at(millis));
    }
    // One half fails at once, the other hangs.
    let mut hanging = Vec::new();
    let opens = (5_000..8_000).step_by(10).find(|millis| {
        bench.fail(1, *millis);
        hanging.extend(bench.try_pass(*millis));
        bench.state(*millis) == BreakerState::Open
    });
    assert!(opens.is_some_and(|millis| millis < 6_000), "{opens:?}");
}

#[test]
fn who_passed_before_it_opened_does_not_keep_it_closed_later() {
    let (mut bench, hanging) = burst(90);
    assert_eq!(bench.state(1), BreakerState::Open);
    assert_eq!(hanging.len(), 10);
    assert_eq!(
        bench.breaker.overtaken(Whose::Others, at(1)),
        0,
        "their outcomes are ignored"
    );
}

#[test]
fn streams_that_go_on_do_not_keep_it_closed() {
    let (mut bench, streams) = burst(0);
    bench.serve(1, 2_500);
    bench.fail(10, 4_000);
    assert_eq!(bench.state(4_000), BreakerState::Open);
    assert_eq!(streams.len(), 100);
}

#[test]
fn exactly_the_share_does_not_open_it() {
    let mut bench = Bench::new(LIMITS());
    bench.serve(2, 0);
    bench.fail(2, 0);
    assert_eq!(bench.state(0), BreakerState::Closed);
    bench.fail(1, 0);
    assert_eq!(bench.state(0), BreakerState::Open);
}

#[test]
fn what_left_the_window_is_forgotten() {
    let mut bench = Bench::new(LIMITS());
    bench.fail(3, 0);
    bench.fail(3, 1_001);
    assert_eq!(bench.state(1_001), BreakerState::Closed);
}

#[test]
fn slowness_opens_it_too_and_says_so() {
    let mut bench = Bench::new(LIMITS());
    for _ in 0..4 {
        bench.call(Outcome::Success, SLOW, 0);
    }
    let changes = bench.breaker.take_changes();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].cause, Cause::Slowness);
}

#[test]
fn the_slow_limit_itself_is_fast() {
    let mut bench = Bench::new(LIMITS());
    for _ in 0..10 {
        bench.call(Outcome::Success, FAST, 0);
    }
    assert_eq!(bench.state(0), BreakerState::Closed);
}

#[test]
fn what_proves_nothing_is_not_counted() {
    let mut bench = Bench::new(LIMITS());
    for outcome in [Outcome::Faulted, Outcome::Refused] {
        for _ in 0..10 {
            bench.call(outcome, SLOW, 0);
        }
    }
    for _ in 0..10 {
        bench.call(Outcome::ClientCancel, FAST, 0);
    }
    assert_eq!(bench.state(0), BreakerState::Closed);
}

#[test]
fn callers_that_give_up_waiting_prove_slowness() {
    let mut bench = Bench::new(LIMITS());
    for _ in 0..3 {
        bench.call(Outcome::ClientCancel, SLOW, 0);
    }
    assert_eq!(bench.state(0), BreakerState::Closed);
    bench.call(Outcome::ClientCancel, SLOW, 0);
    assert_eq!(bench.breaker.take_changes()[0].cause, Cause::Slowness);
}

#[test]
fn doubt_keeps_it_closed() {
    let mut bench = Bench::new(BreakerLimits {
        sigmas_hundredths: 300,
        ..LIMITS()
    });
    bench.fail(4, 0);
    assert_eq!(bench.state(0), BreakerState::Closed);
    bench.fail(6, 0);
    assert_eq!(bench.state(0), BreakerState::Open);
}

#[test]
fn open_refuses_until_the_moment_it_named() {
    let mut bench = Bench::opened(LIMITS());
    assert_eq!(
        bench.breaker.admit(0, at(999)),
        Admit::Refuse {
            retry_at: at(1_000)
        }
    );
    let _probe = bench.pass(1_000);
}

#[test]
fn only_as_many_probes_as_asked() {
    let mut bench = Bench::opened(LIMITS());
    let _probes = [bench.pass(1_000), bench.pass(1_000)];
    assert_eq!(bench.try_pass(1_000), None);
}

#[test]
fn served_probes_ramp_and_time_closes() {
    let mut bench = Bench::opened(LIMITS());
    bench.serve(2, 1_000);
    assert_eq!(bench.state(1_999), BreakerState::Ramping);
    assert_eq!(bench.state(2_000), BreakerState::Closed);
    let causes: Vec<Cause> = bench
        .breaker
        .take_changes()
        .iter()
        .map(|c| c.cause)
        .collect();
    assert_eq!(
        causes,
        [Cause::Failures, Cause::Time, Cause::Recovered, Cause::Time]
    );
}

#[test]
fn without_a_ramp_it_closes_at_once() {
    let mut bench = Bench::opened(BreakerLimits {
        ramp_ms: 0,
        ..LIMITS()
    });
    bench.serve(2, 1_000);
    assert_eq!(bench.state(1_000), BreakerState::Closed);
}

#[test]
fn a_ramp_grows_from_a_tenth() {
    let mut bench = Bench::opened(LIMITS());
    bench.serve(2, 1_000);
    for (millis, draw, passes) in [
        (1_000, 999, true),
        (1_000, 1_000, false),
        (1_500, 4_999, true),
        (1_500, 5_000, false),
        (2_000, 9_999, true),
    ] {
        let admit = bench.breaker.admit(draw, at(millis));
        assert_eq!(matches!(admit, Admit::Pass(_)), passes, "{millis} {draw}");
    }
}

#[test]
fn each_failed_attempt_doubles_the_wait_up_to_its_bound() {
    let mut bench = Bench::opened(LIMITS());
    let mut now = 0;
    for wait in [1_000, 2_000, 4_000, 4_000] {
        assert_eq!(bench.try_pass(now + wait - 1), None, "{wait}");
        now += wait;
        bench.fail(1, now);
        assert_eq!(bench.state(now), BreakerState::Open);
    }
}

#[test]
fn a_failing_ramp_is_a_failed_attempt() {
    let mut bench = Bench::opened(LIMITS());
    bench.serve(2, 1_000);
    bench.fail(4, 1_500);
    assert_eq!(bench.state(1_500), BreakerState::Open);
    assert_eq!(bench.try_pass(3_499), None);
    let _probe = bench.pass(3_500);
}

#[test]
fn after_closing_the_wait_begins_short_again() {
    let mut bench = Bench::opened(LIMITS());
    bench.fail(1, 1_000);
    bench.serve(2, 3_000);
    bench.fail(4, 4_000);
    let _probe = bench.pass(5_000);
}

#[test]
fn a_slow_old_request_neither_closes_nor_opens_it() {
    let mut bench = Bench::new(LIMITS());
    let slow = bench.pass(0);
    let failing = bench.pass(0);
    bench.fail(4, 0);
    let probe = bench.pass(1_000);
    bench
        .breaker
        .record(slow, Outcome::Success, SLOW, at(1_000));
    bench
        .breaker
        .record(failing, Outcome::ServerError, SLOW, at(1_000));
    assert_eq!(bench.state(1_000), BreakerState::Probing);
    bench
        .breaker
        .record(probe, Outcome::Success, FAST, at(1_000));
    bench.serve(1, 1_000);
    assert_eq!(bench.state(1_000), BreakerState::Ramping);
}

#[test]
fn lost_probes_do_not_keep_it_open() {
    let mut bench = Bench::opened(LIMITS());
    let _lost = [bench.pass(1_000), bench.pass(1_000)];
    assert_eq!(bench.try_pass(1_999), None);
    bench.serve(2, 2_000);
    assert_eq!(bench.state(2_000), BreakerState::Ramping);
}

#[test]
fn a_probe_that_takes_long_still_counts() {
    let mut bench = Bench::opened(LIMITS());
    let long = [bench.pass(1_000), bench.pass(1_000)];
    let _more = bench.pass(2_000);
    for ticket in long {
        bench
            .breaker
            .record(ticket, Outcome::Success, FAST, at(2_500));
    }
    assert_eq!(bench.state(2_500), BreakerState::Ramping);
}

#[test]
fn a_probe_that_proves_nothing_gives_its_place_back() {
    let mut bench = Bench::opened(LIMITS());
    bench.call(Outcome::ClientCancel, FAST, 1_000);
    bench.serve(2, 1_000);
    assert_eq!(bench.state(1_000), BreakerState::Ramping);
}

#[test]
fn one_slow_probe_of_many_is_borne() {
    let mut bench = Bench::opened(LIMITS());
    bench.call(Outcome::Success, SLOW, 1_000);
    bench.serve(1, 1_000);
    assert_eq!(bench.state(1_000), BreakerState::Ramping);
    let mut bench = Bench::opened(LIMITS());
    bench.call(Outcome::Success, SLOW, 1_000);
    bench.call(Outcome::Success, SLOW, 1_000);
    assert_eq!(bench.state(1_000), BreakerState::Open);
}

#[test]
fn an_order_opens_it_and_does_not_prolong_an_open_one() {
    let mut bench = Bench::new(LIMITS());
    bench.breaker.trip(at(0));
    assert_eq!(bench.breaker.take_changes()[0].cause, Cause::Fleet);
    bench.breaker.trip(at(500));
    let _probe = bench.pass(1_000);
    assert_eq!(bench.state(1_000), BreakerState::Probing);
}

#[test]
fn other_limits_take_hold_without_forgetting() {
    let mut bench = Bench::new(LIMITS());
    bench.fail(3, 0);
    let longer = BreakerLimits {
        open_ms: 2_000,
        ..LIMITS()
    };
    bench.breaker.adopt(rule(longer), at(0));
    bench.fail(1, 0);
    assert_eq!(bench.try_pass(1_999), None);
    bench.breaker.adopt(rule(LIMITS()), at(1_999));
    assert_eq!(bench.state(1_999), BreakerState::Open);
}

#[test]
fn unwanted_it_is_closed_and_earlier_tickets_are_void() {
    let mut bench = Bench::opened(LIMITS());
    bench.fail(1, 1_000);
    let ticket = bench.pass(3_000);
    bench.breaker.reset(at(3_000));
    assert_eq!(bench.state(3_000), BreakerState::Closed);
    bench
        .breaker
        .record(ticket, Outcome::ServerError, FAST, at(3_000));
    bench.fail(3, 3_000);
    assert_eq!(bench.state(3_000), BreakerState::Closed);
}

#[test]
fn the_list_of_changes_has_a_maximum() {
    let mut bench = Bench::opened(LIMITS());
    for second in 1..100 {
        bench.fail(1, second * 10_000);
    }
    let changes = bench.breaker.take_changes();
    assert_eq!(changes.len(), Breaker::CHANGES_MAX);
    assert_eq!(changes.last().unwrap().to, BreakerState::Open);
}

#[test]
fn time_that_goes_back_breaks_nothing() {
    let mut bench = Bench::opened(LIMITS());
    assert_eq!(bench.try_pass(0), None);
    bench.serve(2, 1_000);
    assert_eq!(bench.state(500), BreakerState::Ramping);
    let _ = bench.pass(500);
}

/// What may happen to a breaker.
#[derive(Clone, Debug)]
enum Event {
    Arrive(u16),
    End(usize, Outcome, bool),
    Lose(usize),
    Trip,
    Reset,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0u16..10_000).prop_map(Event::Arrive),
        6 => (any::<usize>(), prop::sample::select(&Outcome::ALL[..]), any::<bool>())
            .prop_map(|(which, outcome, slow)| Event::End(which, outcome, slow)),
        1 => any::<usize>().prop_map(Event::Lose),
        1 => Just(Event::Trip),
        1 => Just(Event::Reset),
    ]
}

proptest! {
    /// Whatever happened, at most the longest back-off later somebody gets through.
    #[test]
    fn never_refuses_everybody_for_longer_than_its_bound(
        events in prop::collection::vec((0u64..1_500, event()), 0..200),
    ) {
        let mut bench = Bench::new(LIMITS());
        let mut under_way = Vec::new();
        let mut now = 0;
        for (wait, event) in events {
            now += wait;
            match event {
                Event::Arrive(draw) => match bench.breaker.admit(draw, at(now)) {
                    Admit::Pass(ticket) => under_way.push(ticket),
                    Admit::Refuse { retry_at } => {
                        prop_assert!(retry_at <= at(now + 4_000), "{now} {retry_at:?}");
                    }
                },
                Event::End(which, outcome, slow) if !under_way.is_empty() => {
                    let ticket = under_way.swap_remove(which % under_way.len());
                    let latency = if slow { SLOW } else { FAST };
                    bench.breaker.record(ticket, outcome, latency, at(now));
                }
                Event::Lose(which) if !under_way.is_empty() => {
                    let _lost = under_way.swap_remove(which % under_way.len());
                }
                Event::End(..) | Event::Lose(_) => {}
                Event::Trip => bench.breaker.trip(at(now)),
                Event::Reset => bench.breaker.reset(at(now)),
            }
        }
        prop_assert!(bench.try_pass(now + 4_000).is_some());
    }

    /// While everything is served in time, nobody is ever refused.
    #[test]
    fn never_refuses_while_all_is_well(
        waits in prop::collection::vec(0u64..100, 1..300),
        draw in 0u16..10_000,
    ) {
        let mut breaker = Breaker::new(rule(LIMITS()), at(0));
        let mut now = 0;
        for wait in waits {
            now += wait;
            match breaker.admit(draw, at(now)) {
                Admit::Pass(ticket) => breaker.record(ticket, Outcome::ClientError, FAST, at(now)),
                Admit::Refuse { .. } => prop_assert!(false, "refused at {now}"),
            }
        }
    }
}

/// What the control plane derives for 99.9 %.
const DERIVED: fn() -> BreakerLimits = || BreakerLimits {
    calls_min: 5,
    failed_max: Share::try_from(2_000).unwrap(),
    slow_max: None,
    slow_us: None,
    sigmas_hundredths: 300,
    open_max_ms: 8_000,
    probes: 5,
    ramp_ms: 5_000,
    ..LIMITS()
};

#[test]
fn an_order_does_not_open_who_surely_sees_the_service_well() {
    let after = |served: u32, failed: u32| {
        let mut bench = Bench::new(DERIVED());
        bench.serve(served, 0);
        bench.fail(failed, 0);
        bench.breaker.trip(at(1));
        bench.state(1)
    };
    assert_eq!(after(40, 0), BreakerState::Closed);
    assert_eq!(after(20, 0), BreakerState::Open, "too few to be sure");
    assert_eq!(after(95, 5), BreakerState::Closed);
    assert_eq!(after(85, 15), BreakerState::Open, "perhaps a fifth");
    let mut bench = Bench::new(DERIVED());
    bench.serve(100, 0);
    bench.breaker.trip(at(1_500));
    assert_eq!(bench.state(1_500), BreakerState::Open, "that was long ago");
}

/// What it did not judge by is no proof that all is well.
#[test]
fn an_order_opens_who_left_what_is_slow_to_others() {
    let after = |spared: u32, outcome: Outcome, millis: u64| {
        let mut bench = Bench::new(BreakerLimits {
            slow_max: Some(Share::try_from(9_000).unwrap()),
            slow_us: Some(100_000),
            ..DERIVED()
        });
        for _ in 0..spared {
            let ticket = bench.pass(0);
            bench.breaker.record_mildly(ticket, outcome, SLOW, at(0));
        }
        assert_eq!(bench.state(0), BreakerState::Closed);
        bench.serve(100, millis);
        bench.breaker.trip(at(millis + 1));
        bench.state(millis + 1)
    };
    assert_eq!(after(50, Outcome::Timeout, 0), BreakerState::Open);
    assert_eq!(after(4, Outcome::Timeout, 0), BreakerState::Closed, "a few");
    assert_eq!(after(50, Outcome::Success, 0), BreakerState::Closed, "late");
    assert_eq!(after(9_000, Outcome::Success, 0), BreakerState::Open);
    assert_eq!(after(50, Outcome::Timeout, 2_000), BreakerState::Closed);
    assert_eq!(after(50, Outcome::Shed, 0), BreakerState::Closed);
}

#[test]
fn what_was_left_to_others_before_a_change_does_not_speak_after_it() {
    for ends in [0, 2] {
        let mut bench = Bench::new(BreakerLimits {
            slow_max: Some(Share::try_from(9_000).unwrap()),
            slow_us: Some(100_000),
            ..DERIVED()
        });
        let mut hang: Vec<Ticket> = (0..50).map(|_| bench.pass(0)).collect();
        for now in 0..=2 {
            if now == 1 {
                bench.breaker.reset(at(1));
            }
            let ended = if now == ends {
                hang.split_off(0)
            } else {
                Vec::new()
            };
            for ticket in ended {
                let outcome = Outcome::Timeout;
                bench.breaker.record_mildly(ticket, outcome, SLOW, at(now));
            }
        }
        bench.serve(100, 2);
        bench.breaker.trip(at(3));
        assert_eq!(bench.state(3), BreakerState::Closed, "ended at {ends}");
    }
}

/// When a breaker opens that served a request every `gap` milliseconds for ten seconds, and then
/// fails all, after the first failure.
fn opens_after(limits: BreakerLimits, gap: u64) -> u64 {
    let mut bench = Bench::new(limits);
    for at_ms in (0..10_000).step_by(usize::try_from(gap).unwrap()) {
        bench.serve(1, at_ms);
    }
    let failing = (10_000..20_000).step_by(usize::try_from(gap).unwrap());
    for at_ms in failing {
        bench.fail(1, at_ms);
        if bench.state(at_ms) == BreakerState::Open {
            return at_ms - 10_000;
        }
    }
    u64::MAX
}

#[test]
fn a_total_outage_is_seen_before_the_window_would() {
    for (gap, soon) in [(1, 110), (10, 120), (50, 250)] {
        let after = opens_after(DERIVED(), gap);
        assert!(after <= soon, "every {gap} ms: {after} ms");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to requests, it does not flap: to open `k` times and close again takes the
    /// times that it is open, 1 s and twice as long each time, and the ramp of 5 s. That is most often, 15
    /// times a minute, for `k` of 2 and 3.
    #[test]
    fn it_opens_at_most_seventeen_times_in_any_minute(
        phases in prop::collection::vec((1u64..3_000, 0u32..=10), 1..120), gap in 1u64..40
    ) {
        let mut bench = Bench::new(DERIVED());
        let mut now = 0;
        let mut opened = Vec::new();
        for (length, failing) in phases {
            let end = now + length;
            while now < end {
                let fails = (now / gap).wrapping_mul(7) % 10 < u64::from(failing);
                if let Some(ticket) = bench.try_pass(now) {
                    let outcome = if fails { Outcome::ServerError } else { Outcome::Success };
                    bench.breaker.record(ticket, outcome, FAST, at(now));
                }
                let changes = bench.breaker.take_changes();
                let opens = changes.iter().filter(|change| change.to == BreakerState::Open);
                opened.extend(opens.map(|change| change.at));
                now += gap;
            }
        }
        for minute in opened.windows(18) {
            prop_assert!(Duration::from_secs(60) <= minute[17].since(minute[0]), "{opened:?}");
        }
    }
}
