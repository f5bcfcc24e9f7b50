//! SLOs on some requests of a route only: by caller, method and origin, from documents to budgets, on the real Envoy.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use http::StatusCode;
use sloop_controllers::{Counts, SloStatus};
use sloop_controlplane::admin::api::ScopeStatus;
use sloop_controlplane::ads::Variant;
use sloop_integration::envoy::Upstream;
use sloop_integration::eventually::eventually;
use sloop_model::Side;
use support::control::Control;
use support::{SOON, Sidecar, raw};

const SETTINGS: &str = "
apiVersion: sloop.dev/v1
kind: RouteSet
metadata: {name: shop}
spec: {service: shop, routes: [{name: pay, match: [{path: {prefix: /pay}}]}]}
---
apiVersion: sloop.dev/v1
kind: RouteSet
metadata: {name: payments}
spec: {service: payments, authorities: [shop], routes: [{name: pay, match: [{path: {prefix: /pay}}]}]}
---
apiVersion: sloop.dev/v1
kind: FilterSettings
metadata: {name: shop}
spec: {service: shop, dimensions: {caller: {header: x-caller}, origin: {baggage: origin}, values_max: 1}}
";

/// Each SLO, and which requests it counts.
const SLOS: [(&str, &str); 9] = [
    ("all", "route: pay"),
    ("web", "route: pay, caller: web"),
    ("batch", "route: pay, caller: batch"),
    ("both", "route: pay, caller: [web, batch]"),
    ("reads", "route: pay, method: GET"),
    ("web-writes", "route: pay, caller: web, method: POST"),
    ("app", "route: pay, origin: app"),
    (
        "shop-calls",
        "service: payments, route: pay, side: client, caller: shop, method: POST",
    ),
    (
        "cart-calls",
        "service: payments, route: pay, side: client, caller: cart",
    ),
];

/// The one that acts: it is about all requests of its route.
const ACTS: &str = "all";

fn documents() -> String {
    let mut text = SETTINGS.to_owned();
    for (name, spec) in SLOS {
        let metric = format!("{{metricSource: {{type: sloop, spec: {{{spec}}}}}}}");
        let mode = if name == ACTS {
            "actionable"
        } else {
            "monitored"
        };
        text.push_str(&format!(
            "---\napiVersion: openslo/v1\nkind: SLO\n\
             metadata: {{name: {name}, annotations: {{sloop.dev/mode: {mode}}}}}\nspec:\n  service: shop\n  \
             indicator: {{metadata: {{name: i}}, spec: {{ratioMetric: {{total: {metric}, good: {metric}}}}}}}\n  \
             timeWindow: [{{duration: 28d, isRolling: true}}]\n  budgetingMethod: Occurrences\n  \
             objectives: [{{target: 0.9}}]\n"
        ));
    }
    text
}

/// Asks for `/pay` so many times.
async fn ask(to: SocketAddr, method: &str, lines: &[(&str, &str)], times: usize) {
    let lines: Vec<(&str, &[u8])> = lines.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
    let request = raw::request(method, b"/pay", &lines);
    for _ in 0..times {
        assert!(raw::status(&raw::ask(to, &request).await).is_some());
    }
}

/// What the budgets of all SLOs have counted.
async fn budgets(control: &Control) -> Option<BTreeMap<String, Option<Counts>>> {
    let slos: Vec<SloStatus> = control.list("/v1/slos").await?;
    let counts = slos
        .iter()
        .map(|slo| (slo.name.to_string(), slo.objectives[0].counts));
    Some(counts.collect())
}

/// Total and good of each SLO after all requests.
fn expected() -> BTreeMap<String, Option<Counts>> {
    [
        ("all", Some((111, 105))),
        ("web", Some((74, 70))),
        ("batch", Some((32, 30))),
        ("both", Some((106, 100))),
        ("reads", Some((67, 65))),
        ("web-writes", Some((34, 30))),
        ("app", Some((50, 50))),
        ("shop-calls", Some((8, 7))),
        ("cart-calls", None),
    ]
    .into_iter()
    .map(|(name, counts)| {
        let counts = counts.map(|(total, good)| Counts { total, good });
        (name.to_owned(), counts)
    })
    .collect()
}

