//! The control plane, one sidecar with two workers, and the service behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use sloop_controlplane::bootstrap::Inbound;
use sloop_model::Side;

use super::trace::Trace;
use crate::demo::{Admin, Client, Programs, stage};
use crate::envoy::Envoy;
use crate::eventually::eventually;
use crate::ports::free_address;
use crate::process::{Guarded, Program};

/// What the service is called.
pub(super) const SERVICE: &str = "site";
/// Each worker has a VM and counts of its own.
const WORKERS: u32 = 2;
/// A VM reports each second, and waits some seconds when a report failed.
const REPORTED_WITHIN: Duration = Duration::from_secs(30);
/// The reports that the control plane took, in its metrics.
const RECEIVED: &str = "sloop_controlplane_reports_total{result=\"received\"} ";

/// A running mesh. Dropping it ends everything.
#[derive(Debug)]
pub(super) struct Mesh {
    /// Where requests go.
    pub(super) entry: SocketAddr,
    admin: Admin,
    programs: Programs,
    folder: PathBuf,
    discovery: SocketAddr,
    api: SocketAddr,
    control_plane: Guarded,
    _app: Guarded,
    _envoy: Envoy,
}

impl Mesh {
    /// Starts everything and waits until the sidecar knows the routes of `trace`.
    pub(super) async fn start(
        trace: &Trace,
        programs: &Programs,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        stage::prepare(folder, &documents(trace))?;
        let (discovery, api) = (free_address()?, free_address()?);
        let (listen, app) = (free_address()?, free_address()?);
        let mut control_plane = programs.control_plane(folder, discovery, api)?;
        let admin = Admin::new(api)?;
        stage::wait_for_control_plane(&admin, Some(&mut control_plane)).await?;
        let service = Program::new(SERVICE, &programs.own)
            .args(["app", "--listen", &app.to_string()])
            .start(folder.join("app.log"))?;
        let inbound = Inbound {
            listen,
            app: app.into(),
        };
        let bootstrap = stage::sidecar(
            (SERVICE, "site-1"),
            (free_address()?, discovery),
            &programs.module,
            (inbound, None),
        );
        let envoy = stage::start_envoy(bootstrap, WORKERS, folder.join("envoy.log")).await?;
        stage::wait_for_policies(&admin, 1).await?;
        Ok(Self {
            entry: listen,
            admin,
            programs: programs.clone(),
            folder: folder.to_owned(),
            discovery,
            api,
            control_plane,
            _app: service,
            _envoy: envoy,
        })
    }

    /// Kills the control plane and starts it again on the same store after `away`.
    pub(super) async fn restart_control_plane(&mut self, away: Duration) -> anyhow::Result<()> {
        self.control_plane.kill()?;
        tokio::time::sleep(away).await;
        self.control_plane = self
            .programs
            .control_plane(&self.folder, self.discovery, self.api)?;
        stage::wait_for_control_plane(&self.admin, Some(&mut self.control_plane)).await
    }

    /// Requests per route as the control plane knows them, as soon as they are `expected`; else what they are when the time is over.
    pub(super) async fn counted(
        &self,
        expected: &BTreeMap<String, u64>,
        within: Duration,
    ) -> anyhow::Result<BTreeMap<String, u64>> {
        let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
        let all = sum(expected);
        let waited = eventually(within, "all requests are counted", async || {
            let counted = self.counts().await.ok()?;
            (all <= sum(&counted)).then_some(counted)
        });
        if waited.await.is_ok() {
            self.report_again().await?;
        }
        self.counts().await
    }

    /// Waits until every VM has reported once more: what is counted twice is counted then.
    ///
    /// All VMs report at the same pace, so none is without a report when there are two for each.
    async fn report_again(&self) -> anyhow::Result<()> {
        let nodes = self.admin.nodes().await?;
        let filters = nodes.iter().flat_map(|node| &node.filters);
        let vms: BTreeSet<&str> = filters.map(|filter| filter.vm.as_str()).collect();
        anyhow::ensure!(!vms.is_empty(), "no VM has reported");
        let awaited = self.reports().await? + 2 * u64::try_from(vms.len())?;
        eventually(REPORTED_WITHIN, "every VM reports again", async || {
            let reports = self.reports().await.ok()?;
            (awaited <= reports).then_some(())
        })
        .await
    }

    /// How many reports the control plane took since it began.
    async fn reports(&self) -> anyhow::Result<u64> {
        let metrics = Client::new(self.api)?;
        let body = metrics.ask(Method::GET, "/metrics", Bytes::new()).await?;
        let text = std::str::from_utf8(&body)?;
        let count = text.lines().find_map(|line| line.strip_prefix(RECEIVED));
        Ok(count.map_or(Ok(0), str::parse)?)
    }

    async fn counts(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let scopes = self.admin.scopes().await?;
        let of_service = scopes
            .into_iter()
            .filter(|scope| scope.service.as_str() == SERVICE && scope.side == Side::Server)
            .filter(|scope| scope.requests != 0);
        Ok(of_service
            .map(|scope| (scope.route.to_string(), scope.requests))
            .collect())
    }
}

/// The routes of `trace`, and an SLO for the service.
fn documents(trace: &Trace) -> String {
    let mut routes = String::new();
    for route in trace.routes() {
        let (kind, path) = match route.strip_suffix('*') {
            Some(beginning) => ("prefix", beginning),
            None => ("exact", route.as_str()),
        };
        // A string of JSON is one of YAML.
        let (name, path) = (quoted(&route), quoted(path));
        // Writing into a string cannot fail.
        write!(
            routes,
            "    - name: {name}\n      match:\n        - path: {{{kind}: {path}}}\n"
        )
        .ok();
    }
    format!(
        "apiVersion: sloop.dev/v1
kind: RouteSet
metadata:
  name: {SERVICE}
spec:
  service: {SERVICE}
  routes:
{routes}---
apiVersion: openslo/v1
kind: SLO
metadata:
  name: {SERVICE}-availability
spec:
  service: {SERVICE}
  budgetingMethod: Occurrences
  timeWindow:
    - duration: 28d
      isRolling: true
  indicator:
    metadata:
      name: {SERVICE}-availability
    spec:
      ratioMetric:
        counter: true
        bad:
          metricSource:
            type: sloop
            spec: {{service: {SERVICE}, route: \"*\", side: server, status: [\"5xx\"]}}
        total:
          metricSource:
            type: sloop
            spec: {{service: {SERVICE}, route: \"*\", side: server}}
  objectives:
    - target: 0.99
"
    )
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
