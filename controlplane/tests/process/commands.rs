//! What people type, against the real program.
use std::fs;
use std::process::Command;

use crate::lively::EXPERIMENT;
use crate::support::{Home, ROUTES, Sloop, eventually, report, slo};
use serde_json::Value;

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The cells of the line that begins with `first`.
    pub(crate) fn row(&self, first: &str) -> Vec<&str> {
        let mut rows = self.out.lines().map(|line| {
            let cells = line.split("   ").map(str::trim);
            cells.filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
        });
        let found = rows.find(|row| row.first() == Some(&first));
        found.unwrap_or_else(|| panic!("no {first} in {self:?}"))
    }
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sloop"));
    command.args(args).env_remove("SLOOP_ADMIN");
    command
}

pub(crate) fn run(sloop: &Sloop, args: &[&str]) -> Ran {
    let ran = Ran::of(command(args).env("SLOOP_ADMIN", format!("http://{}", sloop.http)));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// A program that was told of 1000 requests, of which 4 failed; 10 were allowed to.
async fn with_requests(home: &Home) -> Sloop {
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    let mut client = sloop.reports();
    client.report(report(7, 1, 1_000, 4)).await.unwrap();
    eventually("the SLO counts it", async || {
        let slos = sloop.items("/v1/slos").await;
        (slos[0]["objectives"][0]["counts"]["total"] == 1_000).then_some(())
    })
    .await;
    sloop
}

#[tokio::test]
async fn get_lists_what_is_known() {
    let home = Home::new();
    let sloop = with_requests(&home).await;
    let slos = run(&sloop, &["get", "slo"]);
    let expected = ["pay", "checkout", "actionable", "99%", "99.6%", "60%"];
    assert_eq!(slos.row("pay")[..6], expected);
    assert!(slos.row("pay")[6].starts_with("0.4 ("), "{slos:?}");
    let wide = run(&sloop, &["get", "slo", "-o", "wide"]);
    assert!(wide.row("NAME").contains(&"POLICIES"), "{wide:?}");
    let scopes = run(&sloop, &["get", "scopes"]);
    let expected = ["checkout", "pay", "server", "1000"];
    assert_eq!(scopes.row("checkout")[..4], expected);
    let nodes = run(&sloop, &["get", "nodes"]);
    let expected = ["checkout-1", "checkout", "no"];
    assert_eq!(nodes.row("checkout-1")[..3], expected);
    let documents = run(&sloop, &["get", "documents"]).out;
    let accepted = documents.lines().filter(|line| line.ends_with("   yes"));
    assert_eq!(accepted.count(), 2, "{documents}");
    let decisions = run(&sloop, &["get", "decisions"]).out;
    assert!(decisions.contains("SLO/pay"), "{decisions}");
    for kind in ["slo", "nodes", "scopes", "decisions", "documents", "events"] {
        let json = run(&sloop, &["get", kind, "-o", "json"]).out;
        let list: Value = serde_json::from_str(&json).unwrap();
        assert!(!list["items"].as_array().unwrap().is_empty(), "{kind}");
    }
}

#[tokio::test]
async fn describe_says_how_an_slo_stands_and_why() {
    let home = Home::new();
    let sloop = with_requests(&home).await;
    let ran = run(&sloop, &["describe", "slo", "pay"]);
    println!("{}", ran.out);
    for (name, value) in [
        ("Name:", "pay"),
        ("Mode:", "actionable"),
        ("Target:", "99%"),
        ("Requests:", "1000 in the window, 4 bad, 99.6% good"),
        ("Budget:", "60% left: 4 of 10 allowed bad requests spent"),
    ] {
        assert_eq!(ran.row(name)[1], value, "{}", ran.out);
    }
    let long = run(&sloop, &["describe", "slo", "pay", "--window", "400d"]).out;
    let heading = "objective 0 in the last 90d; of what was before that it is not known";
    assert!(long.contains(heading), "{long}");
    for window in ["5s", "4m40s", "56m", "5h36m", "2d19h12m"] {
        assert_eq!(ran.row(window)[0], window);
    }
    for part in [
        "\nPolicies in force\n  checkout pay (server): a breaker opens when more than ",
        "\nWhy\n  ",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
}

#[tokio::test]
async fn before_anybody_reported_nothing_is_known_rather_than_well() {
    let home = Home::new();
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    let ran = run(&sloop, &["describe", "slo", "pay"]);
    assert_eq!(ran.row("Budget:")[1], "not known", "{}", ran.out);
    let slos = run(&sloop, &["get", "slo"]);
    assert_eq!(slos.row("pay")[4..], ["-", "-", "-"]);
}

#[tokio::test]
async fn what_cannot_be_done_ends_with_1_and_one_line() {
    let home = Home::new();
    let sloop = home.start();
    let admin = format!("http://{}", sloop.http);
    let nobody = Ran::of(&mut command(&["describe", "slo", "x", "--admin", &admin]));
    assert_eq!(nobody.code, Some(1));
    assert_eq!(nobody.err, "error: there is no SLO \"x\"\n");
    assert!(sloop.terminate().await.success());
    let gone = Ran::of(&mut command(&["get", "slo", "--admin", &admin]));
    assert_eq!(gone.code, Some(1));
    let expected = format!("error: no answer from {admin}/v1/slos; is the control plane running");
    assert!(gone.err.starts_with(&expected), "{gone:?}");
    assert_eq!(gone.err.lines().count(), 1, "{gone:?}");
    let senseless = Ran::of(&mut command(&["get", "weather"]));
    assert_eq!(senseless.code, Some(2));
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let home = Home::new();
    let sloop = home.start();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let place = sloop.http.to_string();
    let ran = Ran::of(command(&["get", "events", "--admin", &place]).stdout(writer));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
}

#[test]
fn validate_needs_no_control_plane() {
    let home = Home::new();
    home.write("slo.yaml", &slo("pay", "0.99"));
    let folder = home.document("");
    let folder = folder.to_str().unwrap();
    let valid = Ran::of(&mut command(&["validate", "-f", folder]));
    assert_eq!(valid.code, Some(0), "{valid:?}");
    home.write("bad.yaml", &slo("pay2", "1.5"));
    let invalid = Ran::of(&mut command(&["validate", "-f", folder]));
    assert_eq!(invalid.code, Some(1), "{invalid:?}");
    let expected = "bad.yaml:15:25: spec.objectives[0].target: is 1.5; it must be at least 0";
    assert!(invalid.out.contains(expected), "{invalid:?}");
    fs::remove_file(home.document("bad.yaml")).unwrap();
    let nothing = Ran::of(&mut command(&["validate", "-f", "/nowhere"]));
    assert_eq!(nothing.code, Some(2), "{nothing:?}");
}

#[tokio::test]
async fn a_bootstrap_leads_to_the_control_plane() {
    let home = Home::new();
    let sloop = home.start();
    let place = sloop.grpc.to_string();
    let ran = run(
        &sloop,
        &[
            "bootstrap",
            "--node=checkout-1",
            "--service=checkout",
            "--module=/sloop_filter.wasm",
            "--admin-port=9900",
            "--inbound=127.0.0.1:8080=127.0.0.1:3000",
            &format!("--control-plane={place}"),
        ],
    );
    for part in [
        "id: \"checkout-1\"".to_owned(),
        "cluster: \"checkout\"".to_owned(),
        "name: sloop-inbound".to_owned(),
        format!("port_value: {}", sloop.grpc.port()),
    ] {
        assert!(ran.out.contains(&part), "{part}: {}", ran.out);
    }
}

#[tokio::test]
async fn the_manifest_for_kubernetes_starts_it() {
    let manifest = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../envoy-configs/istio/control-plane.yaml"
    );
    let manifest = fs::read_to_string(manifest).unwrap();
    let args = manifest.lines().map(str::trim);
    let args = args.skip_while(|line| *line != "args:").skip(1);
    let args = args.take_while(|line| line.starts_with("- ") || line.starts_with("# "));
    let home = Home::new();
    home.write("slo.yaml", &slo("pay", "0.99"));
    let tokens = home.document("../tokens");
    fs::write(&tokens, "0123456789abcdef0123456789abcdef\n").unwrap();
    let at_home = |name: &str| format!("={}", home.document(name).display());
    let args = args.filter_map(|line| line.strip_prefix("- ")).map(|arg| {
        arg.replace("=0.0.0.0:9901", "=127.0.0.1:0")
            .replace("=0.0.0.0:9902", "=0.0.0.0:0")
            .replace("=json", "=text")
            .replace("=/admin/tokens", &format!("={}", tokens.display()))
            .replace("=/documents", &at_home(""))
            .replace("=/store/sloop", &at_home("../store"))
    });
    let args: Vec<String> = args.collect();
    assert_eq!(args.len(), 8, "{args:?}");
    let sloop = Sloop::of(&args);
    assert_eq!(
        sloop.get("/readyz").await.0,
        200,
        "the kubelet has no token"
    );
    assert_eq!(sloop.get("/v1/slos").await.0, 401);
}

#[test]
fn certificates_that_nothing_mounts_are_refused() {
    let istio = ["istio", "--app", "pay", "-n", "shop", "--pod-annotations"];
    let tls = ["--tls-cert", "/a", "--tls-key", "/b", "--tls-ca", "/c"];
    let ran = Ran::of(command(&istio).args(tls));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("--pod-annotations"), "{ran:?}");
}

