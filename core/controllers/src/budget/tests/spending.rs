use std::collections::BTreeMap;

use super::*;
use crate::budget::spending::{OTHER, SPENDERS_MAX};

const HOUR: u64 = 3_600;

fn spend(spending: &mut Spending, second: u64, name: &str, bad: u64) {
    spending.add(&id(), (SpentBy::Caller, name), bad, at(second));
}

/// (name, bad) in the last `length` seconds.
fn spent(spending: &Spending, now: u64, length: u64) -> Vec<(String, u64)> {
    let spent = spending.spent(at(now), seconds(length)).into_iter();
    spent.map(|spent| (spent.name, spent.bad)).collect()
}

fn names(spent: &[(String, u64)]) -> Vec<(&str, u64)> {
    spent
        .iter()
        .map(|(name, bad)| (name.as_str(), *bad))
        .collect()
}

/// Stores what changed.
fn store(spending: &mut Spending, stored: &mut BTreeMap<String, Cell>) {
    for key in spending.take_gone(&id()) {
        stored.remove(&key);
    }
    let mut cells = Vec::new();
    spending.take_changes(&id(), &mut cells);
    stored.extend(cells.into_iter().map(|cell| (cell.key(), cell)));
}

/// Makes of a store one of before, which has an entry for each spender.
fn take_apart(stored: &mut BTreeMap<String, Cell>) {
    let mut apart = BTreeMap::new();
    for (key, cell) in core::mem::take(stored) {
        let Cell::Spending {
            objective,
            level,
            start,
            spent,
        } = cell
        else {
            // What came later in its place is there already.
            apart.entry(key).or_insert(cell);
            continue;
        };
        for Spent { by, name, bad } in spent {
            let objective = objective.clone();
            let cell = Cell::Spent {
                objective,
                by,
                name,
                level,
                start,
                bad,
            };
            apart.insert(cell.key(), cell);
        }
    }
    *stored = apart;
}

/// What a process that begins now knows.
fn restored(stored: &BTreeMap<String, Cell>) -> Spending {
    let mut cells: Vec<&Cell> = stored.values().collect();
    cells.sort_by_key(|cell| cell.start());
    let mut spending = Spending::default();
    for cell in cells {
        match cell.clone() {
            Cell::Spending {
                level,
                start,
                spent,
                ..
            } => spending.restore(level, start, spent),
            Cell::Spent {
                by,
                name,
                level,
                start,
                bad,
                ..
            } => spending.restore_apart(level, start, Spent { by, name, bad }),
            Cell::Budget { .. }
            | Cell::Beginning { .. }
            | Cell::Slices { .. }
            | Cell::Slice { .. }
            | Cell::Scope(_)
            | Cell::Alert { .. }
            | Cell::Withdrawn { .. } => panic!("{cell:?}"),
        }
    }
    spending
}

#[test]
fn who_spent_most_comes_first_in_any_window() {
    let mut spending = Spending::default();
    spend(&mut spending, 1_000_000, "old", 90);
    spend(&mut spending, 2_000_000, "few", 1);
    spend(&mut spending, 2_000_000, "many", 5);
    spend(&mut spending, 2_000_000, "well", 0);
    let window = |length| spent(&spending, 2_000_005, length);
    assert_eq!(names(&window(60)), [("many", 5), ("few", 1)]);
    assert_eq!(names(&window(6 * HOUR)), [("many", 5), ("few", 1)]);
    let month = window(30 * 24 * HOUR);
    assert_eq!(names(&month), [("old", 90), ("many", 5), ("few", 1)]);
    assert_eq!(spent(&spending, 3_000_000, 60), [], "nobody did");
}

#[test]
fn kinds_are_told_apart() {
    let mut spending = Spending::default();
    for by in [SpentBy::Journey, SpentBy::Route] {
        spending.add(&id(), (by, "pay"), 3, at(1_000));
    }
    let spent = spending.spent(at(1_000), seconds(10));
    let kinds: Vec<_> = spent.iter().map(|spent| spent.by).collect();
    assert_eq!(kinds, [SpentBy::Route, SpentBy::Journey]);
}

#[test]
fn those_beyond_the_cap_are_others_and_the_sum_is_exact() {
    let mut spending = Spending::default();
    for number in 0..SPENDERS_MAX + 10 {
        spend(&mut spending, 1_000, &format!("caller-{number:02}"), 1);
    }
    let spent = spent(&spending, 1_000, 60);
    assert_eq!(spent.len(), SPENDERS_MAX + 1);
    assert_eq!(names(&spent)[0], (OTHER, 10));
    assert_eq!(spent.iter().map(|(_, bad)| bad).sum::<u64>(), 42);
}

