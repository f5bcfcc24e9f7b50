//! Reports to the real program: nothing acknowledged is lost, nothing is counted twice.
use std::cell::Cell;
use std::collections::BTreeMap;
use std::process::Command;
use std::rc::Rc;
use std::time::Instant;

use crate::support::{Home, ROUTES, Sloop, eventually, program, report, slo};
use sloop_xds_protos::report::v1::report_service_client::ReportServiceClient;
use sloop_xds_protos::report::v1::{self as wire, Histogram, Trouble};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tonic::transport::{Channel, Endpoint};

/// VMs that report at the same time.
const VMS: u64 = 4;

/// How often the process is killed while they report: five times, or a hundred with `SLOOP_LONG` of 1 and more.
fn kills() -> u64 {
    let is_long = |long: String| long.parse::<u64>().is_ok_and(|long| 1 <= long);
    if std::env::var("SLOOP_LONG").is_ok_and(is_long) {
        100
    } else {
        5
    }
}

/// What a report says was asked; differs, so that a loss cannot hide a repeat.
const fn requests(vm: u64, sequence: u64) -> u64 {
    vm * 1_000 + sequence
}

fn home() -> Home {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    home
}

async fn requests_counted(sloop: &Sloop) -> (u64, u64) {
    let scopes = sloop.items("/v1/scopes").await;
    let slos = sloop.items("/v1/slos").await;
    let count = |value: &serde_json::Value| value.as_u64().unwrap_or(0);
    (
        scopes.first().map_or(0, |scope| count(&scope["requests"])),
        count(&slos[0]["objectives"][0]["counts"]["total"]),
    )
}

#[tokio::test]
async fn a_repeated_report_is_acknowledged_and_not_counted_again() {
    let home = home();
    let sloop = home.start();
    let mut client = sloop.reports();
    for _ in 0..3 {
        client.report(report(7, 1, 10, 1)).await.unwrap();
    }
    client.report(report(7, 2, 5, 0)).await.unwrap();
    let answer = client.report(report(7, 1, 10, 1)).await.unwrap();
    let reading = &answer.get_ref().readings[0];
    assert_eq!((reading.requests, reading.good), (15, 14), "of the fleet");
    let scopes = sloop.items("/v1/scopes").await;
    assert_eq!(scopes[0]["requests"], 15);
    assert_eq!(scopes[0]["outcomes"]["server_error"], 1);
    for (result, count) in [("received", 2.0), ("repeated", 3.0)] {
        let name = format!("sloop_controlplane_reports_total{{result=\"{result}\"}}");
        assert_eq!(sloop.metric(&name).await, Some(count), "{result}");
    }
}

#[tokio::test]
async fn the_trouble_of_filters_is_counted_once() {
    let home = home();
    let sloop = home.start();
    let mut client = sloop.reports();
    let mut troubled = report(7, 1, 10, 1);
    troubled.trouble = Some(Trouble {
        routes_over_cap: 1,
        ends_without_beginning: 2,
        hostcalls_failed: 3,
        configs_refused: 4,
        reports_repeated: 5,
        delays_over_cap: 6,
        requests_over_cap: 9,
        values_over_cap: 7,
        stats_over_cap: 8,
        late_passed: 10,
        faults_over_cap: 11,
        spans_dropped: 12,
        spans_lost: 13,
        boards_contended: 14,
        ends_unseen: 15,
        arms_over_cap: 16,
    });
    for _ in 0..2 {
        client.report(troubled.clone()).await.unwrap();
    }
    for (kind, count) in [
        ("routes_over_cap", 1.0),
        ("ends_without_beginning", 2.0),
        ("hostcalls_failed", 3.0),
        ("configs_refused", 4.0),
        ("reports_repeated", 5.0),
        ("delays_over_cap", 6.0),
        ("requests_over_cap", 9.0),
        ("values_over_cap", 7.0),
        ("stats_over_cap", 8.0),
        ("late_passed", 10.0),
        ("faults_over_cap", 11.0),
        ("spans_dropped", 12.0),
        ("spans_lost", 13.0),
        ("boards_contended", 14.0),
        ("ends_unseen", 15.0),
        ("arms_over_cap", 16.0),
    ] {
        let name = format!("sloop_controlplane_filter_trouble_total{{kind=\"{kind}\"}}");
        assert_eq!(sloop.metric(&name).await, Some(count), "{kind}");
    }
}

