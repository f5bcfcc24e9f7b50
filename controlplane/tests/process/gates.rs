//! Experiments as gates of a build: what the README has for GitHub Actions and GitLab is run, by a shell, against the real program.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use sloop_model::ExperimentKey;
use sloop_xds_protos::report::v1 as wire;

use crate::support::{Home, ROUTES, Sloop, eventually, program, report, slo};

/// The file that the commands of the README name.
const FILE: &str = "chaos/payments-slow.yaml";
const EXPERIMENT: &str = "apiVersion: sloop.dev/v1
kind: ChaosExperiment
metadata: {name: payments-slow}
spec:
  hypothesis: [{slo: pay, tolerance: 20%}]
  targets: [{service: checkout, route: pay}]
  faults: [{share: 20%, delay: {pareto: {scale_ms: 300, shape: 1.5}}}]
  control: 20%
  duration: 1m
  budget: 100%
  abort: {burning: never}
  seed: 7
";
/// How requests of the arms end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arms {
    /// Well, in both.
    Alike,
    /// Six of ten in the arm of the fault are bad while it is injected.
    Harmed,
    /// There are none.
    Empty,
}

/// Between two reports.
const REPORTED_EVERY: Duration = Duration::from_millis(200);

/// The commands in the examples of the README, in their order: of GitHub Actions what is in `run`, of GitLab what is in `script`.
///
/// Programs that fetch or install something would be left out by their names; there are none, so all must be `sloop`.
fn commands() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, section) = readme.split_once("\n## Experiments\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut commands = Vec::new();
    for fence in section.split("```yml\n").skip(1) {
        let (fence, _) = fence.split_once("```").unwrap();
        for line in fence.lines() {
            let line = line.trim_start().trim_start_matches("- ");
            let script = line
                .strip_prefix("script: [")
                .and_then(|line| line.strip_suffix(']'));
            let found = script.or_else(|| line.strip_prefix("run: "));
            let is_one = line.starts_with("run:") || line.contains("script:");
            assert_eq!(is_one, found.is_some(), "how is this to be run? {line}");
            commands.extend(found.map(str::to_owned));
        }
    }
    commands
}

/// A folder as a job of a build has it, with `sloop` on its way to programs.
struct Job(tempfile::TempDir);

impl Job {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("chaos")).unwrap();
        fs::create_dir(folder.path().join("programs")).unwrap();
        fs::write(folder.path().join(FILE), EXPERIMENT).unwrap();
        std::os::unix::fs::symlink(program(), folder.path().join("programs/sloop")).unwrap();
        Self(folder)
    }

    /// Runs a command as the runner of a build does.
    async fn run(&self, command: &str, sloop: &Sloop) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        let programs = self.0.path().join("programs");
        let mut shell = Command::new("sh");
        shell
            .args(["-e", "-c", command])
            .current_dir(self.0.path())
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("SLOOP_ADMIN", format!("http://{}", sloop.http));
        let output = tokio::task::spawn_blocking(move || shell.output().unwrap());
        output.await.unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }
}

async fn newest(sloop: &Sloop) -> Option<Value> {
    let (status, body) = sloop.get("/v1/experiments/payments-slow").await;
    (status == 200).then(|| serde_json::from_slice(&body).unwrap())
}

/// A sidecar of `checkout` that reports both arms for ever.
async fn reporting(sloop: &Sloop, arms: &Mutex<Arms>) {
    let mut client = sloop.reports();
    let incarnation = sloop.id().into();
    for sequence in 1.. {
        let run = newest(sloop).await;
        let is_running = run.is_some_and(|run| run["phase"] == "running");
        let arms = *arms.lock().unwrap();
        let bad = if arms == Arms::Harmed && is_running {
            6
        } else {
            0
        };
        let mut report = report(incarnation, sequence, 200, bad);
        let arm = |arm: wire::Arm, bad: u64| wire::ArmDelta {
            experiment: ExperimentKey::of("payments-slow.1").bits(),
            arm: arm.into(),
            requests: 10,
            outcomes: vec![10 - bad, 0, bad],
            objectives: vec![wire::ObjectiveDelta {
                slo: "pay".to_owned(),
                objective: 0,
                total: 10,
                good: 10 - bad,
            }],
            ..wire::ArmDelta::default()
        };
        if arms != Arms::Empty {
            report.scopes[0].arms = vec![arm(wire::Arm::Fault, bad), arm(wire::Arm::Control, 0)];
        }
        client.report(report).await.unwrap();
        tokio::time::sleep(REPORTED_EVERY).await;
    }
}

