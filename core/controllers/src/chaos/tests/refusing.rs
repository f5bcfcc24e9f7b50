//! What keeps a run from beginning, and what it suggests when it is over.

use super::*;

/// What keeps `lab` from beginning, after a minute and a half.
pub(super) fn refused_for(mut lab: Lab) -> String {
    for _ in 0..95 {
        lab.second((0, 0), (0, 0));
        assert!(!lab.injects());
    }
    let status = lab.status();
    assert_eq!(status.verdict, Some(Inconclusive));
    status.because
}

#[test]
fn it_does_not_begin_when_its_objective_is_not_met_or_burns() {
    let mut lab = Lab::of(&[experiment()]);
    lab.failing = 40;
    let because = refused_for(lab);
    assert!(because.contains("is not met"), "{because}");

    // Less than a tenth, but all of a sudden.
    let mut lab = Lab::of(&[with(json!({"schedule": {"at": [at(600)]}}))]);
    for _ in 0..590 {
        lab.second((0, 0), (0, 0));
    }
    lab.failing = 79;
    for _ in 0..75 {
        lab.second((0, 0), (0, 0));
        assert!(!lab.injects());
    }
    let because = lab.status().because;
    let words = ["burns", "is not met"];
    assert!(
        words.iter().any(|words| because.contains(words)),
        "{because}"
    );
}

#[test]
fn it_does_not_begin_when_it_may_not_spend_even_one_request() {
    // A tenth of 80 requests a second for half a minute to a minute and a half may be bad: 240 to 720.
    let because = refused_for(Lab::of(&[with(json!({"budget": 10}))]));
    assert!(because.contains("it may spend 0.1 % of the"), "{because}");
    assert!(because.ends_with("which is not even one"), "{because}");
}

#[test]
fn it_does_not_begin_while_another_runs() {
    let first = with(json!({"ends": "at_its_time"}));
    let second = with(json!({"name": "delays", "schedule": {"at": [at(40)]}}));
    let mut lab = Lab::of(&[first, second]).begun();
    while lab.second < 105 {
        lab.second((10, 0), (10, 0));
        assert!(lab.injects());
    }
    let because = lab.status().because;
    let words = "it did not begin: the experiment aborts runs, and two would spoil each other";
    assert_eq!(because, words);
}

#[test]
fn it_says_before_it_begins_what_it_takes() {
    let lab = lab();
    let status = lab.status();
    let plan = status.plan.unwrap();
    assert!((plan.rate - 80.0).abs() < 5.0, "{plan:?}");
    let (hold, broken) = (plan.needed_to_hold.unwrap(), plan.needed_to_break.unwrap());
    let expected = plan.expected_s.unwrap();
    // A tenth of the requests is in the arm of the fault.
    assert!(
        hold.max(broken) / 8.0 <= expected && expected < 120.0,
        "{plan:?}"
    );
    let told = &status.events[0].what;
    let words = format!("faults begin; decided in about {expected:.0} s at");
    assert!(told.starts_with(&words), "{told}");
}

#[test]
fn it_suggests_what_shadow_decisions_show_and_nothing_else() {
    let mut lab = lab();
    lab.shadow = (5, 1);
    let (lasted, _) = lab.ends((10, 6), (10, 0));
    let seconds = lasted + 4;
    let expected = format!(
        "the breaker on checkout order (server) is in shadow mode; it would have refused {} requests, {} of which were bad all the same",
        5 * seconds,
        4 * seconds
    );
    assert_eq!(lab.status().suggestions, [expected]);
    let mut lab = super::lab();
    // It would have refused more good ones than bad ones.
    lab.shadow = (5, 3);
    lab.ends((10, 6), (10, 0));
    assert_eq!(lab.status().suggestions, [""; 0]);
}
