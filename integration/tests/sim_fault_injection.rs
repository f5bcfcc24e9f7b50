//! Faults on purpose, under an SLO, in virtual time.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use core::time::Duration;

use serde_json::json;
use sloop_integration::sim::{Sim, Upstream};

const SEED: u64 = 42;
const HEALTHY: Upstream = Upstream {
    failing: 0.0,
    stumbling: 0.0,
    latency: Duration::from_millis(10),
};
const FAILING: Upstream = Upstream {
    failing: 0.5,
    ..HEALTHY
};
/// The longest that a fault stays without the control plane.
const LEASE_MAX: Duration = Duration::from_secs(120);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Three sidecars, and a tenth of their requests to be aborted for a year.
fn faulted() -> Sim {
    println!("seed {SEED}");
    let fault = json!({
        "name": "errors",
        "service": "payments",
        "route": "any",
        "side": "server",
        "fault": {
            "id": "errors",
            "share": 1_000,
            "abort_status": 503,
            "expires_at_ms": 1_731_536_000_000_u64,
        },
    });
    Sim::new(SEED, &[40.0; 3]).intent("FaultInjection/errors", "fault_injection", &fault)
}

/// The same under an SLO that nothing acts on.
fn watched() -> Sim {
    let slo = json!({
        "name": "pay",
        "service": "payments",
        "mode": "monitored",
        "window": {"rolling": 2_592_000_000_u64},
        "budgeting": "occurrences",
        "objectives": [{
            "target": 990_000_000,
            "source": {"service": "payments", "route": "any", "side": "server", "indicator": {}},
        }],
    });
    faulted().intent("SLO/pay", "slo", &slo)
}

fn because(sim: &Sim) -> &str {
    let decisions = &sim.last_step().decisions;
    let fault = decisions.iter().find(|one| one.kind == "fault_injection");
    &fault.unwrap().decision.because
}

#[test]
fn a_fault_is_in_force_while_the_service_is_well_and_costs_a_push_a_minute() {
    let mut sim = watched();
    sim.run(seconds(10));
    let pushes = sim.pushes();
    let healthy = sim.run(seconds(600));
    println!("{healthy:?}, {} pushes", sim.pushes());
    let all = healthy.faulted + healthy.served;
    assert!(healthy.faulted.abs_diff(all / 10) < all / 50, "{healthy:?}");
    assert_eq!(sim.pushes() - pushes, 10, "only renewals");
}

#[test]
fn a_fault_is_withdrawn_when_an_slo_burns_and_comes_back_when_it_does_not() {
    let mut sim = watched();
    sim.run(seconds(60));
    sim.upstreams(FAILING);
    sim.run(seconds(5));
    let burning = sim.run(seconds(60));
    println!("{burning:?}: {}", because(&sim));
    assert_eq!(burning.faulted, 0);
    assert!(because(&sim).contains("paused"), "{}", because(&sim));

    sim.upstreams(HEALTHY);
    sim.run(seconds(30 * 60));
    assert!(0 < sim.run(seconds(60)).faulted, "{}", because(&sim));
}

#[test]
fn a_fault_ends_by_itself_when_the_control_plane_is_gone() {
    let mut sim = watched();
    sim.run(seconds(50));
    sim.control_plane(false);
    assert!(0 < sim.run(seconds(5)).faulted, "its lease holds");
    sim.run(LEASE_MAX - seconds(5));
    let later = sim.run(seconds(600));
    assert_eq!(later.faulted, 0, "{later:?}");
    assert!(0 < later.served);

    sim.control_plane(true);
    sim.run(seconds(10));
    assert!(0 < sim.run(seconds(10)).faulted, "it goes on");
}

#[test]
fn a_fault_is_not_begun_without_readings_and_withdrawn_when_they_cease() {
    let mut sim = watched();
    sim.reporting(false);
    let silent = sim.run(seconds(60));
    assert_eq!(silent.faulted, 0, "{}", because(&sim));
    assert!(
        because(&sim).contains("nobody reported"),
        "{}",
        because(&sim)
    );

    sim.reporting(true);
    sim.run(seconds(10));
    assert!(0 < sim.run(seconds(10)).faulted, "{}", because(&sim));

    sim.reporting(false);
    sim.run(seconds(10));
    assert_eq!(sim.run(seconds(60)).faulted, 0, "{}", because(&sim));
}

#[test]
fn a_fault_that_no_slo_watches_is_injected_and_says_so() {
    let mut sim = faulted();
    sim.run(seconds(10));
    assert!(0 < sim.run(seconds(10)).faulted);
    assert!(
        because(&sim).contains("no SLO watches"),
        "{}",
        because(&sim)
    );
}
