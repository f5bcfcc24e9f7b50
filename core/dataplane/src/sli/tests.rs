//! Counts are counts.

use super::*;
use sloop_model::{Flags, OwnVerdict, SloName};

fn objective(slo: &str, within_us: Option<u64>) -> Objective {
    Objective {
        id: ObjectiveId {
            slo: SloName::try_from(slo).unwrap(),
            index: 0,
        },
        total: None,
        good: None,
        bad: None,
        within_us,
        guards: None,
        only: None,
    }
}

fn ended(status: u16) -> Ended {
    Ended {
        verdict: OwnVerdict::Passed,
        status: Some(status),
        flags: Flags::default(),
        grpc: None,
    }
}

const MILLI: u64 = 1_000;

fn add(counts: &mut Counts, objectives: &[Objective], status: u16, latency_us: u64) -> Judged {
    counts.add(Request {
        objectives,
        about: About::all(objectives),
        ended: &ended(status),
        latency_us,
        place: Place::Cells(Cells::default()),
        is_in_force: false,
    })
}

#[test]
fn of_what_no_objective_counts_the_outcome_says_what_it_is() {
    let json = r#"{"id": {"slo": "a", "index": 0}, "total": {"status": [[200, 299]]}}"#;
    let successes: Objective = serde_json::from_str(json).unwrap();
    let json = r#"{"id": {"slo": "b", "index": 0}, "bad": {"status": [[504, 504]]}}"#;
    let lenient: Objective = serde_json::from_str(json).unwrap();
    let up = objective("up", None);
    let mut counts = Counts::default();
    let mut is = |objectives: &[&Objective], status| {
        let objectives: Vec<_> = objectives.iter().copied().cloned().collect();
        let judged = add(&mut counts, &objectives, status, 1);
        (judged.is_good, judged.is_bad)
    };
    let (good, bad) = ((true, false), (false, true));
    assert_eq!(is(&[&successes], 200), good);
    assert_eq!(is(&[&successes], 503), bad);
    assert_eq!(
        is(&[&successes], 404),
        good,
        "served, though none counts it"
    );
    assert_eq!(is(&[&lenient], 503), good, "one calls it good");
    assert_eq!(is(&[&successes, &lenient], 503), good);
    assert_eq!(is(&[&lenient, &up], 503), bad, "another calls it bad");
    let left = Ended {
        flags: Flags::CANCELLED,
        ..ended(200)
    };
    let left = counts.add(Request {
        objectives: core::slice::from_ref(&successes),
        about: About::default(),
        ended: &left,
        latency_us: 1,
        place: Place::Cells(Cells::default()),
        is_in_force: false,
    });
    assert!(!left.is_good && !left.is_bad, "who left says nothing");
}

fn totals(deltas: &[ObjectiveDelta]) -> Vec<(&str, u64, u64)> {
    deltas
        .iter()
        .map(|delta| (delta.id.slo.as_str(), delta.total, delta.good))
        .collect()
}

#[test]
fn every_objective_is_judged_by_itself() {
    let both = [objective("up", None), objective("fast", Some(1_000))];
    let mut counts = Counts::default();
    counts.adopt(&both);
    assert!(add(&mut counts, &both, 200, MILLI).is_good);
    assert!(!add(&mut counts, &both, 200, MILLI * 2).is_good);
    assert!(!add(&mut counts, &both, 500, MILLI).is_good);
    assert_eq!(counts.requests, 3);
    assert_eq!(counts.outcomes[Outcome::Success.index()], 2);
    let taken = counts.take(2).objectives;
    assert_eq!(totals(&taken), [("fast", 3, 1), ("up", 3, 2)]);
    assert_eq!(totals(&counts.take(2).objectives), []);
}

#[test]
fn what_began_under_an_old_configuration_counts_for_the_old_objective() {
    let old = [objective("old", None)];
    let new = [objective("new", None), objective("other", None)];
    let mut counts = Counts::default();
    counts.adopt(&old);
    add(&mut counts, &old, 200, MILLI);
    counts.adopt(&new);
    add(&mut counts, &old, 500, MILLI);
    add(&mut counts, &new, 200, MILLI);
    let taken = counts.take(2).objectives;
    assert_eq!(
        totals(&taken),
        [("new", 1, 1), ("old", 2, 1), ("other", 1, 1)]
    );
}

#[test]
fn objectives_that_went_do_not_pile_up() {
    let mut counts = Counts::default();
    for number in 0..1_000 {
        let one = [objective(&format!("slo-{number}"), None)];
        add(&mut counts, &one, 200, MILLI);
    }
    assert_eq!(counts.objectives.len(), Counts::LEFT_MAX);
    assert_eq!(counts.requests, 1_000);
}

#[test]
fn without_objectives_served_is_good() {
    let mut counts = Counts::default();
    assert!(add(&mut counts, &[], 404, MILLI).is_good);
    assert!(!add(&mut counts, &[], 503, MILLI).is_good);
}
