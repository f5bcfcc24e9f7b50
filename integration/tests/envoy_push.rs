//! Pushing configuration to the real Envoy.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sloop_controlplane::ads::Variant;
use sloop_controlplane::bootstrap::plugin;
use sloop_integration::envoy::Upstream;
use sloop_integration::eventually::eventually;
use sloop_model::{FilterConfig, Side};
use support::{Plane, SOON, Sidecar, config};

const ONE_SCOPE: &str =
    r#"[{"service": "shop", "route": "pay", "match": [{"path": {"prefix": "/pay"}}]}]"#;

fn both(generation: u64) -> [FilterConfig; 2] {
    [Side::Server, Side::Client].map(|side| config(side, generation, ONE_SCOPE))
}

/// A configuration that the filter refuses: written for a reader of another age.
fn refused(generation: u64) -> [FilterConfig; 2] {
    both(generation).map(|config| FilterConfig {
        version: 999,
        ..config
    })
}

async fn pushes_over(variant: Variant) {
    let app = Upstream::start().await.unwrap();
    let mut plane = Plane::start().await;
    plane.hub.open();
    plane.push(&both(1));
    let sidecar = Sidecar::start(app.address(), plane.address, variant).await;
    plane.has(2).await;
    let nodes = plane.hub.nodes();
    assert_eq!((nodes.len(), nodes[0].variant), (1, variant));
    assert_eq!(nodes[0].group, "shop");
    for generation in 2..12 {
        plane.push_and_wait(&both(generation)).await.unwrap();
        assert_eq!(sidecar.inbound.get("/pay").await.unwrap().status(), 200);
        assert_eq!(sidecar.outbound.get("/pay").await.unwrap().status(), 200);
    }
    let vms = sidecar.envoy.stat("wasm.envoy.wasm.runtime.v8.active");
    // One base, one of the main thread, two workers: no push and no side has VMs of its own.
    assert_eq!(vms.await.unwrap(), Some(4));
    eventually(SOON, "reports name the last generation", async || {
        let generations = plane.reports.generations();
        generations.contains(&11).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_push_over_delta_is_in_force_when_it_is_acknowledged() {
    pushes_over(Variant::Delta).await;
}

#[tokio::test]
async fn a_push_over_state_of_the_world_is_in_force_when_it_is_acknowledged() {
    pushes_over(Variant::Sotw).await;
}

/// Case 17.
#[tokio::test]
async fn a_refused_configuration_leaves_the_last_good_one_in_force() {
    let app = Upstream::start().await.unwrap();
    let mut plane = Plane::start().await;
    plane.hub.open();
    plane.push(&both(1));
    let sidecar = Sidecar::start(app.address(), plane.address, Variant::Delta).await;
    plane.has(2).await;

    let refusal = plane.push_and_wait(&refused(2)).await.unwrap_err();
    assert!(refusal.contains("sloop-"), "{refusal}");
    let status = &plane.hub.nodes()[0].types[sloop_xds::Kind::EXTENSION];
    assert!(status.is_refusing && status.refused.is_some(), "{status:?}");
    assert_eq!(
        sidecar.inbound.statuses("/pay", 20).await.unwrap(),
        [200; 20]
    );
    eventually(SOON, "counts go on under the old generation", async || {
        let counted = plane.reports.of("pay").requests == 20;
        (counted && plane.reports.generations().iter().all(|it| *it == 1)).then_some(())
    })
    .await
    .unwrap();
    // Seen by Envoy, which throws the VM away that refused.
    let rejected = sidecar.envoy.stats("update_rejected").await.unwrap();
    assert!(rejected.iter().any(|(_, count)| 0 < *count), "{rejected:?}");

    plane.push_and_wait(&both(3)).await.unwrap();
    let status = &plane.hub.nodes()[0].types[sloop_xds::Kind::EXTENSION];
    assert!(
        !status.is_refusing && status.refused.is_some(),
        "{status:?}"
    );
    assert_eq!(sidecar.inbound.get("/pay").await.unwrap().status(), 200);
    eventually(SOON, "the new generation is in force", async || {
        plane.reports.generations().contains(&3).then_some(())
    })
    .await
    .unwrap();
    let reports = plane.reports.all();
    let trouble = reports.iter().filter_map(|report| report.trouble.as_ref());
    assert_eq!(trouble.map(|it| it.configs_refused).sum::<u64>(), 0);
}

/// Case 15: a control plane that does not know yet takes nothing away.
#[tokio::test]
async fn a_replica_that_is_not_ready_takes_nothing_away() {
    let app = Upstream::start().await.unwrap();
    let plane = Plane::start().await;
    plane.push(&[]);
    let sidecar = Sidecar::start(app.address(), plane.address, Variant::Delta).await;
    eventually(SOON, "the node is seen", async || {
        (!plane.hub.nodes().is_empty()).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(
        sidecar.inbound.statuses("/", 20).await.unwrap(),
        [200; 20],
        "on the configuration in its bootstrap"
    );
    let sent = plane.hub.nodes()[0]
        .types
        .values()
        .any(|it| it.sent.is_some());
    assert!(!sent, "the gate is closed");
}

#[tokio::test]
async fn taking_the_configuration_away_falls_back_to_the_bootstraps() {
    let app = Upstream::start().await.unwrap();
    let plane = Plane::start().await;
    plane.hub.open();
    plane.push(&faulty());
    let sidecar = Sidecar::start(app.address(), plane.address, Variant::Delta).await;
    plane.has(2).await;
    let is = async |wanted: u16| {
        let status = sidecar.inbound.get("/pay").await.ok()?.status();
        (status == wanted).then_some(())
    };
    eventually(SOON, "it is in force", || is(418))
        .await
        .unwrap();
    let gone = sloop_xds::Snapshot::builder()
        .delete(sloop_xds::Kind::EXTENSION, plugin::name(Side::Server))
        .delete(sloop_xds::Kind::EXTENSION, plugin::name(Side::Client))
        .build();
    plane.hub.publish("shop", Arc::new(gone));
    plane.has(0).await;
    eventually(SOON, "the bootstrap's holds", || is(200))
        .await
        .unwrap();
    assert_eq!(
        sidecar.inbound.statuses("/pay", 20).await.unwrap(),
        [200; 20]
    );
}

/// A fault that meets every request to `/pay`, so that one sees whether the configuration is in force.
fn faulty() -> [FilterConfig; 2] {
    let scopes = r#"[{"service": "shop", "route": "pay", "match": [{"path": {"prefix": "/pay"}}], "faults":
        [{"id": "seen", "share": 10000, "abort_status": 418, "expires_at_ms": 99999999999999}]}]"#;
    [Side::Server, Side::Client].map(|side| config(side, 1, scopes))
}

/// Configurations that end three seconds after the last heartbeat.
fn mortal(configs: &[FilterConfig]) -> Arc<sloop_xds::Snapshot> {
    let resources = configs.iter().map(|config| {
        let resource = plugin::resource(&support::module(), config);
        resource.with_ttl(Duration::from_secs(3))
    });
    let all = resources.fold(sloop_xds::Snapshot::builder(), |builder, it| {
        builder.with(it)
    });
    Arc::new(all.build())
}

/// Case 18: heartbeats keep it without loading it anew; without the control plane it ends, and the bootstrap's holds.
async fn a_configuration_lives_as_long_as_the_control_plane(variant: Variant) {
    let app = Upstream::start().await.unwrap();
    // All of it ends with this runtime, connections too.
    let apart = tokio::runtime::Runtime::new().unwrap();
    let plane = apart.spawn(Plane::start()).await.unwrap();
    plane.hub.open();
    plane.hub.publish("shop", mortal(&faulty()));
    let sidecar = Sidecar::start(app.address(), plane.address, variant).await;
    let status = async || Some(sidecar.inbound.get("/pay").await.ok()?.status().as_u16());
    eventually(SOON, "it is in force", async || {
        (status().await? == 418).then_some(())
    })
    .await
    .unwrap();
    let loads = async || {
        let stats = sidecar.envoy.stats("config_reload").await.unwrap();
        stats.into_iter().map(|(_, count)| count).sum::<u64>()
    };
    plane.has(2).await;
    eventually(SOON, "both sides are loaded", async || {
        (loads().await == 2).then_some(())
    })
    .await
    .unwrap();
    let begun = Instant::now();
    eventually(SOON, "three lifetimes pass", async || {
        assert_eq!(status().await, Some(418), "after {:?}", begun.elapsed());
        (Duration::from_secs(9) < begun.elapsed()).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(loads().await, 2, "nothing was loaded anew");
    apart.shutdown_background();
    eventually(SOON, "the bootstrap's configuration holds", async || {
        (status().await? == 200).then_some(())
    })
    .await
    .unwrap();
    drop(plane);
}

#[tokio::test]
async fn a_configuration_lives_as_long_as_the_control_plane_over_delta() {
    a_configuration_lives_as_long_as_the_control_plane(Variant::Delta).await;
}

#[tokio::test]
async fn a_configuration_lives_as_long_as_the_control_plane_over_state_of_the_world() {
    a_configuration_lives_as_long_as_the_control_plane(Variant::Sotw).await;
}

/// Case 18: where anything expires over state of the world, Envoy lets go of all extensions.
#[tokio::test]
async fn nothing_ends_beside_what_is_to_stay_over_state_of_the_world() {
    let app = Upstream::start().await.unwrap();
    let apart = tokio::runtime::Runtime::new().unwrap();
    let plane = apart.spawn(Plane::start()).await.unwrap();
    plane.hub.open();
    plane.hub.publish("shop", mortal(&faulty()));
    let sidecar = Sidecar::start(app.address(), plane.address, Variant::Sotw).await;
    plane.has(2).await;
    let [ends, stays] = faulty();
    let stays = plugin::resource(&support::module(), &stays);
    let ends = plugin::resource(&support::module(), &ends).with_ttl(Duration::from_secs(3));
    let beside = sloop_xds::Snapshot::builder().with(ends).with(stays);
    plane.hub.publish("shop", Arc::new(beside.build()));
    let statuses = async || {
        let (one, other) = (sidecar.inbound.get("/pay"), sidecar.outbound.get("/pay"));
        Some((
            one.await.ok()?.status().as_u16(),
            other.await.ok()?.status().as_u16(),
        ))
    };
    let begun = Instant::now();
    let mut plane = Some((apart, plane));
    eventually(SOON, "three lifetimes pass", async || {
        assert_eq!(
            statuses().await,
            Some((418, 418)),
            "after {:?}",
            begun.elapsed()
        );
        if Duration::from_secs(3) < begun.elapsed()
            && let Some((apart, _)) = plane.take()
        {
            apart.shutdown_background();
        }
        (Duration::from_secs(9) < begun.elapsed()).then_some(())
    })
    .await
    .unwrap();
}

/// Case 18: of two that come together one is bad, as where the module is older than the control plane.
async fn what_was_accepted_lives_on_while_what_came_after_it_is_refused(variant: Variant) {
    let app = Upstream::start().await.unwrap();
    let plane = Plane::start().await;
    plane.hub.open();
    plane.hub.publish("shop", mortal(&faulty()));
    let sidecar = Sidecar::start(app.address(), plane.address, variant).await;
    plane.has(2).await;
    let refuses = || {
        let nodes = plane.hub.nodes();
        nodes[0].types.values().any(|it| it.is_refusing)
    };
    let [bad, _] = refused(2);
    let [_, good] = both(2);
    plane.hub.publish("shop", mortal(&[bad, good]));
    eventually(SOON, "it is refused", async || refuses().then_some(()))
        .await
        .unwrap();
    let begun = Instant::now();
    eventually(SOON, "three lifetimes pass", async || {
        let status = sidecar.inbound.get("/pay").await.ok()?.status();
        assert_eq!(status, 418, "after {:?}", begun.elapsed());
        (Duration::from_secs(9) < begun.elapsed()).then_some(())
    })
    .await
    .unwrap();
    assert!(refuses(), "nothing of it was tried again");
    plane.hub.publish("shop", mortal(&both(3)));
    eventually(SOON, "the next one is in force", async || {
        let status = sidecar.inbound.get("/pay").await.ok()?.status();
        (status == 200 && !refuses()).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_was_accepted_lives_on_while_what_came_after_it_is_refused_over_delta() {
    what_was_accepted_lives_on_while_what_came_after_it_is_refused(Variant::Delta).await;
}

#[tokio::test]
async fn what_was_accepted_lives_on_while_what_came_after_it_is_refused_over_state_of_the_world() {
    what_was_accepted_lives_on_while_what_came_after_it_is_refused(Variant::Sotw).await;
}
