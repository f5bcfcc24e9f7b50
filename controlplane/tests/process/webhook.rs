//! The real program tells a webhook that is there.

use std::time::Duration;

use serde_json::Value;

use crate::commands::run;
use crate::decisions::outage;
use crate::hook::{Told, Webhook};
use crate::lively::told;
use crate::support::{Home, ROUTES, Sloop, eventually, report, slo};

/// What `webhook` is told next, while a VM of a sidecar goes on to report that so many of a hundred requests were bad.
async fn told_while(webhook: &mut Webhook, sloop: &Sloop, (vm, bad): (u64, u64)) -> Told {
    let mut client = sloop.reports();
    let goes_on = async {
        for sequence in 1.. {
            client.report(report(vm, sequence, 100, bad)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        told = webhook.told() => told,
        () = goes_on => unreachable!(),
    }
}

/// Documents with an SLO whose alerts `webhook` is told.
fn home_of(webhook: &Webhook) -> Home {
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let address = format!("{}/", webhook.address);
    home.write("slo.yaml", &told("0.99").replace("127.0.0.1:1/", &address));
    home
}

#[tokio::test]
async fn people_hear_what_burns_and_what_was_done_about_it() {
    let mut webhook = Webhook::start(&[], None).await;
    let address = webhook.address;
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    let ordered = outage(&sloop, 7, 0).await;

    // Somebody is told from here on, while it goes on.
    let document = told("0.99")
        .replace("127.0.0.1:1/", &format!("pager:secret@{address}/secret"))
        .replace("annotations:", "labels: {team: payments}, annotations:");
    home.write("slo.yaml", &document);
    let message = told_while(&mut webhook, &sloop, (8, 90)).await.body;
    assert_eq!(message["status"], "firing");
    assert_eq!(message["commonLabels"]["slo"], "pay");
    assert_eq!(message["commonLabels"]["team"], "payments");
    let annotations = &message["alerts"][0]["annotations"];
    assert!(
        annotations["summary"].as_str().unwrap().contains("bad"),
        "{message}"
    );
    let number: u64 = annotations["decision"].as_str().unwrap().parse().unwrap();
    assert!(ordered <= number, "{message}");
    let (status, body) = sloop.get(&format!("/v1/decisions/{number}")).await;
    assert_eq!(status, 200);
    let decision: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(decision["intent"], "SLO/pay");
    assert_eq!(decision["stage"], "protect");
    assert_eq!(decision["because"], annotations["acting"]);

    // Who was told is known, and the address to nobody who asks.
    let list = eventually("it is known that they know", async || {
        let alerts = sloop.items("/v1/alerts").await;
        let alert = alerts.first()?;
        (alert["told"][0]["state"] == "told").then(|| alert.clone())
    })
    .await;
    assert_eq!(list["told"][0]["target"], "phone");
    assert_eq!(list["targets"][0]["url"], format!("http://{address}"));
    let table = run(&sloop, &["get", "alerts"]);
    assert_eq!(table.row("firing")[5..7], ["phone", "-"], "{table:?}");
    let decisions = sloop.items("/v1/decisions").await;
    let advice = decisions.iter().filter(|it| it["stage"] == "advise");
    let mut said = 0;
    for decision in advice {
        let path = format!("/v1/decisions/{}", decision["id"]);
        let text = String::from_utf8(sloop.get(&path).await.1.to_vec()).unwrap();
        assert!(!text.contains("secret"), "{text}");
        said += usize::from(text.contains(&format!("http://{address}")));
    }
    assert!(0 < said, "{decisions:?}");
}

#[tokio::test]
async fn who_does_not_take_an_alert_is_not_said_to_know() {
    let mut webhook = Webhook::start(&[410], None).await;
    let home = home_of(&webhook);
    let sloop = home.start();
    told_while(&mut webhook, &sloop, (7, 20)).await;
    let table = eventually("the refusal is known", async || {
        let table = run(&sloop, &["get", "alerts"]);
        table.out.contains("phone (refused)").then_some(table)
    })
    .await;
    assert_eq!(
        table.row("firing")[5..7],
        ["-", "phone (refused)"],
        "{table:?}"
    );
}

#[tokio::test]
async fn people_who_were_told_hear_what_is_done_after_that() {
    let mut webhook = Webhook::start(&[], None).await;
    let home = home_of(&webhook);
    let sloop = home.start();
    // Far more than the policy allows, and far less than a breaker opens for.
    let first = told_while(&mut webhook, &sloop, (7, 20)).await;
    let second = told_while(&mut webhook, &sloop, (8, 95)).await;
    let annotation = |told: &Told, name: &str| {
        assert_eq!(told.body["status"], "firing");
        let text = told.body["commonAnnotations"][name].as_str();
        text.unwrap().to_owned()
    };
    let acting = annotation(&first, "acting");
    assert!(acting.starts_with("breakers are in force"), "{acting}");
    let acting = annotation(&second, "acting");
    assert!(acting.contains("ordered to open"), "{acting}");
    let number = |told: &Told| annotation(told, "decision").parse::<u64>().unwrap();
    assert!(number(&first) < number(&second));
    assert_ne!(first.key, second.key);
    let fingerprint = |told: &Told| told.body["alerts"][0]["fingerprint"].clone();
    assert_eq!(fingerprint(&first), fingerprint(&second), "one alert");
}

#[tokio::test]
async fn who_asks_for_what_is_done_alone_hears_of_orders_alone() {
    let mut webhook = Webhook::start(&[], None).await;
    let address = webhook.address;
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    let asking = "{name: wake, annotations: {sloop.dev/alert-when-acting: 'true'}}";
    let document = told("0.99")
        .replace("127.0.0.1:1/", &format!("{address}/"))
        .replace("{name: wake}", asking)
        .replace(
            "      conditions:",
            "      alertWhenBreaching: false\n      conditions:",
        );
    home.write("slo.yaml", &document);
    let sloop = home.start();
    let mut client = sloop.reports();
    for sequence in 1..=20 {
        client.report(report(7, sequence, 100, 20)).await.unwrap();
    }
    let message = told_while(&mut webhook, &sloop, (8, 95)).await.body;
    assert_eq!(message["status"], "firing");
    assert_eq!(message["commonLabels"]["kind"], "acting");
    let acting = message["commonAnnotations"]["acting"].as_str().unwrap();
    assert!(acting.contains("ordered to open"), "{acting}");
}
