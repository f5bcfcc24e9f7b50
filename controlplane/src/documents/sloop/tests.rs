use sloop_controllers::{
    CircuitBreakerIntent, DenyIntent, FaultInjectionIntent, LoadSheddingIntent, Pattern,
};
use sloop_model::{BreakerMode, BreakerWindow, DelaySpread, Mode, Side, WallTime};

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
            "spec.fault.nothing: unknown field; known are id, seed, share, control, match, caller, criticality, version, sidecars, \
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
fn a_percentage_is_never_taken_as_another() {
    let says = |field: &str, given: &str, between: &str| {
        format!("spec.{field}: is {given:?}; shares have steps of 0.01%, so it must be {between}")
    };
    let settings = |share: &str| {
        let spec = format!("spans: {{cluster: otel, sampling: {share}}}");
        wrong("FilterSettings", &spec)
    };
    for (given, between) in [
        ("0.004%", r#""0%" or "0.01%""#),
        ("0.015%", r#""0.01%" or "0.02%""#),
        ("99.999%", r#""99.99%" or "100%""#),
    ] {
        let said = says("spans.sampling", given, between);
        assert_eq!(settings(given), [said]);
    }
    let said = says("fault.control", "1e-5%", r#""0%" or "0.01%""#);
    let spec = fault("share: 1%, reset: true, control: '1e-5%'");
    assert_eq!(wrong("FaultInjection", &spec), [said]);
    // All that there are, as a person writes them.
    for share in 0..=10_000_u16 {
        let (whole, rest) = (share / 100, share % 100);
        let spec = format!("spans: {{cluster: otel, sampling: {whole}.{rest:02}%}}");
        let loaded = load("FilterSettings", &spec);
        assert_eq!(loaded.problems, []);
        let spans = loaded.filter_settings[0].spans.as_ref().unwrap();
        assert_eq!(u16::from(spans.sampling), share);
    }
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
        let ends = if mode.is_forced() {
            "expires_at: '2026-02-01T00:00:00Z', "
        } else {
            ""
        };
        let spec = format!(
            "{ends}mode: {word}, limits: {{window_calls: 100, calls_min: 20, failed_max: 50%, open_ms: 500, \
             open_max_ms: 10000, probes: 5, manner: {{threshold: reached, late: counted}}}}"
        );
        let read: CircuitBreakerIntent = intent("CircuitBreaker", &spec);
        assert_eq!(read.mode, mode);
        assert_eq!(read.limits.window(), BreakerWindow::Calls(100));
        assert_eq!(read.expires_at.is_some(), mode.is_forced());
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

#[test]
fn what_overrules_a_breaker_must_say_until_when_and_others_may() {
    const LIMITS: &str = "limits: {window_calls: 100, calls_min: 20, failed_max: 50%, open_ms: 500, \
         open_max_ms: 10000, probes: 5}";
    for mode in ["disabled", "forced_open"] {
        assert_eq!(
            wrong("CircuitBreaker", &format!("mode: {mode}, {LIMITS}")),
            ["spec.expires_at: is required"]
        );
    }
    let read: CircuitBreakerIntent = intent(
        "CircuitBreaker",
        &format!("expires_at_ms: 1769904000000, {LIMITS}"),
    );
    assert_eq!(
        read.expires_at.map(WallTime::as_millis),
        Some(1_769_904_000_000)
    );
    assert_eq!(
        wrong("CircuitBreaker", &format!("expires_at: tomorrow, {LIMITS}")).len(),
        1
    );
}

#[test]
fn shedding_and_deny_rules_are_read_as_the_filter_does() {
    let read: LoadSheddingIntent = intent("LoadShedding", "route: r");
    assert_eq!((read.mode, read.limits), (Mode::Enforce, None));
    let read: LoadSheddingIntent = intent(
        "LoadShedding",
        "mode: shadow, limits: {share_max: 50%, failed_max: 1%, class_max: {critical: 10%}}",
    );
    let written = serde_json::to_value(read.limits.unwrap()).unwrap();
    assert_eq!(written["share_max"], 5_000);
    assert_eq!(written["class_max"]["critical"], 1_000);
    assert_eq!(read.retries, None);
    let read: LoadSheddingIntent = intent(
        "LoadShedding",
        "side: client, retries: {share: 5%, least: 1}",
    );
    assert_eq!((read.side, read.limits), (Side::Client, None));
    let written = serde_json::to_value(read.retries.unwrap()).unwrap();
    assert_eq!(written, serde_json::json!({"share": 500, "least": 1}));
    let read: DenyIntent = intent(
        "DenyRule",
        "rule: {match: {method: [POST]}, share_max: 20%, expires_at: '2026-02-01T00:00:00Z'}",
    );
    assert_eq!((read.rule.id(), read.rule.status()), ("a", 403));
    for (kind, spec, said) in [
        (
            "LoadShedding",
            "limits: {share_max: 50%}",
            "spec.limits: no objective; give slow_us with slow_max, failed_max or in_flight_max",
        ),
        (
            "LoadShedding",
            "limits: {share_max: 50%, slow_us: 9, slow_max: 1%}",
            "spec.limits.slow_us: slow_us is 9; it must be from 100 to 60000000",
        ),
        (
            "LoadShedding",
            "retries: {share: 5%, least: 0}",
            "spec.retries.least: least is 0; it must be from 1 to 1000",
        ),
        (
            "LoadShedding",
            "retries: {share: 5%, last: 1, least: 1}",
            "spec.retries.last: unknown field; did you mean \"least\"?",
        ),
        (
            "DenyRule",
            "rule: {expires_at: '2026-02-01T00:00:00Z'}",
            "spec.rule: the rule has no condition; give match, caller or both",
        ),
        (
            "DenyRule",
            "rule: {caller: x}",
            "spec.rule.expires_at: is required",
        ),
    ] {
        assert_eq!(wrong(kind, spec), [said]);
    }
}

#[test]
fn settings_of_filters_are_read_and_the_same_ones_refused() {
    let settings = |name: &str, spec: &str| {
        let text = format!(
            "apiVersion: sloop.dev/v1\nkind: FilterSettings\nmetadata: {{name: {name}}}\nspec: {{{spec}}}"
        );
        (format!("{name}.yaml"), text)
    };
    let loaded = read_texts(
        &[
            settings(
                "a",
                "service: s, spans: {cluster: otel, sampling: 1%}, respond: always, health_checks: \
                 [{headers: [{name: user-agent, prefix: kube-probe/}]}, {path: {exact: /healthz}}]",
            ),
            settings(
                "b",
                "side: client, context: {b3: single, join: {}}, stats: {enabled: true}",
            ),
        ],
        NOW,
    );
    assert_eq!(loaded.problems, []);
    let [a, b] = loaded.filter_settings.as_slice() else {
        panic!("{loaded:?}");
    };
    assert_eq!(a.spans.as_ref().unwrap().sampling.as_fraction(), 0.01);
    assert!(b.context.as_ref().unwrap().join.is_some());
    let checks = a.health_checks.as_deref().unwrap();
    assert_eq!(checks.len(), 2);
    assert_eq!(checks[0].headers[0].prefix.as_deref(), Some("kube-probe/"));
    assert_eq!(b.health_checks, None);
    let twice = [settings("a", "service: s"), settings("b", "service: s")];
    let loaded = read_texts(&twice, NOW);
    assert_eq!(
        (loaded.problems.len(), loaded.filter_settings.len()),
        (2, 0)
    );
    for (spec, said) in [
        (
            "context: {owner: envoy}, spans: {cluster: otel}",
            "spec.spans: needs context.owner to be sloop; with envoy nobody is told the ids of these spans",
        ),
        (
            "spans: {cluster: otel, queue_max: 0}",
            "spec.spans.queue_max: is 0; it must be from 1 to 4096",
        ),
        (
            "dimensions: {caller: {header: X-Caller}}",
            "spec.dimensions.caller.header: is \"X-Caller\"; it must be lower case, not empty and have at most 128 bytes",
        ),
        (
            "context: {join: {entries: 1}}",
            "spec.context.join: entries is 1; it must be from 4 to 65536",
        ),
        (
            "health_checks: [{headers: [{name: user-agent, exact: a, prefix: b}]}]",
            "spec.health_checks[0]: a header has exact and prefix; it may have one of them",
        ),
        (
            "health_checks: [{}]",
            "spec.health_checks[0]: the match has no condition; give at least one",
        ),
    ] {
        assert_eq!(wrong("FilterSettings", spec), [said]);
    }
}

#[test]
fn a_caller_that_nobody_knows_is_noted() {
    let deny = "apiVersion: sloop.dev/v1\nkind: DenyRule\nmetadata: {name: d}\nspec: {service: s, rule: \
                {caller: x, expires_at: '2026-02-01T00:00:00Z'}}\n";
    let settings = "---\napiVersion: sloop.dev/v1\nkind: FilterSettings\nmetadata: {name: f}\n\
                    spec: {service: SERVICE, dimensions: {caller: {header: x-caller}}}\n";
    let notes = |text: String| {
        let loaded = read_texts(&[("a.yaml".to_owned(), text)], NOW);
        assert_eq!(loaded.problems, []);
        loaded.notes.len()
    };
    assert_eq!(notes(deny.to_owned()), 1);
    let with = |service: &str| format!("{deny}{}", settings.replace("SERVICE", service));
    assert_eq!(notes(with("s")), 0);
    assert_eq!(notes(with("other")), 1);
}

fn access(spec: &str) -> Loaded {
    let text = format!(
        "{{apiVersion: sloop.dev/v1, kind: AccessRule, metadata: {{name: a}}, spec: {{{spec}}}}}"
    );
    read_texts(&[("a.yaml".to_owned(), text)], NOW)
}

#[test]
fn an_access_rule_says_who_may_be_whose_sidecar() {
    let texts = |patterns: &[Pattern]| -> Vec<String> {
        patterns.iter().map(ToString::to_string).collect()
    };
    let spec = "identities: [spiffe://a/b, 'spiffe://a/c/*'], services: [shop, 'cart-*']";
    let loaded = access(spec);
    assert_eq!(loaded.problems, []);
    let [rule] = loaded.access_rules.as_slice() else {
        panic!("{loaded:?}");
    };
    assert_eq!(texts(&rule.identities), ["spiffe://a/b", "spiffe://a/c/*"]);
    assert_eq!(texts(&rule.services), ["shop", "cart-*"]);
    assert_eq!(rule.calls, None);
    let [note] = loaded.notes.as_slice() else {
        panic!("{:?}", loaded.notes);
    };
    assert!(note.message.contains("has no `calls`"), "{note}");
    assert_eq!(access(&format!("{spec}, calls: []")).notes, []);
    let calls = |calls: &str| {
        access(&format!("{spec}, calls: {calls}")).access_rules[0]
            .calls
            .clone()
    };
    assert_eq!(calls("[]").as_deref(), Some([].as_slice()));
    assert_eq!(
        calls("[bank]").map(|it| texts(&it)),
        Some(vec!["bank".to_owned()])
    );
}

#[test]
fn what_fits_nobody_is_no_access_rule() {
    let wrong = |spec: &str| {
        let said = |remark: &Remark| format!("{}: {}", remark.path, remark.message);
        access(spec).problems.iter().map(said).collect::<Vec<_>>()
    };
    assert_eq!(
        wrong("identities: [https://a, 'http*', spiffe://A, '*x'], services: []"),
        [
            "spec.identities[0]: is no name: it does not begin with spiffe://",
            "spec.identities[1]: is no beginning of a name; names begin with spiffe://",
            "spec.identities[2]: is no name: its trust domain must be 1 to 255 of a-z, 0-9, '.', '-' and '_'",
            "spec.identities[3]: is \"*x\"; a * stands for anything, and only at the end",
            "spec.services: is empty; it must have at least one item",
        ]
    );
    assert_eq!(wrong("identities: ['*'], services: [a, '']").len(), 1);
    assert_eq!(wrong("identities: ['*']"), ["spec.services: is required"]);
    let many = vec!["a"; 257].join(", ");
    assert_eq!(
        wrong(&format!("identities: ['*'], services: [{many}]")),
        ["spec.services: has 257 items; it may have at most 256"]
    );
}
