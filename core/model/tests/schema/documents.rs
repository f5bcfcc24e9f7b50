//! What people copy from, and what they write wrongly.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sloop_model::FilterConfig;

use crate::{SCHEMA, WHOLE, parsed, refusal, yaml};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What stands between fences in the filter's README.
fn fenced(language: &str) -> Vec<String> {
    let readme = fs::read_to_string(root().join("filter/README.md")).unwrap();
    let fence = format!("```{language}\n");
    let blocks = readme.split(&fence).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// Every file with YAML below `envoy-configs`.
fn envoy_configs() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("envoy-configs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "yaml") {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

/// The configurations in a document for Envoy or Istio: texts in JSON, and what is below `pluginConfig`.
fn configurations(document: &Value, found: &mut Vec<Value>) {
    match document {
        Value::String(text) => {
            let json = serde_json::from_str::<Value>(text);
            found.extend(json.ok().filter(|json| json.get("version").is_some()));
        }
        Value::Array(items) => items.iter().for_each(|item| configurations(item, found)),
        Value::Object(members) => {
            found.extend(members.get("pluginConfig").cloned());
            members
                .values()
                .for_each(|member| configurations(member, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn all_in(texts: &[String]) -> Vec<Value> {
    let mut found = Vec::new();
    for document in texts.iter().flat_map(|text| yaml::documents(text)) {
        configurations(&document, &mut found);
    }
    found
}

/// Both the schema and the filter take them.
fn are_taken(configs: &[Value]) {
    for config in configs {
        assert_eq!(refusal(config), None, "{config}");
        if let Err(error) = FilterConfig::parse(config.to_string().as_bytes()) {
            panic!("{error} in {config}");
        }
    }
}

/// The names of fields that a schema has, at any depth.
fn fields(schema: &Value, found: &mut BTreeSet<String>) {
    if let Some(own) = schema.get("properties").and_then(Value::as_object) {
        found.extend(own.keys().cloned());
    }
    match schema {
        Value::Array(items) => items.iter().for_each(|item| fields(item, found)),
        Value::Object(members) => members.values().for_each(|member| fields(member, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The names of fields that a configuration gives.
fn given(config: &Value, found: &mut BTreeSet<String>) {
    match config {
        Value::Array(items) => items.iter().for_each(|item| given(item, found)),
        Value::Object(members) => {
            found.extend(members.keys().cloned());
            members.values().for_each(|member| given(member, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_field_that_there_is_is_in_an_example_of_the_readme() {
    let (mut known, mut shown) = (BTreeSet::new(), BTreeSet::new());
    fields(&SCHEMA, &mut known);
    for example in fenced("json") {
        given(&parsed(&example), &mut shown);
    }
    assert!(80 < known.len(), "{known:?}");
    let missing: Vec<_> = known.difference(&shown).collect();
    assert!(missing.is_empty(), "nobody is shown {missing:?}");
}

/// A fuzzer without a word does not come to what is behind it.
#[test]
fn the_fuzzers_dictionary_has_every_field() {
    let dictionary = root().join("fuzz/dictionaries/config.dict");
    let dictionary = fs::read_to_string(dictionary).unwrap();
    let mut there_are = BTreeSet::new();
    fields(&SCHEMA, &mut there_are);
    let is_missing = |field: &String| !dictionary.contains(&format!("\"\\x22{field}\\x22\"\n"));
    let missing: Vec<String> = there_are.into_iter().filter(is_missing).collect();
    assert!(
        missing.is_empty(),
        "{missing:?} are not in fuzz/dictionaries/config.dict"
    );
}

#[test]
fn every_example_of_the_readme_is_taken() {
    let examples: Vec<Value> = fenced("json").iter().map(|json| parsed(json)).collect();
    assert!(7 <= examples.len(), "one per feature");
    are_taken(&examples);
    let inside = all_in(&fenced("yaml"));
    assert_eq!(inside.len(), 1, "the one that shows how to load the filter");
    are_taken(&inside);
}

#[test]
fn every_example_for_envoy_and_istio_is_taken() {
    let files = envoy_configs();
    let examples = all_in(&files);
    let written = |file: &String| {
        file.matches("version\": 1,").count() + file.matches("version: 1\n").count()
    };
    assert_eq!(examples.len(), files.iter().map(written).sum::<usize>());
    assert!(7 <= examples.len(), "{}", examples.len());
    are_taken(&examples);
}

#[test]
fn the_whole_and_the_smallest_are_taken() {
    are_taken(&[
        parsed(WHOLE),
        parsed(r#"{"version": 1, "service": "a", "side": "server"}"#),
    ]);
}

/// (what stands in the whole configuration, what stands there instead)
const REFUSED: [(&str, &str); 40] = [
    // Unknown fields, at every depth.
    (r#""route_names""#, r#""route_nams""#),
    (r#""respond""#, r#""responds""#),
    (r#""entries""#, r#""entry""#),
    (r#""interval_ms": 500"#, r#""interval_s": 1"#),
    (r#""window_buckets""#, r#""buckets""#),
    (r#""wake""#, r#""woken""#),
    (r#""critical_plus": 0"#, r#""most": 0"#),
    (r#""corrupt""#, r#""corrupted""#),
    (r#""mean_ms""#, r#""mean""#),
    (r#"{"prefix": "/admin"}"#, r#"{"begins": "/admin"}"#),
    // Fields that must be there.
    (r#""version": 1, "#, ""),
    (r#""service": "payments", "#, ""),
    (r#""share": 1000, "#, ""),
    (r#""cluster": "otel", "#, ""),
    // Another version is for another reader.
    (r#""version": 1"#, r#""version": 2"#),
    // Wrong kinds of values.
    (r#""generation": 7"#, r#""generation": "7""#),
    (r#""generation": 7"#, r#""generation": 7.5"#),
    (r#""generation": 7"#, r#""generation": -1"#),
    (r#""route_names": true"#, r#""route_names": 1"#),
    (r#""route_names": true"#, r#""route_names": null"#),
    (r#""service": "checkout""#, r#""service": ["checkout"]"#),
    (r#"{"from": "the future"}"#, r#""the future""#),
    (r#"{"header": "x-caller"}"#, r#"{"xfcc": false}"#),
    // Words that nobody knows.
    (r#""side": "server""#, r#""side": "egress""#),
    (r#""b3": "multi""#, r#""b3": "double""#),
    (
        r#""mode": "shadow", "match""#,
        r#""mode": "metrics_only", "match""#,
    ),
    (r#""sampled_flag": "decided""#, r#""sampled_flag": "never""#),
    (
        r#""criticality": "sheddable_plus""#,
        r#""criticality": "high""#,
    ),
    // Numbers beyond their bounds.
    (r#""interval_ms": 500"#, r#""interval_ms": 99"#),
    (r#""queue_max": 60"#, r#""queue_max": 4097"#),
    (r#""values_max": 8"#, r#""values_max": 65"#),
    (r#""metrics_max": 100"#, r#""metrics_max": 15"#),
    (r#""status": 404"#, r#""status": 399"#),
    (r#"[[500, 599]]"#, r#"[[500, 600]]"#),
    (r#""floor": 200"#, r#""floor": 9"#),
    (r#""share": 1000"#, r#""share": 10001"#),
    (r#""shape": 1.5"#, r#""shape": 0.4"#),
    // Texts that no name, path or header can be.
    (r#""service": "checkout""#, r#""service": """#),
    (r#"{"prefix": "/charge"}"#, r#"{"prefix": "charge"}"#),
    (r#""name": "x-tenant""#, r#""name": "X-Tenant""#),
];

#[test]
fn what_the_filter_refuses_is_refused() {
    for (from, to) in REFUSED {
        assert!(WHOLE.contains(from), "{from}");
        let text = WHOLE.replacen(from, to, 1);
        let error = FilterConfig::parse(text.as_bytes());
        assert!(error.is_err(), "the filter takes {to}");
        assert!(refusal(&parsed(&text)).is_some(), "the schema takes {to}");
    }
}
