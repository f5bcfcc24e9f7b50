//! How often experiments err, and how soon they are right: many of them through the real controllers and the real data plane, in virtual
//! time, with effects that are known. A few by default; with `SLOOP_LONG` of 1 and more, best with `--release`, as many as the numbers in the
//! README of the control plane are from.
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::json;
use sloop_controllers::{ExperimentPhase, ExperimentStatus, ExperimentVerdict};
use sloop_sim::{STUMBLE, Sim, Upstream};

/// What is bad whether or not a fault is there: both arms have it.
const FAILING: f64 = 0.02;
/// When the first request comes.
const BEGIN_MS: u64 = 1_700_000_123_456;
/// Before faults begin: there must be an error budget to spend of.
const WARM_UP_MS: u64 = 40_000;
/// A minute that a run may wait until it begins, and what the last reports take.
const AROUND: Duration = Duration::from_secs(90);

/// Many runs of one experiment.
struct Trial {
    /// Tolerated, in ten-thousandths.
    tolerance: u16,
    /// How many more requests are bad under the fault, as a share.
    effect: f64,
    /// The longest that a run may last.
    lasting_ms: u64,
}

impl Trial {
    /// The run of the seed, until it is over: two sidecars with 60 requests a second together, a fifth of them in each arm.
    fn run(&self, seed: u64) -> ExperimentStatus {
        let objective = json!({"target": 900_000_000, "source":
            {"service": "payments", "route": "any", "side": "server", "indicator": {}}});
        let slo = json!({
            "name": "pay", "service": "payments", "mode": "monitored",
            "window": {"rolling": 2_592_000_000_u64}, "budgeting": "occurrences",
            "objectives": [objective],
        });
        let fault = json!({"id": "x", "share": 2_000, "expires_at_ms": 0,
            "headers": {"set": [[STUMBLE, "1"]], "remove": []}});
        let experiment = json!({
            "name": "known",
            "hypothesis": [{"slo": "pay", "tolerance": self.tolerance}],
            "faults": [fault],
            "targets": [{"service": "payments", "route": "any", "side": "server"}],
            "control": 2_000,
            "lasting_ms": self.lasting_ms,
            "budget": 10_000,
            "schedule": {"at": [BEGIN_MS + WARM_UP_MS]},
            "seed": seed,
        });
        let mut sim = Sim::new(seed, &[30.0; 2])
            .intent("SLO/pay", "slo", &slo)
            .intent("ChaosExperiment/known", "chaos", &experiment);
        sim.upstreams(Upstream {
            failing: FAILING,
            // Of those that do not fail anyhow.
            stumbling: self.effect / (1.0 - FAILING),
            latency: Duration::from_millis(10),
        });
        let longest = Duration::from_millis(WARM_UP_MS + self.lasting_ms) + AROUND;
        while sim.now() < longest {
            sim.run(Duration::from_secs(1));
            if let Some(run) = sim.experiment("known")
                && run.phase == ExperimentPhase::Over
            {
                return run;
            }
        }
        panic!("seed {seed} is not over: {:?}", sim.experiment("known"))
    }

    /// So many runs, with seeds from `first` on, on all processors.
    fn runs(&self, first: u64, count: u64) -> Vec<ExperimentStatus> {
        let next = AtomicU64::new(0);
        let work = || {
            let mut runs = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if count <= number {
                    return runs;
                }
                runs.push(self.run(first + number));
            }
        };
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let runs = thread::scope(|scope| {
            let working: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            let done = working.into_iter().flat_map(|one| one.join().unwrap());
            done.collect::<Vec<_>>()
        });
        for run in &runs {
            assert!(
                run.started_at.is_some(),
                "seed {}: {}",
                run.seed,
                run.because
            );
        }
        runs
    }
}

fn is_long() -> bool {
    let is_long = |long: String| long.parse::<u64>().is_ok_and(|long| 1 <= long);
    std::env::var("SLOOP_LONG").is_ok_and(is_long)
}

/// How many runs `fit`.
fn count(runs: &[ExperimentStatus], fits: impl Fn(&ExperimentStatus) -> bool) -> u64 {
    runs.iter().filter(|run| fits(run)).count() as u64
}

