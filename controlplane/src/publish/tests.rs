use std::collections::BTreeSet;
use std::sync::LazyLock;

use sloop_controllers::NamedRoute;
use sloop_model::{ReportSettings, RouteName, TraceSettings};

use sloop_xds::{Kind, Resource};

use super::*;
use crate::store::InMemory;

fn settings() -> PublishSettings {
    PublishSettings {
        config: ConfigSettings {
            report: Some(ReportSettings {
                cluster: "sloop".to_owned(),
                interval_ms: 1_000,
            }),
            trace: TraceSettings::default(),
        },
        module: "/sloop.wasm".to_owned(),
        ttl: None,
    }
}

fn routes(service: &str) -> Vec<RouteSet> {
    vec![RouteSet {
        name: "routes".to_owned(),
        service: ServiceName::try_from(service).unwrap(),
        authorities: Vec::new(),
        routes: vec![NamedRoute {
            name: RouteName::try_from("/pay").unwrap(),
            matches: serde_json::from_str(r#"[{"path": {"exact": "/pay"}}]"#).unwrap(),
            criticality: None,
        }],
    }]
}

/// No policies, no fleet.
fn nothing_more() -> Wanted<'static> {
    static NO_FLEET: LazyLock<Fleet> = LazyLock::new(Fleet::default);
    Wanted {
        policies: &[],
        fleet: Some(&*NO_FLEET),
        module: Module::Requests,
    }
}

/// Prepares `group` and stores what must be stored.
fn prepare(
    publisher: &mut Publisher,
    store: &InMemory,
    group: &str,
    route_sets: &[RouteSet],
) -> Prepared {
    publisher.base_on(route_sets, &[], &[]);
    let prepared = publisher
        .prepare(
            &Cohort::of_service(group),
            nothing_more(),
            WallTime::default(),
        )
        .unwrap();
    store.commit(&prepared.batch).unwrap();
    prepared
}

fn generations(prepared: &Prepared) -> Vec<u64> {
    prepared
        .changed
        .iter()
        .map(|pushed| pushed.generation)
        .collect()
}

#[test]
fn what_did_not_change_is_not_pushed() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    let first = prepare(&mut publisher, &store, "checkout", &[]);
    assert_eq!(generations(&first), [1, 2]);
    let again = prepare(&mut publisher, &store, "checkout", &[]);
    assert!(again.step.is_none() && again.batch.is_empty());
}

#[test]
fn a_restart_makes_the_same_bytes() {
    let store = InMemory::default();
    let mut before = Publisher::restore(settings(), &store).unwrap();
    prepare(&mut before, &store, "payments", &[]);
    let first = prepare(&mut before, &store, "checkout", &[]);
    let mut after = Publisher::restore(settings(), &store).unwrap();
    let second = prepare(&mut after, &store, "checkout", &[]);
    assert_eq!(first.step, second.step);
    assert!(second.batch.is_empty());
    let other = prepare(&mut after, &store, "edge", &[]);
    assert_eq!(generations(&other), [5, 6], "numbers never come twice");
}

#[test]
fn a_change_gets_the_next_number_and_can_be_found_by_its_version() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    prepare(&mut publisher, &store, "checkout", &[]);
    let changed = prepare(&mut publisher, &store, "checkout", &routes("checkout"));
    assert!(
        generations(&changed)
            .iter()
            .all(|generation| *generation > 2)
    );
    let snapshot = changed.step.unwrap().whole;
    let resources = snapshot.of_type(Kind::EXTENSION).unwrap();
    let inbound = resources.get("sloop-inbound").unwrap();
    let pushed = publisher.pushed(inbound.version().as_str()).unwrap();
    assert_eq!(pushed.side, Side::Server);
    assert!(pushed.generation > 2);
}

#[test]
fn a_configuration_that_the_filter_would_refuse_does_not_leave() {
    let store = InMemory::default();
    let mut broken = settings();
    broken.config.report = Some(ReportSettings {
        cluster: String::new(),
        interval_ms: 1_000,
    });
    let mut publisher = Publisher::restore(broken, &store).unwrap();
    let prepared = prepare(&mut publisher, &store, "checkout", &[]);
    assert!(prepared.step.is_none());
    assert_eq!(prepared.withheld.len(), 2);
    assert!(prepared.withheld[0].1.starts_with("report.cluster"));
}

