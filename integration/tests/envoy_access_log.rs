//! What access logs say of requests that the filter ended, beside those that a service or Envoy itself did: as the filter's
//! README has it.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sloop_integration::envoy::Upstream;
use sloop_integration::eventually::eventually;
use support::SOON;
use support::fixed::{Fixed, Running};
use support::raw::{self, RawApp, Turn};

/// What stands between the parts of a line. None of them has it.
const BETWEEN: char = '|';

/// The parts of a line, in Envoy's words.
const PARTS: [&str; 7] = [
    "%REQ(:PATH)%",
    "%RESPONSE_CODE%",
    "%RESPONSE_CODE_DETAILS%",
    "%RESPONSE_FLAGS%",
    "%RESP(X-SLOOP-VERDICT)%",
    "%RESP(RETRY-AFTER)%",
    "%RESP(X-ENVOY-RATELIMITED)%",
];

const PARENT: (&str, &str) = (
    "traceparent",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
);

/// What is asked for, with which headers; and what the log says of it: code, details, flags, verdict, `retry-after`,
/// `x-envoy-ratelimited`.
struct Case {
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    logged: [&'static str; 6],
}

const fn case(
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    logged: [&'static str; 6],
) -> Case {
    Case {
        path,
        headers,
        logged,
    }
}

/// What is answered so the first time already.
const AT_ONCE: [Case; 11] = [
    case("fine", &[], ["200", "via_upstream", "-", "-", "-", "-"]),
    case("failing", &[], ["503", "via_upstream", "-", "-", "-", "-"]),
    case(
        "gone",
        &[],
        [
            "503",
            "upstream_reset_before_response_started{connection_termination}",
            "UC",
            "-",
            "-",
            "-",
        ],
    ),
    case(
        "late",
        &[PARENT, ("tracestate", "sloop=1.d0-0")],
        [
            "504",
            "sloop_deadline_passed",
            "-",
            "deadline_passed",
            "-",
            "-",
        ],
    ),
    case(
        "denied",
        &[],
        ["429", "sloop_denied{wild}", "-", "blocked", "-", "-"],
    ),
    case(
        "refused",
        &[],
        ["503", "sloop_breaker_open", "-", "refused", "1", "-"],
    ),
    case(
        "aborted",
        &[],
        ["503", "sloop_fault_abort", "-", "fault", "-", "-"],
    ),
    case("reset", &[], ["0", "wasm_close_stream", "-", "-", "-", "-"]),
    case("delayed", &[], ["200", "via_upstream", "-", "-", "-", "-"]),
    // Envoy's own fault filter, before ours.
    case(
        "fine",
        &[("x-envoy-fault-abort-request", "503")],
        ["503", "fault_filter_abort", "FI", "-", "-", "-"],
    ),
    case(
        "fine",
        &[("x-envoy-fault-delay-request", "10")],
        ["200", "via_upstream", "DI", "-", "-", "-"],
    ),
];

/// What is answered so sooner or later, and before that is passed on to a service that is well.
const AFTER_A_WHILE: [Case; 2] = [
    case("shed", &[], ["503", "sloop_shed", "-", "shed", "1", "-"]),
    case(
        "tried-again",
        &[("x-envoy-attempt-count", "2")],
        ["503", "sloop_retry_budget", "-", "retry", "-", "true"],
    ),
];

/// A scope for each path that a rule is about.
fn scopes() -> Value {
    const NEVER: u64 = 4_102_444_800_000;
    let breaker = json!({"mode": "forced_open", "expires_at_ms": NEVER, "limits": {
        "window_ms": 1_000, "calls_min": 20, "failed_max": 2_000, "open_ms": 500, "open_max_ms": 500, "probes": 5,
    }});
    let fault = |effect: Value| json!({"faults": [support::fixed::with(json!({"id": "trial", "share": 10_000, "expires_at_ms": NEVER}), &effect)]});
    let rules = [
        (
            "denied",
            json!({"deny": [{"id": "wild", "status": 429, "share_max": 10_000, "expires_at_ms": NEVER,
                             "match": {"method": ["GET"]}}]}),
        ),
        ("refused", json!({"breaker": breaker})),
        (
            "shed",
            json!({"shed": {"limits": {"share_min": 9_000, "share_max": 9_000, "failed_max": 5_000}}}),
        ),
        (
            "tried-again",
            json!({
                // By this one every answer is in vain.
                "objectives": [{"id": {"slo": "never", "index": 0}, "bad": {"status": [[200, 299]]}}],
                "retries": {"limits": {"share": 0, "least": 1}},
            }),
        ),
        ("aborted", fault(json!({"abort_status": 503}))),
        ("reset", fault(json!({"reset": true}))),
        ("delayed", fault(json!({"delay_ms": 10}))),
    ];
    let scope = |(name, rule): (&str, Value)| {
        let scope = json!({"service": "shop", "route": name, "match": [{"path": {"exact": format!("/{name}")}}]});
        support::fixed::with(scope, &rule)
    };
    rules.into_iter().map(scope).collect()
}

/// An Envoy that writes such lines to the file at `path`.
async fn logging(path: &str, app: &Upstream, callee: &RawApp) -> Running {
    let line = PARTS.join(&BETWEEN.to_string()) + "\n";
    let route = |prefix: &str, cluster: &str| json!({"match": {"prefix": prefix}, "route": {"cluster": cluster, "timeout": "0s"}});
    let own_faults = json!({
        "name": "envoy.filters.http.fault",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            "abort": {"header_abort": {}, "percentage": {"numerator": 100}},
            "delay": {"header_delay": {}, "percentage": {"numerator": 100}},
        },
    });
    Fixed {
        server: json!({"trace": {"context": {"deadlines": "enforce"}}, "scopes": scopes()}),
        callee: callee.address,
        first: vec![own_faults],
        manager: json!({
            "access_log": [{
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": path,
                    "log_format": {"text_format_source": {"inline_string": line}},
                },
            }],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                route("/failing", "callee"), route("/gone", "callee"), route("/", "app"),
            ]}]},
        }),
        ..Fixed::of(app.address())
    }
    .start()
    .await
}