fn is(verdict: ExperimentVerdict) -> impl Fn(&ExperimentStatus) -> bool {
    move |run| run.verdict == Some(verdict)
}

/// How long faults were there.
fn lasted(run: &ExperimentStatus) -> Duration {
    run.ended_at.unwrap().since(run.started_at.unwrap())
}

/// Whether the run was over before its time, whatever for.
fn is_stopped(run: &ExperimentStatus) -> bool {
    lasted(run) < Duration::from_millis(run.lasting_ms)
}

/// Why runs ended before their time, without the numbers, and how many.
fn reasons(runs: &[ExperimentStatus]) -> BTreeMap<String, u64> {
    let mut reasons = BTreeMap::new();
    for run in runs.iter().filter(|run| is_stopped(run)) {
        let mut events = run.events.iter().rev();
        let end = events.find_map(|event| event.what.strip_prefix("faults end: "));
        let why = end.unwrap_or("it did not begin").split(':').next();
        *reasons.entry(why.unwrap().to_owned()).or_default() += 1;
    }
    reasons
}

/// Whether the interval at the end contains `effect`.
fn contains(run: &ExperimentStatus, effect: f64) -> bool {
    let interval = run.comparisons.first().unwrap().interval;
    (interval.low..=interval.high).contains(&effect)
}

/// Where the effect is exactly what is tolerated, whatever a verdict says is wrong, and so is every early end.
#[test]
fn experiments_with_nothing_to_find_stop_falsely_at_most_five_times_in_a_hundred() {
    let aa = if is_long() { 10_000 } else { 40 };
    // Where nothing could decide it, the plan asks for no time; otherwise for almost two minutes.
    for (first, runs, (tolerance, effect), lasting_ms) in [
        (1, aa, (0, 0.0), 60_000),
        (500_001, aa / 4, (500, 0.05), 180_000),
    ] {
        let trial = Trial {
            tolerance,
            effect,
            lasting_ms,
        };
        let all = trial.runs(first, runs);
        let (broken, held) = (
            count(&all, is(ExperimentVerdict::Broken)),
            count(&all, is(ExperimentVerdict::Held)),
        );
        let stopped = count(&all, is_stopped);
        let missed = count(&all, |run| !contains(run, effect));
        println!(
            "{runs} runs with an effect of {effect} and a tolerance of as much, seeds from {first}: {stopped} stopped before \
             their time, {broken} broken, {held} held; {missed} intervals without the effect"
        );
        for (why, count) in reasons(&all) {
            println!("{count} ended: {why}");
        }
        assert!(20 * stopped <= runs, "{stopped} of {runs}");
        assert!(20 * missed <= runs, "{missed} of {runs}");
    }
}

/// The plan promises four of five, within the time that it states.
#[test]
fn experiments_with_a_known_effect_are_decided_within_the_time_that_the_plan_states() {
    let runs = if is_long() { 1_000 } else { 20 };
    for (first, effect, verdict) in [
        (1_000_001, 0.1, ExperimentVerdict::Broken),
        (2_000_001, 0.0, ExperimentVerdict::Held),
    ] {
        let trial = Trial {
            tolerance: 500,
            effect,
            lasting_ms: 240_000,
        };
        let all = trial.runs(first, runs);
        let in_time = count(&all, |run| {
            let expected_s = run.plan.unwrap().expected_s.unwrap();
            run.verdict == Some(verdict) && lasted(run).as_secs_f64() <= expected_s
        });
        let right = count(&all, is(verdict));
        let missed = count(&all, |run| !contains(run, effect));
        let mean =
            |of: &dyn Fn(&ExperimentStatus) -> f64| all.iter().map(of).sum::<f64>() / runs as f64;
        let lasted = mean(&|run| lasted(run).as_secs_f64());
        let planned = mean(&|run| run.plan.unwrap().expected_s.unwrap());
        println!(
            "{runs} runs with an effect of {effect} against 5 %, seeds from {first}: {in_time} {verdict:?} within the time of the \
             plan, {right} in all; {lasted:.1} s on average of {planned:.1} s planned; {missed} intervals without the effect"
        );
        assert!(4 * runs <= 5 * in_time, "{in_time} of {runs}");
        assert!(20 * missed <= runs, "{missed} of {runs}");
    }
}
