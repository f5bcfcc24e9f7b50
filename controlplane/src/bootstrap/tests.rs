use prost::Message;
use sloop_model::{FilterConfig, Side};
use sloop_xds::Snapshot;
use sloop_xds_protos::envoy::envoy::service::discovery::v3 as discovery;

use super::*;

fn example() -> Bootstrap {
    Bootstrap {
        node: "shop-1".into(),
        service: ServiceName::try_from("shop").unwrap(),
        locality: Locality::default(),
        metadata: BTreeMap::new(),
        admin: "127.0.0.1:9901".parse().unwrap(),
        control_plane: "127.0.0.1:18000".parse().unwrap(),
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
            upstreams: vec![Upstream {
                service: ServiceName::try_from("payments").unwrap(),
                authorities: vec!["payments".into(), "payments.shop.svc".into()],
                address: "payments:10000".parse().unwrap(),
            }],
        }),
    }
}

#[test]
fn a_sidecar_says_where_it_runs_and_what_it_is_told_to() {
    let (nowhere, somewhere) = (
        example(),
        Bootstrap {
            locality: Locality {
                zone: "eu-1a".to_owned(),
                ..Locality::default()
            },
            metadata: BTreeMap::from([("tier".to_owned(), "gold".to_owned())]),
            ..example()
        },
    );
    let says = "  cluster: \"shop\"\n  locality:\n    zone: \"eu-1a\"\n  metadata:\n    \"tier\": \"gold\"\nadmin:\n";
    let (nowhere, somewhere) = (nowhere.to_yaml(), somewhere.to_yaml());
    assert!(somewhere.contains(says), "{somewhere}");
    assert!(
        nowhere.contains("  cluster: \"shop\"\nadmin:\n"),
        "{nowhere}"
    );
}

fn lines_of(yaml: &str, with: &str) -> usize {
    yaml.lines().filter(|line| line.contains(with)).count()
}

#[test]
fn each_direction_has_a_listener_with_its_filter() {
    let both = example().to_yaml();
    assert_eq!(lines_of(&both, "name: envoy.filters.http.router"), 2);
    for name in ["sloop-inbound", "sloop-outbound"] {
        assert_eq!(lines_of(&both, &format!("- name: {name}")), 1);
        assert_eq!(lines_of(&both, &format!("root_id: {name}")), 1);
    }
    let inbound = Bootstrap {
        outbound: None,
        ..example()
    };
    assert_eq!(lines_of(&inbound.to_yaml(), "sloop-outbound"), 0);
}

#[test]
fn no_call_ends_for_how_long_it_takes_in_all() {
    assert_eq!(lines_of(&example().to_yaml(), "route: {cluster: "), 2);
    assert_eq!(lines_of(&example().to_yaml(), ", timeout: 0s}"), 2);
}

#[test]
fn those_who_are_asked_are_told_which_attempt_it_is() {
    let count = "include_request_attempt_count: true";
    assert_eq!(lines_of(&example().to_yaml(), count), 1);
}

#[test]
fn callers_with_private_addresses_may_say_how_long_they_wait() {
    let yaml = example().to_yaml();
    assert_eq!(lines_of(&yaml, "internal_address_config:"), 1);
    assert_eq!(lines_of(&yaml, "use_remote_address: true"), 1);
    let outbound = Bootstrap {
        inbound: None,
        ..example()
    };
    assert_eq!(lines_of(&outbound.to_yaml(), "use_remote_address"), 0);
}

