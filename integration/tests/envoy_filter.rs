//! What the filter does in the real Envoy: traces, exact counts, breaker, faults.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use http::StatusCode;
use sloop_controlplane::ads::Variant;
use sloop_controlplane::clock;
use sloop_integration::envoy::Upstream;
use sloop_integration::eventually::eventually;
use sloop_model::{Outcome, Side};
use sloop_xds_protos::report::v1::ScopeDelta;
use support::{Plane, SOON, Sidecar, config};

/// A service, a control plane that pushed `scopes` for the inbound side, and a sidecar that obeys.
async fn obeying(scopes: &str) -> (Upstream, Plane, Sidecar) {
    obeying_with(support::module(), scopes).await
}

/// As [`obeying`], with this module.
async fn obeying_with(module: String, scopes: &str) -> (Upstream, Plane, Sidecar) {
    let app = Upstream::start().await.unwrap();
    let plane = Plane::start().await;
    plane.hub.open();
    let configs = [
        config(Side::Server, 1, scopes),
        config(Side::Client, 1, "[]"),
    ];
    plane.push_with(&module, &configs);
    let sidecar = Sidecar::start_with(module, app.address(), plane.address, Variant::Delta).await;
    plane.has(2).await;
    (app, plane, sidecar)
}

async fn counted(plane: &Plane, route: &str, requests: u64) -> ScopeDelta {
    let what = format!("{requests} requests of {route} are reported");
    eventually(SOON, &what, async || {
        let sums = plane.reports.of(route);
        (requests <= sums.requests).then_some(sums)
    })
    .await
    .unwrap()
}

fn of(sums: &ScopeDelta, outcome: Outcome) -> u64 {
    let count = sums.outcomes.get(outcome as usize);
    count.copied().unwrap_or_default()
}

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_trace_goes_on_with_a_new_span() {
    let (app, _plane, sidecar) = obeying("[]").await;
    let given = TRACEPARENT.as_bytes();
    let answer = sidecar.inbound.get_with("/", "traceparent", given).await;
    let answer = answer.unwrap();
    assert!(
        !answer.headers().contains_key("traceresponse"),
        "the caller knows it"
    );
    let arrived = app.take();
    let sent = arrived[0].headers["traceparent"].to_str().unwrap();
    assert_eq!(sent[..36], TRACEPARENT[..36], "the same trace");
    assert_ne!(sent, TRACEPARENT, "another span");
    assert_eq!(sent.len(), TRACEPARENT.len());
}

#[tokio::test]
async fn a_trace_that_begins_here_is_named_in_the_answer() {
    let (app, _plane, sidecar) = obeying_with(support::answers_module(), "[]").await;
    let answer = sidecar.inbound.get("/").await.unwrap();
    let named = answer.headers()["traceresponse"].to_str().unwrap();
    let arrived = app.take();
    let sent = arrived[0].headers["traceparent"].to_str().unwrap();
    assert_eq!(named[3..35], sent[3..35], "one trace");
}

const OBJECTIVE: &str = r#"[{"service": "shop", "route": "pay",
    "match": [{"path": {"prefix": "/pay"}}],
    "objectives": [{"id": {"slo": "pay", "index": 0}}]}]"#;

#[tokio::test]
async fn every_request_is_counted_once() {
    let (app, plane, sidecar) = obeying(OBJECTIVE).await;
    sidecar.inbound.statuses("/pay?good", 150).await.unwrap();
    app.answer(StatusCode::INTERNAL_SERVER_ERROR);
    sidecar.inbound.statuses("/pay?bad", 50).await.unwrap();
    app.answer(StatusCode::NOT_FOUND);
    sidecar.inbound.statuses("/pay?lost", 7).await.unwrap();
    sidecar.inbound.statuses("/elsewhere", 3).await.unwrap();

    let pay = counted(&plane, "pay", 207).await;
    assert_eq!(pay.requests, 207);
    assert_eq!(of(&pay, Outcome::Success), 150);
    assert_eq!(of(&pay, Outcome::ServerError), 50);
    assert_eq!(of(&pay, Outcome::ClientError), 7);
    let objective = &pay.objectives[0];
    assert_eq!((objective.total, objective.good), (207, 157));
    assert_eq!(counted(&plane, "other", 3).await.requests, 3);
}

