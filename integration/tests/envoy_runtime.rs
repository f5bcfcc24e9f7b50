//! Which numbers a real Envoy looks up at run time, and that a document changes them without anything being made anew.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::net::SocketAddr;

use sloop_controlplane::ads::Variant;
use sloop_integration::envoy::{Caller, Envoy, Upstream};
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use support::SOON;
use support::fleet::{Plane, edge, endpoints, typed};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

/// A listener to the cluster `alpha` whose requests may be refused and broken, if numbers say so that nobody gave yet.
fn listener(at: SocketAddr) -> String {
    let router = typed("extensions.filters.http.router.v3.Router", "");
    let fault = typed(
        "extensions.filters.http.fault.v3.HTTPFault",
        "abort: {http_status: 503, percentage: {numerator: 0}}, \
         delay: {fixed_delay: 3600s, percentage: {numerator: 0}}",
    );
    let admission = typed(
        "extensions.filters.http.admission_control.v3.AdmissionControl",
        "enabled: {default_value: false, runtime_key: admission.enabled}, \
         rps_threshold: {default_value: 0, runtime_key: admission.rps_threshold}, \
         sr_threshold: {default_value: {value: 1}, runtime_key: admission.sr_threshold}, \
         max_rejection_probability: {default_value: {value: 100}, runtime_key: admission.max_rejection_probability}, \
         success_criteria: {http_criteria: {http_success_status: [{start: 100, end: 500}]}}, \
         sampling_window: 5s",
    );
    let manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        &format!(
            "stat_prefix: web, route_config: {{name: web, virtual_hosts: [{{name: all, domains: [\"*\"], \
             routes: [{{match: {{prefix: /}}, route: {{cluster: alpha, timeout: 0s}}}}]}}]}}, \
             http_filters: [{{name: admission, typed_config: {admission}}}, {{name: fault, typed_config: {fault}}}, \
             {{name: envoy.filters.http.router, typed_config: {router}}}]"
        ),
    );
    typed(
        "config.listener.v3.Listener",
        &format!(
            "name: web, address: {{socket_address: {{address: {}, port_value: {}}}}}, \
             filter_chains: [{{filters: [{{name: envoy.filters.network.http_connection_manager, typed_config: {manager}}}]}}]",
            at.ip(),
            at.port()
        ),
    )
}

fn cluster() -> String {
    typed(
        "config.cluster.v3.Cluster",
        "name: alpha, type: EDS, connect_timeout: 1s, \
         eds_cluster_config: {service_name: alpha-pool, eds_config: {resource_api_version: V3, ads: {}}}",
    )
}

fn runtime(numbers: &str) -> String {
    typed(
        "service.runtime.v3.Runtime",
        &format!("name: fleet, layer: {{{numbers}}}"),
    )
}

/// A fleet of one Envoy in front of `upstream`.
struct Fleet {
    plane: Plane,
    envoy: Envoy,
    at: SocketAddr,
    web: Caller,
    resources: Vec<String>,
}

impl Fleet {
    async fn before(upstream: SocketAddr) -> Self {
        let plane = Plane::start().await;
        let web = ports::free_address().unwrap();
        let resources = vec![listener(web), cluster(), endpoints("alpha", upstream)];
        plane.declare(&resources);
        let envoy = edge(&plane, Variant::Delta).await;
        let fleet = Self {
            plane,
            envoy,
            at: web,
            web: Caller::of(web),
            resources,
        };
        fleet
            .shows("alpha::default_priority::max_requests::1024")
            .await;
        eventually(SOON, "it listens", async || {
            let listeners = fleet.envoy.get("/listeners").await.ok()?;
            listeners.contains("web").then_some(())
        })
        .await
        .unwrap();
        fleet
    }

    /// Declares the `numbers`, and no other.
    fn declare(&self, numbers: &str) {
        let mut resources = self.resources.clone();
        resources.push(runtime(numbers));
        self.plane.declare(&resources);
    }

    /// Waits until the admin interface shows this of clusters.
    async fn shows(&self, wanted: &str) {
        let mut text = String::new();
        let shown = eventually(SOON, wanted, async || {
            text = self.envoy.get("/clusters").await.ok()?;
            text.contains(wanted).then_some(())
        });
        let shown = shown.await;
        assert!(shown.is_ok(), "{wanted}:\n{text}");
    }

    /// Waits until requests are answered with `status`.
    async fn answers(&self, status: u16) {
        let what = format!("an answer is {status}");
        let answered = eventually(SOON, &what, async || {
            let answer = self.web.get("/").await.ok()?;
            (answer.status() == status).then_some(())
        });
        answered.await.unwrap();
    }

    async fn stat(&self, name: &str) -> u64 {
        self.envoy.stat(name).await.unwrap().unwrap_or(0)
    }

