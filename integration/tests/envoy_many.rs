//! The benchmark of fleets, small: that every node is reached and everything is measured, not what comes out.
//!
//! The program is `$SLOOP`, else `target/debug/sloop`.
#![cfg(feature = "envoy")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use sloop_bench::fleet::Variant;
use sloop_integration::fleet::{self, Programs, Report, Settings};

const NODES: usize = 200;

fn programs() -> Programs {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/sloop");
    Programs {
        sloop: std::env::var_os("SLOOP").map_or(built, PathBuf::from),
        arguments: vec![],
        module: sloop_integration::module_path(),
    }
}

fn settings() -> Settings {
    Settings {
        variants: vec![Variant::Delta, Variant::Sotw],
        pushes: 2,
        reports: Duration::from_millis(300),
        ..Settings::of(NODES)
    }
}

/// The simulator blocks, so it has a thread of its own.
async fn measured(fleets: Vec<Settings>, soak: Option<(Settings, Duration)>) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let handle = tokio::runtime::Handle::current();
    let work = move || fleet::measure(&programs(), &fleets, soak, folder.path(), &handle);
    tokio::task::spawn_blocking(work).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_nodes_and_an_envoy_have_every_push_and_come_back_from_a_storm() {
    let with_envoy = Settings {
        envoys: 1,
        ..settings()
    };
    let report = measured(vec![with_envoy], None).await;
    let run = &report.runs[0];
    assert_eq!((run.connect.refused, run.push.pushes.len()), (0, 2));
    assert!(
        (3_500..5_000).contains(&run.push.bytes),
        "{}",
        run.push.bytes
    );
    assert!(0.0 < run.push.cpu_us && 0.0 < run.memory.connected_bytes);
    assert_eq!(run.reports.len(), 4);
    for reports in &run.reports {
        assert!(0.0 < reports.per_second, "{reports:?}");
    }
    let storm = run.storm.unwrap();
    assert_eq!((storm.back, storm.reached, storm.ended), (NODES, NODES, 0));
    assert_eq!(report.lost(), 0);
    assert_eq!(run.envoys.unwrap().up_to_date, 1);
    assert!(fleet::table(&report).contains("a policy at the last node"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_nodes_with_certificates_have_every_push_and_come_back_from_a_storm() {
    let secured = Settings {
        tls: true,
        reports: Duration::from_millis(100),
        ..settings()
    };
    let report = measured(vec![secured], None).await;
    let run = &report.runs[0];
    assert!(run.tls);
    assert_eq!((run.connect.refused, run.push.pushes.len()), (0, 2));
    let storm = run.storm.unwrap();
    assert_eq!((storm.back, storm.reached), (NODES, NODES));
    for reports in &run.reports {
        assert!(0.0 < reports.per_second, "{reports:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_come_and_go_have_the_last_push_at_the_end() {
    let time = Duration::from_secs(7);
    let report = measured(vec![], Some((settings(), time))).await;
    let soak = report.soak.unwrap();
    assert_eq!((soak.at_newest, soak.ended), (NODES, 0));
    assert!(0 < soak.pushes && 0 < soak.churned && 0 < soak.reports);
}
