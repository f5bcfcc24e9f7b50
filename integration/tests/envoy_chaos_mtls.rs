//! An experiment between sidecars that speak mTLS, on connections that were there before it: keep-alive, HTTP/2 streams, gRPC.
#![cfg(feature = "envoy")]
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a broken promise shall fail the test"
)]

#[path = "chaos/lines.rs"]
mod lines;
#[path = "chaos/mesh.rs"]
mod mesh;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lines::{Asked, Line, Seen, talk};
use mesh::Mesh;
use sloop_controllers::{ExperimentPhase, ExperimentStatus};
use sloop_dataplane::fault::arm_of;
use sloop_integration::demo::Programs;
use sloop_integration::envoy::Caller;
use sloop_integration::eventually::eventually;
use sloop_model::{Arm, ArmShares};

const DOCUMENTS: &str = "
apiVersion: sloop.dev/v1
kind: RouteSet
metadata: {name: payments}
spec:
  service: payments
  routes:
    - name: charge
      match: [{path: {exact: /charge}}, {path: {prefix: /pay.Ledger/}}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: charges}
spec:
  service: payments
  budgetingMethod: Occurrences
  timeWindow: [{duration: 28d, isRolling: true}]
  indicator:
    metadata: {name: charges}
    spec:
      thresholdMetric:
        metricSource:
          type: sloop
          spec: {service: payments, route: charge, side: client}
  objectives: [{target: 0.5, op: lte, value: 5}]
";

const ABORTS: &str = "
apiVersion: sloop.dev/v1
kind: ChaosExperiment
metadata: {name: aborts}
spec:
  hypothesis: [{slo: charges, tolerance: 90%}]
  targets: [{service: payments, route: charge}]
  faults: [{share: 20%, abort_status: 503, version: [v2]}]
  control: 20%
  duration: 3m
  budget: 100%
  abort: {burning: never}
  ends: at_its_time
  seed: 12
";

/// On a machine that has other work to do.
pub(crate) const SOON: Duration = Duration::from_secs(90);
/// A push is in force within this, also then.
const PUSHED_MS: u64 = 3_000;

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

async fn until(mesh: &Mesh, phase: ExperimentPhase) -> ExperimentStatus {
    let run = async || mesh.admin.experiment("aborts").await.ok();
    let is_there = async || run().await.filter(|run| run.phase == phase);
    match eventually(SOON, "the phase of the experiment", is_there).await {
        Ok(run) => run,
        Err(error) => panic!("{error:#}: {:?}", run().await),
    }
}

/// Waits until each line has `count` requests that `fit`.
async fn each_has(seen: &Seen, count: usize, what: &str, fits: impl Fn(&Asked) -> bool) {
    let is_there = async || {
        let all = seen.all();
        let of = |line| {
            all.iter()
                .filter(|one| one.line == line && fits(one))
                .count()
        };
        Line::ALL
            .iter()
            .all(|line| count <= of(*line))
            .then_some(())
    };
    eventually(SOON, what, is_there).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_meet_their_arm_inside_mtls_on_connections_that_were_there_before() {
    let programs = Programs {
        own: env!("CARGO_BIN_EXE_demo").into(),
        ..Programs::find().unwrap()
    };
    let mesh = Mesh::start(DOCUMENTS, &programs).await;
    let plain = Caller::of(mesh.inbound).get("/charge").await;
    assert!(
        plain.is_err(),
        "the sidecar takes requests without TLS: {plain:?}"
    );

    let seen = Seen::default();
    let talking = Line::ALL.map(|line| tokio::spawn(talk(line, mesh.entry, seen.clone())));
    each_has(&seen, 60, "requests are served", |one| !one.has_failed).await;
    let order = |path: &'static str, body| mesh.admin.order(path, body);
    order("/v1/experiments", ABORTS).await.unwrap();
    until(&mesh, ExperimentPhase::Running).await;
    each_has(&seen, 12, "requests meet the fault", |one| one.has_failed).await;
    let stopped_ms = now_ms();
    order("/v1/experiments/aborts/stop", "").await.unwrap();
    let over = until(&mesh, ExperimentPhase::Over).await;
    let after = |one: &Asked| stopped_ms + PUSHED_MS + 2_000 < one.at_ms;
    each_has(&seen, 30, "requests are served again", after).await;

    let all = seen.all();
    assert!(
        talking.iter().all(|talking| !talking.is_finished()),
        "a connection did not survive the experiment"
    );
    check_arms(&over, &all, stopped_ms);
    let late = all
        .iter()
        .filter(|one| after(one) && one.has_failed)
        .count();
    assert!(
        late <= 1,
        "{late} requests met the fault after it was stopped"
    );
    assert!(0 < over.faults[0].met, "{over:?}");
    let compared = &over.comparisons[0];
    assert!(
        0 < compared.faulted.bad() && 0 < compared.control.total,
        "{compared:?}"
    );

    let connections = mesh
        .checkout
        .stat("http.outbound.downstream_cx_total")
        .await;
    assert_eq!(
        connections.unwrap(),
        Some(3),
        "one connection for each line"
    );
    let handshakes = mesh.payments.stats("ssl\\.handshake$").await.unwrap();
    assert!(
        handshakes.iter().any(|(_, count)| 0 < *count),
        "{handshakes:?}"
    );
}

/// Each line computes the arm of its requests from their traces: those failed that are in the arm of the fault.
fn check_arms(run: &ExperimentStatus, all: &[Asked], stopped_ms: u64) {
    let fault = &run.faults[0];
    let shares = ArmShares::parse(fault.share, fault.control).unwrap();
    let from_ms = run.started_at.unwrap().as_millis() + PUSHED_MS;
    let within = |one: &&Asked| from_ms < one.at_ms && one.at_ms < stopped_ms;
    let mut sums: BTreeMap<(Line, bool), (usize, usize)> = BTreeMap::new();
    for one in all.iter().filter(within) {
        let is_faulted = arm_of(one.trace, fault.seed, shares) == Arm::Fault;
        let (count, failed) = sums.entry((one.line, is_faulted)).or_default();
        *count += 1;
        *failed += usize::from(one.has_failed);
    }
    println!("(line, in the arm of the fault): (requests, failed): {sums:?}");
    for line in Line::ALL {
        let (faulted, failed) = sums[&(line, true)];
        let (others, wrong) = sums[&(line, false)];
        // None on a quiet machine; on a busy one a lease may be renewed late, and a request may fail by itself.
        assert!(
            3 <= faulted && 4 * faulted <= 5 * failed,
            "{line:?}: {sums:?}"
        );
        assert!(wrong <= others / 50, "{line:?}: {sums:?}");
    }
}
