//! What is waited for, and for how long.

use sloop_model::BreakerLimits;

use super::super::tests::LIMITS;
use super::*;

const NOWHERE: UnderWay = UnderWay([0; 3]);

fn pending(limits: BreakerLimits) -> Pending {
    Pending::new(&BreakerRule::try_from(limits).unwrap())
}

/// It judges a window of a second, so by buckets of 125 ms, when four ended.
fn sure() -> Pending {
    pending(BreakerLimits {
        sigmas_hundredths: 300,
        window_ms: Some(1_000),
        ..LIMITS()
    })
}

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

impl Pending {
    fn all(&self, millis: u64) -> u32 {
        self.under_way(at(millis)).map_or(0, UnderWay::all)
    }

    fn fails(&mut self, passed: Passed) {
        self.end(passed);
        self.fail(passed);
    }

    fn is_overtaken(&self, millis: u64) -> u32 {
        self.overtaken(NOWHERE, at(millis)).0
    }

    /// For two windows from `from`, one request is served every 10 ms, in `took`.
    fn serves(&mut self, from: u64, took: Duration) {
        for millis in (from..=from + 2_000).step_by(10) {
            let passed = self.pass(at(millis));
            self.end(passed);
            self.serve(took);
        }
    }
}

#[test]
fn what_came_before_and_is_under_way_was_overtaken() {
    let mut pending = sure();
    let _before = [pending.pass(at(1)), pending.pass(at(2))];
    let third = pending.pass(at(3));
    let _fourth = pending.pass(at(4));
    pending.fails(third);
    assert_eq!(pending.is_overtaken(4), 2, "the fourth came later");
    let mut pending = sure();
    let oldest = pending.pass(at(1));
    let _others = [pending.pass(at(2)), pending.pass(at(200))];
    pending.fails(oldest);
    assert_eq!(pending.is_overtaken(300), 0, "the oldest overtakes nobody");
}

#[test]
fn what_came_in_earlier_eighths_is_known_whatever_came_later_and_ended() {
    let mut pending = sure();
    let _hanging: Vec<Passed> = (0..5).map(|_| pending.pass(at(10))).collect();
    let bad = pending.pass(at(300));
    pending.fails(bad);
    for millis in 301..400 {
        let passed = pending.pass(at(millis));
        pending.end(passed);
    }
    assert_eq!(pending.is_overtaken(400), 5);
}

#[test]
fn one_old_one_among_the_last_bad_ones_decides_nothing() {
    let mut pending = sure();
    let mut burst: Vec<Passed> = (0..100).map(|_| pending.pass(at(10))).collect();
    for quick in burst.split_off(90) {
        pending.fails(quick);
    }
    assert_eq!(pending.is_overtaken(11), 90);
    let old: Vec<Passed> = burst.drain(..LAST_BAD).collect();
    for (number, passed) in old.into_iter().enumerate() {
        let before = pending.is_overtaken(20);
        assert_eq!(before, 90 - u32::try_from(number).unwrap());
        pending.fails(passed);
    }
    assert_eq!(pending.is_overtaken(20), 0, "four in a row are no accident");
}

#[test]
fn who_passed_under_another_rule_takes_nothing_away() {
    let mut pending = sure();
    let old = pending.pass(at(1));
    pending.adopt(
        &BreakerRule::try_from(BreakerLimits {
            sigmas_hundredths: 300,
            ..LIMITS()
        })
        .unwrap(),
    );
    pending.pass(at(2));
    pending.end(old);
    assert_eq!(pending.all(2), 1);
    pending.adopt(&BreakerRule::try_from(LIMITS()).unwrap());
    pending.pass(at(3));
    assert_eq!(
        pending.under_way(at(3)),
        None,
        "limits are compared plainly"
    );
}

#[test]
fn what_is_usual_stays_so_under_another_rule() {
    let mut pending = sure();
    pending.serves(1_000, Duration::from_millis(80));
    pending.adopt(
        &BreakerRule::try_from(BreakerLimits {
            sigmas_hundredths: 200,
            window_ms: Some(1_000),
            ..LIMITS()
        })
        .unwrap(),
    );
    pending.pass(at(3_010));
    assert_eq!(pending.all(3_020), 1);
    assert_eq!(pending.all(3_700), 0, "four times as long as usual");
}

