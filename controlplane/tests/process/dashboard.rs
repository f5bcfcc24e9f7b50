//! What the dashboard and the alert rules show, by a real Prometheus that scrapes the real program.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lively::{Lively, told};
use crate::support::get;

const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring");

/// Scrapes are a second apart, rates look back half a minute: much longer than this nothing may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Counts what Envoys refused.
const REFUSED: &str = "sloop_controlplane_pushes_refused_total";

/// A Prometheus in a folder of its own. It is killed when this is dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts `PROMETHEUS` (or what is on the `PATH`), which scrapes `target`; nothing where there is none.
    fn start(folder: &Path, target: SocketAddr) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let config = folder.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: ['{MONITORING}/rules.yaml']\n\
             scrape_configs: [{{job_name: sloop, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        fs::write(&config, text).unwrap();
        let program = std::env::var_os("PROMETHEUS").unwrap_or_else(|| "prometheus".into());
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let Ok(child) = command.spawn() else {
            let _seen = writeln!(
                std::io::stderr(),
                "SKIPPED: no prometheus; `cargo xtask test` gets it, or set PROMETHEUS"
            );
            return None;
        };
        Some(Self { child, address })
    }

    /// What it answers at `path`; nothing while it does not.
    async fn ask(&self, path: &str) -> Option<Value> {
        let (status, body) = get(self.address, path).await?;
        let answer: Value = serde_json::from_slice(&body).ok()?;
        // It refuses what it cannot read, and that is no matter of patience.
        assert_ne!(status, 400, "{path}: {answer}");
        (status == 200).then(|| answer["data"].clone())
    }

    /// How many numbers `expression` gives now.
    async fn numbers(&self, expression: &str) -> usize {
        let path = format!("/api/v1/query?query={}", escaped(expression));
        let data = self.ask(&path).await.unwrap_or_default();
        let series = data["result"].as_array().into_iter().flatten();
        let values = series.filter_map(|one| one["value"][1].as_str()?.parse::<f64>().ok());
        values.filter(|value| value.is_finite()).count()
    }

    /// Names of the alerts that are there, and rules that cannot be evaluated.
    async fn alerts(&self) -> (BTreeSet<String>, Vec<Value>) {
        let data = self.ask("/api/v1/rules").await.unwrap_or_default();
        let groups = data["groups"].as_array().into_iter().flatten();
        let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
        let (mut there, mut broken) = (BTreeSet::new(), Vec::new());
        for rule in rules {
            if rule["health"] == "err" {
                broken.push(rule.clone());
            }
            if rule["state"] != "inactive" {
                there.insert(rule["name"].as_str().unwrap().to_owned());
            }
        }
        (there, broken)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// As the value of a query parameter.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// All panels' expressions, by the title of the panel, as Grafana sends them where everything is chosen.
fn expressions() -> Vec<(String, String)> {
    let text = fs::read_to_string(format!("{MONITORING}/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let expression = expression
                .replace("$instance", ".+")
                .replace("$slo", ".+")
                .replace("$__rate_interval", "30s");
            assert!(!expression.contains('$'), "{expression}");
            found.push((panel["title"].as_str().unwrap().to_owned(), expression));
        }
    }
    found
}

/// Requests fail, documents change now and then, and the sidecar takes what it is sent.
async fn happen(all: &mut Lively, round: u32) {
    all.report().await;
    if round.is_multiple_of(10) {
        let target = if round.is_multiple_of(20) {
            "0.98"
        } else {
            "0.99"
        };
        all.home.write("slo.yaml", &told(target));
    }
    all.sidecar.hears_within(Duration::from_millis(500)).await;
}

#[tokio::test]
async fn every_panel_has_numbers_and_what_goes_wrong_first_is_an_alert() {
    let mut all = Lively::start().await;
    let folder = tempfile::tempdir().unwrap();
    let Some(prometheus) = Prometheus::start(folder.path(), all.sloop.http) else {
        return;
    };
    let mut empty = expressions();
    assert!(25 < empty.len(), "{empty:?}");
    let mut waits_for = BTreeSet::from(["SloopConfigurationRefused", "SloopDocumentsRefused"]);
    let begun = Instant::now();
    let mut has_refused = false;
    for round in 0.. {
        happen(&mut all, round).await;
        // Prometheus must have seen that nothing was refused to see that something is.
        if !has_refused && prometheus.numbers(REFUSED).await != 0 {
            all.home.write("slo.yaml", &told("0.97"));
            all.sidecar.refuses("it does not like it").await;
            has_refused = true;
        }
        let mut still = Vec::new();
        for (title, expression) in empty {
            if prometheus.numbers(&expression).await == 0 {
                still.push((title, expression));
            }
        }
        empty = still;
        let (there, broken) = prometheus.alerts().await;
        assert!(broken.is_empty(), "{broken:#?}");
        waits_for.retain(|name| !there.contains(*name));
        if empty.is_empty() && waits_for.is_empty() {
            return;
        }
        let waited = begun.elapsed();
        assert!(
            waited < PATIENCE,
            "no numbers: {empty:#?}; no alert: {waits_for:?}"
        );
    }
}
