//! What people heard: alerts about `payments`, as a webhook on the loopback interface is sent them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::result::Run;
use crate::server::{self, Cut, Reply};

/// Deliveries that are kept: an alert is told again when what is done about it changes, every five minutes at most.
const DELIVERIES_MAX: usize = 1_000;

/// An alert that people were told of. Moments are milliseconds after the beginning of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// The SLO that it is about.
    pub slo: String,
    /// When they were told first.
    pub at_ms: u64,
    /// What was known then.
    pub summary: String,
    /// What was done about it, as it was told last; nothing where nothing was.
    pub acting: Option<String>,
    /// When they were told that it is over; nothing where they were not.
    pub over_ms: Option<u64>,
    /// Why it is over; nothing where its condition held no more.
    pub reason: Option<String>,
}

/// One alert, as the webhook was sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    /// When it came, in milliseconds since the Unix epoch.
    pub(super) at_ms: u64,
    pub(super) alert: Told,
}

/// What of Alertmanager's payload is heard.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Told {
    status: Status,
    fingerprint: String,
    #[serde(rename = "startsAt")]
    starts_at: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

#[derive(Deserialize)]
struct Payload {
    alerts: Vec<Told>,
}

/// A webhook that hears until it is dropped.
#[derive(Debug)]
pub struct Ear {
    address: SocketAddr,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
    listening: JoinHandle<()>,
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Ear {
    /// Hears on a free port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(super) async fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context("opening a webhook")?;
        let address = listener.local_addr()?;
        let deliveries = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&deliveries);
        let listening = tokio::spawn(server::serve(listener, move |request| {
            let reply = hear(&heard, &request);
            async { Ok::<_, Cut>(reply) }
        }));
        Ok(Self {
            address,
            deliveries,
            listening,
        })
    }

    /// Where alerts are to go.
    pub(super) fn url(&self) -> String {
        format!("http://{}/alerts", self.address)
    }

    /// What was heard so far of a run that began at `began_ms` since the Unix epoch.
    pub(super) fn heard(&self, began_ms: u64) -> Vec<Heard> {
        heard(&locked(&self.deliveries), began_ms)
    }
}

fn locked(deliveries: &Mutex<Vec<Delivery>>) -> std::sync::MutexGuard<'_, Vec<Delivery>> {
    deliveries.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what a request tells. Who sends something else is told so, and does not send it again.
