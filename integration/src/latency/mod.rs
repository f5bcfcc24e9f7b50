//! `cargo xtask bench latency`: what a filter costs each request.
//!
//! One Envoy with one worker has one listener for each variant, so that all
//! share the thread, its memory and its caches. What is compared are neighbouring slices of
//! requests, by the worker's own time on the processor: see [`sloop_bench::paired`].
//! `bench/README.md` says the method in whole.

mod account;
mod config;
mod lanes;
mod live;
mod machine;
mod reports;
mod result;
mod table;
mod variants;

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use sloop_bench::closed::Sink;
use sloop_bench::cpus::Shares;
use sloop_bench::paired::PAIRS_MIN;
use sloop_bench::schedstat::{Stolen, Thread};
use tokio::sync::oneshot;

pub use live::Live;
pub use result::{Machine, Report, Row, Settings};
pub use table::table;
pub use variants::{AGAIN, BASELINE, Modules, NAIVE, SLOOP_ALL, Trace, Variant, all, choose};

use lanes::{Lane, Lanes};
use reports::Reports;

use crate::envoy::{Envoy, Options};
use crate::ports::free_address;

/// What Envoy calls its first worker's thread.
const WORKER: &str = "wrk:worker_0";

/// Measures `variants`, the first of which is the baseline.
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
    let shares = Shares::of_this_machine();
    if let Some(shares) = &shares {
        // Before anything is started, which then goes where this process is.
        shares.pin(std::process::id(), None)?;
    }
    let sink = Sink::start().context("starting the service")?;
    let reports = Reports::start().await?;
    let mut stage = Stage::start(&variants, sink.address(), reports.address()).await?;
    let (id, worker) = stage.worker()?;
    if let Some(shares) = &shares {
        shares.pin(id, Some(worker.id()))?;
    }
    let stolen = Stolen::now();
    live.say(&format!("measuring {} variants", variants.len()));
    let addresses = stage.listeners.clone();
    let lanes = on_thread(move || {
        let lanes = variants.into_iter().zip(addresses);
        let lanes = lanes.map(|(variant, address)| Lane::open(variant, address));
        let lanes = lanes.collect::<anyhow::Result<_>>()?;
        run(
            Lanes::new(lanes, worker, settings.seed),
            settings,
            &mut live,
        )
    })
    .await?;
    let stolen = stolen
        .zip(Stolen::now())
        .map(|(before, after)| after.share_since(before));
    account::settle(&stage.envoy, &reports, &lanes).await?;
    let machine = Machine {
        shares,
        stolen,
        ..machine::of(&stage.envoy).await?
    };
    stage.envoy.stop().await?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let made_ms = u64::try_from(since.as_millis())?;
    Report::of(&lanes, settings, machine, made_ms).context("too few rounds for an interval")
}

/// The Envoy that is measured.
#[derive(Debug)]
struct Stage {
    envoy: Envoy,
    listeners: Vec<SocketAddr>,
}

impl Stage {
    async fn start(
        variants: &[Variant],
        upstream: SocketAddr,
        reports: SocketAddr,
    ) -> anyhow::Result<Self> {
        let listeners: Vec<SocketAddr> = variants
            .iter()
            .map(|_| free_address())
            .collect::<anyhow::Result<_>>()?;
        let pairs: Vec<_> = variants.iter().zip(listeners.iter().copied()).collect();
        let config = config::config(config::Around { upstream, reports }, &pairs);
        let options = Options {
            name: "the measured Envoy".to_owned(),
            concurrency: 1,
            log_level: "warning".to_owned(),
            ..Options::default()
        };
        let envoy = Envoy::start_with(&config, options).await?;
        Ok(Self { envoy, listeners })
    }

    /// The process and its worker.
    fn worker(&mut self) -> anyhow::Result<(u32, Thread)> {
        let id = self.envoy.process().id();
        Ok((id, Thread::named(id, WORKER)?))
    }
}

fn run(mut lanes: Lanes, settings: Settings, live: &mut Live) -> anyhow::Result<Vec<Lane>> {
    lanes.warm_up()?;
    for round in 0..settings.rounds {
        lanes.round()?;
        live.round(round + 1, settings.rounds, &lanes.lanes);
    }
    live.clear();
    Ok(lanes.lanes)
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
