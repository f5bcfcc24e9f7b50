//! `cargo xtask bench fleet`: many sidecars and one control plane.
//!
//! The control plane is the program `sloop` as it ships, in a process of its own, so its
//! processor time and memory are the kernel's counts. The sidecars are those of
//! [`sloop_bench::fleet`], all in this process and on the same machine, and a few real
//! Envoys among them. `bench/README.md` says the method in whole.

mod documents;
mod envoys;
mod plane;
mod result;
mod shown;
mod soak;
mod stage;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use sloop_bench::Quantile;
use sloop_bench::fleet::{Pace, Reporting, Variant};
use tokio::runtime::Handle;

pub use plane::Programs;
pub use result::{
    Connect, Envoys, Machine, Memory, Push, Pushed, Report, Reports, Run, Soak, Storm,
};
pub use shown::{html, markdown, table};

use documents::Size;
use envoys::RealEnvoys;
use result::{SCHEMA, ms};
use stage::{Shape, Stage};

/// Between two pushes: more than the least that a control plane leaves there.
const PUSH_GAP: Duration = Duration::from_millis(1_200);

/// After which memory is looked at: what was freed is given back, and what was under way is over.
const SETTLE: Duration = Duration::from_secs(2);

/// Connections over which reports come densely, and VMs on each: as many calls as a connection may carry,
/// less the one that is discovery's.
const DENSE: (usize, usize) = (16, 60);

/// Nodes that report at once when each wakes a stream of its own: fewer than the control plane lets wait.
const APART_MAX: usize = 3_000;

/// How long reports come before they are counted.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long the first answer to a report may take.
const REPORT_MAX: Duration = Duration::from_secs(30);

/// How long nodes may take to come back from a storm, and then to have a push: longer than the longest pause of Envoy's.
const STORM_MAX: Duration = Duration::from_secs(60);

/// Reports a second while pushes go on.
const BESIDE_PUSHES: f64 = 20_000.0;

/// What to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Simulated nodes.
    pub nodes: usize,
    /// How they speak, in turn.
    pub variants: Vec<Variant>,
    /// Bytes of what each says about itself.
    pub node_bytes: usize,
    /// Pushes.
    pub pushes: usize,
    /// How long reports of each kind are measured; zero leaves them out.
    pub reports: Duration,
    /// Whether all of them vanish and come back.
    pub storm: bool,
    /// Real Envoys among them; none with `tls`.
    pub envoys: usize,
    /// Whether they show certificates of a few identities, over TLS 1.3.
    pub tls: bool,
    /// Which nodes go, and who waits for how long, is drawn from it.
    pub seed: u64,
}

impl Settings {
    /// A fleet of `nodes` that does all there is.
    #[must_use]
    pub fn of(nodes: usize) -> Self {
        Self {
            nodes,
            variants: vec![Variant::Delta],
            node_bytes: 0,
            pushes: 9,
            reports: Duration::from_secs(5),
            storm: true,
            envoys: 0,
            tls: false,
            seed: 7,
        }
    }

    fn shape(&self) -> Shape {
        Shape {
            nodes: self.nodes,
            variants: self.variants.clone(),
            node_bytes: self.node_bytes,
            tls: self.tls,
            seed: self.seed,
        }
    }
}

/// Measures fleets one after the other, each with a control plane of its own in `folder`.
///
/// Blocks; `handle` is for what does not.
///
/// # Errors
///
/// When something does not start, or a node is not reached.
pub fn measure(
    programs: &Programs,
    fleets: &[Settings],
    soaks: Option<(Settings, Duration)>,
    folder: &Path,
    handle: &Handle,
) -> anyhow::Result<Report> {
    let machine = machine()?;
    let run = |settings: &Settings| {
        eprintln!("a fleet of {}", settings.nodes);
        run(programs, settings, folder.join("fleet"), handle.clone())
            .with_context(|| format!("a fleet of {}", settings.nodes))
    };
    let runs = fleets.iter().map(run).collect::<anyhow::Result<_>>()?;
    let soak = |(settings, time): (Settings, Duration)| {
        let stage = Stage::start(
            programs,
            &settings.shape(),
            folder.join("fleet"),
            handle.clone(),
        )?;
        soak::run(stage, time)
    };
    Ok(Report {
        schema: SCHEMA.to_owned(),
        made_ms: u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?,
        machine,
        runs,
        soak: soaks.map(soak).transpose()?,
    })
}

