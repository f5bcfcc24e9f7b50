//! The Envoy that is measured, and what stands around it.

use std::net::SocketAddr;

use anyhow::Context;
use sloop_bench::closed::{CONNECTIONS, Certificate, Dial, Sink};
use sloop_bench::schedstat::Thread;

use super::account;
use super::config::{Around, Service, config};
use super::lanes::{Asker, Lane, Lanes};
use super::reports::Reports;
use super::variants::Variant;
use crate::envoy::{Envoy, Options};
use crate::ports::free_address;

/// What Envoy calls its first worker's thread.
const WORKER: &str = "wrk:worker_0";

/// The first worker of the Envoy with the process `id`.
pub(super) fn worker(id: u32) -> anyhow::Result<Thread> {
    Ok(Thread::named(id, WORKER)?)
}

/// A running Envoy with a listener for each variant. Dropping it ends everything.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) envoy: Envoy,
    variants: Vec<(Variant, SocketAddr)>,
    reports: Reports,
    _sink: Sink,
}

impl Stage {
    /// Starts everything on the processors, and with the priority, that this process has.
    pub(super) async fn start(variants: &[Variant], options: Options) -> anyhow::Result<Self> {
        Self::start_with(variants, Service::Proxied, None, options).await
    }

    /// As [`Self::start`], with requests answered in this way, and with TLS where there is a certificate.
    pub(super) async fn start_with(
        variants: &[Variant],
        service: Service,
        tls: Option<&Certificate>,
        options: Options,
    ) -> anyhow::Result<Self> {
        let sink = Sink::start().context("starting the service")?;
        let reports = Reports::start().await?;
        let around = Around {
            upstream: sink.address(),
            reports: reports.address(),
            service,
            tls,
        };
        let listeners = variants
            .iter()
            .map(|one| Ok((one.clone().answered_by(service), free_address()?)));
        let variants = listeners.collect::<anyhow::Result<Vec<_>>>()?;
        let options = Options {
            name: "the measured Envoy".to_owned(),
            concurrency: 1,
            log_level: "warning".to_owned(),
            ..options
        };
        let envoy = Envoy::start_with(&config(around, &variants), options).await?;
        Ok(Self {
            envoy,
            variants,
            reports,
            _sink: sink,
        })
    }

    /// The process, and its worker.
    pub(super) fn worker(&mut self) -> anyhow::Result<(u32, Thread)> {
        let id = self.envoy.process().id();
        Ok((id, worker(id)?))
    }

    /// Connects to each variant and looks at what it does. The order of slices is drawn from `seed`.
    pub(super) async fn lanes(&mut self, dial: &Dial, seed: u64) -> anyhow::Result<Lanes> {
        let names: Vec<String> = self
            .variants
            .iter()
            .map(|(one, _)| one.name.clone())
            .collect();
        self.lanes_of(&names, dial, CONNECTIONS, seed).await
    }

    /// As [`Self::lanes`], with so many connections to each of the variants with these `names`.
    pub(super) async fn lanes_of(
        &mut self,
        names: &[String],
        dial: &Dial,
        connections: usize,
        seed: u64,
    ) -> anyhow::Result<Lanes> {
        let (_, worker) = self.worker()?;
        let variants = self.addresses(names);
        let dial = dial.clone();
        let open = move || {
            let lanes = variants.into_iter();
            let lanes =
                lanes.map(|(variant, address)| Lane::open(variant, address, &dial, connections));
            lanes.collect::<anyhow::Result<_>>()
        };
        let lanes = super::on_thread(open).await?;
        Ok(Lanes::new(lanes, worker, seed))
    }

    /// The variants with these `names`, in the order of their listeners, and where they listen.
    pub(super) fn addresses(&self, names: &[String]) -> Vec<(Variant, SocketAddr)> {
        let variants = self.variants.iter();
        let named = variants.filter(|(one, _)| names.contains(&one.name));
        named.cloned().collect()
    }

    /// A connection to the only variant.
    pub(super) fn asker(&self) -> anyhow::Result<Asker> {
        let (variant, address) = self.variants.first().context("there is no variant")?;
        Asker::connect(variant, *address)
    }

    /// Sees that everything adds up.
    pub(super) async fn settle(&self, lanes: &[Lane]) -> anyhow::Result<()> {
        account::settle(&self.envoy, &self.reports, lanes).await
    }
}
