//! The demo on real Envoys, with a story of one trouble: what it tells is what happened.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken promise shall fail the test"
)]

use sloop_integration::demo::{self, Phase, Plan, Programs, Screen};
use sloop_integration::shop::Trouble;

/// Healthy, most answers bad, healthy again.
fn plan() -> Plan {
    let bad = Trouble::Errors { percent: 80 };
    let parts = [
        ("healthy", Trouble::None, 0, 3_000),
        ("errors", bad, 3_000, 8_000),
        ("healed", Trouble::None, 8_000, 14_000),
    ];
    let phases = parts.map(|(name, trouble, from_ms, to_ms)| Phase {
        name: name.to_owned(),
        trouble,
        from_ms,
        to_ms,
    });
    Plan {
        phases: phases.to_vec(),
        ..Plan::story(7)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_hear_of_trouble_and_of_its_end_and_all_of_it_is_told() {
    let programs = Programs {
        own: env!("CARGO_BIN_EXE_demo").into(),
        ..Programs::find().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut screen = Screen::default();
    let plan = plan();
    let told = demo::tell(&plan, &programs, folder.path(), &mut screen);
    let told = told.await.unwrap();
    let report = &told.report;
    // How soon breakers open, and how much that helps, is promised of the whole story on a machine of its own.
    let promises = report.promises.iter();
    for promise in
        promises.filter(|it| it.what.contains("hear") || it.what.contains("counted once"))
    {
        assert!(promise.kept, "{promise:?}\n{:#?}", report.enforced.heard);
    }
    for run in [&report.shadow, &report.enforced] {
        assert_eq!(run.troubles.len(), 1);
        let heard = &run.heard;
        assert!(
            heard.iter().any(|one| one.slo == "payments-availability"),
            "{heard:?}"
        );
        for one in heard {
            assert_eq!(one.reason.as_deref(), Some("withdrawn"), "{one:?}");
        }
    }
    let text = demo::told(&report.enforced);
    assert!(text.contains("errors +"), "{text}");
    assert!(demo::table(report).contains("errors: people told after"));
    assert!(told.page.is_file());
    let numbers = std::fs::read(folder.path().join("report.json")).unwrap();
    let numbers: serde_json::Value = serde_json::from_slice(&numbers).unwrap();
    assert_eq!(numbers["enforced"]["heard"][0]["reason"], "withdrawn");
}
