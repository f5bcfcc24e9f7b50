//! Configurations that are taken, and those that are refused with the field named.

use super::*;

/// Every field, and every way to write it that excludes no other. `tests/schema` reads it, too.
const WHOLE: &str = include_str!("tests/whole.json");

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
    assert_eq!(config.trace.respond, None);
    assert_eq!(config.asks_for_answers(), None);
}

#[test]
fn what_needs_more_than_the_headers_of_requests_is_named() {
    let asks = |trace: &str, faults: &str| {
        let json = format!(
            r#"{{"version": 1, "service": "a", "side": "server", "trace": {{{trace}}}, "scopes": [
                {{"service": "a", "route": "b"}},
                {{"service": "a", "route": "c", "faults": [
                    {{"id": "d", "share": 1, "abort_status": 500, "expires_at_ms": 1}}{faults}]}}]}}"#
        );
        FilterConfig::parse(json.as_bytes())
            .unwrap()
            .asks_for_answers()
    };
    let fault = |what: &str| format!(r#", {{"id": "e", "share": 1, "expires_at_ms": 1, {what}}}"#);
    assert_eq!(asks("", ""), None);
    assert_eq!(asks(r#""respond": "never""#, ""), None);
    for respond in ["origin", "always"] {
        let trace = format!(r#""respond": "{respond}""#);
        assert_eq!(asks(&trace, "").as_deref(), Some("trace.respond"));
    }
    assert_eq!(asks("", &fault(r#""headers": {"remove": ["x"]}"#)), None);
    assert_eq!(
        asks("", &fault(r#""body": {"corrupt": 1}"#)).as_deref(),
        Some("scopes[1].faults[1].body")
    );
    assert_eq!(
        asks(
            "",
            &fault(r#""side_of_exchange": "response", "delay_ms": 1"#)
        )
        .as_deref(),
        Some("scopes[1].faults[1].side_of_exchange")
    );
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
        (
            "\"name\": \"user-agent\", \"prefix\"",
            "\"name\": \"user-agent\", \"exact\": \"shop\", \"prefix\"",
            "scopes[0].match[0]: a header has exact and prefix; it may have one of them",
        ),
        (
            "\"limit_ms\": 3000",
            "\"limit_ms\": 600001",
            "scopes[0].deadline.limit_ms: limit_ms is 600001; it must be from 1 to 600000",
        ),
        ("\"route_names\"", "\"route_nams\"", "route_nams"),
        (
            "\"bad\": {\"status\": [[500, 599]], \"flags\": 4}",
            "\"bad\": {}",
            "scopes[0].objectives[0].bad: ",
        ),
        (
            "{\"method\": [\"POST\"], \"caller\": [\"shop\"], \"origin\": [\"app\", \"web\"]}",
            "{\"caller\": []}",
            "scopes[0].objectives[2].only: the selector has no condition; give at least one",
        ),
        (
            "\"caller\": [\"shop\"], \"origin\"",
            "\"caller\": [\"shop \"], \"origin\"",
            "scopes[0].objectives[2].only.caller[0]: it must have 1 to 256 bytes of visible ASCII",
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
fn what_overrules_a_breaker_must_say_until_when() {
    let json = |mode: &str, expiry: &str| {
        format!(
            r#"{{"version": 1, "service": "a", "side": "server", "scopes": [{{"service": "a", "route": "b"}},
                {{"service": "a", "route": "c", "breaker": {{"mode": "{mode}"{expiry}, "limits": {{"window_ms": 1000,
                  "calls_min": 1, "failed_max": 1, "open_ms": 10, "open_max_ms": 10, "probes": 1}}}}}}]}}"#
        )
    };
    for mode in ["enforce", "shadow", "metrics_only"] {
        assert!(
            FilterConfig::parse(json(mode, "").as_bytes()).is_ok(),
            "{mode}"
        );
    }
    for mode in ["disabled", "forced_open"] {
        assert_eq!(
            refusal(&json(mode, "")),
            format!("scopes[1].breaker.expires_at_ms: is missing; {mode} must end by itself")
        );
        let ending = json(mode, r#", "expires_at_ms": 1"#);
        assert!(FilterConfig::parse(ending.as_bytes()).is_ok(), "{mode}");
    }
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
fn an_objective_is_there_once_on_each_scope() {
    let scope = |route: &str, objectives: &[(&str, u32)]| {
        let objectives: Vec<String> = objectives
            .iter()
            .map(|(slo, index)| format!(r#"{{"id": {{"slo": "{slo}", "index": {index}}}}}"#))
            .collect();
        format!(
            r#"{{"service": "a", "route": "{route}", "objectives": [{}]}}"#,
            objectives.join(",")
        )
    };
    let json = |second: &[(&str, u32)]| {
        let scopes = [scope("r", &[("s", 0), ("s", 1)]), scope("q", second)].join(",");
        format!(r#"{{"version": 1, "service": "a", "side": "server", "scopes": [{scopes}]}}"#)
    };
    assert!(FilterConfig::parse(json(&[("s", 0), ("t", 0), ("s", 1)]).as_bytes()).is_ok());
    assert_eq!(
        refusal(&json(&[("s", 0), ("t", 0), ("s", 1), ("t", 0)])),
        "scopes[1].objectives[3].id: t 0 is that of scopes[1].objectives[1], too"
    );
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

/// Every value in `json`, by its pointer.
fn pointers(json: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let items = json.as_array().into_iter().flatten().enumerate();
    let items = items.map(|(index, item)| (index.to_string(), item));
    let members = json.as_object().into_iter().flatten();
    let members = members.map(|(name, value)| (name.clone(), value));
    let children: Vec<_> = items.chain(members).collect();
    for (name, child) in children {
        pointers(child, &format!("{at}/{name}"), found);
    }
}

/// Serde's derived readers are what the JSON Schema and the control plane's documents go by.
#[test]
fn both_readers_read_the_same() {
    let whole: serde_json::Value = serde_json::from_str(WHOLE).unwrap();
    let mut all = Vec::new();
    pointers(&whole, "", &mut all);
    assert!(60 < all.len(), "{}", all.len());
    let (mut taken, mut refused) = (0, 0);
    for pointer in all {
        for instead in [
            "null",
            "-1",
            "0",
            "1.5",
            "70000",
            "\"a\"",
            "\"server\"",
            "[]",
            "{}",
            "[1, 2]",
            "true",
        ] {
            let mut changed = whole.clone();
            *changed.pointer_mut(&pointer).unwrap() = serde_json::from_str(instead).unwrap();
            let text = changed.to_string();
            let ours = json::read::<FilterConfig>(&Json::parse(text.as_bytes()).unwrap());
            let serdes = serde_json::from_str::<FilterConfig>(&text);
            match (&ours, &serdes) {
                (Ok(ours), Ok(serdes)) => {
                    assert_eq!(ours, serdes, "{pointer} is {instead}");
                    taken += 1;
                }
                (Err(_), Err(_)) => refused += 1,
                // Serde also takes a list for an object with so many fields; we do not.
                (Err(_), Ok(_)) if instead.starts_with('[') => refused += 1,
                (Ok(_), Err(_)) | (Err(_), Ok(_)) => {
                    panic!("{pointer} is {instead}: {ours:?}, {serdes:?}")
                }
            }
        }
    }
    assert!(50 < taken && 300 < refused, "{taken} {refused}");
}

#[test]
fn spans_whose_ids_nobody_is_told_are_refused() {
    let json = |owner: &str| {
        format!(
            r#"{{"version": 1, "service": "a", "side": "server", "spans": {{"cluster": "otel"}},
                "trace": {{"context": {{"owner": "{owner}"}}}}}}"#
        )
    };
    assert!(FilterConfig::parse(json("sloop").as_bytes()).is_ok());
    let error = FilterConfig::parse(json("envoy").as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "spans: need trace.context.owner to be sloop; with envoy nobody is told the ids of these spans"
    );
}
