//! Configurations that are taken, and those that are refused with the field named.

use super::*;

const WHOLE: &str = r#"{
  "version": 1, "generation": 7, "service": "checkout", "side": "client",
  "trace": {"respond": "always"},
  "report": {"cluster": "sloop_control_plane", "interval_ms": 500},
  "route_names": true,
  "scopes": [{
    "service": "payments", "route": "charge",
    "match": [{"authority": ["payments"], "method": ["POST"], "path": {"prefix": "/charge"},
               "headers": [{"name": "x-tenant", "exact": "a"}]}],
    "objectives": [
      {"id": {"slo": "payments-available", "index": 0}, "bad": {"status": [[500, 599]], "flags": 4}},
      {"id": {"slo": "payments-fast", "index": 0}, "within_us": 250000}
    ],
    "breaker": {
      "mode": "shadow", "expires_at_ms": 1700000000000,
      "limits": {"window_ms": 1000, "calls_min": 20, "failed_max": 2000, "slow_max": 5000, "slow_us": 250000,
                 "sigmas_hundredths": 300, "open_ms": 1000, "open_max_ms": 8000, "probes": 5, "ramp_ms": 2000},
      "trip": {"id": 3, "until_ms": 1700000000000}
    },
    "faults": [{"id": "exp-1", "seed": 9, "share": 1000, "abort_status": 503, "expires_at_ms": 1700000000000}]
  }],
  "optional": {"from": "the future"}
}"#;

fn refusal(json: &str) -> String {
    FilterConfig::parse(json.as_bytes())
        .unwrap_err()
        .to_string()
}

#[test]
fn a_whole_configuration_survives_writing_and_reading() {
    let config = FilterConfig::parse(WHOLE.as_bytes()).unwrap();
    let written = serde_json::to_vec(&config).unwrap();
    assert_eq!(FilterConfig::parse(&written).unwrap(), config);
}

#[test]
fn the_smallest_configuration_counts_everything_as_other() {
    let json = r#"{"version": 1, "service": "a", "side": "server"}"#;
    let config = FilterConfig::parse(json.as_bytes()).unwrap();
    assert_eq!(config.report, None);
    assert_eq!(config.trace.respond, TraceResponse::Origin);
}

#[test]
fn a_refusal_names_field_value_and_bound() {
    for (from, to, expected) in [
        (
            "\"version\": 1",
            "\"version\": 2",
            "version: is 2; this filter reads version 1",
        ),
        (
            "\"probes\": 5",
            "\"probes\": 0",
            "probes is 0; it must be from 1 to 1000",
        ),
        (
            "\"share\": 1000",
            "\"share\": 10001",
            "share is 10001 ten-thousandths; it must be at most 10000",
        ),
        (
            "\"interval_ms\": 500",
            "\"interval_ms\": 99",
            "report.interval_ms: is 99",
        ),
        (
            "\"path\": {\"prefix\": \"/charge\"}",
            "\"path\": {\"prefix\": \"charge\"}",
            "scopes[0].match[0]: path \"charge\"",
        ),
        ("\"route_names\"", "\"route_nams\"", "route_nams"),
        (
            "\"bad\": {\"status\": [[500, 599]], \"flags\": 4}",
            "\"bad\": {}",
            "scopes[0].objectives[0].bad: ",
        ),
    ] {
        let error = refusal(&WHOLE.replace(from, to));
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_nested_refusal_has_its_path() {
    let error = refusal(&WHOLE.replace("\"abort_status\": 503", "\"abort_status\": 199"));
    assert!(error.starts_with("scopes[0].faults[0]: "), "{error}");
}

#[test]
fn the_same_scope_twice_is_refused() {
    let scope = r#"{"service": "a", "route": "r"}"#;
    let json = format!(
        r#"{{"version": 1, "service": "a", "side": "server", "scopes": [{scope}, {scope}]}}"#
    );
    assert_eq!(refusal(&json), "scopes[1]: a r is there already");
}

#[test]
fn lists_have_a_maximum() {
    let scopes = |count: usize| {
        let all: Vec<String> = (0..count)
            .map(|route| format!(r#"{{"service": "a", "route": "r{route}"}}"#))
            .collect();
        format!(
            r#"{{"version": 1, "service": "a", "side": "server", "scopes": [{}]}}"#,
            all.join(",")
        )
    };
    assert!(FilterConfig::parse(scopes(1_024).as_bytes()).is_ok());
    assert_eq!(
        refusal(&scopes(1_025)),
        "scopes: has 1025 entries; it may have at most 1024"
    );
}

#[test]
fn rubbish_is_refused_and_not_read_past() {
    for json in ["", "null", "[]", "{", "\u{0}", "{\"version\":1}"] {
        assert!(FilterConfig::parse(json.as_bytes()).is_err(), "{json:?}");
    }
    let trailing = format!("{WHOLE} x");
    assert!(FilterConfig::parse(trailing.as_bytes()).is_err());
}
