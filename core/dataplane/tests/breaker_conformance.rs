//! Agreement with resilience4j, the best known circuit breaker.
//!
//! Its scenarios with its answers are not part of this repository. They are
//! looked for in the folder that `SLOOP_CONFORMANCE` names, else in
//! `shared/conformance` beside the workspace or a folder above it; where there
//! are none, the tests say so and pass.
//!
//! Compared after each step: the state, whether a request was admitted, how
//! many requests count and how many of them failed and were slow, and the
//! refusals since the state last began anew. Rates are compared through these
//! counts, since a breaker keeps none. The administrative states are ours by
//! [`BreakerMode`]; from outside they look closed or open.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]
#![allow(clippy::print_stdout, reason = "says what was compared")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use sloop_dataplane::breaker::{Admit, Breaker, BreakerState, Tally, Ticket};
use sloop_model::{BreakerMode, BreakerRule, Outcome, Share, Time};

/// So many there are; fewer would be a file that was cut short.
const SCENARIOS: usize = 134;

fn scenarios() -> Option<Vec<Value>> {
    let folder = match std::env::var_os("SLOOP_CONFORMANCE") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .skip(2)
            .map(|folder| folder.join("../shared/conformance"))
            .find(|folder| folder.exists())
            .unwrap_or_default(),
    };
    let file = folder.join("breaker/vectors.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        let _seen = writeln!(
            std::io::stderr(),
            "SKIPPED: no {}; set SLOOP_CONFORMANCE",
            file.display()
        );
        return None;
    };
    let all: Value = serde_json::from_str(&text).unwrap();
    let scenarios = all["vectors"].as_array().unwrap().clone();
    assert_eq!(scenarios.len(), SCENARIOS);
    Some(scenarios)
}

/// The manner that resilience4j has.
fn manner() -> Value {
    json!({"threshold": "reached", "verdict": "ratio", "late": "counted",
           "wake": "on_request", "lost": "awaited"})
}

/// The limits that say what a scenario's configuration says, as an operator would write them.
fn limits(config: &Value, manner: Value) -> Value {
    let percent = |name: &str| Share::nearest(config[name].as_f64().unwrap() / 100.0);
    let wait = &config["waitDurationInOpenStateMs"];
    let mut limits = json!({
        "calls_min": config["minimumNumberOfCalls"],
        "failed_max": percent("failureRateThreshold"),
        "slow_max": percent("slowCallRateThreshold"),
        "slow_us": config["slowCallDurationThresholdMs"].as_u64().unwrap() * 1_000,
        "open_ms": wait,
        "open_max_ms": wait,
        "probes": config["permittedNumberOfCallsInHalfOpenState"],
        "manner": manner,
    });
    let size = &config["slidingWindowSize"];
    match config["slidingWindowType"].as_str().unwrap() {
        "COUNT_BASED" => limits["window_calls"] = size.clone(),
        "TIME_BASED" => {
            limits["window_ms"] = (size.as_u64().unwrap() * 1_000).into();
            limits["window_buckets"] = size.clone();
        }
        other => panic!("window {other}"),
    }
    limits
}

/// A breaker and the clock of a scenario.
struct Run {
    breaker: Breaker,
    wait_ms: u64,
    now_ms: u64,
    tickets: Vec<Ticket>,
    refused: u64,
}

