//! What is for Envoy in each file in `envoy-configs/` is loaded by the real one and works.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::StatusCode;
use sloop_controlplane::ads::Variant;
use sloop_controlplane::bootstrap::{Bootstrap, Inbound, IstioManifests, Outbound, RuntimeLayer};
use sloop_controlplane::documents::tree::{self, Node, Value};
use sloop_integration::envoy::{Caller, Envoy, Upstream};
use sloop_integration::eventually::eventually;
use sloop_integration::{envoy, ports};
use sloop_model::{BreakerMode, FilterConfig, ServiceName, Side};
use support::collector::Collector;
use support::control::{Control, expiry};
use support::istio::{APP, IstioSidecar, SERVICE};
use support::{Plane, SOON, config, module};

/// Every example, each of which has tests below.
const TESTED: [&str; 8] = [
    "control-plane.yaml",
    "istio/control-plane.yaml",
    "istio/envoyfilter.yaml",
    "istio/pod-annotations.yaml",
    "istio/runtime.yaml",
    "istio/trafficextension.yaml",
    "istio/wasmplugin.yaml",
    "static.yaml",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy-configs")
}

fn file(name: &str) -> String {
    assert!(TESTED.contains(&name), "{name} is not listed");
    std::fs::read_to_string(folder().join(name)).unwrap()
}

#[test]
fn no_example_is_without_a_test() {
    let mut found = Vec::new();
    let mut folders = vec![folder()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder()).unwrap().to_str().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if !name.ends_with(".md") {
                found.push(name.to_owned());
            }
        }
    }
    found.sort();
    assert_eq!(found, TESTED);
    let tests = include_str!("envoy_configs.rs");
    for name in found {
        let quoted = format!("\"{name}\"");
        assert!(1 < tests.matches(&quoted).count(), "no test reads {name}");
    }
}

/// Puts real places where the example has its own; each must be there.
fn placed(example: &str, places: &[(&str, String)]) -> String {
    let module = ("/etc/sloop/sloop_filter.wasm", module());
    let admin = ("port_value: 9900", "port_value: 0".to_owned());
    places
        .iter()
        .chain([&module, &admin])
        .fold(example.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from} is not in the example");
            text.replace(from, to)
        })
}

fn port(from: u16, to: SocketAddr) -> (String, String) {
    (
        format!("port_value: {from}"),
        format!("port_value: {}", to.port()),
    )
}

fn at(places: &[(u16, SocketAddr)]) -> Vec<(String, String)> {
    places.iter().map(|(from, to)| port(*from, *to)).collect()
}

fn placed_at(example: &str, places: &[(u16, SocketAddr)]) -> String {
    let places = at(places);
    let places: Vec<(&str, String)> = places
        .iter()
        .map(|(from, to)| (from.as_str(), to.clone()))
        .collect();
    placed(example, &places)
}

