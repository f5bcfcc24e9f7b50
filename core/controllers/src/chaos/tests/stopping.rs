//! What an experiment stopped for stays, whatever comes in while faults end.

use super::*;

/// Of several hypotheses a secondary one is found broken by e-BH, which is right at the moment at which one stops.
#[test]
fn what_was_found_broken_stays_so_when_the_last_requests_are_good() {
    let hypothesis = json!([{"slo": "orders"}, {"slo": "answers"}]);
    let body = with(json!({"hypothesis": hypothesis, "abort": {"burning": null}}));
    let mut lab = Lab::of(&[body]).with_slo("answers").begun();
    while lab.injects() {
        lab.second((10, 6), (10, 0));
    }
    let stopped = lab.status();
    assert_eq!(stopped.phase, ExperimentPhase::Draining);
    assert_eq!(stopped.because, "faults end: a hypothesis is surely broken");
    // What was under way ends well in both arms: by itself that would be too little to be found.
    for _ in 0..2 {
        lab.with_arms("aborts.1", (20, 0), (20, 0));
    }
    while lab.status().phase != ExperimentPhase::Over {
        lab.second((0, 0), (0, 0));
    }
    let status = lab.status();
    assert_eq!(status.verdict, Some(Broken), "{}", status.because);
    let words = "more of SLO answers bad";
    assert!(status.because.contains(words), "{}", status.because);
    let verdicts: Vec<_> = status.comparisons.iter().map(|one| one.verdict).collect();
    assert_eq!(verdicts, [None, Some(Broken)]);
}

/// The primary hypothesis is one of one, and what it once showed is enough (Ville).
#[test]
fn what_broke_the_primary_hypothesis_stays_so_too() {
    let mut lab = lab();
    while lab.injects() {
        lab.second((10, 6), (10, 0));
    }
    for _ in 0..2 {
        lab.with_arms("aborts.1", (20, 0), (20, 0));
    }
    for _ in 0..4 {
        lab.second((0, 0), (0, 0));
    }
    let status = lab.status();
    assert_eq!(status.verdict, Some(Broken), "{}", status.because);
}
