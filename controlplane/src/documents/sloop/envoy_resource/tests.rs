use sloop_model::WallTime;
use sloop_xds::fleet::{Condition, Declared};
use sloop_xds::{Kind, Version};

use crate::documents::{Loaded, read_texts};

fn load(documents: &[&str]) -> Loaded {
    let texts = documents
        .iter()
        .enumerate()
        .map(|(n, text)| (format!("{n}.yaml"), (*text).to_owned()));
    read_texts(&texts.collect::<Vec<_>>(), WallTime::default())
}

/// A document called `name` with a resource, in YAML that begins at column 5.
fn document(name: &str, resource: &str) -> String {
    format!(
        "apiVersion: sloop.dev/v1\nkind: EnvoyResource\nmetadata: {{name: {name}}}\nspec:\n  resource:\n{resource}"
    )
}

fn cluster(name: &str, rest: &str) -> String {
    let text = format!(
        "    \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n    name: {name}\n{rest}"
    );
    document(name, &text)
}

const LISTENER: &str = r#"    "@type": type.googleapis.com/envoy.config.listener.v3.Listener
    name: web
    address: {socket_address: {address: 0.0.0.0, port_value: 8080}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          rds: {route_config_name: web, config_source: {resource_api_version: V3, ads: {}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"#;

const ROUTES: &str = r#"    "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
    name: web
    virtual_hosts:
    - name: all
      domains: ["*"]
      routes:
      - match: {prefix: /}
        route:
          weighted_clusters: {clusters: [{name: one, weight: 90}, {name: two, weight: 10}]}
          request_mirror_policies: [{cluster: three}]
"#;

/// What is wrong, as `line:column: path: message`.
fn problems(loaded: &Loaded) -> Vec<String> {
    let problems = loaded.problems.iter();
    problems
        .map(|it| format!("{}:{}: {}: {}", it.line, it.column, it.path, it.message))
        .collect()
}

fn only(loaded: Loaded) -> Declared {
    assert_eq!(problems(&loaded), Vec::<String>::new());
    let mut fleet = loaded.fleet.unwrap();
    assert_eq!(fleet.len(), 1);
    fleet.remove(0)
}

#[test]
fn a_resource_is_what_envoy_reads() {
    use prost::Message as _;
    use sloop_xds_protos::envoy::envoy::config::cluster::v3::Cluster;
    let one = only(load(&[&cluster(
        "one",
        "    connect_timeout: 0.25s\n    type: STRICT_DNS\n",
    )]));
    assert_eq!(one.document, "EnvoyResource/one");
    assert_eq!(
        (one.resource.type_url(), one.resource.name()),
        (Kind::CLUSTER, "one")
    );
    let read = super::message::descriptor(Kind::CLUSTER).unwrap();
    assert_eq!(read.full_name(), "envoy.config.cluster.v3.Cluster");
    let bytes = one.resource.value();
    let cluster = Cluster::decode(bytes).unwrap();
    assert_eq!(cluster.connect_timeout.unwrap().nanos, 250_000_000);
}

#[test]
fn the_version_is_what_is_written_whatever_the_order_of_keys() {
    let version = |text: &str| -> Version { only(load(&[text])).resource.version().clone() };
    let typed = "    \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n";
    let labels = "    metadata: {filter_metadata: {a: {x: 1, y: 2}, b: {}, c: {}, d: {}}}\n";
    let first = version(&document("a", &format!("{typed}    name: a\n{labels}")));
    for _ in 0..8 {
        let again = version(&document("a", &format!("{labels}    name: a\n{typed}")));
        assert_eq!(first, again);
    }
    assert_ne!(
        first,
        version(&document("a", &format!("{typed}    name: b\n")))
    );
}

#[test]
fn a_wrong_field_is_an_error_at_its_place() {
    for (text, expected) in [
        (
            cluster("one", "    conect_timeout: 1s\n"),
            "6:5: spec.resource: unrecognized field name 'conect_timeout'",
        ),
        (
            cluster("one", "    connect_timeout: soon\n"),
            "8:22: spec.resource.connect_timeout: failed to parse duration",
        ),
        (
            cluster("one", "    type: SOMETIMES\n"),
            "8:11: spec.resource.type: unrecognized enum value 'SOMETIMES'",
        ),
        (
            document("web", &LISTENER.replace("stat_prefix", "stat_perfix")),
            "13:11: spec.resource.filter_chains[0].filters[0].typed_config: unrecognized field name 'stat_perfix'",
        ),
        (
            document(
                "web",
                &LISTENER.replace("http.router.v3.Router", "http.router.v3.Ruter"),
            ),
            "19:24: spec.resource.filter_chains[0].filters[0].typed_config.http_filters[0].typed_config['@type']: is \"type.googleapis.com/envoy.extensions.filters.http.router.v3.Ruter\"; Envoy has no such message",
        ),
        (
            document(
                "a",
                "    \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n",
            ),
            "6:5: spec.resource.name: is required",
        ),
        (
            document("a", "    name: a\n"),
            "6:5: spec.resource['@type']: is required",
        ),
        (
            cluster("one", "").replace("v3.Cluster", "v3.Clutser"),
            "6:14: spec.resource['@type']: is \"type.googleapis.com/envoy.config.cluster.v3.Clutser\"; did you mean \"type.googleapis.com/envoy.config.cluster.v3.Cluster\"?",
        ),
    ] {
        let loaded = load(&[&text]);
        let problems = problems(&loaded);
        assert!(
            problems.iter().any(|it| it.starts_with(expected)),
            "{expected}\nnot in {problems:#?}"
        );
        assert_eq!(problems.len(), 1);
        assert_eq!(loaded.fleet, None, "not known is not nothing");
    }
}

#[test]
fn a_reference_to_what_nobody_declares_is_refused_with_its_name() {
    let routes = document("routes", ROUTES);
    let loaded = load(&[
        &routes,
        &cluster("one", ""),
        &cluster("two", ""),
        &cluster("tree", ""),
    ]);
    assert_eq!(
        problems(&loaded),
        [
            "3:18: spec.resource.virtual_hosts[0].routes[0].route.request_mirror_policies[0].cluster: \
             leads to the cluster \"three\", which is in no document"
        ]
    );
    assert_eq!(loaded.problems[0].file, "0.yaml");
    assert_eq!(loaded.fleet, None);
    let loaded = load(&[&document("web", LISTENER)]);
    assert!(
        problems(&loaded)[0]
            .ends_with("leads to the route configuration \"web\", which is in no document"),
        "{:?}",
        loaded.problems
    );
    let whole = load(&[
        &document("web", LISTENER),
        &routes,
        &cluster("one", ""),
        &cluster("two", ""),
        &cluster("three", ""),
    ]);
    assert_eq!(problems(&whole), Vec::<String>::new());
    assert_eq!(whole.fleet.unwrap().len(), 5);
}

#[test]
fn a_cluster_refers_to_the_endpoints_that_it_has_from_here() {
    let eds = |rest: &str| {
        let text = format!("    type: EDS\n    eds_cluster_config: {{eds_config: {{{rest}}}}}\n");
        load(&[&cluster("one", &text)])
    };
    let here = eds("resource_api_version: V3, ads: {}");
    assert!(
        problems(&here)[0]
            .ends_with("leads to the load assignment \"one\", which is in no document"),
        "{:?}",
        here.problems
    );
    let file = eds("path_config_source: {path: /etc/eds.yaml}");
    assert_eq!(problems(&file), Vec::<String>::new());
}

#[test]
fn a_selector_asks_for_services_ids_metadata_and_places() {
    let text = cluster("one", "").replace(
        "spec:\n",
        "spec:\n  selector:\n    clusters: [edge, shop]\n    ids: [\"edge-*\"]\n    metadata: {tier: gold, canary: true, rank: 3}\n    locality: {region: eu, zone: a}\n",
    );
    let selector = only(load(&[&text])).selector;
    assert_eq!(selector.clusters, ["edge", "shop"]);
    assert_eq!(selector.ids, [Condition::Id("edge-*".to_owned())]);
    let all: Vec<String> = selector.all.iter().map(ToString::to_string).collect();
    assert_eq!(
        all,
        ["tier=gold", "canary=true", "rank=3", "region=eu", "zone=a"]
    );
    for (wrong, expected) in [
        ("clusters: []", "spec.selector.clusters: has 0 items"),
        ("cluster: a", "spec.selector.cluster: unknown field"),
        (
            "metadata: {a: []}",
            "spec.selector.metadata.a: must be a text",
        ),
    ] {
        let text =
            cluster("one", "").replace("spec:\n", &format!("spec:\n  selector: {{{wrong}}}\n"));
        let problems = problems(&load(&[&text]));
        assert!(problems[0].contains(expected), "{problems:?}");
    }
}
