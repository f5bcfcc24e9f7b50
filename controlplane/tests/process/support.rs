//! The real program in a folder of its own, for tests.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use sloop_xds_protos::report::v1::report_service_client::ReportServiceClient;
use sloop_xds_protos::report::v1::{self as wire, ReportRequest};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

/// Longer than anything takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Waits until `look` finds something; fails with `what` when it does not.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < SOON, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A folder with documents and a store. What is started in it uses both.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("documents")).unwrap();
        Self { folder }
    }

    /// Writes a document as editors do: whole, under another name, then renamed.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let draft = self.folder.path().join("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(draft, self.document(name)).unwrap();
    }

    pub(crate) fn document(&self, name: &str) -> PathBuf {
        self.folder.path().join("documents").join(name)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(program());
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--module", "/sloop_filter.wasm", "--documents"])
            .arg(self.folder.path().join("documents"))
            .arg("--store")
            .arg(self.folder.path().join("store"))
            .env_remove("SLOOP_LOG")
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// The folder with documents.
    pub(crate) fn documents(&self) -> PathBuf {
        self.folder.path().join("documents")
    }

    /// The file of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// As [`Home::start`], with what it says in the file `log`, too. Where it may not write it is told so, as on a full
    /// disk, and not ended.
    pub(crate) fn start_bounded(&self, log: &Path) -> Sloop {
        let command = self.command();
        let mut bounded = Command::new("sh");
        bounded
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(program())
            .args(command.get_args())
            .env_remove("SLOOP_LOG")
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let log = fs::File::create(log).unwrap();
        Sloop::wait_logged(bounded.spawn().unwrap(), log, SOON)
    }

    /// As [`Home::start_with`], with all that it says, down to `trace`, in the file `log`, too.
    pub(crate) fn start_logged(&self, log: &Path, args: &[&str]) -> Sloop {
        let mut command = self.command();
        command.args(args).env("SLOOP_LOG", "trace");
        let log = fs::File::create(log).unwrap();
        Sloop::wait_logged(command.spawn().unwrap(), log, SOON)
    }

    /// Starts the program and waits until it is ready.
    pub(crate) fn start(&self) -> Sloop {
        self.start_with(&[])
    }

    /// As [`Home::start`], where there is much to read.
    pub(crate) fn start_within(&self, within: Duration) -> Sloop {
        Sloop::wait_logged(self.command().spawn().unwrap(), io::sink(), within)
    }

    /// As [`Home::start`], with more arguments.
    pub(crate) fn start_with(&self, args: &[&str]) -> Sloop {
        Sloop::wait(self.command().args(args).spawn().unwrap())
    }
}

/// The program as it runs. It is killed when this is dropped.
pub(crate) struct Sloop {
    child: Child,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Sloop {
    /// Starts the program with these arguments alone.
    pub(crate) fn of(args: &[String]) -> Self {
        let mut command = Command::new(program());
        command.args(args).env_remove("SLOOP_LOG");
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        Self::wait(command.spawn().unwrap())
    }

    /// Starts `command`, and writes what it says in the file `log`, too.
    pub(crate) fn start_of(command: &mut Command, log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        Self::wait_logged(command.spawn().unwrap(), log, SOON)
    }

    fn wait(child: Child) -> Self {
        Self::wait_logged(child, io::sink(), SOON)
    }

    fn wait_logged(
        mut child: Child,
        mut copy: impl io::Write + Send + 'static,
        within: Duration,
    ) -> Self {
        let log = BufReader::new(child.stderr.take().unwrap());
        let (found, addresses) = mpsc::channel();
        // Reads to the end, so that the program never waits for room in the pipe.
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some(pair) = addresses_in(&line) {
                    found.send(pair).ok();
                }
                eprintln!("{line}");
                writeln!(copy, "{line}").unwrap();
            }
        });
        let (grpc, http) = addresses
            .recv_timeout(within)
            .expect("it says where it listens");
        Self { child, grpc, http }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What `kill` does with this signal.
    pub(crate) fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        let sent = kill.args(["-s", signal, &self.child.id().to_string()]);
        assert!(sent.status().unwrap().success());
    }

    /// Asks it to end, as service managers do, and waits until it has.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        eventually("it ends", async || self.child.try_wait().unwrap()).await
    }

    /// The status and the body of `GET path`.
    pub(crate) async fn get(&self, path: &str) -> (u16, Bytes) {
        get(self.http, path).await.unwrap()
    }

    /// The items of the list at `path`.
    pub(crate) async fn items(&self, path: &str) -> Vec<Value> {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}");
        let list: Value = serde_json::from_slice(&body).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// The value of a metric with exactly these labels.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let (_, body) = self.get("/metrics").await;
        let text = String::from_utf8(body.to_vec()).unwrap();
        let line = text.lines().find(|line| {
            line.strip_prefix(name)
                .is_some_and(|it| it.starts_with(' '))
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }

    pub(crate) fn reports(&self) -> ReportServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc)).unwrap();
        ReportServiceClient::new(endpoint.connect_lazy())
    }
}

