//! What a webhook is sent: the payload of Alertmanager's webhook, version 4
//! (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>).
//!
//! Each delivery is about one alert, so a group has one member. Labels say which
//! alert it is and never change while it lasts; annotations say what is known.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sloop_controllers::{AlertKind, AlertState, AlertStatus, objective_name};
use sloop_model::WallTime;

use crate::labels::sanitized;

/// How Alertmanager writes that there is no time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The labels of an alert: those of its SLO, and ours, which win where both have one.
fn labels(alert: &AlertStatus) -> BTreeMap<String, String> {
    let mut labels = sanitized(&alert.labels);
    let kind = match alert.kind {
        AlertKind::Breaching => "breaching",
        AlertKind::NoData => "no_data",
        AlertKind::Acting => "acting",
    };
    let ours = [
        ("alertname", alert.policy.clone()),
        ("kind", kind.to_owned()),
        ("objective", objective_name(alert.objective.index)),
        ("service", alert.service.as_str().to_owned()),
        ("severity", alert.severity.clone()),
        ("slo", alert.objective.slo.as_str().to_owned()),
    ];
    labels.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    labels
}

/// What is known, in words: what documents say for people, and ours. Those by names of ours are ours alone, also where we have
/// nothing to say.
fn annotations(alert: &AlertStatus) -> BTreeMap<String, String> {
    let mut annotations = sanitized(&alert.annotations);
    let acting = alert.acting.as_ref();
    let ours = [
        ("summary", Some(alert.summary.clone())),
        ("reason", alert.reason.map(|it| it.word().to_owned())),
        ("acting", acting.map(|acting| acting.because.clone())),
        ("decision", acting.map(|acting| acting.decision.to_string())),
    ];
    for (name, value) in ours {
        match value {
            Some(value) => annotations.insert(name.to_owned(), value),
            None => annotations.remove(name),
        };
    }
    annotations
}

/// Names an alert as long as it has the same labels: 16 hexadecimal digits.
pub(super) fn fingerprint(alert: &AlertStatus) -> String {
    let labels = json!(labels(alert)).to_string();
    hex(&Sha256::digest(labels.as_bytes()))
        .chars()
        .take(16)
        .collect()
}

/// The same for every attempt to tell `receiver` this, and for nothing else: 64 hexadecimal digits.
pub(super) fn idempotency_key(alert: &AlertStatus, receiver: &str) -> String {
    let mut told = vec![
        json!(receiver),
        json!(fingerprint(alert)),
        json!(alert.state),
        json!(alert.since_ms),
        json!(alert.until_ms),
    ];
    // Of what is over it is no news what was done about it.
    let acting = alert.acting.as_ref();
    told.extend(
        acting
            .filter(|_| alert.state != AlertState::Resolved)
            .map(|acting| json!(acting)),
    );
    let told = Value::from(told);
    hex(&Sha256::digest(told.to_string().as_bytes()))
}

/// The body that `receiver` is sent about `alert`.
#[must_use]
pub fn payload(alert: &AlertStatus, receiver: &str) -> Value {
    let status = match alert.state {
        AlertState::Pending | AlertState::Firing => "firing",
        AlertState::Resolved => "resolved",
    };
    let labels = json!(labels(alert));
    let annotations = json!(annotations(alert));
    let fingerprint = fingerprint(alert);
    json!({
        "version": "4",
        "groupKey": format!("sloop:{fingerprint}"),
        "truncatedAlerts": 0,
        "status": status,
        "receiver": receiver,
        "groupLabels": labels,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [{
            "status": status,
            "labels": labels,
            "annotations": annotations,
            "startsAt": time(alert.since_ms),
            "endsAt": alert.until_ms.map_or_else(|| NEVER.to_owned(), time),
            "generatorURL": "",
            "fingerprint": fingerprint,
        }],
    })
}