#[tokio::test]
async fn static_yaml_traces_and_breaks_without_a_control_plane() {
    let app = Upstream::start().await.unwrap();
    let listen = ports::free_address().unwrap();
    let config = placed_at(
        &file("static.yaml"),
        &[(10_000, listen), (8_080, app.address())],
    );
    let _envoy = Envoy::start(&config).await.unwrap();
    let caller = Caller::of(listen);

    let answer = caller.get("/pay").await.unwrap();
    assert_eq!(answer.status(), 200);
    let arrived = app.take();
    assert!(arrived[0].headers.contains_key("traceparent"));

    app.answer(StatusCode::INTERNAL_SERVER_ERROR);
    // Each worker has its own breaker; keep asking until both have seen enough.
    eventually(SOON, "the breaker refuses", async || {
        let answer = caller.get("/pay").await.unwrap();
        (answer.status() == 503 && answer.headers().contains_key("retry-after")).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(
        caller.get("/other").await.unwrap().status(),
        500,
        "no breaker there"
    );
}

/// The sidecar of `control-plane.yaml`.
fn sidecar() -> Bootstrap {
    Bootstrap {
        node: "shop-1".into(),
        service: ServiceName::try_from("shop").unwrap(),
        locality: sloop_xds::Locality::default(),
        metadata: std::collections::BTreeMap::new(),
        admin: "127.0.0.1:9900".parse().unwrap(),
        control_plane: "127.0.0.1:9901".parse().unwrap(),
        tls: None,
        variant: Variant::Delta,
        module: "/etc/sloop/sloop_filter.wasm".into(),
        report_interval_ms: 1_000,
        collector: None,
        inbound: Some(Inbound {
            listen: "127.0.0.1:10000".parse().unwrap(),
            app: "127.0.0.1:8080".parse().unwrap(),
        }),
        outbound: Some(Outbound {
            listen: "127.0.0.1:10001".parse().unwrap(),
            upstreams: vec![sloop_controlplane::bootstrap::Upstream {
                service: ServiceName::try_from("payments").unwrap(),
                authorities: vec!["payments".into()],
                address: "127.0.0.1:10010".parse().unwrap(),
            }],
        }),
    }
}

#[test]
fn control_plane_yaml_is_what_the_bootstrap_writes() {
    let example = file("control-plane.yaml");
    let (comment, rest) = example.split_at(example.find("# Envoy as a sidecar").unwrap());
    assert!(
        comment
            .lines()
            .all(|line| line.starts_with('#') || line.is_empty())
    );
    let written = sidecar().to_yaml();
    if std::env::var_os("SLOOP_WRITE_EXAMPLES").is_some() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy-configs/control-plane.yaml");
        std::fs::write(path, format!("{comment}{written}")).unwrap();
        return;
    }
    assert!(rest == written, "run this test with SLOOP_WRITE_EXAMPLES=1");
}

#[tokio::test]
async fn control_plane_yaml_counts_at_once_and_takes_pushes() {
    let app = Upstream::start().await.unwrap();
    let mut plane = Plane::start().await;
    plane.hub.open();
    let (inbound, outbound) = (
        ports::free_address().unwrap(),
        ports::free_address().unwrap(),
    );
    let config_text = placed_at(
        &file("control-plane.yaml"),
        &[
            (9_901, plane.address),
            (10_000, inbound),
            (10_001, outbound),
            (8_080, app.address()),
            (10_010, inbound),
        ],
    );
    let _envoy = Envoy::start(&config_text).await.unwrap();
    let caller = Caller::of(inbound);
    assert_eq!(caller.statuses("/", 10).await.unwrap(), [200; 10]);
    eventually(SOON, "ten requests are reported", async || {
        (plane.reports.of("other").requests == 10).then_some(())
    })
    .await
    .unwrap();
    let configs = [Side::Server, Side::Client].map(|side| config(side, 1, "[]"));
    plane.push_and_wait(&configs).await.unwrap();
    assert_eq!(caller.get("/").await.unwrap().status(), 200);
}

/// What the examples in `istio/` are printed from.
fn in_istio() -> IstioManifests {
    IstioManifests {
        app: "payments".parse().unwrap(),
        namespace: "shop".parse().unwrap(),
        control_plane: "sloop.sloop-system.svc.cluster.local:9901".parse().unwrap(),
        tls: None,
        folder: "/etc/sloop".into(),
        module: "sloop_filter.wasm".into(),
        report_interval_ms: 1_000,
    }
}

#[test]
fn istios_examples_are_what_the_program_prints() {
    let manifests = in_istio();
    for (name, written) in [
        ("istio/envoyfilter.yaml", manifests.envoy_filter().unwrap()),
        ("istio/runtime.yaml", manifests.bootstrap_override()),
        (
            "istio/pod-annotations.yaml",
            manifests.pod_annotations(RuntimeLayer::None),
        ),
    ] {
        if std::env::var_os("SLOOP_WRITE_EXAMPLES").is_some() {
            std::fs::write(folder().join(name), written).unwrap();
        } else {
            assert!(
                file(name) == written,
                "{name}: run this test with SLOOP_WRITE_EXAMPLES=1"
            );
        }
    }
}

/// Its arguments start the program in `controlplane/tests/process/commands.rs`.
#[test]
fn istios_sidecars_are_sent_where_the_control_plane_is() {
    let manifest = file("istio/control-plane.yaml");
    let service = manifest
        .split("---\n")
        .find(|document| document.contains("kind: Service\n"));
    let service = service.unwrap();
    for part in ["name: sloop\n", "namespace: sloop-system\n", "port: 9901,"] {
        assert!(service.contains(part), "{part}: {service}");
    }
    let filter = file("istio/envoyfilter.yaml");
    for part in ["sloop.sloop-system.svc.cluster.local", "port_value: 9901"] {
        assert!(filter.contains(part), "{part}: {filter}");
    }
}

#[tokio::test]
async fn istios_envoyfilter_counts_and_takes_pushes() {
    let app = Upstream::start().await.unwrap();
    let mut plane = Plane::start().await;
    plane.hub.open();
    plane.service = SERVICE;
    let manifest = file("istio/envoyfilter.yaml");
    let sidecar = IstioSidecar::start(&manifest, None, app.address(), plane.address).await;
    let statuses = sidecar.inbound.statuses("/", 10).await.unwrap();
    assert_eq!(statuses, [200; 10]);
    eventually(SOON, "ten requests are reported", async || {
        (plane.reports.of("other").requests == 10).then_some(())
    })
    .await
    .unwrap();
    let configs = [Side::Server, Side::Client].map(|side| config(side, 1, "[]"));
    plane.push_and_wait(&configs).await.unwrap();
    assert_eq!(plane.hub.nodes().len(), 2, "a stream for each filter");
}

/// How many requests the app may have at a time, if anything is said of that, and what else is declared.
fn declared(requests_max: Option<u32>, more: &str) -> String {
    let key = format!("circuit_breakers.{APP}.default.max_requests");
    let numbers = requests_max.map_or_else(String::new, |max| format!("\"{key}\": {max}"));
    format!(
        "apiVersion: sloop.dev/v1
kind: EnvoyResource
metadata: {{name: numbers}}
spec:
  selector: {{clusters: [{SERVICE}]}}
  resource: {{\"@type\": type.googleapis.com/envoy.service.runtime.v3.Runtime, name: fleet, layer: {{{numbers}}}}}
{more}"
    )
}

/// What the manifest's filter does on every request, once it is pushed.
fn refusing() -> String {
    format!(
        "---
apiVersion: sloop.dev/v1
kind: FaultInjection
metadata: {{name: none}}
spec: {{service: {SERVICE}, fault: {{share: 100%, abort_status: 418, expires_at_ms: {}}}}}
",
        expiry()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn istios_sidecars_take_runtime_numbers_beside_their_filter() {
    let app = Upstream::start().await.unwrap();
    let control = Control::start(module()).await;
    control.declare(&declared(Some(71), ""));
    let manifests = ["istio/envoyfilter.yaml", "istio/runtime.yaml"].map(file);
    let [filter, beside] = &manifests;
    let sidecar = IstioSidecar::start(filter, Some(beside), app.address(), control.grpc).await;
    let shows = async |wanted: &str| {
        let shown = format!("{APP}::default_priority::max_requests::{wanted}\n");
        let found = eventually(SOON, &shown, async || {
            let text = sidecar.envoy.get("/clusters").await.ok()?;
            text.contains(&shown).then_some(())
        });
        found.await.unwrap();
    };
    let answers = async |status: u16| {
        let what = format!("an answer is {status}");
        let answered = eventually(SOON, &what, async || {
            let answer = sidecar.inbound.get("/").await.ok()?;
            (answer.status() == status).then_some(())
        });
        answered.await.unwrap();
    };
    // What is counted when Envoy makes anything anew, of which a filter's configuration is one.
    let made = async || {
        let counts = "(lds|cds)\\.update_(success|rejected)|(listener|cluster)_(added|modified|removed)|config_reload$";
        sidecar.envoy.stats(counts).await.unwrap()
    };
    shows("71").await;
    answers(200).await;
    let layers: serde_json::Value =
        serde_json::from_str(&sidecar.envoy.get("/runtime").await.unwrap()).unwrap();
    assert_eq!(
        layers["layers"],
        serde_json::json!(["global config", "admin", "fleet"])
    );

    let before = made().await;
    control.declare(&declared(Some(72), ""));
    shows("72").await;
    control.declare(&declared(None, ""));
    shows("1024").await;
    control.declare(&declared(Some(74), ""));
    shows("74").await;
    // The document is for others, which is the same as gone.
    let elsewhere = declared(Some(74), "").replace(SERVICE, "ledger.shop");
    control.declare(&elsewhere);
    shows("1024").await;
    assert_eq!(made().await, before, "nothing was made anew");

    control.declare(&declared(Some(73), &refusing()));
    shows("73").await;
    answers(418).await;
    control.declare(&declared(Some(73), ""));
    answers(200).await;
    shows("73").await;
    assert_ne!(made().await, before, "the filter was configured anew");
    let rejected = sidecar
        .envoy
        .stats("update_rejected|config_fail")
        .await
        .unwrap();
    assert!(
        rejected.iter().all(|(_, count)| *count == 0),
        "{rejected:?}"
    );
}

#[test]
fn the_runtime_annotation_names_what_istios_runtime_yaml_makes() {
    let map = document("istio/runtime.yaml");
    let name = text(&map, &["metadata", "name"]);
    let patch = in_istio().pod_annotations(RuntimeLayer::Added);
    let line = format!("        sidecar.istio.io/bootstrapOverride: \"{name}\"\n");
    assert!(patch.contains(&line), "{line} in {patch}");
    let without = in_istio().pod_annotations(RuntimeLayer::None);
    assert_eq!(patch.replace(&line, ""), without);
    let applied = in_istio().applied(RuntimeLayer::Added).unwrap();
    assert_eq!(
        applied,
        ["istio/runtime.yaml", "istio/envoyfilter.yaml"]
            .map(file)
            .join("---\n")
    );
}

/// The only document in an example.
fn document(name: &str) -> Node {
    let documents = tree::parse(&file(name)).unwrap();
    let [(_, document)] = documents.as_slice() else {
        panic!("{name} has {} documents", documents.len());
    };
    document.clone()
}

/// What stands below the keys `path`.
fn below<'a>(node: &'a Node, path: &[&str]) -> &'a Node {
    path.iter().fold(node, |node, key| {
        let Value::Map(entries) = &node.value else {
            panic!("nothing can be below {key}: {node:?}");
        };
        let entry = entries.iter().find(|entry| entry.key == *key);
        &entry.unwrap_or_else(|| panic!("no {key}")).node
    })
}

fn text<'a>(node: &'a Node, path: &[&str]) -> &'a str {
    let Value::Text(text) = &below(node, path).value else {
        panic!("{path:?} is no text");
    };
    text
}

/// As Istio does it: the manifest's values in JSON.
fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(value) => value.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), json(&entry.node)))
            .collect(),
    }
}

