//! Traffic that nobody should send, through the real Envoy: no VM dies, and everything is counted once.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sloop_integration::envoy::Upstream;
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use sloop_model::Outcome;
use sloop_xds_protos::report::v1::ScopeDelta;
use support::fixed::{Fixed, Running};
use support::raw::{self, RawApp, Turn};
use support::{Plane, SOON};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// All features that look at a request's bytes.
fn everything() -> Value {
    json!({
        "trace": {"context": {"b3": "multi", "deadlines": "enforce",
                              "join": {"entries": 64, "reach": "sidecar"}}},
        "dimensions": {"caller": {"xfcc": true}, "origin": {"baggage": "origin"},
                       "journey": {"baggage": "journey"}, "attempts": true},
        // Nobody takes them. To tell of one, its headers are read once more.
        "spans": {"cluster": "otel", "sampling": 10_000},
        "stats": {"enabled": true},
        "route_names": true,
        "deny": [{"id": "never", "match": {"headers": [{"name": "x-denied", "exact": "yes"}]},
                  "expires_at_ms": 4_102_444_800_000_u64}],
        "scopes": [{"service": "shop", "route": "pay",
                    "match": [{"path": {"template": "/pay/{id}/now"}},
                              {"headers": [{"name": "x-tenant", "exact": "a"}]}],
                    "faults": [{"id": "told", "share": 10_000, "by_header": true,
                                "caller": ["nobody"], "expires_at_ms": 4_102_444_800_000_u64}]},
                   {"service": "shop", "route": "asked", "match": [{"path": {"prefix": "/headers"}}],
                    "faults": [{"id": "asked", "share": 10_000, "by_header": true,
                                "expires_at_ms": 4_102_444_800_000_u64}]}],
    })
}

/// An Envoy that takes what it can of odd requests, and counts at `plane`.
async fn lenient(app: SocketAddr, plane: &Plane, server: Value) -> Running {
    lenient_with(support::module(), app, plane, server).await
}

/// As [`lenient`], with this module.
async fn lenient_with(module: String, app: SocketAddr, plane: &Plane, server: Value) -> Running {
    Fixed {
        module,
        server,
        control_plane: Some(plane.address),
        collector: Some(ports::free_address().unwrap()),
        manager: json!({
            // Else Envoy takes it away from who has no certificate.
            "forward_client_cert_details": "ALWAYS_FORWARD_ONLY",
            "max_request_headers_kb": 8192,
            // Who sends what is no HTTP is not waited for.
            "delayed_close_timeout": "0s",
            "common_http_protocol_options": {"max_headers_count": 4000},
        }),
        ..Fixed::of(app)
    }
    .start()
    .await
}

fn of(sum: &ScopeDelta, outcome: Outcome) -> u64 {
    let count = sum.outcomes.get(outcome as usize);
    count.copied().unwrap_or_default()
}

/// Nothing that the filter did made Envoy answer with 5xx.
async fn is_unharmed(running: &Running) {
    running.is_whole().await;
    let failed = running.envoy.stats(r"^http\.inbound\.downstream_rq_5xx$");
    let failed: u64 = failed.await.unwrap().iter().map(|(_, count)| count).sum();
    assert_eq!(failed, 0, "answers of 5xx");
}

/// Headers that are read, and one that is not.
const READ: [&str; 19] = [
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-forwarded-client-cert",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-fault-delay-request",
    "x-request-id",
    "grpc-timeout",
    "x-caller",
    "x-tenant",
    "x-denied",
    "x-envoy-attempt-count",
    "user-agent",
    "x-odd",
];

#[tokio::test]
async fn every_byte_value_in_every_header_passes_or_is_envoys_to_refuse() {
    every_byte_value(support::module()).await;
}

#[tokio::test]
async fn every_byte_value_passes_the_module_that_touches_answers_too() {
    every_byte_value(support::answers_module()).await;
}