#[test]
fn a_group_that_no_service_can_be_is_refused() {
    let mut publisher = Publisher::restore(settings(), &InMemory::default()).unwrap();
    let wanted = Wanted {
        policies: &[],
        fleet: Some(&Fleet::default()),
        module: Module::Requests,
    };
    assert!(
        publisher
            .prepare(&Cohort::of_service("a\nb"), wanted, WallTime::default())
            .is_err()
    );
}

#[test]
fn names_of_filters_lead_back_to_sides() {
    for side in [Side::Server, Side::Client] {
        assert_eq!(side_of(plugin::name(side)), Some(side));
    }
    assert_eq!(side_of("other"), None);
}

/// A resource for the nodes in a zone.
fn declared(type_url: &str, name: &str, zone: &str) -> sloop_xds::fleet::Declared {
    use sloop_xds::fleet::{Condition, Selector};
    sloop_xds::fleet::Declared {
        document: format!("EnvoyResource/{name}"),
        selector: Selector {
            all: vec![Condition::Zone(zone.to_owned())],
            ..Selector::default()
        },
        resource: Resource::new(type_url, name, name.as_bytes()),
        references: BTreeSet::new(),
    }
}

fn in_zone(zone: &str) -> Cohort {
    Cohort {
        service: "edge".to_owned(),
        holds: [sloop_xds::fleet::Condition::Zone(zone.to_owned())].into(),
    }
}