/// Only the route of the SLO that acts has breakers, though others of the SLOs count elsewhere.
async fn breakers_are_where_an_slo_is_about_all(control: &Control) {
    let mut scopes: Vec<ScopeStatus> = Vec::new();
    let has_breakers = eventually(SOON, "breakers of the SLO that acts", async || {
        scopes = control.list("/v1/scopes").await?;
        scopes
            .iter()
            .any(|it| !it.breakers.is_empty())
            .then_some(())
    });
    assert!(has_breakers.await.is_ok(), "{scopes:#?}");
    let is_seen = |service: &str, side: Side| {
        let mut seen = scopes.iter();
        seen.any(|it| it.service.as_str() == service && it.side == side && 0 < it.requests)
    };
    assert!(is_seen("payments", Side::Client), "{scopes:#?}");
    let guarded = scopes.iter().filter(|scope| !scope.breakers.is_empty());
    let guarded: Vec<_> = guarded
        .map(|it| (it.service.as_str(), it.route.as_str(), it.side))
        .collect();
    assert_eq!(guarded, [("shop", "pay", Side::Server)]);
}

#[tokio::test]
async fn callers_methods_and_origins_have_budgets_of_their_own() {
    let app = Upstream::start().await.unwrap();
    let control = Control::start(support::module()).await;
    control.declare(&documents());
    // A sidecar that comes before they are read runs without them for a moment, and counts for none.
    let all_are_read = eventually(SOON, "all SLOs are read", async || {
        let slos: Vec<SloStatus> = control.list("/v1/slos").await?;
        (slos.len() == SLOS.len()).then_some(())
    });
    all_are_read.await.unwrap();
    let sidecar = Sidecar::start(app.address(), control.grpc, Variant::Delta).await;
    let (inbound, outbound) = (sidecar.inbound.address(), sidecar.outbound.address());
    eventually(SOON, "all workers run with it", async || {
        // Not of the route that counts.
        raw::ask(inbound, &raw::get(b"/", &[])).await;
        raw::ask(outbound, &raw::get(b"/", &[])).await;
        control.is_everywhere().await.then_some(())
    })
    .await
    .unwrap();

    let web = ("x-caller", "web");
    let batch = ("x-caller", "batch");
    let from_app = ("baggage", "a=b,origin=app;p=1");
    // Who comes first has the only row of its own; what is counted for an SLO does not depend on it.
    ask(inbound, "GET", &[("x-caller", "first")], 5).await;
    ask(inbound, "GET", &[web], 40).await;
    ask(inbound, "POST", &[web, from_app], 30).await;
    ask(inbound, "GET", &[batch, from_app], 20).await;
    ask(inbound, "POST", &[batch], 10).await;
    ask(outbound, "POST", &[], 7).await;
    ask(outbound, "GET", &[], 3).await;
    app.answer(StatusCode::SERVICE_UNAVAILABLE);
    ask(inbound, "POST", &[web], 4).await;
    ask(inbound, "GET", &[batch], 2).await;
    ask(outbound, "POST", &[], 1).await;

    let expected = expected();
    let all = |counts: &BTreeMap<String, Option<Counts>>| {
        let totals = |name| counts.get(name).copied().flatten().map(|it| it.total);
        totals("all") == Some(111) && totals("shop-calls") == Some(8)
    };
    let mut counted = BTreeMap::new();
    let is_all = eventually(SOON, "everything is counted", async || {
        counted = budgets(&control).await?;
        all(&counted).then_some(())
    })
    .await;
    assert!(is_all.is_ok(), "{counted:#?}");
    assert_eq!(counted, expected);

    let slos: Vec<SloStatus> = control.list("/v1/slos").await.unwrap();
    let source = |name: &str| {
        let slo = slos.iter().find(|slo| slo.name.as_str() == name).unwrap();
        slo.objectives[0].source.clone().unwrap()
    };
    assert!(
        source("web-writes").ends_with(", only method POST, caller web"),
        "{}",
        source("web-writes")
    );
    breakers_are_where_an_slo_is_about_all(&control).await;
}
