//! A fleet that is configured by nothing but documents, and changed while requests flow.
//!
//! The program is `$SLOOP`, else `target/debug/sloop`.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]
#![allow(clippy::print_stdout, reason = "a measured time is worth seeing")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use sloop_controlplane::ads::Variant;
use sloop_integration::envoy::{Caller, Envoy, Upstream};
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use support::SOON;
use support::fleet::{Plane, cluster, edge, edge_called, endpoints, listener, routes, typed};
use support::load::Load;

/// From the push of a changed cluster until it is in force, at most. Envoy waits 15 s for its endpoints, unless they come after it.
const FOLLOWED: Duration = Duration::from_secs(1);

fn runtime(max_requests: u32) -> String {
    typed(
        "service.runtime.v3.Runtime",
        &format!(
            "name: fleet, layer: {{circuit_breakers.beta.default.max_requests: {max_requests}}}"
        ),
    )
}

/// What Envoy runs with, but for when it heard of it.
async fn configuration(envoy: &Envoy) -> serde_json::Value {
    fn without_times(value: &mut serde_json::Value) {
        if let Some(fields) = value.as_object_mut() {
            fields.remove("last_updated");
            fields.values_mut().for_each(without_times);
        }
        let items = value.as_array_mut().into_iter().flatten();
        items.for_each(without_times);
    }
    let text = envoy.get("/config_dump?include_eds").await.unwrap();
    let mut dump: serde_json::Value = serde_json::from_str(&text).unwrap();
    without_times(&mut dump);
    // Which is no part of it.
    let runtime = envoy.get("/runtime").await.unwrap();
    dump["runtime"] = serde_json::from_str(&runtime).unwrap();
    dump
}

/// How many connections to `beta` Envoy has closed, when that stands still while requests flow.
async fn closed(envoy: &Envoy, caller: &Caller) -> u64 {
    let look = async || {
        let closed = envoy.stat("cluster.beta.upstream_cx_destroy").await;
        closed.unwrap().unwrap_or(0)
    };
    eventually(SOON, "connections are as they are", async || {
        let before = look().await;
        caller.statuses("/", 50).await.unwrap();
        (look().await == before).then_some(before)
    })
    .await
    .unwrap()
}

/// Waits until Envoy's admin interface shows `wanted`, and not `unwanted`.
async fn shows(envoy: &Envoy, wanted: &str, unwanted: &str) {
    let what = format!("/clusters shows {wanted:?} and not {unwanted:?}");
    let mut text = String::new();
    let shown = eventually(SOON, &what, async || {
        text = envoy.get("/clusters").await.ok()?;
        (text.contains(wanted) && (unwanted.is_empty() || !text.contains(unwanted))).then_some(())
    });
    let shown = shown.await;
    assert!(shown.is_ok(), "{what}:\n{text}");
}

/// How long it took from the last push until all of it was acknowledged by the only Envoy.
async fn effect(plane: &Plane) -> Duration {
    let took = eventually(SOON, "all of it is acknowledged", async || {
        plane.items("/v1/nodes").await[0]["effect_ms"].as_u64()
    });
    Duration::from_millis(took.await.unwrap())
}

