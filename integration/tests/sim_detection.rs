//! How soon the control plane sees a change, and how often it sees one that is none.
//!
//! Reports of a fleet are made up, every tenth of a second, and go through the real world and the
//! real controllers. What sidecars and breakers do is left out: `sim_slo_loop.rs` has it.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "tests"
)]

use core::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sloop_controllers::{
    Controllers, IntentId, ObjectiveCounts, Observation, ScopeCounts, Signal, World,
};
use sloop_model::{
    ObjectiveId, Outcome, RouteName, Rule, Scope, ServiceName, Side, SloName, WallTime,
};

const SEED: u64 = 42;
const BEGIN: WallTime = WallTime::from_millis(1_700_000_123_456);
/// Between the reports of a sidecar, and between the steps of the control plane.
const TICK: Duration = Duration::from_millis(100);

/// Sidecars that report, and the control plane.
struct Fleet {
    random: SmallRng,
    sidecars: usize,
    /// Requests of all sidecars in a tick.
    requests: u64,
    controllers: Controllers,
    world: World,
    ticks: u64,
    /// Orders that were seen, each once.
    orders: Vec<u64>,
    /// Ticks at which a change was signalled that was not signalled at the tick before.
    changes: Vec<u64>,
    is_changed: bool,
    /// Which sidecars report; all, when empty.
    reporting: Vec<bool>,
}

impl Fleet {
    fn new(sidecars: usize, requests: u64, intents: &[(&str, &str, Value)]) -> Self {
        let mut controllers = Controllers::with_all();
        for (id, kind, body) in intents {
            let id = IntentId((*id).to_owned());
            controllers.put(&id, kind, &body.to_string()).unwrap();
        }
        Self {
            random: SmallRng::seed_from_u64(SEED),
            sidecars,
            requests,
            controllers,
            world: World::default(),
            ticks: 0,
            orders: Vec::new(),
            changes: Vec::new(),
            is_changed: false,
            reporting: Vec::new(),
        }
    }

    /// A tick in which a request fails with the chance that `failing` says for its sidecar.
    fn tick(&mut self, failing: impl Fn(usize) -> f64) {
        self.ticks += 1;
        let now = BEGIN.after(TICK * u32::try_from(self.ticks).unwrap());
        self.world.begin_step(now);
        let each = self.requests / self.sidecars as u64;
        for sidecar in 0..self.sidecars {
            if self.reporting.get(sidecar) == Some(&false) {
                continue;
            }
            let bad = binomial(&mut self.random, each, failing(sidecar));
            self.world.observe(report(sidecar, now, (each, bad)));
        }
        let step = self.controllers.step(&mut self.world);
        let trips = step.policies.iter().filter_map(|policy| match policy.rule {
            Rule::Trip(trip) => Some(trip.id),
            Rule::Break { .. }
            | Rule::Count(_)
            | Rule::Fault(_)
            | Rule::Shed { .. }
            | Rule::Deny(_)
            | Rule::RetryBudget { .. }
            | Rule::Deadline { .. } => None,
        });
        for id in trips {
            if !self.orders.contains(&id) {
                self.orders.push(id);
            }
        }
        let is_changed =
            (self.world.signals().iter()).any(|signal| matches!(signal, Signal::Changed { .. }));
        if is_changed && !self.is_changed {
            self.changes.push(self.ticks);
        }
        self.is_changed = is_changed;
        // What is stored is not looked at here.
        let _ = self.world.take_changes();
    }

    fn run(&mut self, ticks: u64, failing: f64) {
        for _ in 0..ticks {
            self.tick(|_| failing);
        }
    }
}

/// How many of `tries` succeed: from one success to the next by the geometric distribution.
fn binomial(random: &mut SmallRng, tries: u64, chance: f64) -> u64 {
    if chance <= 0.0 {
        return 0;
    }
    if 1.0 <= chance {
        return tries;
    }
    let mut successes = 0;
    let mut at = 0.0;
    loop {
        let draw: f64 = random.random();
        at += ((1.0 - draw).ln() / (1.0 - chance).ln()).floor() + 1.0;
        if tries as f64 + 0.5 < at {
            return successes;
        }
        successes += 1;
    }
}

