use std::collections::BTreeMap;

use super::*;

/// When it begins: the start of an hour.
const HOUR: u64 = 3_600 * 400_000;

/// What is in the store.
type Stored = BTreeMap<String, Cell>;

/// Stores what changed. Returns how many cells of each resolution that were.
fn store(series: &mut Series, stored: &mut Stored) -> [usize; 4] {
    let mut counted = [0; 4];
    for cell in changes(series) {
        if let Cell::Budget { resolution, .. } = cell {
            counted[resolution as usize] += 1;
        }
        stored.insert(cell.key(), cell);
    }
    counted
}

/// A report of what was counted between two moments, in milliseconds.
fn report(series: &mut Series, (from, to): (u64, u64), counts: Counts) {
    let [from, to] = [from, to].map(WallTime::from_millis);
    series.mark_known(from, to);
    series.add(from, to, counts);
}

#[test]
fn a_second_stores_one_cell_and_what_is_over_once() {
    let (mut series, mut stored) = (Series::default(), Stored::new());
    let mut written = [0; 4];
    for second in HOUR + 1..HOUR + 3_700 {
        let (from, to) = (at(second - 1), at(second));
        report(
            &mut series,
            (from.as_millis(), to.as_millis()),
            counts(9, 1),
        );
        let more = store(&mut series, &mut stored);
        for (sum, more) in written.iter_mut().zip(more) {
            *sum += more;
        }
    }
    assert_eq!(written, [3_699, 61, 1, 0]);
    let again = restored(stored.values().cloned());
    for length in [60, 6 * 3_600, 30 * 86_400, 365 * 86_400] {
        let now = HOUR + 3_699;
        let of = |series: &Series| series.since(at(now), at(now - length));
        assert_eq!(of(&again), of(&series), "{length} s");
    }
}

#[test]
fn a_minute_that_its_seconds_do_not_tell_is_stored_whenever_it_changes() {
    let (mut series, mut stored) = (Series::default(), Stored::new());
    let start = 1_000 * HOUR;
    report(&mut series, (start - 3_500, start + 1_500), counts(100, 10));
    // In both the seconds before the end are known.
    assert_eq!(store(&mut series, &mut stored)[1..], [2, 1, 0]);
    report(&mut series, (start + 1_500, start + 2_500), counts(7, 1));
    assert_eq!(store(&mut series, &mut stored)[..2], [1, 1]);
    let again = restored(stored.values().cloned());
    let of = |series: &Series| series.minutes().collect::<Vec<_>>();
    assert_eq!(of(&again), of(&series));
}

/// What is known of the last 399 days, and of as many without the last `days`.
fn of_days(series: &Series, now_ms: u64, days: u64) -> [Option<Counts>; 2] {
    let day_ms = Resolution::Day.cell_ms();
    [0, days].map(|back| {
        let now = WallTime::from_millis(now_ms - back * day_ms);
        let start = WallTime::from_millis(now.as_millis() - 399 * day_ms);
        Some(series.since(now, start)?.counts)
    })
}

#[test]
fn a_report_over_midnight_is_counted_once_after_a_restart() {
    let (mut series, mut stored) = (Series::default(), Stored::new());
    let day_ms = Resolution::Day.cell_ms();
    let midnight = HOUR * 1_000 / day_ms * day_ms;
    let hours = |hours: u64| hours * 3_600_000;
    report(
        &mut series,
        (midnight - hours(2), midnight + hours(2)),
        counts(1_000, 40),
    );
    let now = midnight + hours(3);
    let before = of_days(&series, now, 1);
    // Of four hours one ends before midnight.
    assert_eq!(before, [Some(counts(1_000, 40)), Some(counts(250, 10))]);
    store(&mut series, &mut stored);
    let again = restored(stored.values().cloned());
    assert_eq!(of_days(&again, now, 1), before);
}

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Report { late: u64, length: u64, total: u64 },
    StepBack(u64),
    Restart,
}

