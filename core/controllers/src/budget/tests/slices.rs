use std::collections::BTreeMap;

use super::*;

const MINUTE: u64 = 60;

/// Slices of five minutes, good with 90 % of their requests.
fn whole() -> Slices {
    Slices::new(Slicing::whole(seconds(5 * MINUTE), 0.9).unwrap())
}

/// Counts `seen` (second, total, bad), each in the second before, with the clock at it.
fn see(slices: &mut Slices, seen: &[(u64, u64, u64)]) {
    for &(second, total, bad) in seen {
        slices.close(at(second));
        slices.add(at(second - 1), at(second), counts(total, bad));
    }
}

/// (slices, good ones) that ended in the last `length` seconds.
fn ended(slices: &Slices, now: u64, length: u64) -> (u64, u64) {
    let sum = slices.since(at(now), at(now - length));
    (sum.total, sum.good)
}

#[test]
fn a_slice_counts_when_it_is_over() {
    let mut slices = whole();
    see(&mut slices, &[(3_010, 10, 1), (3_290, 10, 5)]);
    assert_eq!(ended(&slices, 3_299, 3_000), (0, 0), "nobody knows yet");
    slices.close(at(3_300));
    assert_eq!(ended(&slices, 3_300, 3_000), (1, 0), "6 of 20 were bad");
    see(&mut slices, &[(3_310, 10, 1)]);
    slices.close(at(3_600));
    assert_eq!(ended(&slices, 3_600, 3_000), (2, 1), "exactly 90 % is good");
    assert_eq!(
        ended(&slices, 3_600, 299),
        (1, 1),
        "the first one ended before"
    );
}

#[test]
fn a_slice_without_requests_is_left_out() {
    let mut slices = whole();
    see(&mut slices, &[(3_010, 10, 0), (30_010, 0, 0)]);
    slices.close(at(36_000));
    assert_eq!(ended(&slices, 36_000, 36_000), (1, 1));
}

#[test]
fn a_late_report_changes_what_became_of_a_slice() {
    let mut slices = whole();
    see(&mut slices, &[(3_010, 10, 0)]);
    slices.close(at(10_000));
    assert_eq!(ended(&slices, 10_000, 8_000), (1, 1));
    assert_eq!(slices.add(at(3_019), at(3_020), counts(10, 10)), 0);
    assert_eq!(ended(&slices, 10_000, 8_000), (1, 0));
    assert_eq!(slices.add(at(3_019), at(3_020), counts(180, 0)), 0);
    assert_eq!(ended(&slices, 10_000, 8_000), (1, 1), "10 of 200");
}

#[test]
fn what_comes_after_six_hours_is_too_late_and_said_so() {
    let mut slices = whole();
    see(&mut slices, &[(100_000, 10, 0)]);
    let begin = 100_000 / 300 * 300;
    let oldest = begin - 6 * 3_600;
    assert_eq!(slices.add(at(oldest), at(oldest + 1), counts(7, 7)), 0);
    assert_eq!(slices.add(at(oldest - 1), at(oldest), counts(7, 7)), 7);
    assert_eq!(slices.add(at(0), at(100_000), counts(100_000, 0)), oldest);
}

#[test]
fn a_report_that_spans_slices_is_split_by_time() {
    let mut slices = whole();
    slices.close(at(3_400));
    slices.add(at(3_200), at(3_400), counts(200, 20));
    assert_eq!(slices.counts(10), counts(100, 10));
    assert_eq!(slices.counts(11), counts(100, 10));
    slices.add(at(3_299), at(3_300), counts(5, 0));
    assert_eq!(slices.counts(10), counts(105, 10), "up to its very end");
}

#[test]
fn shares_of_slices_add_up() {
    let mut slices = Slices::new(Slicing::ratio(seconds(MINUTE)).unwrap());
    see(
        &mut slices,
        &[(3_010, 10, 1), (3_070, 1_000, 1_000), (3_130, 3, 0)],
    );
    slices.close(at(3_180));
    let sum = slices.since(at(3_180), at(3_000));
    let slice = u64::from(Slicing::WHOLE);
    assert_eq!((sum.total, sum.good), (3 * slice, slice * 19 / 10));
}

