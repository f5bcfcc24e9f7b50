//! Retry budgets, with the retries of a real caller's Envoy: at the service, and at the caller.
#![cfg(feature = "envoy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use sloop_controlplane::admin::api::ScopeStatus;
use sloop_controlplane::ads::Variant;
use sloop_integration::envoy::{Caller, Upstream};
use sloop_integration::eventually::eventually;
use sloop_model::{Outcome, Share};
use support::control::Control;
use support::fixed::{Fixed, Running};
use support::{Plane, SOON, Sidecar};
use tokio::time::Instant;

/// Attempts beyond the first that the caller's Envoy makes at most.
const RETRIES: usize = 2;
/// Per worker, of which each Envoy has two.
const LEAST: u64 = 1;
const WORKERS: u64 = 2;
/// Retries in vain until it is known that they are.
const LEARNING: u64 = 11;

/// A caller's Envoy, a service's Envoy with or without a retry budget, and the service.
struct Hop {
    app: Upstream,
    plane: Plane,
    service: Running,
    caller: Running,
}

/// What came of some calls.
#[derive(Debug, Default)]
struct Came {
    /// Attempts that reached the service.
    attempts: u64,
    /// Calls that ended with an attempt that the budget refused.
    refused: u64,
    /// Calls that ended well.
    good: u64,
    took: Duration,
}

/// What is reported of so many requests: retries that the budget refused, and requests that were shed.
async fn told(plane: &Plane, requests: u64) -> (u64, u64) {
    let told = eventually(SOON, "all is reported", async || {
        let reports = plane.reports.all();
        let scopes = reports.iter().flat_map(|report| &report.scopes);
        let (mut counted, mut refused, mut shed) = (0, 0, 0);
        for scope in scopes.filter(|scope| scope.route == "all") {
            counted += scope.requests;
            refused += scope.retries_refused;
            shed += scope.outcomes.get(Outcome::Shed as usize).unwrap_or(&0);
        }
        (counted == requests).then_some((refused, shed))
    });
    told.await.unwrap()
}

impl Hop {
    async fn start(retries: &Value) -> Self {
        let app = Upstream::start().await.unwrap();
        let plane = Plane::start().await;
        let scope =
            json!({"service": "shop", "route": "all", "match": [{"path": {"prefix": "/"}}]});
        let service = Fixed {
            server: json!({"scopes": [support::fixed::with(scope, retries)]}),
            control_plane: Some(plane.address),
            ..Fixed::of(app.address())
        };
        let service = service.start().await;
        let route =
            json!({"cluster": "callee", "timeout": "0s", "retry_policy": policy()["retry_policy"]});
        let manager = json!({"route_config": {"virtual_hosts": [{
            "name": "callee", "domains": ["*"], "include_request_attempt_count": true,
            "routes": [{"name": "callee", "match": {"prefix": "/"}, "route": route}],
        }]}});
        let caller = Fixed {
            manager,
            ..Fixed::of(service.inbound)
        };
        Self {
            app,
            plane,
            service,
            caller: caller.start().await,
        }
    }

    async fn call(&self, calls: usize) -> Came {
        let outbound = Caller::of(self.caller.outbound);
        let began = Instant::now();
        let mut came = Came::default();
        for _ in 0..calls {
            let answer = outbound.get("/").await.unwrap();
            let verdict = answer.headers().get("x-sloop-verdict");
            if verdict.is_some_and(|verdict| verdict == "retry") {
                assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
                assert_eq!(answer.headers()["x-envoy-ratelimited"], "true");
                came.refused += 1;
            }
            came.good += u64::from(answer.status() == StatusCode::OK);
        }
        came.attempts = u64::try_from(self.app.take().len()).unwrap();
        came.took = began.elapsed();
        came
    }

    /// Retries that the caller's Envoy made, since it began.
    async fn retried(&self) -> u64 {
        let name = "cluster.callee.upstream_rq_retry";
        let stats = self.caller.envoy.stats(name).await.unwrap();
        stats.iter().find(|(stat, _)| stat == name).unwrap().1
    }
}

fn budget() -> Value {
    json!({"retries": {"limits": {"share": 1_000, "least": LEAST}}})
}

#[tokio::test]
async fn without_a_budget_a_service_that_fails_gets_each_request_three_times() {
    let hop = Hop::start(&json!({})).await;
    hop.app.answer(StatusCode::INTERNAL_SERVER_ERROR);
    let came = hop.call(50).await;
    assert_eq!((came.attempts, came.refused), (150, 0));
}

