//! From a document to what the real Envoy does: settings, shedding, deny rules and faults that only one module can do.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use http::StatusCode;
use sloop_controllers::{Counts, SloStatus};
use sloop_controlplane::admin::api::{DenialStatus, Event, Happened, ScopeStatus};
use sloop_controlplane::ads::Variant;
use sloop_integration::envoy::{Caller, Upstream};
use sloop_integration::eventually::eventually;
use sloop_model::Side;
use support::control::{Control, expiry};
use support::{SOON, Sidecar, raw};

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

const HEALTH_CHECKS: &str = "
apiVersion: sloop.dev/v1
kind: FilterSettings
metadata: {name: everybody}
spec: {health_checks: [{headers: [{name: user-agent, prefix: kube-probe/}]}]}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: served, annotations: {sloop.dev/mode: actionable}}
spec:
  service: shop
  indicator:
    metadata: {name: served}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: sloop, spec: {service: shop}}}
        total: {metricSource: {type: sloop, spec: {service: shop}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.9}]
";

/// The service fails them all, which would open the breaker that the SLO implies, and spend its budget.
#[tokio::test]
async fn health_checks_are_counted_apart_and_in_no_slo() {
    let app = Upstream::start().await.unwrap();
    let control = Control::start(support::module()).await;
    control.declare(HEALTH_CHECKS);
    let sidecar = Sidecar::start(app.address(), control.grpc, Variant::Delta).await;
    let agent = ("user-agent", "kube-probe/1.34");
    let probe = |caller: &Caller| {
        let lines: [(&str, &[u8]); 1] = [(agent.0, agent.1.as_bytes())];
        let address = caller.address();
        async move { raw::status(&raw::ask(address, &raw::get(b"/pay", &lines)).await) }
    };
    eventually(SOON, "all workers run with it", async || {
        // Nothing else is asked for, so that nothing else can have been counted.
        probe(&sidecar.inbound).await;
        probe(&sidecar.outbound).await;
        let slos: Vec<SloStatus> = control.list("/v1/slos").await?;
        (slos.len() == 1 && control.is_everywhere().await).then_some(())
    })
    .await
    .unwrap();
    app.answer(StatusCode::SERVICE_UNAVAILABLE);
    for _ in 0..100 {
        assert_eq!(probe(&sidecar.inbound).await, Some(503));
    }
    app.answer(StatusCode::OK);
    let statuses = sidecar.inbound.statuses("/pay", 10).await.unwrap();
    assert_eq!(statuses, [200; 10], "no breaker has opened");
    let counts = eventually(SOON, "the budget has counted them", async || {
        let slos: Vec<SloStatus> = control.list("/v1/slos").await?;
        slos[0].objectives[0]
            .counts
            .filter(|counts| 10 <= counts.total)
    });
    let counts = counts.await.unwrap();
    assert_eq!(
        counts,
        Counts {
            total: 10,
            good: 10
        }
    );
    eventually(SOON, "they are shown by themselves", async || {
        let scopes: Vec<ScopeStatus> = control.list("/v1/scopes").await?;
        let has = |service: &str, side: Side, least: u64| {
            let apart = scopes.iter().find(|it| {
                (it.service.as_str(), it.route.as_str(), it.side)
                    == (service, "health-checks", side)
            });
            apart.is_some_and(|it| least <= it.requests)
        };
        (has("shop", Side::Server, 100) && has("unknown", Side::Client, 1)).then_some(())
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