#[test]
fn a_clock_that_steps_back_opens_slices_again() {
    let mut slices = whole();
    see(
        &mut slices,
        &[(3_010, 10, 0), (3_310, 10, 10), (9_010, 20, 2)],
    );
    slices.close(at(9_300));
    assert_eq!(ended(&slices, 9_300, 9_000), (3, 2));
    slices.rewind(at(3_400));
    assert_eq!(
        ended(&slices, 3_400, 3_000),
        (1, 1),
        "the second is open again"
    );
    assert_eq!(slices.counts(11), counts(30, 12), "nothing is lost");
    slices.close(at(3_600));
    assert_eq!(ended(&slices, 3_600, 3_000), (2, 1));
}

#[test]
fn what_makes_no_sense_is_turned_down() {
    for (length, target) in [
        (59, 0.9),
        (91 * 86_400, 0.9),
        (60, 0.0),
        (60, 1.1),
        (60, f64::NAN),
    ] {
        assert!(
            Slicing::whole(seconds(length), target).is_err(),
            "{length} {target}"
        );
    }
    assert!(Slicing::whole(seconds(60), 1.0).is_ok());
    let text = serde_json::to_string(&Slicing::whole(seconds(60), 0.95).unwrap()).unwrap();
    assert_eq!(text, r#"{"minutes":1,"target":950000000}"#);
    assert!(serde_json::from_str::<Slicing>(r#"{"minutes":0}"#).is_err());
}

/// Slices made from what others stored under their keys.
fn restored(stored: &BTreeMap<String, Cell>, slicing: Slicing) -> Slices {
    let mut slices = Slices::new(slicing);
    let mut cells: Vec<&Cell> = stored.values().collect();
    cells.sort_by_key(|cell| cell.start());
    for cell in cells {
        match cell.clone() {
            Cell::Slices {
                resolution,
                start,
                sum,
                ..
            } => slices.restore_sum(resolution, start, sum),
            Cell::Slice {
                start,
                counts,
                is_over,
                ..
            } => slices.restore(start, counts, is_over),
            Cell::Budget { .. }
            | Cell::Beginning { .. }
            | Cell::Spending { .. }
            | Cell::Spent { .. }
            | Cell::Scope(_)
            | Cell::Alert { .. }
            | Cell::Withdrawn { .. } => {}
        }
    }
    slices
}

proptest! {
    /// Whatever comes when and however often the process restarts: a window of up to six
    /// hours holds exactly the slices that ended in it, each judged by all that was counted in it.
    #[test]
    fn slices_are_never_wrong(
        events in prop::collection::vec(event(), 0..60),
        minutes in 1u64..90,
        is_ratio: bool,
    ) {
        let length = seconds(minutes * MINUTE);
        let slicing = if is_ratio {
            Slicing::ratio(length).unwrap()
        } else {
            Slicing::whole(length, 0.9).unwrap()
        };
        let mut now = 1_000_000;
        let mut slices = Slices::new(slicing);
        let mut stored = BTreeMap::new();
        let mut truth: BTreeMap<u64, Counts> = BTreeMap::new();
        for event in events {
            match event {
                Event::Wait(wait) => now += wait,
                Event::Count { late, total, bad } => {
                    slices.close(at(now));
                    let end = now - late;
                    prop_assert_eq!(slices.add(at(end - 1), at(end), counts(total, bad)), 0);
                    let slice = truth.entry((end - 1) / length.as_secs()).or_default();
                    *slice = slice.plus(counts(total, bad));
                }
                Event::Restart => {
                    let mut cells = Vec::new();
                    slices.take_changes(&id(), &mut cells);
                    stored.extend(cells.into_iter().map(|cell| (cell.key(), cell)));
                    slices = restored(&stored, slicing);
                }
            }
        }
        slices.close(at(now));
        let window = 6 * 3_600;
        let expected = truth
            .iter()
            .filter(|(number, _)| {
                let end = (**number + 1) * length.as_secs();
                // A window begins with the minute that it begins in.
                (now - window) / MINUTE * MINUTE < end && end <= now
            })
            .fold(Counts::default(), |sum, (_, seen)| sum.plus(slicing.score(*seen)));
        prop_assert_eq!(slices.since(at(now), at(now - window)), expected);
    }
}
