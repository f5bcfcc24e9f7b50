//! The loop from counts to breakers and back, end to end, in virtual time.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use core::time::Duration;

use serde_json::json;
use sloop_controllers::{BreakerCause, BreakerState};
use sloop_integration::sim::{Sim, Tally, Upstream};
use sloop_model::{ObjectiveId, Rule, SloName};

const SEED: u64 = 42;
const HEALTHY: Upstream = Upstream {
    failing: 0.0,
    stumbling: 0.0,
    latency: Duration::from_millis(10),
};
const BROKEN: Upstream = Upstream {
    failing: 1.0,
    stumbling: 0.0,
    ..HEALTHY
};

fn failing(failing: f64) -> Upstream {
    Upstream { failing, ..HEALTHY }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One sidecar per rate under an SLO of 99.9 % served over 30 days.
fn guarded(mode: &str, rates: &[f64]) -> Sim {
    println!("seed {SEED}");
    Sim::new(SEED, rates).intent("SLO/pay", "slo", &slo(mode, 999_000_000))
}

fn slo(mode: &str, target_billionths: u32) -> serde_json::Value {
    json!({
        "name": "pay",
        "service": "payments",
        "mode": mode,
        "window": {"rolling": 2_592_000_000_u64},
        "budgeting": "occurrences",
        "objectives": [{
            "target": target_billionths,
            "source": {"service": "payments", "route": "any", "side": "server", "indicator": {}},
        }],
    })
}

/// When each sidecar's breaker first opened after `from`, in order.
fn opened_after(sim: &Sim, from: Duration) -> Vec<(usize, Duration, BreakerCause)> {
    let mut first: Vec<(usize, Duration, BreakerCause)> = Vec::new();
    for change in sim.changes() {
        let is_known = first.iter().any(|(sidecar, ..)| *sidecar == change.sidecar);
        if change.to == BreakerState::Open && from <= change.at && !is_known {
            first.push((change.sidecar, change.at - from, change.cause));
        }
    }
    first.sort_by_key(|(_, after, _)| *after);
    first
}

fn orders(sim: &Sim) -> usize {
    let policies = &sim.last_step().policies;
    policies
        .iter()
        .filter(|policy| matches!(policy.rule, Rule::Trip(_)))
        .count()
}

fn objective() -> ObjectiveId {
    ObjectiveId {
        slo: SloName::try_from("pay").unwrap(),
        index: 0,
    }
}

#[test]
fn an_outage_is_mitigated_within_seconds_and_everything_relaxes_after_it() {
    let mut sim = guarded("actionable", &[50.0; 10]);
    assert_eq!(
        sim.run(seconds(60)).refused,
        0,
        "nothing is refused in health"
    );

    sim.upstreams(BROKEN);
    let outage = sim.run(seconds(30));
    let opened = opened_after(&sim, seconds(60));
    println!("opened: {opened:?}");
    println!("outage: {outage:?}");
    assert_eq!(opened.len(), 10, "every breaker opened");
    assert!(opened[0].1 < seconds(1), "local within a second");
    assert!(opened[9].1 < seconds(3), "the fleet within three");
    assert!(outage.failed < outage.refused / 10, "{outage:?}");

    sim.upstreams(HEALTHY);
    let healed = sim.now();
    sim.run(seconds(20));
    let closed = sim
        .changes()
        .iter()
        .filter(|change| change.to == BreakerState::Closed)
        .map(|change| change.at - healed)
        .max();
    println!("last closed {closed:?} after it healed");
    let after = sim.run(seconds(60));
    assert_eq!(after.refused, 0, "everything relaxed");
    assert!(closed.unwrap() < seconds(20), "{closed:?}");
}

#[test]
fn a_partial_outage_is_mitigated_by_the_fleet() {
    let mut sim = guarded("actionable", &[10.0; 20]);
    sim.run(seconds(30));
    sim.upstreams(failing(0.8));
    sim.run(seconds(5));
    let opened = opened_after(&sim, seconds(30));
    println!("opened: {opened:?}");
    assert_eq!(opened.len(), 20);
    assert!(opened[19].1 < seconds(3), "{opened:?}");
}

#[test]
fn a_sidecar_with_little_traffic_is_protected_by_the_fleet() {
    let mut sim = guarded("actionable", &[50.0, 50.0, 50.0, 0.5]);
    sim.run(seconds(30));
    sim.upstreams(BROKEN);
    sim.run(seconds(10));
    let opened = opened_after(&sim, seconds(30));
    println!("opened: {opened:?}");
    let quiet = opened.iter().find(|(sidecar, ..)| *sidecar == 3).unwrap();
    assert_eq!(quiet.2, BreakerCause::Fleet);
    assert!(quiet.1 < seconds(3), "{quiet:?}");
}

#[test]
fn one_bad_sidecar_does_not_open_the_fleet() {
    let mut sim = guarded("actionable", &[50.0; 2]);
    sim.run(seconds(10));
    sim.upstream(0, BROKEN);
    sim.run(seconds(30));
    assert!(0 < sim.tally(0).refused, "its own breaker opened");
    assert_eq!(sim.tally(1).refused, 0, "the good one goes on serving");
    assert_eq!(orders(&sim), 0);
}

#[test]
fn nothing_stays_when_the_control_plane_is_gone() {
    let mut sim = guarded("actionable", &[40.0; 2]);
    sim.run(seconds(10));
    sim.control_plane(false);
    sim.upstreams(BROKEN);
    let soon = sim.run(seconds(10));
    assert!(soon.failed < soon.refused, "breakers go on alone: {soon:?}");

    sim.upstreams(HEALTHY);
    // Leases end by time, however few requests come.
    sim.rates(1.0);
    sim.run(seconds(30 * 60));
    sim.rates(40.0);
    sim.upstreams(BROKEN);
    let later = sim.run(seconds(60));
    assert_eq!(later.refused, 0, "leases ended: {later:?}");
}

#[test]
fn missing_readings_are_neither_good_nor_bad() {
    let mut sim = guarded("actionable", &[40.0; 3]);
    sim.run(seconds(60));
    let known = sim.world().counts(&objective(), seconds(5)).unwrap();
    assert!(0 < known.total);

    sim.reporting(false);
    sim.upstreams(BROKEN);
    sim.run(seconds(20));
    assert_eq!(
        sim.world().counts(&objective(), seconds(5)),
        None,
        "not known"
    );
    assert_eq!(orders(&sim), 0, "nobody orders without readings");
    let pushes = sim.pushes();

    sim.upstreams(HEALTHY);
    sim.reporting(true);
    sim.run(seconds(60));
    assert_eq!(
        sim.pushes(),
        pushes,
        "late readings of a past outage order nothing"
    );
    let total = sim.total();
    let hour = sim.world().counts(&objective(), seconds(3_600)).unwrap();
    assert_eq!(
        hour.bad(),
        total.failed,
        "what was late is counted all the same"
    );
}

#[test]
fn a_restart_loses_and_doubles_nothing() {
    let mut sim = guarded("actionable", &[40.0; 3]);
    sim.upstreams(failing(0.01));
    for _ in 0..5 {
        sim.run(Duration::from_millis(7_300));
        sim.control_plane(false);
        sim.run(Duration::from_millis(2_100));
        sim.control_plane(true);
    }
    sim.upstreams(failing(0.0));
    sim.run(seconds(5));
    let before = sim.total();
    let counts = sim.world().counts(&objective(), seconds(3_600)).unwrap();
    assert_eq!(counts.bad(), before.failed);
    assert!(
        before.served - counts.good < 200,
        "at most what is not reported yet"
    );
    assert_eq!(before.refused, 0);
}

#[test]
fn shadow_mode_counts_and_lets_everything_pass() {
    let mut sim = guarded("shadow", &[40.0; 3]);
    sim.run(seconds(10));
    sim.upstreams(failing(0.6));
    let outage = sim.run(seconds(20));
    sim.run(seconds(3));
    assert_eq!(outage.refused, 0);
    let totals = sim.world().scopes().next().unwrap();
    println!("{totals:?}");
    assert!(0 < totals.shadow_refused_good);
    assert!(totals.shadow_refused_good < totals.shadow_refused);
}

#[test]
fn nothing_opens_in_a_long_healthy_run_inside_the_budget() {
    let mut sim =
        Sim::new(SEED, &[40.0; 5]).intent("SLO/pay", "slo", &slo("actionable", 990_000_000));
    sim.upstreams(failing(0.008));
    // With much traffic, and for as long as leases need to be renewed with little.
    let busy = sim.run(seconds(5 * 60));
    sim.rates(4.0);
    let run = busy + sim.run(seconds(35 * 60));
    println!("{run:?}, {} pushes", sim.pushes());
    assert_eq!(run.refused, 0);
    assert_eq!(orders(&sim), 0);
    assert!(
        sim.pushes() <= 10,
        "only leases are pushed: {}",
        sim.pushes()
    );
}

#[test]
fn a_long_outage_gets_few_orders() {
    let mut sim = guarded("actionable", &[20.0, 20.0, 20.0, 0.5]);
    sim.run(seconds(10));
    sim.upstreams(BROKEN);
    let Tally { served, .. } = sim.run(seconds(600));
    println!("{} pushes", sim.pushes());
    assert!(
        served < 10,
        "only what was under way when it broke: {served}"
    );
    assert!(
        sim.pushes() <= 4 + 10,
        "one a minute at most: {}",
        sim.pushes()
    );
}
