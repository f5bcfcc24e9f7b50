//! The real program tells a webhook that is there.

use serde_json::Value;

use crate::decisions::outage;
use crate::hook::Webhook;
use crate::lively::told;
use crate::support::{Home, ROUTES, report, slo};

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
        .replace("127.0.0.1:1/", &format!("{address}/"))
        .replace("annotations:", "labels: {team: payments}, annotations:");
    home.write("slo.yaml", &document);
    let mut client = sloop.reports();
    let goes_on = async {
        for sequence in 1.. {
            client.report(report(8, sequence, 100, 90)).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let message = tokio::select! {
        told = webhook.told() => told.body,
        () = goes_on => unreachable!(),
    };
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
}
