//! One sidecar behaves as one: what a worker of the real Envoy saw, the other knows soon.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;
use sloop_integration::envoy::Upstream;
use support::fixed::{Fixed, Running};
use support::raw;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connections of which each is served by one worker, as long as it is open.
struct Pinned {
    of: [TcpStream; 2],
}

const REQUEST: &[u8] = b"GET /pay HTTP/1.1\r\nhost: shop\r\n\r\n";

impl Pinned {
    /// One connection to each worker: Envoy gives the next one to the worker that has fewer.
    async fn open(running: &Running) -> Self {
        let first = TcpStream::connect(running.inbound).await.unwrap();
        let mut pinned = Self {
            of: [first, TcpStream::connect(running.inbound).await.unwrap()],
        };
        // Both are accepted before it is looked where they are.
        assert_eq!([pinned.ask(0).await, pinned.ask(1).await], [500, 500]);
        let workers = r"^listener\..*\.worker_\d\.downstream_cx_active$";
        let active = running.envoy.stats(workers).await.unwrap();
        let own = format!("_{}.", running.inbound.port());
        let active: Vec<_> = active
            .iter()
            .filter(|(name, _)| name.contains(&own))
            .collect();
        let counts: Vec<u64> = active.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [1, 1], "one connection per worker: {active:?}");
        pinned
    }

    /// The status of a request to a worker.
    async fn ask(&mut self, worker: usize) -> u16 {
        let connection = &mut self.of[worker];
        connection.write_all(REQUEST).await.unwrap();
        let mut answer = Vec::new();
        // The service and the filter answer with bodies of known ends.
        while !(answer.ends_with(b"hello\n") || answer.ends_with(b"the breaker is open")) {
            assert_ne!(connection.read_buf(&mut answer).await.unwrap(), 0, "closed");
        }
        raw::status(&answer).unwrap()
    }

    /// The statuses of `count` requests to a worker.
    async fn many(&mut self, worker: usize, count: usize) -> Vec<u16> {
        let mut statuses = Vec::with_capacity(count);
        for _ in 0..count {
            statuses.push(self.ask(worker).await);
        }
        statuses
    }
}

async fn guarded(calls_min: u32) -> (Upstream, Running) {
    let app = Upstream::start().await.unwrap();
    app.answer(StatusCode::INTERNAL_SERVER_ERROR);
    let running = Fixed {
        server: json!({"scopes": [{
            "service": "shop", "route": "pay", "match": [{"path": {"prefix": "/pay"}}],
            "breaker": {"limits": {"window_ms": 10_000, "calls_min": calls_min, "failed_max": 5_000,
                "open_ms": 5_000, "open_max_ms": 5_000, "probes": 1}},
        }]}),
        listener: json!({"connection_balance_config": {"exact_balance": {}}}),
        ..Fixed::of(app.address())
    }
    .start()
    .await;
    (app, running)
}

/// Long enough for each worker to have told what it saw and to have heard the other: five ticks. Nothing shows it outside.
const TOLD: Duration = Duration::from_millis(500);

#[tokio::test]
async fn calls_that_only_all_workers_together_reach_open_the_breaker() {
    let (_app, running) = guarded(60).await;
    let mut pinned = Pinned::open(&running).await;
    // Each alone stays below the minimum: 40 and 19 of 60, those of opening included.
    assert_eq!(pinned.many(0, 39).await, [500; 39]);
    assert_eq!(pinned.many(1, 18).await, [500; 18]);
    tokio::time::sleep(TOLD).await;
    // By itself it would need 60. What the other one counted last may still be on its way.
    let mut here = 19;
    while pinned.ask(1).await != 503 {
        here += 1;
        assert!(here < 50, "it knows nothing of the other worker");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.is_whole().await;
}

/// The first refusal of the other worker comes within two ticks of the first one, and the coarse timers of Envoy.
#[tokio::test]
async fn what_opens_one_worker_opens_the_other_soon() {
    let (app, running) = guarded(200).await;
    let mut pinned = Pinned::open(&running).await;
    // The other worker is awake, and far from opening by itself: it sends one request each 10 ms, and would
    // need 99 of them beyond what it knows.
    assert_eq!(pinned.many(1, 4).await, [500; 4]);
    assert_eq!(pinned.many(0, 94).await, [500; 94]);
    tokio::time::sleep(TOLD).await;
    assert_eq!(pinned.many(0, 100).await, [500; 100]);
    assert_eq!(pinned.ask(0).await, 503);
    let opened = Instant::now();
    let mut asked = 0;
    while pinned.ask(1).await != 503 {
        asked += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let staleness = opened.elapsed();
    eprintln!("the other worker refuses {staleness:?} later, after {asked} requests");
    assert!(asked < 90, "it did not open by itself");
    assert!(staleness < Duration::from_secs(1), "{staleness:?}");
    let seen = app.take().len();
    assert_eq!(
        seen,
        200 + asked,
        "what was refused did not reach the service"
    );
    running.is_whole().await;
}
