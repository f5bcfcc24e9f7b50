//! From a push to its being in force, and what traffic feels meanwhile.
//!
//! Our control plane pushes to one Envoy over gRPC: Sloop's configuration as an extension (ECDS), a table
//! of 1,000 routes (RDS), and a listener (LDS). Each push changes the status of an answer that Envoy gives itself; a
//! prober asks all the time, and the first answer with the other status ends the clock.

mod plane;
mod prober;

use anyhow::Context;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_bench::paired::median;

use super::live::Live;
use super::quiet::Quiet;
use super::variants::Modules;
use super::{on_thread, stage};
use crate::envoy::{Envoy, Options};
use crate::ports::free_address;
use plane::{Plane, Statuses};
use prober::Prober;

/// Routes of the table that is pushed.
const ROUTES: usize = 1_000;

/// How long pushes take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushReport {
    /// By what is pushed.
    pub pushed: Vec<Pushed>,
}

/// How long one kind of push takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pushed {
    /// Its name.
    pub name: String,
    /// What is pushed.
    pub about: String,
    /// From the push to the end of the first answer that shows it, in milliseconds, in the order of time.
    pub all_ms: Vec<f64>,
    /// The median of them.
    pub p50_ms: f64,
    /// What nine of ten are within.
    pub p90_ms: f64,
    /// The longest.
    pub most_ms: f64,
    /// How long 99 of 100 requests take at most while nothing is pushed, in nanoseconds.
    pub quiet_p99_ns: f64,
    /// The same from each push until it is in force.
    pub meanwhile_p99_ns: f64,
}

/// What is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Extension,
    Routes,
    Listener,
}

impl What {
    const ALL: [Self; 3] = [Self::Extension, Self::Routes, Self::Listener];

    const fn name(self) -> &'static str {
        match self {
            Self::Extension => "ecds",
            Self::Routes => "rds_1000",
            Self::Listener => "lds",
        }
    }

    const fn about(self) -> &'static str {
        match self {
            Self::Extension => "Sloop's configuration, as an extension",
            Self::Routes => "a table of 1,000 routes, one of which changes",
            Self::Listener => "a listener, as new connections see it",
        }
    }
}

impl Pushed {
    /// `None` without pushes.
    fn of(what: What, all_ms: Vec<f64>, quiet_ns: &[f64], meanwhile_ns: &[f64]) -> Option<Self> {
        Some(Self {
            name: what.name().to_owned(),
            about: what.about().to_owned(),
            p50_ms: median(&all_ms)?,
            p90_ms: within(&all_ms, 0.9)?,
            most_ms: within(&all_ms, 1.0)?,
            quiet_p99_ns: within(quiet_ns, 0.99)?,
            meanwhile_p99_ns: within(meanwhile_ns, 0.99)?,
            all_ms,
        })
    }
}

/// The smallest value that this share of `values` does not exceed. `None` of nothing.
fn within(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    // Counting up avoids a cast: the first value that enough are at most.
    let needed = share * sorted.len() as f64;
    let reached = |(index, _): &(usize, &f64)| needed <= (index + 1) as f64;
    sorted
        .iter()
        .enumerate()
        .find(reached)
        .map(|(_, value)| *value)
}

/// Pushes each kind `pushes` times.
pub(super) async fn measure(
    modules: &Modules,
    pushes: usize,
    seed: u64,
    quiet: &Quiet,
    live: &mut Live,
) -> anyhow::Result<PushReport> {
    let plane = Plane::start(&modules.sloop).await?;
    let addresses = [free_address()?, free_address()?, free_address()?];
    plane.publish(Statuses::default(), addresses)?;
    let options = Options {
        name: "the Envoy that is pushed to".to_owned(),
        concurrency: 1,
        log_level: "warning".to_owned(),
        ..Options::default()
    };
    let mut envoy = Envoy::start_with(&plane.bootstrap(addresses), options).await?;
    let id = envoy.process().id();
    quiet.give_way_to(id, stage::worker(id)?.id())?;
    live.say("measuring pushes until they are in force");
    let report = on_thread(move || {
        let mut prober = Prober::new(plane, addresses, seed);
        prober.wait_until_all_answer()?;
        let pushed = What::ALL.map(|what| {
            let (all_ms, quiet_ns, meanwhile_ns) = prober.pushes(what, pushes)?;
            let pushed = Pushed::of(what, all_ms, &quiet_ns, &meanwhile_ns);
            pushed.context("0 pushes are too few; at least 1 is needed")
        });
        let pushed: anyhow::Result<Vec<Pushed>> = pushed.into_iter().collect();
        Ok(PushReport { pushed: pushed? })
    });
    let report = report.await?;
    envoy.stop().await?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_values_is_within_the_smallest_that_it_does_not_exceed() {
        let values: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        assert_eq!(within(&values, 0.9), Some(9.0));
        assert_eq!(within(&values, 0.99), Some(10.0));
        assert_eq!(within(&values, 1.0), Some(10.0));
        assert_eq!(within(&[], 0.5), None);
    }
}