/// What the nodes of `edge` in `zone` get: `type/name`, and `no type/name` of a layer without numbers; only for what is
/// declared; `-` when nothing changed.
fn get(publisher: &mut Publisher, zone: &str, fleet: &Fleet) -> String {
    let wanted = Wanted {
        policies: &[],
        fleet: Some(fleet),
        module: Module::Requests,
    };
    let prepared = publisher.prepare(&in_zone(zone), wanted, WallTime::default());
    let prepared = prepared.unwrap();
    if !prepared.troubles.is_empty() {
        return prepared.troubles.join("; ");
    }
    let Some(Step { whole, .. }) = prepared.step else {
        return "-".to_owned();
    };
    let types = whole.types().filter(|(url, _)| *url != Kind::EXTENSION);
    let names = types.flat_map(|(url, of_type)| {
        let short = url.rsplit('.').next().unwrap();
        let names: Vec<_> = of_type
            .resources()
            .map(|it| {
                let is_empty = *it == Resource::empty_layer(it.name());
                format!("{}{short}/{}", if is_empty { "no " } else { "" }, it.name())
            })
            .collect();
        if names.is_empty() {
            vec![format!("no {short}")]
        } else {
            names
        }
    });
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_declared_reaches_the_cohorts_that_it_is_for() {
    let mut publisher = Publisher::restore(settings(), &InMemory::default()).unwrap();
    let fleet = Fleet::new(vec![
        declared(Kind::CLUSTER, "one", "a"),
        declared(Kind::RUNTIME, "layer", "b"),
    ]);
    assert_eq!(
        get(&mut publisher, "a", &fleet),
        "Cluster/one no Listener no Runtime/layer"
    );
    assert_eq!(get(&mut publisher, "a", &fleet), "-", "nothing new");
    assert_eq!(
        get(&mut publisher, "b", &fleet),
        "Runtime/layer",
        "numbers only: clusters may come from elsewhere"
    );
    assert_eq!(
        get(&mut publisher, "c", &fleet),
        "no Runtime/layer",
        "filters, and no numbers"
    );
}

#[test]
fn cohorts_share_the_bytes_of_what_they_have_alike() {
    use sloop_xds::fleet::{Declared, Selector};
    let mut publisher = Publisher::restore(settings(), &InMemory::default()).unwrap();
    let everywhere = Declared {
        selector: Selector::default(),
        ..declared(Kind::CLUSTER, "one", "a")
    };
    // What differs is what makes them two.
    let fleet = Fleet::new(vec![everywhere, declared(Kind::RUNTIME, "layer", "b")]);
    let wanted = Wanted {
        policies: &[],
        fleet: Some(&fleet),
        module: Module::Requests,
    };
    let snapshots = ["a", "b"].map(|zone| {
        let prepared = publisher.prepare(&in_zone(zone), wanted, WallTime::default());
        prepared.unwrap().step.unwrap().whole
    });
    assert_ne!(snapshots[0].version(), snapshots[1].version());
    for (type_url, name) in [
        (Kind::EXTENSION, "sloop-inbound"),
        (Kind::EXTENSION, "sloop-outbound"),
        (Kind::CLUSTER, "one"),
    ] {
        let [one, other] = [&snapshots[0], &snapshots[1]].map(|snapshot| {
            let resource = snapshot.of_type(type_url).unwrap().get(name).unwrap();
            resource.value()
        });
        assert_eq!(one.as_ptr(), other.as_ptr(), "{name} was encoded twice");
    }
}

#[test]
fn what_does_not_fit_together_changes_nothing_and_is_said_once() {
    let mut publisher = Publisher::restore(settings(), &InMemory::default()).unwrap();
    let fleet = Fleet::new(vec![declared(Kind::CLUSTER, "one", "a")]);
    assert_eq!(
        get(&mut publisher, "a", &fleet),
        "Cluster/one no Listener no Runtime"
    );
    let mut twice = declared(Kind::CLUSTER, "one", "a");
    twice.document = "EnvoyResource/other".to_owned();
    let broken = Fleet::new(vec![
        declared(Kind::CLUSTER, "one", "a"),
        declared(Kind::CLUSTER, "two", "a"),
        twice,
    ]);
    let said = get(&mut publisher, "a", &broken);
    assert!(
        said.starts_with("EnvoyResource/other: the cluster"),
        "{said}"
    );
    assert_eq!(get(&mut publisher, "a", &broken), "-");
}

#[test]
fn a_layer_that_is_gone_is_empty_for_whoever_may_have_it_and_clusters_are_left_alone() {
    let mut publisher = Publisher::restore(settings(), &InMemory::default()).unwrap();
    let fleet = Fleet::new(vec![
        declared(Kind::CLUSTER, "one", "a"),
        declared(Kind::RUNTIME, "layer", "a"),
    ]);
    get(&mut publisher, "a", &fleet);
    // Without a selector that asks for zones its nodes are of another cohort.
    for zone in ["a", "elsewhere"] {
        let got = get(&mut publisher, zone, &Fleet::default());
        assert_eq!(got, "no Runtime/layer", "{zone}");
    }
    let state = publisher.cohorts[&in_zone("a")].handed.clone();
    assert!(
        state.unwrap().whole.of_type(Kind::CLUSTER).is_none(),
        "not managed any more"
    );
}

#[test]
fn layers_that_an_earlier_version_knew_by_cohort_are_known_to_all() {
    let store = InMemory::default();
    let mut batch = Batch::default();
    let stored = format!(
        r#"{{"cohort": "edge{{zone=a}}", "basis": "b", "revision": "r", "gone": ["left"], "rejected": null,
            "declared": [{{"type_url": "{}", "name": "had", "version": "1", "value": []}}]}}"#,
        Kind::RUNTIME
    );
    batch.put("rollout\nedge{zone=a}", stored);
    store.commit(&batch).unwrap();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    let prepared = prepare(&mut publisher, &store, "edge", &[]);
    let whole = step(prepared).whole;
    let layers = whole.of_type(Kind::RUNTIME).unwrap().resources();
    let empty = ["had", "left"].map(Resource::empty_layer);
    assert!(layers.eq(&empty));
    assert_eq!(keys(&store, "layer\n"), ["layer\nhad", "layer\nleft"]);
}

#[test]
fn what_is_not_known_is_not_gone() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    let fleet = Fleet::new(vec![declared(Kind::RUNTIME, "layer", "a")]);
    let wanted = |fleet| Wanted {
        fleet,
        ..nothing_more()
    };
    let prepared = publisher.prepare(&in_zone("a"), wanted(Some(&fleet)), WallTime::default());
    let prepared = prepared.unwrap();
    store.commit(&prepared.batch).unwrap();
    let first = step(prepared);
    // Files that cannot be read, and nothing earlier to fall back on.
    let mut after = Publisher::restore(settings(), &store).unwrap();
    let again = after.prepare(&in_zone("a"), wanted(None), WallTime::default());
    assert_eq!(step(again.unwrap()), first);
    let other = after.prepare(&in_zone("b"), wanted(None), WallTime::default());
    let other = step(other.unwrap()).whole;
    let layers = other.of_type(Kind::RUNTIME).unwrap();
    assert!(layers.resources().next().is_none(), "it keeps what it has");
}