fn report(sidecar: usize, now: WallTime, (total, bad): (u64, u64)) -> Observation {
    let mut outcomes = [0; Outcome::ALL.len()];
    outcomes[Outcome::Success.index()] = total - bad;
    outcomes[Outcome::ServerError.index()] = bad;
    Observation {
        node: format!("payments-{sidecar}"),
        incarnation: sidecar as u64 + 1,
        sidecar: sloop_controllers::SidecarReading::default(),
        from: now.before(TICK),
        at: now,
        scopes: vec![ScopeCounts {
            requests: total,
            outcomes,
            objectives: vec![ObjectiveCounts {
                id: ObjectiveId {
                    slo: SloName::try_from("pay").unwrap(),
                    index: 0,
                },
                total,
                good: total - bad,
            }],
            ..ScopeCounts::nothing(Scope {
                service: ServiceName::try_from("payments").unwrap(),
                route: RouteName::try_from("charge").unwrap(),
                side: Side::Server,
            })
        }],
    }
}

fn slo(target_billionths: u32) -> (&'static str, &'static str, Value) {
    let body = json!({
        "name": "pay",
        "service": "payments",
        "mode": "actionable",
        "window": {"rolling": 2_592_000_000_u64},
        "budgeting": "occurrences",
        "objectives": [{
            "target": target_billionths,
            "source": {"service": "payments", "route": "any", "side": "server", "indicator": {}},
        }],
    });
    ("SLO/pay", "slo", body)
}

/// A breaker that a person wants to open when more than a share fails, in hundredths of a percent.
fn breaker(failed_max: u16) -> (&'static str, &'static str, Value) {
    let body = json!({
        "name": "pay",
        "service": "payments",
        "route": "any",
        "side": "server",
        "limits": {
            "window_ms": 1_000, "calls_min": 20, "failed_max": failed_max, "sigmas_hundredths": 300,
            "open_ms": 1_000, "open_max_ms": 8_000, "probes": 5, "ramp_ms": 5_000,
        },
    });
    ("CircuitBreaker/pay", "circuit_break", body)
}

/// Times from the change on, in milliseconds, sorted, of a hundred changes at random moments of a quiet fleet with
/// 1,000 requests per second over ten sidecars: until it is signalled, and until an order is given.
fn delays(intents: &[(&str, &str, Value)], failing: f64) -> [Vec<u64>; 2] {
    let mut signalled = Vec::new();
    let mut ordered = Vec::new();
    for seed in 0..100 {
        let mut fleet = Fleet::new(10, 100, intents);
        fleet.random = SmallRng::seed_from_u64(SEED + seed);
        fleet.run(50, 0.000_2);
        let before = (fleet.changes.len(), fleet.orders.len());
        let begin = fleet.ticks;
        let elapsed = |fleet: &Fleet| (fleet.ticks - begin) * 100;
        let mut is_signalled = false;
        for _ in 0..100 {
            fleet.tick(|_| failing);
            if before.0 < fleet.changes.len() && !is_signalled {
                is_signalled = true;
                signalled.push(elapsed(&fleet));
            }
            if before.1 < fleet.orders.len() {
                ordered.push(elapsed(&fleet));
                break;
            }
        }
    }
    signalled.sort_unstable();
    ordered.sort_unstable();
    [signalled, ordered]
}

fn shown(times: &[u64]) -> String {
    if times.len() < 100 {
        return format!("{} of 100", times.len());
    }
    format!("p50 {} ms, p99 {} ms", times[49], times[98])
}

#[test]
fn a_change_is_seen_within_a_third_of_a_second() {
    println!("seed {SEED}; 99.9 %, 1,000 requests per second in all, reports every 100 ms");
    for failing in [0.0144, 0.05, 0.1, 0.3, 0.7, 1.0] {
        let derived = delays(&[slo(999_000_000)], failing);
        let explicit = delays(&[slo(999_000_000), breaker(500)], failing);
        let lower = delays(&[slo(999_000_000), breaker(200)], failing);
        println!(
            "{:5.1} % | signal {} | derived (50 %) {} | declared (5 %) {} | declared (2 %) {}",
            failing * 100.0,
            shown(&derived[0]),
            shown(&derived[1]),
            shown(&explicit[1]),
            shown(&lower[1]),
        );
        if 0.1 <= failing {
            assert!(derived[0][98] <= 400, "{failing}: {:?}", derived[0]);
            assert!(
                explicit[1][49] <= 500 && explicit[1].len() == 100,
                "{failing}"
            );
            assert!(
                lower[1].len() == 100 && lower[1][98] <= 600,
                "{failing}: {:?}",
                lower[1]
            );
        }
        if 0.7 <= failing {
            assert!(derived[1][98] <= 1_000, "{failing}: {:?}", derived[1]);
        }
        if failing < 0.5 {
            assert!(derived[1].is_empty(), "refusing all would cost more");
        }
    }
}

