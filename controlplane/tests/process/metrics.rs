//! `/metrics` as Prometheus reads it.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use sloop_xds_protos::report::v1::{self as wire, ReportRequest};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::commands::run;
use crate::support::{Home, ROUTES, Sloop, eventually, report, slo};

/// Where operators read what there is.
const README: &str = include_str!("../../README.md");

/// Samples by name and labels, after checking each line.
async fn samples(sloop: &Sloop) -> BTreeMap<String, f64> {
    let (status, body) = sloop.get("/metrics").await;
    assert_eq!(status, 200);
    let text = String::from_utf8(body.to_vec()).unwrap();
    let mut kind = ("", "");
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').unwrap();
            let (name, value) = rest.split_once(' ').expect("a text for people");
            match word {
                "HELP" => assert!(value.ends_with('.'), "{line}"),
                "TYPE" => {
                    let short = name.strip_prefix("sloop_controlplane_").unwrap();
                    let quoted = [format!("`{short}`"), format!("`{short}{{")];
                    let is_documented = quoted.iter().any(|it| README.contains(it));
                    assert!(is_documented, "{short} is not in README.md");
                    kind = (name, value);
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let bare = name.split('{').next().unwrap();
        let suffix = bare.strip_prefix(kind.0).expect("its type comes before it");
        let suffixes: &[&str] = match kind.1 {
            "histogram" => &["_bucket", "_sum", "_count"],
            "counter" | "gauge" => &[""],
            other => panic!("{other}"),
        };
        assert!(suffixes.contains(&suffix), "{line}");
        assert!(kind.1 != "counter" || bare.ends_with("_total"), "{line}");
        let before = samples.insert(name.to_owned(), value.parse().unwrap());
        assert_eq!(before, None, "{line}");
    }
    samples
}

#[tokio::test]
async fn an_slo_is_shown_while_it_is_declared() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    let mut client = sloop.reports();
    client.report(report(7, 1, 1_000, 4)).await.unwrap();
    let gauge = |name: &str, labels: &str| format!("sloop_controlplane_{name}{{{labels}}}");
    let bad = r#"objective="0",result="bad",slo="pay""#;
    let found = eventually("the SLO counts it", async || {
        let found = samples(&sloop).await;
        (found.get(&gauge("slo_window_requests", bad)) == Some(&4.0)).then_some(found)
    })
    .await;
    let labels = r#"objective="0",slo="pay""#;
    let day = r#"objective="0",slo="pay",window="22h24m""#;
    let entered = |result: &str| {
        let labels = format!(r#"objective="0",result="{result}",service="checkout",slo="pay""#);
        gauge("slo_requests_total", &labels)
    };
    for (name, expected) in [
        (gauge("slo_mode", r#"mode="actionable",slo="pay""#), 1.0),
        (gauge("slo_target", labels), 0.99),
        (gauge("slo_budget_left", labels), 0.6),
        (gauge("slo_burn_rate", day), 0.4),
        (entered("bad"), 4.0),
        (entered("good"), 996.0),
    ] {
        let value = found.get(&name).unwrap_or_else(|| panic!("{name}"));
        assert!((value - expected).abs() < 1e-9, "{name} is {value}");
    }
    assert_eq!(found["sloop_controlplane_nodes_connected"], 0.0);
    std::fs::remove_file(home.document("slo.yaml")).unwrap();
    eventually("it is not shown any more", async || {
        let found = samples(&sloop).await;
        let mut names = found.keys();
        (!names.any(|name| name.contains("_slo_"))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_entered_a_budget_is_counted_from_zero_on_again_by_a_process_that_begins() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    let name = |result: &str| {
        format!(
            r#"sloop_controlplane_slo_requests_total{{objective="0",result="{result}",service="checkout",slo="pay"}}"#
        )
    };
    let of =
        |found: &BTreeMap<String, f64>| ["good", "bad"].map(|it| found.get(&name(it)).copied());
    let sloop = home.start();
    assert_eq!(
        of(&samples(&sloop).await),
        [Some(0.0); 2],
        "before anybody reports"
    );
    let mut client = sloop.reports();
    for (sequence, expected) in [(1, [996.0, 4.0]), (2, [1_992.0, 8.0])] {
        client.report(report(7, sequence, 1_000, 4)).await.unwrap();
        eventually("it is counted", async || {
            (of(&samples(&sloop).await) == expected.map(Some)).then_some(())
        })
        .await;
    }
    // What comes again is no more.
    client.report(report(7, 2, 1_000, 4)).await.unwrap();
    assert_eq!(of(&samples(&sloop).await), [Some(1_992.0), Some(8.0)]);
    assert!(sloop.terminate().await.success());
    let sloop = home.start();
    let bad = r#"sloop_controlplane_slo_window_requests{objective="0",result="bad",slo="pay"}"#;
    let found = samples(&sloop).await;
    assert_eq!(found.get(bad), Some(&8.0), "the budget goes on");
    assert_eq!(of(&found), [Some(0.0); 2], "the counter does not");
}

/// Of a report about `pay`: the same of an objective of each of these SLOs.
fn also(report: &mut ReportRequest, objectives: &[(&str, u32)]) {
    let known = report.scopes[0].objectives[0].clone();
    let objectives = objectives
        .iter()
        .map(|(slo, objective)| wire::ObjectiveDelta {
            slo: (*slo).to_owned(),
            objective: *objective,
            ..known.clone()
        });
    report.scopes[0].objectives = objectives.collect();
}

#[tokio::test]
async fn a_pair_of_windows_has_one_name_however_long_the_slos_window_is() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let windows = [
        ("days", "duration: 30d, isRolling: true"),
        ("week", "duration: 7d, isRolling: true"),
        (
            "month",
            r#"duration: 1M, isRolling: false, calendar: {startTime: "2026-01-01 00:00:00", timeZone: UTC}"#,
        ),
    ];
    for (name, window) in windows {
        let text = slo(name, "0.9").replace("duration: 28d, isRolling: true", window);
        home.write(&format!("{name}.yaml"), &text);
    }
    let sloop = home.start();
    let mut client = sloop.reports();
    let mut outage = report(7, 1, 1_000, 900);
    also(&mut outage, &windows.map(|(name, _)| (name, 0)));
    client.report(outage).await.unwrap();
    let found = samples(&sloop).await;
    for (name, _) in windows {
        // A budget of 10 % cannot burn 14.4 times too fast: as that counts that 88.75 % are surely bad.
        for pair in ["fastest", "fast", "slow", "slowest"] {
            let labels = format!(r#"{{objective="0",pair="{pair}",slo="{name}"}}"#);
            let rate = found[&format!("sloop_controlplane_slo_pair_burn_rate{labels}")];
            assert!((rate - 9.0).abs() < 1e-9, "{rate} {labels}");
            let burning = found.get(&format!("sloop_controlplane_slo_pair_burning{labels}"));
            let expected = if pair == "fastest" { 0.0 } else { 1.0 };
            assert_eq!(burning, Some(&expected), "{labels}");
        }
    }
}

/// An SLO of two objectives, of which the second weighs half as much.
const BOTH: &str = r#"apiVersion: openslo/v1
kind: SLO
metadata: {name: both}
spec:
  service: checkout
  budgetingMethod: Occurrences
  timeWindow: [{duration: 28d, isRolling: true}]
  alertPolicies:
  - kind: AlertPolicy
    metadata: {name: wake}
    spec:
      conditions: [{kind: AlertCondition, metadata: {name: burns}, spec: {severity: page, condition: {kind: burnrate, op: gt, threshold: 1.66, lookbackWindow: 1h}}}]
      notificationTargets: [{kind: AlertNotificationTarget, metadata: {name: phone}, spec: {target: "http://127.0.0.1:1/"}}]
  objectives:
  - target: 0.99
    indicator: {metadata: {name: one}, spec: {ratioMetric: {counter: true, bad: {metricSource: {type: sloop, spec: {service: checkout, route: pay, status: ["5xx"]}}}, total: {metricSource: {type: sloop, spec: {service: checkout, route: pay}}}}}}
  - target: 0.9
    compositeWeight: 0.5
    indicator: {metadata: {name: other}, spec: {ratioMetric: {counter: true, bad: {metricSource: {type: sloop, spec: {service: checkout, route: pay, status: ["5xx"]}}}, total: {metricSource: {type: sloop, spec: {service: checkout, route: pay}}}}}}
"#;

#[tokio::test]
async fn a_composite_is_shown_as_all_of_its_objectives_together() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("both.yaml", BOTH);
    let sloop = home.start();
    let mut client = sloop.reports();
    let mut bad = report(7, 1, 10_000, 200);
    also(&mut bad, &[("both", 0), ("both", 1)]);
    client.report(bad).await.unwrap();
    let found = samples(&sloop).await;
    let pair = |name: &str| format!(r#"objective="composite",pair="{name}",slo="both""#);
    let all = r#"objective="composite",slo="both""#.to_owned();
    let day = r#"objective="composite",slo="both",window="22h24m""#.to_owned();
    for (metric, labels, expected) in [
        ("slo_budget_left", all, -1.1),
        ("slo_burn_rate", day, 2.1),
        ("slo_pair_burn_rate", pair("slowest"), 2.1),
        ("slo_pair_burning", pair("slowest"), 1.0),
        ("slo_pair_burning", pair("fastest"), 0.0),
    ] {
        let name = format!("sloop_controlplane_{metric}{{{labels}}}");
        let value = found.get(&name).unwrap_or_else(|| panic!("{name}"));
        assert!((value - expected).abs() < 1e-9, "{name} is {value}");
    }
    // The first burns its budget twice as fast as it may, surely 1.62 times; together it is 2.1 times, surely 1.70.
    eventually(
        "its policy fires, and none of an objective alone",
        async || {
            let alerts = run(&sloop, &["get", "alerts", "-o", "name"]).out;
            assert!(
                ["", "alert/wake/both/composite\n"].contains(&&*alerts),
                "{alerts}"
            );
            (!alerts.is_empty()).then_some(())
        },
    )
    .await;
    let wide = run(&sloop, &["get", "slo", "-o", "wide"]).out;
    let line = wide.lines().find(|line| line.contains("composite"));
    let cells = line.unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(
        cells[..6],
        ["both", "checkout", "monitored", "composite", "-", "-110%"]
    );
    assert!(wide.lines().count() == 4, "{wide}");
    let top = run(&sloop, &["top", "--once"]).out;
    assert!(
        top.lines()
            .any(|line| line.starts_with("both/composite") && line.ends_with("gone"))
    );
}

#[tokio::test]
async fn labels_of_an_slo_are_kept_and_shown() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let labels = "labels: {team: payments, my-tier: [a, b]}, annotations:";
    home.write(
        "slo.yaml",
        &slo("pay", "0.99").replace("annotations:", labels),
    );
    let sloop = home.start();
    let info = r#"sloop_controlplane_slo_info{label_my_tier="a,b",label_team="payments",service="checkout",slo="pay"}"#;
    assert_eq!(samples(&sloop).await.get(info), Some(&1.0));
    let slos = sloop.items("/v1/slos").await;
    let expected = serde_json::json!({"team": "payments", "my-tier": "a,b"});
    assert_eq!(slos[0]["labels"], expected);
    let described = run(&sloop, &["describe", "slo", "pay"]);
    assert_eq!(described.row("Labels:")[1], "my-tier=a,b, team=payments");
    home.write(
        "slo.yaml",
        &slo("pay", "0.99").replace("annotations:", "labels: {team: shop}, annotations:"),
    );
    let info = r#"sloop_controlplane_slo_info{label_team="shop",service="checkout",slo="pay"}"#;
    eventually("another label takes its place", async || {
        let found = samples(&sloop).await;
        let all: Vec<&String> = found
            .keys()
            .filter(|name| name.contains("slo_info"))
            .collect();
        (all == [info]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn breakers_are_shown_by_route_with_what_they_refused() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    let mut client = sloop.reports();
    // Two workers; the breaker of the second is open.
    for (incarnation, state, refused) in [
        (7, wire::BreakerState::Closed, 0),
        (8, wire::BreakerState::Open, 5),
    ] {
        let mut report = report(incarnation, 1, 10, 0);
        report.scopes[0].breaker = Some(wire::BreakerDelta {
            state: state.into(),
            refused,
            shadow_refused: 1,
            ..wire::BreakerDelta::default()
        });
        client.report(report).await.unwrap();
    }
    let found = samples(&sloop).await;
    let scope = r#"route="pay",service="checkout",side="server""#;
    for (state, count) in [
        ("closed", 1.0),
        ("open", 1.0),
        ("probing", 0.0),
        ("ramping", 0.0),
    ] {
        let name = format!(r#"sloop_controlplane_breakers{{{scope},state="{state}"}}"#);
        assert_eq!(found.get(&name), Some(&count), "{name}");
    }
    for (result, count) in [("refused", 5.0), ("shadow_refused", 2.0)] {
        let name =
            format!(r#"sloop_controlplane_requests_refused_total{{result="{result}",{scope}}}"#);
        assert_eq!(found.get(&name), Some(&count), "{name}");
    }
    // Both say that it was withdrawn.
    for incarnation in [7, 8] {
        client.report(report(incarnation, 2, 10, 0)).await.unwrap();
    }
    let found = samples(&sloop).await;
    assert!(!found.keys().any(|name| name.contains(scope)), "{found:?}");
}

#[tokio::test]
async fn a_decision_is_counted_for_who_made_it() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    let name = |kind: &str, stage: &str| {
        format!(r#"sloop_controlplane_decisions_total{{kind="{kind}",stage="{stage}"}}"#)
    };
    let found = eventually("the SLO is decided about", async || {
        let found = samples(&sloop).await;
        (found.get(&name("slo", "protect")) == Some(&1.0)).then_some(found)
    })
    .await;
    assert_eq!(found.get(&name("slo", "measure")), Some(&1.0));
    assert_eq!(found.get(&name("load_shed", "protect")), Some(&0.0));
}

#[tokio::test]
async fn what_never_happened_is_zero_so_that_the_first_time_is_seen() {
    let sloop = Home::new().start();
    let found = samples(&sloop).await;
    for metric in [
        r#"reports_total{result="refused"}"#,
        r#"requests_not_counted_total{reason="too_late"}"#,
        r#"requests_not_counted_total{reason="elsewhere"}"#,
        r#"filter_trouble_total{kind="hostcalls_failed"}"#,
        r#"alert_deliveries_total{result="refused"}"#,
        r#"access_denied_total{what="api"}"#,
        r#"tls_reloads_total{result="refused"}"#,
        r#"token_reloads_total{result="refused"}"#,
        r#"requests_shed_total{class="critical"}"#,
        r#"decisions_total{kind="slo",stage="measure"}"#,
        r#"decisions_total{kind="slo",stage="protect"}"#,
        r#"decisions_total{kind="alert",stage="advise"}"#,
        r#"pushes_refused_total{type="ecds"}"#,
        r#"pushes_withheld_total{what="declared"}"#,
        r#"load_reports_total{result="refused"}"#,
        "report_gaps_total",
        "store_commits_failed_total",
        "alerts_dropped_total",
    ] {
        let value = found.get(&format!("sloop_controlplane_{metric}"));
        assert_eq!(value, Some(&0.0), "{metric}");
    }
}

/// Runs `PROMTOOL` (or what is on the `PATH`) on `input`; nothing where there is none.
fn promtool(args: &[&str], input: &[u8]) -> Option<std::process::Output> {
    let tool = std::env::var_os("PROMTOOL").unwrap_or_else(|| "promtool".into());
    let mut command = Command::new(tool);
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        let _seen = writeln!(
            std::io::stderr(),
            "SKIPPED: no promtool; `cargo xtask test` gets it, or set PROMTOOL"
        );
        return None;
    };
    child.stdin.take().unwrap().write_all(input).unwrap();
    Some(child.wait_with_output().unwrap())
}

#[tokio::test]
async fn prometheus_has_nothing_to_say_against_the_metrics() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    let mut client = sloop.reports();
    client.report(report(7, 1, 1_000, 4)).await.unwrap();
    let text = eventually("the SLO is shown", async || {
        let (_, body) = sloop.get("/metrics").await;
        let text = String::from_utf8(body.to_vec()).unwrap();
        text.contains("slo_window_requests{").then_some(text)
    })
    .await;
    if let Some(output) = promtool(&["check", "metrics"], text.as_bytes()) {
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn prometheus_takes_the_rules() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring/rules.yaml");
    if let Some(output) = promtool(&["check", "rules", rules], b"") {
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn each_alert_fires_where_it_must_and_nowhere_else() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring");
    let cases = format!("{folder}/rules.test.yaml");
    let tested = std::fs::read_to_string(&cases).unwrap();
    let rules = std::fs::read_to_string(format!("{folder}/rules.yaml")).unwrap();
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    for name in names {
        let fires = format!("{{alertname=\"{name}\"");
        assert!(tested.contains(&fires), "{name} fires in no case");
    }
    if let Some(output) = promtool(&["test", "rules", &cases], b"") {
        assert!(output.status.success(), "{output:?}");
    }
}

/// A collector that remembers the names of what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<BTreeSet<String>>>);

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let resources = request.into_inner().resource_metrics.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_metrics);
        let names = scopes
            .flat_map(|scope| scope.metrics)
            .map(|metric| metric.name);
        self.0.lock().unwrap().extend(names);
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tokio::test]
async fn a_collector_is_sent_what_prometheus_would_read() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let collector = Collector::default();
    let service = MetricsServiceServer::new(collector.clone());
    let server = tonic::transport::Server::builder().add_service(service);
    let serving = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start_with(&["--otlp", &endpoint, "--otlp-interval", "1"]);
    let mut client = sloop.reports();
    client.report(report(7, 1, 1_000, 4)).await.unwrap();
    eventually("all came", async || {
        let names = collector.0.lock().unwrap();
        let wanted = [
            "reports",
            "decisions",
            "step.duration",
            "nodes_connected",
            "slo_requests",
            "slo_window_requests",
            "slo_budget_left",
            "slo_burn_rate",
        ];
        let mut wanted = wanted
            .iter()
            .map(|name| format!("sloop.controlplane.{name}"));
        wanted.all(|name| names.contains(&name)).then_some(())
    })
    .await;
    assert!(sloop.terminate().await.success());
    serving.abort();
}
