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
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

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
    for (name, expected) in [
        (gauge("slo_mode", r#"mode="actionable",slo="pay""#), 1.0),
        (gauge("slo_target", labels), 0.99),
        (gauge("slo_budget_left", labels), 0.6),
        (gauge("slo_burn_rate", day), 0.4),
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
        r#"requests_shed_total{class="critical"}"#,
        "pushes_refused_total",
        "pushes_withheld_total",
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
        println!("SKIPPED: no promtool; `cargo xtask test` gets it, or set PROMTOOL");
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
        let fires = format!("{{alertname=\"{name}\",");
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