fn machine() -> anyhow::Result<Machine> {
    let machine = crate::latency::machine::with("{}")?;
    Ok(Machine {
        processor: machine.processor,
        processors: machine.processors,
        kernel: machine.kernel,
        load_before: machine.load,
    })
}

fn run(
    programs: &Programs,
    settings: &Settings,
    folder: PathBuf,
    handle: Handle,
) -> anyhow::Result<Run> {
    let mut stage = Stage::start(programs, &settings.shape(), folder.clone(), handle)?;
    let nodes = settings.nodes;
    let empty = stage.plane.memory()?;
    let each = |bytes: u64| bytes.saturating_sub(empty) as f64 / nodes.max(1) as f64;
    let (took, spent) = stage.spent(Stage::connect)?;
    let (cpu_us, own_cpu_us) = spent.each_us(nodes);
    let connect = Connect {
        all_ms: took.as_secs_f64() * 1e3,
        cpu_us,
        own_cpu_us,
        refused: stage.fleet.losses().refused,
    };
    stage.pass(SETTLE)?;
    let connected_bytes = each(stage.plane.memory()?);
    let envoys = RealEnvoys::start(settings.envoys, programs, &folder, &mut stage)?;
    let push = pushes(&mut stage, settings.pushes)?;
    stage.pass(SETTLE)?;
    let pushed_bytes = each(stage.plane.memory()?);
    let mut reports = Vec::new();
    let mut push_with_reports = None;
    if !settings.reports.is_zero() {
        reports = all_reports(&mut stage, settings.reports)?;
        let pushes = settings.pushes.min(5);
        let (push, beside) = beside_pushes(&mut stage, pushes)?;
        reports.push(beside);
        push_with_reports = Some(push);
    }
    let storm = settings
        .storm
        .then(|| storm(&mut stage, &each))
        .transpose()?;
    stage.pass(SETTLE)?;
    Ok(Run {
        nodes,
        variants: names(&settings.variants),
        node_bytes: settings.node_bytes,
        tls: settings.tls,
        connect,
        memory: Memory {
            empty_bytes: empty,
            connected_bytes,
            pushed_bytes,
            end_bytes: each(stage.plane.memory()?),
        },
        push,
        reports,
        push_with_reports,
        storm,
        envoys: envoys.map(|envoys| envoys.end(&mut stage)).transpose()?,
    })
}

fn names(variants: &[Variant]) -> String {
    let name = |variant: &Variant| match variant {
        Variant::Sotw => "state of the world",
        Variant::Delta => "delta",
    };
    variants.iter().map(name).collect::<Vec<_>>().join(" and ")
}

fn pushes(stage: &mut Stage, count: usize) -> anyhow::Result<Push> {
    let mut pushes = Vec::new();
    let mut spent_us = (0.0, 0.0);
    for _ in 0..count {
        stage.pass(PUSH_GAP)?;
        let since = stage.plane.last_event()?;
        let (pushed, spent) = stage.spent(|stage| {
            let pushed = stage.push(since)?;
            // The last acknowledgements are on their way.
            stage.pass(Duration::from_millis(200))?;
            Ok(pushed)
        })?;
        let (plane, own) = spent.each_us(stage.fleet.len() * count);
        spent_us = (spent_us.0 + plane, spent_us.1 + own);
        pushes.push(pushed);
    }
    Ok(Push {
        bytes: stage.fleet.response_bytes(),
        pushes,
        cpu_us: spent_us.0,
        own_cpu_us: spent_us.1,
    })
}

