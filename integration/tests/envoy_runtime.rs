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
use sloop_xds::Locality;
use support::control::Control;
use support::fleet::{Plane, edge, edge_that, endpoints, typed};
use support::{SOON, Sidecar, module};
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

/// Waits until the admin interface shows this of clusters.
async fn shows(envoy: &Envoy, wanted: &str) {
    let mut text = String::new();
    let shown = eventually(SOON, wanted, async || {
        text = envoy.get("/clusters").await.ok()?;
        text.contains(wanted).then_some(())
    });
    let shown = shown.await;
    assert!(shown.is_ok(), "{wanted}:\n{text}");
}

/// What each runtime layer says of `key`, as `/runtime` shows it; null when none says anything.
async fn said(envoy: &Envoy, key: &str) -> serde_json::Value {
    let text = envoy.get("/runtime").await.unwrap();
    let runtime: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(runtime["layers"], serde_json::json!(["fleet", "admin"]));
    runtime["entries"][key]["layer_values"].clone()
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
    async fn before(upstream: SocketAddr, variant: Variant) -> Self {
        let plane = Plane::start().await;
        let web = ports::free_address().unwrap();
        let resources = vec![listener(web), cluster(), endpoints("alpha", upstream)];
        plane.declare(&resources);
        let envoy = edge(&plane, variant).await;
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
        shows(&self.envoy, wanted).await;
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
    let fleet = Fleet::before(upstream.address(), Variant::Delta).await;
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
    let fleet = Fleet::before(silent.local_addr().unwrap(), Variant::Delta).await;
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
    let fleet = Fleet::before(upstream.address(), Variant::Delta).await;
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

/// What the document of a number says goes with it, also when it is deleted while nobody is there to say so.
async fn a_number_goes_with_its_document(variant: Variant) {
    const KEY: &str = "circuit_breakers.alpha.default.max_requests";
    let upstream = Upstream::start().await.unwrap();
    let mut fleet = Fleet::before(upstream.address(), variant).await;
    let made = fleet.made().await;
    assert!(said(&fleet.envoy, KEY).await.is_null());
    fleet.declare(&format!("{KEY}: 71"));
    fleet
        .shows("alpha::default_priority::max_requests::71")
        .await;
    let both = serde_json::json!(["71", ""]);
    assert_eq!(said(&fleet.envoy, KEY).await, both);
    fleet.plane.declare(&fleet.resources);
    fleet
        .shows("alpha::default_priority::max_requests::1024")
        .await;
    assert!(said(&fleet.envoy, KEY).await.is_null());
    assert_eq!(fleet.made().await, made, "nothing was made anew");

    fleet.declare(&format!("{KEY}: 72"));
    fleet
        .shows("alpha::default_priority::max_requests::72")
        .await;
    // All documents are gone: what makes up the Envoy stays, what it looks up does not.
    fleet.plane.replace_without(&["documents"]).await;
    fleet
        .shows("alpha::default_priority::max_requests::1024")
        .await;
    assert!(said(&fleet.envoy, KEY).await.is_null());
    fleet.answers(200).await;
    assert_eq!(fleet.made().await, made, "nothing was made anew");
    assert_eq!(fleet.stat("runtime.update_rejected").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_goes_with_its_document_over_delta() {
    a_number_goes_with_its_document(Variant::Delta).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_goes_with_its_document_over_state_of_the_world() {
    a_number_goes_with_its_document(Variant::Sotw).await;
}

/// What an Envoy says of itself decides which numbers it has, in all that a selector can ask for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_is_chosen_by_its_metadata_and_by_where_it_runs() {
    const KEY: &str = "some.number";
    let plane = Plane::start().await;
    // An Envoy without clusters and listeners waits for them before it is ready.
    let upstream = Upstream::start().await.unwrap();
    let made = [
        listener(ports::free_address().unwrap()),
        cluster(),
        endpoints("alpha", upstream.address()),
    ];
    plane.declare(&made);
    let made = made.each_ref().map(|it| ("clusters: [edge]", it.as_str()));
    let declare = |numbers: &[(&str, &str)]| plane.declare_for(&[&made, numbers].concat());
    let envoy = edge_that(&plane, Variant::Delta, |bootstrap| {
        bootstrap.metadata = [("tier".to_owned(), "gold".to_owned())].into();
        bootstrap.locality = Locality {
            region: "eu".to_owned(),
            zone: "eu-1".to_owned(),
            sub_zone: "rack-7".to_owned(),
        };
    })
    .await;
    let (ours, others) = (runtime(&format!("{KEY}: 1")), runtime(&format!("{KEY}: 2")));
    // Of two each the Envoy is one of the first.
    for (one, other) in [
        ("metadata: {tier: gold}", "metadata: {tier: silver}"),
        ("locality: {region: eu}", "locality: {region: us}"),
        ("locality: {zone: eu-1}", "locality: {zone: eu-2}"),
        (
            "locality: {sub_zone: rack-7}",
            "locality: {sub_zone: rack-8}",
        ),
        (
            "metadata: {tier: gold}, locality: {region: eu, zone: eu-1, sub_zone: rack-7}",
            "metadata: {tier: gold}, locality: {region: eu, zone: eu-1, sub_zone: rack-8}",
        ),
    ] {
        declare(&[(one, &ours), (other, &others)]);
        has_number(&envoy, KEY, Some("1")).await;
        declare(&[(other, &ours)]);
        has_number(&envoy, KEY, None).await;
    }
}

/// Waits until the layer of documents says this of `key`.
async fn has_number(envoy: &Envoy, key: &str, wanted: Option<&str>) {
    let what = format!("{key} is {wanted:?}");
    eventually(SOON, &what, async || {
        let layers = said(envoy, key).await;
        (layers[0].as_str() == wanted).then_some(())
    })
    .await
    .unwrap();
}

/// A document for the sidecars of `service`.
fn numbers(service: &str, numbers: &str) -> String {
    let resource = runtime(numbers);
    format!(
        "apiVersion: sloop.dev/v1\nkind: EnvoyResource\nmetadata: {{name: numbers}}\nspec:\n  \
         selector: {{clusters: [{service}]}}\n  resource: {resource}\n"
    )
}

/// The sidecar of `sloop bootstrap` asks for numbers, is answered when there are none, and takes them when there are some.
async fn a_sidecar_takes_numbers(variant: Variant) {
    const KEY: &str = "circuit_breakers.to_payments.default.max_requests";
    let app = Upstream::start().await.unwrap();
    let control = Control::start(module()).await;
    let sidecar = Sidecar::start(app.address(), control.grpc, variant).await;
    let stat = async |name: &str| sidecar.envoy.stat(name).await.unwrap().unwrap_or(0);
    eventually(SOON, "it is told that there are none", async || {
        (0 < stat("runtime.update_success").await).then_some(())
    })
    .await
    .unwrap();
    assert!(said(&sidecar.envoy, KEY).await.is_null());
    let outbound = sidecar.outbound.get("/").await.unwrap();
    assert_eq!(outbound.status(), 200);

    control.declare(&numbers("shop", &format!("{KEY}: 71")));
    shows(
        &sidecar.envoy,
        "to_payments::default_priority::max_requests::71",
    )
    .await;
    let both = serde_json::json!(["71", ""]);
    assert_eq!(said(&sidecar.envoy, KEY).await, both);
    control.declare(&numbers("another", &format!("{KEY}: 71")));
    shows(
        &sidecar.envoy,
        "to_payments::default_priority::max_requests::1024",
    )
    .await;
    assert!(said(&sidecar.envoy, KEY).await.is_null());
    assert_eq!(stat("runtime.update_rejected").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_takes_numbers_over_delta() {
    a_sidecar_takes_numbers(Variant::Delta).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_takes_numbers_over_state_of_the_world() {
    a_sidecar_takes_numbers(Variant::Sotw).await;
}