/// Requests to try: all of them where there is time.
fn requests(short: u64, long: u64) -> u64 {
    if std::env::var_os("SLOOP_LONG").is_some() {
        long
    } else {
        short
    }
}

#[test]
fn nothing_opens_and_nothing_is_signalled_in_health() {
    // A fleet of 4,000 requests per second at a fifth of what it may fail.
    let mut fleet = Fleet::new(4, 400, &[slo(999_000_000), breaker(500)]);
    let requests = requests(1_000_000, 40_000_000);
    fleet.run(requests / 400, 0.000_2);
    println!(
        "seed {SEED}: {requests} requests, {:?} changes",
        fleet.changes
    );
    assert_eq!((fleet.orders.len(), fleet.changes.len()), (0, 0));
}

#[test]
fn nothing_opens_and_nothing_is_signalled_when_exactly_the_budget_is_spent() {
    let mut fleet = Fleet::new(4, 400, &[slo(999_000_000), breaker(500)]);
    let requests = requests(1_000_000, 40_000_000);
    fleet.run(requests / 400, 0.001);
    println!(
        "seed {SEED}: {requests} requests, {:?} changes",
        fleet.changes
    );
    assert_eq!((fleet.orders.len(), fleet.changes.len()), (0, 0));
}

#[test]
fn nothing_opens_when_failures_come_in_bursts_within_the_budget() {
    // Everything fails for 5 to 60 ms, so often that half of the budget is spent by it.
    let mut fleet = Fleet::new(4, 400, &[slo(999_000_000)]);
    let requests = requests(1_000_000, 40_000_000);
    let mut bursts = 0_u64;
    let mut left_ms = 0.0_f64;
    for _ in 0..requests / 400 {
        // One burst of 32.5 ms on average in 65 s. It begins anywhere in the tick, so it is told of in one
        // report or in two.
        let mut begins = 0.0;
        if left_ms <= 0.0 && fleet.random.random_bool(100.0 / 65_000.0) {
            left_ms = fleet.random.random_range(5.0..60.0);
            begins = fleet.random.random_range(0.0..100.0);
            bursts += 1;
        }
        let now_ms = left_ms.clamp(0.0, 100.0 - begins);
        left_ms -= now_ms;
        fleet.tick(|_| 0.000_2 + now_ms / 100.0);
    }
    println!(
        "seed {SEED}: {requests} requests, {bursts} bursts, {} changes",
        fleet.changes.len()
    );
    assert!(0 < bursts);
    assert_eq!(fleet.orders.len(), 0);
}

#[test]
fn one_bad_sidecar_opens_nothing_however_bad_and_for_however_long() {
    for sidecars in [2, 10] {
        let mut fleet = Fleet::new(sidecars, 100, &[slo(999_000_000), breaker(500)]);
        fleet.run(50, 0.000_2);
        for _ in 0..600 {
            fleet.tick(|sidecar| if sidecar == 0 { 1.0 } else { 0.000_2 });
        }
        assert_eq!(fleet.orders.len(), 0, "of {sidecars}");
        assert_eq!(
            fleet.changes.len(),
            1,
            "but the budget burns, which is said"
        );
    }
}

/// Who sees nothing bad reports every second only, and must be waited for.
#[test]
fn a_bad_sidecar_that_reports_more_often_than_the_good_ones_opens_nothing() {
    let mut fleet = Fleet::new(4, 100, &[slo(999_000_000), breaker(500)]);
    // Who has not reported yet is nobody: of a fleet of one, the one speaks for all.
    fleet.run(50, 0.0);
    for tick in 0..600_u64 {
        fleet.reporting = (0..4).map(|one| one == 0 || tick % 10 == one).collect();
        fleet.tick(|sidecar| if sidecar == 0 { 1.0 } else { 0.0 });
    }
    assert_eq!(fleet.orders.len(), 0);
}
