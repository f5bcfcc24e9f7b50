//! A control plane that has nothing but documents of whole fleets.
//!
//! The program is `$SLOOP`, else `target/debug/sloop`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sloop_controlplane::ads::Variant;
use sloop_controlplane::bootstrap::{FleetBootstrap, plugin};
use sloop_integration::envoy::{Caller, Envoy, Options};
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use sloop_integration::process::{Guarded, Program};
use sloop_model::ServiceName;
use sloop_xds::Locality;

use super::SOON;

/// A control plane with a folder of documents.
pub struct Plane {
    /// Before the folder with its log, which is shown when a test fails.
    running: Guarded,
    folder: tempfile::TempDir,
    listen: SocketAddr,
    quiet: &'static str,
    /// The filter, as Envoys see it.
    module: String,
    pub admin: Caller,
}

/// Where there is none: nobody asks for the filter.
const NO_MODULE: &str = "/sloop_filter.wasm";

fn launch(
    folder: &Path,
    (listen, admin): (SocketAddr, SocketAddr),
    quiet: &str,
    module: &str,
) -> Guarded {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/sloop");
    let program = std::env::var_os("SLOOP").map_or(built, PathBuf::from);
    Program::new("sloop", program)
        .arg("serve")
        .arg("--documents")
        .arg(folder.join("documents"))
        .args(["--listen", &listen.to_string()])
        .args(["--admin", &admin.to_string()])
        .arg("--store")
        .arg(folder.join("store"))
        .args(["--module", module])
        .args(["--rollout-quiet", quiet, "--report-interval", "300"])
        .start(folder.join("sloop.log"))
        .unwrap()
}

impl Plane {
    pub async fn start() -> Self {
        Self::patient("1").await
    }

    /// Who tries a change must be well for so many seconds before it goes on.
    pub async fn patient(quiet: &'static str) -> Self {
        Self::with_module(quiet, NO_MODULE.to_owned()).await
    }

    /// The same, with a filter for who asks for it.
    pub async fn with_module(quiet: &'static str, module: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("documents")).unwrap();
        let (listen, admin) = (
            ports::free_address().unwrap(),
            ports::free_address().unwrap(),
        );
        let running = launch(folder.path(), (listen, admin), quiet, &module);
        let plane = Self {
            running,
            folder,
            listen,
            quiet,
            module,
            admin: Caller::of(admin),
        };
        plane.is_ready().await;
        plane
    }

