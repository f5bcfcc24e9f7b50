//! Little traffic, and reports that come seldom.

use core::time::Duration;

use super::*;

/// An experiment that a few requests decide, and that goes on to its time.
fn lenient(lasting_ms: u64) -> serde_json::Value {
    with(
        json!({"hypothesis": [{"slo": "orders", "tolerance": 5_000}], "budget": 10_000,
        "lasting_ms": lasting_ms, "ends": "at_its_time"}),
    )
}

#[test]
fn a_run_goes_on_with_one_request_in_its_arms_each_twelve_seconds() {
    let mut lab = Lab::of(&[lenient(3_600_000)]);
    while !lab.injects() {
        lab.others = u64::from(lab.second.is_multiple_of(3));
        lab.second((0, 0), (0, 0));
        assert!(lab.second < 90, "{}", lab.status().because);
    }
    for turn in 0..100 {
        for second in 1..12 {
            lab.others = u64::from(second % 3 == 0);
            lab.second((0, 0), (0, 0));
        }
        let is_faulted = turn % 2;
        lab.second((is_faulted, 0), (1 - is_faulted, 0));
        assert!(lab.injects(), "{}", lab.status().because);
    }
    let compared = lab.status().comparisons[0].clone();
    assert_eq!((compared.faulted.total, compared.control.total), (50, 50));

    // With nobody who reports it ends soon all the same.
    for _ in 0..10 {
        lab.silent();
    }
    assert!(!lab.injects());
    let told = lab.status().events[1].what.clone();
    assert!(told.contains("nobody reported on"), "{told}");
}

#[test]
fn a_run_goes_on_while_sidecars_say_that_nobody_asks() {
    let mut lab = Lab::of(&[lenient(3_600_000)]).begun();
    lab.second((10, 0), (10, 0));
    lab.others = 0;
    for _ in 0..300 {
        lab.second((0, 0), (0, 0));
        assert!(lab.injects(), "{}", lab.status().because);
    }
}

/// One request a second, a fifth of which are expected in arms.
#[test]
fn a_run_ends_when_there_is_traffic_and_nothing_is_in_its_arms() {
    let mut lab = Lab::of(&[lenient(3_600_000)]).begun();
    lab.second((10, 0), (10, 0));
    lab.others = 1;
    let begun = lab.second;
    while lab.injects() {
        lab.second((0, 0), (0, 0));
        assert!(lab.second - begun < 90, "{}", lab.status().because);
    }
    assert!(48 < lab.second - begun, "{}", lab.second - begun);
    let because = lab.status().because;
    let words = "no sidecar reported on its arms in the last 5";
    assert!(because.contains(words), "{because}");
}

/// An experiment with what shop asks alone.
fn of_one_caller() -> serde_json::Value {
    let mut experiment = lenient(3_600_000);
    experiment["faults"][0]["caller"] = json!(["shop"]);
    experiment
}

#[test]
fn a_run_of_some_requests_ends_by_how_many_were_in_its_arms_before() {
    let mut lab = Lab::of(&[of_one_caller()]).begun();
    lab.others = 90;
    for _ in 0..10 {
        lab.second((1, 0), (1, 0));
    }
    // Twenty of 920: ten would be in 460, five seconds, but a push may take ten.
    let begun = lab.second;
    while lab.injects() {
        lab.second((0, 0), (0, 0));
        assert!(lab.second - begun < 30, "{}", lab.status().because);
    }
    assert_eq!(lab.second - begun, 11, "{}", lab.status().because);
    let mut lab = Lab::of(&[of_one_caller()]).begun();
    lab.second((1, 0), (1, 0));
    lab.others = 10;
    for _ in 0..20 {
        lab.second((0, 0), (0, 0));
        assert!(lab.injects(), "{}", lab.status().because);
    }
}

/// A fifth is drawn, and shop may ask a tenth.
#[test]
fn a_run_of_some_requests_of_which_none_is_ever_in_its_arms_ends() {
    let mut lab = Lab::of(&[of_one_caller()]);
    while !lab.injects() {
        lab.second((0, 0), (0, 0));
        assert!(lab.second < 90, "{}", lab.status().because);
    }
    lab.others = 10;
    let begun = lab.second;
    while lab.injects() {
        lab.second((0, 0), (0, 0));
        assert!(lab.second - begun < 90, "{}", lab.status().because);
    }
    assert!(48 < lab.second - begun, "{}", lab.second - begun);
}

/// Fifteen seconds, with reports at the end.
fn interval(lab: &mut Lab, requests: u64) {
    for _ in 1..lab.interval {
        lab.silent();
    }
    lab.with_arms("aborts.1", (requests, 0), (requests, 0));
}

#[test]
fn a_run_goes_on_where_reports_come_each_fifteen_seconds_and_waits_for_the_last() {
    let mut lab = Lab::of(&[lenient(150_000)]);
    lab.interval = 15;
    lab.world.set_report_interval(Duration::from_secs(15));
    while !lab.injects() {
        interval(&mut lab, 0);
        assert!(lab.second < 90, "{}", lab.status().because);
    }
    let mut turns = 0;
    while lab.injects() {
        interval(&mut lab, 10);
        turns += 1;
    }
    let status = lab.status();
    assert_eq!(status.because, "faults end: its time is over");
    // What ended while faults did comes one interval later, and from a sidecar that lost a report two.
    interval(&mut lab, 10);
    interval(&mut lab, 10);
    lab.silent();
    let status = lab.status();
    assert_eq!(status.phase, ExperimentPhase::Over);
    assert_eq!(status.comparisons[0].faulted.total, 10 * (turns + 2));
}
