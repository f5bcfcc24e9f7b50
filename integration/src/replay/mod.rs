//! Replays requests of another day through a real sidecar, and checks that every one is counted.
//!
//! One Envoy with two workers stands before a service that answers as the
//! recording says. Afterwards the control plane must know exactly as many
//! requests of each route as the recording has, also when it was killed and
//! started again in the middle.

mod app;
mod csv;
mod mesh;
mod restart;
mod table;
mod trace;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use sloop_bench::{Arrivals, Call, Ending, Lateness, Load};

pub use app::{AppArgs, app};
pub use csv::InvalidCsv;
pub use restart::{InvalidMoment, Moment};
pub use table::table;
pub use trace::{InvalidTrace, Recorded, Trace};

use crate::demo::Programs;
use mesh::Mesh;

/// Without a speed a replay takes this long.
const USUAL: Duration = Duration::from_secs(20);
/// Nothing is slow here; a request that takes this long is lost.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Reports wait for their next attempt for a few seconds after the control plane was away.
const COUNTED_WITHIN: Duration = Duration::from_secs(30);
/// How long there is no control plane: longer than an interval of reports, so that some fail.
const AWAY: Duration = Duration::from_millis(1_500);

/// What to replay, and how.
#[derive(Clone, Debug)]
pub struct Replay {
    /// A table with the columns t_s, method and path, and perhaps route and status.
    pub file: PathBuf,
    /// So many times faster than they came; as fast as takes 20 seconds when absent.
    pub speed: Option<f64>,
    /// When the control plane is killed and started again.
    pub restart_at: Option<Moment>,
}

/// What came of a replay.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Requests of each route in the recording.
    pub recorded: BTreeMap<String, u64>,
    /// Requests of each route as the control plane knows them.
    pub counted: BTreeMap<String, u64>,
    /// Requests that were not answered as recorded, by how they ended.
    pub wrong: BTreeMap<Ending, u64>,
    /// How long it took.
    pub took: Duration,
    /// Whether the control plane was killed in between.
    pub restarted: bool,
    /// How late the generator was.
    pub lateness: Lateness,
}

impl Replayed {
    /// Whether every request was answered as recorded and counted exactly once, under its route.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.recorded == self.counted && self.wrong.is_empty()
    }
}

/// Replays a file.
///
/// # Errors
///
/// When the file cannot be used, or something does not start. A wrong count is a result.
pub async fn replay(
    args: &Replay,
    programs: &Programs,
    folder: &std::path::Path,
) -> anyhow::Result<Replayed> {
    let file = args.file.display();
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("reading {file}"))?;
    let trace = Trace::parse(&text).with_context(|| format!("reading {file}"))?;
    let speed = args
        .speed
        .unwrap_or_else(|| trace.span().as_secs_f64() / USUAL.as_secs_f64())
        .max(f64::MIN_POSITIVE);
    anyhow::ensure!(speed.is_finite(), "the speed is {speed}; it must be finite");
    let mut mesh = Mesh::start(&trace, programs, folder).await?;
    let load = load(&trace, &mesh, speed);
    let lasting = load
        .arrivals
        .as_slice()
        .last()
        .map_or(Duration::ZERO, |last| last.at);
    let wrong: Arc<Mutex<BTreeMap<Ending, u64>>> = Arc::default();
    let (start, seen) = (Instant::now(), Arc::clone(&wrong));
    let statuses: Vec<u16> = trace.requests.iter().map(|one| one.status).collect();
    let loading = load.run(start, move |exchange| {
        let expected = statuses.get(exchange.call).copied().map(Ending::Status);
        if Some(exchange.ending) != expected {
            let mut wrong = seen.lock().unwrap_or_else(PoisonError::into_inner);
            *wrong.entry(exchange.ending).or_default() += 1;
        }
    });
    let moment = args.restart_at.map(|moment| moment.within(lasting));
    let (lateness, restarted) = tokio::join!(loading, async {
        match moment {
            Some(moment) => {
                tokio::time::sleep_until((start + moment).into()).await;
                mesh.restart_control_plane(AWAY).await
            }
            None => Ok(()),
        }
    });
    restarted?;
    let took = start.elapsed();
    let recorded = trace.counts();
    let counted = mesh.counted(&recorded, COUNTED_WITHIN).await?;
    let wrong = std::mem::take(&mut *wrong.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Replayed {
        recorded,
        counted,
        wrong,
        took,
        restarted: moment.is_some(),
        lateness,
    })
}

fn load(trace: &Trace, mesh: &Mesh, speed: f64) -> Load {
    let calls: Vec<Call> = trace.requests.iter().map(call).collect();
    let moments = trace
        .requests
        .iter()
        .map(|request| request.at.div_f64(speed));
    Load {
        to: mesh.entry,
        calls: calls.into(),
        arrivals: Arrivals::at(moments),
        timeout: TIMEOUT,
        note: None,
    }
}

fn call(request: &Recorded) -> Call {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::HOST, HeaderValue::from_static(mesh::SERVICE));
    headers.insert(app::WANTED, HeaderValue::from(request.status));
    Call {
        route: Arc::from(request.route.as_str()),
        method: request.method.clone(),
        path: request.path.clone(),
        headers,
        body: Bytes::new(),
    }
}
