//! `controlplane/documents.schema.json` is what the program prints, and never refuses what it takes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]
#![allow(clippy::print_stdout, reason = "says what was compared")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Map, Value};
use sloop_controlplane::documents::tree::{self, Node};
use sloop_controlplane::documents::{json_schema, read_texts};
use sloop_model::WallTime;

/// 2026-01-01.
const NOW: WallTime = WallTime::from_millis(1_767_225_600_000);

const CHECKED_IN: &str = include_str!("../documents.schema.json");

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(CHECKED_IN).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
});

#[test]
fn the_file_is_what_the_program_prints() {
    assert!(
        CHECKED_IN == json_schema(),
        "controlplane/documents.schema.json is out of date; run `cargo xtask schema`"
    );
    let schema: Value = serde_json::from_str(CHECKED_IN).unwrap();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
}

/// A value as a reader of JSON would have it.
fn json(node: &Node) -> Value {
    match &node.value {
        tree::Value::Null => Value::Null,
        tree::Value::Bool(value) => (*value).into(),
        tree::Value::Integer(value) => (*value).into(),
        tree::Value::Float(value) => (*value).into(),
        tree::Value::Text(text) => text.as_str().into(),
        tree::Value::List(items) => items.iter().map(json).collect(),
        tree::Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|entry| (entry.key.clone(), json(&entry.node)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// What the schema says against the documents of `text`; nothing when it takes all of them, and
/// what cannot be read at all is not its business.
fn refusal(text: &str) -> Option<String> {
    let documents = tree::parse(text).ok()?;
    documents.iter().find_map(|(_, node)| {
        let error = VALIDATOR
            .validate(&json(node))
            .map_err(|error| format!("{}: {error}", error.instance_path()));
        error.err()
    })
}

/// What the program says against it.
fn problem(text: &str) -> Option<String> {
    let loaded = read_texts(&[("a.yaml".to_owned(), text.to_owned())], NOW);
    loaded.problems.first().map(ToString::to_string)
}

/// All that the page for people shows.
#[test]
fn the_documents_of_the_readme_are_taken() {
    let readme = include_str!("../README.md");
    let examples: Vec<&str> = readme
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .filter(|text| text.contains("apiVersion"))
        .collect();
    assert!(2 <= examples.len());
    for example in examples {
        assert_eq!(problem(example), None, "{example}");
        assert_eq!(refusal(example), None, "{example}");
    }
}

#[test]
fn what_an_editor_can_see_is_refused() {
    let slo = "{apiVersion: openslo/v1, kind: SLO, metadata: {name: a}, spec: {service: s, \
               budgetingMethod: Occurrences, timeWindow: [{duration: 28d, isRolling: true}], \
               indicatorRef: i, objectives: [{target: 0.99}]}}";
    assert_eq!(refusal(slo), None);
    for (right, wrong) in [
        ("kind: SLO", "kind: SLOs"),
        ("openslo/v1", "openslo/v2"),
        ("name: a", "name: A"),
        ("service: s, ", ""),
        ("target: 0.99", "target: 1"),
        ("target: 0.99", "tagret: 0.99"),
        ("28d", "28 days"),
        ("Occurrences", "Occurences"),
        ("[{duration: 28d, isRolling: true}]", "[]"),
    ] {
        let changed = slo.replace(right, wrong);
        assert!(problem(&changed).is_some(), "{changed}");
        assert!(refusal(&changed).is_some(), "{changed}");
    }
    let breaker = "{apiVersion: sloop.dev/v1, kind: CircuitBreaker, metadata: {name: b}, spec: {service: s, \
                   limits: {window_ms: 1000, calls_min: 20, failed_max: 12.5%, open_ms: 500, open_max_ms: 10000, probes: 5}}}";
    assert_eq!(refusal(breaker), None);
    assert!(refusal(&breaker.replace("1000,", "50,")).is_some());
    assert!(refusal(&breaker.replace("limits", "limit")).is_some());
}

/// What a document of each kind may say, in as many ways as there are.
const OF_EACH_KIND: &str = r#"
- {apiVersion: sloop.dev/v1, kind: LoadShedding, metadata: {name: a}, spec: {service: s}}
- {apiVersion: sloop.dev/v1, kind: LoadShedding, metadata: {name: b}, spec: {service: s, route: r, side: client, mode: shadow,
   limits: {slow_us: 2000000, slow_max: 5%, share_max: 50%, floor: null, class_max: {critical_plus: 0%}}}}
- {apiVersion: sloop.dev/v1, kind: LoadShedding, metadata: {name: b2}, spec: {service: s, retries: {share: 5%, least: 1}}}
- {apiVersion: sloop.dev/v1, kind: DenyRule, metadata: {name: c}, spec: {service: s, rule: {caller: x, status: 429, share_max: 20%,
   match: {method: [POST], path: {prefix: /a}}, expires_at: "2026-12-01T12:00:00Z"}}}
- {apiVersion: sloop.dev/v1, kind: DenyRule, metadata: {name: d}, spec: {service: s, rule: {id: i, caller: x, expires_at_ms: 1793534400000}}}
- {apiVersion: sloop.dev/v1, kind: FilterSettings, metadata: {name: e}, spec: {stats: {enabled: true}}}
- {apiVersion: sloop.dev/v1, kind: FilterSettings, metadata: {name: f}, spec: {service: s, side: server, respond: always,
   context: {deadlines: enforce, join: {entries: 1024}}, spans: {cluster: c, sampling: 12.5%},
   dimensions: {caller: {xfcc: true}, origin: {baggage: o}, values_max: 16}, stats: {enabled: true, metrics_max: null},
   health_checks: [{headers: [{name: user-agent, prefix: kube-probe/}]}, {path: {exact: /healthz}, headers: null}]}}
- {apiVersion: sloop.dev/v1, kind: FaultInjection, metadata: {name: g}, spec: {service: s, fault: {share: 5%, control: 5%,
   delay: {quantiles: [["50%", 10], [9900, 200]]}, criticality: [sheddable], expires_at: "2026-12-01T12:00:00Z"}}}
- {apiVersion: sloop.dev/v1, kind: CircuitBreaker, metadata: {name: h}, spec: {service: s, mode: metrics_only, limits: {window_calls: 100,
   calls_min: 20, failed_max: 50%, slow_max: 80%, slow_us: 2000000, open_ms: 500, open_max_ms: 10000, probes: 5, manner: {}}}}
- {apiVersion: sloop.dev/v1, kind: ChaosExperiment, metadata: {name: i}, spec: {hypothesis: [{slo: p, tolerance: 1%}],
   targets: [{service: s, route: r}], faults: [{share: 5%, abort_status: 503}], duration: 10m, budget: 50%,
   abort: {burning: page, bad: 5%}, ends: at_its_time, seed: 7,
   schedule: {days: [mon, fri], from: "09:30", to: "16:00", zone: Europe/Paris}}}
- {apiVersion: sloop.dev/v1, kind: ChaosExperiment, metadata: {name: j}, spec: {hypothesis: [{slo: p}], targets: [{service: s}],
   faults: [{share: 5%, delay_ms: 100}], duration: 90s, budget: 100, schedule: {at: ["2026-12-01T12:00:00Z"]}}}
- {apiVersion: sloop.dev/v1, kind: ChaosExperiment, metadata: {name: k}, spec: {hypothesis: [{slo: p}], targets: [{service: s}],
   faults: [{share: 5%, delay_ms: 100}], duration: 90s, budget: 1%, schedule: once, control: null}}
- {apiVersion: sloop.dev/v1, kind: EnvoyResource, metadata: {name: l}, spec: {selector: {clusters: [edge], metadata: {tier: 1}, locality: {zone: a}},
   resource: {"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster, name: x, type: STATIC}}}
- {apiVersion: sloop.dev/v1, kind: AccessRule, metadata: {name: n}, spec: {identities: ["spiffe://example.org/shop"], services: [shop], calls: [a]}}
- {apiVersion: sloop.dev/v1, kind: RouteSet, metadata: {name: m}, spec: {service: s, routes: [{name: r, match: [{path: {exact: /a}}]}]}}
"#;

#[test]
fn whatever_a_kind_may_say_is_taken() {
    assert_eq!(problem(OF_EACH_KIND), None);
    let documents = tree::parse(OF_EACH_KIND).unwrap();
    let Value::Array(documents) = json(&documents[0].1) else {
        panic!("a list");
    };
    for document in documents {
        let refusal = VALIDATOR.validate(&document).err();
        let refusal = refusal.map(|error| format!("{}: {error}", error.instance_path()));
        assert_eq!(refusal, None, "{document}");
        // Whatever is in it, a slip is seen.
        let mut slip = document.clone();
        slip["spec"]["slip"] = 1.into();
        assert!(!VALIDATOR.is_valid(&slip), "{slip}");
    }
}

#[test]
fn a_slip_deep_inside_of_a_kind_is_seen() {
    for (right, wrong) in [
        ("share_max: 50%", "share_max: 50 percent"),
        ("least: 1", "least: 0"),
        ("mode: shadow", "mode: shade"),
        ("status: 429", "status: 200"),
        ("deadlines: enforce", "deadline: enforce"),
        ("{xfcc: true}", "{xfcc: false}"),
        ("[sheddable]", "[shedable]"),
        ("abort_status: 503", "abort_status: 1000"),
        ("duration: 10m", "duration: 10 minutes"),
        ("days: [mon, fri]", "days: [monday]"),
        ("burning: page", "burning: pages"),
        ("v3.Cluster", "v3.Clusters"),
        (", expires_at_ms: 1793534400000", ""),
    ] {
        let changed = OF_EACH_KIND.replace(right, wrong);
        assert!(problem(&changed).is_some(), "{wrong}");
        assert!(refusal(&changed).is_some(), "{wrong}");
    }
}

/// The cases of OpenSLO's Go SDK, where the folder is there: whatever the program takes, the schema does.
#[test]
fn nothing_that_is_taken_is_refused() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = std::env::var_os("SLOOP_CONFORMANCE")
        .map_or_else(|| workspace.join("../shared/conformance"), PathBuf::from);
    let file = folder.join("openslo/cases.jsonl");
    let Ok(text) = std::fs::read_to_string(&file) else {
        let _seen = writeln!(
            std::io::stderr(),
            "SKIPPED: no {}; set SLOOP_CONFORMANCE",
            file.display()
        );
        return;
    };
    let (mut taken, mut caught, mut invalid) = (0, 0, 0);
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let yaml = case["yaml"].as_str().unwrap();
        match (problem(yaml), refusal(yaml)) {
            (None, refusal) => {
                taken += 1;
                assert_eq!(refusal, None, "{}", case["id"]);
            }
            (Some(_), refusal) => {
                invalid += 1;
                caught += usize::from(refusal.is_some());
            }
        }
    }
    println!("{taken} taken by both; of {invalid} that are refused the schema sees {caught}");
    assert!(invalid / 2 < caught, "{caught} of {invalid}");
}