/// Anybody may call a request gRPC, and Envoy gives each answer to it a gRPC status: 2 to 200, 12 to 404.
#[tokio::test]
async fn nobody_opens_a_breaker_by_calling_requests_grpc() {
    let (app, plane, sidecar) = obeying(
        r#"[{"service": "shop", "route": "pay", "match": [{"path": {"prefix": "/pay"}}],
            "objectives": [{"id": {"slo": "pay", "index": 0}}],
            "breaker": {"limits": {"window_ms": 60000, "calls_min": 5, "failed_max": 2000,
                "open_ms": 60000, "open_max_ms": 60000, "probes": 1}}}]"#,
    )
    .await;
    let called_grpc = async |status: StatusCode| {
        app.answer(status);
        for _ in 0..20 {
            let answer = sidecar
                .inbound
                .get_with("/pay", "content-type", b"application/grpc");
            assert_eq!(answer.await.unwrap().status(), status, "is not refused");
        }
    };
    called_grpc(StatusCode::OK).await;
    called_grpc(StatusCode::NOT_FOUND).await;
    let pay = counted(&plane, "pay", 40).await;
    assert_eq!(of(&pay, Outcome::Success), 20);
    assert_eq!(of(&pay, Outcome::ClientError), 20);
    assert_eq!((pay.objectives[0].total, pay.objectives[0].good), (40, 40));
    assert_eq!(app.take().len(), 40);
}

#[tokio::test]
async fn counts_survive_pushes() {
    let (_app, mut plane, sidecar) = obeying(OBJECTIVE).await;
    for generation in 2..12 {
        sidecar.inbound.statuses("/pay", 20).await.unwrap();
        let configs = [
            config(Side::Server, generation, OBJECTIVE),
            config(Side::Client, generation, "[]"),
        ];
        plane.push_and_wait(&configs).await.unwrap();
    }
    assert_eq!(counted(&plane, "pay", 200).await.requests, 200);
}

/// A header that is not UTF-8 crashes filters that read it as text.
///
/// A trace that cannot be read is replaced, and its `tracestate` goes with it, as W3C asks.
#[tokio::test]
async fn headers_of_any_bytes_pass() {
    let (app, plane, sidecar) = obeying(OBJECTIVE).await;
    let odd = b"caf\xe9 \xff\xfe";
    for name in [
        "x-odd",
        "traceparent",
        "tracestate",
        "baggage",
        "user-agent",
    ] {
        let answer = sidecar.inbound.get_with("/pay", name, odd).await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        let arrived = app.take();
        if !name.starts_with("trace") {
            assert_eq!(arrived[0].headers[name].as_bytes(), odd, "{name}");
        }
    }
    assert_eq!(counted(&plane, "pay", 5).await.requests, 5);
    // Envoy has these from the beginning.
    for filter in ["sloop-inbound", "sloop-outbound"] {
        let name = format!("wasm.{filter}.vm_reload");
        let reloads = sidecar.envoy.stat(&name).await.unwrap();
        assert_eq!(reloads, Some(0), "{name}");
    }
}

const BREAKER: &str = r#"[{"service": "shop", "route": "pay",
    "match": [{"path": {"prefix": "/pay"}}],
    "breaker": {"limits": {"window_ms": 10000, "calls_min": 10, "failed_max": 5000,
        "open_ms": 200, "open_max_ms": 200, "probes": 1}}}]"#;