#[tokio::test]
async fn retries_of_a_service_that_fails_stay_within_their_budget_and_are_not_repeated() {
    const CALLS: usize = 300;
    let hop = Hop::start(&budget()).await;
    hop.app.answer(StatusCode::INTERNAL_SERVER_ERROR);
    let came = hop.call(CALLS).await;
    let first = u64::try_from(CALLS).unwrap();
    let passed = came.attempts - first;
    let timely = WORKERS * LEAST * (came.took.as_secs() + 2);
    let most = first / 10 + timely + WORKERS * LEARNING;
    assert!(passed <= most, "{passed} of {most}: {came:?}");
    assert!(0 < came.refused, "{came:?}");
    // A refused one is the last of its call: Envoy retries nothing with `x-envoy-ratelimited`.
    assert_eq!(hop.retried().await, passed + came.refused, "{came:?}");
    let told = told(&hop.plane, came.attempts + came.refused).await;
    assert_eq!(told, (came.refused, came.refused));
    hop.service.is_whole().await;
}

#[tokio::test]
async fn retries_that_help_all_pass_however_many_they_are() {
    let hop = Hop::start(&budget()).await;
    hop.app.fail(Share::try_from(2_500).unwrap());
    let came = hop.call(200).await;
    let retried = came.attempts - 200;
    assert!(30 < retried, "more than the budget: {came:?}");
    assert_eq!(came.refused, 0);
    assert_eq!(hop.retried().await, retried);
    assert!(190 < came.good, "{came:?}");
}

/// An Envoy through which calls go out, and the service that it calls.
struct Outbound {
    app: Upstream,
    plane: Plane,
    caller: Running,
    /// One connection, and so one worker: each has a budget of its own.
    outbound: Caller,
}

