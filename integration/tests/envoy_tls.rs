//! A sidecar that proves who it is, and certificates that are exchanged while requests flow.
//!
//! The program is `$SLOOP`, else `target/debug/sloop`.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "../../controlplane/tests/authority/mod.rs"]
mod authority;
mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use authority::{Authority, write};
use sloop_controlplane::ads::Variant;
use sloop_controlplane::bootstrap::{Bootstrap, ClientTls, Inbound};
use sloop_integration::envoy::{Caller, Envoy, Upstream};
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use sloop_integration::process::{Guarded, Program};
use sloop_model::ServiceName;
use support::{SOON, module};

const SHOP: &str = "spiffe://example.org/ns/shop/sa/shop";

/// Who the sidecar is, and the routes of `shop`: `pay`, and as many more as there were changes.
fn documents(changes: u32) -> String {
    let mut text = format!(
        "apiVersion: sloop.dev/v1\nkind: AccessRule\nmetadata: {{name: shop}}\nspec: {{identities: [\"{SHOP}\"], services: [shop]}}\n---\n"
    );
    text += "apiVersion: sloop.dev/v1\nkind: RouteSet\nmetadata: {name: shop}\nspec:\n  service: shop\n  routes:\n  - {name: pay, match: [{path: {prefix: /pay}}]}\n";
    for change in 0..changes {
        text += &format!(
            "  - {{name: more-{change}, match: [{{path: {{prefix: /more/{change}}}}}]}}\n"
        );
    }
    text
}

/// A control plane with TLS, a sidecar that comes by TLS, and what both have in files.
struct Shop {
    folder: tempfile::TempDir,
    servers: Authority,
    listen: SocketAddr,
    admin: SocketAddr,
    running: Guarded,
    changes: u32,
}

fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/sloop");
    std::env::var_os("SLOOP").map_or(built, PathBuf::from)
}

fn start(folder: &Path, listen: SocketAddr, admin: SocketAddr) -> Guarded {
    let mut sloop = Program::new("sloop", program()).arg("serve");
    let files = [
        ("--documents", "documents"),
        ("--store", "store"),
        ("--tls-cert", "server.pem"),
        ("--tls-key", "server.key"),
        ("--client-ca", "clients.pem"),
    ];
    for (flag, file) in files {
        sloop = sloop.arg(flag).arg(folder.join(file));
    }
    sloop
        .args(["--listen", &listen.to_string()])
        .args(["--admin", &admin.to_string()])
        .args(["--module", &module()])
        .args(["--report-interval", "100"])
        .start(folder.join("sloop.log"))
        .unwrap()
}

