//! Sloop is never worse than nothing, and helps where there is a queue.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use core::time::Duration;

use sloop_sim::goodput::{Measures, Rival, Story, measure, play, recorded, stories};

const SEED: u64 = 1;
/// What chance and the first trial of shedding make of a short story, as a share of what is attainable.
const NOISE: f64 = 0.015;

/// The story called `name`, until `seconds`.
fn story(name: &str, seconds: u64) -> Story {
    let mut all = stories().into_iter();
    let story = all.find(|story| story.name == name).unwrap();
    Story {
        length: Duration::from_secs(seconds),
        trouble: (story.trouble.0, story.trouble.1.min(seconds as f64)),
        ..story
    }
}

fn played(story: &Story, rival: Rival) -> Measures {
    let measures = measure(story, &play(story, rival, SEED));
    println!(
        "seed {SEED}, {}, {}: {measures:?}",
        story.name,
        rival.name()
    );
    measures
}

/// (with Sloop, with nothing), after it was seen that Sloop is no worse.
fn compared(name: &str, seconds: u64) -> (Measures, Measures) {
    compared_in(&story(name, seconds))
}

/// The same in this story.
fn compared_in(story: &Story) -> (Measures, Measures) {
    let (sloop, nothing) = (played(story, Rival::Sloop), played(story, Rival::Nothing));
    assert!(
        nothing.of_attainable - NOISE <= sloop.of_attainable,
        "{}: {:.3} with nothing, {:.3} with Sloop",
        story.name,
        nothing.of_attainable,
        sloop.of_attainable
    );
    (sloop, nothing)
}

#[test]
fn in_health_nothing_is_refused() {
    let story = Story {
        trouble: (30.0, 30.0),
        ..story("health", 30)
    };
    let needless = played(&story, Rival::Sloop).needless;
    assert!(needless < f64::EPSILON, "{needless}");
}

#[test]
fn an_overload_is_mitigated_and_what_matters_most_is_served() {
    let (sloop, nothing) = compared("overload", 40);
    assert!(nothing.goodput * 5.0 < sloop.goodput);
    assert!(sloop.mitigated.unwrap() < 4.0);
    let [sheddable, _, _, critical_plus] = sloop.by_class;
    assert!(sheddable < 0.3 && 0.6 < critical_plus, "{sloop:?}");
}

#[test]
fn a_storm_of_retries_is_ended() {
    let (sloop, nothing) = compared("retry storm", 40);
    assert!(nothing.goodput * 5.0 < sloop.goodput);
}

#[test]
fn a_storm_of_retries_behind_the_filter_is_ended_by_an_slo_there_and_by_a_budget_alone() {
    // It takes the budget twenty seconds: what waits goes with what the service has left.
    let story = story("retry storm", 70);
    let played = |rival| played(&story, rival);
    let nothing = played(Rival::Nothing);
    for rival in Rival::CALLERS {
        let callers = played(rival);
        assert!(nothing.goodput * 5.0 < callers.goodput, "{}", rival.name());
        assert!(callers.mitigated.unwrap() < 25.0, "{}", rival.name());
    }
}

#[test]
fn retries_behind_the_filter_that_help_are_made() {
    let flapping = Story {
        attempts: 3,
        ..story("flapping", 50)
    };
    let nothing = played(&flapping, Rival::Nothing).of_attainable;
    let callers = played(&flapping, Rival::BudgetCallers).of_attainable;
    assert!(nothing - NOISE <= callers, "{callers:.3} of {nothing:.3}");
    // A third fails, and callers try again: most of it is made good. Now and then so many are in vain by chance that
    // the budget binds for a moment.
    let story = Story {
        attempts: 3,
        ..story("partial outage", 40)
    };
    let (nothing, callers) = (
        played(&story, Rival::Nothing),
        played(&story, Rival::BudgetCallers),
    );
    assert!(
        (nothing.of_attainable - callers.of_attainable).abs() < 0.002,
        "{callers:?}"
    );
}

#[test]
fn a_part_that_fails_whatever_the_load_costs_no_more_than_that_part() {
    compared("partial outage", 40);
}

#[test]
fn a_service_that_comes_and_goes_is_used_while_it_is_there() {
    let (sloop, _) = compared("flapping", 50);
    assert!(sloop.needless < f64::EPSILON, "{sloop:?}");
}

#[test]
fn what_comes_back_with_cold_caches_is_warmed_and_not_drowned() {
    let (sloop, nothing) = compared("outage, cold cache", 60);
    assert!(nothing.of_attainable < sloop.of_attainable, "{sloop:?}");
}

#[test]
fn one_bad_host_does_not_take_the_others_with_it() {
    compared("grey failure", 40);
    compared("late host", 40);
}

#[test]
fn what_rises_slowly_above_what_the_service_can_is_served_better() {
    let (sloop, nothing) = compared("diurnal ramp", 80);
    assert!(nothing.goodput < sloop.goodput, "{sloop:?}");
}

#[test]
fn bursts_of_a_recording_are_borne_no_worse() {
    // Half a minute of it has 20 s with five arrivals per second and 10 s with 25: played, a second of 2,500 requests
    // after two of 500.
    let arrivals: Vec<f64> = (0..8)
        .flat_map(|part| {
            let begin = f64::from(part) * 30.0;
            let calm = (0..100).map(move |one| begin + f64::from(one) * 0.2);
            let burst = (0..250).map(move |one| begin + 20.0 + f64::from(one) * 0.04);
            calm.chain(burst)
        })
        .collect();
    compared_in(&recorded(&arrivals, 10));
}
