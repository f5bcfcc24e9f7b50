use proptest::prelude::*;

use super::*;
use crate::wire::{Locality, Scalar, Scalars};

fn node(id: &str, cluster: &str, zone: &str, tier: &str) -> Node {
    let tier = Scalar {
        text: Some(tier.to_owned()),
        ..Scalar::default()
    };
    Node {
        id: id.to_owned(),
        cluster: cluster.to_owned(),
        metadata: Some(Scalars {
            fields: BTreeMap::from([("tier".to_owned(), tier)]),
        }),
        locality: Some(Locality {
            zone: zone.to_owned(),
            ..Locality::default()
        }),
        ..Node::default()
    }
}

/// A cluster, or a route configuration that leads to clusters, for the nodes that `selector` chooses.
fn declared(name: &str, leads_to: &[&str], selector: Selector) -> Declared {
    let type_url = if leads_to.is_empty() {
        Kind::CLUSTER
    } else {
        Kind::ROUTES
    };
    let reference = |name: &&str| Reference {
        type_url: Kind::CLUSTER,
        name: (*name).to_owned(),
        field: "route.cluster".to_owned(),
    };
    Declared {
        document: format!("EnvoyResource/{name}"),
        selector,
        resource: Resource::new(type_url, name, name.as_bytes()),
        references: leads_to.iter().map(reference).collect(),
    }
}

fn of_cluster(cluster: &str) -> Selector {
    Selector {
        clusters: vec![cluster.to_owned()],
        ..Selector::default()
    }
}

fn in_zone(zone: &str) -> Selector {
    Selector {
        all: vec![Condition::Zone(zone.to_owned())],
        ..Selector::default()
    }
}

/// The names of what `node` gets; `-` when nothing is declared for it.
fn gets(fleet: &Fleet, node: &Node) -> String {
    match fleet.resources(&fleet.cohort(node)) {
        Ok(None) => "-".to_owned(),
        Ok(Some(resources)) => {
            let names: Vec<&str> = resources.into_iter().map(Resource::name).collect();
            names.join(" ")
        }
        Err(troubles) => {
            let texts: Vec<String> = troubles.iter().map(ToString::to_string).collect();
            texts.join("; ")
        }
    }
}

#[test]
fn every_part_of_a_selector_must_fit() {
    let ids = Selector {
        ids: vec![
            Condition::Id("edge-*".to_owned()),
            Condition::Id("one".to_owned()),
        ],
        ..Selector::default()
    };
    let gold = Selector {
        clusters: vec!["edge".to_owned(), "shop".to_owned()],
        all: vec![
            Condition::Zone("a".to_owned()),
            Condition::Metadata("tier".to_owned(), "gold".to_owned()),
        ],
        ..Selector::default()
    };
    let fleet = Fleet::new(vec![
        declared("by_id", &[], ids),
        declared("gold", &[], gold),
        declared("shop", &[], of_cluster("shop")),
    ]);
    for (id, cluster, zone, tier, expected) in [
        ("edge-1", "edge", "a", "gold", "by_id gold"),
        ("edge-1", "edge", "b", "gold", "by_id"),
        ("one", "shop", "a", "tin", "by_id shop"),
        ("ones", "shop", "a", "gold", "gold shop"),
        ("ones", "other", "a", "gold", "-"),
    ] {
        let node = node(id, cluster, zone, tier);
        assert_eq!(
            gets(&fleet, &node),
            expected,
            "{id} {cluster} {zone} {tier}"
        );
    }
    assert_eq!(
        gets(&fleet, &Node::default()),
        "-",
        "a node that says nothing"
    );
}

#[test]
fn an_empty_selector_chooses_every_node() {
    let fleet = Fleet::new(vec![declared("all", &[], Selector::default())]);
    assert_eq!(gets(&fleet, &Node::default()), "all");
    let nothing = Fleet::default();
    assert_eq!(gets(&nothing, &Node::default()), "-");
}

#[test]
fn a_cohort_is_named_by_what_holds_for_it() {
    let fleet = Fleet::new(vec![
        declared("a", &[], in_zone("a")),
        declared("shop", &[], of_cluster("shop")),
    ]);
    let cohort = |zone| fleet.cohort(&node("1", "shop", zone, "gold")).to_string();
    assert_eq!(cohort("a"), "shop{zone=a}");
    assert_eq!(cohort("b"), "shop");
    assert_eq!(cohort("c"), "shop", "nobody asks for zone b or c");
}