/// The filter of a manifest that holds its policy, in the listener of `static.yaml`: it traces and breaks.
async fn breaks_as_the_manifest_says(name: &str, plugin: &[&str]) {
    let manifest = document(name);
    let plugin = below(&manifest, plugin);
    let policy = json(below(plugin, &["pluginConfig"])).to_string();
    let parsed = FilterConfig::parse(policy.as_bytes()).unwrap();
    let breaker = parsed.scopes[0].breaker.as_ref().unwrap();
    assert_eq!(breaker.mode, BreakerMode::Enforce);
    let failures = usize::try_from(breaker.limits.limits().calls_min).unwrap();

    let app = Upstream::start().await.unwrap();
    let listen = ports::free_address().unwrap();
    let example = with_policy(&file("static.yaml"), &policy)
        .replace("sloop-inbound", text(plugin, &["pluginName"]))
        .replace("FAIL_RELOAD", text(plugin, &["failStrategy"]));
    let yaml = placed_at(&example, &[(10_000, listen), (8_080, app.address())]);
    let options = envoy::Options {
        concurrency: 1,
        ..envoy::Options::default()
    };
    let _envoy = Envoy::start_with(&yaml, options).await.unwrap();
    let caller = Caller::of(listen);

    assert_eq!(caller.get("/pay").await.unwrap().status(), 200);
    assert!(app.take()[0].headers.contains_key("traceparent"));
    app.answer(StatusCode::INTERNAL_SERVER_ERROR);
    let statuses = caller.statuses("/pay", 2 * failures).await.unwrap();
    assert_eq!(statuses[0], 500, "{statuses:?}");
    assert!(statuses.contains(&503), "{statuses:?}");
}

