//! The schema and the filter agree on what a configuration with one change is.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sloop_model::FilterConfig;

use crate::{SCHEMA, WHOLE, parsed, refusal};

/// What the filter says of configurations that no schema can tell from good ones: how fields,
/// entries and bytes go together.
const BEYOND: [&str; 15] = [
    "a window is window_ms, with window_buckets or without, or else window_calls",
    "at most queue_max",
    "belong together",
    "delay.uniform.min_ms is",
    "deny: has",
    "entries are out of order",
    "has no condition",
    "is that of scopes",
    "is there already",
    "not be reversed",
    "open_max_ms is",
    "share and control are",
    "share_min is",
    "the fault does nothing",
    "which everything reaches",
];

/// Longer lists take longer than they are worth; the longest, of scopes, has a test of its own.
const LIST_BYTES_MAX: usize = 20_000;

/// Every value in `json`, by its pointer.
fn pointers(json: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let items = json.as_array().into_iter().flatten().enumerate();
    for (index, item) in items {
        pointers(item, &format!("{at}/{index}"), found);
    }
    for (name, value) in json.as_object().into_iter().flatten() {
        pointers(value, &format!("{at}/{name}"), found);
    }
}

/// By what the schema bounds values of one kind: each number of these two keywords, and its neighbours.
fn bounds(keywords: [&str; 2]) -> BTreeSet<u64> {
    let mut found = BTreeSet::from([0, 1, 2]);
    let mut left = vec![&*SCHEMA];
    while let Some(schema) = left.pop() {
        let bounds = keywords.map(|keyword| schema.get(keyword).and_then(Value::as_u64));
        for bound in bounds.into_iter().flatten() {
            found.extend([bound.saturating_sub(1), bound, bound.saturating_add(1)]);
        }
        match schema {
            Value::Object(members) => left.extend(members.values()),
            Value::Array(items) => left.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}

/// Numbers within and just beyond every bound of the schema, by the kind of value that they bound.
struct Bounds {
    numbers: BTreeSet<u64>,
    bytes: Vec<usize>,
    entries: Vec<usize>,
}

impl Bounds {
    fn of_schema() -> Self {
        let lengths = |keywords| {
            let bounds = bounds(keywords).into_iter();
            bounds
                .map(|bound| usize::try_from(bound).unwrap())
                .collect()
        };
        Self {
            numbers: bounds(["minimum", "maximum"]),
            bytes: lengths(["minLength", "maxLength"]),
            entries: lengths(["minItems", "maxItems"]),
        }
    }
}

/// What may stand in the place of `value`: other kinds, and its own kind at every bound.
fn instead_of(value: &Value, bounds: &Bounds) -> Vec<Value> {
    let mut all = vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0.499),
        json!(1.5),
        json!(100.001),
        json!("server"),
        json!([]),
        json!({}),
        json!([1, 2]),
        json!({"exact": "/a"}),
    ];
    match value {
        Value::Number(_) => all.extend(bounds.numbers.iter().map(|bound| json!(bound))),
        Value::String(_) => {
            let lengths = bounds.bytes.iter();
            all.extend(lengths.map(|bytes| "a".repeat(*bytes).into()));
            let texts = [
                "/", "/a b", "A", "a b", " a", "a:b", "a\nb", "\u{e9}", "\u{85}", "*",
            ];
            all.extend(texts.map(Value::from));
        }
        Value::Array(items) => {
            let first = items.first().cloned().unwrap_or_default();
            let bytes = first.to_string().len();
            let counts = bounds.entries.iter();
            let short = counts.filter(|count| *count * bytes <= LIST_BYTES_MAX);
            all.extend(short.map(|count| vec![first.clone(); *count].into()));
        }
        Value::Object(members) => {
            for name in members.keys() {
                let mut less = members.clone();
                less.remove(name);
                all.push(less.into());
            }
            let mut more = members.clone();
            more.insert("unheard_of".to_owned(), json!(1));
            all.push(more.into());
        }
        Value::Null | Value::Bool(_) => {}
    }
    all
}

#[test]
fn whatever_is_changed_both_say_the_same() {
    let whole = parsed(WHOLE);
    let bounds = Bounds::of_schema();
    let mut all = Vec::new();
    pointers(&whole, "", &mut all);
    let (mut taken, mut refused, mut beyond) = (0, 0, BTreeSet::new());
    for pointer in all {
        for instead in instead_of(whole.pointer(&pointer).unwrap(), &bounds) {
            let mut changed = whole.clone();
            *changed.pointer_mut(&pointer).unwrap() = instead;
            let filter = FilterConfig::parse(changed.to_string().as_bytes());
            let filter = filter.err().map(|error| error.to_string());
            match (filter, refusal(&changed)) {
                (None, None) => taken += 1,
                (Some(_), Some(_)) => refused += 1,
                (None, Some(schema)) => panic!("{pointer}: only the schema refuses: {schema}"),
                (Some(error), None) => {
                    let reason = BEYOND.iter().find(|reason| error.contains(*reason));
                    let reason = reason.unwrap_or_else(|| {
                        let value = changed.pointer(&pointer).unwrap();
                        panic!("{pointer} is {value}: only the filter refuses: {error}")
                    });
                    beyond.insert(*reason);
                }
            }
        }
    }
    assert!(4_000 < taken && 5_000 < refused, "{taken} {refused}");
    let unused: Vec<_> = BEYOND
        .iter()
        .filter(|one| !beyond.contains(**one))
        .collect();
    assert!(
        unused.is_empty(),
        "the schema can say this, too: {unused:?}"
    );
}

#[test]
fn both_take_as_many_scopes() {
    for (count, is_taken) in [
        (FilterConfig::SCOPES_MAX, true),
        (FilterConfig::SCOPES_MAX + 1, false),
    ] {
        let scopes: Vec<Value> = (0..count)
            .map(|route| json!({"service": "a", "route": route.to_string()}))
            .collect();
        let config = json!({"version": 1, "service": "a", "side": "server", "scopes": scopes});
        let filter = FilterConfig::parse(config.to_string().as_bytes());
        assert_eq!(filter.is_ok(), is_taken, "{count}");
        assert_eq!(refusal(&config).is_none(), is_taken, "{count}");
    }
}
