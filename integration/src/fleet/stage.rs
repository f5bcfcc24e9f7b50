//! A control plane and its fleet, and what happens between them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sloop_bench::fleet::{Fleet, Plan, Secured, Variant, allow};
use sloop_bench::schedstat;
use sloop_controlplane::bootstrap::plugin;
use sloop_model::Side;
use sloop_xds::Kind;
use tokio::runtime::Handle;

use super::documents::SERVICE;
use super::plane::{Plane, Programs};
use super::result::Pushed;

/// Longer than anything takes that comes at all, on a machine with other work.
const WITHIN: Duration = Duration::from_secs(60);

/// How long to wait at most before looking again.
const TURN: Duration = Duration::from_millis(5);

/// Nodes that are connecting at one time: fewer than fit into a queue of connections to be accepted.
const AT_ONCE: usize = 512;

/// Identities that the nodes of a fleet with TLS have between them: none may have all streams.
const IDENTITIES: usize = 10;

/// Which fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) nodes: usize,
    pub(super) variants: Vec<Variant>,
    pub(super) node_bytes: usize,
    pub(super) tls: bool,
    pub(super) seed: u64,
}

/// A control plane and its fleet.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) plane: Plane,
    pub(super) fleet: Fleet,
}

/// What two moments differ by in processor time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) plane: Duration,
    pub(super) own: Duration,
}

impl Spent {
    /// Microseconds for each of `count`: (the control plane's, our own).
    pub(super) fn each_us(self, count: usize) -> (f64, f64) {
        let each = |it: Duration| it.as_secs_f64() * 1e6 / count.max(1) as f64;
        (each(self.plane), each(self.own))
    }
}

impl Stage {
    /// Starts a control plane in `folder`, for a fleet that is not connected yet.
    pub(super) fn start(
        programs: &Programs,
        shape: &Shape,
        folder: PathBuf,
        handle: Handle,
    ) -> anyhow::Result<Self> {
        allow(shape.nodes)?;
        let secured = shape.tls.then(|| Secured::of(IDENTITIES)).transpose()?;
        let plane = Plane::start(programs, folder, secured.as_ref(), handle)?;
        let plan = Plan {
            to: plane.discovery,
            nodes: shape.nodes,
            variants: shape.variants.clone(),
            cluster: SERVICE.to_owned(),
            type_url: Kind::EXTENSION.to_owned(),
            names: vec![plugin::name(Side::Server).to_owned()],
            node_bytes: shape.node_bytes,
            tls: secured.map(|it| it.tls),
        };
        Ok(Self {
            fleet: Fleet::new(plan, shape.seed)?,
            plane,
        })
    }

    /// Turns the fleet until `is_done`. How long it took.
    pub(super) fn until(
        &mut self,
        what: &str,
        is_done: impl Fn(&Fleet) -> bool,
    ) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        while !is_done(&self.fleet) {
            self.fleet.turn(TURN)?;
            if WITHIN < begun.elapsed() {
                let (fleet, end) = (&self.fleet, self.plane.log_end());
                bail!(
                    "not within {WITHIN:?}: {what}; of {} nodes {} are accepted, {} were answered, {} have the newest version\n{end}",
                    fleet.len(),
                    fleet.accepted(),
                    fleet.answered(),
                    fleet.at_newest()
                );
            }
        }
        Ok(begun.elapsed())
    }

    /// Turns the fleet until `is_done`, for at most `within`. How long it took; who asks looks what came of it.
    pub(super) fn wait(
        &mut self,
        within: Duration,
        is_done: impl Fn(&Fleet) -> bool,
    ) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        while !is_done(&self.fleet) && begun.elapsed() < within {
            self.fleet.turn(TURN)?;
        }
        Ok(begun.elapsed())
    }

    /// Turns the fleet for that long.
    pub(super) fn pass(&mut self, time: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.fleet.turn(TURN)?;
        }
        Ok(())
    }

    /// What `work` costs in processor time.
    pub(super) fn spent<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<(T, Spent)> {
        let own = || schedstat::process_time(std::process::id());
        let (plane_before, own_before) = (self.plane.time()?, own()?);
        let done = work(self)?;
        let spent = Spent {
            plane: self.plane.time()?.saturating_sub(plane_before),
            own: own()?.saturating_sub(own_before),
        };
        Ok((done, spent))
    }

    /// Connects all. How long it took until the last had what it asked for.
    pub(super) fn connect(&mut self) -> anyhow::Result<Duration> {
        self.fleet.connect(AT_ONCE);
        let all = self.fleet.len();
        self.until("every node has its configuration", |fleet| {
            fleet.answered() == all
        })
    }

    /// Changes the documents and waits until all nodes have what follows from that. `since` is the last event of before.
    pub(super) fn push(&mut self, since: u64) -> anyhow::Result<Pushed> {
        self.fleet.forget_arrivals();
        let before = self.fleet.versions();
        self.plane.change()?;
        self.until("a push arrives", |fleet| before < fleet.versions())?;
        let asked = self.plane.ask_when(since)?;
        self.until("a push is with every node", |fleet| {
            fleet.at_newest() == fleet.len()
        })?;
        let decided = self.plane.handle().block_on(asked)?;
        let decided = decided.context("the control plane does not say when it pushed")?;
        let all = self.fleet.arrivals().iter();
        let ms = all.map(|at| at.saturating_sub(decided).as_secs_f64() * 1e3);
        Pushed::of(ms.collect()).context("nobody had the push")
    }
}

#[cfg(test)]
mod tests {
    use sloop_bench::fleet::{BACKOFF, BACKOFF_MAX};
    use sloop_controlplane::ads;
    use sloop_controlplane::bootstrap::FleetBootstrap;

    use super::*;

    #[test]
    fn nodes_come_back_as_the_bootstrap_says() {
        let here: std::net::SocketAddr = "127.0.0.1:1".parse().unwrap();
        let bootstrap = FleetBootstrap {
            node: "a".to_owned(),
            service: SERVICE.try_into().unwrap(),
            locality: sloop_xds::Locality::default(),
            metadata: std::collections::BTreeMap::new(),
            admin: here,
            control_plane: here.into(),
            tls: None,
            variant: ads::Variant::Delta,
        };
        let yaml = bootstrap.to_yaml();
        for (field, backoff) in [("base_interval", BACKOFF), ("max_interval", BACKOFF_MAX)] {
            let line = format!(" {field}: {}s\n", backoff.as_secs_f64());
            assert!(yaml.contains(&line), "{line} in {yaml}");
        }
    }
}