async fn every_byte_value(module: String) {
    let app = RawApp::start(raw::OK, false).await;
    let plane = Plane::start().await;
    let running = lenient_with(module, app.address, &plane, everything()).await;
    let mut served = 0;
    for byte in 0..=u8::MAX {
        let value = [b'1', byte, b'1'];
        let all: Vec<(&str, &[u8])> = READ.iter().map(|name| (*name, &value[..])).collect();
        let grpc = [all.as_slice(), &[("content-type", b"application/grpc")]].concat();
        let path = [b"/pay/", &value[..], b"/now"].concat();
        for request in [
            raw::get(b"/headers", &all),
            raw::get(b"/grpc", &grpc),
            raw::get(&path, &[]),
            raw::get(
                b"/name",
                &[("x-caller", b"1"), (&String::from_utf8_lossy(&value), b"1")],
            ),
        ] {
            let answer = raw::ask(running.inbound, &request).await;
            let status = raw::status(&answer);
            served += usize::from(status == Some(200));
            // Envoy speaks HTTP, and refuses what is none before any filter sees it. With a line
            // feed in its path, a request looks like one of an HTTP that Envoy is too young for.
            assert!(
                matches!(status, Some(200 | 400 | 426)),
                "{status:?} to byte {byte:#x} in {:?}",
                request.escape_ascii().to_string()
            );
        }
    }
    // Of 256 values, HTTP allows 224 in headers and at least the visible ones elsewhere.
    assert!(2 * 224 + 100 < served, "{served} requests of 1024");
    assert_eq!(app.take().len(), served);
    all_are_counted(&plane, served).await;
    is_unharmed(&running).await;
}

/// Requests of all routes on the server's side.
async fn all_are_counted(plane: &Plane, count: usize) {
    let counted = || {
        let reports = plane.reports.all();
        let scopes = reports.iter().flat_map(|it| &it.scopes);
        scopes
            .filter(|it| it.side == 1)
            .map(|it| it.requests)
            .sum::<u64>()
    };
    let count = u64::try_from(count).unwrap();
    let what = format!("{count} requests are reported");
    eventually(SOON, &what, async || (count <= counted()).then_some(()))
        .await
        .unwrap();
    assert_eq!(counted(), count);
}

#[tokio::test]
async fn huge_headers_pass() {
    const HUGE: usize = 100_000;
    let app = RawApp::start(raw::OK, false).await;
    let plane = Plane::start().await;
    let running = lenient(app.address, &plane, everything()).await;
    let mut served = 0;
    let fill = |text: &str| {
        text.as_bytes()
            .iter()
            .copied()
            .cycle()
            .take(HUGE)
            .collect::<Vec<u8>>()
    };
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for name in READ {
        for value in [fill("a"), fill("a=1,"), fill("\u{ff}"), fill(",")] {
            let mut lines: Vec<(&str, &[u8])> = vec![(name, &value)];
            if name != "traceparent" {
                lines.push(("traceparent", parent.as_bytes()));
            }
            let answer = raw::ask(running.inbound, &raw::get(b"/pay", &lines)).await;
            assert_eq!(raw::status(&answer), Some(200), "{name}");
            served += 1;
        }
    }
    let path = [b"/pay/", fill("a/%").as_slice()].concat();
    let answer = raw::ask(running.inbound, &raw::get(&path, &[])).await;
    assert_eq!(raw::status(&answer), Some(200));
    served += 1;
    all_are_counted(&plane, served).await;
    is_unharmed(&running).await;
}

#[tokio::test]
async fn a_thousand_headers_pass() {
    let app = RawApp::start(raw::OK, false).await;
    let plane = Plane::start().await;
    let running = lenient(app.address, &plane, everything()).await;
    for (served, name) in READ.iter().enumerate() {
        let lines: Vec<(&str, &[u8])> = vec![(name, b"a=1"); 1_000];
        let answer = raw::ask(running.inbound, &raw::get(b"/pay", &lines)).await;
        // Envoy keeps the first request id and joins the others to it; all pass.
        assert_eq!(raw::status(&answer), Some(200), "{name}, after {served}");
    }
    let names: Vec<String> = (0..1_000).map(|number| format!("x-{number}")).collect();
    let lines: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), &b"1"[..]))
        .collect();
    let answer = raw::ask(running.inbound, &raw::get(b"/pay", &lines)).await;
    assert_eq!(raw::status(&answer), Some(200));
    all_are_counted(&plane, READ.len() + 1).await;
    is_unharmed(&running).await;
}

/// The filter never sees the request, only its end.
#[tokio::test]
async fn a_filter_before_ours_may_answer() {
    let app = Upstream::start().await.unwrap();
    let plane = Plane::start().await;
    let running = Fixed {
        control_plane: Some(plane.address),
        first: vec![json!({
            "name": "first",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
                "abort": {"http_status": 418, "percentage": {"numerator": 100}},
                "headers": [{"name": "x-early", "present_match": true}],
            },
        })],
        ..Fixed::of(app.address())
    }
    .start()
    .await;
    let caller = running.caller();
    for _ in 0..20 {
        let early = caller.get_with("/", "x-early", b"yes").await.unwrap();
        assert_eq!(early.status(), 418);
        assert_eq!(caller.get("/").await.unwrap().status(), 200);
    }
    plane.reports.counted("other", 20).await;
    let unseen = || {
        let reports = plane.reports.all();
        let trouble = reports.iter().filter_map(|it| it.trouble.as_ref());
        trouble.map(|it| it.ends_without_beginning).sum::<u64>()
    };
    eventually(SOON, "the others are counted, too", async || {
        (unseen() == 20).then_some(())
    })
    .await
    .unwrap();
    is_unharmed(&running).await;
}