/// `static.yaml` with another policy.
fn with_policy(example: &str, policy: &str) -> String {
    let (head, rest) = example.split_once("                  value: |\n").unwrap();
    let (_, tail) = rest
        .split_once("          - name: envoy.filters.http.router\n")
        .unwrap();
    // A string of JSON is one of YAML.
    let value = serde_json::Value::from(policy);
    format!(
        "{head}                  value: {value}\n          - name: envoy.filters.http.router\n{tail}"
    )
}

#[tokio::test]
async fn the_policy_in_istios_trafficextension_works() {
    breaks_as_the_manifest_says("istio/trafficextension.yaml", &["spec", "wasm"]).await;
}

#[tokio::test]
async fn the_policy_in_istios_wasmplugin_works() {
    breaks_as_the_manifest_says("istio/wasmplugin.yaml", &["spec"]).await;
}

/// The block of YAML in the filter's README that begins so, at the place of what it is to be in.
fn in_readme(begin: &str, indent: &str) -> String {
    let readme = include_str!("../../filter/README.md");
    let blocks = readme.split("```yaml\n").skip(1);
    let mut blocks = blocks.filter_map(|rest| Some(rest.split_once("```")?.0));
    let block = blocks.find(|it| it.starts_with(begin));
    let block = block.unwrap_or_else(|| panic!("no block begins with {begin}"));
    block
        .lines()
        .map(|line| format!("{indent}{line}\n"))
        .collect()
}

