//! The demo: a shop whose `payments` breaks three times, watched once and guarded once.
//!
//! Both runs go on at the same time, each with a mesh of its own, so that both
//! have the same machine under the same conditions. `plan` is the story,
//! `stage` where it is told, `story` and `watch` tell it and write down
//! what is seen (`observed`); `measure` says what that means, `promise`
//! what should have come out, `report` and `table` show it, `decided` what the control plane says of its own orders,
//! `heard` what people are told.

pub mod admin;
pub mod chaos;
mod decided;
mod documents;
mod heard;
mod keep;
pub mod live;
mod measure;
pub mod observed;
pub mod plan;
mod promise;
mod report;
pub mod result;
pub mod stage;
mod story;
mod table;
mod watch;

#[cfg(test)]
mod invented;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;

pub use admin::{Admin, Client};
pub use decided::{Ordered, decided};
pub use heard::{Ear, Heard, told};
pub use keep::{hints, keep};
pub use live::Screen;
pub use plan::{Phase, Plan};
pub use result::{Promise, Report};
pub use stage::{Programs, Stage};
pub use table::table;

use live::Live;
use observed::{Enforcement, Observed};
use plan::OBJECTIVE;

/// Between two drawings of the screen: fast enough to look alive.
const DRAW_EVERY: Duration = Duration::from_millis(250);

/// What came of the demo.
#[derive(Debug)]
pub struct Told {
    /// What was measured.
    pub report: Report,
    /// Where the page is.
    pub page: PathBuf,
    /// The guarded mesh, still running.
    pub stage: Stage,
    /// Whom it tells of alerts.
    pub ear: Ear,
}

/// Tells the story of `plan`, writes the report into `folder` and leaves the guarded mesh running.
///
/// # Errors
///
/// When something does not start or stops answering. A broken promise is a result.
pub async fn tell(
    plan: &Plan,
    programs: &Programs,
    folder: &Path,
    screen: &mut Screen,
) -> anyhow::Result<Told> {
    let lives = [Enforcement::Shadow, Enforcement::Enforced].map(Live::new);
    let [of_shadow, of_enforced] = &lives;
    let run = async |enforcement: Enforcement, live: &Live| -> anyhow::Result<_> {
        let folder = folder.join(enforcement.name());
        let ear = Ear::open().await?;
        let stage = Stage::start(enforcement, &ear, programs, &folder).await?;
        let observed = story::tell((&stage, &ear), enforcement, plan, live).await?;
        live.phase("done");
        Ok((stage, ear, observed))
    };
    let shadow = run(Enforcement::Shadow, of_shadow);
    let enforced = run(Enforcement::Enforced, of_enforced);
    let drawing = async {
        let mut looks = tokio::time::interval(DRAW_EVERY);
        loop {
            looks.tick().await;
            screen.draw(&lives);
        }
    };
    let ((shadow_stage, _, shadow), (stage, ear, enforced)) = tokio::select! {
        told = async { tokio::try_join!(shadow, enforced) } => told?,
        () = drawing => anyhow::bail!("drawing never ends"),
    };
    drop(shadow_stage);
    screen.draw(&lives);
    let report = make(plan, &shadow, &enforced)?;
    let page = write(&report, folder)?;
    Ok(Told {
        report,
        page,
        stage,
        ear,
    })
}

fn make(plan: &Plan, shadow: &Observed, enforced: &Observed) -> anyhow::Result<Report> {
    let (shadow, enforced) = (measure::measure(shadow), measure::measure(enforced));
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Report {
        made_ms: u64::try_from(since.as_millis())?,
        seed: plan.seed,
        rate: plan.rate,
        objective_ms: u64::try_from(OBJECTIVE.as_millis())?,
        promises: promise::promises(&shadow, &enforced),
        shadow,
        enforced,
    })
}

fn write(report: &Report, folder: &Path) -> anyhow::Result<PathBuf> {
    let numbers = serde_json::to_vec_pretty(report)?;
    std::fs::write(folder.join("report.json"), numbers).context("writing report.json")?;
    let page = folder.join("report.html");
    std::fs::write(&page, report::html(report)).context("writing report.html")?;
    Ok(page)
}