    async fn is_ready(&self) {
        eventually(SOON, "sloop is ready", async || {
            let answer = self.admin.get("/readyz").await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await
        .unwrap();
    }

    /// Another one in its place, which never knew what was in `lost`.
    pub async fn replace_without(&mut self, lost: &[&str]) {
        self.running.kill().unwrap();
        for name in lost {
            let path = self.folder.path().join(name);
            let is_folder = path.is_dir();
            let removed = if is_folder {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            removed.unwrap();
            if *name == "documents" {
                std::fs::create_dir(&path).unwrap();
            }
        }
        let admin = ports::free_address().unwrap();
        let at = (self.listen, admin);
        self.running = launch(self.folder.path(), at, self.quiet, &self.module);
        self.admin = Caller::of(admin);
        self.is_ready().await;
    }

    /// Waits until so many nodes are connected.
    pub async fn meets(&self, nodes: usize) {
        eventually(SOON, "the Envoys are connected", async || {
            let met = self.items("/v1/nodes").await;
            let connected = met.iter().filter(|it| it["connected"] == true);
            (connected.count() == nodes).then_some(())
        })
        .await
        .unwrap();
    }

    /// How the only group stands that has documents.
    pub async fn push(&self) -> serde_json::Value {
        let groups = self.items("/v1/pushes").await;
        groups.into_iter().next().unwrap_or_default()
    }

    /// Writes resources as one file, which takes effect as a whole.
    pub fn declare(&self, resources: &[String]) {
        let chosen = resources.iter().map(|it| ("clusters: [edge]", it.as_str()));
        self.declare_for(&chosen.collect::<Vec<_>>());
    }

    /// The same, each with whom it is for.
    pub fn declare_for(&self, resources: &[(&str, &str)]) {
        let documents: Vec<String> = resources
            .iter()
            .enumerate()
            .map(|(n, (selector, resource))| {
                format!(
                    "apiVersion: sloop.dev/v1\nkind: EnvoyResource\nmetadata: {{name: r{n}}}\nspec:\n  \
                     selector: {{{selector}}}\n  resource: {resource}\n"
                )
            })
            .collect();
        let draft = self.folder.path().join("draft");
        std::fs::write(&draft, documents.join("---\n")).unwrap();
        std::fs::rename(draft, self.folder.path().join("documents/fleet.yaml")).unwrap();
    }

    pub async fn items(&self, path: &str) -> Vec<serde_json::Value> {
        let answer = self.admin.get(path).await.unwrap();
        let list: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        list["items"].as_array().cloned().unwrap_or_default()
    }
}

/// Resources in Envoy's own words. JSON is YAML.
pub fn typed(name: &str, rest: &str) -> String {
    format!(r#"{{"@type": type.googleapis.com/envoy.{name}, {rest}}}"#)
}

/// The endpoints of the cluster `name`, which are one.
pub fn endpoints(name: &str, at: SocketAddr) -> String {
    typed(
        "config.endpoint.v3.ClusterLoadAssignment",
        &format!(
            "cluster_name: {name}-pool, endpoints: [{{lb_endpoints: [{{endpoint: {{address: \
             {{socket_address: {{address: {}, port_value: {}}}}}}}}}]}}]",
            at.ip(),
            at.port()
        ),
    )
}

/// An Envoy of the fleet, which has nothing but where the control plane is.
pub async fn edge(plane: &Plane, variant: Variant) -> Envoy {
    edge_called("edge-1", plane, variant).await
}

/// The same, by another name.
pub async fn edge_called(node: &str, plane: &Plane, variant: Variant) -> Envoy {
    edge_that(plane, variant, |bootstrap| {
        node.clone_into(&mut bootstrap.node);
    })
    .await
}

/// With what `change` makes of its bootstrap.
pub async fn edge_that(
    plane: &Plane,
    variant: Variant,
    change: impl FnOnce(&mut FleetBootstrap),
) -> Envoy {
    let mut bootstrap = bootstrap(plane, variant);
    change(&mut bootstrap);
    Envoy::start(&bootstrap.to_yaml()).await.unwrap()
}

/// An Envoy of the fleet with a listener of its own, which is no document's: the routes called `web` are.
pub async fn edge_at(node: &str, at: SocketAddr, plane: &Plane) -> Envoy {
    let mut bootstrap = bootstrap(plane, Variant::Delta);
    node.clone_into(&mut bootstrap.node);
    let options = Options {
        beside: format!("static_resources: {{listeners: [{{{}}}]}}", listens(at)),
        ..Options::default()
    };
    let yaml = bootstrap.to_yaml();
    Envoy::start_with(&yaml, options).await.unwrap()
}

/// A listener with the routes called `web`.
pub fn listener(at: SocketAddr) -> String {
    typed("config.listener.v3.Listener", &listens(at))
}

/// The same, with the filter of callees before them, which is configured by discovery.
pub fn filtered(at: SocketAddr) -> String {
    let filter = format!(
        "{{name: sloop-inbound, config_discovery: {{config_source: {{resource_api_version: V3, ads: {{}}}}, \
         type_urls: [{}]}}}}, ",
        plugin::WASM_TYPE_URL
    );
    typed("config.listener.v3.Listener", &listens_with(&filter, at))
}

fn listens(at: SocketAddr) -> String {
    listens_with("", at)
}

fn listens_with(filter: &str, at: SocketAddr) -> String {
    let router = typed("extensions.filters.http.router.v3.Router", "");
    let manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        &format!(
            "stat_prefix: web, rds: {{route_config_name: web, config_source: {{resource_api_version: V3, ads: {{}}}}}}, \
             http_filters: [{filter}{{name: envoy.filters.http.router, typed_config: {router}}}]"
        ),
    );
    format!(
        "name: web, address: {{socket_address: {{address: {}, port_value: {}}}}}, \
         filter_chains: [{{filters: [{{name: envoy.filters.network.http_connection_manager, typed_config: {manager}}}]}}]",
        at.ip(),
        at.port()
    )
}

/// Routes called `web`, all to one cluster.
pub fn routes(cluster: &str) -> String {
    typed(
        "config.route.v3.RouteConfiguration",
        &format!(
            "name: web, virtual_hosts: [{{name: all, domains: [\"*\"], \
             routes: [{{match: {{prefix: /}}, route: {{cluster: {cluster}}}}}]}}]"
        ),
    )
}

/// A cluster with endpoints by discovery, and `max_requests` at a time.
pub fn cluster(name: &str, max_requests: u32) -> String {
    typed(
        "config.cluster.v3.Cluster",
        &format!(
            "name: {name}, type: EDS, connect_timeout: 1s, \
             eds_cluster_config: {{service_name: {name}-pool, eds_config: {{resource_api_version: V3, ads: {{}}}}}}, \
             circuit_breakers: {{thresholds: [{{max_requests: {max_requests}}}]}}"
        ),
    )
}

fn bootstrap(plane: &Plane, variant: Variant) -> FleetBootstrap {
    FleetBootstrap {
        node: "edge-1".to_owned(),
        service: ServiceName::try_from("edge").unwrap(),
        locality: Locality {
            zone: "a".to_owned(),
            ..Locality::default()
        },
        metadata: BTreeMap::new(),
        admin: "127.0.0.1:0".parse().unwrap(),
        control_plane: plane.listen.into(),
        tls: None,
        variant,
    }
}
