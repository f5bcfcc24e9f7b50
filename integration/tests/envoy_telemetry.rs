//! What the real Envoy tells about requests: spans, statistics, dimensions.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sloop_integration::envoy::Upstream;
use sloop_integration::eventually::eventually;
use support::collector::{Collector, text};
use support::copier::Copying;
use support::fixed::Fixed;
use support::{Plane, SOON};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn spans_of_both_sides_are_one_trace_and_what_is_sent_on_names_them() {
    let collector = Collector::start().await;
    let spans = json!({"spans": {"cluster": "otel", "interval_ms": 100}});
    let more = |fixed: Fixed| Fixed {
        server: spans.clone(),
        client: spans.clone(),
        collector: Some(collector.address),
        ..fixed
    };
    let copying = Copying::start(more).await;
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let lines = [("traceparent", parent.as_str()), ("user-agent", "test")];
    let arrived = copying.ask("/pay?secret=1", &lines).await;
    let sent = arrived["traceparent"].to_str().unwrap().to_owned();
    let got = eventually(SOON, "two spans", async || {
        let spans = collector.spans();
        (2 <= spans.len()).then_some(spans)
    });
    let spans = got.await.unwrap();
    assert_eq!(spans.len(), 2);
    let of_kind = |kind| spans.iter().find(|it| it.kind == kind).unwrap();
    // SPAN_KIND_SERVER and SPAN_KIND_CLIENT.
    let (server, client) = (of_kind(2), of_kind(3));
    assert!(spans.iter().all(|it| hex(&it.trace_id) == TRACE));
    assert_eq!(hex(&server.parent_span_id), SPAN);
    assert_eq!(client.parent_span_id, server.span_id);
    assert_eq!(sent, format!("00-{TRACE}-{}-01", hex(&client.span_id)));
    for span in [server, client] {
        assert_eq!(
            text(&span.attributes, "http.response.status_code").unwrap(),
            "200"
        );
        assert!(span.start_time_unix_nano < span.end_time_unix_nano);
        let all = format!("{:?}", span.attributes);
        assert!(!all.contains("secret"), "{all}");
    }
    assert!(client.start_time_unix_nano >= server.start_time_unix_nano);
    assert_eq!(text(&server.attributes, "url.path").unwrap(), "/pay");
    assert_eq!(collector.resource("service.name").unwrap(), "shop");
    assert_eq!(collector.resource("service.instance.id").unwrap(), "shop-1");
    copying.running.is_whole().await;
}

/// Of traces that nobody chose, only what matters is kept.
#[tokio::test]
async fn what_matters_is_kept_whatever_the_sampling() {
    let collector = Collector::start().await;
    let app = Upstream::start().await.unwrap();
    let running = Fixed {
        server: json!({
            "spans": {"cluster": "otel", "interval_ms": 100, "sampling": 0},
            "scopes": [
                {"service": "shop", "route": "faulty", "match": [{"path": {"prefix": "/faulty"}}],
                 "faults": [{"id": "it", "share": 10_000, "abort_status": 418, "expires_at_ms": 4_102_444_800_000_u64}]},
                {"service": "shop", "route": "slow", "match": [{"path": {"prefix": "/slow"}}],
                 "objectives": [{"id": {"slo": "fast", "index": 0}, "within_us": 1}]},
            ],
        }),
        collector: Some(collector.address),
        ..Fixed::of(app.address())
    }
    .start()
    .await;
    let caller = running.caller();
    caller.statuses("/ordinary", 20).await.unwrap();
    caller.statuses("/faulty", 3).await.unwrap();
    caller.statuses("/slow", 2).await.unwrap();
    let got = eventually(SOON, "five spans", async || {
        (5 <= collector.spans().len()).then_some(())
    });
    got.await.unwrap();
    let mut names: Vec<String> = collector.spans().into_iter().map(|it| it.name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "GET faulty",
            "GET faulty",
            "GET faulty",
            "GET slow",
            "GET slow"
        ]
    );
    running.is_whole().await;
}

