//! A fleet without our filter, to which changes go that every Envoy accepts and that break requests.
//!
//! The program is `$SLOOP`, else `target/debug/sloop`.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]
#![allow(clippy::print_stdout, reason = "a measured time is worth seeing")]

mod support;

use std::net::SocketAddr;
use std::time::Instant;

use http::StatusCode;
use serde_json::Value;
use sloop_controlplane::ads::Variant;
use sloop_integration::envoy::{Caller, Envoy, Upstream};
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use support::SOON;
use support::fleet::{Plane, cluster, edge, edge_at, endpoints, filtered, listener, routes};
use support::load::Load;

/// Four Envoys, each with its own port and users.
struct Fleet {
    plane: Plane,
    _envoys: Vec<Envoy>,
    callers: Vec<Caller>,
}

impl Fleet {
    /// All requests go to `alpha`, which is at `at`.
    async fn start(at: SocketAddr) -> Self {
        let plane = Plane::patient("4").await;
        declare(&plane, "alpha", at, 1_000);
        let (mut envoys, mut callers) = (Vec::new(), Vec::new());
        for number in 1..=4 {
            let web = ports::free_address().unwrap();
            envoys.push(edge_at(&format!("edge-{number}"), web, &plane).await);
            callers.push(Caller::of(web));
        }
        let fleet = Self {
            plane,
            _envoys: envoys,
            callers,
        };
        for caller in &fleet.callers {
            eventually(SOON, "the fleet serves", async || {
                let answer = caller.get("/").await.ok()?;
                (answer.status() == 200).then_some(())
            })
            .await
            .unwrap();
        }
        fleet.stands("settled", &Value::Null).await;
        fleet
    }

    /// Waits until all Envoys have what they should, and the last change ended so; it is not the one called `before`.
    async fn stands(&self, stage: &str, before: &Value) -> Value {
        let mut last = Value::Null;
        let ended = eventually(SOON, "the change ends", async || {
            last = self.plane.push().await;
            let is_other = before.is_null() || last["revision"] != *before;
            let is_over = last["stage"] == stage && last["in_force"] == 4 && is_other;
            is_over.then_some(last.clone())
        });
        let ended = ended.await;
        ended.unwrap_or_else(|error| panic!("{error:#}: {last}"))
    }

    /// Declares something that breaks the requests of whoever has it. Says which change that was.
    async fn survives(
        &self,
        name: &str,
        at: SocketAddr,
        max_requests: u32,
        before: &Value,
    ) -> Value {
        let loads: Vec<_> = self
            .callers
            .iter()
            .map(|it| Load::start(it.clone(), "/"))
            .collect();
        let begun = Instant::now();
        declare(&self.plane, name, at, max_requests);
        let push = self.stands("rolled_back", before).await;
        let took = begun.elapsed();
        let reason = push["reason"].as_str().unwrap();
        println!("{name}: taken back after {took:?}, as {reason}");
        assert!(
            reason.contains(" requests failed where it was tried, 0 of "),
            "{reason}"
        );
        let mut loads = loads.into_iter();
        let failed = loads.next().unwrap().failed().await;
        assert!(20 <= failed.len(), "the first tried it: {}", failed.len());
        for load in loads {
            load.none_failed().await;
        }
        // Envoy says so before its workers have all of it.
        let caller = &self.callers[0];
        let well = eventually(SOON, "the first serves again", async || {
            let statuses = caller.statuses("/", 1).await.ok()?;
            (statuses == [200]).then_some(())
        });
        well.await.unwrap();
        assert_eq!(caller.statuses("/", 50).await.unwrap(), [200; 50]);
        push["revision"].clone()
    }
}