    /// What was made anew of listeners, clusters and filters.
    async fn made(&self) -> Vec<(String, u64)> {
        let stats =
            "(lds|cds)\\.update_(success|rejected)|(listener|cluster)_(added|modified|removed)";
        self.envoy.stats(stats).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thresholds_of_clusters_are_looked_up_at_run_time() {
    let upstream = Upstream::start().await.unwrap();
    let fleet = Fleet::before(upstream.address()).await;
    let made = fleet.made().await;
    for (number, key) in [
        "max_connections",
        "max_pending_requests",
        "max_requests",
        "max_retries",
    ]
    .into_iter()
    .enumerate()
    {
        for priority in ["default", "high"] {
            let value = 70 + number;
            fleet.declare(&format!("circuit_breakers.alpha.{priority}.{key}: {value}"));
            let shown = format!("alpha::{priority}_priority::{key}::{value}");
            fleet.shows(&shown).await;
        }
    }
    assert_eq!(fleet.made().await, made, "nothing was made anew");
}

/// How many retries may be under way is a share of what is: of eight requests that nobody answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_budget_comes_and_changes_at_run_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fleet = Fleet::before(silent.local_addr().unwrap()).await;
    let made = fleet.made().await;
    fleet.shows("alpha::default_priority::max_retries::3").await;
    let budget = "circuit_breakers.alpha.default.retry_budget";
    fleet.declare(&format!("{budget}.min_retry_concurrency: 17"));
    fleet
        .shows("alpha::default_priority::max_retries::17")
        .await;

    let mut waiting = Vec::new();
    for _ in 0..8 {
        let mut user = TcpStream::connect(fleet.at).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: alpha\r\n\r\n";
        user.write_all(request).await.unwrap();
        waiting.push(user);
    }
    eventually(SOON, "eight are under way", async || {
        let active = fleet.stat("cluster.alpha.upstream_rq_active").await;
        (active == 8).then_some(())
    })
    .await
    .unwrap();
    for (percent, retries) in [(100, 8), (50, 4)] {
        fleet.declare(&format!(
            "{budget}.min_retry_concurrency: 1, {budget}.budget_percent: {percent}"
        ));
        let shown = format!("alpha::default_priority::max_retries::{retries}");
        fleet.shows(&shown).await;
    }
    fleet.declare("");
    fleet.shows("alpha::default_priority::max_retries::3").await;
    drop(waiting);
    assert_eq!(fleet.made().await, made, "nothing was made anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_of_faults_and_admission_control_are_looked_up_at_run_time() {
    let upstream = Upstream::start().await.unwrap();
    let fleet = Fleet::before(upstream.address()).await;
    fleet.answers(200).await;
    let made = fleet.made().await;
    fleet.declare("fault.http.abort.abort_percent: 100");
    fleet.answers(503).await;
    fleet.declare("fault.http.abort.abort_percent: 100, fault.http.abort.http_status: 429");
    fleet.answers(429).await;
    fleet.declare(
        "fault.http.delay.fixed_delay_percent: 100, fault.http.delay.fixed_duration_ms: 1",
    );
    eventually(SOON, "requests are held back", async || {
        let answer = fleet.web.get("/").await.ok()?;
        assert!([200, 429].contains(&answer.status().as_u16()), "{answer:?}");
        let delayed = fleet.stat("http.web.fault.delays_injected").await;
        (0 < delayed).then_some(())
    })
    .await
    .unwrap();
    fleet.declare("fault.http.delay.fixed_delay_percent: 100, fault.http.delay.fixed_duration_ms: 1, fault.http.max_active_faults: 0");
    eventually(SOON, "there are too many", async || {
        fleet.web.get("/").await.ok()?;
        let over = fleet.stat("http.web.fault.faults_overflow").await;
        (0 < over).then_some(())
    })
    .await
    .unwrap();

    // Half of all must succeed, and none does.
    let failing = "fault.http.abort.abort_percent: 100, admission.sr_threshold: 50";
    let rejected = "http.web.admission_control.rq_rejected";
    fleet.declare(failing);
    fleet.answers(503).await;
    assert_eq!(fleet.stat(rejected).await, 0, "it is off");
    fleet.declare(&format!("{failing}, admission.enabled: true"));
    eventually(SOON, "requests are refused", async || {
        fleet.web.get("/").await.ok()?;
        (0 < fleet.stat(rejected).await).then_some(())
    })
    .await
    .unwrap();
    fleet.declare(&format!(
        "{failing}, admission.enabled: true, admission.max_rejection_probability: 0"
    ));
    let mut before = u64::MAX;
    eventually(SOON, "they are not any more", async || {
        let now = fleet.stat(rejected).await;
        let goes_on = core::mem::replace(&mut before, now) != now;
        for _ in 0..50 {
            fleet.web.get("/").await.ok()?;
        }
        (!goes_on && fleet.stat(rejected).await == now).then_some(())
    })
    .await
    .unwrap();
    fleet.declare("");
    fleet.answers(200).await;
    assert_eq!(fleet.made().await, made, "nothing was made anew");
}
