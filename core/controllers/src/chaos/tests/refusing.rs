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

/// What is left of such a budget is slices, and what faults spend is requests.
#[test]
fn it_does_not_begin_where_the_budget_counts_slices() {
    for (method, slicing) in [
        ("timeslices", json!({"minutes": 1, "target": 950_000_000})),
        ("ratio_timeslices", json!({"minutes": 1})),
    ] {
        let mut lab = Lab::of(&[experiment()]);
        let mut body = slo();
        body["budgeting"] = json!(method);
        body["objectives"][0]["slicing"] = slicing;
        let id = IntentId("SLO/orders".to_owned());
        lab.controllers.put(&id, "slo", &body.to_string()).unwrap();
        let because = refused_for(lab);
        let words = "the budget of objective 0 of SLO orders counts slices of time";
        assert!(because.contains(words), "{because}");
    }
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
fn it_does_not_begin_while_a_change_is_on_its_way_and_ends_when_one_begins() {
    let services = |names: &[&str]| {
        let names = names.iter();
        names
            .map(|name| ServiceName::try_from(*name).unwrap())
            .collect()
    };
    let mut lab = Lab::of(&[experiment()]);
    lab.world.set_changing(services(&["checkout"]));
    let because = refused_for(lab);
    let words = "a change is on its way to the sidecars of checkout";
    assert!(because.contains(words), "{because}");

    let mut lab = Lab::of(&[experiment()]);
    lab.world.set_changing(services(&["search"]));
    let mut lab = lab.begun();
    lab.world.set_changing(services(&["payments", "search"]));
    lab.second((10, 0), (10, 0));
    assert!(!lab.injects());
    let because = lab.status().because;
    assert!(because.contains("the sidecars of payments"), "{because}");
}

#[test]
fn it_ends_within_a_step_of_each_condition_that_was_given() {
    let lenient = json!({"hypothesis": [{"slo": "orders", "tolerance": 9_000}],
        "budget": 10_000, "ends": "at_its_time"});
    let with_abort = |abort: serde_json::Value| {
        let mut body = with(lenient.clone());
        body["abort"] = abort;
        Lab::of(&[body]).begun()
    };
    // Surely more than a fifth: 8 of 10 are, by Wilson's interval.
    let mut lab = with_abort(json!({"burning": null, "bad_max": 2_000}));
    lab.second((10, 1), (10, 0));
    assert!(lab.injects());
    lab.second((10, 8), (10, 0));
    lab.second((10, 8), (10, 0));
    assert!(!lab.injects(), "{}", lab.status().because);
    let told = lab.status().events[1].what.clone();
    assert!(
        told.contains("surely more than 20 % of the requests"),
        "{told}"
    );

    // The step that finds the objective burning is the last with faults.
    let mut lab = with_abort(json!({"burning": "page"}));
    let mut burned = false;
    while lab.injects() {
        assert!(!burned, "it burned, and faults went on");
        lab.failing = 80;
        lab.second((10, 0), (10, 0));
        let burning = lab
            .world
            .burning(&ServiceName::try_from("checkout").unwrap());
        burned = burning.is_some_and(|(_, speed)| crate::Speed::Page <= speed);
    }
    let because = lab.status().because;
    assert!(because.contains("burns"), "{because}");
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
fn a_trial_says_what_it_would_take_and_injects_nothing() {
    let asked = |changes: serde_json::Value| {
        let mut body = with(changes);
        body["schedule"] = json!("asked");
        body["asked_at"] = json!(at(30));
        body["trial_at"] = json!(at(30));
        let mut lab = Lab::of(&[body]);
        for _ in 0..40 {
            lab.second((0, 0), (0, 0));
            assert!(!lab.injects());
        }
        lab.status()
    };
    let status = asked(json!({}));
    assert_eq!(
        (status.phase, status.started_at),
        (ExperimentPhase::Over, None)
    );
    let plan = status.plan.unwrap();
    let words = format!(
        "it would begin: decided in about {:.0} s at {:.1} requests a second; {:.0} independent requests in the smallest arm of a fault \
         show that it holds, {:.0} that",
        plan.expected_s.unwrap(),
        plan.rate,
        plan.needed_to_hold.unwrap(),
        plan.needed_to_break.unwrap()
    );
    assert!(status.because.starts_with(&words), "{}", status.because);
    let words = "requests have a part in it if it lasts its time, and it may spend";
    assert!(status.because.contains(words), "{}", status.because);

    let status = asked(json!({"lasting_ms": 5_000}));
    assert_eq!((status.phase, status.plan), (ExperimentPhase::Over, None));
    let words = "it would not begin: to see an effect of 10 % takes";
    assert!(status.because.starts_with(words), "{}", status.because);
}

#[test]
fn after_a_trial_the_next_run_is_one() {
    let body = with(json!({"asked_at": at(20), "trial_at": at(20)}));
    let mut lab = Lab::of(&[body]);
    while !lab.injects() {
        lab.second((0, 0), (0, 0));
        assert!(
            lab.second < 40,
            "it was due at 30: {}",
            lab.status().because
        );
    }
    assert!((30..34).contains(&lab.second), "{}", lab.second);
}

#[test]
fn it_suggests_what_shadow_decisions_show_and_nothing_else() {
    let mut lab = lab();
    lab.shadow = (5, 1);
    let (lasted, _) = lab.ends((10, 6), (10, 0));
    let seconds = lasted + 4;
    let status = lab.status();
    let told = |protection: &str| {
        format!(
            "{protection} on checkout order (server) is in shadow mode; it would have kept out {} requests, {} of which \
             were bad all the same: ",
            5 * seconds,
            4 * seconds
        )
    };
    let [breaker, shedding, denial] = &status.suggestions[..] else {
        panic!("{:?}", status.suggestions)
    };
    assert!(breaker.starts_with(&told("the breaker")), "{breaker}");
    assert!(shedding.starts_with(&told("shedding")), "{shedding}");
    assert!(denial.starts_with(&told("a deny rule")), "{denial}");
    let share = 4.0 * seconds as f64 / status.budgets[0].left * 100.0;
    let share: f64 = format!("{share:.1}").parse().unwrap();
    let end = " % of what was left of the budget of SLO orders, saved unless its indicator counts what is kept out";
    let said = breaker.strip_suffix(end).unwrap();
    let said: f64 = said.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((said - share).abs() < 0.11, "{said} {share}");
    let mut lab = super::lab();
    // It would have refused more good ones than bad ones.
    lab.shadow = (5, 3);
    lab.ends((10, 6), (10, 0));
    assert_eq!(lab.status().suggestions, [""; 0]);
}