#[test]
fn spans_have_a_way_where_there_is_a_collector() {
    assert_eq!(lines_of(&example().to_yaml(), COLLECTOR_CLUSTER), 0);
    let traced = Bootstrap {
        collector: Some("otel-collector:4317".parse().unwrap()),
        ..example()
    };
    let yaml = traced.to_yaml();
    assert_eq!(lines_of(&yaml, r#"- name: "otel_collector""#), 1);
    assert_eq!(lines_of(&yaml, r#"address: "otel-collector""#), 1);
    assert_eq!(lines_of(&yaml, "port_value: 4317"), 1);
}

#[test]
fn traffic_is_served_before_the_control_plane_answers() {
    let yaml = example().to_yaml();
    assert_eq!(
        lines_of(&yaml, "apply_default_config_without_warming: true"),
        2
    );
    assert_eq!(lines_of(&yaml, "default_config:"), 2);
    assert_eq!(lines_of(&yaml, "failure_policy: FAIL_RELOAD"), 2);
    assert_eq!(lines_of(&yaml, "set_node_on_first_message_only: true"), 1);
}

#[test]
fn numbers_of_documents_are_waited_for_no_longer_than_callers_would() {
    let yaml = example().to_yaml();
    assert_eq!(lines_of(&yaml, "- name: fleet"), 1);
    assert_eq!(lines_of(&yaml, "initial_fetch_timeout: 0.5s"), 1);
    let (ours, persons) = (yaml.find("- name: fleet"), yaml.find("- name: admin"));
    assert!(ours < persons, "what a person says goes first");
}

#[test]
fn the_variant_is_what_was_asked_for() {
    assert_eq!(lines_of(&example().to_yaml(), "api_type: DELTA_GRPC"), 1);
    let sotw = Bootstrap {
        variant: Variant::Sotw,
        ..example()
    };
    assert_eq!(lines_of(&sotw.to_yaml(), "api_type: GRPC"), 1);
}

#[test]
fn the_filter_accepts_what_it_begins_with() {
    let yaml = example().to_yaml();
    let configurations: Vec<FilterConfig> = yaml
        .split("value: |\n")
        .skip(1)
        .map(|rest| {
            let json: String = rest
                .lines()
                .take_while(|line| line.starts_with("                      "))
                .collect();
            FilterConfig::parse(json.as_bytes()).unwrap()
        })
        .collect();
    let sides: Vec<Side> = configurations.iter().map(|it| it.side).collect();
    assert_eq!(sides, [Side::Server, Side::Client]);
    assert!(configurations.iter().all(|it| it.report.is_some()));
}

#[test]
fn a_name_cannot_add_lines() {
    let hostile = Bootstrap {
        node: "a\nadmin: {}\"".into(),
        ..example()
    };
    assert!(hostile.to_yaml().contains(r#"  id: "a\nadmin: {}\"""#));
}

#[test]
fn authorities_lose_their_ports_and_repetitions() {
    let mut shop = example();
    let outbound = shop.outbound.as_mut().unwrap();
    outbound.upstreams[0].authorities = vec!["b:80".into(), "a".into(), "a:8080".into()];
    assert_eq!(lines_of(&shop.to_yaml(), r#"domains: ["a", "b"]"#), 1);
}

#[test]
fn the_resource_says_what_the_bootstrap_says() {
    let config = FilterConfig::parse(br#"{"version":1,"service":"shop","side":"client"}"#).unwrap();
    let resource = plugin::resource("/m.wasm", &config);
    assert_eq!(resource.name(), "sloop-outbound");
    let snapshot = Snapshot::builder().with(resource).build();
    let mut stream = sloop_xds::SotwStream::default();
    let asked = sloop_xds::DiscoveryRequest {
        type_url: sloop_xds::Kind::EXTENSION.into(),
        resource_names: vec!["sloop-outbound".into()],
        ..Default::default()
    };
    sloop_xds::Stream::take(&mut stream, asked).unwrap();
    let response = sloop_xds::Stream::next(&mut stream, &snapshot).unwrap();
    let bytes = response.pieces.concat();
    let read = discovery::DiscoveryResponse::decode(bytes.as_slice()).unwrap();
    assert_eq!(read.type_url, sloop_xds::Kind::EXTENSION);
    assert_eq!(read.nonce, response.sent.nonce);
    let yaml = plugin::yaml(Side::Client, "/m.wasm", &config);
    let text = String::from_utf8_lossy(&read.resources[0].value).into_owned();
    for said in [
        "sloop-outbound",
        "envoy.wasm.runtime.v8",
        "/m.wasm",
        plugin::WASM_TYPE_URL,
    ] {
        assert!(text.contains(said) && yaml.contains(said), "{said}");
    }
}