/// The tags that the filter's README tells people to put into the bootstrap.
fn stats_tags() -> Vec<Value> {
    let readme = include_str!("../../filter/README.md");
    let tags = readme.lines().filter_map(|line| {
        let line = line.trim().strip_prefix("- { tag_name: ")?;
        let (name, regex) = line.strip_suffix("' }")?.split_once(", regex: '")?;
        Some(json!({"tag_name": name, "regex": regex}))
    });
    tags.collect()
}

/// The values of a statistic in Prometheus's text, by its labels.
fn values(text: &str, name: &str) -> BTreeMap<String, u64> {
    let lines = text.lines().filter_map(|line| {
        let (labels, value) = line
            .strip_prefix(name)?
            .strip_prefix('{')?
            .split_once("} ")?;
        Some((labels.to_owned(), value.parse().ok()?))
    });
    lines.collect()
}

/// What Istio's agent writes into the bootstrap of a sidecar whose `extraStatTags` are these
/// labels: one pattern for each of them, no tag of Envoy's own, and statistics only of
/// some prefixes, of which that of Wasm is one.
fn istio_stats() -> Value {
    let tags = stats_tags().into_iter().map(|tag| {
        let name = tag["tag_name"].as_str().unwrap();
        json!({"tag_name": name, "regex": format!(r"({name}=\.=(.*?);\.;)")})
    });
    let of_envoy = [
        (
            "cluster_name",
            r"^cluster\.((.+?(\..+?\.svc\.cluster\.local)?)\.)",
        ),
        (
            "response_code",
            r"(response_code=\.=(.+?);\.;)|_rq(_(\.d{3}))$",
        ),
        ("wasm_filter", r"(wasm_filter\.(.+?)\.)"),
    ];
    let of_envoy = of_envoy.map(|(name, regex)| json!({"tag_name": name, "regex": regex}));
    let prefixes = [
        "reporter=",
        "component",
        "cluster_manager",
        "listener_manager",
        "server",
        "wasm",
    ];
    json!({
        "use_all_default_tags": false,
        "stats_tags": of_envoy.into_iter().chain(tags).collect::<Vec<_>>(),
        "stats_matcher": {"inclusion_list": {"patterns": prefixes.map(|it| json!({"prefix": it}))}},
    })
}

#[tokio::test]
async fn prometheus_sees_labels_and_counts() {
    assert_eq!(stats_tags().len(), 9);
    labels_and_counts_are_seen(json!({"stats_tags": stats_tags()})).await;
}

#[tokio::test]
async fn prometheus_sees_them_by_the_patterns_of_istio() {
    labels_and_counts_are_seen(istio_stats()).await;
}

