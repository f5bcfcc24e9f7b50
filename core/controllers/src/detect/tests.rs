use proptest::prelude::*;
use sloop_model::{Share, Target};

use super::*;

const BEGIN: WallTime = WallTime::from_millis(1_700_000_000_000);

fn hypotheses(target: f64) -> Hypotheses {
    Hypotheses::of(Target::parse(target).unwrap()).unwrap()
}

fn counts(total: u64, bad: u64) -> Counts {
    Counts {
        total,
        good: total - bad,
    }
}

/// Plays what was seen at each look, 100 ms apart, and returns whether there is an alarm after each.
fn alarms(target: f64, looks: impl IntoIterator<Item = (u64, u64)>) -> Vec<bool> {
    let hypotheses = hypotheses(target);
    let mut detector = Detector::default();
    (1..)
        .zip(looks)
        .map(|(look, (total, bad))| {
            let now = BEGIN.after(Duration::from_millis(100 * look));
            detector.observe(&hypotheses, counts(total, bad), now);
            detector.alarm().is_some()
        })
        .collect()
}

/// Which look gave the first alarm, from 1.
fn first(target: f64, look: (u64, u64)) -> Option<usize> {
    let given = alarms(target, core::iter::repeat_n(look, 1_000));
    given.iter().position(|is| *is).map(|place| place + 1)
}

/// The worked example in the module's documentation.
#[test]
fn ten_percent_against_a_thousandth_take_sixty_requests() {
    let hypotheses = hypotheses(0.999);
    assert_eq!(hypotheses.needed(0.1), Some(61));
    for (share, most) in [(0.0144, 900), (0.05, 175), (0.5, 9), (1.0, 4)] {
        let needed = hypotheses.needed(share).unwrap();
        assert!(needed <= most, "{share}: {needed}");
    }
    assert_eq!(hypotheses.needed(0.001), None, "it is the budget");
}

#[test]
fn people_read_what_is_looked_for_and_that_nothing_is_where_slices_are_counted() {
    let target = Target::parse(0.999).unwrap();
    let status = detection_status(target, None).unwrap();
    let part = "from 0.1 % to 1.44 % bad or more is seen after 881 requests on average, and after 4 where all are bad";
    assert!(status.derivation.contains(part), "{}", status.derivation);
    let slicing = Slicing::ratio(Duration::from_secs(60)).unwrap();
    let sliced = detection_status(target, Some(slicing)).unwrap();
    assert_eq!(sliced.least, None);
    assert!(
        sliced.derivation.contains("windows alone"),
        "{}",
        sliced.derivation
    );
    assert_eq!(detection_status(Target::parse(0.0).unwrap(), None), None);
}

#[test]
fn an_alarm_takes_more_than_one_moment() {
    assert_eq!(first(0.999, (100, 10)), Some(3), "two tenths of a second");
    assert_eq!(first(0.999, (100, 100)), Some(3), "however bad it is");
    assert_eq!(first(0.999, (10, 1)), Some(7), "fewer requests take longer");
    assert_eq!(first(0.999, (100, 0)), None);
}

#[test]
fn targets_of_all_sizes_notice_an_outage_and_none_gives_an_alarm_within_its_budget() {
    for target in [0.5, 0.9, 0.93, 0.99, 0.999, 0.9999, 0.99999] {
        assert!(
            first(target, (50, 50)).is_some_and(|look| look < 10),
            "{target}"
        );
    }
    assert_eq!(first(0.5, (100, 50)), None);
    assert_eq!(first(0.9, (100, 10)), None);
    assert_eq!(Hypotheses::of(Target::parse(0.0).unwrap()), None);
}

#[test]
fn what_is_over_at_once_gives_no_alarm() {
    let burst = [(100, 0), (100, 60), (100, 20), (100, 0)];
    let quiet = core::iter::repeat_n((100, 0), 50);
    let given = alarms(0.999, burst.into_iter().chain(quiet));
    assert!(given.iter().all(|is| !is), "{given:?}");
}

