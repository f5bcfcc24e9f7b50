//! The demo of experiments: the shop, with `payments` slow for a tenth and broken for a fiftieth.
//!
//! Users draw the trace ids, so they know the arm of each of their requests without being told ([`arm_of`]): what they
//! see of both arms is the truth that the report's intervals must contain. That the arm that users compute is the one
//! that `payments` injects and `checkout` counts, two and three hops later, is what makes the arms sticky.

mod users;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use sloop_controllers::{ExperimentPhase, ExperimentStatus};
use sloop_dataplane::TraceId;
use sloop_dataplane::fault::arm_of;
use sloop_model::{Arm, ArmShares};

use super::live::Screen;
use super::stage::{Programs, Stage};
use crate::eventually::eventually;
pub use users::{Asked, Orders, Users};

/// Documents of the shop for experiments.
pub const DOCUMENTS: &str = include_str!("shop.yaml");
/// The experiment of the demo.
pub const EXPERIMENT: &str = include_str!("experiment.yaml");
/// Its name.
pub const NAME: &str = "payments-unwell";
/// Orders a second: what two busy cores serve without sweat.
const RATE: f64 = 60.0;
/// Before the experiment: an error budget needs some requests to be a share of.
const WARM_UP: Duration = Duration::from_secs(12);
/// Longer than the warm-up and the experiment; users go home when it is over.
const LASTING: Duration = Duration::from_secs(210);
/// A verdict comes a few seconds after the time of the experiment.
const OVER_WITHIN: Duration = Duration::from_secs(150);

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Experimented {
    /// The run, as the control plane has it.
    pub run: ExperimentStatus,
    /// What users saw of each fault, in the order of the faults.
    pub truths: Vec<Truth>,
    /// Where the report is.
    pub page: PathBuf,
    /// What the command line said.
    pub said: String,
}

/// What users saw of one fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// The fault.
    pub fault: String,
    /// Orders in its arm, and the bad among them.
    pub faulted: (u64, u64),
    /// Orders in its control arm, and the bad among them.
    pub control: (u64, u64),
    /// The share that was bad in the arm of the fault, less that in the control arm.
    pub effect: f64,
    /// What the report says the effect surely is.
    pub interval: (f64, f64),
}

impl Truth {
    /// Whether the report is right.
    #[must_use]
    pub fn is_contained(&self) -> bool {
        (self.interval.0..=self.interval.1).contains(&self.effect)
    }
}

/// Runs the experiment on a shop of its own below `folder`, by the command line.
///
/// # Errors
///
/// When something does not start or stops answering. What the experiment shows is a result, whatever it is.
pub async fn experiment(
    seed: u64,
    programs: &Programs,
    folder: &Path,
    screen: &mut Screen,
) -> anyhow::Result<Experimented> {
    let stage = Stage::start_with(DOCUMENTS, programs, folder).await?;
    screen.say("users order; the experiment begins when there is an error budget to spend of");
    let users = Users::new(stage.entry, RATE, LASTING, seed)?;
    let asked = users.asked();
    let start = Instant::now();
    let ordering = users.run(start);
    let experimenting = async {
        tokio::time::sleep(WARM_UP).await;
        command(programs, &stage, folder).await
    };
    let said = tokio::select! {
        said = experimenting => said?,
        () = ordering => anyhow::bail!("users went home before there was a result"),
    };
    screen.say("comparing with what users saw");
    let run = eventually(OVER_WITHIN, "the run is over", async || {
        let run: ExperimentStatus = stage.admin.experiment(NAME).await.ok()?;
        (run.phase == ExperimentPhase::Over).then_some(run)
    })
    .await?;
    Ok(Experimented {
        truths: truths(&run, &asked.taken())?,
        run,
        page: folder.join("pages").join(format!("{NAME}.html")),
        said,
    })
}

