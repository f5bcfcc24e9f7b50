use sloop_controllers::{CircuitBreakerIntent, FaultInjectionIntent};
use sloop_model::{BreakerMode, BreakerWindow, DelaySpread, WallTime};

use crate::documents::{Loaded, Remark, read_texts};

/// 2026-01-15.
const NOW: WallTime = WallTime::from_millis(1_768_435_200_000);

fn load(kind: &str, spec: &str) -> Loaded {
    let text = format!(
        "apiVersion: sloop.dev/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{service: s, {spec}}}"
    );
    read_texts(&[("a.yaml".to_owned(), text)], NOW)
}

fn intent<T: serde::de::DeserializeOwned>(kind: &str, spec: &str) -> T {
    let loaded = load(kind, spec);
    assert_eq!(loaded.problems, [], "{spec}");
    let [(_, _, body)] = loaded.intents.as_slice() else {
        panic!("{loaded:?}");
    };
    serde_json::from_str(body).unwrap()
}

/// What is wrong, as `path: message`.
fn wrong(kind: &str, spec: &str) -> Vec<String> {
    let said = |remark: &Remark| format!("{}: {}", remark.path, remark.message);
    load(kind, spec).problems.iter().map(said).collect()
}

fn fault(fields: &str) -> String {
    format!("fault: {{expires_at: '2026-02-01T00:00:00Z', {fields}}}")
}

#[test]
fn a_fault_has_every_field_that_the_filter_knows() {
    let spec = fault(
        "id: x, seed: 7, share: 5%, control: 500, match: {method: [POST], headers: [{name: x-share, exact: '50%'}]}, \
         caller: ['spiffe://a/b'], criticality: [sheddable], sidecars: 50%, side_of_exchange: response, \
         delay: {quantiles: [[50%, 10], [10000, 1000]]}, \
         headers: {set: [[a, b]], remove: [etag]}, active_max: 20, active_share_max: 10%",
    );
    let read: FaultInjectionIntent = intent("FaultInjection", &spec);
    let written = serde_json::to_value(&read.fault).unwrap();
    assert_eq!(
        written,
        serde_json::json!({
            "id": "x", "seed": 7, "share": 500, "control": 500,
            "match": {"method": ["POST"], "headers": [{"name": "x-share", "exact": "50%"}]},
            "caller": ["spiffe://a/b"], "criticality": ["sheddable"], "sidecars": 5000,
            "side_of_exchange": "response", "delay": {"quantiles": [[5000, 10], [10000, 1000]]},
            "headers": {"set": [["a", "b"]], "remove": ["etag"]},
            "active_max": 20, "active_share_max": 1000, "expires_at_ms": 1_769_904_000_000_u64,
        })
    );
}

#[test]
fn delays_and_bodies_are_read_as_the_filter_does() {
    let read: FaultInjectionIntent = intent(
        "FaultInjection",
        &fault("share: 1%, delay: {pareto: {scale_ms: 20, shape: 1.5}}, by_header: null"),
    );
    assert!(
        matches!(
            read.fault.delay(),
            Some(DelaySpread::Pareto { scale_ms: 20, .. })
        ),
        "{read:?}"
    );
    let read: FaultInjectionIntent = intent(
        "FaultInjection",
        &fault("share: 1%, side_of_exchange: response, body: {corrupt: 0.5%}"),
    );
    let written = serde_json::to_value(&read.fault).unwrap();
    assert_eq!(written["body"]["corrupt"], 50);
}

#[test]
fn all_that_is_wrong_with_a_part_is_said_at_its_place() {
    let said = wrong(
        "FaultInjection",
        &fault(
            "shre: 5%, share: 1%, delay: {uniform: {min_ms: soon, max_ms: 9}}, sidecars: 200%, reset: 1, abort_status: 99",
        ),
    );
    for part in [
        "spec.fault.shre: unknown field; did you mean \"share\"?",
        "spec.fault.delay.uniform.min_ms: is the text \"soon\"; it must be a whole number",
        "spec.fault.sidecars: is \"200%\"; it must be from",
    ] {
        assert!(
            said.iter().any(|line| line.starts_with(part)),
            "{part}: {said:#?}"
        );
    }
    assert_eq!(
        wrong(
            "FaultInjection",
            &fault("share: 1%, abort_status: 99, nothing: 1")
        ),
        [
            "spec.fault.abort_status: abort_status is 99; it must be from 200 to 599",
            "spec.fault.nothing: unknown field; known are id, seed, share, control, match, caller, criticality, sidecars, \
             side_of_exchange, delay_ms, delay, abort_status, abort_grpc_status, reset, body, headers, by_header, \
             active_max, active_share_max, expires_at_ms",
        ]
    );
    assert_eq!(
        wrong("FaultInjection", &fault("share: 1%"))[0]
            .split(';')
            .next()
            .unwrap(),
        "spec.fault: the fault does nothing"
    );
    assert_eq!(
        wrong("FaultInjection", &fault("reset: true")),
        ["spec.fault.share: is required"]
    );
    assert_eq!(
        wrong("FaultInjection", "fault: {share: 1%, reset: true}"),
        ["spec.fault.expires_at: is required"]
    );
}

#[test]
fn a_breaker_has_every_mode_window_and_manner() {
    for (word, mode) in [
        ("enforce", BreakerMode::Enforce),
        ("shadow", BreakerMode::Shadow),
        ("metrics_only", BreakerMode::MetricsOnly),
        ("disabled", BreakerMode::Disabled),
        ("forced_open", BreakerMode::ForcedOpen),
    ] {
        let spec = format!(
            "mode: {word}, limits: {{window_calls: 100, calls_min: 20, failed_max: 50%, open_ms: 500, \
             open_max_ms: 10000, probes: 5, manner: {{threshold: reached, late: counted}}}}"
        );
        let read: CircuitBreakerIntent = intent("CircuitBreaker", &spec);
        assert_eq!(read.mode, mode);
        assert_eq!(read.limits.window(), BreakerWindow::Calls(100));
    }
    let said = wrong(
        "CircuitBreaker",
        "mode: open, limits: {window_calls: 100, window_ms: 1000, calls_min: 20, failed_max: 101%, open_ms: 500, \
         open_max_ms: 10000, probes: 5, manner: {wake: never}}",
    );
    for part in [
        "spec.mode: is \"open\"; it must be one of enforce",
        "spec.limits.failed_max: is \"101%\"",
    ] {
        assert!(
            said.iter().any(|line| line.starts_with(part)),
            "{part}: {said:#?}"
        );
    }
}