#[test]
fn streams_and_lost_tickets_are_left_out_after_two_windows() {
    let mut pending = sure();
    let streams: Vec<Passed> = (0..100).map(|_| pending.pass(at(10))).collect();
    let overtakes = |pending: &mut Pending, millis| {
        let quick = pending.pass(at(millis));
        pending.fails(quick);
        pending.is_overtaken(millis)
    };
    assert_eq!(pending.all(1_990), 100, "also when nobody comes");
    assert_eq!(pending.all(2_010), 0);
    assert_eq!(overtakes(&mut pending, 1_990), 100);
    assert_eq!(overtakes(&mut pending, 2_010), 0);
    for stream in streams {
        pending.end(stream);
    }
    assert_eq!(pending.all(2_010), 0);
}

#[test]
fn what_hangs_is_waited_for_four_times_as_long_as_usual() {
    let mut pending = sure();
    pending.serves(1_000, Duration::from_millis(80));
    let _hanging = pending.pass(at(3_000));
    assert_eq!(pending.all(3_320), 1);
    assert_eq!(pending.all(3_320 + 125), 1, "an eighth of a window more");
    assert_eq!(pending.all(3_320 + 250), 0);
    // Long after everything began to hang, too.
    let _hanging: Vec<Passed> = (3_001..9_000)
        .map(|millis| pending.pass(at(millis)))
        .collect();
    assert!(
        (320..=570).contains(&pending.all(9_000)),
        "{}",
        pending.all(9_000)
    );
}

#[test]
fn after_a_pause_nobody_knows_how_long_it_takes() {
    let mut pending = sure();
    pending.serves(1_000, Duration::from_millis(80));
    let _hanging = pending.pass(at(10_000));
    assert_eq!(pending.all(11_800), 1);
}

#[test]
fn workers_tell_what_they_wait_for_by_age() {
    let mut pending = sure();
    for (millis, times) in [(0, 4), (800, 2), (1_200, 1)] {
        for _ in 0..times {
            pending.pass(at(millis));
        }
    }
    assert_eq!(pending.under_way(at(1_240)), Some(UnderWay([7, 6, 4])));
    let told = UnderWay([7, 6, 4]);
    let overtakes = |passed: u64| {
        let mut pending = sure();
        let bad = pending.pass(at(passed));
        pending.fails(bad);
        pending.overtaken(told, at(1_240)).1
    };
    assert_eq!(overtakes(1_240), 7);
    assert_eq!(overtakes(900), 6);
    assert_eq!(overtakes(100), 4);
}

#[test]
fn what_passed_since_others_told_is_known_by_eighths() {
    let mut pending = sure();
    for millis in [0, 130, 260] {
        pending.pass(at(millis));
    }
    assert_eq!(pending.since(at(270), at(280)), 1);
    assert_eq!(pending.since(at(140), at(280)), 2);
    assert_eq!(pending.since(at(0), at(280)), 3);
    assert_eq!(pending.since(at(500), at(280)), 1, "a clock that is ahead");
}

#[test]
fn time_may_go_back_and_a_ticket_may_come_twice() {
    let mut pending = sure();
    let late = pending.pass(at(9_000));
    let early = pending.pass(at(1));
    for _ in 0..2 {
        pending.end(early);
        pending.end(late);
    }
    assert_eq!(pending.all(9_000), 0);
    pending.pass(Time::from_nanos(u64::MAX));
    assert_eq!(pending.all(9_000), 1);
    assert_eq!(pending.is_overtaken(0), 0);
}

#[test]
fn where_nothing_is_to_be_sure_only_what_ended_counts() {
    let plain = BreakerLimits {
        sigmas_hundredths: 0,
        ..LIMITS()
    };
    let calls = BreakerLimits {
        sigmas_hundredths: 300,
        window_ms: None,
        window_buckets: None,
        window_calls: Some(10),
        ..LIMITS()
    };
    for limits in [plain, calls] {
        let mut pending = pending(limits);
        pending.pass(at(1));
        let quick = pending.pass(at(2));
        pending.fails(quick);
        assert_eq!(pending.under_way(at(2)), None);
    }
}
