//! One mesh with everything in it: control plane, shop, sidecars.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::Method;
use sloop_controlplane::admin::api::NodeStatus;
use sloop_controlplane::ads::Variant;
use sloop_controlplane::bootstrap::{Bootstrap, Inbound, Outbound, Upstream};
use sloop_model::ServiceName;

use super::admin::{Admin, Client};
use super::documents::documents;
use super::heard::Ear;
use super::observed::Enforcement;
use crate::envoy::{self, Envoy};
use crate::eventually::eventually;
use crate::ports::free_address;
use crate::process::{Guarded, Program};
use crate::shop::{CheckoutStatus, Episode, SECOND_CHECKOUT, Service, Trouble};

/// Two meshes start at once, eight Envoys compile a module each, on two cores.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The file with all documents.
const DOCUMENTS: &str = "demo.yaml";

/// Programs and files that a stage is made of.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The control plane.
    pub sloop: PathBuf,
    /// This program, which is also the shop.
    pub own: PathBuf,
    /// The filter.
    pub module: PathBuf,
}

/// Where the parts of one service listen.
#[derive(Clone, Copy, Debug)]
struct Place {
    service: Service,
    /// Envoy's node id.
    node: &'static str,
    /// What callers write into `Host`.
    host: &'static str,
    app: SocketAddr,
    control: SocketAddr,
    inbound: SocketAddr,
    outbound: SocketAddr,
    admin: SocketAddr,
}

/// A running mesh. Dropping it ends everything.
#[derive(Debug)]
pub struct Stage {
    /// Where users go.
    pub entry: SocketAddr,
    /// Where the outbound side of `checkout`'s sidecar listens.
    pub checkout_outbound: SocketAddr,
    /// The control plane's HTTP API.
    pub api: SocketAddr,
    /// Where its documents are.
    pub documents: PathBuf,
    /// Questions to the control plane.
    pub admin: Admin,
    /// Orders to `payments`.
    pub trouble: SocketAddr,
    payments: Client,
    checkouts: [Client; 2],
    /// The control plane first.
    processes: Vec<Guarded>,
    _envoys: [Envoy; 4],
}

impl Programs {
    /// Finds everything: what `cargo xtask demo` names in the environment, else what lies beside this program.
    ///
    /// # Errors
    ///
    /// When something is missing.
    pub fn find() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("finding this program")?;
        let sloop =
            std::env::var_os("SLOOP").map_or_else(|| own.with_file_name("sloop"), PathBuf::from);
        if !sloop.is_file() {
            let sloop = sloop.display();
            bail!("no program at {sloop}; `cargo xtask demo` builds it");
        }
        Ok(Self {
            sloop,
            own,
            module: envoy::module()?,
        })
    }

    /// Starts a control plane that reads `folder/documents` and writes below `folder`.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn control_plane(
        &self,
        folder: &Path,
        discovery: SocketAddr,
        admin: SocketAddr,
    ) -> anyhow::Result<Guarded> {
        Program::new("sloop", &self.sloop)
            .arg("serve")
            .arg("--documents")
            .arg(folder.join("documents"))
            .args(["--listen", &discovery.to_string()])
            .args(["--admin", &admin.to_string()])
            .arg("--store")
            .arg(folder.join("store"))
            .arg("--module")
            .arg(&self.module)
            .start(folder.join("sloop.log"))
    }
}

/// Makes `folder` anew, empty but for the documents `text`.
///
/// # Errors
///
/// When the file system refuses.
pub fn prepare(folder: &Path, text: &str) -> anyhow::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("removing {}", folder.display()))?;
    }
    let documents = folder.join("documents");
    std::fs::create_dir_all(&documents)
        .with_context(|| format!("making {}", documents.display()))?;
    std::fs::write(documents.join(DOCUMENTS), text).context("writing the documents")
}

