//! `cargo xtask bench latency`: what a filter costs each request.
//!
//! One Envoy with one worker has a listener for each variant, so that all
//! share the thread, its memory and its caches. What is compared are neighbouring slices of
//! requests, by the worker's own time on the processor ([`sloop_bench::paired`]), or the
//! instructions that it executes ([`sloop_bench::callgrind`]).
//! `bench/README.md` says the method in whole.

mod account;
mod aims;
mod compare;
mod config;
mod features;
mod filters;
mod first;
mod growth;
mod instructions;
mod lanes;
mod live;
pub(crate) mod machine;
mod open;
mod proof;
mod push;
mod quiet;
mod raw;
mod reports;
mod result;
mod rounds;
mod running;
mod schema;
mod settings;
mod shown;
mod spin;
mod stage;
mod standing;
mod table;
mod variants;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use sloop_bench::closed::{Certificate, Dial};
use sloop_bench::paired::PAIRS_MIN;
use sloop_bench::schedstat::Stolen;
use tokio::sync::oneshot;

pub use aims::{Aim, Aims, Counts, EVERYTHING_ON, REFUSED, Verdict as AimVerdict};
pub use compare::{Compared, Comparison, Verdict, compare};
pub use config::Service;
pub use first::First;
pub use growth::{Growth, Point};
pub use instructions::{Counted, Instructions, instructions};
pub use live::Live;
pub use open::{
    Check, OpenPair, OpenReport, OpenRow, OpenSettings, Percentiles, Spread, Told, usual,
};
pub use proof::{Proof, proofs, with_known_costs};
pub use push::{PushReport, Pushed};
pub use quiet::Priority;
pub use result::{Machine, Report, Row};
pub use running::{Running, running};
pub use schema::schema;
pub use settings::{Beside, Settings};
pub use shown::{hgrm, html, markdown};
pub use spin::spinning;
pub use standing::{Resident, Standing, StandingRow, standing};
pub use table::{instructions_table, table};
pub use variants::{
    AGAIN, BASELINE, Modules, NAIVE, SLOOP_ALL, Trace, Tracer, Variant, all, another, apart, choose,
};

use lanes::{Lane, Lanes, WARM_UP};
use quiet::Quiet;
use rounds::Unsure;
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

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is compared; the first is the baseline.
    pub variants: Vec<Variant>,
    /// Names of those whose latency is measured too, the baseline among them.
    pub open: Vec<String>,
    /// The modules that what is beside the variants needs; without them it is left out.
    pub modules: Option<Modules>,
    /// How to measure.
    pub settings: Settings,
}

/// Measures what a plan says. When processor time cannot be told, the rest is not measured.
///
/// # Errors
///
/// When Envoy does not start, or a variant does not do what it is said to do. Numbers
/// that cannot be used are no error, but said in the report.
pub async fn measure(plan: Plan, mut live: Live) -> anyhow::Result<Report> {
    let settings = plan.settings;
    let beside = settings.beside.growth_rounds;
    let asked = [
        Some(settings.rounds),
        settings.open.map(|open| open.rounds),
        (0 < beside).then_some(beside),
    ];
    let few = asked
        .into_iter()
        .flatten()
        .find(|rounds| *rounds < PAIRS_MIN);
    if let Some(rounds) = few {
        bail!("{rounds} rounds are too few; at least {PAIRS_MIN} are needed");
    }
    // As long as this process, and what it starts, is one of many.
    let standing = standing_of(&plan, &mut live).await?;
    let quiet = Quiet::new(settings.priority);
    let options = Options::default();
    let certificate = settings.tls.then(Certificate::for_loopback).transpose()?;
    let tls = certificate.as_ref();
    let mut stage = Stage::start_with(&plan.variants, settings.service, tls, options).await?;
    quiet.give_way(&mut stage)?;
    let dial = match tls {
        Some(certificate) => Dial::tls(settings.protocol, certificate)?,
        None => Dial::plain(settings.protocol),
    };
    let lanes = stage.lanes(&dial, settings.seed).await?;
    let before = Stolen::now();
    live.say(&format!(
        "measuring {} variants; {}",
        plan.variants.len(),
        quiet.describe()
    ));
    let (mut lanes, mut live) = on_thread(move || run(lanes, settings, live)).await?;
    let machine = Machine {
        shares: quiet.shares.clone(),
        is_real_time: quiet.is_real_time(),
        stolen: stolen_since(before),
        ..machine::of(&stage.envoy).await?
    };
    let report = Report::of(&lanes, settings, machine, made_ms()?);
    let mut report = report.context("too few rounds for an interval")?;
    report.standing = standing;
    if let Some(open) = settings.open.filter(|_| report.is_usable()) {
        let (latency, back) = open_loop(&stage, &mut lanes, &plan, open, live).await?;
        report.latency = Some(latency);
        live = back;
    }
    stage.settle(&lanes).await?;
    stage.envoy.stop().await?;
    if let Some(modules) = plan.modules.as_ref().filter(|_| report.is_usable()) {
        beside_of(&mut report, &plan.variants, modules, &quiet, &mut live).await?;
    }
    report.see_what_was_stolen(stolen_since(before));
    report.aims = Aims::of(&report).filter(|_| report.is_usable());
    Ok(report)
}

