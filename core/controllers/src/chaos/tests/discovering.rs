//! Which of many routes a fault harms: simulations through the controller, with the share of false discoveries that is promised.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "small numbers, chosen here; what was measured is shown"
)]

use std::collections::BTreeSet;

use super::super::stats::{ALPHA, Draws};
use super::*;

/// Routes of `checkout` that the experiment touches.
const ROUTES: usize = 20;
/// What is bad of every route, with or without the fault.
const FAILING: f64 = 0.01;
/// Requests in each arm, a second and route.
const EACH: u32 = 3;

/// The routes with these numbers are harmed: so much more of them is bad under the fault.
#[derive(Clone, Copy)]
struct Harm<'a> {
    routes: &'a [usize],
    more: f64,
}

fn name(route: usize) -> String {
    format!("route-{route}")
}

/// A second in which all routes had requests in both arms.
fn second(lab: &mut Lab, draws: &mut Draws, harm: Harm<'_>) {
    lab.second += 1;
    lab.world.begin_step(at(lab.second));
    for route in 0..ROUTES {
        let more = if harm.routes.contains(&route) {
            harm.more
        } else {
            0.0
        };
        let mut arm = |arm, share| {
            let bad = draws.bad(EACH, share) as u64;
            ArmCounts {
                experiment: ExperimentKey::of("aborts.1"),
                arm,
                requests: EACH.into(),
                outcomes: [0; Outcome::ALL.len()],
                objectives: objective(EACH.into(), bad),
                latency: Vec::new(),
                retries: 0,
                callers: Vec::new(),
            }
        };
        let arms = vec![arm(Arm::Fault, FAILING + more), arm(Arm::Control, FAILING)];
        lab.observe(ScopeCounts {
            requests: 10,
            objectives: objective(10, 0),
            arms,
            ..ScopeCounts::nothing(scope("checkout", &name(route)))
        });
    }
    lab.observe(ScopeCounts {
        requests: 80,
        ..ScopeCounts::nothing(scope("payments", "charge"))
    });
    lab.world.begin_step(at(lab.second));
    lab.step = lab.controllers.step(&mut lab.world);
}

/// How many routes a run of the seed calls affected that are harmed, and that are not.
fn found(seed: u64, harm: Harm<'_>) -> (usize, usize) {
    let mut body = with(
        json!({"ends": "at_its_time", "budget": 10_000, "lasting_ms": 60_000,
        "abort": {"burning": null}}),
    );
    body["hypothesis"][0]["tolerance"] = json!(9_000);
    let mut lab = Lab::of(&[body]).begun();
    let mut draws = Draws(seed);
    while lab.injects() {
        second(&mut lab, &mut draws, harm);
    }
    let status = lab.status();
    // Nothing else ended it.
    assert!(
        59 * 20 * u64::from(EACH) <= status.comparisons[0].faulted.total,
        "{}",
        status.because
    );
    let harmed: BTreeSet<String> = harm
        .routes
        .iter()
        .map(|route| scope("checkout", &name(*route)).to_string())
        .collect();
    let is_right = |route: &&RouteEffect| harmed.contains(&route.scope);
    let right = status.routes.iter().filter(is_right).count();
    (right, status.routes.len() - right)
}

/// e-BH at one in twenty: of what is found no more than that is false on average, over runs in which three of twenty routes are harmed.
#[test]
fn of_twenty_routes_the_three_that_are_harmed_are_found_and_hardly_another() {
    const RUNS: u64 = 40;
    let harm = Harm {
        routes: &[2, 9, 17],
        more: 0.3,
    };
    let (mut right, mut false_share) = (0, 0.0);
    for seed in 0..RUNS {
        let (harmed, others) = found(seed, harm);
        right += harmed;
        false_share += others as f64 / (harmed + others).max(1) as f64;
    }
    let false_share = false_share / RUNS as f64;
    println!(
        "{right} of {} harmed routes are found; {false_share:.3} of what is found is false",
        3 * RUNS
    );
    assert!(false_share <= ALPHA, "{false_share}");
    assert!(95 * 3 * RUNS as usize <= 100 * right, "{right}");
}

/// Where nothing is harmed every discovery is false, so there is one in at most one of twenty runs.
#[test]
fn of_twenty_routes_of_which_none_is_harmed_hardly_ever_one_is_found() {
    const RUNS: u64 = 40;
    let harm = Harm {
        routes: &[],
        more: 0.0,
    };
    let runs = (1_000..1_000 + RUNS).filter(|seed| found(*seed, harm) != (0, 0));
    let runs = runs.count() as u64;
    println!("{runs} of {RUNS} runs find one");
    assert!(20 * runs <= RUNS, "{runs} of {RUNS}");
}