async fn labels_and_counts_are_seen(stats: Value) {
    let app = Upstream::start().await.unwrap();
    let running = Fixed {
        server: json!({
            "stats": {"enabled": true},
            "scopes": [{"service": "shop", "route": "pay", "match": [{"path": {"prefix": "/pay"}}],
                        "objectives": [{"id": {"slo": "fast", "index": 0}}]}],
        }),
        bootstrap: json!({"stats_config": stats}),
        ..Fixed::of(app.address())
    }
    .start()
    .await;
    let caller = running.caller();
    caller.statuses("/pay", 30).await.unwrap();
    app.answer(http::StatusCode::NOT_FOUND);
    caller.statuses("/pay", 5).await.unwrap();
    let scope = r#"sloop_route="pay",sloop_service="shop",sloop_side="server""#;
    let text = eventually(SOON, "they are shown", async || {
        let text = running.envoy.get("/stats/prometheus").await.ok()?;
        // Envoy tells each statistic as it is at that moment, and filters write theirs one after another.
        let of = |name: &str| values(&text, name).values().sum::<u64>();
        let all = [
            of("sloop_requests"),
            of("sloop_objective_requests"),
            of("sloop_latency_microseconds_count"),
        ];
        all.iter().all(|it| 35 <= *it).then_some(text)
    });
    let text = text.await.unwrap();
    let requests = values(&text, "sloop_requests");
    let expected = [("client_error", 5), ("success", 30)];
    let expected =
        expected.map(|(outcome, count)| (format!(r#"sloop_outcome="{outcome}",{scope}"#), count));
    assert_eq!(requests, BTreeMap::from(expected));
    let objective = values(&text, "sloop_objective_requests");
    assert_eq!(objective.values().sum::<u64>(), 35, "{objective:?}");
    let count = values(&text, "sloop_latency_microseconds_count");
    assert_eq!(count, BTreeMap::from([(scope.to_owned(), 35)]));
    let buckets = values(&text, "sloop_latency_microseconds_bucket");
    // Labels are in the order of the patterns.
    let infinite = [
        format!(r#"{scope},le="+Inf""#),
        format!(r#"le="+Inf",{scope}"#),
    ];
    let infinite = infinite.iter().find_map(|it| buckets.get(it));
    assert_eq!(infinite, Some(&35), "{buckets:?}");
    assert!(!text.contains(".=."), "every label was found");
}

#[tokio::test]
async fn reports_tell_callers_origins_and_journeys_apart() {
    let app = Upstream::start().await.unwrap();
    let plane = Plane::start().await;
    let running = Fixed {
        server: json!({"dimensions": {
            "caller": {"xfcc": true}, "origin": {"baggage": "origin"}, "journey": {"baggage": "journey"},
            "values_max": 4, "version": "v2",
        }}),
        control_plane: Some(plane.address),
        manager: json!({"forward_client_cert_details": "ALWAYS_FORWARD_ONLY"}),
        ..Fixed::of(app.address())
    }
    .start()
    .await;
    let caller = running.caller();
    for number in 0..6 {
        let certificate = format!("By=spiffe://mesh/shop;Hash=00;URI=spiffe://mesh/web-{number}");
        for _ in 0..3 {
            let answer = caller
                .get_with("/", "x-forwarded-client-cert", certificate.as_bytes())
                .await;
            assert_eq!(answer.unwrap().status(), 200);
        }
    }
    let baggage = b"journey=checkout , other=1,origin=app%20store";
    caller.get_with("/", "baggage", baggage).await.unwrap();
    plane.reports.counted("other", 19).await;

    let mut counts = BTreeMap::new();
    let reports = plane.reports.all();
    for delta in reports
        .iter()
        .flat_map(|it| &it.scopes)
        .flat_map(|it| &it.dimensions)
    {
        let key = (delta.dimension().as_str_name(), delta.value.clone());
        *counts.entry(key).or_insert(0) += delta.classes.iter().sum::<u64>();
    }
    let of = |dimension, value: &str| {
        counts
            .get(&(dimension, value.to_owned()))
            .copied()
            .unwrap_or(0)
    };
    for number in 0..4 {
        assert_eq!(
            of("DIMENSION_CALLER", &format!("spiffe://mesh/web-{number}")),
            3,
            "{counts:?}"
        );
    }
    assert_eq!(of("DIMENSION_CALLER", "other"), 6);
    assert_eq!(of("DIMENSION_CALLER", "unknown"), 1);
    assert_eq!(of("DIMENSION_JOURNEY", "checkout"), 1);
    assert_eq!(of("DIMENSION_JOURNEY", "unknown"), 18);
    let versions: Vec<_> = reports
        .iter()
        .flat_map(|it| &it.filters)
        .filter(|it| it.side == 1)
        .collect();
    assert!(versions.iter().all(|it| it.version == "v2"), "{versions:?}");
    let over: u64 = reports
        .iter()
        .filter_map(|it| it.trouble.as_ref())
        .map(|it| it.values_over_cap)
        .sum();
    assert_eq!(over, 6);
}
