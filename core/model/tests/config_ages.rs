//! Filters and control planes are never upgraded at once: each reads what the other wrote.
//!
//! `data/first-*.json` are configurations as the first writers of version 1 wrote
//! them. They stay as they are; a reader for which one of them means something
//! else needs another version.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};
use sloop_model::{BreakerWindow, FilterConfig};

/// A configuration with every field that there is.
const WHOLE: &str = include_str!("../src/config/tests/whole.json");

const FIRST: [(&str, &str); 3] = [
    ("routes", include_str!("data/first-routes.json")),
    ("objectives", include_str!("data/first-objectives.json")),
    (
        "control plane",
        include_str!("data/first-control-plane.json"),
    ),
];

fn parse(config: &Value) -> Result<FilterConfig, String> {
    FilterConfig::parse(config.to_string().as_bytes()).map_err(|error| error.to_string())
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Adds to each object of a list what is not there.
fn say(list: &mut Value, more: &Value) {
    for item in list.as_array_mut().into_iter().flatten() {
        for (name, value) in more.as_object().unwrap() {
            item.as_object_mut()
                .unwrap()
                .entry(name)
                .or_insert(value.clone());
        }
    }
}

/// Says in today's words what the first writers could not say, and meant.
fn in_todays_words(mut config: Value) -> Value {
    config["trace"]["context"] = json!({"owner": "sloop", "b3": "none", "member": "trust", "deadlines": "ignore", "join": null});
    config["spans"] = json!(null);
    config["dimensions"] = json!(null);
    config["stats"] = json!({"enabled": false});
    config["deny"] = json!([]);
    config["optional"] = json!({});
    let scopes = &mut config["scopes"];
    say(
        scopes,
        &json!({"criticality": null, "spared": false, "deny": [], "shed": null, "deadline": null, "retries": null}),
    );
    for scope in scopes.as_array_mut().unwrap() {
        if let Some(breaker) = scope.get_mut("breaker") {
            breaker["limits"]["window_calls"] = json!(null);
            breaker["limits"]["manner"] = json!({"threshold": "exceeded", "verdict": "first_failure",
                "late": "ignored", "wake": "on_time", "lost": "replaced", "pace": "time", "judge": "outcomes"});
        }
        if let Some(faults) = scope.get_mut("faults") {
            let plain = json!({"control": 0, "match": null, "caller": [], "criticality": [], "sidecars": 10_000,
                "side_of_exchange": "request", "delay": null, "abort_grpc_status": null, "reset": false, "body": null,
                "headers": {}, "by_header": false, "active_max": null, "active_share_max": null});
            say(faults, &plain);
        }
    }
    config
}

#[test]
fn what_the_first_writers_wrote_is_taken_and_means_the_same() {
    for (name, text) in FIRST {
        let config = FilterConfig::parse(text.as_bytes());
        let config = config.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            Ok(&config),
            parse(&in_todays_words(json(text))).as_ref(),
            "{name}"
        );
    }
}

#[test]
fn a_window_is_still_cut_into_ten_parts() {
    let (_, text) = FIRST[2];
    let config = FilterConfig::parse(text.as_bytes()).unwrap();
    let breaker = config.scopes[0].breaker.unwrap();
    let BreakerWindow::Time { length, buckets } = breaker.limits.window() else {
        panic!("{:?}", breaker.limits.window());
    };
    assert_eq!((length.as_millis(), buckets), (1_000, 10));
}

/// The first reader refuses every field that it does not know, so nothing is written that was not asked for.
#[test]
fn what_says_nothing_new_is_written_as_the_first_reader_knows_it() {
    for (name, text) in FIRST {
        let written = serde_json::to_value(FilterConfig::parse(text.as_bytes()).unwrap()).unwrap();
        let mut known = Vec::new();
        for (_, text) in FIRST {
            names(&json(text), &mut known);
        }
        let mut used = Vec::new();
        names(&written, &mut used);
        used.retain(|name| !known.contains(name));
        assert!(used.is_empty(), "{name}: {used:?}");
    }
}

/// The names of all fields.
fn names(value: &Value, found: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        found.push(name.clone());
        names(member, found);
    }
    let items = value.as_array().into_iter().flatten();
    items.for_each(|item| names(item, found));
}

/// Every object in `value`: its pointer, and how a refusal names it.
fn objects(value: &Value, pointer: &str, path: &str, found: &mut Vec<(String, String)>) {
    let joint = if path.is_empty() { "" } else { "." };
    if let Some(members) = value.as_object() {
        found.push((pointer.to_owned(), path.to_owned()));
        for (name, member) in members {
            objects(
                member,
                &format!("{pointer}/{name}"),
                &format!("{path}{joint}{name}"),
                found,
            );
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        objects(
            item,
            &format!("{pointer}/{index}"),
            &format!("{path}[{index}]"),
            found,
        );
    }
}

#[test]
fn a_field_of_a_newer_writer_is_refused_and_named_wherever_it_is() {
    let whole = json(WHOLE);
    let mut all = Vec::new();
    objects(&whole, "", "", &mut all);
    all.retain(|(pointer, _)| pointer != "/optional");
    assert!(35 < all.len(), "{}", all.len());
    for (pointer, path) in all {
        // Only the outermost object has a place where nothing is an error.
        for name in ["newer", "optional"] {
            let mut changed = whole.clone();
            let object = changed.pointer_mut(&pointer).unwrap();
            if pointer.is_empty() && name == "optional" {
                continue;
            }
            object[name] = json!({"from": "the future"});
            let mut expected = path.clone();
            let joint = if path.is_empty() { "" } else { ": " };
            write!(expected, "{joint}has an unknown field {name:?}; known are ").unwrap();
            let error = parse(&changed).unwrap_err();
            assert!(error.starts_with(&expected), "{error}, not {expected}");
        }
    }
}

#[test]
fn another_version_is_refused_as_such_whatever_else_is_new() {
    for version in [0, 2, u32::MAX] {
        let mut newer = json(WHOLE);
        newer["version"] = json!(version);
        let expected = format!("version: is {version}; this filter reads version 1");
        assert_eq!(parse(&newer).unwrap_err(), expected);
        newer["service"] = json!({"name": "shop", "namespace": "prod"});
        newer["newer"] = json!(1);
        assert_eq!(parse(&newer).unwrap_err(), expected);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_a_newer_writer_puts_below_optional_changes_nothing(
        more in prop::collection::btree_map("[a-z_]{1,8}", any_json(), 0..4),
    ) {
        let without = FilterConfig::parse(WHOLE.as_bytes()).unwrap();
        let mut with = json(WHOLE);
        with["optional"] = more.into_iter().collect();
        prop_assert_eq!(parse(&with), Ok(without));
    }
}
