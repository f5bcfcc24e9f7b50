use super::*;

/// The example in the documentation of `forecast`.
const HOUR: Counts = Counts {
    total: 100_000,
    good: 98_560,
};
const MONTH: Counts = Counts {
    total: 72_000_000,
    good: 71_998_560,
};

fn lately() -> Lately {
    Lately {
        tally: Tally::of_requests(HOUR),
        known: seconds(3_600),
        is_filling: false,
        ends_in: None,
    }
}

fn left(counts: Counts, lately: Lately) -> BudgetStatus {
    budget(&Tally::of_requests(counts), target(99.9), Some(lately))
}

#[test]
fn a_budget_lasts_as_long_as_the_worked_example() {
    let status = left(MONTH, lately());
    assert_eq!(status.exhausted_in_s, Some(49 * 3_600));
    let (earliest, latest) = (status.exhausted_earliest_s, status.exhausted_latest_s);
    assert!(
        earliest < Some(46 * 3_600) && Some(42 * 3_600) < earliest,
        "{earliest:?}"
    );
    assert!(
        Some(52 * 3_600) < latest && latest < Some(58 * 3_600),
        "{latest:?}"
    );
}

#[test]
fn at_the_rate_that_is_allowed_it_lasts() {
    let mut allowed = lately();
    allowed.tally = Tally::of_requests(Counts {
        total: 100_000,
        good: 99_900,
    });
    assert_eq!(left(MONTH, allowed).exhausted_in_s, None);
    allowed.is_filling = true;
    assert_eq!(left(MONTH, allowed).exhausted_in_s, None);
}

#[test]
fn while_a_window_fills_what_is_allowed_grows() {
    let filling = Lately {
        is_filling: true,
        ..lately()
    };
    // 1,440 bad ones an hour, and 100 more allowed: 70,560 / 1,340 hours.
    let hours = left(MONTH, filling).exhausted_in_s.unwrap() / 3_600;
    assert_eq!(hours, 52);
}

#[test]
fn what_would_be_gone_after_the_window_lasts() {
    let ends = |hours: u64| Lately {
        is_filling: true,
        ends_in: Some(seconds(hours * 3_600)),
        ..lately()
    };
    assert!(left(MONTH, ends(53)).exhausted_in_s.is_some());
    assert_eq!(left(MONTH, ends(52)).exhausted_in_s, None);
}

#[test]
fn what_is_overspent_is_gone_at_once_and_nothing_is_said_of_nothing() {
    let status = left(HOUR, lately());
    assert_eq!(status.exhausted_in_s, Some(0));
    assert!(status.left < 0.0);
    assert_eq!(left(Counts::default(), lately()).exhausted_in_s, None);
    let nobody = Lately {
        known: seconds(0),
        ..lately()
    };
    assert_eq!(left(MONTH, nobody).exhausted_in_s, None);
}

/// One error in a quiet hour may be chance: it may last, and it may be gone soon.
#[test]
fn little_traffic_says_little_about_how_long_it_lasts() {
    let quiet = Lately {
        tally: Tally::of_requests(Counts {
            total: 1_800,
            good: 1_798,
        }),
        ..lately()
    };
    let month = Counts {
        total: 1_296_000,
        good: 1_295_998,
    };
    let status = left(month, quiet);
    assert!(status.exhausted_in_s.is_some());
    assert!(status.exhausted_earliest_s < status.exhausted_in_s);
    assert_eq!(status.exhausted_latest_s, None, "it may well last");
}
