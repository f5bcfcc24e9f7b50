//! A control plane that has nothing but documents of whole fleets.
//!
//! The program is `$SLOOP`, else `target/debug/sloop`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sloop_controlplane::ads::Variant;
use sloop_controlplane::bootstrap::FleetBootstrap;
use sloop_integration::envoy::{Caller, Envoy};
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use sloop_integration::process::{Guarded, Program};
use sloop_model::ServiceName;

use super::SOON;

/// A control plane with a folder of documents.
pub struct Plane {
    /// Before the folder with its log, which is shown when a test fails.
    _running: Guarded,
    folder: tempfile::TempDir,
    listen: SocketAddr,
    pub admin: Caller,
}

impl Plane {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("documents")).unwrap();
        let (listen, admin) = (
            ports::free_address().unwrap(),
            ports::free_address().unwrap(),
        );
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/sloop");
        let program = std::env::var_os("SLOOP").map_or(built, PathBuf::from);
        let running = Program::new("sloop", program)
            .arg("serve")
            .arg("--documents")
            .arg(folder.path().join("documents"))
            .args(["--listen", &listen.to_string()])
            .args(["--admin", &admin.to_string()])
            .arg("--store")
            .arg(folder.path().join("store"))
            .args(["--module", "/sloop_filter.wasm"])
            .start(folder.path().join("sloop.log"))
            .unwrap();
        let plane = Self {
            _running: running,
            folder,
            listen,
            admin: Caller::of(admin),
        };
        eventually(SOON, "sloop is ready", async || {
            let answer = plane.admin.get("/readyz").await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await
        .unwrap();
        plane
    }

    /// Writes resources as one file, which takes effect as a whole.
    pub fn declare(&self, resources: &[String]) {
        let documents: Vec<String> = resources
            .iter()
            .enumerate()
            .map(|(n, resource)| {
                format!(
                    "apiVersion: sloop.dev/v1\nkind: EnvoyResource\nmetadata: {{name: r{n}}}\nspec:\n  \
                     selector: {{clusters: [edge]}}\n  resource: {resource}\n"
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
    let yaml = FleetBootstrap {
        node: "edge-1".to_owned(),
        service: ServiceName::try_from("edge").unwrap(),
        locality: (String::new(), "a".to_owned()),
        metadata: BTreeMap::new(),
        admin: "127.0.0.1:0".parse().unwrap(),
        control_plane: plane.listen.into(),
        tls: None,
        variant,
    }
    .to_yaml();
    Envoy::start(&yaml).await.unwrap()
}
