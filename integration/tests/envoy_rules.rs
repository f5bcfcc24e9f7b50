//! What refuses requests by itself, on the real Envoy: deny rules, deadlines, shedding.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sloop_controlplane::clock;
use sloop_integration::envoy::Upstream;
use sloop_model::Outcome;
use sloop_xds_protos::report::v1::ScopeDelta;
use support::Plane;
use support::copier::Copying;
use support::fixed::Fixed;
use support::raw;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until, timeout};

const PARENT: (&str, &str) = (
    "traceparent",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
);

fn of(sum: &ScopeDelta, outcome: Outcome) -> u64 {
    let count = sum.outcomes.get(outcome as usize);
    count.copied().unwrap_or_default()
}

/// A moment this far from now, for `expires_at_ms`.
fn from_now(millis: i64) -> i64 {
    i64::try_from(clock::wall().as_millis()).unwrap() + millis
}

#[tokio::test]
async fn deny_rules_refuse_what_they_fit_until_they_expire() {
    let app = Upstream::start().await.unwrap();
    let plane = Plane::start().await;
    let rule = |id: &str, header: &str, more: Value| {
        let rule = json!({"id": id, "match": {"headers": [{"name": header}]}, "share_max": 10_000,
                          "expires_at_ms": from_now(60_000)});
        support::fixed::with(rule, &more)
    };
    let running = Fixed {
        server: json!({
            "dimensions": {"caller": {"header": "x-caller"}},
            "deny": [
                rule("bad", "x-bad", json!({})),
                rule("teapot", "x-tea", json!({"status": 418})),
                rule("shadow", "x-shadow", json!({"mode": "shadow"})),
                rule("over", "x-over", json!({"expires_at_ms": from_now(-1)})),
                {"id": "caller", "caller": "mallory", "share_max": 10_000, "expires_at_ms": from_now(60_000)},
            ],
        }),
        control_plane: Some(plane.address),
        ..Fixed::of(app.address())
    }
    .start()
    .await;
    let caller = running.caller();
    for (name, value, status) in [
        ("x-bad", "1", 403),
        ("x-tea", "1", 418),
        ("x-shadow", "1", 200),
        ("x-over", "1", 200),
        ("x-caller", "mallory", 403),
        ("x-caller", "alice", 200),
    ] {
        let answer = caller.get_with("/", name, value.as_bytes()).await.unwrap();
        assert_eq!(answer.status(), status, "{name}");
        let verdict = answer.headers().get("x-sloop-verdict");
        assert_eq!(
            verdict.is_some_and(|it| it == "blocked"),
            status != 200,
            "{name}"
        );
    }
    assert_eq!(
        app.take().len(),
        3,
        "what was refused did not reach the service"
    );
    let sum = plane.reports.counted("other", 6).await;
    assert_eq!(of(&sum, Outcome::Blocked), 3);
    assert_eq!(of(&sum, Outcome::Success), 3);
    let mut denials = Vec::new();
    for denial in plane.reports.all().iter().flat_map(|it| &it.denials) {
        denials.push((denial.id.clone(), denial.refused, denial.shadow_refused));
    }
    denials.retain(|(_, refused, shadow)| *refused + *shadow != 0);
    denials.sort();
    let told: Vec<_> = denials
        .iter()
        .map(|(id, refused, shadow)| (id.as_str(), *refused, *shadow))
        .collect();
    assert_eq!(
        told,
        [
            ("bad", 1, 0),
            ("caller", 1, 0),
            ("shadow", 0, 1),
            ("teapot", 1, 0)
        ]
    );
}

#[tokio::test]
async fn a_deadline_that_passed_is_refused_at_each_hop() {
    let plane = Plane::start().await;
    let enforce = json!({"trace": {"context": {"deadlines": "enforce"}}});
    let more = |fixed: Fixed| Fixed {
        server: enforce.clone(),
        client: enforce.clone(),
        control_plane: Some(plane.address),
        ..fixed
    };
    let copying = Copying::start(more).await;
    let inbound = copying.running.inbound;
    let ask = async |path: &str, lines: &[(&str, &str)]| {
        let lines: Vec<(&str, &[u8])> = lines.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        raw::ask(inbound, &raw::get(path.as_bytes(), &lines)).await
    };
    let late = ask("/", &[PARENT, ("tracestate", "sloop=1.d0-0,foo=1")]).await;
    assert_eq!(raw::status(&late), Some(504), "it came too late");
    assert!(String::from_utf8_lossy(&late).contains("x-sloop-verdict: deadline_passed"));

    let slow = ask("/wait/300", &[PARENT, ("grpc-timeout", "100m")]).await;
    assert_eq!(
        raw::status(&slow),
        Some(504),
        "the application spent what was left"
    );
    assert_eq!(copying.callee.take().len(), 0);

    let in_time = ask("/wait/20", &[PARENT, ("grpc-timeout", "10S")]).await;
    assert_eq!(raw::status(&in_time), Some(200));
    let arrived = copying.callee.take();
    let sent = arrived[0].headers["tracestate"].to_str().unwrap();
    let (left, _) = sent
        .strip_prefix("sloop=1.d")
        .unwrap()
        .split_once('-')
        .unwrap();
    let left = u32::from_str_radix(left, 16).unwrap();
    assert!((1..=9_980).contains(&left), "{left} ms are left");

    let server = plane.reports.counted("other", 3).await;
    assert_eq!(of(&server, Outcome::DeadlinePassed), 1);
    copying.running.is_whole().await;
}