/// All requests go to the cluster `name`, which is at `at`.
fn declare(plane: &Plane, name: &str, at: SocketAddr, max_requests: u32) {
    plane.declare(&[
        routes(name),
        cluster(name, max_requests),
        endpoints(name, at),
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_breaks_requests_without_a_filter_is_taken_back_from_the_first() {
    let (one, two, broken) = (
        Upstream::start().await.unwrap(),
        Upstream::start().await.unwrap(),
        Upstream::start().await.unwrap(),
    );
    broken.answer(StatusCode::SERVICE_UNAVAILABLE);
    let fleet = Fleet::start(one.address()).await;
    let nobody = ports::free_address().unwrap();
    let refusing = fleet
        .survives("refusing", nobody, 1_000, &Value::Null)
        .await;
    let failing = fleet
        .survives("failing", broken.address(), 1_000, &refusing)
        .await;
    fleet.survives("full", two.address(), 0, &failing).await;

    let loads: Vec<_> = fleet
        .callers
        .iter()
        .map(|it| Load::start(it.clone(), "/"))
        .collect();
    declare(&fleet.plane, "beta", two.address(), 1_000);
    fleet.stands("settled", &Value::Null).await;
    for load in loads {
        load.none_failed().await;
    }
    assert!(!two.take().is_empty(), "a good change reaches them");
    for caller in &fleet.callers {
        assert_eq!(caller.statuses("/", 5).await.unwrap(), [200; 5]);
    }
    assert_eq!(two.take().len(), 20, "all of them");
}

/// How the only group stands, once `is_it` so.
async fn stands(plane: &Plane, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = eventually(SOON, what, async || {
        last = plane.push().await;
        (last["in_force"] == 1 && is_it(&last)).then_some(last.clone())
    });
    let found = found.await;
    found.unwrap_or_else(|error| panic!("{error:#}: {last}"))
}

/// Waits until the control plane knows what is usual, by what the filter and Envoy count.
async fn is_usual(plane: &Plane) {
    let reports = async || {
        let metrics = plane.admin.get("/metrics").await.ok()?;
        let metrics = String::from_utf8(metrics.body().to_vec()).ok()?;
        let name = r#"sloop_controlplane_load_reports_total{result="received"} "#;
        let count = metrics.lines().find_map(|line| line.strip_prefix(name))?;
        count.parse::<u64>().ok()
    };
    let before = reports().await.unwrap();
    eventually(SOON, "it is known what is usual", async || {
        let scopes = plane.items("/v1/scopes").await;
        let counted: Option<u64> = scopes.iter().map(|it| it["requests"].as_u64()).sum();
        (100 <= counted? && before + 2 <= reports().await?).then_some(())
    })
    .await
    .unwrap();
}

/// With the filter its reports end. What goes on is what Envoy counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_takes_the_filter_away_and_breaks_requests_is_taken_back() {
    let (app, broken) = (
        Upstream::start().await.unwrap(),
        Upstream::start().await.unwrap(),
    );
    broken.answer(StatusCode::SERVICE_UNAVAILABLE);
    let plane = Plane::with_module("2", support::module()).await;
    let web = ports::free_address().unwrap();
    let declare = |listener: String, to: &str, max_requests| {
        plane.declare(&[
            listener,
            routes(to),
            cluster("alpha", max_requests),
            endpoints("alpha", app.address()),
            cluster("beta", 1_000),
            endpoints("beta", broken.address()),
        ]);
    };
    declare(filtered(web), "alpha", 1_000);
    let envoy = edge(&plane, Variant::Delta).await;
    let caller = Caller::of(web);
    eventually(SOON, "it serves", async || {
        let answer = caller.get("/").await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await
    .unwrap();
    let has_filter = async || {
        let listeners = envoy.get("/config_dump?resource=dynamic_listeners");
        listeners.await.unwrap().contains("sloop-inbound")
    };
    assert!(has_filter().await);
    // Until then it tries what it has, and nothing is usual.
    stands(&plane, "it has it for good", |it| it["stage"] == "settled").await;
    let load = Load::anew(web, "/");
    is_usual(&plane).await;

    declare(listener(web), "beta", 1_000);
    eventually(SOON, "the filter is gone", async || {
        (!has_filter().await).then_some(())
    })
    .await
    .unwrap();
    let back = stands(&plane, "it is taken back", |it| {
        it["stage"] == "rolled_back"
    })
    .await;
    let reason = back["reason"].as_str().unwrap();
    println!("{reason}");
    assert!(reason.contains(" requests failed where it was tried, 0 of "));
    assert!(has_filter().await);
    // What the filter's return looks like, and what failed until then, is held against nothing else.
    declare(filtered(web), "alpha", 900);
    let is_next = |it: &Value| it["stage"] != "trying" && it["revision"] != back["revision"];
    let next = stands(&plane, "the next one ends", is_next).await;
    assert_eq!(next["stage"], "settled", "{next}");
    let failed = load.failed().await;
    assert!(20 <= failed.len(), "{}", failed.len());
    assert_eq!(caller.statuses("/", 20).await.unwrap(), [200; 20]);
}
