//! Reports to the real program: nothing acknowledged is lost, nothing is counted twice.
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use crate::support::{Home, ROUTES, Sloop, eventually, report, slo};
use sloop_xds_protos::report::v1::report_service_client::ReportServiceClient;
use sloop_xds_protos::report::v1::{Histogram, Trouble};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tonic::transport::{Channel, Endpoint};

/// VMs that report at the same time.
const VMS: u64 = 4;

/// How often the process is killed while they report: five times, or a hundred with `SLOOP_LONG=1`.
fn kills() -> u64 {
    let is_long = std::env::var_os("SLOOP_LONG").is_some_and(|long| long == "1");
    if is_long { 100 } else { 5 }
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
