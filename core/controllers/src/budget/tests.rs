use core::time::Duration;

use proptest::prelude::*;
use sloop_model::{ObjectiveId, SloName, WallTime};

use super::*;

mod slices;
mod spending;
mod waiting;

fn at(second: u64) -> WallTime {
    WallTime::from_millis(second * 1_000)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn counts(total: u64, bad: u64) -> Counts {
    Counts {
        total,
        good: total - bad,
    }
}

/// A series with `(second, total, bad)` counted, each in the second before.
fn series(seen: &[(u64, u64, u64)]) -> Series {
    let mut series = Series::default();
    for &(second, total, bad) in seen {
        add(&mut series, second, counts(total, bad));
    }
    series
}

fn add(series: &mut Series, second: u64, seen: Counts) -> bool {
    series.mark_known(at(second - 1), at(second));
    series.add(at(second - 1), at(second), seen)
}

fn window(series: &Series, now: u64, length: u64) -> Option<Counts> {
    Some(series.since(at(now), at(now - length))?.counts)
}

fn id() -> ObjectiveId {
    ObjectiveId {
        slo: SloName::try_from("a").unwrap(),
        index: 0,
    }
}

fn changes(series: &mut Series) -> Vec<Cell> {
    let mut cells = Vec::new();
    series.take_changes(&id(), &mut cells);
    cells
}

/// A series made from what was stored.
fn restored(stored: impl IntoIterator<Item = Cell>) -> Series {
    let mut cells: Vec<Cell> = stored.into_iter().collect();
    cells.reverse();
    cells.sort_by_key(Cell::start);
    let mut other = Series::default();
    for cell in cells {
        if let Cell::Budget {
            resolution,
            start,
            counts,
            known_s,
            ..
        } = cell
        {
            other.restore(resolution, start, (counts, known_s));
        }
    }
    other.complete();
    other
}

#[test]
fn a_window_holds_what_lies_in_it() {
    let seen = series(&[(1_000, 10, 1), (1_003, 20, 2), (1_010, 30, 3)]);
    assert_eq!(window(&seen, 1_010, 5), Some(counts(30, 3)));
    assert_eq!(window(&seen, 1_010, 7), Some(counts(50, 5)));
    assert_eq!(
        window(&seen, 1_010, 90 * 86_400 / 86_400),
        Some(counts(60, 6))
    );
    assert_eq!(
        window(&seen, 1_002, 2),
        Some(counts(10, 1)),
        "not what came later"
    );
}

#[test]
fn not_known_is_not_zero() {
    let mut seen = series(&[(1_000, 10, 1)]);
    assert_eq!(window(&seen, 1_100, 5), None, "nobody reported");
    seen.mark_known(at(1_098), at(1_099));
    assert_eq!(
        window(&seen, 1_100, 5),
        Some(counts(0, 0)),
        "nothing happened"
    );
    assert_eq!(window(&Series::default(), 1_000, 900), None);
}

#[test]
fn coverage_is_the_share_of_seconds_somebody_reported_on() {
    let mut seen = Series::default();
    seen.mark_known(at(1_000), at(1_030));
    seen.mark_known(at(1_020), at(1_045));
    let reading = seen.since(at(1_060), at(970)).unwrap();
    assert!((reading.covered - 0.5).abs() < 1e-9, "{reading:?}");
}

#[test]
fn late_counts_go_where_their_time_says() {
    let mut seen = series(&[(10_000, 1, 0)]);
    assert!(add(&mut seen, 9_800, counts(7, 7)), "within five minutes");
    assert_eq!(window(&seen, 9_801, 5), Some(counts(7, 7)));
    assert!(
        add(&mut seen, 9_000, counts(5, 5)),
        "only in minutes and hours"
    );
    assert_eq!(window(&seen, 10_000, 300), Some(counts(8, 7)));
    assert_eq!(window(&seen, 10_000, 3_600), Some(counts(13, 12)));
}

#[test]
fn what_no_ring_reaches_back_to_is_turned_down() {
    let day = 86_400;
    let mut seen = series(&[(200 * day, 1, 0)]);
    assert!(add(&mut seen, 110 * day, counts(1, 0)), "ninety days");
    assert!(
        add(&mut seen, 110 * day - 3_600, counts(1, 0)),
        "in days only"
    );
    assert_eq!(window(&seen, 200 * day, 90 * day), Some(counts(2, 0)));
    let mut seen = series(&[(500 * day, 1, 0)]);
    assert!(add(&mut seen, 100 * day, counts(1, 0)), "four hundred days");
    assert!(!add(&mut seen, 100 * day - 1, counts(1, 0)));
    assert_eq!(window(&seen, 500 * day, 400 * day), Some(counts(2, 0)));
}

#[test]
fn a_quarter_and_a_year_have_all_of_their_days() {
    let day = 86_400;
    let mut seen = Series::default();
    for number in 1_000..1_400 {
        add(&mut seen, number * day + 3_600, counts(10, 1));
    }
    let now = 1_399 * day + 7_200;
    let since = |seen: &Series, start: u64| seen.since(at(now), at(start)).unwrap().counts;
    for days in [92, 365, 366] {
        let start = (1_400 - days) * day;
        assert_eq!(since(&seen, start), counts(10 * days, days), "{days} days");
        assert_eq!(
            since(&seen, start - 7_200),
            counts(10 * days, days),
            "two hours east"
        );
        assert_eq!(
            since(&seen, start + 8 * 3_600),
            counts(10 * days, days),
            "eight west"
        );
    }
    let again = restored(changes(&mut seen));
    assert_eq!(since(&again, 1_035 * day), counts(3_650, 365));
}

#[test]
fn days_are_stored_when_they_are_over_and_till_then_known_by_their_hours() {
    let day = 86_400;
    let days = |cells: &[Cell]| {
        let is_day = |cell: &&Cell| {
            matches!(
                cell,
                Cell::Budget {
                    resolution: Resolution::Day,
                    ..
                }
            )
        };
        cells.iter().filter(is_day).count()
    };
    let mut seen = series(&[(1_000 * day + 10, 5, 1), (1_000 * day + 9_000, 5, 1)]);
    let today = changes(&mut seen);
    assert_eq!(days(&today), 0);
    let mut again = Series::default();
    for cell in today {
        if let Cell::Budget {
            resolution,
            start,
            counts,
            known_s,
            ..
        } = cell
        {
            again.restore(resolution, start, (counts, known_s));
        }
    }
    again.complete();
    let year = |seen: &Series| window(seen, 1_001 * day + 10, 365 * day);
    assert_eq!(year(&again), Some(counts(10, 2)));
    add(&mut again, 1_001 * day + 5, counts(1, 1));
    assert_eq!(days(&changes(&mut again)), 1, "yesterday");
    assert_eq!(year(&again), Some(counts(11, 3)));
}

#[test]
fn what_was_gathered_for_long_is_spread_over_it() {
    let mut seen = Series::default();
    assert!(seen.add(at(1_000), at(1_010), counts(105, 13)));
    assert_eq!(
        window(&seen, 1_010, 100),
        Some(counts(105, 13)),
        "the sum is exact"
    );
    let last = window(&seen, 1_010, 1).unwrap();
    assert!(20 <= last.total && last.total <= 22, "{last:?}");
    let day = 86_400;
    let mut seen = Series::default();
    assert!(seen.add(at(0), at(2 * day), counts(2 * day, 0)));
    assert_eq!(
        window(&seen, 2 * day, 10),
        Some(counts(11, 0)),
        "one in each second"
    );
    assert_eq!(window(&seen, 2 * day, 2 * day), Some(counts(2 * day, 0)));
}

#[test]
fn a_clock_that_steps_back_loses_nothing_of_a_budget() {
    let mut seen = series(&[(100_000, 10, 1), (107_000, 20, 2)]);
    seen.rewind(at(100_100));
    assert_eq!(
        window(&seen, 100_100, 20_000),
        Some(counts(30, 3)),
        "folded into now"
    );
    assert_eq!(window(&seen, 100_100, 30), None, "no burst that never was");
    assert!(add(&mut seen, 100_101, counts(5, 5)), "goes on at once");
    assert_eq!(window(&seen, 100_101, 5), Some(counts(5, 5)));
    let mut again = restored(changes(&mut seen));
    assert_eq!(window(&again, 100_101, 20_000), Some(counts(35, 8)));
    assert!(changes(&mut again).is_empty());
}

#[test]
fn keys_are_bounded() {
    let cell = |start| Cell::Budget {
        objective: id(),
        resolution: Resolution::Second,
        start: at(start),
        counts: counts(0, 0),
        known_s: 0,
    };
    assert_eq!(cell(1_000).key(), cell(1_000 + 301).key());
    assert_ne!(cell(1_000).key(), cell(1_000 + 300).key());
}

#[test]
fn the_worst_sidecar_is_left_out_only_where_there_are_others() {
    let mut fleet = Fleet::default();
    let mut see = |node, seen| {
        let seen_by = SeenBy {
            node,
            service: "a",
            from: at(999),
            to: at(1_000),
            heard: at(1_000),
            others_by: at(1_000),
        };
        fleet.add(seen_by, seen);
    };
    see("a", counts(10, 9));
    see("b", counts(10, 1));
    assert_eq!(fleet.all(at(1_000), seconds(2)), counts(20, 10));
    assert_eq!(
        fleet.without_worst(at(1_000), seconds(2)),
        Some(counts(10, 1))
    );
    assert_eq!(fleet.without_worst(at(1_010), seconds(2)), None);
    fleet.forget_idle(at(1_100));
    assert_eq!(fleet.nodes(at(1_000), seconds(2)), 0);
}

#[test]
fn sidecars_are_told_apart_in_whatever_order_they_come_and_so_many_of_them() {
    let mut fleet = Fleet::default();
    let mut see = |number: usize| {
        let seen_by = SeenBy {
            node: &format!("node-{number}"),
            service: "a",
            from: at(999),
            to: at(1_000),
            heard: at(1_000),
            others_by: at(1_000),
        };
        fleet.add(seen_by, counts(1, 0));
    };
    // 7 has no factor in common with their number, so each comes once.
    (0..5_001).for_each(|place| see(place * 7 % 5_001));
    see(0);
    assert_eq!(fleet.heard(at(1_000)), 5_000);
    assert_eq!(fleet.all(at(1_000), seconds(2)), counts(5_002, 0));
    let names: Vec<&str> = fleet.nodes_ever().map(|(name, _)| name).collect();
    assert!(names.is_sorted());
    let (first, ever) = fleet.nodes_ever().next().unwrap();
    assert_eq!((first, ever), ("node-0", counts(2, 0)));
}

/// Ends of the interval at three standard deviations for 0, 1, 5, 9 and 10 of 10, computed by hand.
#[test]
fn bounds_hold_for_few_requests() {
    for (part, low, high) in [(0, 0.0, 0.474), (5, 0.156, 0.844), (10, 0.526, 1.0)] {
        let bounds = bounds(part, 10).unwrap();
        assert!((bounds.low - low).abs() < 0.001, "{part}: {bounds:?}");
        assert!((bounds.high - high).abs() < 0.001, "{part}: {bounds:?}");
    }
    assert_eq!(bounds(0, 0), None);
    assert!(!surely_above(1, 10, 0.1) && !surely_below(1, 10, 0.1));
    assert!(
        !surely_above(1, 3, 0.0144),
        "chance gives that every 23rd time"
    );
    assert!(surely_above(2, 3, 0.0144), "and that once in 1,600");
    assert!(!surely_above(1, 1, 0.001), "one alone is never sure");
    assert!(surely_above(100, 1_000, 0.0144));
    assert!(!surely_above(0, 10, 0.0) && surely_above(10, 10, 0.0));
    for (part, whole) in [(0, 0), (0, 10), (1, 1), (1, 1_000)] {
        assert_eq!(surely_least(part, whole), 0.0, "{part} of {whole}");
    }
    for (part, whole) in [
        (2, 2),
        (2, 3),
        (3, 1_000_000),
        (29, 29),
        (30, 60),
        (1_000, 1_000),
    ] {
        let least = surely_least(part, whole);
        assert!(0.0 < least, "{part} of {whole}");
        assert!(
            surely_above(part, whole, 0.999 * least),
            "{part} of {whole}"
        );
    }
}

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Count { late: u64, total: u64, bad: u64 },
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0u64..4_000).prop_map(Event::Wait),
        (0u64..2_000, 0u64..50, 0u64..50).prop_map(|(late, total, bad)| Event::Count {
            late,
            total: total + bad,
            bad
        }),
        Just(Event::Restart),
    ]
}