#[test]
fn what_the_sidecars_cannot_do_is_left_out_and_said_once() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    let policy: Policy = serde_json::from_str(
        r#"{"scope": {"service": "checkout", "route": "*", "side": "server"}, "rule": {"fault":
            {"id": "late", "share": 100, "side_of_exchange": "response", "delay_ms": 5, "expires_at_ms": 9}}}"#,
    )
    .unwrap();
    let fleet = Fleet::default();
    let mut prepare = |module| {
        let wanted = Wanted {
            policies: std::slice::from_ref(&policy),
            module,
            fleet: Some(&fleet),
        };
        publisher
            .prepare(&Cohort::of_service("checkout"), wanted, WallTime::default())
            .unwrap()
    };
    let lean = prepare(Module::Requests);
    let [(Side::Server, why)] = lean.left_out.as_slice() else {
        panic!("{:?}", lean.left_out)
    };
    assert!(why.starts_with("fault late on checkout other"), "{why}");
    assert_eq!(lean.withheld, []);
    assert_eq!(prepare(Module::Requests).left_out, [], "said already");
    let whole = prepare(Module::Answers);
    assert_eq!((whole.left_out.len(), generations(&whole).len()), (0, 1));
    assert_eq!(prepare(Module::Requests).left_out.len(), 1, "said again");
}

fn step(prepared: Prepared) -> Step {
    prepared.step.unwrap()
}

#[test]
fn what_is_declared_is_tried_on_top_of_what_all_nodes_have() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    let checkout = Cohort::of_service("checkout");
    let first = step(prepare(&mut publisher, &store, "checkout", &[]));
    assert_eq!(first.at_once, first.whole, "the first is tried by nobody");
    let changed = step(prepare(
        &mut publisher,
        &store,
        "checkout",
        &routes("checkout"),
    ));
    assert_eq!(changed.at_once, first.at_once);
    assert_ne!(changed.whole, first.whole);
    let batch = publisher.accept(&checkout, &changed.revision);
    store.commit(&batch).unwrap();
    let settled = prepare(&mut publisher, &store, "checkout", &routes("checkout"));
    assert!(settled.changed.is_empty(), "it keeps its number");
    let settled = step(settled);
    assert_eq!(
        (&settled.at_once, &settled.whole),
        (&changed.whole, &changed.whole)
    );
    let mut after = Publisher::restore(settings(), &store).unwrap();
    let again = step(prepare(&mut after, &store, "checkout", &routes("checkout")));
    assert_eq!(
        again, settled,
        "a restart tries nothing that all nodes have"
    );
}

#[test]
fn what_must_not_wait_goes_to_all_while_something_is_tried() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    prepare(&mut publisher, &store, "checkout", &[]);
    let before = step(prepare(
        &mut publisher,
        &store,
        "checkout",
        &routes("checkout"),
    ));
    let policies: Vec<Policy> = serde_json::from_str(
        r#"[{"scope": {"service": "checkout", "route": "*", "side": "server"}, "rule":
            {"fault": {"id": "late", "share": 100, "delay_ms": 5, "expires_at_ms": 9}}}]"#,
    )
    .unwrap();
    let wanted = Wanted {
        policies: &policies,
        ..nothing_more()
    };
    let checkout = Cohort::of_service("checkout");
    let after = publisher.prepare(&checkout, wanted, WallTime::default());
    let after = step(after.unwrap());
    assert_eq!(after.revision, before.revision, "the change is the same");
    assert_ne!(after.at_once, before.at_once);
    assert_ne!(after.whole, before.whole);
}

