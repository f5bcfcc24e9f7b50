//! What is declared goes to one real Envoy first, while requests flow.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]
#![allow(clippy::print_stdout, reason = "who refused is worth seeing")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use sloop_controllers::ConfigSettings;
use sloop_controlplane::admin::api::{Event, Happened, List, PushStage, PushStatus, ScopeStatus};
use sloop_controlplane::ads::{LoadSettings, Variant};
use sloop_controlplane::limits::Limits;
use sloop_controlplane::publish::PublishSettings;
use sloop_controlplane::serve::{ApiSettings, ServeSettings, serve};
use sloop_integration::demo::admin::Client;
use sloop_integration::envoy::Upstream;
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use sloop_model::{ReportSettings, Side, TraceSettings};
use sloop_xds::rollout::RolloutPace;
use support::load::Load;
use support::{SOON, Sidecar};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The whole control plane in this process.
struct Control {
    api: Client,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    /// All of it ends with this runtime, connections too, as with a process.
    apart: Runtime,
}

/// Where a control plane is, before and after it was started anew.
#[derive(Clone, Copy)]
struct Addresses {
    grpc: SocketAddr,
    admin: SocketAddr,
}

impl Control {
    /// Begins, or goes on, with what is in `folder`. Sidecars are told to run `module`.
    async fn start(folder: &Path, at: Addresses, module: String) -> Self {
        let settings = ServeSettings {
            documents: folder.join("documents"),
            listen: at.grpc,
            admin: at.admin,
            store: folder.join("store"),
            publish: PublishSettings {
                config: ConfigSettings {
                    report: Some(ReportSettings {
                        cluster: "sloop_xds".to_owned(),
                        interval_ms: 100,
                    }),
                    trace: TraceSettings::default(),
                },
                module,
                ttl: None,
            },
            record: None,
            tls: None,
            limits: Limits::default(),
            api: ApiSettings::default(),
            otlp: None,
            rollout: RolloutPace {
                quiet: Duration::from_secs(2),
                ..RolloutPace::default()
            },
            loads: LoadSettings::default(),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let apart = Runtime::new().unwrap();
        let serving = apart.spawn(async move {
            let stopped = async move { drop(stopped.await) };
            serve(settings, stopped).await.unwrap();
        });
        let control = Self {
            api: Client::new(at.admin).unwrap(),
            stop,
            serving,
            apart,
        };
        eventually(SOON, "the control plane is ready", async || {
            control.list::<Event>("/v1/events").await
        })
        .await
        .unwrap();
        control
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
        self.apart.shutdown_background();
    }

    async fn list<T: DeserializeOwned>(&self, path: &str) -> Option<Vec<T>> {
        let list: List<T> = self.api.get(path).await.ok()?;
        Some(list.items)
    }

    /// Waits until how pushes to the group stand is as wanted.
    async fn stands(&self, what: &str, is_it: impl Fn(&PushStatus) -> bool) -> PushStatus {
        let mut last = None;
        let found = eventually(SOON, what, async || {
            last = self
                .list::<PushStatus>("/v1/pushes")
                .await?
                .into_iter()
                .next();
            last.clone().filter(|status| is_it(status))
        });
        let found = found.await;
        found.unwrap_or_else(|error| panic!("{error:#}: {last:?}"))
    }
}

fn declare(folder: &Path, route: &str) {
    declare_all(folder, &[route.to_owned()]);
}

fn declare_all(folder: &Path, routes: &[String]) {
    let routes = routes.iter();
    let routes =
        routes.map(|name| format!("{{name: {name}, match: [{{path: {{prefix: /{name}}}}}]}}"));
    let routes = routes.collect::<Vec<_>>().join(", ");
    let documents = format!(
        "apiVersion: sloop.dev/v1
kind: RouteSet
metadata: {{name: shop}}
spec:
  service: shop
  routes: [{routes}]
"
    );
    let draft = folder.join("draft");
    std::fs::write(&draft, documents).unwrap();
    std::fs::rename(draft, folder.join("documents/shop.yaml")).unwrap();
}

/// Configurations of extensions that an Envoy did not take since it began.
async fn refusals(sidecar: &Sidecar) -> u64 {
    let stats = sidecar.envoy.stats("config_fail").await.unwrap();
    stats.into_iter().map(|(_, count)| count).sum()
}

fn everywhere(status: &PushStatus) -> bool {
    status.nodes == 2 && status.in_force == 2
}

/// Waits until a change other than `before` is taken back because one of two Envoys refused it. The
/// answer is its revision.
async fn taken_back(control: &Control, before: &str, [first, second]: [&Sidecar; 2]) -> String {
    let old = [refusals(first).await, refusals(second).await];
    let back = control
        .stands("it is taken back, and both have what they had", |status| {
            everywhere(status)
                && matches!(&status.stage, PushStage::RolledBack { revision, .. } if revision != before)
        })
        .await;
    let PushStage::RolledBack {
        reason, revision, ..
    } = back.stage
    else {
        panic!("{back:?}");
    };
    let new = [refusals(first).await, refusals(second).await];
    println!("{reason}: {old:?} {new:?}");
    if before.is_empty() {
        // Whoever came back first tries it. It may have refused before somebody looked.
        assert_eq!(
            new.iter().filter(|count| **count == 0).count(),
            1,
            "one never saw it"
        );
    } else {
        assert!(
            reason.starts_with("shop-1 refuses it: "),
            "the first by id: {reason}"
        );
        assert_eq!(new[1], old[1], "the other never saw it");
    }
    revision
}

/// A module that is not there.
fn absent(_: &Path) -> String {
    "/nowhere/sloop_filter.wasm".to_owned()
}

/// A module that Envoy can load, and that crashes when it is configured.
fn crashing(folder: &Path) -> String {
    let path = folder.join("crashing.wasm");
    std::fs::write(&path, support::crashing::module()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Case 17: `bad` is a module that every sidecar would refuse. One does; then it is over.
async fn a_bad_change_stops_at_the_first(variant: Variant, bad: fn(&Path) -> String) {
    let app = Upstream::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("documents")).unwrap();
    declare(folder, "pay");
    let at = Addresses {
        grpc: ports::free_address().unwrap(),
        admin: ports::free_address().unwrap(),
    };
    let control = Control::start(folder, at, support::module()).await;
    let sidecar =
        |node| Sidecar::start_as(node, support::module(), app.address(), (at.grpc, variant));
    let (first, second) = (sidecar("shop-1").await, sidecar("shop-2").await);
    control.stands("both have the first", everywhere).await;
    let loads = [&first, &second].map(|it| Load::start(it.inbound.clone(), "/pay"));

    control.stop().await;
    let control = Control::start(folder, at, bad(folder)).await;
    let revision = taken_back(&control, "", [&first, &second]).await;

    // Another change is tried, and as the module is still as bad it is taken back, too.
    declare(folder, "cart");
    taken_back(&control, &revision, [&first, &second]).await;
    control.stop().await;

    let control = Control::start(folder, at, support::module()).await;
    control
        .stands("the good change reaches both", |status| {
            everywhere(status) && status.stage == PushStage::Settled
        })
        .await;
    let events = control.list::<Event>("/v1/events").await.unwrap();
    let rolled_out = |event: &Event| matches!(event.happened, Happened::RolledOut { .. });
    assert!(events.iter().any(rolled_out), "step by step");
    for load in loads {
        load.none_failed().await;
    }
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_change_stops_at_the_first_over_delta() {
    a_bad_change_stops_at_the_first(Variant::Delta, absent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_crashes_stops_at_the_first() {
    a_bad_change_stops_at_the_first(Variant::Delta, crashing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_change_stops_at_the_first_over_state_of_the_world() {
    a_bad_change_stops_at_the_first(Variant::Sotw, absent).await;
}

/// The module as a later version of it: the same but for a section that says nothing (WebAssembly Core 2.0, 5.5.3).
fn later_version(folder: &Path) -> String {
    let mut bytes = std::fs::read(support::module()).unwrap();
    bytes.extend_from_slice(b"\x00\x08\x07version");
    let path = folder.join("sloop_filter_later.wasm");
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn runs(sidecar: &Sidecar, module: &str) -> bool {
    let dump = sidecar.envoy.get("/config_dump?include_eds=off").await;
    dump.is_ok_and(|dump| dump.contains(module))
}

/// How many looks in a row, a hundred milliseconds apart at least, a count stands still before it is taken for the last word:
/// longer than ten reports take.
const STILL: u32 = 12;

impl Control {
    /// Requests of `route` on the server's side that it has counted, when no more come.
    async fn settled(&self, route: &str) -> u64 {
        let mut last = (0, 0);
        eventually(SOON, "the count stands still", async || {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let scopes = self.list::<ScopeStatus>("/v1/scopes").await?;
            let mut of_route = scopes
                .iter()
                .filter(|it| it.route.as_str() == route && it.side == Side::Server);
            let counted = of_route.next()?.requests;
            last = if last.0 == counted {
                (counted, last.1 + 1)
            } else {
                (counted, 0)
            };
            (last.1 == STILL).then_some(counted)
        })
        .await
        .unwrap()
    }
}

/// What an upgrade may lose: of each of the four VMs that end, what it counted since the report before, which is an interval's
/// when the control plane is there. It is not while it begins anew itself, so this is what is asked in two seconds.
fn lost_max(sent: u64, took: Duration) -> u64 {
    2_000 * sent / u64::try_from(took.as_millis()).unwrap()
}

/// An upgrade of the sidecars' module: one begins its VMs anew, then the other, and nobody who asks notices. What is counted
/// is never too much, and too little by what the ending VMs had not reported.
async fn a_module_is_upgraded(variant: Variant) {
    let app = Upstream::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("documents")).unwrap();
    declare(folder, "pay");
    let at = Addresses {
        grpc: ports::free_address().unwrap(),
        admin: ports::free_address().unwrap(),
    };
    let control = Control::start(folder, at, support::module()).await;
    let sidecar =
        |node| Sidecar::start_as(node, support::module(), app.address(), (at.grpc, variant));
    let sidecars = [sidecar("shop-1").await, sidecar("shop-2").await];
    control.stands("both have the first", everywhere).await;
    let loads = sidecars
        .each_ref()
        .map(|it| Load::start(it.inbound.clone(), "/pay"));
    let begun = Instant::now();

    control.stop().await;
    let later = later_version(folder);
    let control = Control::start(folder, at, later.clone()).await;
    eventually(SOON, "the later module went to all", async || {
        let events = control.list::<Event>("/v1/events").await?;
        let is_out = |event: &Event| matches!(event.happened, Happened::RolledOut { .. });
        events.iter().any(is_out).then_some(())
    })
    .await
    .unwrap();
    let status = control
        .stands("both have the later module", |status| {
            everywhere(status) && status.stage == PushStage::Settled
        })
        .await;
    assert_eq!(status.in_force, 2);
    for sidecar in &sidecars {
        assert!(runs(sidecar, &later).await);
        assert_eq!(refusals(sidecar).await, 0);
    }
    let events = control.list::<Event>("/v1/events").await.unwrap();
    let tried: Vec<usize> = events
        .iter()
        .filter_map(|event| {
            let Happened::Trying { nodes, .. } = event.happened else {
                return None;
            };
            Some(nodes)
        })
        .collect();
    assert_eq!(tried, [1], "one first");
    let mut sent = 0;
    for load in loads {
        sent += load.none_failed().await;
    }
    let took = begun.elapsed();
    let counted = control.settled("pay").await;
    println!("{sent} requests in {took:?}: {counted} counted");
    let sent = u64::try_from(sent).unwrap();
    assert!(counted <= sent, "{counted} of {sent}: none twice");
    let lost = sent - counted;
    assert!(lost <= lost_max(sent, took), "{lost} of {sent} are lost");
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_is_upgraded_without_a_failed_request_over_delta() {
    a_module_is_upgraded(Variant::Delta).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_is_upgraded_without_a_failed_request_over_state_of_the_world() {
    a_module_is_upgraded(Variant::Sotw).await;
}

/// Configurations with more are large: those for one route are far below, those for two hundred far above.
const LARGE: i32 = 4_096;

/// VMs that begin later than ten seconds after the first of their Envoy began anew (`engine/health.rs` of the control plane).
const START: Duration = Duration::from_secs(11);

/// The module of the sidecars, as one that crashes in a request after it was given a large configuration.
fn doomed(folder: &Path) -> String {
    let bytes = std::fs::read(support::module()).unwrap();
    let path = folder.join("doomed.wasm");
    std::fs::write(&path, support::doomed::module(&bytes, LARGE)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Of VMs that crashed: how many Envoy began anew (`vm_reload_success`), or how many requests came before it may
/// (`vm_reload_backoff`).
async fn crashes(sidecar: &Sidecar, name: &str) -> u64 {
    let stats = sidecar.envoy.stats(name).await.unwrap();
    stats.into_iter().map(|(_, count)| count).sum()
}

/// Every Envoy takes the change and says so. Then the first request on the one that tries it crashes its VM.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_after_which_vms_crash_is_taken_back_from_the_first() {
    let app = Upstream::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("documents")).unwrap();
    declare(folder, "pay");
    let at = Addresses {
        grpc: ports::free_address().unwrap(),
        admin: ports::free_address().unwrap(),
    };
    let module = doomed(folder);
    let control = Control::start(folder, at, module.clone()).await;
    let way = (at.grpc, Variant::Delta);
    let sidecar = |node| Sidecar::start_as(node, module.clone(), app.address(), way);
    let (first, second) = (sidecar("shop-1").await, sidecar("shop-2").await);
    control.stands("both have the first", everywhere).await;
    let began = Instant::now();
    let [load, other] = [&first, &second].map(|it| Load::start(it.inbound.clone(), "/pay"));
    eventually(SOON, "all VMs began long ago", async || {
        (START < began.elapsed()).then_some(())
    })
    .await
    .unwrap();

    let routes: Vec<String> = (0..200).map(|number| format!("pay-{number}")).collect();
    declare_all(folder, &routes);
    let back = control
        .stands("it is taken back, and both have what they had", |status| {
            everywhere(status) && matches!(status.stage, PushStage::RolledBack { .. })
        })
        .await;
    let PushStage::RolledBack { reason, .. } = back.stage else {
        panic!("{back:?}");
    };
    assert_eq!(reason, "shop-1 began a Wasm VM anew");
    assert_eq!(refusals(&first).await, 0, "it was taken");
    let failed = load.failed().await;
    let anew = crashes(&first, "vm_reload_success").await;
    let waits = crashes(&first, "vm_reload_backoff").await;
    println!("{anew} VMs began anew, before which {waits} requests were refused");
    assert!(
        (1..=2).contains(&anew),
        "one for each of two workers: {anew}"
    );
    let crashed = failed.len() - usize::try_from(waits).unwrap();
    let anew = usize::try_from(anew).unwrap();
    // The other worker's may be taken back before it begins anew.
    assert!(
        (anew..=2).contains(&crashed),
        "and those that crashed: {crashed}"
    );
    assert_eq!(crashes(&second, "vm_reload").await, 0);
    other.none_failed().await;
    control.stop().await;
}
