//! Experiments in virtual time, with the real data plane.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use core::time::Duration;

use serde_json::{Value, json};
use sloop_controllers::{ExperimentPhase, ExperimentStatus, ExperimentVerdict};
use sloop_integration::sim::{Sim, Tally, Upstream};

const HEALTHY: Upstream = Upstream {
    failing: 0.0,
    stumbling: 0.0,
    latency: Duration::from_millis(10),
};
const FAILING: Upstream = Upstream {
    failing: 0.5,
    ..HEALTHY
};
/// A minute after the beginning: there is an error budget by then.
const BEGINS_MS: u64 = 1_700_000_183_456;
/// The longest that a fault stays without the control plane.
const LEASE_MAX: Duration = Duration::from_secs(4);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The service itself, and what its callers get: there an answer that is a fault is bad, too.
fn slo() -> Value {
    let source = |indicator: Value| json!({"service": "payments", "route": "any", "side": "server", "indicator": indicator});
    json!({
        "name": "pay",
        "service": "payments",
        "mode": "monitored",
        "window": {"rolling": 2_592_000_000_u64},
        "budgeting": "occurrences",
        "objectives": [
            {"target": 990_000_000, "source": source(json!({}))},
            {"target": 900_000_000, "source": source(json!({
                "total": {"outcome": ["success", "server_error", "faulted"]},
                "bad": {"outcome": ["server_error", "faulted"]},
            }))},
        ],
    })
}

fn experiment(objective: u32, fault: Value) -> Value {
    let mut fault = fault;
    for (field, value) in [
        ("id", json!("x")),
        ("share", json!(1_000)),
        ("expires_at_ms", json!(0)),
    ] {
        fault[field] = value;
    }
    json!({
        "name": "test",
        "hypothesis": [{"slo": "pay", "objective": objective}],
        "faults": [fault],
        "targets": [{"service": "payments", "route": "any", "side": "server"}],
        "control": 1_000,
        "lasting_ms": 300_000,
        "budget": 5_000,
        "schedule": {"at": [BEGINS_MS]},
        "seed": 7,
    })
}

fn aborts(objective: u32) -> Value {
    experiment(objective, json!({"abort_status": 503}))
}

/// Three sidecars with 120 requests a second together.
fn sim(seed: u64, experiment: &Value) -> Sim {
    println!("seed {seed}");
    Sim::new(seed, &[40.0; 3])
        .intent("SLO/pay", "slo", &slo())
        .intent("ChaosExperiment/test", "chaos", experiment)
}

fn run(sim: &Sim) -> ExperimentStatus {
    sim.experiment("test").unwrap()
}

/// Runs until `phase`, which comes within three minutes.
fn until(sim: &mut Sim, phase: ExperimentPhase) -> Tally {
    let mut all = Tally::default();
    for _ in 0..1_800 {
        all = all + sim.run(Duration::from_millis(100));
        if sim.experiment("test").is_some_and(|run| run.phase == phase) {
            return all;
        }
    }
    panic!("not {phase:?} within three minutes: {:?}", run(sim))
}

#[test]
fn a_harmful_fault_is_over_within_seconds_and_the_hypothesis_is_broken() {
    let mut sim = sim(1, &aborts(1));
    until(&mut sim, ExperimentPhase::Running);
    let harmed = until(&mut sim, ExperimentPhase::Draining);
    until(&mut sim, ExperimentPhase::Over);
    let status = run(&sim);
    println!("{}; {harmed:?}", status.because);
    assert_eq!(status.verdict, Some(ExperimentVerdict::Broken));
    let lasted = status.ended_at.unwrap().since(status.started_at.unwrap());
    assert!(lasted <= seconds(6), "{lasted:?}");
    assert!(harmed.faulted < 80, "{harmed:?}");
    let compared = &status.comparisons[0];
    assert!(
        compared.interval.low > compared.tolerance && compared.effect == Some(1.0),
        "{compared:?}"
    );
    sim.run(seconds(1));
    assert_eq!(sim.run(seconds(120)).faulted, 0, "it runs once");
}

#[test]
fn a_fault_that_harms_nobody_is_shown_to_be_held() {
    let harmless = json!({"headers": {"set": [["x-test", "1"]], "remove": []}});
    let mut sim = sim(2, &experiment(0, harmless));
    until(&mut sim, ExperimentPhase::Over);
    let status = run(&sim);
    println!("{}", status.because);
    assert_eq!(status.verdict, Some(ExperimentVerdict::Held));
    // It was tried, nothing was bad, and what is said of the effect is about as narrow as the tolerance of 1 %.
    assert!(100 < status.faults[0].met, "{:?}", status.faults);
    let compared = &status.comparisons[0];
    assert_eq!(compared.effect, Some(0.0));
    let interval = compared.interval;
    assert!(
        (-0.03..0.0).contains(&interval.low) && (0.0..0.015).contains(&interval.high),
        "{interval:?}"
    );
}

#[test]
fn an_outage_ends_it_and_the_fault_is_not_blamed() {
    let mut sim = sim(3, &aborts(0));
    until(&mut sim, ExperimentPhase::Running);
    assert!(0 < sim.run(seconds(1)).faulted);
    sim.upstreams(FAILING);
    sim.run(seconds(8));
    let status = run(&sim);
    println!("{} {:?}", status.because, status.events);
    assert_ne!(status.phase, ExperimentPhase::Running);
    assert_eq!(sim.run(seconds(120)).faulted, 0);
    assert_ne!(run(&sim).verdict, Some(ExperimentVerdict::Broken));
}

#[test]
fn faults_end_by_themselves_when_the_control_plane_is_gone_and_do_not_come_back() {
    let mut sim = sim(4, &aborts(0));
    until(&mut sim, ExperimentPhase::Running);
    assert!(0 < sim.run(seconds(2)).faulted);
    sim.control_plane(false);
    sim.run(LEASE_MAX);
    assert_eq!(sim.run(seconds(60)).faulted, 0);
    sim.control_plane(true);
    assert_eq!(
        sim.run(seconds(120)).faulted,
        0,
        "an interrupted run is not begun again"
    );
}

#[test]
fn it_ends_when_readings_cease_and_does_not_begin_without() {
    let mut sim = sim(5, &aborts(0));
    until(&mut sim, ExperimentPhase::Running);
    sim.run(seconds(2));
    sim.reporting(false);
    sim.run(seconds(12));
    assert_eq!(sim.run(seconds(60)).faulted, 0);
    assert!(
        run(&sim).events[1].what.contains("nobody reported"),
        "{:?}",
        run(&sim).events
    );

    let mut sim = self::sim(5, &aborts(0));
    sim.reporting(false);
    assert_eq!(sim.run(seconds(150)).faulted, 0);
    assert_eq!(run(&sim).verdict, Some(ExperimentVerdict::Inconclusive));
}

/// The promise: whatever happens, no more than the budget is spent, but for what two seconds bring.
#[test]
fn never_is_more_spent_than_the_budget_and_two_seconds() {
    for seed in 10..16 {
        let mut body = aborts(1);
        body["budget"] = json!(100);
        body["hypothesis"][0]["tolerance"] = json!(9_000);
        let mut sim = sim(seed, &body);
        until(&mut sim, ExperimentPhase::Over);
        let status = run(&sim);
        let budget = &status.budgets[0];
        println!("{budget:?} {}", status.because);
        assert!(0 < budget.spent, "{budget:?}");
        // 12 requests a second in the arm.
        assert!(budget.spent as f64 <= budget.cap + 2.0 * 20.0, "{budget:?}");
    }
}
