//! Recorded requests through a real Envoy with two workers: each is counted once, under its route.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken promise shall fail the test"
)]

use std::path::{Path, PathBuf};

use sloop_integration::demo::Programs;
use sloop_integration::replay::{self, Moment, Replay, Replayed};

/// 300 invented requests over 20 minutes, in bursts, with overlapping routes and quoted fields.
fn recording() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/replay.csv")
}

async fn replayed(restart_at: Option<Moment>) -> Replayed {
    let programs = Programs {
        own: env!("CARGO_BIN_EXE_demo").into(),
        ..Programs::find().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let replay = Replay {
        file: recording(),
        // Some six seconds, so that reports go out before, during and after the restart.
        speed: Some(200.0),
        restart_at,
    };
    replay::replay(&replay, &programs, folder.path())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_counted_once_under_its_route() {
    let replayed = replayed(None).await;
    assert!(replayed.is_exact(), "{}", replay::table(&replayed));
    assert_eq!(replayed.counted.values().sum::<u64>(), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_that_is_killed_in_the_middle_loses_and_doubles_nothing() {
    let replayed = replayed(Some(Moment::Share(0.4))).await;
    assert!(replayed.restarted);
    assert!(replayed.is_exact(), "{}", replay::table(&replayed));
}