#[test]
fn a_restart_is_no_way_around_the_few() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    prepare(&mut publisher, &store, "checkout", &[]);
    let tried = step(prepare(
        &mut publisher,
        &store,
        "checkout",
        &routes("checkout"),
    ));
    let mut after = Publisher::restore(settings(), &store).unwrap();
    let again = step(prepare(&mut after, &store, "checkout", &routes("checkout")));
    assert_eq!(again, tried, "it is still tried");
    let checkout = Cohort::of_service("checkout");
    let rejected = Rejected {
        revision: tried.revision.clone(),
        because: "no".to_owned(),
        at: WallTime::from_millis(7),
    };
    store
        .commit(&after.reject(&checkout, rejected.clone()))
        .unwrap();
    let mut after = Publisher::restore(settings(), &store).unwrap();
    assert_eq!(after.rejected(&checkout), Some(rejected));
    let again = step(prepare(&mut after, &store, "checkout", &routes("checkout")));
    assert_eq!(
        (&again.at_once, &again.whole),
        (&tried.at_once, &tried.at_once)
    );
    assert_eq!(
        again.revision, tried.revision,
        "and it is still not what is wanted"
    );
    prepare(&mut after, &store, "checkout", &[]);
    assert_eq!(after.rejected(&checkout), None, "somebody took it back");
    let after = Publisher::restore(settings(), &store).unwrap();
    assert_eq!(after.rejected(&checkout), None);
}

#[test]
fn what_makes_no_difference_for_a_service_is_not_tried_by_it() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    let set = routes("checkout");
    prepare(&mut publisher, &store, "checkout", &set);
    let mut renamed = set.clone();
    renamed[0].name = "another document".to_owned();
    let prepared = prepare(&mut publisher, &store, "checkout", &renamed);
    assert_eq!(prepared.step, None);
}

#[test]
fn declared_resources_are_tried_and_what_all_nodes_have_survives_a_restart() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    let fleet = |names: &[&str]| {
        let declared = names.iter().map(|name| declared(Kind::RUNTIME, name, "a"));
        Fleet::new(declared.collect())
    };
    let prepare = |publisher: &mut Publisher, fleet: &Fleet| {
        let wanted = Wanted {
            fleet: Some(fleet),
            ..nothing_more()
        };
        let prepared = publisher.prepare(&in_zone("a"), wanted, WallTime::default());
        let prepared = prepared.unwrap();
        store.commit(&prepared.batch).unwrap();
        step(prepared)
    };
    let first = prepare(&mut publisher, &fleet(&["one"]));
    let tried = prepare(&mut publisher, &fleet(&["one", "two"]));
    let [had, has] = [&first, &tried].map(|it| it.at_once.of_type(Kind::RUNTIME).unwrap());
    assert_eq!(has.get("one"), had.get("one"));
    let empty = Resource::empty_layer("two");
    assert_eq!(
        has.get("two"),
        Some(&empty),
        "who tried it must let go of it"
    );
    let mut after = Publisher::restore(settings(), &store).unwrap();
    assert_eq!(prepare(&mut after, &fleet(&["one", "two"])), tried);
}

/// Case 18.
#[test]
fn a_time_to_live_is_in_what_sidecars_are_sent_and_goes_to_a_few_first() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    let first = step(prepare(&mut publisher, &store, "checkout", &[]));
    assert_eq!(first.whole.heartbeat_every(), None);
    let mortal = PublishSettings {
        ttl: Some(Duration::from_secs(30)),
        ..settings()
    };
    let mut publisher = Publisher::restore(mortal, &store).unwrap();
    let tried = step(prepare(&mut publisher, &store, "checkout", &[]));
    assert_eq!(tried.at_once, first.at_once);
    let every = Some(Duration::from_secs(10));
    assert_eq!(tried.whole.heartbeat_every(), every);
}

fn keys(store: &InMemory, prefix: &str) -> Vec<String> {
    let entries = store.list(prefix.as_bytes()).unwrap();
    let keys = entries.into_iter().map(|(key, _)| key);
    keys.map(|key| String::from_utf8(key).unwrap()).collect()
}

fn at(days: u64) -> WallTime {
    WallTime::from_millis(days * 24 * 60 * 60 * 1_000)
}

#[test]
fn what_a_cohort_had_is_known_for_days_after_its_last_node_is_gone() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    let shop = Cohort::of_service("shop");
    let first = step(prepare(&mut publisher, &store, "shop", &[]));
    store.commit(&publisher.leave(&[shop], at(1))).unwrap();
    store.commit(&publisher.forget(at(7))).unwrap();
    let tried = step(prepare(&mut publisher, &store, "shop", &routes("shop")));
    assert_eq!(tried.at_once, first.at_once, "they come back with that");
    assert_ne!(tried.whole, tried.at_once, "and few try the other");
    // Who came back is not away, also after a restart.
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    store.commit(&publisher.forget(at(8))).unwrap();
    let tried = step(prepare(&mut publisher, &store, "shop", &routes("shop")));
    assert_eq!(tried.at_once, first.at_once);
}