/// As RFC 3339 has it.
fn time(at: WallTime) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).map_or_else(|_| NEVER.to_owned(), |at| at.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use sloop_controllers::{Acting, AlertReason};

    use super::super::outbox::tests::alert;
    use super::*;

    #[test]
    fn it_is_what_alertmanager_sends() {
        let body = payload(&alert(AlertState::Firing), "phone");
        let labels = json!({
            "alertname": "wake", "kind": "breaching", "objective": "0",
            "service": "payments", "severity": "page", "slo": "pay",
        });
        assert_eq!(body["version"], "4");
        assert_eq!(body["status"], "firing");
        assert_eq!(body["receiver"], "phone");
        assert_eq!(body["commonLabels"], labels);
        let one = &body["alerts"][0];
        assert_eq!(one["labels"], labels);
        assert_eq!(one["startsAt"], "2023-11-14T22:13:20Z");
        assert_eq!(one["endsAt"], NEVER);
        assert_eq!(one["annotations"]["summary"], "it burns");
        assert_eq!(one["fingerprint"].as_str().map(str::len), Some(16));
        let over = payload(&alert(AlertState::Resolved), "phone");
        assert_eq!(over["status"], "resolved");
        assert_eq!(over["alerts"][0]["endsAt"], "2023-11-14T22:14:20Z");
        assert_eq!(over["alerts"][0]["fingerprint"], one["fingerprint"]);
        assert_eq!(over["alerts"][0]["annotations"].get("reason"), None);
        let mut withdrawn = alert(AlertState::Resolved);
        withdrawn.reason = Some(AlertReason::Withdrawn);
        let withdrawn = payload(&withdrawn, "phone");
        assert_eq!(withdrawn["alerts"][0]["annotations"]["reason"], "withdrawn");
        assert_eq!(withdrawn["commonLabels"], labels);
        let mut acted_on = alert(AlertState::Firing);
        acted_on.acting = Some(Acting {
            decision: 12,
            because: "ordered to open".to_owned(),
        });
        let told = payload(&acted_on, "phone");
        let annotations =
            json!({"summary": "it burns", "acting": "ordered to open", "decision": "12"});
        assert_eq!(told["commonAnnotations"], annotations);
        assert_eq!(told["alerts"][0]["annotations"], annotations);
    }

    #[test]
    fn labels_of_the_slo_come_along_and_never_take_the_place_of_ours() {
        let mut labelled = alert(AlertState::Firing);
        let without = fingerprint(&labelled);
        let given = [
            ("team", "payments"),
            ("my-tier", "1"),
            ("severity", "none"),
            ("slo", "x"),
        ];
        labelled.labels = given
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let body = payload(&labelled, "phone");
        let labels = json!({
            "alertname": "wake", "kind": "breaching", "my_tier": "1", "objective": "0",
            "service": "payments", "severity": "page", "slo": "pay", "team": "payments",
        });
        assert_eq!(body["alerts"][0]["labels"], labels);
        assert_eq!(body["commonLabels"], labels);
        assert_ne!(fingerprint(&labelled), without);
        labelled.objective.index = sloop_controllers::SloIntent::COMPOSITE;
        let body = payload(&labelled, "phone");
        assert_eq!(body["commonLabels"]["objective"], "composite");
    }

    #[test]
    fn annotations_of_documents_come_along_and_never_say_what_ours_do() {
        let mut annotated = alert(AlertState::Firing);
        let without = fingerprint(&annotated);
        let given = [
            ("runbook_url", "https://runbooks.example.com/pay"),
            ("example.com/owner", "payments"),
            ("summary", "nothing"),
            ("reason", "withdrawn"),
        ];
        annotated.annotations = given
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let body = payload(&annotated, "phone");
        let annotations = json!({
            "runbook_url": "https://runbooks.example.com/pay", "example_com_owner": "payments", "summary": "it burns",
        });
        assert_eq!(body["alerts"][0]["annotations"], annotations);
        assert_eq!(body["commonAnnotations"], annotations);
        assert_eq!(fingerprint(&annotated), without, "it is the same alert");
    }

    #[test]
    fn an_alert_without_labels_is_the_same_as_it_was_for_those_before() {
        let named = r#"{"alertname":"wake","kind":"breaching","objective":"0","service":"payments","severity":"page","slo":"pay"}"#;
        let known: String = hex(&Sha256::digest(named.as_bytes()));
        assert_eq!(
            known.get(..16),
            Some(&*fingerprint(&alert(AlertState::Firing)))
        );
    }

    #[test]
    fn a_key_names_one_thing_that_one_receiver_is_told() {
        let firing = alert(AlertState::Firing);
        let mut louder = firing.clone();
        louder.summary.push('!');
        let over = alert(AlertState::Resolved);
        let key = |alert| idempotency_key(alert, "phone");
        assert_eq!(key(&firing), key(&louder), "what is known changes");
        assert_ne!(key(&firing), key(&over));
        assert_ne!(key(&firing), idempotency_key(&firing, "mail"));
        let acting = |decision, because: &str| {
            Some(Acting {
                decision,
                because: because.to_owned(),
            })
        };
        let doing = |acting| AlertStatus {
            acting,
            ..firing.clone()
        };
        let ordered = doing(acting(12, "ordered to open"));
        assert_ne!(key(&ordered), key(&firing));
        let another = doing(acting(13, "ordered to open"));
        assert_ne!(key(&ordered), key(&another));
        let ended = doing(acting(12, "ordered to open; that order is over"));
        assert_ne!(key(&ordered), key(&ended));
        let over_after_it = AlertStatus {
            acting: ordered.acting.clone(),
            ..over.clone()
        };
        assert_eq!(key(&over), key(&over_after_it), "it is over all the same");
    }
}