impl Stage {
    /// Starts a mesh that tells `ear` of alerts, and waits until every sidecar has its policies.
    ///
    /// # Errors
    ///
    /// When something does not start in time.
    pub async fn start(
        enforcement: Enforcement,
        ear: &Ear,
        programs: &Programs,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let documents = documents(enforcement, Some(&ear.url()));
        Self::start_with(&documents, programs, folder).await
    }

    /// Puts other documents into force, which takes the control plane half a second.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub(super) fn declare(&self, documents: &str) -> anyhow::Result<()> {
        // Under another name first, so that half of them is never read.
        let draft = self.documents.with_extension("draft");
        std::fs::write(&draft, documents).context("writing the documents")?;
        let file = self.documents.join(DOCUMENTS);
        std::fs::rename(&draft, file).context("exchanging the documents")
    }

    /// The same with other `documents`.
    ///
    /// # Errors
    ///
    /// When something does not start in time.
    pub async fn start_with(
        documents: &str,
        programs: &Programs,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        prepare(folder, documents)?;
        let (discovery, api) = (free_address()?, free_address()?);
        let places = [
            Place::find(Service::Edge, "edge-1", "edge")?,
            Place::find(Service::Checkout, "checkout-1", "checkout")?,
            Place::find(Service::Checkout, "checkout-2", SECOND_CHECKOUT)?,
            Place::find(Service::Payments, "payments-1", "payments")?,
        ];
        let mut processes = vec![programs.control_plane(folder, discovery, api)?];
        let admin = Admin::new(api)?;
        wait_for_control_plane(&admin, processes.first_mut()).await?;
        for place in &places {
            processes.push(place.start_service(programs, folder)?);
        }
        let start = |place: &Place| {
            let bootstrap = place.bootstrap(&places, discovery, &programs.module);
            let log = folder.join(format!("envoy-{}.log", place.node));
            start_envoy(bootstrap, 1, log)
        };
        let [edge, checkout, second, payments] = &places;
        let (one, two, three, four) =
            tokio::try_join!(start(edge), start(checkout), start(second), start(payments))?;
        wait_for_policies(&admin, places.len()).await?;
        Ok(Self {
            entry: edge.inbound,
            checkout_outbound: checkout.outbound,
            api,
            documents: folder.join("documents"),
            admin,
            trouble: payments.control,
            payments: Client::new(payments.control)?,
            checkouts: [Client::new(checkout.control)?, Client::new(second.control)?],
            processes,
            _envoys: [one, two, three, four],
        })
    }

    /// Orders trouble.
    ///
    /// # Errors
    ///
    /// When `payments` does not obey.
    pub async fn order(&self, trouble: Trouble) -> anyhow::Result<()> {
        let order = Bytes::from(serde_json::to_vec(&trouble)?);
        self.payments
            .ask(Method::PUT, "/trouble", order)
            .await
            .map(|_| ())
    }

    /// Kills the control plane.
    pub fn kill_control_plane(&mut self) {
        if !self.processes.is_empty() {
            drop(self.processes.remove(0));
        }
    }

    /// What `payments` recorded about its troubles.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn episodes(&self) -> anyhow::Result<Vec<Episode>> {
        self.payments.get("/trouble").await
    }

    /// What became of orders without a charge.
    ///
    /// # Errors
    ///
    /// When an instance of `checkout` does not answer.
    pub async fn orders(&self) -> anyhow::Result<CheckoutStatus> {
        let mut all = CheckoutStatus::default();
        for checkout in &self.checkouts {
            let status: CheckoutStatus = checkout.get("/status").await?;
            all.accepted += status.accepted;
            all.charged_later += status.charged_later;
            all.waiting += status.waiting;
        }
        Ok(all)
    }
}

impl Place {
    fn find(service: Service, node: &'static str, host: &'static str) -> anyhow::Result<Self> {
        Ok(Self {
            service,
            node,
            host,
            app: free_address()?,
            control: free_address()?,
            inbound: free_address()?,
            outbound: free_address()?,
            admin: free_address()?,
        })
    }