impl Drop for Sloop {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The program: `$SLOOP`, as one that was optimised, else the one that was built with the tests.
pub(crate) fn program() -> std::ffi::OsString {
    let built = || env!("CARGO_BIN_EXE_sloop").into();
    std::env::var_os("SLOOP").unwrap_or_else(built)
}

/// Whether it was optimised, as far as its path says.
pub(crate) fn is_optimised() -> bool {
    PathBuf::from(program())
        .iter()
        .any(|part| part == "release")
}

fn addresses_in(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let after = |name: &str| {
        let (_, rest) = line.split_once(name)?;
        rest.split(' ').next()?.parse().ok()
    };
    Some((after(" grpc=")?, after(" http=")?))
}

/// The status and the body of `GET path`; nothing when nobody answers.
pub(crate) async fn get(at: SocketAddr, path: &str) -> Option<(u16, Bytes)> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let uri = format!("http://{at}{path}").parse().unwrap();
    let response = client.get(uri).await.ok()?;
    let status = response.status().as_u16();
    Some((
        status,
        response.into_body().collect().await.ok()?.to_bytes(),
    ))
}

/// A report: `requests` on `checkout pay`, of which `bad` failed.
pub(crate) fn report(incarnation: u64, sequence: u64, requests: u64, bad: u64) -> ReportRequest {
    let now = sloop_controlplane::clock::wall().as_millis();
    ReportRequest {
        node: "checkout-1".to_owned(),
        cluster: "checkout".to_owned(),
        incarnation,
        sequence,
        from_ms: now - 1_000,
        to_ms: now,
        scopes: vec![wire::ScopeDelta {
            service: "checkout".to_owned(),
            route: "pay".to_owned(),
            side: wire::Side::Server.into(),
            requests,
            outcomes: vec![requests - bad, 0, bad],
            objectives: vec![wire::ObjectiveDelta {
                slo: "pay".to_owned(),
                objective: 0,
                total: requests,
                good: requests - bad,
            }],
            ..wire::ScopeDelta::default()
        }],
        ..ReportRequest::default()
    }
}

/// An SLO on `checkout pay`.
pub(crate) fn slo(name: &str, target: &str) -> String {
    let source = "metricSource: {type: sloop, spec: {service: checkout, route: pay";
    format!(
        r#"apiVersion: openslo/v1
kind: SLO
metadata: {{name: {name}, annotations: {{sloop.dev/mode: actionable}}}}
spec:
  service: checkout
  budgetingMethod: Occurrences
  timeWindow: [{{duration: 28d, isRolling: true}}]
  indicator:
    metadata: {{name: {name}-sli}}
    spec:
      ratioMetric:
        counter: true
        bad: {{{source}, status: ["5xx"]}}}}}}
        total: {{{source}}}}}}}
  objectives: [{{target: {target}}}]
"#
    )
}

/// The routes of `checkout`.
pub(crate) const ROUTES: &str = r"apiVersion: sloop.dev/v1
kind: RouteSet
metadata: {name: checkout}
spec:
  service: checkout
  routes:
  - name: pay
    match: [{path: {prefix: /pay}}]
";