/// An open HTTP/2 connection.
async fn http2(to: SocketAddr) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(to).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(path: &str) -> http::Request<()> {
    http::Request::get(format!("http://shop{path}"))
        .body(())
        .unwrap()
}

/// A fault that holds requests for longer than their callers wait.
fn holding() -> Value {
    json!({"scopes": [{"service": "shop", "route": "held", "match": [{"path": {"prefix": "/held"}}],
        "faults": [{"id": "wait", "share": 10_000, "delay_ms": 400, "expires_at_ms": 4_102_444_800_000_u64}]}]})
}

#[tokio::test]
async fn resets_at_any_moment_are_counted_once() {
    let app = Upstream::start().await.unwrap();
    let plane = Plane::start().await;
    let running = lenient(app.address(), &plane, holding()).await;
    let mut sender = http2(running.inbound).await;
    let mut reset = 0;
    // Streams that are reset at once, after a while, and while a fault holds them.
    for wait_ms in (0..20).map(|it| it % 5) {
        for path in ["/", "/held"] {
            sender = sender.ready().await.unwrap();
            let end_of_stream = wait_ms % 2 == 0;
            let (answer, mut stream) = sender.send_request(request(path), end_of_stream).unwrap();
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            stream.send_reset(h2::Reason::CANCEL);
            drop(answer);
            reset += 1;
        }
    }
    // The connection is as good as before.
    let (answer, _) = sender
        .ready()
        .await
        .unwrap()
        .send_request(request("/held"), true)
        .unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    all_are_counted(&plane, reset + 1).await;
    assert_eq!(of(&plane.reports.of("held"), Outcome::Success), 1);
    is_unharmed(&running).await;
}

/// The client goes away while a fault holds its request: it is not sent on later.
#[tokio::test]
async fn who_leaves_while_it_is_held_is_forgotten() {
    let app = Upstream::start().await.unwrap();
    let plane = Plane::start().await;
    let running = lenient(app.address(), &plane, holding()).await;
    for _ in 0..30 {
        let mut connection = TcpStream::connect(running.inbound).await.unwrap();
        connection
            .write_all(&raw::get(b"/held", &[]))
            .await
            .unwrap();
        let mut byte = [0];
        let soon = Duration::from_millis(5);
        let answer = tokio::time::timeout(soon, connection.read(&mut byte)).await;
        assert!(answer.is_err(), "it is held: {answer:?}");
    }
    let held = plane.reports.counted("held", 30).await;
    assert_eq!(of(&held, Outcome::ClientCancel), 30);
    assert_eq!(app.take().len(), 0, "none was sent on");
    let caller = running.caller();
    assert_eq!(caller.get("/held").await.unwrap().status(), 200);
    assert_eq!(app.take().len(), 1);
    is_unharmed(&running).await;
}

/// What a service that never answers has under way when its client breaks the protocol says nothing about the service.
#[tokio::test]
async fn who_breaks_the_protocol_has_failed_nobody() {
    const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const GET: &[u8] = b"\x82\x86\x84\x41\x04shop";
    // Data of a stream that there cannot be.
    const INVALID: &[u8] = b"\0\0\x01\0\0\0\0\0\0x";
    let app = RawApp::start_in_turn(vec![Turn::Ignore]).await;
    let plane = Plane::start().await;
    let running = lenient(app.address, &plane, json!({})).await;
    // One frame ends all that is under way on its connection.
    let mut connection = TcpStream::connect(running.inbound).await.unwrap();
    let mut bytes = BEGINNING.to_vec();
    for stream in [1, 3, 5] {
        bytes.extend([0, 0, 9, 1, 5, 0, 0, 0, stream]);
        bytes.extend(GET);
    }
    connection.write_all(&bytes).await.unwrap();
    eventually(SOON, "the service has them", async || {
        (3 <= app.seen()).then_some(())
    })
    .await
    .unwrap();
    connection.write_all(INVALID).await.unwrap();
    let mut rest = Vec::new();
    let _ = connection.read_to_end(&mut rest).await;
    for (said, sent) in [("5", "abc"), ("3", "abcde")] {
        let mut sender = http2(running.inbound).await.ready().await.unwrap();
        let request = http::Request::post("http://shop/")
            .header("content-length", said)
            .body(())
            .unwrap();
        let (answer, mut body) = sender.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(sent.as_bytes()), true)
            .unwrap();
        assert!(answer.await.is_err(), "{sent} is not {said} bytes");
    }
    let sum = plane.reports.counted("other", 5).await;
    assert_eq!(of(&sum, Outcome::ClientCancel), 5, "{:?}", sum.outcomes);
    is_unharmed(&running).await;
}

