//! Whose time a journey took, by what three real sidecars in a row count of it.
#![cfg(feature = "envoy")]
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::panic,
    clippy::print_stdout,
    reason = "a broken promise shall fail the test"
)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use sloop_bench::Pool;
use sloop_controllers::{HopShare, JourneyStatus};
use sloop_controlplane::admin::api::List;
use sloop_integration::demo::chaos::DOCUMENTS;
use sloop_integration::demo::{Client, Programs, Stage};
use sloop_integration::eventually::eventually;
use sloop_integration::shop::Trouble;

/// Sidecars on both sides tell journeys apart.
const SETTINGS: &str = "
---
apiVersion: sloop.dev/v1
kind: FilterSettings
metadata: {name: journeys}
spec: {dimensions: {journey: {baggage: journey}}}
";
/// On a machine that has other work to do.
const SOON: Duration = Duration::from_secs(60);
/// How late `payments` answers: much later than all others together, also on such a machine.
const SLOW_MS: u64 = 200;
const ORDERS: u64 = 30;
const LOOKS: u64 = 20;
/// Latencies are counted in buckets, which are at most this far off.
const OFF: f64 = 0.017;

/// Asks `edge` so often on behalf of `journey`, one request after another. For how long users waited, all together.
async fn ask(entry: SocketAddr, journey: &str, call: (Method, &str), count: u64) -> Duration {
    let pool = Pool::new(entry);
    let mut waited = Duration::ZERO;
    for _ in 0..count {
        let request = Request::builder()
            .method(call.0.clone())
            .uri(call.1)
            .header("host", "edge")
            .header("baggage", format!("journey={journey}"))
            .body(Full::new(Bytes::new()))
            .unwrap();
        let begun = Instant::now();
        let answer = pool.send(request).await.unwrap();
        waited += begun.elapsed();
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    }
    waited
}

/// The hops of `journey`, when all its `requests` are known at each of `services`, and of no other.
async fn hops(stage: &Stage, journey: &str, services: &[&str], requests: u64) -> JourneyStatus {
    let admin = Client::new(stage.api).unwrap();
    let last = async || {
        let journeys: List<JourneyStatus> = admin.get("/v1/journeys").await.ok()?;
        journeys.items.into_iter().find(|it| it.journey == journey)
    };
    let found = eventually(SOON, "all of the journey is known", async || {
        let found = last().await?;
        let mut names: Vec<&str> = found.hops.iter().map(|hop| hop.service.as_str()).collect();
        names.sort_unstable();
        let is_whole = found.hops.iter().all(|hop| hop.requests == requests);
        (names == services && is_whole).then_some(found)
    });
    match found.await {
        Ok(found) => found,
        Err(error) => panic!("{error:#}: {:#?}", last().await),
    }
}

/// All of the time is somebody's, and all of it was measured.
fn check_whole(journey: &JourneyStatus) {
    println!("{journey:#?}");
    let hops = journey.hops.iter();
    let shares: f64 = hops.clone().map(|hop| hop.share).sum();
    assert!((shares - 1.0).abs() < 1e-6, "{shares}");
    let time_us: u64 = hops.clone().map(|hop| hop.own_us + hop.way_us).sum();
    assert!(time_us.abs_diff(journey.time_us) <= 10, "{time_us}");
    let is_measured = |hop: &HopShare| !hop.is_estimated && !hop.is_outside && hop.untimed == 0;
    assert!(hops.clone().all(is_measured));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_users_waited_for_is_divided_among_the_hops_and_the_slow_one_has_most() {
    let programs = Programs {
        own: env!("CARGO_BIN_EXE_demo").into(),
        ..Programs::find().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let documents = format!("{DOCUMENTS}{SETTINGS}");
    let stage = Stage::start_with(&documents, &programs, folder.path());
    let stage = stage.await.unwrap();
    let slow = Trouble::Slow { by_ms: SLOW_MS };
    stage.order(slow).await.unwrap();
    let order = (Method::POST, "/checkout");
    let (waited, _) = tokio::join!(
        ask(stage.entry, "buy", order, ORDERS),
        ask(stage.entry, "look", (Method::GET, "/catalog"), LOOKS),
    );

    let buy = hops(&stage, "buy", &["checkout", "edge", "payments"], ORDERS).await;
    check_whole(&buy);
    let waited = waited.as_micros() as f64;
    let time = buy.time_us as f64;
    assert!(
        time <= waited * (1.0 + OFF),
        "{time} us of {waited} that users waited"
    );
    let slowest = buy.hops.first().unwrap();
    assert_eq!(slowest.service, "payments");
    let late_us = (ORDERS * SLOW_MS * 1_000) as f64;
    assert!(
        late_us * (1.0 - OFF) <= slowest.own_us as f64,
        "{slowest:?}"
    );
    assert!(0.5 < slowest.share, "{slowest:?}");

    // Who only looked did not wait for it, although at the same time and at the same services.
    let look = hops(&stage, "look", &["checkout", "edge"], LOOKS).await;
    check_whole(&look);
}