/// Reports in three ways, each as fast as they are taken.
fn all_reports(stage: &mut Stage, time: Duration) -> anyhow::Result<Vec<Reports>> {
    let nodes = stage.fleet.len();
    let (dense, each) = (DENSE.0.min(nodes), DENSE.1);
    let ways = [
        ("dense", Size::Small, dense, each),
        ("dense, 1 KiB", Size::Kilobyte, dense, each),
        (
            "each on its own connection",
            Size::Small,
            nodes.min(APART_MAX),
            1,
        ),
    ];
    let mut all = Vec::new();
    for (name, size, nodes, each) in ways {
        let plan = Reporting {
            counts: documents::counts(size),
            nodes,
            each,
            pace: Pace::AtOnce,
        };
        let ((), reports) = reporting(stage, name, plan, |stage| stage.pass(time))?;
        all.push(reports);
    }
    Ok(all)
}

/// Pushes while reports of 1 KiB come from all nodes.
fn beside_pushes(stage: &mut Stage, count: usize) -> anyhow::Result<(Push, Reports)> {
    let plan = Reporting {
        counts: documents::counts(Size::Kilobyte),
        nodes: stage.fleet.len(),
        each: 1,
        pace: Pace::PerSecond(BESIDE_PUSHES),
    };
    reporting(stage, "1 KiB, beside pushes", plan, |stage| {
        pushes(stage, count)
    })
}

/// What reports by this plan cost and come to, while `meanwhile`.
fn reporting<T>(
    stage: &mut Stage,
    name: &str,
    plan: Reporting,
    meanwhile: impl FnOnce(&mut Stage) -> anyhow::Result<T>,
) -> anyhow::Result<(T, Reports)> {
    let (nodes, each, bytes) = (plan.nodes, plan.each, plan.counts.len());
    stage.fleet.report(Some(plan));
    // It begins when all are on their way: buffers have grown, and queues are as long as they get.
    stage.pass(WARM_UP)?;
    stage.fleet.count_reports_anew();
    let begun = std::time::Instant::now();
    let (done, spent) = stage.spent(|stage| {
        let done = meanwhile(stage)?;
        // Where answers take longer than it was to last, it lasts until there is one to what was sent meanwhile.
        stage.wait(REPORT_MAX, |fleet| {
            fleet.reported().latency(Quantile::P50).is_some()
        })?;
        Ok(done)
    })?;
    let (took, became) = (begun.elapsed(), stage.fleet.report(None));
    // What is under way is answered before the next.
    stage.until("reports are answered", |fleet| fleet.awaited() == 0)?;
    let taken = became.taken;
    let (cpu_us, _own) = spent.each_us(usize::try_from(taken)?);
    let reports = Reports {
        name: name.to_owned(),
        nodes,
        each,
        bytes,
        per_second: taken as f64 / took.as_secs_f64(),
        cpu_us,
        p50_ms: ms(became.latency(Quantile::P50)),
        p99_ms: ms(became.latency(Quantile::P99)),
        refused: became.refused,
        skipped: became.skipped,
    };
    Ok((done, reports))
}

fn storm(stage: &mut Stage, each: &impl Fn(u64) -> f64) -> anyhow::Result<Storm> {
    let (all, before) = (stage.fleet.len(), stage.fleet.losses());
    let (took, spent) = stage.spent(|stage| {
        stage.fleet.vanish(all);
        stage.fleet.connect(usize::MAX);
        stage.wait(STORM_MAX, |fleet| fleet.accepted() == all)
    })?;
    let back = stage.fleet.accepted();
    let bytes = each(stage.plane.memory()?);
    // Who is lost is counted, not waited for without end.
    let versions = stage.fleet.versions();
    stage.plane.change()?;
    stage.wait(STORM_MAX, |fleet| {
        versions < fleet.versions() && fleet.at_newest() == all
    })?;
    let is_pushed = versions < stage.fleet.versions();
    let losses = stage.fleet.losses();
    Ok(Storm {
        all_ms: took.as_secs_f64() * 1e3,
        cpu_us: spent.each_us(all).0,
        refused: losses.refused - before.refused,
        ended: losses.ended - before.ended,
        back,
        reached: if is_pushed {
            stage.fleet.at_newest()
        } else {
            0
        },
        bytes,
    })
}
