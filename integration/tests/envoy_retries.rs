//! Retry budgets, with the retries of a real caller's Envoy.
#![cfg(feature = "envoy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use sloop_integration::envoy::{Caller, Upstream};
use sloop_integration::eventually::eventually;
use sloop_model::{Outcome, Share};
use support::fixed::{Fixed, Running};
use support::{Plane, SOON};
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
        let policy = json!({"retry_on": "5xx", "num_retries": RETRIES,
                            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"}});
        let route = json!({"cluster": "callee", "timeout": "0s", "retry_policy": policy});
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
    let told = eventually(SOON, "all is reported", async || {
        let reports = hop.plane.reports.all();
        let scopes = reports.iter().flat_map(|report| &report.scopes);
        let (mut requests, mut refused, mut shed) = (0, 0, 0);
        for scope in scopes.filter(|scope| scope.route == "all") {
            requests += scope.requests;
            refused += scope.retries_refused;
            shed += scope.outcomes.get(Outcome::Shed as usize).unwrap_or(&0);
        }
        (requests == came.attempts + came.refused).then_some((refused, shed))
    });
    assert_eq!(told.await.unwrap(), (came.refused, came.refused));
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