#[tokio::test]
async fn what_the_filters_readme_says_to_load_traces_and_sends_spans() {
    let (app, collector) = (Upstream::start().await.unwrap(), Collector::start().await);
    let listen = ports::free_address().unwrap();
    let example = file("static.yaml");
    let (head, rest) = example
        .split_once("          - name: sloop-inbound\n")
        .unwrap();
    let (_, router) = rest.split_at(
        rest.find("          - name: envoy.filters.http.router")
            .unwrap(),
    );
    let filter = in_readme("- name: sloop-inbound\n", "          ");
    let cluster = in_readme("- name: otel_collector\n", "  ");
    let whole = format!("{head}{filter}{router}{cluster}");
    let places = at(&[
        // First, as another port may begin with these digits.
        (4_317, collector.address),
        (10_000, listen),
        (8_080, app.address()),
    ]);
    let mut places: Vec<(&str, String)> = places
        .iter()
        .map(|(from, to)| (from.as_str(), to.clone()))
        .collect();
    places.push(("otel-collector", "127.0.0.1".to_owned()));
    let spans = r#""side": "server", "spans": {"cluster": "otel_collector"}}"#;
    places.push((r#""side": "server"}"#, spans.to_owned()));
    let _envoy = Envoy::start(&placed(&whole, &places)).await.unwrap();

    assert_eq!(Caller::of(listen).get("/pay").await.unwrap().status(), 200);
    assert!(app.take()[0].headers.contains_key("traceparent"));
    let spans = eventually(SOON, "a span", async || {
        let spans = collector.spans();
        (!spans.is_empty()).then_some(spans)
    });
    assert_eq!(spans.await.unwrap().len(), 1);
    assert_eq!(collector.resource("service.name").unwrap(), "payments");
}

#[test]
fn the_pod_annotations_mount_the_module_where_the_envoyfilter_looks() {
    let patch = document("istio/pod-annotations.yaml");
    let annotations = below(&patch, &["spec", "template", "metadata", "annotations"]);
    let annotation =
        |name| -> serde_json::Value { serde_json::from_str(text(annotations, &[name])).unwrap() };
    let volume = &annotation("sidecar.istio.io/userVolume")[0];
    let mount = &annotation("sidecar.istio.io/userVolumeMount")[0];
    assert_eq!(volume["name"], mount["name"]);
    let path = mount["mountPath"].as_str().unwrap();

    let manifest = file("istio/envoyfilter.yaml");
    let modules: Vec<_> = manifest
        .lines()
        .filter_map(|line| line.trim().strip_prefix("filename: "))
        .map(|path| path.trim_matches('"'))
        .collect();
    // The file and the ConfigMap are made by the commands in the README beside it.
    let expected = format!("{path}/sloop_filter.wasm");
    assert_eq!(modules, [expected.as_str(); 2]);
    let readme = std::fs::read_to_string(folder().join("istio/README.md")).unwrap();
    let config_map = volume["configMap"]["name"].as_str().unwrap();
    let command = format!("create configmap {config_map} --from-file=sloop_filter.wasm");
    assert!(readme.contains(&command), "{command}");
}
