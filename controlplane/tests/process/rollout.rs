//! A change goes to one sidecar first, and to all or none then.
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use sloop_controlplane::clock;
use sloop_xds_protos::report::v1 as wire;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::discovery::{Sidecar, Versions};
use crate::support::{Home, ROUTES, SOON, Sloop, eventually, report};

/// Longer than the control plane takes to send something to everybody.
const SILENCE: Duration = Duration::from_millis(300);

/// Changes go on after a second, in which three reports come.
const QUICK: &[&str] = &["--rollout-quiet", "1", "--report-interval", "300"];

/// Three sidecars that have the first configuration.
async fn three(sloop: &Sloop) -> [Sidecar; 3] {
    let none = Versions::new();
    let mut all = [
        Sidecar::connect_as("checkout-1", sloop, &none).await,
        Sidecar::connect_as("checkout-2", sloop, &none).await,
        Sidecar::connect_as("checkout-3", sloop, &none).await,
    ];
    for sidecar in &mut all {
        assert_eq!(sidecar.hears().await.len(), 2);
    }
    eventually("all is in force on all", async || {
        let groups = sloop.items("/v1/pushes").await;
        (groups.first()?["in_force"] == 3).then_some(())
    })
    .await;
    all
}

fn routes(prefix: &str) -> String {
    ROUTES.replace("/pay", prefix)
}

async fn stage(sloop: &Sloop) -> String {
    let groups = sloop.items("/v1/pushes").await;
    groups[0]["stage"].as_str().unwrap().to_owned()
}

fn status(sloop: &Sloop) -> String {
    let shown = Command::new(env!("CARGO_BIN_EXE_sloop"))
        .args(["push", "status", "checkout", "--admin"])
        .arg(sloop.http.to_string())
        .output()
        .unwrap();
    String::from_utf8(shown.stdout).unwrap()
}

fn described(sloop: &Sloop, node: &str) -> String {
    let shown = Command::new(env!("CARGO_BIN_EXE_sloop"))
        .args(["describe", "node", node, "--admin"])
        .arg(sloop.http.to_string())
        .output()
        .unwrap();
    String::from_utf8(shown.stdout).unwrap()
}

#[tokio::test]
async fn a_change_that_is_refused_stops_at_the_first_and_a_good_one_reaches_all() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let sloop = home.start_with(QUICK);
    let [mut first, mut second, mut third] = three(&sloop).await;

    home.write("routes.yaml", &routes("/bad"));
    first.refuses("an old filter").await;
    assert!(
        first.hears().await.contains_key("sloop-inbound"),
        "it gets what it had"
    );
    assert_eq!(second.hears_within(SILENCE).await, None);
    assert_eq!(third.hears_within(SILENCE).await, None);
    eventually("what was taken back is shown", async || {
        let shown = status(&sloop);
        shown
            .contains("checkout was taken back: checkout-1 refuses it: an old filter")
            .then_some(())
    })
    .await;
    let gauge = r#"sloop_controlplane_rollouts_taken_back{group="checkout"}"#;
    assert_eq!(sloop.metric(gauge).await, Some(1.0));

    sloop.kill();
    let sloop = home.start_with(QUICK);
    let [mut first, mut second, mut third] = three(&sloop).await;
    assert_eq!(
        first.hears_within(SILENCE).await,
        None,
        "a restart tries it no more"
    );
    assert_eq!(stage(&sloop).await, "rolled_back");

    home.write("routes.yaml", &routes("/good"));
    let good = first.hears().await;
    assert_eq!(second.hears_within(SILENCE).await, None, "not yet");
    assert_eq!(second.hears().await, good);
    assert_eq!(third.hears().await, good);
    eventually("it is over", async || {
        (stage(&sloop).await == "settled").then_some(())
    })
    .await;
    let count = r#"sloop_controlplane_rollouts_total{result="finished"}"#;
    assert_eq!(sloop.metric(count).await, Some(1.0));
}

/// What metrics say of the nodes of `checkout`: how many are behind, refuse a configuration of a filter, and drift; and how
/// often all that a node should have came to be in force.
async fn standing(sloop: &Sloop) -> [Option<f64>; 4] {
    let names = [
        r#"nodes_behind{group="checkout"}"#,
        r#"nodes_refusing{group="checkout",type="ecds"}"#,
        r#"nodes_drifting{group="checkout"}"#,
        "push_effect_duration_seconds_count",
    ];
    let mut values = [None; 4];
    for (value, name) in values.iter_mut().zip(names) {
        *value = sloop.metric(&format!("sloop_controlplane_{name}")).await;
    }
    values
}

