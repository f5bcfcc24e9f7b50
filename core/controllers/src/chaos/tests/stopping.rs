//! What an experiment stops for, and that it stays, whatever comes in while faults end.

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

fn put(lab: &mut Lab, changes: serde_json::Value) {
    let id = IntentId("ChaosExperiment/aborts".to_owned());
    let body = with(changes).to_string();
    lab.controllers.put(&id, "chaos", &body).unwrap();
}

#[test]
fn a_run_ends_when_its_document_is_changed_and_is_told_as_what_it_was() {
    let fault = |share: u16, status: u16| json!({"id": "x", "share": share, "abort_status": status, "expires_at_ms": 0});
    for (changes, field) in [
        (
            json!({"faults": [fault(1_000, 503), fault(1_000, 500)]}),
            "faults",
        ),
        (json!({"faults": [fault(500, 503)]}), "faults"),
        (
            json!({"hypothesis": [{"slo": "orders", "tolerance": 9_000}]}),
            "hypothesis",
        ),
        (
            json!({"targets": [{"service": "search", "route": "any", "side": "server"}]}),
            "targets",
        ),
        (json!({"choose": 1}), "choose"),
        (json!({"control": 2_000}), "control"),
        (json!({"lasting_ms": 60_000}), "lasting_ms"),
        (json!({"budget": 10_000}), "budget"),
        (json!({"abort": {"burning": null}}), "abort"),
        (json!({"ends": "at_its_time"}), "ends"),
        (json!({"seed": 8}), "seed"),
    ] {
        let mut lab = lab();
        lab.second((10, 0), (10, 0));
        put(&mut lab, changes);
        lab.second((10, 6), (10, 0));
        assert!(!lab.injects(), "{field}");
        let status = lab.status();
        let because = format!("faults end: {field} of it was changed");
        assert_eq!(
            (status.phase, status.because),
            (ExperimentPhase::Draining, because)
        );
        assert_eq!(
            (status.budgets[0].spent, status.seed, status.lasting_ms),
            (6, 7, 120_000)
        );
        assert_eq!(
            (status.faults.len(), status.faults[0].met),
            (1, 20),
            "{field}"
        );
        let (_, verdict) = lab.ends((0, 0), (0, 0));
        assert_eq!(verdict, Some(Inconclusive));
    }
}

#[test]
fn a_run_goes_on_when_only_the_moments_of_others_change() {
    let mut lab = lab();
    for changes in [
        json!({"schedule": {"at": [at(30), at(500)]}}),
        json!({"schedule": "asked", "asked_at": at(30)}),
    ] {
        put(&mut lab, changes);
        lab.second((10, 1), (10, 1));
        assert!(lab.injects(), "{}", lab.status().because);
    }
}

/// What two faults drew is in no arm, and met one of them all the same.
#[test]
fn of_two_faults_what_both_drew_is_taken_to_be_as_bad() {
    let fault = |status: u16| json!({"id": "x", "share": 2_500, "abort_status": status, "expires_at_ms": 0});
    let body = with(json!({"faults": [fault(503), fault(500)], "lasting_ms": 600_000}));
    let mut lab = Lab::of(&[body]).begun();
    lab.second((10, 6), (10, 0));
    let status = lab.status();
    assert_eq!(status.comparisons[0].faulted.bad(), 6);
    assert_eq!(status.budgets[0].spent, 8);
}

#[test]
fn a_run_ends_when_reports_on_its_arms_cannot_be_kept() {
    let mut lab = lab();
    let large = ScopeCounts {
        arms: vec![ArmCounts {
            experiment: ExperimentKey::of("aborts.1"),
            arm: Arm::Fault,
            requests: 1,
            outcomes: [0; Outcome::ALL.len()],
            objectives: objective(1, 1),
            latency: vec![(1, 1); 8_192],
            retries: 0,
            callers: Vec::new(),
        }],
        ..ScopeCounts::nothing(scope("checkout", "order"))
    };
    // 64 MiB.
    let fit = (64 << 20) / (8_192 * 16);
    for _ in 0..fit {
        lab.observe(large.clone());
    }
    lab.second((10, 0), (10, 0));
    assert!(!lab.injects());
    let because = lab.status().because;
    assert!(
        because.contains("reports on its arms could not be kept"),
        "{because}"
    );
}

#[test]
fn who_has_no_part_in_it_says_nothing_about_its_arms() {
    let mut lab = lab();
    let arms = |bad| {
        vec![ArmCounts {
            experiment: ExperimentKey::of("aborts.1"),
            arm: Arm::Fault,
            requests: 1_000,
            outcomes: [0; Outcome::ALL.len()],
            objectives: objective(1_000, bad),
            latency: Vec::new(),
            retries: 0,
            callers: Vec::new(),
        }]
    };
    lab.second((10, 0), (10, 0));
    for (service, bad) in [("cart", 0), ("cart", 1_000), ("payments", 1_000)] {
        lab.observe(ScopeCounts {
            arms: arms(bad),
            ..ScopeCounts::nothing(scope(service, "charge"))
        });
    }
    lab.second((10, 0), (10, 0));
    assert!(lab.injects(), "{}", lab.status().because);
    let status = lab.status();
    assert_eq!(status.comparisons[0].faulted.total, 20);
    assert_eq!(status.budgets[0].spent, 0);
}
