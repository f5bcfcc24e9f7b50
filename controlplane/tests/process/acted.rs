//! What decisions are said to have done, by the real program.

use std::process::Command;

use serde_json::{Value, json};
use sloop_xds_protos::report::v1 as wire;

use crate::support::{Home, ROUTES, Sloop, eventually, report, slo};

/// An SLO that bears a tenth of bad requests well, shedding, and two deny rules that end in an hour.
fn documents() -> String {
    let ends = sloop_controlplane::clock::wall().as_millis() + 3_600_000;
    let denied = |name: &str| {
        format!(
            "---\napiVersion: sloop.dev/v1\nkind: DenyRule\nmetadata: {{name: {name}}}\n\
             spec: {{service: checkout, route: pay, rule: {{caller: batch, expires_at_ms: {ends}}}}}\n"
        )
    };
    let shedding = "---\napiVersion: sloop.dev/v1\nkind: LoadShedding\nmetadata: {name: shedding}\n\
                    spec: {service: checkout, route: pay}\n";
    slo("pay", "0.5") + shedding + &denied("first") + &denied("second")
}

/// The numbers of the decisions that protect, by intent: the SLO's, shedding's, the rules'.
async fn decided(sloop: &Sloop) -> [u64; 4] {
    let names = [
        "SLO/pay",
        "LoadShedding/shedding",
        "DenyRule/first",
        "DenyRule/second",
    ];
    eventually("all is decided", async || {
        let decisions = sloop.items("/v1/decisions").await;
        let of = |name: &str| {
            let mut found = decisions.iter();
            let found = found.find(|it| it["intent"] == name && it["stage"] == "protect")?;
            found["id"].as_u64()
        };
        let [slo, shed, first, second] = names.map(of);
        Some([slo?, shed?, first?, second?])
    })
    .await
}

/// What the decision with this number is said to have done, on the only scope there is.
async fn effect(sloop: &Sloop, number: u64) -> Value {
    let (status, body) = sloop.get(&format!("/v1/decisions/{number}")).await;
    assert_eq!(status, 200);
    let decision: Value = serde_json::from_slice(&body).unwrap();
    let effects = decision["effects"].as_array().unwrap();
    assert_eq!(effects.len(), 1, "{decision}");
    effects[0].clone()
}

fn explained(sloop: &Sloop, number: u64) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sloop"))
        .args(["explain", &number.to_string()])
        .args(["--admin", &sloop.http.to_string()])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A hundred requests that passed, ten of them bad, and what was kept out meanwhile: 20 by the breaker, 30 by
/// shedding, 10 by rules; in shadow mode shedding would have had 5 more.
fn kept_out() -> wire::ReportRequest {
    let mut report = report(7, 1, 100, 10);
    let scope = &mut report.scopes[0];
    scope.requests = 160;
    scope.outcomes = vec![90, 0, 10, 0, 0, 0, 0, 0, 20, 0, 0, 0, 30, 10];
    scope.breaker = Some(wire::BreakerDelta {
        state: wire::BreakerState::Closed.into(),
        refused: 20,
        ..wire::BreakerDelta::default()
    });
    scope.shed = Some(wire::ShedDelta {
        shed: vec![30],
        shadow_shed: 5,
        shadow_shed_good: 4,
        ..wire::ShedDelta::default()
    });
    report
}

/// What is said about it, before and after a restart.
async fn is_said(sloop: &Sloop, [slo, shed, first, second]: [u64; 4]) {
    let acted = effect(sloop, slo).await;
    assert_eq!(acted["by"], json!(["break", "shed"]));
    assert_eq!(acted["acted"]["refused"], 20, "{acted}");
    assert_eq!(acted["acted"]["refused_bad"], 2, "{acted}");
    assert_eq!(acted["acted"]["denied"], Value::Null, "{acted}");
    assert_eq!(acted["shared_with"], json!([shed]), "{acted}");

    let acted = effect(sloop, shed).await;
    assert_eq!(acted["acted"]["refused"], 0, "{acted}");
    let expected = json!({"refused": 30, "refused_bad": 3, "refused_unknown": 0,
        "shadow_refused": 5, "shadow_refused_good": 4});
    assert_eq!(acted["acted"]["shed"], expected, "{acted}");

    let acted = effect(sloop, first).await;
    assert_eq!(acted["acted"]["denied"]["refused"], 10, "{acted}");
    assert_eq!(acted["acted"]["denied"]["refused_bad"], 1, "{acted}");
    assert_eq!(acted["shared_with"], json!([second]), "{acted}");
}

#[tokio::test]
async fn a_decision_has_what_its_means_refused_also_where_nobody_had_reported_before() {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("documents.yaml", &documents());
    let sloop = home.start();
    let numbers = decided(&sloop).await;
    sloop.reports().report(kept_out()).await.unwrap();
    is_said(&sloop, numbers).await;
    let text = explained(&sloop, numbers[1]);
    let shed = "30 shed: about 3 would have failed (saved), about 27 would have been served (cost)";
    assert!(text.contains(shed), "{text}");
    let together = format!("together with decision {}", numbers[0]);
    assert!(text.contains(&together), "{text}");
    let text = explained(&sloop, numbers[2]);
    assert!(text.contains("10 refused by deny rules"), "{text}");

    sloop.kill();
    let sloop = home.start();
    is_said(&sloop, decided(&sloop).await).await;
    assert_eq!(decided(&sloop).await, numbers);

    // What a decision did while it held stays.
    std::fs::remove_file(home.document("documents.yaml")).unwrap();
    eventually("it is withdrawn", async || {
        let it = effect(&sloop, numbers[1]).await;
        (it["until_ms"].is_u64() && it["acted"]["shed"]["refused"] == 30).then_some(())
    })
    .await;
    assert_eq!(
        effect(&sloop, numbers[2]).await["shared_with"],
        json!([numbers[3]])
    );
}