impl Outbound {
    /// With `retries` on the scope, and retries of the route as `policy` says.
    async fn start(retries: &Value, policy: &Value) -> Self {
        let app = Upstream::start().await.unwrap();
        let plane = Plane::start().await;
        let scope =
            json!({"service": "callee", "route": "all", "match": [{"path": {"prefix": "/"}}]});
        let route = json!({"cluster": "callee", "timeout": "0s"});
        let route = support::fixed::with(route, policy);
        // Of whom it does not know as internal, Envoy takes no word of how often to try.
        let internal = json!({"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]});
        let caller = Fixed {
            client: json!({"scopes": [support::fixed::with(scope, retries)]}),
            manager: json!({
                "use_remote_address": true,
                "internal_address_config": internal,
                "route_config": {"virtual_hosts": [{
                    "name": "callee", "domains": ["*"],
                    "routes": [{"name": "callee", "match": {"prefix": "/"}, "route": route}],
                }]},
            }),
            control_plane: Some(plane.address),
            ..Fixed::of(app.address())
        };
        let caller = caller.start().await;
        Self {
            outbound: Caller::of(caller.outbound),
            caller,
            app,
            plane,
        }
    }

    /// Calls with these headers. Nothing that says how often to try reaches the service.
    async fn call(&self, calls: usize, headers: &[(&str, &[u8])]) -> Came {
        sent(&self.outbound, &self.app, calls, headers).await
    }
}

async fn sent(outbound: &Caller, app: &Upstream, calls: usize, headers: &[(&str, &[u8])]) -> Came {
    let began = Instant::now();
    let mut came = Came::default();
    for _ in 0..calls {
        let answer = outbound.get_with_all("/", headers).await.unwrap();
        came.good += u64::from(answer.status() == StatusCode::OK);
    }
    let arrived = app.take();
    for request in &arrived {
        for name in ["x-envoy-max-retries", "x-envoy-retry-on"] {
            assert!(!request.headers.contains_key(name), "{name} went on");
        }
    }
    came.attempts = u64::try_from(arrived.len()).unwrap();
    came.took = began.elapsed();
    came
}

/// The most attempts of so many calls that all fail. A worker that they did not meet before learns it first, by one request
/// more than it takes.
fn attempts_most(came: &Came, calls: u64) -> u64 {
    let timely = LEAST * (came.took.as_secs() + 2);
    calls + calls / 10 + WORKERS * (timely + LEARNING + 1)
}

fn policy() -> Value {
    json!({"retry_policy": {"retry_on": "5xx", "num_retries": RETRIES,
           "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"}}})
}

/// Good calls; a hundred end it.
const CALM: usize = 150;

#[tokio::test]
async fn a_callers_budget_comes_before_the_retries_of_its_route_and_they_come_back() {
    const CALLS: u64 = 300;
    let hop = Outbound::start(&budget(), &policy()).await;
    hop.app.answer(StatusCode::INTERNAL_SERVER_ERROR);
    let learning = hop.call(100, &[]).await;
    assert!(100 + LEARNING <= learning.attempts, "{learning:?}");
    let came = hop.call(300, &[]).await;
    let most = attempts_most(&came, CALLS);
    assert!((CALLS..=most).contains(&came.attempts), "{most}: {came:?}");
    let calls = CALLS + 100;
    let (refused, shed) = told(&hop.plane, calls).await;
    // Whatever was not tried again would have been; what was made three attempts.
    let tried_again = (learning.attempts + came.attempts - calls) / 2;
    assert_eq!(
        (refused + tried_again, shed),
        (calls, 0),
        "{learning:?}, {came:?}"
    );

    hop.app.answer(StatusCode::OK);
    hop.call(CALM, &[]).await;
    hop.app.fail(Share::try_from(2_500).unwrap());
    let came = hop.call(200, &[]).await;
    assert!(30 < came.attempts - 200, "more than the budget: {came:?}");
    assert!(190 < came.good, "{came:?}");
    hop.caller.is_whole().await;
}

#[tokio::test]
async fn a_callers_budget_comes_before_what_the_application_asks_for() {
    const CALLS: u64 = 200;
    let on = ("x-envoy-retry-on", &b"5xx"[..]);
    let asks = &[on, ("x-envoy-max-retries", b"2")];
    let without = Outbound::start(&json!({}), &json!({})).await;
    without.app.answer(StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        without.call(20, &[on]).await.attempts,
        40,
        "Envoy's default"
    );
    assert_eq!(without.call(20, asks).await.attempts, 60);
    let hop = Outbound::start(&budget(), &json!({})).await;
    hop.app.answer(StatusCode::INTERNAL_SERVER_ERROR);
    hop.call(100, asks).await;
    let came = hop.call(200, asks).await;
    let most = attempts_most(&came, CALLS);
    assert!((CALLS..=most).contains(&came.attempts), "{most}: {came:?}");
    // Where nobody tries again there is nothing to refuse, and the header does not go on either.
    assert_eq!(hop.call(20, &[]).await.attempts, 20);
}

const DOCUMENTS: &str = "
apiVersion: sloop.dev/v1
kind: RouteSet
metadata: {name: payments}
spec:
  service: payments
  authorities: [payments, 127.0.0.1]
  routes:
  - {name: all, match: [{path: {prefix: /}}]}
---
apiVersion: sloop.dev/v1
kind: LoadShedding
metadata: {name: payments}
spec: {service: payments, side: client, retries: {share: 10%, least: 1}}
";

#[tokio::test]
async fn a_document_bounds_the_retries_of_callers_while_the_service_fails() {
    const CALLS: u64 = 300;
    let app = Upstream::start().await.unwrap();
    let control = Control::start(support::module()).await;
    let way = (control.grpc, Variant::Delta);
    let sidecar = Sidecar::start_rewritten(app.address(), way, |bootstrap| {
        let route = "timeout: 0s}";
        let retried = format!("timeout: 0s, retry_policy: {}}}", policy()["retry_policy"]);
        bootstrap.to_yaml().replace(route, &retried)
    })
    .await;
    let call = async |calls| sent(&sidecar.outbound, &app, calls, &[]).await;
    app.answer(StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(call(20).await.attempts, 60, "nothing is declared");
    control.declare(DOCUMENTS);
    eventually(SOON, "the budget is in force and has learnt", async || {
        let came = call(20).await;
        (came.attempts <= 24).then_some(())
    })
    .await
    .unwrap();
    call(100).await;
    let came = call(300).await;
    let most = attempts_most(&came, CALLS);
    assert!((CALLS..=most).contains(&came.attempts), "{most}: {came:?}");
    eventually(SOON, "what was ruled out is shown", async || {
        let scopes: Vec<ScopeStatus> = control.list("/v1/scopes").await?;
        let budget = scopes.iter().find_map(|scope| scope.retry_budget)?;
        (200 < budget.refused).then_some(())
    })
    .await
    .unwrap();
    app.answer(StatusCode::OK);
    call(CALM).await;
    app.fail(Share::try_from(2_500).unwrap());
    let came = call(200).await;
    assert!(30 < came.attempts - 200, "more than the budget: {came:?}");
    assert!(190 < came.good, "{came:?}");
}