proptest! {
    /// Whatever comes when and however often the process restarts: each window holds
    /// exactly the cells that it touches.
    #[test]
    fn windows_are_never_wrong(events in prop::collection::vec(event(), 0..60), length in 1u64..40_000) {
        let mut now = 1_000_000;
        let mut seen = Series::default();
        let mut truth: Vec<(u64, Counts)> = Vec::new();
        let mut stored: std::collections::BTreeMap<String, Cell> = std::collections::BTreeMap::new();
        for event in events {
            match event {
                Event::Wait(wait) => now += wait,
                Event::Count { late, total, bad } => {
                    add(&mut seen, now - late, counts(total, bad));
                    truth.push((now - late, counts(total, bad)));
                }
                Event::Restart => {
                    stored.extend(changes(&mut seen).into_iter().map(|cell| (cell.key(), cell)));
                    let mut cells: Vec<Cell> = stored.values().cloned().collect();
                    cells.sort_by_key(Cell::start);
                    seen = Series::default();
                    for cell in cells {
                        if let Cell::Budget { resolution, start, counts, known_s, .. } = cell {
                            seen.restore(resolution, start, (counts, known_s));
                        }
                    }
                    seen.complete();
                }
            }
        }
        let resolution = Resolution::for_window(seconds(length));
        let cell = resolution.cell_ms() / 1_000;
        let newest = truth.iter().map(|(second, _)| second / cell).max().unwrap_or(0);
        let expected = truth
            .iter()
            .filter(|(second, _)| (now - length) / cell <= second / cell)
            // What came later than the ring reached back then may be missing; a restart does not change that.
            .filter(|(second, _)| newest - second / cell < resolution.cells())
            .fold(Counts::default(), |sum, (_, seen)| sum.plus(*seen));
        let read = window(&seen, now, length).unwrap_or_default();
        prop_assert_eq!(read, expected);
    }
}