/// Where a stream may not be idle for long, who does not finish the request is told 408, and who waits for the service 504.
#[tokio::test]
async fn who_does_not_finish_a_request_was_not_kept_waiting() {
    let app = RawApp::start_in_turn(vec![Turn::Ignore]).await;
    let plane = Plane::start().await;
    let running = Fixed {
        control_plane: Some(plane.address),
        manager: json!({"stream_idle_timeout": "0.2s"}),
        ..Fixed::of(app.address)
    }
    .start()
    .await;
    let half = raw::request("POST", b"/", &[("content-length", b"10")]);
    for (request, status) in [(half, 408), (raw::get(b"/", &[]), 504)] {
        let answer = raw::ask(running.inbound, &request).await;
        assert_eq!(raw::status(&answer), Some(status));
    }
    let sum = plane.reports.counted("other", 2).await;
    for outcome in [Outcome::ClientCancel, Outcome::Timeout] {
        assert_eq!(of(&sum, outcome), 1, "{outcome:?} in {:?}", sum.outcomes);
    }
    running.is_whole().await;
}

/// Clients that close one direction, send half a request, or close before the answer.
#[tokio::test]
async fn half_closed_connections_harm_nobody() {
    let app = RawApp::start(raw::OK, false).await;
    let plane = Plane::start().await;
    let running = lenient(app.address, &plane, holding()).await;
    for path in [&b"/"[..], b"/held"] {
        for cut in [10, 30, usize::MAX] {
            let request = raw::get(path, &[]);
            let mut connection = TcpStream::connect(running.inbound).await.unwrap();
            let sent = &request[..cut.min(request.len())];
            connection.write_all(sent).await.unwrap();
            connection.shutdown().await.unwrap();
            let mut answer = Vec::new();
            let _ = connection.read_to_end(&mut answer).await;
        }
    }
    // Whether Envoy goes on with a request whose client half-closed is its own affair; that it is counted is ours.
    all_are_counted(&plane, 2).await;
    assert_eq!(running.caller().get("/").await.unwrap().status(), 200);
    running.is_whole().await;
}

const UPGRADED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello";
const UPGRADE: &[u8] =
    b"GET /chat HTTP/1.1\r\nhost: shop\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";

/// Neither of its ends is a failure: it has no other.
#[tokio::test]
async fn a_websocket_is_one_request_without_a_latency_whoever_ends_it() {
    for is_ended_by_service in [true, false] {
        let app = RawApp::start(UPGRADED, is_ended_by_service).await;
        let plane = Plane::start().await;
        let running = lenient(app.address, &plane, everything()).await;
        for _ in 0..5 {
            let mut connection = TcpStream::connect(running.inbound).await.unwrap();
            connection.write_all(UPGRADE).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"hello") {
                let read = connection.read_buf(&mut answer).await.unwrap();
                assert_ne!(read, 0, "what follows passes: {answer:?}");
            }
            assert_eq!(raw::status(&answer), Some(101));
            if is_ended_by_service {
                let _ = connection.read_to_end(&mut answer).await;
            }
        }
        all_are_counted(&plane, 5).await;
        let reports = plane.reports.all();
        let scopes = reports
            .iter()
            .flat_map(|it| &it.scopes)
            .filter(|it| it.side == 1);
        let (mut upgraded, mut latencies) = (0, 0);
        for scope in scopes {
            upgraded += of(scope, Outcome::Upgraded);
            latencies += scope.latency_buckets.len();
        }
        assert_eq!((upgraded, latencies), (5, 0), "{is_ended_by_service}");
        is_unharmed(&running).await;
    }
}

/// A breaker that was ordered to open, and waits for each of its probes, one at a time.
fn ordered() -> Value {
    json!({"scopes": [{"service": "shop", "route": "all", "match": [{"path": {"prefix": "/"}}], "breaker": {
        "limits": {"window_ms": 1000, "calls_min": 20, "failed_max": 5000, "open_ms": 200, "open_max_ms": 200, "probes": 1,
                   "manner": {"lost": "awaited"}},
        "trip": {"id": 1, "until_ms": 4_102_444_800_000_u64}}}]})
}

