//! Decisions of the real program: numbered, explained, recorded, made again.

use std::process::Command;

use crate::lively::told;
use crate::support::{Home, ROUTES, Sloop, eventually, report};

/// An SLO that somebody is told of by a webhook that is not there.
fn home() -> Home {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &told("0.99"));
    home
}

/// Lets nine of ten requests fail until the breakers are ordered to open, by a decision after the one with
/// the number `after`. Its number.
pub(crate) async fn outage(sloop: &Sloop, incarnation: u64, after: u64) -> u64 {
    let mut client = sloop.reports();
    let mut sequence = 0;
    eventually("an order is given", async || {
        sequence += 1;
        let bad = report(incarnation, sequence, 100, 90);
        client.report(bad).await.unwrap();
        let decisions = sloop.items("/v1/decisions").await;
        let ordered = decisions.iter().rev().find(|decision| {
            let because = decision["because"].as_str().unwrap();
            because.contains("ordered to open")
        })?;
        ordered["id"].as_u64().filter(|number| after < *number)
    })
    .await
}

#[tokio::test]
async fn a_decision_has_a_number_for_good_and_is_explained_by_its_inputs() {
    let home = home();
    let sloop = home.start();
    let number = outage(&sloop, 7, 0).await;
    let (status, body) = sloop.get(&format!("/v1/decisions/{number}")).await;
    assert_eq!(status, 200);
    let decision: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let given = decision["given"].as_array().unwrap();
    assert!(
        given
            .iter()
            .any(|policy| policy["rule"]["trip"].is_object())
    );
    let objective = &decision["objectives"][0];
    assert!(objective["counts"]["total"].as_u64().unwrap() >= 100);
    assert_eq!(decision["effects"][0]["scope"]["route"], "pay");
    assert_eq!(sloop.get("/v1/decisions/999999").await.0, 404);

    let alerts = sloop.items("/v1/alerts").await;
    assert_eq!(alerts[0]["state"], "firing");
    assert_eq!(alerts[0]["policy"], "wake");

    let explained = Command::new(env!("CARGO_BIN_EXE_sloop"))
        .args(["explain", &number.to_string()])
        .args(["--admin", &sloop.http.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8(explained.stdout).unwrap();
    assert!(text.contains("every breaker opens once"), "{text}");

    sloop.kill();
    let sloop = home.start();
    let kept = sloop.items("/v1/decisions").await;
    assert!(kept.iter().any(|decision| decision["id"] == number));
    outage(&sloop, 8, number).await;
}

#[tokio::test]
async fn what_was_recorded_is_decided_again_byte_for_byte() {
    let home = home();
    let record = home.document("../record");
    let sloop = home.start_with(&["--record", record.to_str().unwrap()]);
    outage(&sloop, 7, 0).await;
    assert!(sloop.terminate().await.success());

    let replay = || {
        Command::new(env!("CARGO_BIN_EXE_sloop"))
            .arg("replay")
            .arg(&record)
            .output()
            .unwrap()
    };
    let replayed = replay();
    let text = String::from_utf8(replayed.stdout).unwrap();
    assert!(replayed.status.success(), "{text}");
    assert!(text.contains(" 0 of them otherwise"), "{text}");
    assert!(text.contains("ordered to open"), "{text}");

    // One more bad request, and it is another story.
    let other = std::fs::read_to_string(&record).unwrap();
    let (before, after) = other.split_once("\"good\":10}").unwrap();
    std::fs::write(&record, format!("{before}\"good\":9}}{after}")).unwrap();
    let replayed = replay();
    assert_eq!(replayed.status.code(), Some(1));
    let text = String::from_utf8(replayed.stdout).unwrap();
    assert!(text.contains("this program decides otherwise"), "{text}");
}