#[test]
fn what_the_clock_took_back_over_an_hour_is_there_after_a_restart() {
    let (mut series, mut stored) = (Series::default(), Stored::new());
    let hour = 1_000 * (HOUR + 3_600);
    report(&mut series, (hour + 31_000, hour + 31_500), counts(1, 0));
    store(&mut series, &mut stored);
    let now = WallTime::from_millis(hour - 1);
    series.rewind(now);
    store(&mut series, &mut stored);
    let mut again = restored(stored.values().cloned());
    again.rewind(now);
    let day = WallTime::from_millis(now.as_millis() - 86_400_000);
    assert_eq!(again.since(now, day), series.since(now, day));
    assert!(again.since(now, day).is_some());
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0u64..40_000).prop_map(Event::Wait),
        1 => (0u64..4_000_000).prop_map(Event::Wait),
        6 => (0u64..90_000, 500u64..70_000, 0u64..50)
            .prop_map(|(late, length, total)| Event::Report { late, length, total }),
        1 => (5_000u64..90_000).prop_map(Event::StepBack),
        3 => Just(Event::Restart),
    ]
}

proptest! {
    /// However long the time is that a report is about, and wherever the process ends: days add up to what was counted.
    #[test]
    fn days_are_the_same_after_a_restart(
        reports in prop::collection::vec((0u64..40, 0u64..30, 1u64..200, any::<bool>()), 0..30)
    ) {
        const HOUR_MS: u64 = 3_600_000;
        let mut now = 1_000 * HOUR;
        let (mut goes_on, mut ends) = (Series::default(), Series::default());
        let (mut stored, mut all) = (Stored::new(), 0);
        for (wait, length, total, ends_here) in reports {
            now += wait * HOUR_MS + 1_000;
            all += total;
            for series in [&mut goes_on, &mut ends] {
                report(series, (now - length * HOUR_MS - 1_000, now), counts(total, total / 3));
            }
            store(&mut ends, &mut stored);
            if ends_here {
                ends = restored(stored.values().cloned());
            }
            let of_all = of_days(&ends, now, 0);
            prop_assert_eq!(of_all[0].map(|counts| counts.total), Some(all));
            for days in 0..60 {
                prop_assert_eq!(of_days(&ends, now, days), of_days(&goes_on, now, days), "{} days", days);
            }
        }
    }

    /// Whatever comes when, and wherever between two commits the process ends: it knows what one knows that went on. Of seconds
    /// as far as five minutes before the latest that ever was.
    #[test]
    fn a_restart_changes_nothing(events in prop::collection::vec(event(), 0..50)) {
        let mut now = 1_000 * HOUR;
        let mut latest = now;
        let (mut goes_on, mut ends) = (Series::default(), Series::default());
        let mut stored = Stored::new();
        for event in events {
            let reached_ms = 295_000_u64.saturating_sub(latest - now);
            match event {
                Event::Wait(wait) => {
                    now += wait;
                    latest = latest.max(now);
                }
                Event::Report { late, length, .. } if reached_ms < late + length => {}
                Event::Report { late, length, total } => {
                    let to = now - late;
                    for series in [&mut goes_on, &mut ends] {
                        report(series, (to - length, to), counts(total, total / 3));
                    }
                    store(&mut ends, &mut stored);
                }
                Event::StepBack(by) => {
                    now -= by;
                    for series in [&mut goes_on, &mut ends] {
                        series.rewind(WallTime::from_millis(now));
                    }
                    store(&mut ends, &mut stored);
                }
                Event::Restart => {
                    ends = restored(stored.values().cloned());
                    // As its first step does where cells of later moments are stored.
                    ends.rewind(WallTime::from_millis(now));
                }
            }
            let reached = 295_u64.saturating_sub((latest - now) / 1_000);
            let is_told = |length: &u64| 300 < *length || *length < reached;
            let lengths = [0, 5, 60, 250, 400, 3_600, 18_000, 86_400, 30 * 86_400];
            for length in lengths.into_iter().filter(is_told) {
                let start = WallTime::from_millis(now - 1_000 * length);
                let of = |series: &Series| series.since(WallTime::from_millis(now), start);
                prop_assert_eq!(of(&ends), of(&goes_on), "{} s", length);
            }
        }
    }
}