/// A stream of events, which lasts.
const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\nd\r\ndata: hello\n\n\r\n";
const LISTEN: &[u8] = b"GET /events HTTP/1.1\r\nhost: shop\r\naccept: application/json\r\n\r\n";

/// Nobody waits for its end to learn that the service is there.
#[tokio::test]
async fn a_session_that_lasts_has_answered_its_breaker_when_it_began() {
    for (module, asked, said) in [
        (support::module(), UPGRADE, UPGRADED),
        (support::answers_module(), UPGRADE, UPGRADED),
        (support::module(), LISTEN, EVENTS),
        (support::answers_module(), LISTEN, EVENTS),
    ] {
        let turns = std::iter::once(said).chain([raw::OK; 100]);
        let app = RawApp::start_in_turn(turns.map(Turn::Say).collect()).await;
        let plane = Plane::start().await;
        let running = lenient_with(module, app.address, &plane, ordered()).await;
        let session = eventually(SOON, "a session probes", async || {
            let mut connection = TcpStream::connect(running.inbound).await.ok()?;
            connection.write_all(asked).await.ok()?;
            let mut answer = Vec::new();
            while !answer.windows(5).any(|part| part == b"hello") {
                if connection.read_buf(&mut answer).await.ok()? == 0
                    || answer.starts_with(b"HTTP/1.1 503")
                {
                    return None;
                }
            }
            Some(connection)
        });
        let session = session.await.unwrap();
        // On connections of their own, so that each worker has some.
        for _ in 0..30 {
            let answer = raw::ask(running.inbound, &raw::get(b"/", &[])).await;
            assert_eq!(raw::status(&answer), Some(200));
        }
        drop(session);
        running.is_whole().await;
    }
}

/// The end of its answer has passed the filter, and waits in Envoy for a client that goes away instead of taking it.
#[tokio::test]
async fn who_leaves_before_the_answer_is_taken_has_left() {
    const BYTES: usize = 200 << 10;
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {BYTES}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + BYTES, b'x');
    let app = RawApp::start(answer.leak(), false).await;
    let plane = Plane::start().await;
    let running = lenient(app.address, &plane, json!({})).await;
    let stream = TcpStream::connect(running.inbound).await.unwrap();
    let handshake = h2::client::Builder::new()
        .initial_window_size(1 << 10)
        .handshake::<_, Bytes>(stream);
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    for _ in 0..10 {
        sender = sender.ready().await.unwrap();
        let (answer, mut stream) = sender.send_request(request("/"), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        eventually(SOON, "all of the answer is in Envoy", async || {
            let active = running.envoy.stats(r"^cluster\.app\.upstream_rq_active$");
            let active: u64 = active.await.ok()?.iter().map(|(_, count)| count).sum();
            (active == 0).then_some(())
        })
        .await
        .unwrap();
        // No client that is not on the same machine can leave sooner after the end of its answer.
        tokio::time::sleep(Duration::from_millis(1)).await;
        stream.send_reset(h2::Reason::CANCEL);
    }
    let sum = plane.reports.counted("other", 10).await;
    assert_eq!(of(&sum, Outcome::ClientCancel), 10, "{:?}", sum.outcomes);
    is_unharmed(&running).await;
}

/// Answers that end before they are whole, and services that only close.
#[tokio::test]
async fn a_service_that_breaks_off_is_counted_as_such() {
    let halfway = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly so much";
    let cut = RawApp::start(halfway, true).await;
    let gone = RawApp::start(b"", true).await;
    let plane = Plane::start().await;
    let running = lenient(cut.address, &plane, json!({})).await;
    for _ in 0..10 {
        let answer = raw::ask(running.inbound, &raw::get(b"/", &[])).await;
        assert_eq!(raw::status(&answer), Some(200));
    }
    let sum = plane.reports.counted("other", 10).await;
    assert_eq!(of(&sum, Outcome::Truncated), 10);
    running.is_whole().await;

    let plane = Plane::start().await;
    let running = lenient(gone.address, &plane, json!({})).await;
    for _ in 0..10 {
        let answer = raw::ask(running.inbound, &raw::get(b"/", &[])).await;
        assert_eq!(raw::status(&answer), Some(503));
    }
    let sum = plane.reports.counted("other", 10).await;
    assert_eq!(of(&sum, Outcome::UpstreamReset), 10);
    running.is_whole().await;
}