/// Envoy takes `x-envoy-expected-rq-timeout-ms` away from callers that it does not know as internal.
#[tokio::test]
async fn what_an_internal_callers_envoy_waits_is_a_deadline() {
    let carry = json!({"trace": {"context": {"deadlines": "carry"}}});
    let loopback = json!([{"address_prefix": "127.0.0.0", "prefix_len": 8}]);
    let internal =
        json!({"use_remote_address": true, "internal_address_config": {"cidr_ranges": loopback}});
    for (manager, is_known) in [(internal, true), (json!({}), false)] {
        let more = |fixed: Fixed| Fixed {
            server: carry.clone(),
            manager,
            ..fixed
        };
        let copying = Copying::start(more).await;
        let lines = [PARENT, ("x-envoy-expected-rq-timeout-ms", "5000")];
        let arrived = copying.ask("/", &lines).await;
        let said = arrived
            .get("tracestate")
            .map(|it| it.to_str().unwrap().to_owned());
        assert_eq!(
            said.is_some_and(|it| it.starts_with("sloop=1.d1388-")),
            is_known
        );
    }
}

/// A service that works on four requests at a time, 20 ms each, at most 200 per second, in the order in which they came,
/// also for those whose callers have given up.
struct Busy {
    address: SocketAddr,
    done: Arc<AtomicU32>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Busy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let done = Arc::<AtomicU32>::default();
        let (workers, counted) = (Arc::new(Semaphore::new(4)), Arc::clone(&done));
        let accepting = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let (workers, done) = (Arc::clone(&workers), Arc::clone(&counted));
                tokio::spawn(async move {
                    let mut request = [0; 4_096];
                    while let Ok(1..) = connection.read(&mut request).await {
                        let worker = workers.acquire().await.unwrap();
                        sleep(Duration::from_millis(20)).await;
                        drop(worker);
                        done.fetch_add(1, Ordering::Relaxed);
                        if connection.write_all(raw::OK).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self {
            address,
            done,
            accepting,
        }
    }
}

/// Nobody waits for longer.
const PATIENCE: Duration = Duration::from_millis(250);

/// What came of 1,200 requests, twice as many as a service can bear, after four seconds to find the way: those who give
/// up in the first one leave it work that nobody waits for, and the law first sheds more than it must.
#[derive(Debug)]
struct Outcomes {
    /// Answered in time, by the service and by the filter.
    served: u32,
    shed: u32,
    /// What the service did, for whomever.
    done: u32,
}

async fn overloaded(server: Value) -> Outcomes {
    const OFFERED: std::ops::Range<u32> = 1_600..2_800;
    let app = Busy::start().await;
    let running = Fixed {
        server,
        // Who is refused shall see at once that the connection is at its end.
        manager: json!({"delayed_close_timeout": "0s"}),
        ..Fixed::of(app.address)
    }
    .start()
    .await;
    let begun = Instant::now();
    let mut asking = Vec::new();
    let mut done = 0;
    for number in 0..OFFERED.end {
        sleep_until(begun + Duration::from_micros(2_500) * number).await;
        if number == OFFERED.start {
            done = app.done.load(Ordering::Relaxed);
        }
        let to = running.inbound;
        asking.push(tokio::spawn(async move {
            let answer = timeout(PATIENCE, raw::ask(to, &raw::get(b"/pay", &[]))).await;
            answer.ok().and_then(|answer| raw::status(&answer))
        }));
    }
    let done = app.done.load(Ordering::Relaxed) - done;
    let mut statuses = Vec::new();
    for one in asking {
        statuses.push(one.await.unwrap());
    }
    running.is_whole().await;
    app.accepting.abort();
    let offered = &statuses[OFFERED.start as usize..];
    let count =
        |status| u32::try_from(offered.iter().filter(|it| **it == Some(status)).count()).unwrap();
    Outcomes {
        served: count(200),
        shed: count(503),
        done,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shedding_saves_what_overload_would_waste() {
    let shed = json!({"scopes": [{
        "service": "shop", "route": "pay", "match": [{"path": {"prefix": "/pay"}}],
        "shed": {"limits": {"share_max": 9_000, "slow_us": 150_000, "slow_max": 500}},
    }]});
    let (without, with) = tokio::join!(overloaded(json!({})), overloaded(shed));
    eprintln!("without: {without:?}, with: {with:?}");
    assert_eq!(without.shed, 0);
    assert!(
        2 * without.served <= with.served,
        "{without:?} without, {with:?} with"
    );
    // A busy machine makes the service slower than it says, so what it did counts.
    assert!(
        without.done <= 2 * with.served,
        "{without:?} without, {with:?} with"
    );
}