impl Shop {
    async fn start(clients: &Authority) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::create_dir(path.join("documents")).unwrap();
        std::fs::write(path.join("documents/shop.yaml"), documents(0)).unwrap();
        let servers = Authority::new("servers");
        servers.write(path, "server", &[]);
        write(path, "servers.pem", servers.pem());
        write(path, "clients.pem", clients.pem());
        let listen = ports::free_address().unwrap();
        let admin = ports::free_address().unwrap();
        let shop = Self {
            running: start(path, listen, admin),
            servers,
            listen,
            admin,
            changes: 0,
            folder,
        };
        shop.is_ready().await;
        shop
    }

    async fn is_ready(&self) {
        let admin = Caller::of(self.admin);
        eventually(SOON, "sloop is ready", async || {
            let answer = admin.get("/readyz").await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await
        .unwrap();
    }

    async fn restart(&mut self) {
        assert!(self.running.terminate(SOON).await.unwrap().success());
        self.running = start(self.folder.path(), self.listen, self.admin);
        self.is_ready().await;
    }

    /// Changes what the sidecar should have, and waits until it has it.
    async fn change(&mut self) {
        self.changes += 1;
        let folder = self.folder.path().join("documents");
        let draft = self.folder.path().join("draft.yaml");
        std::fs::write(&draft, documents(self.changes)).unwrap();
        std::fs::rename(draft, folder.join("shop.yaml")).unwrap();
        let route = format!("more-{}", self.changes - 1);
        let path = format!("/more/{}", self.changes - 1);
        let inbound = Caller::of(self.inbound());
        eventually(
            SOON,
            "requests of a route that is new are counted",
            async || {
                inbound.get(&path).await.ok()?;
                self.counted(&route).await
            },
        )
        .await
        .unwrap();
    }

    /// Requests of a route that the control plane counted.
    async fn counted(&self, route: &str) -> Option<u64> {
        let answer = Caller::of(self.admin).get("/v1/scopes").await.ok()?;
        let answer: serde_json::Value = serde_json::from_slice(answer.body()).ok()?;
        let mut scopes = answer["items"].as_array()?.iter();
        scopes.find(|scope| scope["route"] == route)?["requests"].as_u64()
    }

    async fn metric(&self, name: &str) -> Option<f64> {
        let answer = Caller::of(self.admin).get("/metrics").await.ok()?;
        let text = String::from_utf8(answer.body().to_vec()).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    }

    fn inbound(&self) -> SocketAddr {
        let text = std::fs::read_to_string(self.folder.path().join("inbound")).unwrap();
        text.parse().unwrap()
    }

    async fn sidecar(&self, clients: &Authority, app: SocketAddr, server_name: &str) -> Envoy {
        let path = self.folder.path();
        let shown = clients.write(path, "shop", &[SHOP]);
        let name = |path: &Path| path.to_str().unwrap().to_owned();
        let inbound = ports::free_address().unwrap();
        write(path, "inbound", &inbound.to_string());
        let yaml = Bootstrap {
            node: "shop-1".into(),
            service: ServiceName::try_from("shop").unwrap(),
            locality: sloop_xds::Locality::default(),
            metadata: std::collections::BTreeMap::new(),
            admin: "127.0.0.1:0".parse().unwrap(),
            control_plane: self.listen.into(),
            tls: Some(ClientTls {
                cert: name(&shown.cert),
                key: name(&shown.key),
                ca: name(&path.join("servers.pem")),
                server_name: server_name.to_owned(),
            }),
            variant: Variant::Delta,
            module: module(),
            report_interval_ms: 100,
            collector: None,
            inbound: Some(Inbound {
                listen: inbound,
                app: app.into(),
            }),
            outbound: None,
        }
        .to_yaml();
        Envoy::start(&yaml).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_exchanged_under_load_without_a_failed_request() {
    let (clients, app) = (Authority::new("clients"), Upstream::start().await.unwrap());
    let mut shop = Shop::start(&clients).await;
    let _envoy = shop.sidecar(&clients, app.address(), "127.0.0.1").await;
    shop.change().await;

    let (stop, failed) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let (inbound, stopped, failures) = (
        Caller::of(shop.inbound()),
        Arc::clone(&stop),
        Arc::clone(&failed),
    );
    let load = tokio::spawn(async move {
        let mut sent = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            let answer = inbound.get("/pay").await;
            if answer.map_or(true, |it| it.status() != 200) {
                failures.fetch_add(1, Ordering::Relaxed);
            }
            sent += 1;
        }
        sent
    });
    // Another root for clients beside the first, and another certificate of the server.
    let both = clients.pem().to_owned() + Authority::new("other clients").pem();
    write(shop.folder.path(), "clients.pem", &both);
    shop.servers.write(shop.folder.path(), "server", &[]);
    eventually(SOON, "the new certificates are used", async || {
        let taken = shop.metric("sloop_controlplane_tls_reloads_total{result=\"taken\"}");
        (1.0 <= taken.await?).then_some(())
    })
    .await
    .unwrap();
    shop.change().await;
    // All connections are made anew, and verified by what there is since.
    shop.restart().await;
    shop.change().await;
    stop.store(true, Ordering::Relaxed);
    let sent = load.await.unwrap();
    assert_eq!(failed.load(Ordering::Relaxed), 0, "of {sent} requests");
    let counted = eventually(SOON, "all requests are counted", async || {
        shop.counted("pay").await.filter(|counted| sent <= *counted)
    });
    assert_eq!(counted.await.unwrap(), sent, "no count is lost or doubled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_with_another_name_is_not_listened_to() {
    let (clients, app) = (Authority::new("clients"), Upstream::start().await.unwrap());
    let shop = Shop::start(&clients).await;
    let envoy = shop
        .sidecar(&clients, app.address(), "spiffe://example.org/sloop")
        .await;
    let refused = "cluster.sloop_xds.ssl.fail_verify_san";
    eventually(SOON, "Envoy refuses its certificate", async || {
        envoy.stat(refused).await.ok()?.filter(|count| 0 < *count)
    })
    .await
    .unwrap();
    let answer = Caller::of(shop.inbound()).get("/pay").await.unwrap();
    assert_eq!(answer.status(), 200, "requests pass all the same");
    assert_eq!(shop.counted("pay").await, None);
}
