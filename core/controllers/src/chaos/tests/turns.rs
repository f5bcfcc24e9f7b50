//! Whose turn it is where several are due, and clocks that step back.

use std::collections::BTreeSet;

use super::*;

/// Experiments whose faults are in force.
fn injecting(lab: &Lab) -> Vec<String> {
    let rules = lab.step.policies.iter().filter_map(|policy| {
        let Rule::Fault(fault) = &policy.rule else {
            return None;
        };
        Some(fault.id().to_owned())
    });
    let mut ids: Vec<String> = rules.collect();
    ids.dedup();
    ids
}

fn status_of(lab: &Lab, name: &str) -> Option<ExperimentStatus> {
    let all = lab.controllers.experiments(&lab.world, |_, _, _| false);
    all.into_iter().find(|one| one.name == name)
}

#[test]
fn of_two_that_are_due_at_once_one_begins_and_the_other_waits_its_minute() {
    let schedule = json!({"at": [at(40)]});
    let one = with(json!({"schedule": schedule, "ends": "at_its_time"}));
    let other = with(json!({"schedule": schedule, "name": "delays"}));
    let mut lab = Lab::of(&[other, one]).begun();
    while lab.second < 105 {
        assert_eq!(injecting(&lab), ["aborts.1"]);
        lab.second((10, 0), (10, 0));
    }
    assert_eq!(injecting(&lab), ["aborts.1"]);
    let waited = status_of(&lab, "delays").unwrap();
    assert_eq!(waited.started_at, None);
    let words = "it did not begin: the experiment aborts runs, and two would spoil each other";
    assert_eq!(waited.because, words);
}

#[test]
fn of_two_that_wait_the_one_begins_that_was_due_first() {
    let due =
        |name: &str, second: u64| with(json!({"name": name, "schedule": {"at": [at(second)]}}));
    let mut lab = Lab::of(&[due("aborts", 31), due("delays", 30)]);
    let checkout = ServiceName::try_from("checkout").unwrap();
    lab.world.set_changing([checkout].into());
    while lab.second < 45 {
        lab.second((0, 0), (0, 0));
    }
    assert_eq!(injecting(&lab), [""; 0]);
    lab.world.set_changing(BTreeSet::new());
    lab.second((0, 0), (0, 0));
    assert_eq!(injecting(&lab), ["delays.1"]);
}

#[test]
fn what_somebody_asked_for_waits_until_another_is_over() {
    let one = with(json!({"ends": "at_its_time"}));
    let asked = json!({"name": "delays", "schedule": "asked", "asked_at": at(40)});
    let mut lab = Lab::of(&[one, with(asked)]).begun();
    while injecting(&lab) == ["aborts.1"] {
        lab.second((10, 0), (10, 0));
    }
    assert!(140 < lab.second, "{}", lab.second);
    let waits = status_of(&lab, "delays").unwrap();
    assert_eq!(waits.phase, ExperimentPhase::Preflight, "{}", waits.because);
    while injecting(&lab) != ["delays.1"] {
        lab.second((0, 0), (0, 0));
        assert!(lab.second < 170);
    }
    let first = status_of(&lab, "aborts").unwrap();
    assert_ne!(first.phase, ExperimentPhase::Running);
    assert!(first.ended_at.is_some());
}

/// `experiment` with its faults in force since second 1030, ten minutes of which are there again.
fn set_back(experiment: &serde_json::Value) -> Lab {
    let mut body = experiment.clone();
    body["schedule"] = json!({"at": [at(1_030)]});
    let mut lab = Lab::of(&[body]);
    lab.second = 1_000;
    while !lab.injects() {
        lab.second((0, 0), (0, 0));
        assert!(lab.second < 1_090, "{}", lab.status().because);
    }
    lab.second((10, 0), (10, 0));
    lab.second -= 600;
    lab
}

#[test]
fn a_run_that_began_later_than_it_is_can_be_stopped() {
    let mut lab = set_back(&experiment());
    lab.second((10, 0), (10, 0));
    assert!(lab.injects(), "{}", lab.status().because);
    let mut stopped = experiment();
    stopped["schedule"] = json!({"at": [at(1_030)]});
    stopped["stopped_at"] = json!(at(1_030));
    let id = IntentId("ChaosExperiment/aborts".to_owned());
    lab.controllers
        .put(&id, "chaos", &stopped.to_string())
        .unwrap();
    lab.second((10, 0), (10, 0));
    assert_eq!(injecting(&lab), [""; 0]);
    assert_eq!(lab.status().phase, ExperimentPhase::Draining);
    lab.ends((0, 0), (0, 0));
}

#[test]
fn limits_of_time_do_not_stretch_when_the_clock_steps_back() {
    let mut lab = set_back(&with(json!({"ends": "at_its_time", "lasting_ms": 60_000})));
    let (lasted, _) = lab.ends((10, 0), (10, 0));
    assert!(lasted <= 61, "{lasted}");
    assert_eq!(lab.status().events[1].what, "faults end: its time is over");

    let mut lab = set_back(&experiment());
    let begun = lab.second;
    while lab.injects() {
        lab.with_arms("aborts.1", (0, 0), (0, 0));
    }
    assert!(lab.second - begun <= 12, "{}", lab.second - begun);
}

#[test]
fn what_somebody_asks_for_is_due_at_once_whatever_the_clock_said_before() {
    let before = at(600).as_millis() - 1;
    let asked = json!({"schedule": "asked", "asked_at": at(600), "ran_at": before});
    let mut lab = Lab::of(&[with(asked)]).begun();
    assert_eq!(lab.status().due_at, at(600));
    assert_eq!(lab.ends((10, 0), (10, 0)).1, Some(Held));
    let last = lab.step.decisions.last().unwrap();
    assert_eq!(last.decision.wake_at, None, "it is not due again");
}