#[test]
fn an_alarm_is_over_when_it_is_well_again_and_does_not_flicker() {
    let looks = [(100, 10); 5].into_iter().chain([(100, 0); 40]);
    let given = alarms(0.999, looks);
    let ups = given.windows(2).filter(|pair| !pair[0] && pair[1]).count();
    assert_eq!(ups, 1, "{given:?}");
    assert!(!given[44] && given[5], "{given:?}");
}

#[test]
fn the_moment_of_the_change_and_what_was_counted_since_are_known() {
    let hypotheses = hypotheses(0.999);
    let mut detector = Detector::default();
    for look in 1..=10 {
        let bad = if 7 < look { 10 } else { 0 };
        let now = BEGIN.after(Duration::from_millis(100 * look));
        detector.observe(&hypotheses, counts(100, bad), now);
    }
    let change = detector.alarm().unwrap();
    assert_eq!(change.at, BEGIN.after(Duration::from_millis(700)));
    assert_eq!(change.counts, counts(300, 30));
}

#[test]
fn silence_is_no_proof() {
    let hypotheses = hypotheses(0.999);
    let mut detector = Detector::default();
    let at = |millis| BEGIN.after(Duration::from_millis(millis));
    for look in 1..=5 {
        detector.observe(&hypotheses, counts(100, 50), at(100 * look));
    }
    detector.observe(&hypotheses, Counts::default(), at(30_000));
    assert!(detector.alarm().is_some(), "nobody said that it is over");
    detector.observe(&hypotheses, Counts::default(), at(30_501));
    assert!(detector.alarm().is_none(), "nobody knows any more");
    assert!(!detector.suspects());
}

#[test]
fn a_clock_that_steps_back_forgets_and_goes_on() {
    let hypotheses = hypotheses(0.999);
    let mut detector = Detector::default();
    let at = |millis| BEGIN.after(Duration::from_millis(millis));
    for look in 1..=5 {
        detector.observe(&hypotheses, counts(100, 50), at(100_000 + 100 * look));
    }
    detector.observe(&hypotheses, Counts::default(), at(0));
    assert!(detector.alarm().is_none());
    for look in 1..=5 {
        detector.observe(&hypotheses, counts(100, 50), at(100 * look));
    }
    assert!(detector.alarm().is_some());
}

#[test]
fn what_a_breaker_allows_is_tested_where_there_is_no_objective() {
    let level = Share::try_from(500).unwrap();
    let hypotheses = Hypotheses::below(level);
    let first = |bad: u64| {
        let mut detector = Detector::default();
        (1..100).find(|look| {
            let now = BEGIN.after(Duration::from_millis(100 * look));
            detector.observe(&hypotheses, counts(100, bad), now);
            detector.alarm().is_some()
        })
    };
    assert_eq!(first(10), Some(3));
    assert_eq!(first(1), None, "a fifth of the level");
}

proptest! {
    /// However much is counted at however many moments, sums stay in their bounds.
    #[test]
    fn nothing_overflows(looks in prop::collection::vec((0..u64::MAX / 2, 0..u64::MAX / 2, 0..500_u64), 0..40), target in 0.0..0.999_999_f64) {
        let hypotheses = Hypotheses::of(Target::parse(target).unwrap());
        let mut detector = Detector::default();
        let mut now = BEGIN;
        for (good, bad, wait) in looks {
            now = now.after(Duration::from_millis(wait));
            if let Some(hypotheses) = &hypotheses {
                detector.observe(hypotheses, Counts { total: good + bad, good }, now);
            }
            prop_assert!(detector.most().evidence <= THRESHOLD);
            prop_assert!(detector.rises.len() <= RISES_MAX);
        }
        let text = serde_json::to_string(&detector).unwrap();
        prop_assert_eq!(serde_json::from_str::<Detector>(&text).unwrap(), detector);
    }
}
