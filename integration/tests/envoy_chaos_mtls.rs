//! Experiments between sidecars that speak mTLS, on connections that were there before them: keep-alive, HTTP/2 streams, gRPC; with
//! versions that the sidecars know from the labels of Istio.
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

/// An experiment on requests to `payments`, at the sidecars on `side`.
fn experiment(name: &str, side: &str, faults: &str) -> String {
    format!(
        "
apiVersion: sloop.dev/v1
kind: ChaosExperiment
metadata: {{name: {name}}}
spec:
  hypothesis: [{{slo: charges, tolerance: 90%}}]
  targets: [{{service: payments, route: charge, side: {side}}}]
  faults: [{faults}]
  control: 20%
  duration: 3m
  budget: 100%
  abort: {{burning: never}}
  ends: at_its_time
  seed: 12
"
    )
}

/// On a machine that has other work to do.
pub(crate) const SOON: Duration = Duration::from_secs(90);
/// A push is in force within this, also then.
const PUSHED_MS: u64 = 3_000;
/// Longer than any request that nothing holds back takes on a machine that is not too busy.
const DELAY: Duration = Duration::from_millis(600);
/// A jiffy of the filter's clock, twice: a delay is never shorter by more.
const EARLY: Duration = Duration::from_millis(8);
/// What a gRPC call is answered that is ended with 503: unavailable.
const UNAVAILABLE: u8 = 14;
/// What the experiment with delays ends calls with: resources are exhausted.
const EXHAUSTED: u8 = 8;

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

async fn until(mesh: &Mesh, name: &str, phase: ExperimentPhase) -> ExperimentStatus {
    let run = async || mesh.admin.experiment(name).await.ok();
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

/// Runs an experiment until `is_enough` of the requests since it began, stops it, and says what it was and when that order was given.
async fn experimented(
    mesh: &Mesh,
    (name, document): (&str, &str),
    is_enough: impl AsyncFnOnce(u64),
) -> (ExperimentStatus, u64) {
    mesh.admin.order("/v1/experiments", document).await.unwrap();
    let running = until(mesh, name, ExperimentPhase::Running).await;
    is_enough(running.started_at.unwrap().as_millis()).await;
    let stopped_ms = now_ms();
    let stop = format!("/v1/experiments/{name}/stop");
    mesh.admin.order(&stop, "").await.unwrap();
    let over = until(mesh, name, ExperimentPhase::Over).await;
    assert!(0 < over.faults[0].met, "{over:?}");
    (over, stopped_ms)
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
    let connections = streams(&mesh).await;

    let faults = "{share: 20%, abort_status: 503, version: [v2]}";
    let aborts = experiment("aborts", "server", faults);
    let (over, stopped_ms) = experimented(&mesh, ("aborts", &aborts), async |from_ms| {
        let has_met = |one: &Asked| one.has_failed && from_ms + PUSHED_MS < one.at_ms;
        each_has(&seen, 6, "requests meet the fault", has_met).await;
    })
    .await;
    let after = |one: &Asked| stopped_ms + PUSHED_MS + 2_000 < one.at_ms;
    each_has(&seen, 30, "requests are served again", after).await;
    let all = seen.all();
    let late = all.iter().filter(|one| after(one) && one.has_failed);
    assert!(
        late.count() <= 1,
        "requests met the fault after it was stopped"
    );
    check_aborts(&over, &all, stopped_ms, UNAVAILABLE);
    let compared = &over.comparisons[0];
    assert!(
        0 < compared.faulted.bad() && 0 < compared.control.total,
        "{compared:?}"
    );
    assert_eq!(compared.callers, 1, "the sidecar is that of one caller");

    let millis = DELAY.as_millis();
    let faults = format!(
        "{{share: 20%, delay_ms: {millis}, version: [v2]}}, {{share: 20%, abort_grpc_status: {EXHAUSTED}}}"
    );
    let delays = experiment("delays", "server", &faults);
    let (over, stopped_ms) = experimented(&mesh, ("delays", &delays), async |from_ms| {
        let is_late = |one: &Asked| from_ms + PUSHED_MS < one.at_ms && DELAY <= one.took + EARLY;
        each_has(&seen, 5, "requests are held back", is_late).await;
    })
    .await;
    // Those that are held back when the fault is withdrawn are let go then.
    check_delays(&over, &seen.all(), stopped_ms - 1_000);

    // Before TLS begins, by the version of the caller's sidecar.
    let faults = "{share: 20%, abort_status: 503, version: [v7]}";
    let asking = experiment("asking", "client", faults);
    let (over, stopped_ms) = experimented(&mesh, ("asking", &asking), async |from_ms| {
        let has_met = |one: &Asked| one.has_failed && from_ms + PUSHED_MS < one.at_ms;
        each_has(&seen, 5, "requests meet the fault of their caller", has_met).await;
    })
    .await;
    check_aborts(&over, &seen.all(), stopped_ms, UNAVAILABLE);

    other_versions(&mesh).await;
    assert!(
        talking.iter().all(|talking| !talking.is_finished()),
        "a connection did not survive the experiments"
    );
    let downstream = mesh.checkout.stat("http.outbound.downstream_cx_total");
    let downstream = downstream.await.unwrap();
    assert_eq!(downstream, Some(3), "one connection for each line");
    assert_eq!(
        streams(&mesh).await,
        connections,
        "no connection was made anew"
    );
}

/// Connections of HTTP/2 that the sidecar of `checkout` made to that of `payments`, which took them by TLS.
async fn streams(mesh: &Mesh) -> u64 {
    let made = mesh
        .checkout
        .stat("cluster.to_payments.upstream_cx_http2_total");
    let made = made.await.unwrap().unwrap_or_default();
    let taken = mesh.payments.stat("http.inbound.downstream_cx_http2_total");
    let taken = taken.await.unwrap().unwrap_or_default();
    let handshakes = mesh.payments.stats("ssl\\.handshake$").await.unwrap();
    let handshakes: u64 = handshakes.iter().map(|(_, count)| count).sum();
    assert!(
        0 < made && made <= taken && taken < handshakes,
        "{made} {taken} {handshakes}"
    );
    made
}

/// A version that no sidecar is of is refused with those that there are.
async fn other_versions(mesh: &Mesh) {
    for (side, words) in [
        ("server", "of its sidecars there are v2"),
        ("client", "of the sidecars of its callers there are v7"),
    ] {
        let name = format!("other-{side}");
        let faults = "{share: 20%, abort_status: 503, version: [v3]}";
        let document = experiment(&name, side, faults);
        mesh.admin
            .order("/v1/experiments", &document)
            .await
            .unwrap();
        let says = async || {
            let run = mesh.admin.experiment(&name).await.ok()?;
            assert_eq!(run.phase, ExperimentPhase::Preflight, "{}", run.because);
            run.because.contains(words).then_some(())
        };
        eventually(SOON, words, says).await.unwrap();
        let stop = format!("/v1/experiments/{name}/stop");
        mesh.admin.order(&stop, "").await.unwrap();
        until(mesh, &name, ExperimentPhase::Over).await;
    }
}

/// The requests that were sent while the faults were surely in force, by line and by the fault that chooses them: the first that does, as
/// filters have it. Users know it from the trace.
fn by_fault<'a>(
    run: &ExperimentStatus,
    all: &'a [Asked],
    stopped_ms: u64,
) -> BTreeMap<(Line, Option<usize>), Vec<&'a Asked>> {
    let from_ms = run.started_at.unwrap().as_millis() + PUSHED_MS;
    let within = |one: &&Asked| from_ms < one.at_ms && one.at_ms < stopped_ms;
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for one in all.iter().filter(within) {
        let chosen = run.faults.iter().position(|fault| {
            let shares = ArmShares::parse(fault.share, fault.control).unwrap();
            arm_of(one.trace, fault.seed, shares) == Arm::Fault
        });
        found.entry((one.line, chosen)).or_default().push(one);
    }
    found
}

