//! How long it takes from the first failures to breakers in force, on real Envoys.
//!
//! Four sidecars of one service, 1,000 requests per second over all of them, reports at their
//! usual interval of a second while all is well. The program is `$SLOOP`, else
//! `target/debug/sloop`. With `SLOOP_LONG` set it is measured many times, and the numbers are printed.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sloop_controllers::BreakerState;
use sloop_controlplane::admin::api::{Event, Happened, List};
use sloop_controlplane::ads::Variant;
use sloop_controlplane::bootstrap::{Bootstrap, Inbound};
use sloop_integration::envoy::{Caller, Envoy, Upstream};
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use sloop_integration::process::{Guarded, Program};
use sloop_model::{ServiceName, Share};
use support::module;
use tokio::task::JoinHandle;

const SIDECARS: usize = 4;
/// Between two requests to one sidecar: 250 per second to each.
const GAP: Duration = Duration::from_millis(4);
/// From the first failure of a total outage until the breaker of every sidecar is open, whatever the trial: looked at where there
/// is a machine for it, so with `SLOOP_LONG`.
const OUTAGE_MAX_MS: u64 = 3_000;
/// A machine with other work to do may take its time.
const PATIENCE: Duration = Duration::from_secs(60);

const SLO: &str = r#"
apiVersion: openslo/v1
kind: SLO
metadata:
  name: shop
  annotations:
    sloop.dev/mode: actionable
spec:
  service: shop
  indicator:
    metadata:
      name: served
    spec:
      ratioMetric:
        good: {metricSource: {type: sloop, spec: {route: "*"}}}
        total: {metricSource: {type: sloop, spec: {route: "*"}}}
  timeWindow:
  - duration: 28d
    isRolling: true
  budgetingMethod: Occurrences
  objectives:
  - displayName: served
    target: 0.999
"#;

/// A person who wants no more than this share to fail.
fn breaker(failed_max: &str) -> String {
    format!(
        r#"
---
apiVersion: sloop.dev/v1
kind: CircuitBreaker
metadata:
  name: shop
spec:
  service: shop
  limits:
    window_ms: 1000
    calls_min: 20
    failed_max: {failed_max}
    sigmas_hundredths: 300
    open_ms: 1000
    open_max_ms: 2000
    probes: 5
    ramp_ms: 1000
"#
    )
}

/// A fleet under load. Dropping it ends everything.
struct Fleet {
    app: Upstream,
    admin: Caller,
    load: Vec<JoinHandle<()>>,
    _envoys: Vec<Envoy>,
    _sloop: Guarded,
    _folder: tempfile::TempDir,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for load in &self.load {
            load.abort();
        }
    }
}

fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/sloop");
    std::env::var_os("SLOOP").map_or(built, PathBuf::from)
}

impl Fleet {
    async fn start(documents: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let documents_at = folder.path().join("documents");
        std::fs::create_dir(&documents_at).unwrap();
        std::fs::write(documents_at.join("shop.yaml"), documents).unwrap();
        let listen = ports::free_address().unwrap();
        let admin = ports::free_address().unwrap();
        let sloop = Program::new("sloop", program())
            .arg("serve")
            .arg("--documents")
            .arg(&documents_at)
            .args(["--listen", &listen.to_string()])
            .args(["--admin", &admin.to_string()])
            .arg("--store")
            .arg(folder.path().join("store"))
            .args(["--module", &module()])
            .start(folder.path().join("sloop.log"))
            .unwrap();
        let app = Upstream::start().await.unwrap();
        let (mut envoys, mut load) = (Vec::new(), Vec::new());
        for number in 0..SIDECARS {
            let inbound = ports::free_address().unwrap();
            envoys.push(sidecar(number, (inbound, app.address()), listen).await);
            load.push(tokio::spawn(ask(Caller::of(inbound))));
        }
        let fleet = Self {
            app,
            admin: Caller::of(admin),
            load,
            _envoys: envoys,
            _sloop: sloop,
            _folder: folder,
        };
        fleet.is_closed().await;
        fleet
    }

    /// What happened after the event `since`.
    async fn events(&self, since: u64) -> Option<Vec<Event>> {
        let path = format!("/v1/events?since={since}");
        let answer = self.admin.get(&path).await.ok()?;
        let list: List<Event> = serde_json::from_slice(answer.body()).ok()?;
        Some(list.items)
    }

    /// Waits until every sidecar has a breaker, all are closed, and requests flow that are reported.
    async fn is_closed(&self) {
        eventually(PATIENCE, "all breakers are closed", async || {
            let answer = self.admin.get("/v1/scopes").await.ok()?;
            let answer: serde_json::Value = serde_json::from_slice(answer.body()).ok()?;
            let breakers: Vec<_> = answer["items"]
                .as_array()?
                .iter()
                .flat_map(|scope| scope["breakers"].as_array().cloned().unwrap_or_default())
                .collect();
            let are_closed = breakers.iter().all(|one| one["state"] == "closed");
            drop(self.app.take());
            (SIDECARS <= breakers.len() && are_closed).then_some(())
        })
        .await
        .unwrap();
    }

