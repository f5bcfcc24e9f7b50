//! One Envoy: started, used and looked at.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use sloop_bench::closed::Sink;
use sloop_bench::memory::anonymous_bytes;
use sloop_bench::schedstat::{Thread, process_time};

use super::super::config::{Around, Service, config};
use super::super::reports::Reports;
use super::super::variants::{Trace, Variant};
use super::residents::{Resident, path};
use crate::envoy::{Caller, Envoy, Options};
use crate::eventually::eventually;
use crate::ports::free_address;

/// Connections that are opened at a time, until each worker has one.
const CONNECTIONS: usize = 8;
/// The kernel gives connections to workers by a hash: that one worker gets none of so many happens to nobody.
const CONNECTIONS_MAX: usize = 80;
/// Requests on each connection, so that all kinds have as many.
const REQUESTS: usize = 200;
/// Sloop reports each second.
const REPORTED_WITHIN: Duration = Duration::from_secs(60);

/// What was seen of one Envoy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) routes: usize,
    pub(super) workers: u32,
    /// Processor time of its main thread until it was ready.
    pub(super) start_main: Duration,
    /// The same of all its threads: V8 compiles with several.
    pub(super) start: Duration,
    /// Memory that is no file's, when each worker has served all routes.
    pub(super) bytes: u64,
}

/// Starts an Envoy, asks each worker for all routes, and ends it.
pub(super) async fn run(
    resident: &Resident,
    (routes, filters): (usize, &str),
    workers: u32,
) -> anyhow::Result<Run> {
    let sink = Sink::start().context("starting the service")?;
    let reports = Reports::start().await?;
    let around = Around {
        upstream: sink.address(),
        reports: reports.address(),
        service: Service::Proxied,
        tls: None,
    };
    let variant = Variant {
        name: resident.name.clone(),
        about: String::new(),
        filters: filters.to_owned(),
        status: 200,
        trace: Trace::Unknown,
        tracer: None,
        reports: resident.reports,
        vm: None,
    };
    let address = free_address()?;
    let options = Options {
        name: format!("the Envoy of {}", resident.name),
        concurrency: workers,
        log_level: "warning".to_owned(),
        ..Options::default()
    };
    let mut envoy = Envoy::start_with(&config(around, &[(variant, address)]), options).await?;
    let process = envoy.process().id();
    let start_main = Thread::main(process).time()?;
    let start = process_time(process)?;
    let sent = ask(&envoy, address, (routes, workers)).await?;
    if resident.reports {
        let what = format!("{} reports {sent} requests", resident.name);
        eventually(REPORTED_WITHIN, &what, async || {
            (reports.counted() == sent).then_some(())
        })
        .await
        .with_context(|| format!("it reported {}", reports.counted()))?;
    }
    let bytes = anonymous_bytes(process)?;
    envoy.stop().await?;
    Ok(Run {
        routes,
        workers,
        start_main,
        start,
        bytes,
    })
}

/// Asks for all routes over several connections, until each worker had one. How many requests that were.
async fn ask(
    envoy: &Envoy,
    address: SocketAddr,
    (routes, workers): (usize, u32),
) -> anyhow::Result<u64> {
    let mut sent = 0;
    for _ in 0..CONNECTIONS_MAX / CONNECTIONS {
        for _ in 0..CONNECTIONS {
            let caller = Caller::of(address);
            for request in 0..REQUESTS {
                let path = path(request % routes);
                let status = caller.get(&path).await?.status();
                if status != http::StatusCode::OK {
                    bail!("{path} was answered with {status}");
                }
                sent += 1;
            }
        }
        if served(envoy).await? == workers {
            return Ok(sent);
        }
    }
    bail!("one of {workers} workers got none of {CONNECTIONS_MAX} connections");
}

/// How many workers had a connection of the listener.
async fn served(envoy: &Envoy) -> anyhow::Result<u32> {
    let stats = envoy
        .stats("^listener\\.127.*\\.worker_[0-9]+\\.downstream_cx_total$")
        .await?;
    let count = stats.iter().filter(|(_, connections)| 0 < *connections);
    Ok(u32::try_from(count.count())?)
}
