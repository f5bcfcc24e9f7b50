//! The control plane is killed and restarted while requests flow, its disk is full, or it does not answer.
//!
//! The program is `$SLOOP`, else `target/debug/sloop`.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sloop_controlplane::ads::Variant;
use sloop_integration::envoy::{Caller, Upstream};
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use sloop_integration::process::{Guarded, Program};
use support::{SOON, Sidecar, module};

const DOCUMENTS: &str = r#"
apiVersion: sloop.dev/v1
kind: RouteSet
metadata:
  name: shop
spec:
  service: shop
  routes:
  - name: pay
    match:
    - path:
        prefix: /pay
"#;

/// A control plane that can be restarted at the same place.
struct ControlPlane {
    folder: tempfile::TempDir,
    listen: SocketAddr,
    admin: SocketAddr,
    running: Guarded,
}

fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/sloop");
    std::env::var_os("SLOOP").map_or(built, PathBuf::from)
}

fn start(folder: &Path, listen: SocketAddr, admin: SocketAddr) -> Guarded {
    // Where it may not write, it is told so and not ended.
    Program::new("sloop", "/bin/sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(program())
        .arg("serve")
        .arg("--documents")
        .arg(folder.join("documents"))
        .args(["--listen", &listen.to_string()])
        .args(["--admin", &admin.to_string()])
        .arg("--store")
        .arg(folder.join("store"))
        .args(["--module", &module()])
        .args(["--report-interval", "100"])
        .start(folder.join("sloop.log"))
        .unwrap()
}

impl ControlPlane {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("documents")).unwrap();
        std::fs::write(folder.path().join("documents/shop.yaml"), DOCUMENTS).unwrap();
        let (listen, admin) = (
            ports::free_address().unwrap(),
            ports::free_address().unwrap(),
        );
        let running = start(folder.path(), listen, admin);
        let plane = Self {
            folder,
            listen,
            admin,
            running,
        };
        plane.is_ready().await;
        plane
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

    /// Lets it write files up to so many bytes, also where they have more already.
    fn limit(&self, bytes: &str) {
        let set = Command::new("prlimit")
            .args(["--pid", &self.running.id().to_string()])
            .arg(format!("--fsize={bytes}:unlimited"))
            .status();
        assert!(set.expect("util-linux is installed").success());
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.running.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it says that it is ready, and `whether` it stores what it is given.
    async fn says(&self, whether: &str) {
        let admin = Caller::of(self.admin);
        eventually(SOON, whether, async || {
            let answer = admin.get("/readyz").await.ok()?;
            let text = String::from_utf8_lossy(answer.body()).into_owned();
            text.starts_with(whether).then_some(())
        })
        .await
        .unwrap();
    }

    /// Nobody's last words: SIGKILL.
    async fn kill_and_restart(&mut self) {
        self.running.kill().unwrap();
        self.running = start(self.folder.path(), self.listen, self.admin);
        self.is_ready().await;
    }

    /// Another one in its place, which never knew what was in the store; without documents where `documents` is none.
    async fn replace(&mut self, documents: Option<&str>) {
        self.running.kill().unwrap();
        let folder = self.folder.path();
        std::fs::remove_file(folder.join("store")).unwrap();
        let file = folder.join("documents/shop.yaml");
        match documents {
            Some(text) => std::fs::write(file, text).unwrap(),
            None => std::fs::remove_file(file).unwrap(),
        }
        self.running = start(folder, self.listen, self.admin);
        self.is_ready().await;
        eventually(SOON, "the sidecar is connected", async || {
            let answer = Caller::of(self.admin).get("/v1/nodes").await.ok()?;
            let answer: serde_json::Value = serde_json::from_slice(answer.body()).ok()?;
            (answer["items"][0]["connected"] == true).then_some(())
        })
        .await
        .unwrap();
    }

    async fn end_and_restart(&mut self) {
        let status = self.running.terminate(SOON).await.unwrap();
        assert!(status.success(), "{status}");
        self.running = start(self.folder.path(), self.listen, self.admin);
        self.is_ready().await;
    }

    /// Requests of `pay` on the server's side that it has counted, since ever.
    async fn counted(&self) -> Option<u64> {
        let answer = Caller::of(self.admin).get("/v1/scopes").await.ok()?;
        let answer: serde_json::Value = serde_json::from_slice(answer.body()).ok()?;
        let scopes = answer["items"].as_array()?;
        let pay = scopes
            .iter()
            .find(|scope| scope["route"] == "pay" && scope["side"] == "server")?;
        pay["requests"].as_u64()
    }
}

/// Requests that flow until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(caller: &Caller, callers: usize) -> Self {
        let (stop, sent, failed) = (
            Arc::<AtomicBool>::default(),
            Arc::<AtomicU64>::default(),
            Arc::<AtomicU64>::default(),
        );
        let callers = (0..callers)
            .map(|_| {
                let (caller, stop) = (caller.clone(), Arc::clone(&stop));
                let (sent, failed) = (Arc::clone(&sent), Arc::clone(&failed));
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        let answer = caller.get("/pay").await;
                        sent.fetch_add(1, Ordering::Relaxed);
                        if answer.map_or(true, |it| it.status() != 200) {
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        Self {
            stop,
            sent,
            failed,
            callers,
        }
    }

    async fn flows(&self) {
        self.flows_for(300, SOON).await;
    }

    async fn flows_for(&self, requests: u64, within: Duration) {
        let goal = self.sent.load(Ordering::Relaxed) + requests;
        let what = format!("{requests} more requests");
        eventually(within, &what, async || {
            (goal <= self.sent.load(Ordering::Relaxed)).then_some(())
        })
        .await
        .unwrap();
    }

    /// How many were sent, and how many of them failed.
    async fn stop(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
        let counts = [self.sent, self.failed].map(|count| count.load(Ordering::Relaxed));
        counts.into()
    }
}

async fn restarts_over(variant: Variant) {
    let app = Upstream::start().await.unwrap();
    let mut plane = ControlPlane::start().await;
    let sidecar = Sidecar::start(app.address(), plane.listen, variant).await;
    // The route has its name only once the configuration has come.
    eventually(SOON, "the route is known", async || {
        sidecar.inbound.get("/pay").await.ok()?;
        plane.counted().await
    })
    .await
    .unwrap();
    drop(app.take());
    // Both workers have reported everything when two looks in a row say the same.
    let before = settled(&plane).await;

    let load = Load::start(&sidecar.inbound, 4);
    load.flows().await;
    plane.kill_and_restart().await;
    load.flows().await;
    plane.kill_and_restart().await;
    load.flows().await;
    plane.end_and_restart().await;
    load.flows().await;
    let (sent, failed) = load.stop().await;

    assert_eq!(failed, 0, "of {sent} requests");
    assert_eq!(u64::try_from(app.take().len()).unwrap(), sent);
    let expected = before + sent;
    let counted = eventually(SOON, "all requests are counted", async || {
        plane.counted().await.filter(|counted| expected <= *counted)
    });
    assert_eq!(
        counted.await.unwrap(),
        expected,
        "no count is lost or doubled"
    );
}

/// The count when it has stood still for thirty looks: longer than three reports take.
async fn settled(plane: &ControlPlane) -> u64 {
    let mut last = (0, 0);
    eventually(SOON, "the count stands still", async || {
        let counted = plane.counted().await?;
        last = if last.0 == counted {
            (counted, last.1 + 1)
        } else {
            (counted, 0)
        };
        (last.1 == 30).then_some(counted)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_and_no_count_is_lost_over_delta() {
    restarts_over(Variant::Delta).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_and_no_count_is_lost_over_state_of_the_world() {
    restarts_over(Variant::Sotw).await;
}

/// A sidecar whose control plane knows the route `pay` from it, what it counted so far, and the service behind it.
async fn counting() -> (Upstream, ControlPlane, Sidecar, u64) {
    let app = Upstream::start().await.unwrap();
    let plane = ControlPlane::start().await;
    let sidecar = Sidecar::start(app.address(), plane.listen, Variant::Delta).await;
    eventually(SOON, "the route is known", async || {
        sidecar.inbound.get("/pay").await.ok()?;
        plane.counted().await
    })
    .await
    .unwrap();
    drop(app.take());
    let before = settled(&plane).await;
    (app, plane, sidecar, before)
}

/// Ends `load`, and fails if any of its requests did, or is not counted beyond `before`, or twice.
async fn all_counted(load: Load, app: &Upstream, plane: &ControlPlane, before: u64) {
    let (sent, failed) = load.stop().await;
    assert_eq!(failed, 0, "of {sent} requests");
    assert_eq!(u64::try_from(app.take().len()).unwrap(), sent);
    let counted = eventually(SOON, "all requests are counted", async || {
        let counted = plane.counted().await;
        counted.filter(|counted| before + sent <= *counted)
    });
    assert_eq!(counted.await.unwrap(), before + sent);
    assert_eq!(settled(plane).await, before + sent, "nothing comes twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_count_is_lost_on_a_full_disk_and_pushes_go_on() {
    let (app, mut plane, sidecar, before) = counting().await;
    let load = Load::start(&sidecar.inbound, 4);
    load.flows().await;
    for bytes in ["0", "4096"] {
        plane.limit(bytes);
        plane.says("ready, but for ").await;
        load.flows().await;
        let pushed = pushes(&sidecar).await.unwrap();
        let folder = plane.folder.path().join("documents");
        let text = documents(bytes.len().try_into().unwrap());
        std::fs::write(folder.join("shop.new"), text).unwrap();
        std::fs::rename(folder.join("shop.new"), folder.join("shop.yaml")).unwrap();
        eventually(SOON, "what is declared is in force", async || {
            pushes(&sidecar).await.filter(|now| pushed < *now)
        })
        .await
        .unwrap();
        load.flows().await;
        plane.limit("unlimited");
        plane.says("ready\n").await;
        load.flows().await;
    }
    // Killed while there is no room: it knows what it acknowledged.
    plane.limit("4096");
    plane.says("ready, but for ").await;
    load.flows().await;
    plane.kill_and_restart().await;
    load.flows().await;
    all_counted(load, &app, &plane, before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_count_is_lost_while_it_takes_reports_and_does_not_answer() {
    let (app, plane, sidecar, before) = counting().await;
    let load = Load::start(&sidecar.inbound, 4);
    load.flows().await;
    plane.signal("-STOP");
    // Each worker gives a call up after five seconds.
    eventually(2 * SOON, "calls are given up", async || {
        let counts = sidecar.envoy.stats(r"^cluster\..*\.upstream_rq_timeout$");
        let counts = counts.await.ok()?;
        let given_up: u64 = counts.iter().map(|(_, count)| count).sum();
        (4 <= given_up).then_some(())
    })
    .await
    .unwrap();
    plane.signal("-CONT");
    load.flows().await;
    all_counted(load, &app, &plane, before).await;
}

/// The filter of the inbound side as Envoy has it: its configuration, without when it heard of it.
async fn filter(sidecar: &Sidecar) -> Option<serde_json::Value> {
    let text = sidecar.envoy.get("/config_dump").await.ok()?;
    let dump: serde_json::Value = serde_json::from_str(&text).ok()?;
    let filters = dump["configs"]
        .as_array()?
        .iter()
        .filter_map(|it| it["ecds_filters"].as_array())
        .flatten();
    let mut filters = filters.map(|it| it["ecds_filter"].clone());
    filters.find(|it| it["name"] == "sloop-inbound")
}

/// A sidecar that has a configuration meets a control plane that has lost its store, and then one that has nothing.
async fn an_empty_one_takes_over(variant: Variant) {
    let app = Upstream::start().await.unwrap();
    let mut plane = ControlPlane::start().await;
    let sidecar = Sidecar::start(app.address(), plane.listen, variant).await;
    eventually(SOON, "the route is known", async || {
        sidecar.inbound.get("/pay").await.ok()?;
        plane.counted().await
    })
    .await
    .unwrap();
    let had = filter(&sidecar).await;
    assert!(had.is_some());
    let load = Load::start(&sidecar.inbound, 4);
    load.flows().await;
    plane.replace(Some(DOCUMENTS)).await;
    load.flows().await;
    assert_eq!(filter(&sidecar).await, had);
    plane.replace(None).await;
    load.flows().await;
    assert!(filter(&sidecar).await.is_some(), "it has a filter");
    let (sent, failed) = load.stop().await;
    assert_eq!(failed, 0, "of {sent} requests");
    assert_eq!(sidecar.envoy.stat("server.live").await.unwrap(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_control_plane_costs_no_request_over_delta() {
    an_empty_one_takes_over(Variant::Delta).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_control_plane_costs_no_request_over_state_of_the_world() {
    an_empty_one_takes_over(Variant::Sotw).await;
}

/// Pushes that the sidecar has taken while requests flow: of documents that change often, not each gets there.
const PUSHES_MIN: u64 = 5;

/// How the long run is asked for.
const LONG: &str = "SLOOP_LONG";

/// The documents, with one route more for each push: what is pushed differs each time.
fn documents(pushes: u32) -> String {
    let more = (0..pushes % 8).map(|number| {
        format!("  - name: more-{pushes}-{number}\n    match:\n    - path:\n        prefix: /more/{number}\n")
    });
    DOCUMENTS.to_owned() + &more.collect::<String>()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_requests_are_counted_exactly_over_pushes() {
    counted_exactly(20_000, Duration::from_millis(250)).await;
}

/// Minutes long, so only when `SLOOP_LONG` is set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_thousand_requests_are_counted_exactly() {
    if std::env::var_os(LONG).is_none() {
        eprintln!("skipped: it takes minutes; set {LONG} to run it");
        return;
    }
    counted_exactly(200_000, Duration::from_secs(1)).await;
}

/// How often the inbound filter has taken a configuration.
async fn pushes(sidecar: &Sidecar) -> Option<u64> {
    let reloads = r"extension_config_discovery.*sloop-inbound\.config_reload$";
    let counts = sidecar.envoy.stats(reloads).await.ok()?;
    Some(counts.iter().map(|(_, count)| count).sum())
}

/// So many requests at least, while the documents change each `pause` and the control plane is killed twice.
async fn counted_exactly(requests: u64, pause: Duration) {
    let patience = Duration::from_secs(900);
    let (app, mut plane, sidecar, before) = counting().await;
    let app = Arc::new(app);
    let pushed_before = pushes(&sidecar).await.unwrap();

    let folder = plane.folder.path().join("documents");
    let pushing = tokio::spawn(async move {
        for pushes in 1.. {
            tokio::time::sleep(pause).await;
            let new = folder.join("shop.new");
            std::fs::write(&new, documents(pushes)).unwrap();
            std::fs::rename(&new, folder.join("shop.yaml")).unwrap();
        }
    });
    // All at once they would take a third of a gigabyte.
    let (counting, arrived) = (Arc::clone(&app), Arc::<AtomicU64>::default());
    let arriving = Arc::clone(&arrived);
    let counting = tokio::spawn(async move {
        loop {
            let taken = u64::try_from(counting.take().len()).unwrap();
            arriving.fetch_add(taken, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let load = Load::start(&sidecar.inbound, 8);
    let begun = std::time::Instant::now();
    for _ in 0..2 {
        load.flows_for(requests / 3, patience).await;
        plane.kill_and_restart().await;
    }
    load.flows_for(requests - requests / 3 * 2, patience).await;
    // However soon that was.
    let pushed = eventually(SOON, "pushes while requests flow", async || {
        let pushed = pushes(&sidecar).await? - pushed_before;
        (PUSHES_MIN <= pushed).then_some(pushed)
    });
    let pushed = pushed.await.unwrap();
    let (sent, failed) = load.stop().await;
    let took = begun.elapsed();
    pushing.abort();

    counting.abort();
    let arrived = arrived.load(Ordering::Relaxed) + u64::try_from(app.take().len()).unwrap();
    let expected = before + sent;
    let counted = eventually(SOON, "all requests are counted", async || {
        plane.counted().await.filter(|counted| expected <= *counted)
    });
    let counted = counted.await.unwrap() - before;
    eprintln!(
        "{sent} requests in {took:?}: {arrived} arrived, {counted} counted, {failed} failed, {pushed} pushes"
    );
    assert_eq!((failed, arrived, counted), (0, sent, sent));
    assert!(requests <= sent);
}
