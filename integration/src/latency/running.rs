//! Two listeners of an Envoy that runs already: somebody's own, as it is.
//!
//! Nothing of it is changed: no priorities, no processors, no configuration. What it is
//! found by is its admin interface; its process, which must be on this machine, is the one that listens there. With
//! several workers their time is added up. Others' requests may come
//! meanwhile; they fall on both sides of pairs.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use sloop_bench::closed::{CONNECTIONS, Closed, Dial};
use sloop_bench::schedstat::Thread;
use sloop_bench::{listener, schedstat::Stolen};

use super::lanes::{Lane, Lanes};
use super::live::Live;
use super::quiet::Priority;
use super::result::{Machine, Report};
use super::settings::Settings;
use super::variants::{AGAIN, BASELINE, Trace, Variant};
use super::{machine, made_ms, on_thread, open_lanes, run, stolen_since};
use crate::envoy::admin;

/// What workers are called; the rest of the name is their number.
const WORKERS: &str = "wrk:worker_";

/// What to compare in which Envoy.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its admin interface.
    pub admin: SocketAddr,
    /// The listener without the filter.
    pub without: SocketAddr,
    /// The listener with it.
    pub with: SocketAddr,
    /// The `Host` of requests.
    pub host: String,
    /// The path and query of requests.
    pub path: String,
}

/// Measures processor time and, if the settings say so, latency.
///
/// # Errors
///
/// When no Envoy on this machine answers there, or a listener answers with another status than before.
pub async fn running(running: Running, settings: Settings, live: Live) -> anyhow::Result<Report> {
    let info = admin::get(running.admin, "/server_info").await;
    let info = info.with_context(|| format!("no Envoy answers at {}", running.admin))?;
    let process = listener::process(running.admin)?;
    let workers = Thread::all_named(process, WORKERS)?;
    if workers.is_empty() {
        bail!("process {process} has no workers of an Envoy");
    }
    let machine = Machine {
        is_real_time: false,
        shares: None,
        ..machine::with(&info)?
    };
    let request = request(&running);
    let statuses = [running.without, running.with].map(|to| {
        let asked = Closed::connect(to, 1)
            .map_err(anyhow::Error::from)
            .and_then(|mut closed| Ok(closed.ask(&request)?));
        let (status, _) = asked.with_context(|| format!("asking {to}"))?;
        anyhow::Ok(status)
    });
    let [without, with] = statuses;
    let (without, with) = (without?, with?);
    let variant = |name: &str, about: &str, status| Variant {
        name: name.to_owned(),
        about: about.to_owned(),
        filters: String::new(),
        status,
        trace: Trace::Unknown,
        tracer: None,
        vm: None,
        reports: false,
    };
    let variants = vec![
        (
            variant(BASELINE, "the first listener", without),
            running.without,
        ),
        (
            variant(AGAIN, "A/A: the first listener again", without),
            running.without,
        ),
        (variant("with", "the second listener", with), running.with),
    ];
    let found = Found {
        variants,
        workers,
        request,
        machine,
    };
    measure(found, settings, live).await
}

/// What there is to measure.
struct Found {
    variants: Vec<(Variant, SocketAddr)>,
    workers: Vec<Thread>,
    request: Vec<u8>,
    machine: Machine,
}

async fn measure(found: Found, settings: Settings, mut live: Live) -> anyhow::Result<Report> {
    let Found {
        variants,
        workers,
        request,
        machine,
    } = found;
    if settings.priority == Priority::RealTime {
        bail!("an Envoy that runs already is measured as it is; give Priority::Ordinary");
    }
    live.say("measuring two listeners, the first of them twice; with ordinary priority");
    let before = Stolen::now();
    let (to, asked) = (variants.clone(), request.clone());
    let lanes = on_thread(move || {
        let dial = Dial::plain(settings.protocol);
        let open = |(variant, address)| Lane::open_unseen(variant, address, &dial, CONNECTIONS);
        let lanes: Vec<Lane> = to.into_iter().map(open).collect::<anyhow::Result<_>>()?;
        Ok(Lanes::asking(lanes, workers, asked, settings.seed))
    })
    .await?;
    let (lanes, live) = on_thread(move || run(lanes, settings, live)).await?;
    let report = Report::of(&lanes, settings, machine, made_ms()?);
    let mut report = report.context("too few rounds for an interval")?;
    if let Some(open) = settings.open.filter(|_| report.is_usable()) {
        let (latency, _, _) = open_lanes(variants, request, open, settings.seed, live).await?;
        report.latency = Some(latency);
    }
    report.see_what_was_stolen(stolen_since(before));
    Ok(report)
}

fn request(running: &Running) -> Vec<u8> {
    let Running { host, path, .. } = running;
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: sloop-bench\r\naccept: */*\r\n\r\n")
        .into_bytes()
}
