//! Documents that are handed in, against the real program.
use std::fs;

use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::commands::{Ran, at, command, run};
use crate::support::{Home, ROUTES, Sloop, eventually, slo};

/// A folder outside of the one that is watched.
fn outside(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

async fn slos(sloop: &Sloop) -> Vec<String> {
    let slos = sloop.items("/v1/slos").await;
    let names = slos.iter().map(|slo| slo["name"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_applied_is_in_force_and_survives_a_crash() {
    let home = Home::new();
    let sloop = home.start();
    let files = outside(&[("routes.yaml", ROUTES), ("slo.yaml", &slo("pay", "0.99"))]);
    let folder = files.path().to_str().unwrap();
    let trial = run(&sloop, &["apply", "-f", folder, "--dry-run"]);
    let created = "RouteSet/checkout created (dry run)\nSLO/pay created (dry run)\n";
    assert_eq!(trial.out, created);
    assert!(sloop.items("/v1/documents").await.is_empty());
    let applied = run(&sloop, &["apply", "-f", folder]);
    assert_eq!(applied.out, created.replace(" (dry run)", ""));
    let named = run(&sloop, &["get", "documents", "-o", "name"]).out;
    assert_eq!(
        named,
        "document/applied:RouteSet/checkout\ndocument/applied:SLO/pay\n"
    );
    eventually("it is in force", async || {
        (slos(&sloop).await == ["pay"]).then_some(())
    })
    .await;
    sloop.kill();
    let sloop = home.start();
    eventually("it is in force again", async || {
        (slos(&sloop).await == ["pay"]).then_some(())
    })
    .await;
    let yaml = run(&sloop, &["get", "slo", "-o", "yaml"]).out;
    assert!(yaml.contains("\n    name: pay\n"), "{yaml}");
    assert_eq!(
        run(&sloop, &["delete", "slo", "pay"]).out,
        "SLO/pay deleted\n"
    );
    eventually("it is withdrawn", async || {
        slos(&sloop).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place_and_nothing_is_changed() {
    let home = Home::new();
    home.write("pay.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    let files = outside(&[("good.yaml", ROUTES), ("slo.yaml", &slo("more", "1.5"))]);
    let refused = at(&sloop, &["apply", "-f", files.path().to_str().unwrap()]);
    assert_eq!(refused.code, Some(1));
    let place = files
        .path()
        .join("slo.yaml:15:25: spec.objectives[0].target: is 1.5");
    assert!(refused.err.contains(place.to_str().unwrap()), "{refused:?}");
    assert_eq!(sloop.items("/v1/documents").await.len(), 1);
    let filed = at(&sloop, &["delete", "SLO", "pay"]);
    assert!(filed.err.contains("pay.yaml; delete it there"), "{filed:?}");
    let unknown = at(&sloop, &["delete", "slo", "nobody"]);
    assert_eq!(unknown.err, "error: there is no SLO/nobody\n");
    let kind = at(&sloop, &["delete", "slos", "pay"]);
    assert_eq!(kind.code, Some(2));
    assert!(kind.err.contains("did you mean \"SLO\"?"), "{kind:?}");
}

/// What `method path` with `body` is answered with.
pub(crate) async fn ask(
    sloop: &Sloop,
    method: &str,
    path: &str,
    body: &str,
) -> http::Response<hyper::body::Incoming> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
    let request = http::Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", sloop.http))
        .body(Full::from(body.to_owned()))
        .unwrap();
    client.request(request).await.unwrap()
}

/// The status and the problem that `method path` with `body` is answered with.
async fn problem(sloop: &Sloop, method: &str, path: &str, body: &str) -> (u16, Value) {
    let response = ask(sloop, method, path, body).await;
    let status = response.status().as_u16();
    let kind = response.headers()["content-type"].to_str().unwrap();
    assert_eq!(kind, "application/problem+json", "{method} {path}");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn every_error_is_a_problem_for_programs() {
    let home = Home::new();
    let sloop = home.start();
    let (status, said) = problem(&sloop, "POST", "/v1/documents", &slo("pay", "1.5")).await;
    assert_eq!((status, &said["status"]), (422, &Value::from(422)));
    let problems = said["problems"].as_array().unwrap();
    let mut problems = problems.iter();
    let target = problems.find(|it| it["path"] == "spec.objectives[0].target");
    let target = target.unwrap_or_else(|| panic!("{said}"));
    assert_eq!(
        (&target["file"], &target["line"]),
        (&"request".into(), &15.into())
    );
    let (status, said) = problem(&sloop, "POST", "/v1/experiments", &slo("pay", "1.5")).await;
    assert_eq!(status, 422, "{said}");
    let place = (&said["problems"][0]["file"], &said["problems"][0]["line"]);
    assert_eq!(place, (&"request".into(), &15.into()), "{said}");
    let too_much = "#".repeat(300 << 10);
    for (method, path, body, expected) in [
        ("POST", "/v1/documents", "", 422),
        ("POST", "/v1/documents?dry_run=perhaps", "", 400),
        ("DELETE", "/v1/documents/SLO/x", "", 404),
        ("PUT", "/v1/documents", "", 405),
        ("GET", "/nowhere", "", 404),
        ("GET", "/v1/slos/%ff", "", 400),
        ("POST", "/v1/experiments", &too_much, 413),
    ] {
        let (status, said) = problem(&sloop, method, path, body).await;
        assert_eq!(status, expected, "{method} {path}: {said}");
        assert_eq!(said["status"], expected, "{said}");
        let detail = said["detail"].as_str().unwrap();
        assert!(!detail.is_empty(), "{said}");
        if status == 413 {
            assert!(detail.contains("more than 262144 bytes"), "{said}");
        }
    }
}

#[tokio::test]
async fn what_nobody_acts_on_is_said_to_who_hands_it_in_and_to_who_looks() {
    let home = Home::new();
    let log = home.documents().with_file_name("log");
    let sloop = home.start_logged(&log, &[]);
    let slip = format!(
        "{}  alertPolicies: [{{alertPolicyRef: wakee}}]\n",
        slo("pay", "0.99")
    );
    let policy = "apiVersion: openslo/v1\nkind: AlertPolicy\nmetadata: {name: wake}\nspec: {conditions: \
                  [{conditionRef: c}], notificationTargets: [{targetRef: t}]}\n";
    let files = outside(&[("slo.yaml", &slip), ("policy.yaml", policy)]);
    let applied = run(&sloop, &["apply", "-f", files.path().to_str().unwrap()]);
    let note = "there is no AlertPolicy wakee in these documents; did you mean \"wake\"?";
    let line = applied.out.lines().find(|line| line.contains(note));
    let line = line.unwrap_or_else(|| panic!("{applied:?}"));
    assert!(
        line.contains("slo.yaml:") && line.contains(" note: "),
        "{line}"
    );
    let table = run(&sloop, &["get", "documents"]).out;
    assert!(table.contains(note), "{table}");
    let documents = sloop.items("/v1/documents").await;
    let mut slos = documents
        .iter()
        .filter(|it| it["file"] == "applied:SLO/pay");
    let slo = slos.next().unwrap();
    assert_eq!(
        (&slo["accepted"], &slo["problems"]),
        (&true.into(), &Value::Array(vec![]))
    );
    assert!(slo["notes"][0].as_str().unwrap().contains(note), "{slo}");
    let logged = fs::read_to_string(&log).unwrap();
    assert!(logged.contains("there is no AlertPolicy wakee"), "{logged}");

    let body = slip.replace("wakee", "wake");
    let answer = ask(&sloop, "POST", "/v1/documents?dry_run=true", &body).await;
    let answer = answer.into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let notes = answer["notes"].as_array().unwrap();
    assert!(
        !notes.iter().any(|it| it.to_string().contains("wake in")),
        "{answer}"
    );
}

#[test]
fn every_shell_is_told_how_to_complete() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Ran::of(&mut command(&["completions", shell]));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.contains("bootstrap"), "{shell}");
    }
}
