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
fn a_failure_that_no_objective_counts_is_not_good() {
    let json = r#"{"id": {"slo": "a", "index": 0}, "total": {"status": [[200, 299]]}}"#;
    let successes: Objective = serde_json::from_str(json).unwrap();
    let up = objective("up", None);
    let mut counts = Counts::default();
    let mut is_good =
        |objectives: &[Objective], status| add(&mut counts, objectives, status, 1).is_good;
    assert!(is_good(core::slice::from_ref(&successes), 200));
    assert!(!is_good(core::slice::from_ref(&successes), 503));
    assert!(
        is_good(core::slice::from_ref(&successes), 404),
        "served, though none counts it"
    );
    let json = r#"{"id": {"slo": "b", "index": 0}, "bad": {"status": [[504, 504]]}}"#;
    let lenient: Objective = serde_json::from_str(json).unwrap();
    assert!(
        is_good(core::slice::from_ref(&lenient), 503),
        "one calls it good"
    );
    assert!(is_good(&[successes, lenient.clone()], 503));
    assert!(!is_good(&[lenient, up], 503), "another calls it bad");
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