#[tokio::test]
async fn the_largest_report_of_a_filter_that_does_not_cut_it_is_taken_where_that_is_allowed() {
    let home = home();
    let sloop = home.start_with(&[
        "--limit",
        "report_bytes=16777216",
        "--limit",
        "report_room_per_connection_bytes=536870912",
        "--limit",
        "report_room_bytes=1073741824",
    ]);
    let mut largest = report(7, 1, 10, 1);
    largest.node.clear();
    let mut scope = largest.scopes[0].clone();
    // Of all pairs 600 in each of the 4,610 scopes that two filters can have: 14 MiB.
    scope.latency = Some(Histogram {
        pairs: [20_000, 200].repeat(600),
    });
    largest.scopes = vec![scope; 4_610];
    sloop.reports().report(largest).await.unwrap();
    let scopes = sloop.items("/v1/scopes").await;
    assert_eq!(scopes[0]["requests"], 46_100);
}

#[tokio::test]
async fn more_requests_than_there_can_have_been_do_not_count() {
    let home = home();
    // Ten a second; a VM is always believed a minute's worth.
    let sloop = home.start_with(&["--limit", "report_requests_per_second=10"]);
    let mut client = sloop.reports();
    client.report(report(7, 1, 600, 1)).await.unwrap();
    for (vm, sequence, requests) in [(7, 2, 6_000), (8, 1, u64::MAX), (9, 1, 100_000)] {
        let mut absurd = report(vm, sequence, requests, requests);
        // Nor does it help to say that it was long ago.
        absurd.from_ms = absurd.to_ms - if vm == 9 { 7_200_000 } else { 1_000 };
        client.report(absurd).await.unwrap();
    }
    let mut outage = report(10, 1, 6_000, 0);
    outage.from_ms = outage.to_ms - 3_600_000;
    client.report(outage).await.unwrap();
    assert_eq!(requests_counted(&sloop).await, (6_600, 6_600));
    for (metric, count) in [
        ("limits_hit_total{limit=\"report_counts\"}", 3.0),
        ("report_scopes_dropped_total", 3.0),
        ("reports_total{result=\"received\"}", 5.0),
    ] {
        let name = format!("sloop_controlplane_{metric}");
        assert_eq!(sloop.metric(&name).await, Some(count), "{name}");
    }
}

#[tokio::test]
async fn what_cannot_come_from_a_filter_is_refused_with_a_reason() {
    let home = home();
    let sloop = home.start();
    let status = sloop
        .reports()
        .report(report(7, 0, 1, 0))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(status.message(), "sequence is 0; it must be at least 1");
    assert!(sloop.items("/v1/scopes").await.is_empty());
}

/// Sends the reports of one VM as a filter does: each again and again until it
/// is acknowledged, some once more after that.
async fn report_all(
    (vm, reports): (u64, u64),
    mut at: watch::Receiver<String>,
    acknowledged: Rc<Cell<u64>>,
) {
    let connect = |at: String| -> ReportServiceClient<Channel> {
        ReportServiceClient::new(Endpoint::from_shared(at).unwrap().connect_lazy())
    };
    let mut client = connect(at.borrow_and_update().clone());
    for sequence in 1..=reports {
        let request = report(vm, sequence, requests(vm, sequence), 1);
        eventually("a report is acknowledged", async || {
            if at.has_changed().unwrap() {
                client = connect(at.borrow_and_update().clone());
            }
            client.report(request.clone()).await.ok()
        })
        .await;
        acknowledged.set(acknowledged.get() + 1);
        if sequence % 3 == 0 {
            drop(client.report(request).await);
        }
    }
}

#[tokio::test]
async fn counts_are_exact_however_often_it_is_killed() {
    let home = home();
    let mut sloop = home.start();
    let (to, at) = watch::channel(format!("http://{}", sloop.grpc));
    let acknowledged = Rc::new(Cell::new(0));
    let tasks = LocalSet::new();
    // Twelve reports of each VM between two kills.
    let reports = 12 * kills();
    let all = |vm| report_all((vm, reports), at.clone(), Rc::clone(&acknowledged));
    for vm in 1..=VMS {
        tasks.spawn_local(all(vm));
    }
    for kills in 1..=kills() {
        let enough = kills * VMS * 11;
        let look = async || (acknowledged.get() >= enough).then_some(());
        tasks
            .run_until(eventually("reports are acknowledged", look))
            .await;
        sloop.kill();
        sloop = home.start();
        to.send_replace(format!("http://{}", sloop.grpc));
    }
    tasks.await;
    assert_eq!(acknowledged.get(), VMS * reports);
    let sent: u64 = (1..=VMS)
        .flat_map(|vm| (1..=reports).map(move |sequence| requests(vm, sequence)))
        .sum();
    eventually("the SLO counts every request", async || {
        (requests_counted(&sloop).await == (sent, sent)).then_some(())
    })
    .await;
    sloop.kill();
    let again = home.start();
    assert_eq!(requests_counted(&again).await, (sent, sent), "after all");
    let spent = again.items("/v1/slos/pay/spending?window_s=3600").await;
    let spent = spent[0]["spent"].as_array().unwrap().clone();
    let bad = |by| {
        spent
            .iter()
            .find(|it| it["by"] == by)
            .map(|it| it["bad"].clone())
    };
    assert_eq!(bad("route"), Some((VMS * reports).into()), "{spent:?}");
    assert_eq!(bad("sidecar"), Some((VMS * reports).into()), "{spent:?}");
    let scopes = again.items("/v1/scopes").await;
    assert_eq!(scopes[0]["outcomes"]["server_error"], VMS * reports);
}

