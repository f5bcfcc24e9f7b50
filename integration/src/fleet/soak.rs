//! A long time with changes, reports, and nodes that go and come.

use std::time::{Duration, Instant};

use sloop_bench::fleet::{Pace, Reporting};

use super::documents::{Size, counts};
use super::result::Soak;
use super::stage::Stage;

/// Between two pushes.
const PUSH_EVERY: Duration = Duration::from_secs(5);

/// Between two looks at nodes and memory.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Of all nodes that go and come back each minute.
const CHURN_PER_MINUTE: f64 = 0.05;

/// How long a node has been back when it must have what the others have.
const BACK_FOR: Duration = Duration::from_secs(1);

/// How often each node reports, in seconds.
const REPORT_EVERY: f64 = 10.0;

/// Connections that may be on their way at one time, as those that were lost come back.
const AT_ONCE: usize = 512;

/// Runs for `time`, then waits until every node has the last push.
pub(super) fn run(mut stage: Stage, time: Duration) -> anyhow::Result<Soak> {
    stage.connect()?;
    let nodes = stage.fleet.len();
    stage.fleet.report(Some(Reporting {
        counts: counts(Size::Kilobyte),
        nodes,
        each: 1,
        pace: Pace::PerSecond(nodes as f64 / REPORT_EVERY),
    }));
    let mut soak = Soak {
        nodes,
        seconds: time.as_secs(),
        pushes: 0,
        overtaken: 0,
        churned: 0,
        reports: 0,
        refused: 0,
        ended: 0,
        at_newest: 0,
        memory: Vec::new(),
    };
    let begun = Instant::now();
    let (mut pushed, mut looks, mut owed) = (begun, 0, 0.0);
    let mut versions = stage.fleet.versions();
    while begun.elapsed() < time {
        stage.pass(LOOK_EVERY)?;
        looks += 1;
        soak.memory
            .push((begun.elapsed().as_secs(), stage.plane.memory()?));
        // Those that went before come back now.
        stage.fleet.connect(AT_ONCE);
        owed += nodes as f64 * CHURN_PER_MINUTE / 60.0;
        let whole = Duration::from_secs_f64(owed).as_secs();
        owed -= whole as f64;
        soak.churned += stage.fleet.vanish(usize::try_from(whole)?) as u64;
        if PUSH_EVERY <= pushed.elapsed() {
            // Nobody heard of it, or not all who had the time to.
            let is_unheard = 0 < soak.pushes && stage.fleet.versions() <= versions;
            soak.overtaken += u64::from(is_unheard || 0 < stage.fleet.behind(BACK_FOR));
            versions = stage.fleet.versions();
            stage.fleet.forget_arrivals();
            stage.plane.change()?;
            soak.pushes += 1;
            pushed = Instant::now();
        }
        if looks % 30 == 0 {
            let last = soak.memory.last().map_or(0, |it| it.1);
            eprintln!(
                "  {looks} s: {} MB, {} of {nodes} connected",
                last >> 20,
                stage.fleet.accepted()
            );
        }
    }
    let became = stage.fleet.report(None);
    (soak.reports, soak.refused) = (became.taken, became.refused);
    stage.fleet.connect(AT_ONCE);
    stage.wait(super::STORM_MAX, |fleet| fleet.accepted() == nodes)?;
    let versions = stage.fleet.versions();
    stage.plane.change()?;
    // Who is stuck is counted.
    stage.wait(super::STORM_MAX, |fleet| {
        versions < fleet.versions() && fleet.at_newest() == nodes
    })?;
    let is_pushed = versions < stage.fleet.versions();
    soak.at_newest = if is_pushed {
        stage.fleet.at_newest()
    } else {
        0
    };
    soak.ended = stage.fleet.losses().ended;
    Ok(soak)
}
