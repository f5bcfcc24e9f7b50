//! The HTTP API when it does not let everybody in, and how the program gets in.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;

use crate::authority::{Authority, write};
use crate::support::{Home, Sloop, eventually};

const TOKEN: &str = "4f1c9a0be2d3457786a1b2c3d4e5f607";
const OTHER: &str = "another-token.of+a~different/kind=";

/// The status of `GET path` with this header.
async fn status(sloop: &Sloop, path: &str, authorization: Option<&str>) -> u16 {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut request = http::Request::get(format!("http://{}{path}", sloop.http));
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let response = client.request(request.body(Empty::new()).unwrap());
    response.await.unwrap().status().as_u16()
}

/// What `sloop get slo -o json` at `url` says with these more arguments.
fn get(url: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sloop"))
        .args(["get", "slo", "-o", "json", "--admin", url])
        .args(args)
        .env_remove("SLOOP_TOKEN_FILE")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with a file of tokens.
fn tokens(content: &str) -> (TempDir, PathBuf) {
    let files = tempfile::tempdir().unwrap();
    let file = write(files.path(), "tokens", content);
    (files, file)
}

#[tokio::test]
async fn pages_in_a_browser_give_no_orders_where_nobody_else_is_asked_for_anything() {
    let sloop = Home::new().start();
    let post = async |origin: Option<&str>| {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let mut request = http::Request::post(format!("http://{}/v1/documents", sloop.http));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let response = client.request(request.body(Empty::new()).unwrap());
        let response = response.await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    for origin in ["http://example.org", "null"] {
        let (status, said) = post(Some(origin)).await;
        assert_eq!(status, 403, "{said}");
        assert!(said.contains("the request has Origin"), "{said}");
    }
    // Without documents there is nothing to do, but it may.
    assert_eq!(post(None).await.0, 422);
}

#[tokio::test]
async fn pages_of_names_that_lead_here_read_nothing() {
    let sloop = Home::new().start();
    let port = sloop.http.port();
    let get = async |host: &str, path: &str| {
        let client = Client::builder(TokioExecutor::new())
            .set_host(false)
            .build_http::<Empty<Bytes>>();
        let request = http::Request::get(format!("http://{}{path}", sloop.http));
        let request = request.header("host", format!("{host}:{port}"));
        let response = client.request(request.body(Empty::new()).unwrap());
        response.await.unwrap().status().as_u16()
    };
    assert_eq!(get("evil.example", "/v1/nodes").await, 421);
    assert_eq!(get("evil.example", "/healthz").await, 200);
    assert_eq!(get("localhost", "/v1/nodes").await, 200);
    assert_eq!(get("[::1]", "/v1/nodes").await, 200);
}

#[tokio::test]
async fn with_tokens_only_who_shows_one_is_answered() {
    let (files, file) = tokens(&format!("# people\n{TOKEN}\n"));
    let home = Home::new();
    let sloop = home.start_with(&["--admin-token-file", text(&file)]);
    for (path, authorization, expected) in [
        ("/v1/slos", None, 401),
        ("/metrics", None, 401),
        ("/nowhere", None, 401),
        ("/v1/slos", Some("Bearer wrong"), 401),
        ("/v1/slos", Some(TOKEN), 401),
        (
            "/v1/slos",
            Some("Bearer 4f1c9a0be2d3457786a1b2c3d4e5f607"),
            200,
        ),
        (
            "/metrics",
            Some("bearer 4f1c9a0be2d3457786a1b2c3d4e5f607"),
            200,
        ),
        ("/healthz", None, 200),
        ("/readyz", None, 200),
    ] {
        let given = status(&sloop, path, authorization).await;
        assert_eq!(given, expected, "{path} with {authorization:?}");
    }
    write(files.path(), "tokens", OTHER);
    let other = format!("Bearer {OTHER}");
    eventually("the other token holds", async || {
        (status(&sloop, "/v1/slos", Some(&other)).await == 200).then_some(())
    })
    .await;
    let first = format!("Bearer {TOKEN}");
    assert_eq!(status(&sloop, "/v1/slos", Some(&first)).await, 401);
    // Nothing would let nobody in: what was there holds on.
    write(files.path(), "tokens", "too short\n");
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert_eq!(status(&sloop, "/v1/slos", Some(&other)).await, 200);
}

#[tokio::test]
async fn commands_show_the_token_of_a_file() {
    let (_files, file) = tokens(TOKEN);
    let home = Home::new();
    let sloop = home.start_with(&["--admin-token-file", text(&file)]);
    let url = format!("http://{}", sloop.http);
    let without = get(&url, &[]);
    assert!(!without.status.success());
    let said = String::from_utf8(without.stderr).unwrap();
    assert!(said.contains("--token-file"), "{said}");
    let with = get(&url, &["--token-file", text(&file)]);
    let said = String::from_utf8_lossy(&with.stderr).into_owned();
    assert!(with.status.success(), "{said}");
    let (_files, old) = tokens(OTHER);
    let with = get(&url, &["--token-file", text(&old)]);
    let said = String::from_utf8_lossy(&with.stderr).into_owned();
    assert!(said.contains("the token that was shown is none"), "{said}");
}

#[test]
fn without_tokens_a_certificate_is_asked_for() {
    let files = tempfile::tempdir().unwrap();
    let authority = Authority::new("first");
    let roots = write(files.path(), "roots.pem", authority.pem());
    let server = authority.write(files.path(), "server", &[]);
    let home = Home::new();
    let sloop = home.start_with(&[
        "--admin-tls-cert",
        text(&server.cert),
        "--admin-tls-key",
        text(&server.key),
        "--admin-client-ca",
        text(&roots),
    ]);
    let url = format!("https://{}", sloop.http);
    let trusting = ["--admin-roots", text(&roots)];
    let (_files, file) = tokens(TOKEN);
    for shown in [&[][..], &["--token-file", text(&file)]] {
        let output = get(&url, &[&trusting, shown].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("show a client's certificate"), "{said}");
        assert!(!said.contains("--token-file"), "{said}");
    }
    // What is missing is no matter of the network.
    let missing = files.path().join("mine.pem");
    let shown = ["--admin-identity", text(&missing)];
    let output = get(&url, &[&trusting, &shown[..]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("mine.pem cannot be read"), "{said}");
    assert!(!said.contains("no answer"), "{said}");
}

#[tokio::test]
async fn over_https_a_token_or_a_certificate_is_enough() {
    let (files, file) = tokens(TOKEN);
    let folder = files.path();
    let authority = Authority::new("first");
    let roots = write(folder, "roots.pem", authority.pem());
    let server = authority.write(folder, "server", &[]);
    let home = Home::new();
    let sloop = home.start_with(&[
        "--admin-token-file",
        text(&file),
        "--admin-tls-cert",
        text(&server.cert),
        "--admin-tls-key",
        text(&server.key),
        "--admin-client-ca",
        text(&roots),
    ]);
    let url = format!("https://{}", sloop.http);
    let identity = |authority: &Authority, name: &str| {
        let (cert, key) = authority.issue(&[]);
        write(folder, name, &(cert + &key))
    };
    let mine = identity(&authority, "mine.pem");
    let strangers = identity(&Authority::new("second"), "strangers.pem");
    let trusting = ["--admin-roots", text(&roots)];
    for (shown, expected) in [
        (&["--token-file", text(&file)][..], true),
        (&["--admin-identity", text(&mine)], true),
        (&[], false),
        (&["--admin-identity", text(&strangers)], false),
    ] {
        let output = get(&url, &[&trusting, shown].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), expected, "{shown:?}: {said}");
        if shown.is_empty() {
            assert!(said.contains("or a client's certificate"), "{said}");
        }
    }
    let not_trusting = get(&url, &["--token-file", text(&file)]);
    assert!(!not_trusting.status.success(), "the server is nobody to it");
}

#[test]
fn it_does_not_let_everybody_in_on_an_address_that_others_reach() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sloop"))
        .args(["serve", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"])
        .args(["--module", "/sloop_filter.wasm", "--documents"])
        .arg(folder.path())
        .arg("--store")
        .arg(folder.path().join("store"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        said.contains("the HTTP API on 0.0.0.0:0 would let everybody in"),
        "{said}"
    );
}

/// What the program writes while somebody comes with right and wrong secrets.
#[tokio::test]
async fn secrets_are_never_in_the_log() {
    let (files, file) = tokens(TOKEN);
    let authority = Authority::new("first");
    let server = authority.write(files.path(), "server", &[]);
    let roots = write(files.path(), "roots.pem", authority.pem());
    let log = files.path().join("log");
    let home = Home::new();
    let sloop = home.start_logged(
        &log,
        &[
            "--admin-token-file",
            text(&file),
            "--tls-cert",
            text(&server.cert),
            "--tls-key",
            text(&server.key),
            "--client-ca",
            text(&roots),
        ],
    );
    for token in [TOKEN, OTHER] {
        let value = format!("Bearer {token}");
        status(&sloop, "/v1/slos", Some(&value)).await;
    }
    // A file that cannot be used is spoken of, without what is in it.
    write(files.path(), "tokens", &format!("{TOKEN} {OTHER}"));
    let key = std::fs::read_to_string(&server.key).unwrap();
    write(files.path(), "server.pem", &key);
    eventually("both files are spoken of", async || {
        let log = std::fs::read_to_string(&log).ok()?;
        let both = log.contains("tokens stay as they were")
            && log.contains("certificates stay as they were");
        both.then_some(())
    })
    .await;
    let log = std::fs::read_to_string(&log).unwrap();
    let secret = key.lines().nth(1).unwrap();
    for secret in [TOKEN, OTHER, secret] {
        assert!(!log.contains(secret), "{log}");
    }
}