#[test]
fn who_was_quiet_for_six_hours_makes_room() {
    let mut spending = Spending::default();
    for number in 0..SPENDERS_MAX as u64 {
        spend(
            &mut spending,
            1_000_000 + number * 60,
            &format!("caller-{number:02}"),
            1,
        );
    }
    spend(&mut spending, 1_000_000 + 6 * HOUR - 300, "new", 7);
    let all = |spending: &Spending| spent(spending, 1_000_000 + 7 * HOUR, 24 * HOUR);
    assert_eq!(
        names(&all(&spending))[0],
        (OTHER, 7),
        "nobody was quiet for so long"
    );
    spend(&mut spending, 1_000_000 + 6 * HOUR + 300, "newer", 8);
    let spent = all(&spending);
    assert_eq!(names(&spent)[..2], [("newer", 8), (OTHER, 8)]);
    assert!(!spent.iter().any(|(name, _)| name == "caller-00"));
    let mut cells = Vec::new();
    spending.take_changes(&id(), &mut cells);
    let again = restored(&cells.into_iter().map(|cell| (cell.key(), cell)).collect());
    assert_eq!(all(&again), spent, "it is not stored any more");
}

#[test]
fn a_clock_that_steps_back_loses_nothing() {
    let mut spending = Spending::default();
    spend(&mut spending, 90_000, "a", 1);
    spend(&mut spending, 100_000, "a", 2);
    spending.rewind(at(95_000));
    assert_eq!(names(&spent(&spending, 95_000, 10)), [("a", 2)]);
    assert_eq!(names(&spent(&spending, 95_000, 6 * HOUR)), [("a", 3)]);
}

#[test]
fn what_no_window_reaches_is_forgotten() {
    let mut spending = Spending::default();
    spend(&mut spending, 1_000_000, "a", 1);
    spending.forget_idle(&id(), at(1_000_000 + 89 * 24 * HOUR));
    assert!(!spending.is_empty());
    let mut stored = BTreeMap::new();
    store(&mut spending, &mut stored);
    assert_eq!(stored.len(), 2);
    spending.forget_idle(&id(), at(1_000_000 + 91 * 24 * HOUR));
    assert!(spending.is_empty());
    store(&mut spending, &mut stored);
    assert_eq!(stored, BTreeMap::new());
}

#[test]
fn what_a_store_of_before_has_of_each_gives_way_to_what_is_of_all() {
    let mut spending = Spending::default();
    for hour in 0..3 {
        spend(&mut spending, 1_000_000 + hour * HOUR, "a", 1);
        spend(&mut spending, 1_000_000 + hour * HOUR, "b", 2);
    }
    let mut stored = BTreeMap::new();
    store(&mut spending, &mut stored);
    take_apart(&mut stored);
    let entries = |stored: &BTreeMap<String, Cell>| {
        let apart = stored.keys().filter(|key| key.starts_with("spent"));
        let apart = apart.count();
        (apart, stored.len() - apart)
    };
    assert_eq!(entries(&stored), (8, 0));
    let mut spending = restored(&stored);
    spend(&mut spending, 1_000_000 + 2 * HOUR, "c", 3);
    store(&mut spending, &mut stored);
    assert_eq!(entries(&stored), (4, 2));
    let mut spending = restored(&stored);
    let all = [("b", 6), ("a", 3), ("c", 3)];
    let now = 1_000_000 + 2 * HOUR;
    assert_eq!(names(&spent(&spending, now, 5 * HOUR)), all);
    assert_eq!(names(&spent(&spending, now, 24 * HOUR)), all);
    // What no window reaches any more goes by itself.
    spending.forget_idle(&id(), at(now + 24 * HOUR));
    store(&mut spending, &mut stored);
    assert_eq!(entries(&stored), (0, 2));
}

proptest! {
    /// Whatever is spent when, and however often the process restarts: windows beyond five minutes
    /// hold exactly the cells that they touch, also for names with line feeds, and where the store is one of before.
    #[test]
    fn spending_is_never_wrong(
        events in prop::collection::vec((0u64..40_000, 0u64..3, 0u64..9, 0u8..5), 0..60),
        length in 301u64..6 * HOUR,
        apart in any::<bool>(),
    ) {
        let callers = ["a", "a\nMinutes\n3", "b"];
        let mut now = 10_000_000;
        let mut spending = Spending::default();
        let mut stored: BTreeMap<String, Cell> = BTreeMap::new();
        let mut truth: Vec<(u64, &str, u64)> = Vec::new();
        for (wait, caller, bad, restart) in events {
            now += wait;
            let caller = callers[usize::try_from(caller).unwrap()];
            spend(&mut spending, now, caller, bad);
            truth.push((now, caller, bad));
            if restart == 0 {
                store(&mut spending, &mut stored);
                if apart {
                    take_apart(&mut stored);
                }
                spending = restored(&stored);
            }
        }
        let first = (now - length) / 300;
        let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
        for (second, caller, bad) in truth {
            if first <= second / 300 && bad != 0 {
                *expected.entry(caller).or_default() += bad;
            }
        }
        let read = spent(&spending, now, length);
        let read: BTreeMap<&str, u64> = names(&read).into_iter().collect();
        prop_assert_eq!(read, expected);
    }
}