#[tokio::test]
async fn the_breaker_opens_spares_the_service_and_closes() {
    let (app, plane, sidecar) = obeying(BREAKER).await;
    app.answer(StatusCode::INTERNAL_SERVER_ERROR);
    let refused = eventually(SOON, "the breaker refuses", async || {
        let answer = sidecar.inbound.get("/pay").await.unwrap();
        (answer.status() == 503).then_some(answer)
    })
    .await
    .unwrap();
    assert!(refused.headers().contains_key("retry-after"));

    app.answer(StatusCode::OK);
    eventually(
        SOON,
        "the service is asked again by both workers",
        async || {
            let statuses = sidecar.inbound.statuses("/pay", 20).await.unwrap();
            (statuses == [200; 20]).then_some(())
        },
    )
    .await
    .unwrap();

    let told = eventually(SOON, "the breaker's story is reported", async || {
        let sums = plane.reports.of("pay");
        let breaker = sums.breaker.clone().unwrap_or_default();
        let opened = breaker.changes.iter().filter(|it| it.to == 2).count();
        let closed = breaker.changes.iter().filter(|it| it.to == 1).count();
        (0 < opened && 0 < closed).then_some(sums)
    })
    .await
    .unwrap();
    assert_eq!(of(&told, Outcome::Refused), told.breaker.unwrap().refused);
    let seen = u64::try_from(app.take().len()).unwrap();
    let all = eventually(
        SOON,
        "the service saw all that was not refused",
        async || {
            let sums = plane.reports.of("pay");
            (sums.requests - of(&sums, Outcome::Refused) == seen).then_some(sums)
        },
    );
    all.await.unwrap();
}

fn fault(what: &str, share: u16, lives_ms: i64) -> String {
    let now = i64::try_from(clock::wall().as_millis()).unwrap();
    let expires = now + lives_ms;
    format!(
        r#"[{{"service": "shop", "route": "pay", "match": [{{"path": {{"prefix": "/pay"}}}}],
            "faults": [{{"id": "test", "share": {share}, "expires_at_ms": {expires}, {what}}}]}}]"#
    )
}

const MINUTE_MS: i64 = 60_000;

#[tokio::test]
async fn an_abort_answers_in_place_of_the_service() {
    let scopes = fault(r#""abort_status": 418"#, 10_000, MINUTE_MS);
    let (app, plane, sidecar) = obeying(&scopes).await;
    assert_eq!(
        sidecar.inbound.statuses("/pay", 10).await.unwrap(),
        [418; 10]
    );
    assert_eq!(sidecar.inbound.get("/else").await.unwrap().status(), 200);
    assert_eq!(app.take().len(), 1);
    let pay = counted(&plane, "pay", 10).await;
    assert_eq!((pay.aborted, of(&pay, Outcome::Faulted)), (10, 10));
}

#[tokio::test]
async fn an_abort_of_a_share_spares_the_rest() {
    let scopes = fault(r#""abort_status": 418"#, 3_000, MINUTE_MS);
    let (_app, plane, sidecar) = obeying(&scopes).await;
    let statuses = sidecar.inbound.statuses("/pay", 400).await.unwrap();
    let aborted = statuses.iter().filter(|status| **status == 418).count();
    // Binomial with 400 draws at 0.3: 6 standard deviations are 55.
    assert!((65..=175).contains(&aborted), "{aborted} of 400");
    let pay = counted(&plane, "pay", 400).await;
    assert_eq!(pay.aborted, u64::try_from(aborted).unwrap());
}

#[tokio::test]
async fn a_delay_holds_the_request_back() {
    let scopes = fault(r#""delay_ms": 300"#, 10_000, MINUTE_MS);
    let (app, plane, sidecar) = obeying(&scopes).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(sidecar.inbound.statuses("/pay", 3).await.unwrap(), [200; 3]);
    assert!(900 <= begun.elapsed().as_millis(), "{:?}", begun.elapsed());
    assert_eq!(app.take().len(), 3, "each was sent on once");
    assert_eq!(counted(&plane, "pay", 3).await.delayed, 3);
}

#[tokio::test]
async fn a_fault_that_has_expired_does_nothing() {
    let scopes = fault(r#""abort_status": 418"#, 10_000, -1);
    let (_app, _plane, sidecar) = obeying(&scopes).await;
    assert_eq!(
        sidecar.inbound.statuses("/pay", 10).await.unwrap(),
        [200; 10]
    );
}