/// Asks once.
async fn ask(running: &Running, case: &Case) -> Vec<u8> {
    let lines: Vec<(&str, &[u8])> = case
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    let path = format!("/{}?and=more", case.path);
    raw::ask(running.inbound, &raw::get(path.as_bytes(), &lines)).await
}

#[tokio::test]
async fn an_access_log_tells_apart_who_ended_a_request_and_why() {
    const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Sorry\r\ncontent-length: 2\r\n\r\nno";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let app = Upstream::start().await.unwrap();
    // In the order in which they are asked for.
    let callee = RawApp::start_in_turn(vec![Turn::Say(UNAVAILABLE), Turn::Close(b"")]).await;
    let running = logging(path.to_str().unwrap(), &app, &callee).await;
    let mut asked = 0;
    for case in &AT_ONCE {
        let answer = ask(&running, case).await;
        let status = raw::status(&answer).map_or("0".to_owned(), |status| status.to_string());
        assert_eq!(status, case.logged[0], "{}", case.path);
        asked += 1;
    }
    for case in &AFTER_A_WHILE {
        eventually(SOON, case.path, async || {
            let answer = ask(&running, case).await;
            asked += 1;
            (raw::status(&answer) == Some(503)).then_some(())
        })
        .await
        .unwrap();
    }
    running.is_whole().await;
    // It writes what is left when it ends.
    running.envoy.stop().await.unwrap();

    let log = std::fs::read_to_string(&path).unwrap();
    let mut logged: BTreeMap<&str, BTreeSet<Vec<&str>>> = BTreeMap::new();
    for line in log.lines() {
        let mut parts = line.split(BETWEEN);
        let (path, _) = parts.next().unwrap().split_once('?').unwrap();
        let path = path.trim_start_matches('/');
        logged.entry(path).or_default().insert(parts.collect());
    }
    assert_eq!(
        log.lines().count(),
        asked,
        "a line for each request:\n{log}"
    );
    let mut expected: BTreeMap<&str, BTreeSet<Vec<&str>>> = BTreeMap::new();
    for case in AT_ONCE.iter().chain(&AFTER_A_WHILE) {
        expected
            .entry(case.path)
            .or_default()
            .insert(case.logged.to_vec());
    }
    // What is shed, and what is tried again, passes now and then.
    for case in &AFTER_A_WHILE {
        let passed = vec!["200", "via_upstream", "-", "-", "-", "-"];
        if logged[case.path].contains(&passed) {
            expected.entry(case.path).or_default().insert(passed);
        }
    }
    assert_eq!(logged, expected);
}

/// The details are those of the README's table.
#[test]
fn the_details_are_those_that_the_readme_names() {
    let readme = include_str!("../../filter/README.md");
    for case in AT_ONCE.iter().chain(&AFTER_A_WHILE) {
        let [_, details, _, verdict, ..] = case.logged;
        let details = details.split('{').next().unwrap();
        if details.starts_with("sloop_") {
            let row = readme
                .lines()
                .find(|line| line.contains(&format!("| `{details}")))
                .expect(details);
            assert!(
                row.contains(&format!("`x-sloop-verdict: {verdict}`")),
                "{row}"
            );
        }
    }
}
