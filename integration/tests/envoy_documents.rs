//! From a document to what the real Envoy does: settings, shedding, deny rules and faults that only one module can do.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use sloop_controlplane::admin::api::{DenialStatus, Event, Happened, ScopeStatus};
use sloop_controlplane::ads::Variant;
use sloop_integration::envoy::Upstream;
use sloop_integration::eventually::eventually;
use support::control::{Control, expiry};
use support::{SOON, Sidecar};

const DOCUMENTS: &str = "
apiVersion: sloop.dev/v1
kind: RouteSet
metadata: {name: shop}
spec:
  service: shop
  routes:
  - {name: pay, match: [{path: {prefix: /pay}}]}
  - {name: export, match: [{path: {prefix: /export}}], criticality: sheddable}
---
apiVersion: sloop.dev/v1
kind: FilterSettings
metadata: {name: shop}
spec: {service: shop, dimensions: {caller: {header: x-caller}}, stats: {enabled: true}}
---
apiVersion: sloop.dev/v1
kind: DenyRule
metadata: {name: batch-runs-wild}
spec: {service: shop, rule: {caller: batch, status: 429, share_max: 100%, expires_at_ms: EXPIRY}}
---
apiVersion: sloop.dev/v1
kind: LoadShedding
metadata: {name: exports}
spec: {service: shop, route: export, limits: {share_min: 90%, share_max: 90%, failed_max: 50%}}
";

#[tokio::test]
async fn settings_deny_rules_and_shedding_reach_the_filter_and_what_they_did_comes_back() {
    let app = Upstream::start().await.unwrap();
    let control = Control::start(support::module()).await;
    control.declare(&DOCUMENTS.replace("EXPIRY", &expiry().to_string()));
    let sidecar = Sidecar::start(app.address(), control.grpc, Variant::Delta).await;
    let denied = eventually(SOON, "the rule is in force", async || {
        let asked = sidecar.inbound.get_with("/pay", "x-caller", b"batch");
        let answer = asked.await.ok()?;
        (answer.status() == 429).then_some(answer)
    })
    .await
    .unwrap();
    assert_eq!(denied.headers()["x-sloop-verdict"], "blocked");
    let other = sidecar.inbound.get_with("/pay", "x-caller", b"web");
    assert_eq!(other.await.unwrap().status(), 200);
    let statuses = sidecar.inbound.statuses("/export", 200).await.unwrap();
    let shed = statuses.iter().filter(|status| **status == 503).count();
    // 90 % of 200 are 180; five standard deviations are 22.
    assert!((158..=199).contains(&shed), "{shed} of 200 were shed");

    let shed = u64::try_from(shed).unwrap();
    eventually(SOON, "what was shed is shown", async || {
        let scopes: Vec<ScopeStatus> = control.list("/v1/scopes").await?;
        let export = scopes.iter().find(|it| it.route.as_str() == "export")?;
        let shown = export.shed.as_ref()?.by_class.get("sheddable").copied();
        let pay = scopes.iter().find(|it| it.route.as_str() == "pay")?;
        let has = |caller: &str| pay.values.iter().any(|value| value.value == caller);
        (shown == Some(shed) && has("web") && has("batch")).then_some(())
    })
    .await
    .unwrap();
    let denials: Vec<DenialStatus> = control.list("/v1/denials").await.unwrap();
    assert_eq!(denials[0].id, "batch-runs-wild");
    assert!(0 < denials[0].refused);
    eventually(SOON, "Envoy's own statistics have it, too", async || {
        let stats = sidecar.envoy.stats("sloop_requests").await.ok()?;
        let is_shed = |(name, _): &(String, u64)| name.contains("sloop_outcome=.=shed");
        stats.iter().any(is_shed).then_some(())
    })
    .await
    .unwrap();
}

const LATE_ANSWERS: &str = "
apiVersion: sloop.dev/v1
kind: FaultInjection
metadata: {name: other-answers}
spec:
  service: shop
  fault:
    share: 100%
    side_of_exchange: response
    headers: {set: [[x-fault, answered]]}
    expires_at_ms: EXPIRY
";

#[tokio::test]
async fn a_fault_on_answers_is_pushed_once_the_sidecars_say_that_they_can() {
    let app = Upstream::start().await.unwrap();
    let control = Control::start(support::answers_module()).await;
    control.declare(&LATE_ANSWERS.replace("EXPIRY", &expiry().to_string()));
    let module = support::answers_module();
    let sidecar = Sidecar::start_with(module, app.address(), control.grpc, Variant::Delta).await;
    eventually(SOON, "answers are changed", async || {
        let answer = sidecar.inbound.get("/").await.ok()?;
        answer.headers().contains_key("x-fault").then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_fault_on_answers_is_left_out_where_the_module_cannot_and_said() {
    let app = Upstream::start().await.unwrap();
    let control = Control::start(support::module()).await;
    control.declare(&LATE_ANSWERS.replace("EXPIRY", &expiry().to_string()));
    let sidecar = Sidecar::start(app.address(), control.grpc, Variant::Delta).await;
    control
        .happened("the fault is said to be left out", |happened| {
            matches!(happened, Happened::LeftOut { what, .. } if what.contains("other-answers"))
        })
        .await;
    control
        .happened("what is left is acknowledged", |happened| {
            matches!(happened, Happened::Acknowledged { .. })
        })
        .await;
    let answer = sidecar.inbound.get("/").await.unwrap();
    assert!(!answer.headers().contains_key("x-fault"));
    let events: Vec<Event> = control.list("/v1/events").await.unwrap();
    let refused = |event: &Event| matches!(event.happened, Happened::Refused { .. });
    assert!(!events.iter().any(refused), "{events:#?}");
}
