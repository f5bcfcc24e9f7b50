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

/// What is heard in `second` when `bad` of the callers open in the second `first` and in each from then on, and are heard at
/// once, as is one that is well. The others are well, too, and come a second later.
fn heard_from(first: u64, bad: u64, second: u64) -> Vec<Observation> {
    let heard = if second == first { bad + 1 } else { CALLERS };
    let report = |number: u64| match number < bad {
        true => opened(number, second),
        false => well(number, second),
    };
    (0..heard).map(report).collect()
}

/// The second in which all are ordered to open when that begins with a start.
fn ordered_after_a_start(bad: u64) -> Option<u64> {
    ordered(|second| heard_from(1, bad, second))
}

/// The same when nobody had been heard of for 75 s, over the ends of minutes at which that was not for long. Then
/// something comes that was seen `ago`, when nobody took it, and a second later it begins.
fn ordered_after_a_silence(bad: u64, ago: Option<u64>) -> Option<u64> {
    ordered(|second| match second {
        ..=122 => (0..CALLERS).map(|number| well(number, second)).collect(),
        197 => ago
            .map(|ago| over(ago, well(0, second - ago)))
            .into_iter()
            .collect(),
        198.. => heard_from(198, bad, second),
        _ => Vec::new(),
    })
}

#[test]
fn nobody_opens_the_fleet_before_it_can_have_been_heard() {
    for bad in [2, 3] {
        assert_eq!(ordered_after_a_start(bad), None, "{bad} of twenty");
    }
    assert_eq!(ordered_after_a_start(4), Some(3), "a fifth");
}

#[test]
fn nor_after_nobody_was_heard_of_for_a_minute() {
    for bad in [2, 3] {
        let ordered = [None, Some(20), Some(60)].map(|ago| ordered_after_a_silence(bad, ago));
        assert_eq!(ordered, [None; 3], "{bad} of twenty");
    }
    assert_eq!(ordered_after_a_silence(4, None), Some(200), "a fifth");
}

#[test]
fn nor_by_what_those_that_came_first_counted() {
    let orders = |others: u64| {
        ordered(|second| {
            let bad = (0..2).map(|number| saw(&format!("bad-{number}"), second, (20, 20)));
            let heard = if second == 1 { 0 } else { others };
            let well = (0..heard).map(|number| saw(&format!("well-{number}"), second, (2_000, 0)));
            bad.chain(well).collect()
        })
    };
    assert_eq!(orders(18), None, "two of twenty");
    assert_eq!(orders(0), Some(3), "there is nobody else");
}

/// The same without a request.
fn silent(mut seen: Observation) -> Observation {
    let scope = &mut seen.scopes[0];
    scope.objectives[0].total = 0;
    scope.objectives[0].good = 0;
    scope.outcomes = [0; Outcome::ALL.len()];
    seen
}

#[test]
fn nor_where_they_say_only_that_they_opened() {
    let given = ordered(|second| {
        let heard = if second == 1 { 3 } else { CALLERS };
        let report = |number: u64| match (number < 2, second) {
            // What it was by is in the report before, which nobody took.
            (true, 1) => silent(opened(number, 1)),
            (true, _) => opened(number, second),
            (false, 1) => silent(well(number, 1)),
            (false, _) => well(number, second),
        };
        (0..heard).map(report).collect()
    });
    assert_eq!(given, None, "two of twenty");
}