/// Ten requests of which so many failed, seen by the sidecar `node` of the version `version`; all were sent by `caller` in
/// traces that began at `origin`.
fn attributed(
    vm: u64,
    (node, version): (&str, &str),
    (caller, origin): (&str, &str),
    bad: u64,
) -> wire::ReportRequest {
    let mut request = report(vm, 1, 10, bad);
    request.node = node.to_owned();
    request.filters = vec![wire::FilterStatus {
        side: wire::Side::Server.into(),
        generation: 1,
        applied_at_ms: request.from_ms,
        version: version.to_owned(),
        module: wire::Module::Requests.into(),
    }];
    let by = |dimension: wire::Dimension, value: &str| wire::DimensionDelta {
        dimension: dimension.into(),
        value: value.to_owned(),
        classes: vec![10 - bad, 0, bad],
        objectives: vec![10, 10 - bad],
    };
    request.scopes[0].dimensions = vec![
        by(wire::Dimension::Caller, caller),
        by(wire::Dimension::Origin, origin),
    ];
    request
}

/// Bad requests of the last hour by who spent them, as `caller shop`.
async fn spent(sloop: &Sloop) -> BTreeMap<String, u64> {
    let objectives = sloop.items("/v1/slos/pay/spending?window_s=3600").await;
    let spent = objectives[0]["spent"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let spent = spent.iter().map(|it| {
        let who = format!("{} {}", text(&it["by"]), text(&it["name"]));
        (who, it["bad"].as_u64().unwrap())
    });
    spent.collect()
}

#[tokio::test]
async fn who_spent_a_budget_is_known_by_caller_origin_and_version_also_after_a_kill() {
    let home = home();
    let sloop = home.start();
    let mut client = sloop.reports();
    for report in [
        attributed(1, ("checkout-1", "v7"), ("shop", "web"), 4),
        attributed(2, ("checkout-1", "v7"), ("batch", "cron"), 1),
        attributed(3, ("checkout-2", "v8"), ("shop", "app"), 5),
        // Of these two nobody says who it was.
        report(4, 1, 10, 2),
        attributed(5, ("checkout-2", "v8"), ("quiet", "web"), 0),
    ] {
        // What is sent again is not spent again.
        client.report(report.clone()).await.unwrap();
        client.report(report).await.unwrap();
    }
    let expected = [
        ("caller batch", 1),
        ("caller shop", 9),
        ("origin app", 5),
        ("origin cron", 1),
        ("origin web", 4),
        ("route pay", 12),
        ("sidecar checkout-1", 7),
        ("sidecar checkout-2", 5),
        ("version v7", 5),
        ("version v8", 5),
    ];
    let expected: BTreeMap<String, u64> = expected
        .into_iter()
        .map(|(who, bad)| (who.to_owned(), bad))
        .collect();
    assert_eq!(spent(&sloop).await, expected);

    let described = Command::new(program())
        .args(["describe", "slo", "pay", "--window", "1h", "--admin"])
        .arg(sloop.http.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8(described.stdout).unwrap();
    let rows: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for row in [
        "caller shop 9 75%",
        "caller (not known) 2 16.7%",
        "origin app 5 41.7%",
        "version v8 5 41.7%",
        "version (not known) 2 16.7%",
    ] {
        assert!(rows.iter().any(|line| line == row), "{row}: {text}");
    }

    sloop.kill();
    let again = home.start();
    assert_eq!(spent(&again).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_that_come_together_are_committed_together() {
    let home = home();
    let sloop = home.start();
    let begun = Instant::now();
    let all: Vec<_> = (1..=200)
        .map(|vm| {
            let mut client = sloop.reports();
            tokio::spawn(async move { client.report(report(vm, 1, 1, 0)).await })
        })
        .collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    let took = begun.elapsed();
    let count = "sloop_controlplane_store_commit_duration_seconds_count";
    let sum = "sloop_controlplane_store_commit_duration_seconds_sum";
    let commits = sloop.metric(count).await.unwrap();
    let seconds = sloop.metric(sum).await.unwrap();
    println!(
        "200 reports in {took:?}, {commits} commits of {:.2} ms",
        seconds / commits * 1e3
    );
    assert!(commits < 100.0, "{commits}");
}