/// Those failed that are in the arm of the fault, on every line, and calls with the gRPC status that belongs to it.
fn check_aborts(run: &ExperimentStatus, all: &[Asked], stopped_ms: u64, grpc: u8) {
    let found = by_fault(run, all, stopped_ms);
    for line in Line::ALL {
        let has_met = |one: &&&Asked| match line {
            Line::Http1 | Line::Http2 => one.has_failed,
            Line::Grpc => one.has_failed && one.grpc == Some(grpc),
        };
        let (faulted, others) = (&found[&(line, Some(0))], &found[&(line, None)]);
        let met = faulted.iter().filter(has_met).count();
        let wrong = others.iter().filter(|one| one.has_failed).count();
        let said = format!(
            "{} on {line:?}: {met} of {} in the arm of the fault failed, {wrong} of {} others",
            run.name,
            faulted.len(),
            others.len()
        );
        println!("{said}");
        // All and none on a quiet machine; on a busy one a lease may be renewed late, and a request may fail by itself.
        assert!(3 <= faulted.len() && 4 * faulted.len() <= 5 * met, "{said}");
        assert!(wrong <= others.len() / 50, "{said}");
    }
}

/// Those took long that are in the arm of the first fault, on every line; calls in the arm of the second have its gRPC status.
fn check_delays(run: &ExperimentStatus, all: &[Asked], stopped_ms: u64) {
    let found = by_fault(run, all, stopped_ms);
    for line in Line::ALL {
        let of = |fault| found.get(&(line, fault)).map_or(&[][..], Vec::as_slice);
        let is_late = |one: &&&Asked| DELAY <= one.took + EARLY;
        let late = |fault| of(fault).iter().filter(is_late).count();
        let (held, ended, others) = (of(Some(0)), of(Some(1)), of(None));
        let ended_so = ended.iter().filter(|one| one.grpc == Some(EXHAUSTED));
        let (ended_so, wrong) = (ended_so.count(), late(None));
        let said = format!(
            "delays on {line:?}: {} of {} were held back, {wrong} of {} others took as long; {ended_so} of {} ended with \
             {EXHAUSTED}",
            late(Some(0)),
            held.len(),
            others.len(),
            ended.len()
        );
        println!("{said}");
        assert!(
            3 <= held.len() && 4 * held.len() <= 5 * late(Some(0)),
            "{said}"
        );
        assert!(held.iter().all(|one| !one.has_failed), "{said}");
        // On a machine that is too busy anything may take long.
        assert!(wrong <= others.len() / 5, "{said}");
        if line == Line::Grpc {
            assert!(
                !ended.is_empty() && 4 * ended.len() <= 5 * ended_so,
                "{said}"
            );
        }
    }
}