#[test]
fn the_config_map_that_pods_wait_for_is_printed_alone() {
    let istio = ["istio", "--app", "pay", "-n", "shop"];
    let alone = Ran::of(command(&istio).args(["--runtime", "--config-map"]));
    let all = Ran::of(command(&istio).arg("--runtime"));
    assert!(alone.out.contains("kind: ConfigMap"), "{alone:?}");
    assert!(!alone.out.contains("kind: EnvoyFilter"), "{alone:?}");
    assert!(all.out.starts_with(&alone.out), "{all:?}");
    let ran = Ran::of(command(&istio).arg("--config-map"));
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[tokio::test]
async fn an_experiment_is_run_stopped_and_reported() {
    let home = Home::new();
    let sloop = with_requests(&home).await;
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("experiment.yaml");
    fs::write(&file, EXPERIMENT).unwrap();
    let file = file.to_str().unwrap();
    let tried = at(&sloop, &["chaos", "run", "-f", file, "--dry-run"]);
    assert_eq!(tried.code, Some(5), "{tried:?}");
    assert!(
        tried.out.starts_with("aborts: it would not begin: "),
        "{tried:?}"
    );
    fs::write(file, EXPERIMENT.replace("kind:", "sort:")).unwrap();
    let wrong = at(&sloop, &["chaos", "run", "-f", file]);
    assert!(wrong.err.contains(&format!("{file}:")), "{wrong:?}");
    fs::write(file, EXPERIMENT).unwrap();
    let asked = run(&sloop, &["chaos", "run", "-f", file, "--no-wait"]);
    assert_eq!(asked.out, "aborts is asked for\n");
    eventually("it waits", async || {
        let runs = sloop.items("/v1/experiments").await;
        (runs[0]["phase"] == "preflight").then_some(())
    })
    .await;
    let again = at(&sloop, &["chaos", "run", "-f", file]);
    assert!(again.err.contains("aborts runs already"), "{again:?}");
    let status = run(&sloop, &["chaos", "status", "aborts"]);
    assert!(status.out.contains("waiting: "), "{status:?}");

    run(&sloop, &["chaos", "stop", "aborts"]);
    eventually("it is over", async || {
        let runs = sloop.items("/v1/experiments").await;
        (runs[0]["phase"] == "over").then_some(())
    })
    .await;
    let report = at(&sloop, &["chaos", "report", "aborts"]);
    assert_eq!(report.code, Some(5), "inconclusive: {report:?}");
    assert!(report.out.contains("somebody stopped it before it began"));
    let junit = at(&sloop, &["chaos", "report", "aborts", "-o", "junit"]);
    assert!(junit.out.contains("skipped=\"1\""), "{junit:?}");
    let list = run(&sloop, &["chaos", "list"]);
    assert!(list.out.contains("aborts@"), "{list:?}");

    fs::write(file, EXPERIMENT.replace("50%", "101%")).unwrap();
    let refused = at(&sloop, &["chaos", "run", "-f", file]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("spec.budget: is \"101%\""),
        "{refused:?}"
    );
    let unknown = at(&sloop, &["chaos", "run", "delays"]);
    assert!(
        unknown.err.contains("there is no experiment delays"),
        "{unknown:?}"
    );
}

/// As [`run`], whatever the exit code.
pub(crate) fn at(sloop: &Sloop, args: &[&str]) -> Ran {
    Ran::of(command(args).env("SLOOP_ADMIN", format!("http://{}", sloop.http)))
}

#[test]
fn what_is_wrong_with_a_call_is_named() {
    let missing = Ran::of(&mut command(&["chaos", "run", "-f", "missing.yaml"]));
    assert_eq!(missing.code, Some(1));
    let begins = "error: missing.yaml cannot be handed in: cannot be read: No such file";
    assert!(missing.err.starts_with(begins), "{missing:?}");
    let deaf = "bootstrap --node n --service s --control-plane c:1 --admin-port 1 --module m";
    let deaf = Ran::of(&mut command(&deaf.split(' ').collect::<Vec<_>>()));
    assert_eq!((deaf.code, deaf.out.as_str()), (Some(2), ""), "{deaf:?}");
    assert!(deaf.err.contains("--inbound"), "{deaf:?}");
    let home = Home::new();
    let silent = Ran::of(home.command().env("SLOOP_LOG", "verbose"));
    assert_eq!(silent.code, Some(2), "{silent:?}");
    let says = "error: SLOOP_LOG has \"verbose\", which is no level";
    assert!(silent.err.starts_with(says), "{silent:?}");
    let empty = home.store();
    fs::write(&empty, "").unwrap();
    let replayed = Ran::of(&mut command(&["replay", empty.to_str().unwrap()]));
    assert_eq!(replayed.code, Some(1), "{replayed:?}");
    assert!(
        replayed.err.contains("there is no step in it"),
        "{replayed:?}"
    );
}

#[test]
fn a_collector_of_the_environment_that_cannot_be_used_is_said_and_keeps_nothing_from_beginning() {
    let home = Home::new();
    let log = home.documents().with_file_name("log");
    for (endpoint, warned) in [("", false), ("https://collector:4317", true)] {
        let mut command = home.command();
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        drop(Sloop::start_of(&mut command, &log));
        let logged = fs::read_to_string(&log).unwrap();
        let says = "OTEL_EXPORTER_OTLP_ENDPOINT cannot be used, so metrics are sent nowhere";
        assert_eq!(logged.contains(says), warned, "{logged}");
    }
}
