//! What is derived from an SLO judges what the SLO counts, whatever that is.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::print_stdout, reason = "tests")]

use core::time::Duration;

use serde_json::{Value, json};
use sloop_controllers::BreakerState;
use sloop_sim::{Sim, Upstream};

const SEED: u64 = 42;
const SIDECARS: usize = 10;
const HEALTHY: Upstream = Upstream {
    failing: 0.0,
    stumbling: 0.0,
    latency: Duration::from_millis(10),
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Ten sidecars under an SLO of 99 % for which `indicator` says what is good, after half a minute in health.
fn guarded(indicator: &Value) -> Sim {
    println!("seed {SEED}");
    let slo = json!({
        "name": "pay",
        "service": "payments",
        "mode": "actionable",
        "window": {"rolling": 2_592_000_000_u64},
        "budgeting": "occurrences",
        "objectives": [{
            "target": 990_000_000,
            "source": {"service": "payments", "route": "any", "side": "server", "indicator": indicator},
        }],
    });
    let mut sim = Sim::new(SEED, &[50.0; SIDECARS]).intent("SLO/pay", "slo", &slo);
    let healthy = sim.run(seconds(30));
    assert_eq!(
        healthy.refused, 0,
        "nothing is refused in health: {healthy:?}"
    );
    sim
}

/// The sidecars whose breakers opened after `from`, and when the last one did.
fn opened(sim: &Sim, from: Duration) -> (usize, Duration) {
    let changes = sim.changes().iter();
    let opened = changes.filter(|change| change.to == BreakerState::Open && from <= change.at);
    let mut first = [None; SIDECARS];
    for change in opened {
        if let Some(known) = first.get_mut(change.sidecar) {
            *known = known.or(Some(change.at - from));
        }
    }
    let after = first.iter().flatten();
    println!("opened {first:?}");
    (
        after.clone().count(),
        after.max().copied().unwrap_or_default(),
    )
}

/// Half a minute in which `failing` of the requests are answered with `status`, then half a minute in health.
fn outage(sim: &mut Sim, failing: f64, status: u16) -> (usize, Duration) {
    sim.fails_with(status);
    sim.upstreams(Upstream { failing, ..HEALTHY });
    let from = sim.now();
    let during = sim.run(seconds(30));
    println!("outage of {status}: {during:?}");
    let opened = opened(sim, from);
    sim.upstreams(HEALTHY);
    sim.run(seconds(30));
    let after = sim.run(seconds(30));
    assert_eq!(after.refused, 0, "everything relaxed: {after:?}");
    opened
}

#[test]
fn an_slo_about_callers_mistakes_opens_for_them_and_recovers() {
    let mut sim = guarded(&json!({"bad": {"status": [[400, 499]]}}));
    let (sidecars, last) = outage(&mut sim, 1.0, 429);
    assert_eq!(sidecars, SIDECARS);
    assert!(last < seconds(3), "{last:?}");
    assert_eq!(outage(&mut sim, 1.0, 503).0, 0, "these are none");
}

#[test]
fn failures_that_the_slo_does_not_count_refuse_nothing() {
    let mut sim = guarded(&json!({"bad": {"status": [[500, 500]]}}));
    let before = sim.total().refused;
    assert_eq!(outage(&mut sim, 0.6, 503).0, 0);
    assert_eq!(sim.total().refused, before, "the SLO is met");
    assert_eq!(outage(&mut sim, 1.0, 500).0, SIDECARS);
}

#[test]
fn an_slo_that_calls_slowness_bad_is_protected_from_it() {
    let mut sim = guarded(&json!({"bad": {"slower_than_us": 100_000}}));
    let slow = Upstream {
        latency: Duration::from_secs(1),
        ..HEALTHY
    };
    sim.upstreams(slow);
    let from = sim.now();
    sim.run(seconds(30));
    assert_eq!(opened(&sim, from).0, SIDECARS);
    sim.upstreams(HEALTHY);
    sim.run(seconds(60));
    assert_eq!(
        outage(&mut sim, 1.0, 503).0,
        0,
        "what fails at once is not slow"
    );
}