fn hear(deliveries: &Mutex<Vec<Delivery>>, request: &Request<Bytes>) -> Reply {
    let status = match serde_json::from_slice::<Payload>(request.body()) {
        Ok(payload) => {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            let at_ms = since.unwrap_or_default().as_millis();
            let at_ms = u64::try_from(at_ms).unwrap_or(u64::MAX);
            let mut deliveries = locked(deliveries);
            let room = DELIVERIES_MAX.saturating_sub(deliveries.len());
            let alerts = payload.alerts.into_iter().take(room);
            deliveries.extend(alerts.map(|alert| Delivery { at_ms, alert }));
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let mut reply = Reply::new(Full::default());
    *reply.status_mut() = status;
    reply
}

/// The alerts that were told of by `deliveries`, in the order in which they were first.
fn heard(deliveries: &[Delivery], began_ms: u64) -> Vec<Heard> {
    let mut alerts: Vec<((&str, &str), Heard)> = Vec::new();
    for Delivery { at_ms, alert } in deliveries {
        let key = (alert.fingerprint.as_str(), alert.starts_at.as_str());
        let at_ms = at_ms.saturating_sub(began_ms);
        let said = |name| alert.annotations.get(name).cloned();
        let known = match alerts.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => known,
            None => {
                let first = Heard {
                    slo: alert.labels.get("slo").cloned().unwrap_or_default(),
                    at_ms,
                    summary: said("summary").unwrap_or_default(),
                    acting: None,
                    over_ms: None,
                    reason: None,
                };
                &mut alerts.push_mut((key, first)).1
            }
        };
        match alert.status {
            Status::Firing => {
                // What follows says what else protects the SLO all the time.
                let acting = alert.annotations.get("acting");
                let acting = acting.and_then(|acting| acting.split("; ").next());
                known.acting = acting.map(str::to_owned).or_else(|| known.acting.take());
            }
            Status::Resolved => {
                known.over_ms = Some(at_ms);
                known.reason = said("reason");
            }
        }
    }
    alerts.into_iter().map(|(_, heard)| heard).collect()
}

/// How long after its first bad answer, at `first_bad_ms`, people knew of a trouble that was there until `healed_ms`: at once
/// where they had been told before and not yet that it is over. Nothing when they did not hear of it.
pub(super) fn known_after(heard: &[Heard], first_bad_ms: u64, healed_ms: u64) -> Option<u64> {
    let lasts = |one: &&Heard| one.over_ms.is_none_or(|over_ms| first_bad_ms < over_ms);
    let told = heard.iter().filter(lasts).map(|one| one.at_ms);
    let told = told.filter(|at_ms| *at_ms < healed_ms);
    told.min().map(|at_ms| at_ms.saturating_sub(first_bad_ms))
}

/// What people heard in `run`, a few lines for each alert.
#[must_use]
pub fn told(run: &Run) -> String {
    let mut text = "  What people heard, by the webhook of an AlertPolicy:\n".to_owned();
    for one in &run.heard {
        let seconds = |ms: u64| Duration::from_millis(ms).as_secs_f64();
        let over = one.over_ms.map_or_else(
            || "not told that it is over".to_owned(),
            |over_ms| {
                format!(
                    "over {:.1} s later",
                    seconds(over_ms.saturating_sub(one.at_ms))
                )
            },
        );
        let reason = one.reason.as_ref();
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        let (name, after_ms) = during(run, one.at_ms);
        // Writing into a string cannot fail.
        writeln!(
            text,
            "    {name} +{:.1} s, {}: {}; {over}{reason}",
            seconds(after_ms),
            one.slo,
            one.summary,
        )
        .ok();
        if let Some(acting) = &one.acting {
            writeln!(text, "      Sloop: {acting}").ok();
        }
    }
    if run.heard.is_empty() {
        text.push_str("    nothing\n");
    }
    text
}

/// During what something at `at_ms` was, and how long after that began.
pub(super) fn during(run: &Run, at_ms: u64) -> (&str, u64) {
    let phases = run.phases.iter();
    let phase = phases.rev().find(|phase| phase.from_ms <= at_ms);
    phase.map_or(("", at_ms), |phase| {
        (phase.name.as_str(), at_ms - phase.from_ms)
    })
}

#[cfg(test)]
mod tests {
    use super::super::invented;
    use super::super::measure::measure;
    use super::super::observed::Enforcement;
    use super::*;

    /// What is sent of the alert that began at the second `since` on an SLO.
    fn body(slo: &str, since: u64, status: &str, acting: &str) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!({"version": "4", "alerts": [{
            "status": status, "fingerprint": slo, "startsAt": since.to_string(),
            "labels": {"slo": slo}, "annotations": {"summary": "it burns", "acting": acting, "reason": "withdrawn"},
        }]}))
        .unwrap()
    }

    fn delivery(at_ms: u64, body: &[u8]) -> Delivery {
        let payload: Payload = serde_json::from_slice(body).unwrap();
        let alert = payload.alerts.into_iter().next().unwrap();
        Delivery { at_ms, alert }
    }

    #[test]
    fn what_is_told_again_is_one_alert_until_another_begins() {
        let deliveries = [
            delivery(1_500, &body("pay", 1, "firing", "nothing yet")),
            delivery(
                1_600,
                &body("pay", 1, "firing", "ordered to open; and more"),
            ),
            delivery(2_000, &body("cart", 2, "firing", "")),
            delivery(9_000, &body("pay", 1, "resolved", "none")),
            delivery(9_500, &body("pay", 9, "firing", "")),
        ];
        let heard = heard(&deliveries, 1_000);
        let found: Vec<_> = heard
            .iter()
            .map(|one| (one.slo.as_str(), one.at_ms, one.over_ms))
            .collect();
        let expected = [
            ("pay", 500, Some(8_000)),
            ("cart", 1_000, None),
            ("pay", 8_500, None),
        ];
        assert_eq!(found, expected);
        assert_eq!(heard[0].acting.as_deref(), Some("ordered to open"));
        assert_eq!(heard[0].reason.as_deref(), Some("withdrawn"));
        assert_eq!(heard[1].reason, None, "it is not over");
    }

    #[test]
    fn trouble_is_known_of_from_the_first_alert_that_is_not_over() {
        let at = |at_ms, over_ms| Heard {
            slo: "pay".to_owned(),
            at_ms,
            summary: String::new(),
            acting: None,
            over_ms,
            reason: None,
        };
        assert_eq!(known_after(&[], 100, 900), None);
        assert_eq!(known_after(&[at(400, None)], 100, 900), Some(300));
        assert_eq!(known_after(&[at(50, None)], 100, 900), Some(0));
        assert_eq!(known_after(&[at(50, Some(100))], 100, 900), None);
        assert_eq!(known_after(&[at(900, None)], 100, 900), None, "too late");
        let again = [at(50, Some(90)), at(300, None), at(200, None)];
        assert_eq!(known_after(&again, 100, 900), Some(100));
    }

    #[tokio::test]
    async fn an_ear_hears_what_is_sent_and_refuses_what_is_no_alert() {
        let ear = Ear::open().await.unwrap();
        let client = super::super::Client::new(ear.address).unwrap();
        let post =
            async |body: Vec<u8>| client.ask(http::Method::POST, "/alerts", body.into()).await;
        post(body("pay", 1, "firing", "")).await.unwrap();
        let refused = post(b"{}".to_vec()).await.unwrap_err();
        assert!(refused.to_string().contains("400"), "{refused}");
        let heard = ear.heard(0);
        assert_eq!((heard.len(), heard[0].summary.as_str()), (1, "it burns"));
        for number in 0..DELIVERIES_MAX as u64 {
            hear(
                &ear.deliveries,
                &Request::new(body("pay", number, "firing", "").into()),
            );
        }
        assert_eq!(locked(&ear.deliveries).len(), DELIVERIES_MAX);
    }

    #[test]
    fn alerts_are_told_with_their_trouble_and_their_end() {
        let mut run = measure(&invented::run(Enforcement::Enforced));
        let text = told(&run);
        for part in [
            "    errors +1.3 s, payments-availability: it burns; over 56.0 s later (withdrawn)\n      Sloop: ordered to open\n",
            "    slowness +1.3 s, payments-latency: it burns; not told that it is over\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        run.heard.clear();
        assert!(told(&run).ends_with("    nothing\n"));
    }
}