/// The commands of both examples, for a hypothesis that holds, one that does not, and one of which nothing is known; then the
/// first run beside the newest, after the control plane began again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gates_of_the_readme_pass_fail_and_tell_that_nothing_is_known() {
    let commands = commands();
    let [github, gitlab] = commands.as_slice() else {
        panic!("one command for each of two systems: {commands:?}")
    };
    for command in &commands {
        assert!(command.starts_with("sloop chaos run "), "{command}");
        assert!(command.contains(FILE), "{command}");
    }
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.9"));
    let sloop = home.start();
    let job = Job::new();
    let arms = Mutex::new(Arms::Alike);
    let gates = async {
        for (command, how, code, word) in [
            (github, Arms::Alike, 0, "held"),
            (gitlab, Arms::Harmed, 4, "broken"),
            (github, Arms::Harmed, 4, "broken"),
            (gitlab, Arms::Alike, 0, "held"),
        ] {
            *arms.lock().unwrap() = how;
            let output = job.run(command, &sloop).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{command}: {said}");
            let xml = job.read("chaos.xml");
            let failures = format!("failures=\"{}\"", u8::from(how == Arms::Harmed));
            assert!(xml.contains(&failures), "{xml}");
            let page = job.read("pages/payments-slow.html");
            let title = format!("payments-slow: {word}");
            assert!(page.contains(&title), "{word} is not in the page");
        }
        *arms.lock().unwrap() = Arms::Empty;
        let stopping = async {
            let running = eventually("it runs again", async || {
                newest(&sloop).await.filter(|run| run["phase"] == "running")
            });
            running.await;
            job.run("sloop chaos stop payments-slow", &sloop).await
        };
        let (output, stopped) = tokio::join!(job.run(gitlab, &sloop), stopping);
        assert!(stopped.status.success(), "{stopped:?}");
        assert_eq!(output.status.code(), Some(5), "nothing is known");
        assert!(job.read("chaos.xml").contains("skipped=\"1\""));
    };
    tokio::select! {
        () = gates => {}
        () = reporting(&sloop, &arms) => {}
    }
    compare_after_a_restart(&home, sloop, &job).await;
}

/// Runs of the past are in the store: the first one beside the newest.
async fn compare_after_a_restart(home: &Home, sloop: Sloop, job: &Job) {
    let runs = sloop.items("/v1/experiments").await;
    assert_eq!(runs.len(), 5);
    let first = &runs[4];
    assert!(sloop.terminate().await.success());
    let sloop = home.start();
    let command = format!(
        "sloop chaos compare payments-slow@{} payments-slow -o json",
        first["due_at"]
    );
    let output = job.run(&command, &sloop).await;
    assert!(output.status.success(), "{output:?}");
    let both: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(both.len(), 2);
    for field in ["verdict", "because", "events", "started_at", "ended_at"] {
        assert_eq!(both[0][field], first[field], "{field} as it was before");
    }
    assert_eq!(both[1]["due_at"], runs[0]["due_at"]);
    for field in ["seed", "targets"] {
        assert_eq!(both[0][field], both[1][field], "the same {field}");
    }
    let arms = |run: &Value| {
        let fault = &run["faults"][0];
        ["id", "seed", "share", "control"].map(|field| fault[field].clone())
    };
    assert_eq!(arms(&both[0]), arms(&both[1]), "the same arms");
    let table = job.run(&command.replace(" -o json", ""), &sloop).await;
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.contains("held") && table.contains("inconclusive"),
        "{table}"
    );
}
