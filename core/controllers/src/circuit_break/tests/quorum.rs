//! Of how many sidecars a fifth must have opened by themselves: also where many say little or nothing.

use super::alone::{ordered, over};
use super::*;

/// Callers of the service.
const CALLERS: u64 = 20;

/// What caller `number` saw in the second before, mostly good, after which its breaker opened by itself.
fn opened(number: u64, second: u64) -> Observation {
    let mut seen = well(number, second);
    seen.scopes[0].breaker = Some(BreakerReading {
        state: BreakerState::Open,
        changes: vec![BreakerChange {
            to: BreakerState::Open,
            at: at(second),
            cause: BreakerCause::Failures,
        }],
    });
    seen
}

/// What caller `number` saw in the second before while it was well.
fn well(number: u64, second: u64) -> Observation {
    let mut seen = saw(&format!("caller-{number:02}"), second, (20, 1));
    seen.scopes[0].breaker = Some(BreakerReading {
        state: BreakerState::Closed,
        changes: Vec::new(),
    });
    seen
}

/// Whether all are ordered to open when in second 130 `bad` of the callers open, and those that are well report every
/// `interval` seconds.
fn orders_where_others_report_every(interval: u64, bad: u64) -> bool {
    let given = ordered(|second| {
        let callers = 0..CALLERS;
        let report = |number: u64| match number < bad {
            true if 130 <= second => Some(opened(number, second)),
            true => Some(well(number, second)),
            false => (second % interval == 0).then(|| over(interval, well(number, second))),
        };
        callers.filter_map(report).collect()
    });
    assert!(given.is_none_or(|second| second == 130), "{given:?}");
    given.is_some()
}

#[test]
fn who_reports_seldom_is_one_of_those_of_whom_a_fifth_must_have_opened() {
    for interval in [1, 5, 6, 30, 60] {
        let orders = |bad| orders_where_others_report_every(interval, bad);
        assert!(!orders(3), "three of twenty, every {interval} s");
        assert!(orders(4), "a fifth, every {interval} s");
    }
}

/// Whether all are ordered to open when half of the callers fall silent in second 100, and in second `at` so many of the
/// others open.
fn orders_with_half_silent(at: u64, bad: u64) -> bool {
    let given = ordered(|second| {
        let callers = (0..CALLERS).filter(|number| second < 100 || *number < CALLERS / 2);
        let report = |number: u64| {
            if second == at && number < bad {
                opened(number, second)
            } else {
                well(number, second)
            }
        };
        callers.map(report).collect()
    });
    given.is_some()
}

#[test]
fn half_a_fleet_that_fell_silent_is_counted_as_long_as_it_may_only_be_slow() {
    assert!(!orders_with_half_silent(130, 3), "three of twenty");
    assert!(orders_with_half_silent(130, 4));
    assert!(!orders_with_half_silent(200, 1), "one of ten");
    assert!(
        orders_with_half_silent(200, 2),
        "who is gone neither hinders nor helps"
    );
}