    fn start_service(&self, programs: &Programs, folder: &Path) -> anyhow::Result<Guarded> {
        let name = self.service.name();
        Program::new(self.node, &programs.own)
            .args(["shop", name])
            .args(["--listen", &self.app.to_string()])
            .args(["--outbound", &self.outbound.to_string()])
            .args(["--control", &self.control.to_string()])
            .start(folder.join(format!("{}.log", self.node)))
    }

    fn bootstrap(
        &self,
        places: &[Self],
        discovery: SocketAddr,
        module: &Path,
    ) -> anyhow::Result<Bootstrap> {
        let upstreams = places
            .iter()
            .filter(|other| other.service != self.service)
            .map(|other| {
                Ok(Upstream {
                    service: ServiceName::try_from(other.host)?,
                    authorities: vec![other.host.to_owned()],
                    address: other.inbound.into(),
                })
            })
            .collect::<anyhow::Result<Vec<Upstream>>>()?;
        let inbound = Inbound {
            listen: self.inbound,
            app: self.app.into(),
        };
        let outbound = Outbound {
            listen: self.outbound,
            upstreams,
        };
        sidecar(
            (self.service.name(), self.node),
            (self.admin, discovery),
            module,
            (inbound, Some(outbound)),
        )
    }
}

/// The sidecar called `node` of `service`.
pub(crate) fn sidecar(
    (service, node): (&str, &str),
    (admin, discovery): (SocketAddr, SocketAddr),
    module: &Path,
    (inbound, outbound): (Inbound, Option<Outbound>),
) -> anyhow::Result<Bootstrap> {
    let module = module.to_str().context("the module's path is not UTF-8")?;
    Ok(Bootstrap {
        node: node.to_owned(),
        service: ServiceName::try_from(service)?,
        locality: sloop_xds::Locality::default(),
        metadata: std::collections::BTreeMap::new(),
        admin,
        control_plane: discovery.into(),
        tls: None,
        variant: Variant::Delta,
        module: module.to_owned(),
        report_interval_ms: REPORT_INTERVAL_MS,
        collector: None,
        inbound: Some(inbound),
        outbound,
    })
}

/// As `sloop bootstrap` has it by default.
const REPORT_INTERVAL_MS: u32 = 1_000;

/// Starts a sidecar with `workers` worker threads.
pub(crate) async fn start_envoy(
    bootstrap: anyhow::Result<Bootstrap>,
    workers: u32,
    log: PathBuf,
) -> anyhow::Result<Envoy> {
    let bootstrap = bootstrap?;
    let options = envoy::Options {
        name: format!("envoy of {}", bootstrap.node),
        concurrency: workers,
        log: Some(log),
        ..envoy::Options::default()
    };
    Envoy::start_with(&bootstrap.to_yaml(), options).await
}

/// Waits until the control plane answers.
pub(crate) async fn wait_for_control_plane(
    admin: &Admin,
    process: Option<&mut Guarded>,
) -> anyhow::Result<()> {
    let Some(process) = process else {
        bail!("there is no control plane to wait for");
    };
    eventually(READY_WITHIN, "the control plane is ready", async || {
        if let Ok(Some(status)) = process.ended() {
            let end = process.log_end();
            return Some(Err(anyhow::anyhow!("sloop has ended: {status}\n{end}")));
        }
        admin.is_ready().await.then_some(Ok(()))
    })
    .await?
}

/// Waits until `count` nodes have accepted the last that they were sent.
pub(crate) async fn wait_for_policies(admin: &Admin, count: usize) -> anyhow::Result<()> {
    let is_up_to_date = |node: &NodeStatus| {
        node.connected
            && !node.resources.is_empty()
            && node
                .resources
                .iter()
                .all(|one| one.sent.is_some() && one.sent == one.acknowledged)
    };
    eventually(READY_WITHIN, "every sidecar has its policies", async || {
        let nodes = admin.nodes().await.ok()?;
        let ready = nodes.iter().filter(|node| is_up_to_date(node)).count();
        (count <= ready).then_some(())
    })
    .await
}
