//! The real program from its beginning to its end, and what it does with documents meanwhile.
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Home, ROUTES, Sloop, eventually, get, report, slo};
use serde_json::Value;
use sloop_controlplane::admin::{Admin, router};
use sloop_controlplane::ads::{AdsLimits, Hub};
use sloop_controlplane::clock;
use sloop_controlplane::metrics::Telemetry;
use tokio::net::TcpListener;
#[cfg(target_os = "linux")]
use {
    rustix::process::{Resource, Rlimit, getrlimit, setrlimit},
    tokio::{net::TcpStream, task::JoinSet},
};

async fn targets(sloop: &Sloop) -> Vec<(String, f64)> {
    let slos = sloop.items("/v1/slos").await;
    let target = |slo: &Value| {
        let target = slo["objectives"][0]["target"].as_f64().unwrap();
        (slo["name"].as_str().unwrap().to_owned(), target)
    };
    slos.iter().map(target).collect()
}

async fn wait_for_targets(sloop: &Sloop, expected: &[(&str, f64)]) {
    eventually(&format!("SLOs are {expected:?}"), async || {
        let found = targets(sloop).await;
        let found: Vec<(&str, f64)> = found
            .iter()
            .map(|(name, it)| (name.as_str(), *it))
            .collect();
        (found == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_is_not_ready_before_it_has_loaded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let hub = Hub::new(AdsLimits::default(), clock::wall);
    let admin = Admin::loading(Arc::new(Telemetry::begin().unwrap()), hub);
    tokio::spawn(async move { axum::serve(listener, router(admin)).await });
    let ask = async |path: &str| get(at, path).await.unwrap();
    assert_eq!(ask("/healthz").await.0, 200);
    assert_eq!(ask("/readyz").await.0, 503);
    let (status, problem) = ask("/v1/slos").await;
    let problem: Value = serde_json::from_slice(&problem).unwrap();
    assert_eq!((status, &problem["status"]), (503, &Value::from(503)));
}

#[tokio::test]
async fn when_it_is_ready_everything_is_loaded() {
    let home = Home::new();
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    assert_eq!(sloop.get("/readyz").await.0, 200);
    assert_eq!(targets(&sloop).await, [("pay".to_owned(), 0.99)]);
    let (status, _) = sloop.get("/v1/slos/nobody").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn documents_take_effect_without_a_restart() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let sloop = home.start();
    assert!(targets(&sloop).await.is_empty());
    home.write("slo.yaml", &slo("pay", "0.99"));
    wait_for_targets(&sloop, &[("pay", 0.99)]).await;
    home.write("slo.yaml", &slo("pay", "0.95"));
    wait_for_targets(&sloop, &[("pay", 0.95)]).await;
    fs::remove_file(home.document("slo.yaml")).unwrap();
    wait_for_targets(&sloop, &[]).await;
}

#[tokio::test]
async fn a_bad_document_keeps_what_it_said_before() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    home.write("slo.yaml", &slo("pay", "1.5"));
    let refused = eventually("the file is refused", async || {
        let files = sloop.items("/v1/documents").await;
        files.into_iter().find(|file| file["accepted"] == false)
    })
    .await;
    assert!(refused["file"].as_str().unwrap().ends_with("slo.yaml"));
    assert_eq!(refused["kept"], true);
    let problem = refused["problems"][0].as_str().unwrap();
    assert!(problem.contains("spec.objectives[0]"), "{problem}");
    assert_eq!(targets(&sloop).await, [("pay".to_owned(), 0.99)]);
    let name = "sloop_controlplane_documents_files_refused";
    assert_eq!(sloop.metric(name).await, Some(1.0));
    sloop.terminate().await;
    let sloop = home.start();
    let kept = targets(&sloop).await;
    assert_eq!(kept, [("pay".to_owned(), 0.99)], "over a restart, too");
    home.write("slo.yaml", &slo("pay", "0.9"));
    wait_for_targets(&sloop, &[("pay", 0.9)]).await;
}

#[tokio::test]
async fn what_is_not_read_is_not_listed() {
    let home = Home::new();
    home.write("slo.YAML", &slo("pay", "0.99"));
    home.write(".slo.yaml.swp.yaml", "nonsense");
    fs::create_dir(home.document("..data")).unwrap();
    home.write("..data/slo.yaml", &slo("pay", "0.9"));
    let sloop = home.start();
    assert_eq!(targets(&sloop).await, [("pay".to_owned(), 0.99)]);
    let files = sloop.items("/v1/documents").await;
    let files: Vec<&str> = files
        .iter()
        .map(|it| it["file"].as_str().unwrap())
        .collect();
    assert_eq!(files, [home.document("slo.YAML").to_str().unwrap()]);
}

#[tokio::test]
async fn sigterm_ends_it_cleanly_and_soon() {
    let home = Home::new();
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    let mut client = sloop.reports();
    client.report(report(7, 1, 10, 1)).await.unwrap();
    let begun = Instant::now();
    let status = sloop.terminate().await;
    assert!(status.success(), "{status}");
    let took = begun.elapsed();
    println!("ended after {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let again = home.start();
    assert_eq!(again.items("/v1/scopes").await[0]["requests"], 10);
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_said_with_its_name() {
    let home = Home::new();
    let first = home.start();
    let second = home.command().output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    let said = said.lines().last().unwrap();
    assert!(said.contains("/store cannot be opened"), "{said}");
    drop(first);
}

/// As many as a listener has room for where nothing is said of it, and half of that again.
#[cfg(target_os = "linux")]
const AT_ONCE: usize = 1_536;

/// Raises how many files may be open to so many, as far as it may be. Says how many.
#[cfg(target_os = "linux")]
fn may_open_files(wanted: usize) -> usize {
    let wanted = u64::try_from(wanted).unwrap();
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.map_or(wanted, |most| most.min(wanted));
    if limit.current.is_some_and(|current| current < allowed) {
        let raised = Rlimit {
            current: Some(allowed),
            ..limit
        };
        setrlimit(Resource::Nofile, raised).unwrap();
    }
    usize::try_from(allowed).unwrap()
}

/// A fleet that comes back while the program has no time for it: who finds no room would hear nothing at all.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_comes_at_one_moment_waits_to_be_accepted() {
    let files = may_open_files(AT_ONCE + 500);
    let room = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let home = Home::new();
    let sloop = home.start();
    sloop.signal("STOP");
    let mut coming = JoinSet::new();
    let at_once = AT_ONCE.min(room.trim().parse().unwrap());
    for _ in 0..at_once.min(files.saturating_sub(500)) {
        coming.spawn(TcpStream::connect(sloop.grpc));
    }
    let came = tokio::time::timeout(Duration::from_secs(10), coming.join_all()).await;
    sloop.signal("CONT");
    let came = came.expect("the kernel takes all of them");
    assert!(came.iter().all(Result::is_ok));
    drop(came);
    assert_eq!(sloop.get("/readyz").await.0, 200);
}