#[tokio::test]
async fn metrics_say_how_the_nodes_of_a_group_stand() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let sloop = home.start_with(QUICK);
    let [mut first, mut second, mut third] = three(&sloop).await;
    let stand = async |what: &str, expected: [Option<f64>; 4]| {
        eventually(what, async || {
            (standing(&sloop).await == expected).then_some(())
        })
        .await;
    };
    // Nobody has reported yet: what runs is not known.
    let [none, one] = [Some(0.0), Some(1.0)];
    stand("all have it", [none, none, None, Some(3.0)]).await;

    home.write("routes.yaml", &routes("/bad"));
    first.refuses("an old filter").await;
    eventually("it refuses", async || {
        (standing(&sloop).await[1] == one).then_some(())
    })
    .await;
    let refused = r#"sloop_controlplane_pushes_refused_total{type="ecds"}"#;
    assert_eq!(sloop.metric(refused).await, one);
    first.hears().await;
    eventually("it has what it had", async || {
        (standing(&sloop).await[..2] == [none, none]).then_some(())
    })
    .await;

    let [_, _, _, before] = standing(&sloop).await;
    home.write("routes.yaml", &routes("/good"));
    eventually("the first should have it", async || {
        (standing(&sloop).await[0] == one).then_some(())
    })
    .await;
    for sidecar in [&mut first, &mut second, &mut third] {
        sidecar.hears().await;
    }
    let after = before.map(|count| count + 3.0);
    stand("all have it", [none, none, None, after]).await;

    let mut client = sloop.reports();
    for (sequence, drifts) in [(1, one), (2, none)] {
        let nodes = sloop.items("/v1/nodes").await;
        let runs = nodes.iter().find(|node| node["node"] == "checkout-1");
        let accepted = runs.and_then(|node| node["filters"][0]["accepted"].as_u64());
        let mut report = report(7, sequence, 1, 0);
        report.filters = vec![wire::FilterStatus {
            side: wire::Side::Server.into(),
            generation: accepted.unwrap_or(9_999),
            ..wire::FilterStatus::default()
        }];
        client.report(report).await.unwrap();
        assert_eq!(standing(&sloop).await[2], drifts);
    }
}

/// How many nodes try a change.
async fn trying(sloop: &Sloop) -> usize {
    let groups = sloop.items("/v1/pushes").await;
    groups[0]["trying"].as_array().map_or(0, Vec::len)
}

/// The number of the next node that hears of a change, and when it did.
async fn next(arrivals: &mut mpsc::UnboundedReceiver<(u32, Instant)>) -> (u32, Instant) {
    let arrival = tokio::time::timeout(SOON, arrivals.recv()).await;
    arrival.expect("somebody hears of it").unwrap()
}

/// A tenth of twenty is two, of which one is who tried it first.
#[tokio::test]
async fn a_change_reaches_one_of_twenty_then_a_tenth_and_then_all() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let sloop = home.start_with(QUICK);
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let mut hearing = JoinSet::new();
    for number in 1..=20 {
        let id = format!("checkout-{number:02}");
        let mut sidecar = Sidecar::connect_as(&id, &sloop, &Versions::new()).await;
        sidecar.hears().await;
        let arrived = arrived.clone();
        hearing.spawn(async move {
            sidecar.hears().await;
            arrived.send((number, Instant::now())).unwrap();
            // It stays.
            std::future::pending::<()>().await;
        });
    }
    eventually("all is in force on all", async || {
        let groups = sloop.items("/v1/pushes").await;
        (groups.first()?["in_force"] == 20).then_some(())
    })
    .await;

    home.write("routes.yaml", &routes("/good"));
    let (first, at) = next(&mut arrivals).await;
    assert_eq!(first, 1);
    eventually("one tries it", async || {
        (trying(&sloop).await == 1).then_some(())
    })
    .await;
    let (second, then) = next(&mut arrivals).await;
    assert_eq!(second, 2);
    // Half of what it must be quiet for: who hears of something may be late to say so.
    let quiet = Duration::from_millis(500);
    assert!(quiet <= then - at, "{:?}", then - at);
    eventually("two try it", async || {
        (trying(&sloop).await == 2).then_some(())
    })
    .await;
    let mut others = BTreeSet::new();
    for _ in 3..=20 {
        let (number, at) = next(&mut arrivals).await;
        assert!(quiet <= at - then, "{number} after {:?}", at - then);
        others.insert(number);
    }
    assert_eq!(others, (3..=20).collect());
    eventually("it is over", async || {
        (stage(&sloop).await == "settled").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_refusal_without_a_reason_is_shown_with_what_we_know_of_it() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let sloop = home.start_with(&["--rollout-quiet", "3600"]);
    let [mut first, _second, _third] = three(&sloop).await;
    home.write("routes.yaml", &routes("/bad"));
    // All that Envoy says, whatever the reason.
    let envoys = "Unable to create Wasm plugin sloop-inbound";
    first.refuses(envoys).await;
    first.hears().await;
    let reason = format!(
        "{envoys}; our reader takes this configuration: is /sloop_filter.wasm on the node, and of this version?"
    );
    eventually("what was taken back is shown", async || {
        status(&sloop).contains(&reason).then_some(())
    })
    .await;
    let described = described(&sloop, "checkout-1");
    assert!(described.contains(&reason), "{described}");
}

/// Declares a change, and waits until the first of three nodes tries it.
async fn is_tried(home: &Home, sloop: &Sloop, first: &mut Sidecar) {
    home.write("routes.yaml", &routes("/bad"));
    first.hears().await;
    eventually("it is tried", async || {
        let groups = sloop.items("/v1/pushes").await;
        (groups[0]["trying"][0] == "checkout-1").then_some(())
    })
    .await;
}

#[tokio::test]
async fn failures_where_it_is_tried_take_it_back() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let sloop = home.start_with(&["--rollout-quiet", "3600"]);
    let [mut first, mut second, _third] = three(&sloop).await;
    let mut reports = sloop.reports();
    // Each sidecar served before.
    for node in 1..=3 {
        let mut well = report(node, 1, 100, 0);
        well.node = format!("checkout-{node}");
        reports.report(well).await.unwrap();
    }
    is_tried(&home, &sloop, &mut first).await;
    // The first report since is also about what was before.
    let tried = clock::wall().as_millis();
    reports.report(report(1, 2, 100, 100)).await.unwrap();
    assert_eq!(first.hears_within(SILENCE).await, None);
    let nodes = sloop.items("/v1/nodes").await;
    let load = &nodes[0]["load"];
    assert_eq!(load.as_array().map(Vec::len), Some(1), "{load}");
    assert_eq!(load[0]["by"], "filters");
    let of = |it: &serde_json::Value| (it["requests"].as_u64(), it["failed"].as_u64());
    assert_eq!(of(&load[0]["usual"]), (Some(100), Some(0)));
    assert_eq!(of(&load[0]["stage"]["count"]), (Some(0), Some(0)));
    let described = described(&sloop, "checkout-1");
    let requests = described.split_once("\nRequests\n").unwrap().1;
    let lines: Vec<Vec<&str>> = requests
        .lines()
        .take(3)
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|it| !it.is_empty())
                .collect()
        })
        .collect();
    let expected = ["COUNTED BY", "WHILE", "SINCE", "REQUESTS", "FAILED"];
    assert_eq!(lines[0], expected, "{described}");
    let without_since = |line: &[&str]| [line[0], line[1], line[3], line[4]].join(" ");
    let shown = [&lines[1], &lines[2]].map(|line| without_since(line));
    assert_eq!(
        shown,
        ["filters as usual 100 0", "filters a change is tried 0 0"]
    );
    let mut unwell = report(1, 3, 100, 90);
    unwell.from_ms = tried;
    reports.report(unwell).await.unwrap();
    assert!(first.hears().await.contains_key("sloop-inbound"));
    assert_eq!(second.hears_within(SILENCE).await, None);
    assert_eq!(stage(&sloop).await, "rolled_back");
    assert!(status(&sloop).contains("90 of 100 requests failed where it was tried"));
}