/// Start and memory of what the plan has modules of, if it asks for them.
async fn standing_of(plan: &Plan, live: &mut Live) -> anyhow::Result<Option<Standing>> {
    let starts = plan.settings.beside.starts;
    let Some(modules) = plan.modules.as_ref().filter(|_| 0 < starts) else {
        return Ok(None);
    };
    let residents = standing::residents(modules)?;
    Ok(Some(standing(&residents, starts, live).await?))
}

/// The latency of the variants that are in the plan, over the listeners of `stage`; what they were sent is added to `lanes`.
async fn open_loop(
    stage: &Stage,
    lanes: &mut [Lane],
    plan: &Plan,
    settings: OpenSettings,
    live: Live,
) -> anyhow::Result<(OpenReport, Live)> {
    let variants = stage.addresses(&plan.open);
    let names: Vec<String> = variants.iter().map(|(one, _)| one.name.clone()).collect();
    let request = lanes::request("");
    let done = open_lanes(variants, request, settings, plan.settings.seed, live).await?;
    let (report, sent, live) = done;
    for (name, sent) in names.iter().zip(sent) {
        let lane = lanes.iter_mut().find(|lane| lane.variant.name == *name);
        if let Some(lane) = lane {
            lane.sent += sent;
        }
    }
    Ok((report, live))
}

/// The latency of variants that listen there, and what each was sent.
async fn open_lanes(
    variants: Vec<(Variant, SocketAddr)>,
    request: Vec<u8>,
    settings: OpenSettings,
    seed: u64,
    mut live: Live,
) -> anyhow::Result<(OpenReport, Vec<u64>, Live)> {
    live.say(&format!(
        "measuring the latency of {} variants at {} requests a second",
        variants.len(),
        settings.rate
    ));
    on_thread(move || {
        let (report, sent) = open::measure(variants, &request, settings, seed, &mut live)?;
        Ok((report, sent, live))
    })
    .await
}

/// What is measured beside the variants, each on Envoys of its own.
async fn beside_of(
    report: &mut Report,
    variants: &[Variant],
    modules: &Modules,
    quiet: &Quiet,
    live: &mut Live,
) -> anyhow::Result<()> {
    let (beside, seed) = (report.settings.beside, report.settings.seed);
    if 0 < beside.growth_rounds {
        report.growth = growth::measure(modules, beside.growth_rounds, seed, quiet, live).await?;
    }
    if 0 < beside.starts {
        report.first = first::measure(variants, beside.starts, quiet, live).await?;
    }
    if 0 < beside.pushes {
        report.push = Some(push::measure(modules, beside.pushes, seed, quiet, live).await?);
    }
    Ok(())
}

/// As many pairs as are planned, then more of those that are not sure yet, for as long as the settings allow.
fn run(mut lanes: Lanes, settings: Settings, mut live: Live) -> anyhow::Result<(Vec<Lane>, Live)> {
    lanes.warm_up(WARM_UP)?;
    live.begin();
    let begun = Instant::now();
    let more_max = Duration::from_secs(settings.more_s);
    let more = match settings.more_s {
        0 => String::new(),
        seconds => format!(", then at most {seconds} s more for ratios that are not sure"),
    };
    for round in 0..settings.rounds {
        lanes.round()?;
        live.round(round + 1, settings.rounds, &more, &lanes.lanes);
    }
    let per_pair = begun.elapsed() / u32::try_from(lanes.pairs().max(1))?;
    let until = Instant::now() + more_max;
    let remains = || until.saturating_duration_since(Instant::now());
    if let Some(unsure) = unsure_of(&lanes, settings.rounds) {
        for round in 0.. {
            let going = unsure.lanes(round);
            if going.is_empty() || remains().is_zero() {
                break;
            }
            let left = unsure.left(round, per_pair, remains());
            live.more(going.len(), left, &lanes.lanes);
            lanes.round_of(going)?;
        }
    }
    live.clear();
    Ok((lanes.lanes, live))
}

/// Which lanes are not sure yet, if any.
fn unsure_of(lanes: &Lanes, planned: usize) -> Option<Unsure> {
    let known: Vec<_> = lanes.lanes.iter().map(Lane::known).collect();
    rounds::unsure(&known, planned)
}

fn stolen_since(before: Option<Stolen>) -> Option<f64> {
    let (before, now) = before.zip(Stolen::now())?;
    Some(now.share_since(before))
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