    /// Lets `share` fail until the breaker of every sidecar is open. When the first and when the last was, in milliseconds.
    async fn trial(&self, share: Share) -> (u64, u64) {
        let since = self
            .events(0)
            .await
            .unwrap()
            .last()
            .map_or(0, |event| event.id);
        let begun = now_ms();
        self.app.fail(share);
        let opened = eventually(PATIENCE, "all breakers are open", async || {
            let mut opened: BTreeMap<String, u64> = BTreeMap::new();
            for event in self.events(since).await? {
                if let Happened::Breaker { node, to, .. } = event.happened
                    && to == BreakerState::Open
                {
                    opened.entry(node).or_insert(event.at_ms);
                }
            }
            (opened.len() == SIDECARS).then_some(opened)
        });
        let opened = opened.await.unwrap();
        self.app.fail(Share::NONE);
        let after = |at: &u64| at.saturating_sub(begun);
        (
            opened.values().map(after).min().unwrap(),
            opened.values().map(after).max().unwrap(),
        )
    }
}

async fn sidecar(
    number: usize,
    (inbound, app): (SocketAddr, SocketAddr),
    plane: SocketAddr,
) -> Envoy {
    let bootstrap = Bootstrap {
        node: format!("shop-{number}"),
        service: ServiceName::try_from("shop").unwrap(),
        locality: sloop_xds::Locality::default(),
        metadata: BTreeMap::new(),
        admin: "127.0.0.1:0".parse().unwrap(),
        control_plane: plane.into(),
        tls: None,
        variant: Variant::Delta,
        module: module(),
        report_interval_ms: 1_000,
        collector: None,
        inbound: Some(Inbound {
            listen: inbound,
            app: app.into(),
        }),
        outbound: None,
    };
    let options = sloop_integration::envoy::Options {
        name: format!("envoy of shop-{number}"),
        concurrency: 1,
        ..sloop_integration::envoy::Options::default()
    };
    Envoy::start_with(&bootstrap.to_yaml(), options)
        .await
        .unwrap()
}

/// Sends requests at their times, whether or not earlier ones were answered.
async fn ask(caller: Caller) {
    let mut ticks = tokio::time::interval(GAP);
    loop {
        ticks.tick().await;
        let caller = caller.clone();
        tokio::spawn(async move { drop(caller.get("/pay").await) });
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// How often to try: often where there is time.
fn trials(long: usize) -> usize {
    if std::env::var_os("SLOOP_LONG").is_some() {
        long
    } else {
        1
    }
}

/// Tries again and again, and says how long it took.
async fn measure(what: &str, documents: &str, share: u16) -> Vec<u64> {
    let fleet = Fleet::start(documents).await;
    let share = Share::try_from(share).unwrap();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for number in 0..trials(30) {
        // Orders of an outage after another one in which nothing was well wait for the last one to end.
        let quiet = Duration::from_millis(12_000 + 137 * u64::try_from(number).unwrap());
        fleet.is_closed().await;
        tokio::time::sleep(if number == 0 {
            Duration::from_secs(2)
        } else {
            quiet
        })
        .await;
        fleet.is_closed().await;
        let (one, all) = fleet.trial(share).await;
        first.push(one);
        last.push(all);
    }
    for times in [&mut first, &mut last] {
        times.sort_unstable();
    }
    let at = |times: &[u64], percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
    println!(
        "{what}: {} trials; first sidecar p50 {} ms, p99 {} ms; whole fleet p50 {} ms, p99 {} ms",
        first.len(),
        at(&first, 50),
        at(&first, 99),
        at(&last, 50),
        at(&last, 99),
    );
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_total_outage_opens_the_fleet() {
    let last = measure("total outage, derived breaker", SLO, 10_000).await;
    assert!(last[0] < 10_000, "{last:?}");
    if std::env::var_os("SLOOP_LONG").is_some() {
        let slowest = last[last.len() - 1];
        assert!(slowest <= OUTAGE_MAX_MS, "{last:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenth_of_failures_opens_the_fleet_where_a_person_wants_that() {
    let levels: &[&str] = if std::env::var_os("SLOOP_LONG").is_some() {
        &["5%", "2%"]
    } else {
        &["5%"]
    };
    for level in levels {
        let documents = format!("{SLO}{}", breaker(level));
        let what = format!("10 % errors, breaker declared at {level}");
        let last = measure(&what, &documents, 1_000).await;
        assert!(last[0] < 20_000, "{last:?}");
    }
}