/// Cases 11 and 12: a new cluster and routes to it, a changed one, and the old one goes.
async fn changes_under_load(variant: Variant) {
    let (one, two) = (
        Upstream::start().await.unwrap(),
        Upstream::start().await.unwrap(),
    );
    let plane = Plane::start().await;
    let web = ports::free_address().unwrap();
    let with_one = [
        listener(web),
        routes("alpha"),
        cluster("alpha", 1_000),
        endpoints("alpha", one.address()),
    ];
    plane.declare(&with_one);
    let envoy = edge(&plane, variant).await;
    let caller = Caller::of(web);
    eventually(SOON, "the fleet serves", async || {
        let answer = caller.get("/").await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await
    .unwrap();
    let load = Load::start(caller.clone(), "/");

    // All at once: another cluster, its endpoints, routes to it, and the old cluster goes.
    let with_two = |max_requests| {
        [
            listener(web),
            routes("beta"),
            cluster("beta", max_requests),
            endpoints("beta", two.address()),
        ]
    };
    plane.declare(&with_two(1_000));
    shows(&envoy, "beta::", "alpha::").await;
    plane.declare(&with_two(777));
    shows(&envoy, "beta::default_priority::max_requests::777", "").await;
    let took = effect(&plane).await;
    println!("a changed threshold was in force {took:?} after it was pushed");
    assert!(took < FOLLOWED, "{took:?}: endpoints did not follow");
    // Numbers that Envoy looks up at run time win over those of the cluster, and close no connection.
    let before = closed(&envoy, &caller).await;
    let mut with_runtime = with_two(777).to_vec();
    with_runtime.push(runtime(55));
    plane.declare(&with_runtime);
    shows(&envoy, "beta::default_priority::max_requests::55", "").await;
    assert_eq!(closed(&envoy, &caller).await, before);
    // And back to the first.
    plane.declare(&with_one);
    shows(&envoy, "alpha::", "beta::").await;
    load.none_failed().await;
    for refused in [
        "cluster_manager.cds.update_rejected",
        "listener_manager.lds.update_rejected",
    ] {
        assert_eq!(
            envoy.stat(refused).await.unwrap().unwrap_or(0),
            0,
            "{refused}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_changes_under_load_without_a_failed_request_over_delta() {
    changes_under_load(Variant::Delta).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_changes_under_load_without_a_failed_request_over_state_of_the_world() {
    changes_under_load(Variant::Sotw).await;
}

/// What leads nowhere does not leave, and what was in force stays.
#[tokio::test]
async fn a_route_to_an_unknown_cluster_is_refused_with_its_name() {
    let one = Upstream::start().await.unwrap();
    let plane = Plane::start().await;
    let web = ports::free_address().unwrap();
    let fleet = |route: &str| {
        [
            listener(web),
            routes(route),
            cluster("alpha", 1_000),
            endpoints("alpha", one.address()),
        ]
    };
    plane.declare(&fleet("alpha"));
    let _envoy = edge(&plane, Variant::Delta).await;
    let caller = Caller::of(web);
    eventually(SOON, "the fleet serves", async || {
        let answer = caller.get("/").await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await
    .unwrap();
    plane.declare(&fleet("alhpa"));
    eventually(SOON, "the document is refused", async || {
        let documents = plane.items("/v1/documents").await;
        let problem = documents[0]["problems"][0].as_str()?.to_owned();
        problem
            .contains("leads to the cluster \"alhpa\", which is in no document")
            .then_some(())
    })
    .await
    .unwrap();
    assert_eq!(caller.statuses("/", 20).await.unwrap(), [200; 20]);
}

/// Waits until the only Envoy has accepted all that is for it.
async fn has_all_of_it(plane: &Plane) {
    eventually(SOON, "all of it is in force", async || {
        (plane.push().await["in_force"] == 1).then_some(())
    })
    .await
    .unwrap();
}

/// Case 15: who has forgotten everything takes nothing away from an Envoy that has it.
async fn an_empty_one_takes_over(variant: Variant) {
    let one = Upstream::start().await.unwrap();
    let mut plane = Plane::start().await;
    let web = ports::free_address().unwrap();
    plane.declare(&[
        listener(web),
        routes("alpha"),
        cluster("alpha", 1_000),
        endpoints("alpha", one.address()),
        runtime(55),
    ]);
    let envoy = edge(&plane, variant).await;
    let caller = Caller::of(web);
    eventually(SOON, "the fleet serves", async || {
        let answer = caller.get("/").await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await
    .unwrap();
    has_all_of_it(&plane).await;
    let load = Load::start(caller.clone(), "/");
    let had = configuration(&envoy).await;
    let number = &had["runtime"]["entries"]["circuit_breakers.beta.default.max_requests"];
    assert_eq!(number["final_value"], "55");
    // What is made anew of documents is in force when the Envoy has said so; without them there is nothing to wait for.
    for (lost, is_pushed) in [(&["store"][..], true), (&["store", "documents"], false)] {
        plane.replace_without(lost).await;
        plane.meets(1).await;
        if is_pushed {
            has_all_of_it(&plane).await;
        }
        assert_eq!(caller.statuses("/", 200).await.unwrap(), [200; 200]);
        assert_eq!(configuration(&envoy).await, had, "without {lost:?}");
    }
    load.none_failed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_control_plane_takes_nothing_away_over_delta() {
    an_empty_one_takes_over(Variant::Delta).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_control_plane_takes_nothing_away_over_state_of_the_world() {
    an_empty_one_takes_over(Variant::Sotw).await;
}

/// A cluster that the descriptors allow and Envoy does not: time to connect must be positive.
fn without_time(name: &str) -> String {
    cluster(name, 1_000).replace("connect_timeout: 1s", "connect_timeout: 0s")
}

/// Waits until both Envoys have what they should, and nothing is under way.
async fn both_have_it(plane: &Plane) -> serde_json::Value {
    eventually(SOON, "both have what they should", async || {
        let push = plane.push().await;
        (push["stage"] != "trying" && push["in_force"] == 2).then_some(push)
    })
    .await
    .unwrap()
}

/// Waits until a change is taken back. Says why it was.
async fn taken_back(plane: &Plane) -> String {
    eventually(SOON, "it is taken back", async || {
        let push = plane.push().await;
        let reason = push["reason"].as_str()?.to_owned();
        (push["stage"] == "rolled_back").then_some(reason)
    })
    .await
    .unwrap()
}

/// Both Envoys have the port of the listener, and the kernel decides which of them takes a connection.
async fn a_refused_resource(variant: Variant) {
    let (one, two) = (
        Upstream::start().await.unwrap(),
        Upstream::start().await.unwrap(),
    );
    let plane = Plane::start().await;
    let web = ports::free_address().unwrap();
    let fleet = |name: &str, cluster: String, at: SocketAddr| {
        [listener(web), routes(name), cluster, endpoints(name, at)]
    };
    plane.declare(&fleet("alpha", cluster("alpha", 1_000), one.address()));
    let envoys = [
        edge_called("edge-1", &plane, variant).await,
        edge_called("edge-2", &plane, variant).await,
    ];
    both_have_it(&plane).await;
    for envoy in &envoys {
        shows(envoy, "alpha::", "").await;
    }
    let caller = Caller::of(web);
    let load = Load::start(caller.clone(), "/");

    plane.declare(&fleet("beta", without_time("beta"), two.address()));
    let reason = taken_back(&plane).await;
    assert!(reason.starts_with("edge-1 refuses it: "), "{reason}");
    assert!(reason.contains("ConnectTimeout"), "{reason}");
    both_have_it(&plane).await;
    let rejected = async |envoy: &Envoy| {
        let stat = envoy.stat("cluster_manager.cds.update_rejected").await;
        stat.unwrap().unwrap_or(0)
    };
    assert!(0 < rejected(&envoys[0]).await, "the first tried it");
    assert_eq!(rejected(&envoys[1]).await, 0, "the other never had it");
    assert_eq!(caller.statuses("/", 100).await.unwrap(), [200; 100]);

    // A good one reaches both.
    plane.declare(&fleet("beta", cluster("beta", 1_000), two.address()));
    for envoy in &envoys {
        shows(envoy, "beta::", "alpha::").await;
    }
    both_have_it(&plane).await;
    load.none_failed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_that_envoy_refuses_is_taken_back_over_delta() {
    a_refused_resource(Variant::Delta).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_that_envoy_refuses_is_taken_back_over_state_of_the_world() {
    a_refused_resource(Variant::Sotw).await;
}

/// The first that an Envoy is sent has a bad cluster in it. What was sent with that comes again without it, and the routes follow.
async fn a_bad_cluster_at_first(variant: Variant) {
    let one = Upstream::start().await.unwrap();
    let plane = Plane::start().await;
    let web = ports::free_address().unwrap();
    let good = [
        listener(web),
        routes("alpha"),
        cluster("alpha", 1_000),
        endpoints("alpha", one.address()),
    ];
    let bad = [without_time("beta"), endpoints("beta", one.address())];
    plane.declare(&[&good[..], &bad].concat());
    let envoy = edge_called("edge-1", &plane, variant).await;
    eventually(SOON, "the cluster is refused", async || {
        let stat = envoy.stat("cluster_manager.cds.update_rejected").await;
        (0 < stat.ok()??).then_some(())
    })
    .await
    .unwrap();

    plane.declare(&good);
    let caller = Caller::of(web);
    eventually(SOON, "the fleet serves", async || {
        let statuses = caller.statuses("/", 20).await.ok()?;
        (statuses == [200; 20]).then_some(())
    })
    .await
    .unwrap();
    let push = eventually(SOON, "it has what it should", async || {
        let push = plane.push().await;
        (push["stage"] != "trying" && push["in_force"] == 1).then_some(push)
    })
    .await
    .unwrap();
    assert_eq!(push["refusing"], 0, "{push}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_comes_up_when_its_bad_cluster_is_taken_away_over_delta() {
    a_bad_cluster_at_first(Variant::Delta).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_comes_up_when_its_bad_cluster_is_taken_away_over_state_of_the_world() {
    a_bad_cluster_at_first(Variant::Sotw).await;
}

/// Routes by another name than `web`.
fn named(name: &str, routes: &str) -> String {
    routes.replace("name: web", &format!("name: {name}"))
}

/// Routes that the descriptors allow and Envoy does not: a domain is there twice.
fn twice(routes: &str) -> String {
    let (before, host) = routes.split_once("virtual_hosts: [").unwrap();
    let host = host.strip_suffix("]}").unwrap();
    let other = host.replace("name: all", "name: also");
    format!("{before}virtual_hosts: [{host}, {other}]}}")
}

/// Routes by a new name are refused. When that is taken back nobody asks for the name any more, and what was sent of the
/// others before is not sent again: the refusal is over all the same.
async fn a_refused_name(variant: Variant) {
    let (one, two) = (
        Upstream::start().await.unwrap(),
        Upstream::start().await.unwrap(),
    );
    let plane = Plane::start().await;
    let web = ports::free_address().unwrap();
    let before = [
        listener(web),
        routes("alpha"),
        cluster("alpha", 1_000),
        endpoints("alpha", one.address()),
    ];
    plane.declare(&before);
    let envoys = [
        edge_called("edge-1", &plane, variant).await,
        edge_called("edge-2", &plane, variant).await,
    ];
    both_have_it(&plane).await;

    let renamed = |routes: String| {
        let listener = listener(web).replace("route_config_name: web", "route_config_name: new");
        let beta = [cluster("beta", 1_000), endpoints("beta", two.address())];
        let changed = [listener, named("new", &routes)];
        [&before[1..], &changed, &beta].concat()
    };
    plane.declare(&renamed(twice(&routes("beta"))));
    let reason = taken_back(&plane).await;
    assert!(reason.starts_with("edge-1 refuses it: "), "{reason}");
    assert!(reason.contains("domain"), "{reason}");
    let push = both_have_it(&plane).await;
    assert_eq!(push["refusing"], 0, "{push}");
    shows(&envoys[0], "alpha::", "beta::").await;
    let stat = envoys[0].stat("http.web.rds.new.update_rejected").await;
    assert_ne!(stat.unwrap(), None, "the first tried it");

    // A good one reaches both.
    plane.declare(&renamed(routes("beta")));
    for envoy in &envoys {
        shows(envoy, "beta::", "").await;
    }
    both_have_it(&plane).await;
    let caller = Caller::of(web);
    eventually(SOON, "the fleet serves", async || {
        let statuses = caller.statuses("/", 20).await.ok()?;
        (statuses == [200; 20]).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_that_envoy_refuses_by_a_new_name_are_taken_back_over_delta() {
    a_refused_name(Variant::Delta).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_that_envoy_refuses_by_a_new_name_are_taken_back_over_state_of_the_world() {
    a_refused_name(Variant::Sotw).await;
}
