//! What a webhook is sent: the payload of Alertmanager's webhook, version 4
//! (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>).
//!
//! Each delivery is about one alert, so a group has one member. Labels say which
//! alert it is and never change while it lasts; annotations say what is known.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sloop_controllers::{AlertKind, AlertReason, AlertState, AlertStatus};
use sloop_model::WallTime;

/// How Alertmanager writes that there is no time.
const NEVER: &str = "0001-01-01T00:00:00Z";

#[derive(Serialize)]
struct Labels<'a> {
    alertname: &'a str,
    kind: AlertKind,
    objective: String,
    service: &'a str,
    severity: &'a str,
    slo: &'a str,
}

fn labels(alert: &AlertStatus) -> Labels<'_> {
    Labels {
        alertname: &alert.policy,
        kind: alert.kind,
        objective: alert.objective.index.to_string(),
        service: alert.service.as_str(),
        severity: &alert.severity,
        slo: alert.objective.slo.as_str(),
    }
}

/// What is known, in words.
#[derive(Serialize)]
struct Annotations<'a> {
    summary: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acting: Option<&'a str>,
    /// A number, but annotations are texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
}

fn annotations(alert: &AlertStatus) -> Annotations<'_> {
    let acting = alert.acting.as_ref();
    Annotations {
        summary: &alert.summary,
        reason: alert.reason.map(AlertReason::word),
        acting: acting.map(|acting| acting.because.as_str()),
        decision: acting.map(|acting| acting.decision.to_string()),
    }
}

/// Names an alert as long as it has the same labels: 16 hexadecimal digits.
pub(super) fn fingerprint(alert: &AlertStatus) -> String {
    let labels = serde_json::to_vec(&labels(alert)).unwrap_or_default();
    hex(&Sha256::digest(&labels)).chars().take(16).collect()
}

/// The same for every attempt to tell `receiver` this, and for nothing else: 64 hexadecimal digits.
pub(super) fn idempotency_key(alert: &AlertStatus, receiver: &str) -> String {
    let told = json!([
        receiver,
        fingerprint(alert),
        alert.state,
        alert.since_ms,
        alert.until_ms
    ]);
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
    use sloop_controllers::Acting;

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
        let key = |alert| idempotency_key(alert, "phone");
        assert_eq!(
            key(&acted_on),
            key(&alert(AlertState::Firing)),
            "no news by itself"
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
    }
}