#[test]
fn a_cohort_without_nodes_is_forgotten_with_all_that_only_it_had() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    for group in ["gone", "stays"] {
        prepare(&mut publisher, &store, group, &[]);
    }
    // Only those that stay get what is declared next, so there are two bases.
    let changed = prepare(&mut publisher, &store, "stays", &routes("stays"));
    let revision = changed.step.unwrap().revision;
    let stays = Cohort::of_service("stays");
    store.commit(&publisher.accept(&stays, &revision)).unwrap();
    let gone = Cohort::of_service("gone");
    store.commit(&publisher.leave(&[gone], at(1))).unwrap();
    assert_eq!(
        keys(&store, "rollout\n"),
        ["rollout\ngone", "rollout\nstays"]
    );
    assert_eq!(keys(&store, "basis\n").len(), 2);
    // After a restart nobody is there yet, and it counts from before.
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    store.commit(&publisher.forget(at(8))).unwrap();
    assert_eq!(keys(&store, "rollout\n"), ["rollout\nstays"]);
    assert_eq!(keys(&store, "basis\n").len(), 1);
    let numbered = keys(&store, "config\n");
    assert!(
        numbered.iter().all(|key| key.contains("stays")),
        "{numbered:?}"
    );
    assert!(publisher.forget(at(9)).is_empty());
    store.commit(&publisher.forget(at(15))).unwrap();
    assert_eq!(keys(&store, ""), ["generation\n"], "numbers go on");
}

#[test]
fn cohorts_that_leave_together_leave_the_same_behind_as_one_after_the_other() {
    let left = |together: bool| {
        let store = InMemory::default();
        let mut publisher = Publisher::restore(settings(), &store).unwrap();
        let groups = ["shop", "cart", "stays"];
        for group in groups {
            prepare(&mut publisher, &store, group, &[]);
        }
        // Of a change that nobody accepted nothing may be left.
        prepare(&mut publisher, &store, "cart", &routes("cart"));
        let gone = ["shop", "cart"].map(Cohort::of_service);
        let size = if together { 2 } else { 1 };
        for some in gone.chunks(size) {
            store.commit(&publisher.leave(some, at(1))).unwrap();
        }
        assert_eq!(publisher.cohorts.len(), 1);
        store.list(b"").unwrap()
    };
    assert_eq!(left(true), left(false));
}

#[test]
fn those_that_left_first_are_forgotten_when_there_are_too_many() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    let count = u64::try_from(away::AWAY_COUNT_MAX).unwrap() + 2;
    for number in 0..count {
        let group = format!("shop-{number}");
        prepare(&mut publisher, &store, &group, &[]);
        let left = WallTime::from_millis(count - number);
        let batch = publisher.leave(&[Cohort::of_service(&group)], left);
        store.commit(&batch).unwrap();
    }
    store.commit(&publisher.forget(at(1))).unwrap();
    let known = keys(&store, "rollout\n");
    assert_eq!(known.len(), away::AWAY_COUNT_MAX);
    for number in [count - 1, count - 2] {
        assert!(!known.contains(&format!("rollout\nshop-{number}")));
    }
}

#[test]
fn a_change_is_named_once_for_as_long_as_it_is_tried() {
    let store = InMemory::default();
    let mut publisher = Publisher::restore(settings(), &store).unwrap();
    prepare(&mut publisher, &store, "shop", &[]);
    let named = |publisher: &Publisher| {
        let state = publisher.cohorts.get(&Cohort::of_service("shop"));
        state.unwrap().wanted_name()
    };
    let tried = step(prepare(&mut publisher, &store, "shop", &routes("shop")));
    let name = named(&publisher);
    assert_eq!(name.as_ref(), Some(&tried.revision));
    prepare(&mut publisher, &store, "shop", &routes("shop"));
    assert_eq!(named(&publisher), name);
    prepare(&mut publisher, &store, "shop", &[]);
    assert_eq!(named(&publisher), None, "nothing is tried");
}
