//! `cargo xtask bench latency`: what a filter costs each request.
//!
//! One Envoy with one worker has a listener for each variant, so that all
//! share the thread, its memory and its caches. What is compared are neighbouring slices of
//! requests, by the worker's own time on the processor ([`sloop_bench::paired`]), or the
//! instructions that it executes ([`sloop_bench::callgrind`]).
//! `bench/README.md` says the method in whole.

mod account;
mod config;
mod filters;
mod instructions;
mod lanes;
mod live;
mod machine;
mod quiet;
mod raw;
mod reports;
mod result;
mod stage;
mod table;
mod variants;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use sloop_bench::paired::PAIRS_MIN;
use sloop_bench::schedstat::Stolen;
use tokio::sync::oneshot;

pub use instructions::{Counted, Instructions, instructions};
pub use live::Live;
pub use quiet::Priority;
pub use result::{Machine, Report, Row, Settings};
pub use table::{instructions_table, table};
pub use variants::{AGAIN, BASELINE, Modules, NAIVE, SLOOP_ALL, Trace, Variant, all, choose};

use lanes::{Lane, Lanes, WARM_UP};
use quiet::Quiet;
use stage::Stage;

use crate::envoy::Options;

/// Writes the module of the variant `raw` into `folder`, and returns its path.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_raw(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("raw.wasm");
    std::fs::write(&path, raw::module()).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// Measures the processor time of `variants`, the first of which is the baseline.
///
/// # Errors
///
/// When Envoy does not start, or a variant does not do what it is said to do. Numbers
/// that cannot be used are no error, but said in the report.
pub async fn measure(
    variants: Vec<Variant>,
    settings: Settings,
    mut live: Live,
) -> anyhow::Result<Report> {
    if settings.rounds < PAIRS_MIN {
        bail!(
            "{} rounds are too few; at least {PAIRS_MIN} are needed",
            settings.rounds
        );
    }
    let quiet = Quiet::new(settings.priority);
    let mut stage = Stage::start(&variants, Options::default()).await?;
    quiet.give_way(&mut stage)?;
    let lanes = stage.lanes(settings.seed).await?;
    let before = Stolen::now();
    live.say(&format!(
        "measuring {} variants; {}",
        variants.len(),
        quiet.describe()
    ));
    let lanes = on_thread(move || run(lanes, settings, &mut live)).await?;
    let stolen = before
        .zip(Stolen::now())
        .map(|(before, after)| after.share_since(before));
    stage.settle(&lanes).await?;
    let machine = Machine {
        shares: quiet.shares.clone(),
        is_real_time: quiet.is_real_time(),
        stolen,
        ..machine::of(&stage.envoy).await?
    };
    stage.envoy.stop().await?;
    Report::of(&lanes, settings, machine, made_ms()?).context("too few rounds for an interval")
}

fn run(mut lanes: Lanes, settings: Settings, live: &mut Live) -> anyhow::Result<Vec<Lane>> {
    lanes.warm_up(WARM_UP)?;
    for round in 0..settings.rounds {
        lanes.round()?;
        live.round(round + 1, settings.rounds, &lanes.lanes);
    }
    live.clear();
    Ok(lanes.lanes)
}

fn made_ms() -> anyhow::Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_millis())?)
}

/// Runs what blocks. When nobody waits for it any more it ends with the process.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("generator".to_owned())
        .spawn(move || {
            // Who asked may be gone.
            drop(done.send(work()));
        })?;
    result.await.context("the generator crashed")?
}