#[tokio::test]
async fn a_vm_that_begins_anew_where_a_change_is_tried_takes_it_back() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let sloop = home.start_with(&["--rollout-quiet", "3600"]);
    let [mut first, mut second, _third] = three(&sloop).await;
    let mut reports = sloop.reports();
    // A VM of its Envoy, which began a minute ago.
    let mut early = report(1, 1, 100, 0);
    early.from_ms -= 60_000;
    reports.report(early).await.unwrap();
    is_tried(&home, &sloop, &mut first).await;
    // Another VM that went on says nothing, one that begins does.
    reports.report(report(1, 2, 100, 0)).await.unwrap();
    assert_eq!(first.hears_within(SILENCE).await, None);
    let mut begins = report(2, 1, 1, 0);
    begins.from_ms = begins.to_ms;
    reports.report(begins).await.unwrap();
    assert!(first.hears().await.contains_key("sloop-inbound"));
    assert_eq!(second.hears_within(SILENCE).await, None);
    let shown = status(&sloop);
    let why = "checkout was taken back: checkout-1 began a Wasm VM anew";
    assert!(shown.contains(why), "{shown}");
}

/// What harms for a while goes to all at once, also while something is tried.
#[tokio::test]
async fn a_fault_does_not_wait_for_what_is_tried() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let sloop = home.start_with(&["--rollout-quiet", "3600"]);
    let [mut first, mut second, mut third] = three(&sloop).await;
    home.write("routes.yaml", &routes("/new"));
    first.hears().await;
    let ends = clock::wall().after(Duration::from_secs(600)).as_millis();
    let fault = format!(
        "apiVersion: sloop.dev/v1
kind: FaultInjection
metadata: {{name: slow}}
spec:
  service: checkout
  route: pay
  fault: {{share: 1%, delay_ms: 5, expires_at_ms: {ends}}}
"
    );
    home.write("fault.yaml", &fault);
    for sidecar in [&mut first, &mut second, &mut third] {
        assert!(sidecar.hears().await.contains_key("sloop-inbound"));
    }
    std::fs::remove_file(home.document("fault.yaml")).unwrap();
    for sidecar in [&mut first, &mut second, &mut third] {
        assert!(sidecar.hears().await.contains_key("sloop-inbound"));
    }
    assert_eq!(stage(&sloop).await, "trying");
}