#[test]
fn a_reference_leads_to_what_the_node_gets_itself() {
    let fleet = Fleet::new(vec![
        declared("payments", &[], in_zone("a")),
        declared("routes", &["payments", "sloop_xds"], Selector::default()),
    ]);
    assert_eq!(gets(&fleet, &node("1", "edge", "a", "")), "payments routes");
    assert_eq!(
        gets(&fleet, &node("1", "edge", "b", "")),
        "EnvoyResource/routes: route.cluster leads to the cluster \"payments\", which is not there"
    );
    assert_eq!(fleet.dangling(), [], "it is there for some nodes");
    let fleet = Fleet::new(vec![declared("routes", &["paymets"], in_zone("z"))]);
    assert_eq!(fleet.dangling().len(), 1, "it is there for none");
}

#[test]
fn a_node_gets_a_name_once() {
    let mut second = declared("payments", &[], in_zone("a"));
    second.document = "EnvoyResource/too".to_owned();
    let fleet = Fleet::new(vec![declared("payments", &[], Selector::default()), second]);
    assert_eq!(gets(&fleet, &node("1", "edge", "b", "")), "payments");
    assert_eq!(
        gets(&fleet, &node("1", "edge", "a", "")),
        "EnvoyResource/too: the cluster \"payments\" is in EnvoyResource/payments, too"
    );
}

proptest! {
    /// A cohort is enough to know what its nodes get, and the order of documents means nothing.
    #[test]
    fn nodes_of_one_cohort_are_chosen_alike(
        zones in proptest::collection::vec("[abc]", 1..5),
        nodes in proptest::collection::vec(("[ab]", "[abcd]"), 2),
    ) {
        let all: Vec<Declared> = zones
            .iter()
            .enumerate()
            .map(|(n, zone)| declared(&format!("n{n}"), &[], in_zone(zone)))
            .collect();
        let fleet = Fleet::new(all.clone());
        prop_assert_eq!(&fleet, &Fleet::new(all.into_iter().rev().collect()));
        let nodes: Vec<Node> = nodes.iter().map(|(cluster, zone)| node("1", cluster, zone, "")).collect();
        if fleet.cohort(&nodes[0]) == fleet.cohort(&nodes[1]) {
            prop_assert_eq!(gets(&fleet, &nodes[0]), gets(&fleet, &nodes[1]));
        }
    }
}

/// Texts of the signs that mean something, so that they meet.
fn text() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["id", "zone", "a", "metadata.zone", "metadata.id"]);
    prop_oneof![name.prop_map(str::to_owned), "[anu0\n\u{1}\\\\{},=]{0,4}"]
}

fn cohort() -> impl Strategy<Value = Cohort> {
    let condition = prop_oneof![
        text().prop_map(Condition::Id),
        (text(), text()).prop_map(|(name, value)| Condition::Metadata(name, value)),
        text().prop_map(Condition::Region),
        text().prop_map(Condition::Zone),
        text().prop_map(Condition::SubZone),
    ];
    let holds = prop::collection::btree_set(condition, 0..3);
    (text(), holds).prop_map(|(service, holds)| Cohort { service, holds })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_two_cohorts_have_the_same_name(one in cohort(), other in cohort()) {
        prop_assert_eq!(one == other, one.to_string() == other.to_string());
    }
}

#[test]
fn cohorts_have_the_names_that_people_expect() {
    let of = |service: &str, holds: &[Condition]| Cohort {
        service: service.to_owned(),
        holds: holds.iter().cloned().collect(),
    };
    let text = |name: &str| name.to_owned();
    let tier = Condition::Metadata(text("app.kubernetes.io/tier"), text("gold"));
    let both = of("edge", &[Condition::Zone(text("a")), tier]);
    assert_eq!(both.to_string(), "edge{app.kubernetes.io/tier=gold,zone=a}");
    let zone = Condition::Metadata(text("zone"), text("a"));
    assert_eq!(of("edge", &[zone]).to_string(), "edge{metadata.zone=a}");
    assert_eq!(of("edge{zone=a}", &[]).to_string(), r"edge\{zone=a\}");
    assert_eq!(of("a\nb\u{1b}[2K", &[]).to_string(), r"a\nb\u{1b}[2K");
}