impl Run {
    fn new(limits: Value) -> Self {
        let wait_ms = limits["open_ms"].as_u64().unwrap();
        let rule: BreakerRule = serde_json::from_value(limits).unwrap();
        let mut run = Self {
            breaker: Breaker::new(rule, Time::from_nanos(0)),
            wait_ms,
            now_ms: 0,
            tickets: Vec::new(),
            refused: 0,
        };
        // Some scenarios finish what they never began.
        run.tickets = (0..100).filter_map(|_| run.admit()).collect();
        run
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.now_ms * 1_000_000)
    }

    fn admit(&mut self) -> Option<Ticket> {
        match self.breaker.admit(0, self.now()) {
            Admit::Pass(ticket) => Some(ticket),
            Admit::Refuse { .. } => {
                self.refused += 1;
                None
            }
        }
    }

    fn record(&mut self, ticket: Ticket, step: &Value) {
        let outcome = match step["outcome"].as_str().unwrap_or("ignored") {
            "success" => Outcome::Success,
            "error" => Outcome::ServerError,
            "ignored" => Outcome::Faulted,
            other => panic!("outcome {other}"),
        };
        let latency = Duration::from_millis(step["duration_ms"].as_u64().unwrap_or(0));
        self.breaker.record(ticket, outcome, latency, self.now());
    }

    fn force(&mut self, to: &str) {
        let now = self.now();
        match to {
            "OPEN" => self.breaker.trip(now),
            "RESET" => self.breaker.reset(now),
            "FORCED_OPEN" => self.breaker.obey(BreakerMode::ForcedOpen, now),
            "DISABLED" => self.breaker.obey(BreakerMode::Disabled, now),
            // Nobody orders that from us, so the wait goes by, and a request that proves nothing comes.
            "HALF_OPEN" => {
                self.now_ms += self.wait_ms.next_multiple_of(1_000) + 1_000;
                let first = self.admit().unwrap();
                self.record(first, &Value::Null);
            }
            other => panic!("force {other}"),
        }
    }

    /// Does a step; what differs from the answer afterwards.
    fn step(&mut self, step: &Value) -> Option<String> {
        let mut permitted = None;
        match step["op"].as_str().unwrap() {
            "call" => {
                let ticket = self.admit();
                permitted = Some(ticket.is_some());
                if let Some(ticket) = ticket {
                    self.record(ticket, step);
                }
            }
            "acquire" => {
                let ticket = self.admit();
                permitted = Some(ticket.is_some());
                self.tickets.extend(ticket);
            }
            "finish" | "release" => {
                let ticket = self.tickets.pop().unwrap();
                self.record(ticket, step);
            }
            "advance" => self.now_ms += step["ms"].as_u64().unwrap(),
            "force" => self.force(step["to"].as_str().unwrap()),
            other => panic!("step {other}"),
        }
        self.differs(step, permitted)
    }

    fn differs(&mut self, step: &Value, permitted: Option<bool>) -> Option<String> {
        let now = self.now();
        for change in self.breaker.take_changes() {
            match change.to {
                // The refusal that came with a change came after it.
                BreakerState::Closed | BreakerState::Probing => {
                    self.refused = u64::from(permitted == Some(false));
                }
                BreakerState::Open | BreakerState::Ramping => {}
            }
        }
        let state = match step["state"].as_str().unwrap() {
            "CLOSED" | "DISABLED" => BreakerState::Closed,
            "OPEN" | "FORCED_OPEN" => BreakerState::Open,
            "HALF_OPEN" => BreakerState::Probing,
            other => panic!("state {other}"),
        };
        let count = |name: &str| u32::try_from(step[name].as_u64().unwrap()).unwrap();
        let tally = Tally {
            total: count("buffered"),
            failed: count("failed"),
            slow: count("slow"),
        };
        let theirs = (
            state,
            step["permitted"].as_bool(),
            tally,
            step["not_permitted"].as_u64().unwrap(),
        );
        let seen = self.breaker.seen(now);
        let ours = (self.breaker.state(now), permitted, seen, self.refused);
        for (part, rate) in [(seen.failed, "failure_rate"), (seen.slow, "slow_rate")] {
            let rate = step[rate].as_f64().unwrap();
            let own = 100.0 * f64::from(part) / f64::from(seen.total.max(1));
            if 0.0 <= rate && 1e-4 < (rate - own).abs() {
                return Some(format!("rate {own}, theirs {rate}"));
            }
        }
        (ours != theirs).then(|| format!("ours {ours:?}, theirs {theirs:?}"))
    }
}

/// The first step of a scenario after which something differs.
fn difference(scenario: &Value, manner: Value) -> Option<String> {
    let mut run = Run::new(limits(&scenario["config"], manner));
    let steps = scenario["steps"].as_array().unwrap();
    steps.iter().enumerate().find_map(|(at, step)| {
        let differs = run.step(step)?;
        Some(format!("{} step {at}: {differs}", scenario["name"]))
    })
}

#[test]
fn with_its_manner_every_step_of_every_scenario_is_that_of_resilience4j() {
    let Some(scenarios) = scenarios() else { return };
    let differences: Vec<String> = scenarios
        .iter()
        .filter_map(|scenario| difference(scenario, manner()))
        .collect();
    assert!(
        differences.is_empty(),
        "{} of {SCENARIOS} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// Each setting is there for a reason: with our way instead, some scenarios end differently.
#[test]
fn each_setting_alone_makes_a_difference() {
    let Some(scenarios) = scenarios() else { return };
    for (setting, ours) in [
        ("threshold", "exceeded"),
        ("verdict", "first_failure"),
        ("late", "ignored"),
        ("wake", "on_time"),
        ("lost", "replaced"),
    ] {
        let mut manner = manner();
        manner[setting] = ours.into();
        // A limit of the whole can only be reached.
        let comparable = scenarios.iter().filter(|scenario| {
            serde_json::from_value::<BreakerRule>(limits(&scenario["config"], manner.clone()))
                .is_ok()
        });
        let different = comparable
            .filter(|scenario| difference(scenario, manner.clone()).is_some())
            .count();
        assert_ne!(different, 0, "{setting}");
        println!("{setting} {ours}: {different} differ");
    }
}
