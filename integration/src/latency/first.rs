//! The first request after Envoy has started: who pays for what is made on demand.

use std::time::{Duration, Instant};

use anyhow::Context;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_bench::paired::{Estimate, median};

use super::live::Live;
use super::on_thread;
use super::quiet::Quiet;
use super::stage::Stage;
use super::variants::{BASELINE, NAIVE, SLOOP_ALL, Variant};
use crate::envoy::Options;

/// Whose first requests are measured.
const OF: [&str; 3] = [BASELINE, NAIVE, SLOOP_ALL];
/// Requests after the first, one after the other; the median of the last half is how long one takes later.
const LATER: usize = 200;

/// How long the first request takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct First {
    /// The variant.
    pub name: String,
    /// From sending the first request of the worker to its whole answer, in nanoseconds; from the fastest to the slowest start.
    pub first_ns: Estimate,
    /// The same for requests that come later, one after the other.
    pub later_ns: f64,
    /// How often Envoy was started.
    pub starts: usize,
}

/// Starts an Envoy `starts` times for each variant, in turn.
pub(super) async fn measure(
    variants: &[Variant],
    starts: usize,
    quiet: &Quiet,
    live: &mut Live,
) -> anyhow::Result<Vec<First>> {
    let measured: Vec<&Variant> = OF
        .iter()
        .filter_map(|name| variants.iter().find(|one| one.name == *name))
        .collect();
    live.say("measuring the first request after a start");
    let mut took = vec![Vec::new(); measured.len()];
    for _ in 0..starts {
        for (variant, took) in measured.iter().zip(&mut took) {
            took.push(one(variant, quiet).await?);
        }
    }
    let first = measured.into_iter().zip(took).map(|(variant, took)| {
        let (first, later): (Vec<f64>, Vec<f64>) = took.into_iter().unzip();
        let first_ns = Estimate {
            low: first.iter().copied().reduce(f64::min)?,
            median: median(&first)?,
            high: first.iter().copied().reduce(f64::max)?,
        };
        Some(First {
            name: variant.name.clone(),
            first_ns,
            later_ns: median(&later)?,
            starts,
        })
    });
    let first: Option<Vec<First>> = first.collect();
    first.context("0 starts are too few; at least 1 is needed")
}

/// The first request of an Envoy, and half of the later ones, in nanoseconds.
async fn one(variant: &Variant, quiet: &Quiet) -> anyhow::Result<(f64, f64)> {
    let mut stage = Stage::start(std::slice::from_ref(variant), Options::default()).await?;
    quiet.give_way(&mut stage)?;
    let mut asker = stage.asker()?;
    let took = on_thread(move || {
        let first = ask(&mut asker)?;
        let later: Vec<f64> = (0..LATER)
            .map(|_| Ok(ask(&mut asker)?.as_secs_f64() * 1e9))
            .collect::<anyhow::Result<_>>()?;
        let settled = later.get(LATER / 2..).unwrap_or_default();
        let later = median(settled).context("no later request")?;
        Ok((first.as_secs_f64() * 1e9, later))
    })
    .await?;
    stage.envoy.stop().await?;
    Ok(took)
}

fn ask(asker: &mut super::lanes::Asker) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    asker.ask()?;
    Ok(begun.elapsed())
}