/// What `sloop chaos run` prints. Its verdict is its exit code; an error is an error.
async fn command(programs: &Programs, stage: &Stage, folder: &Path) -> anyhow::Result<String> {
    let document = folder.join("experiment.yaml");
    std::fs::write(&document, EXPERIMENT).context("writing the experiment")?;
    let output = tokio::process::Command::new(&programs.sloop)
        .args(["chaos", "run", "-f"])
        .arg(&document)
        .arg("--pages")
        .arg(folder.join("pages"))
        .args(["--admin", &format!("http://{}", stage.api)])
        // What it says while it waits is for whoever watches.
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting sloop chaos run")?
        .wait_with_output()
        .await
        .context("sloop chaos run")?;
    let is_verdict = matches!(output.status.code(), Some(0 | 4 | 5));
    anyhow::ensure!(is_verdict, "sloop chaos run: {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What users saw of each fault while it was surely in force.
///
/// # Errors
///
/// When the run has no beginning and end.
pub fn truths(run: &ExperimentStatus, asked: &[Asked]) -> anyhow::Result<Vec<Truth>> {
    let ran = run.started_at.zip(run.ended_at);
    let (from, to) = ran.with_context(|| format!("it did not run: {}", run.because))?;
    // Until the first push is in force everywhere, and from the last on, an order may meet it or not.
    let is_within = |one: &&Asked| {
        from.as_millis() + PUSHED_MS <= one.at_ms && one.at_ms + PUSHED_MS <= to.as_millis()
    };
    let asked: Vec<&Asked> = asked.iter().filter(is_within).collect();
    let mut truths = Vec::new();
    for (index, fault) in run.faults.iter().enumerate() {
        let of = |wanted: Arm| {
            let here = asked
                .iter()
                .filter(|one| arm(run, index, one.trace) == Some(wanted));
            let (all, bad): (Vec<_>, Vec<_>) = (
                here.clone().collect(),
                here.filter(|one| one.is_bad).collect(),
            );
            (all.len() as u64, bad.len() as u64)
        };
        let (faulted, control) = (of(Arm::Fault), of(Arm::Control));
        let share = |(all, bad): (u64, u64)| bad as f64 / all.max(1) as f64;
        let compared = run.comparisons.iter().find(|one| one.fault == index);
        let interval = compared.context("a fault was not compared")?.interval;
        truths.push(Truth {
            fault: fault.id.clone(),
            faulted,
            control,
            effect: share(faulted) - share(control),
            interval: (interval.low, interval.high),
        });
    }
    Ok(truths)
}

/// The arm of a trace under the fault at `index`, as filters see it: the first fault that chooses a request has it alone.
fn arm(run: &ExperimentStatus, index: usize, trace: TraceId) -> Option<Arm> {
    let drawn = run.faults.iter().map(|fault| {
        let shares = ArmShares::parse(fault.share, fault.control).ok()?;
        Some(arm_of(trace, fault.seed, shares))
    });
    let drawn: Vec<Arm> = drawn.collect::<Option<_>>()?;
    match drawn.iter().position(|arm| *arm == Arm::Fault) {
        Some(first) if first != index => Some(Arm::Untouched),
        Some(_) | None => drawn.get(index).copied(),
    }
}

/// A push is in force within this, with margin.
const PUSHED_MS: u64 = 2_000;

/// The result for a terminal.
#[must_use]
pub fn summary(experimented: &Experimented) -> String {
    let mut text = format!("\n{}\n", experimented.said);
    for truth in &experimented.truths {
        let word = if truth.is_contained() {
            "contained    "
        } else {
            "NOT CONTAINED"
        };
        text.push_str(&format!(
            "  {word}  {}: users saw {:.1} % more bad orders ({} of {} against {} of {}); the report says {:.1} % to {:.1} %\n",
            truth.fault,
            truth.effect * 100.0,
            truth.faulted.1,
            truth.faulted.0,
            truth.control.1,
            truth.control.0,
            truth.interval.0 * 100.0,
            truth.interval.1 * 100.0,
        ));
    }
    text.push_str(&format!("\n  report: {}\n", experimented.page.display()));
    text
}
