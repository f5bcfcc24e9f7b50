//! Who is to be told what, and when to try again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use sloop_controllers::{AlertState, AlertStatus, AlertTarget};
use sloop_model::WallTime;

use super::payload::{fingerprint, idempotency_key, payload};

/// What is still to be told, and what was.
#[derive(Debug, Default)]
pub struct Outbox {
    items: BTreeMap<Key, Item>,
    /// What found no room when it was last looked for: it is counted once.
    left_out: BTreeSet<Key>,
}

/// An alert and who is told of it.
type Key = (AlertTarget, String);

/// How an alert stands: its state, since when and until when. Another standing is told at once; what is done about the
/// alert meanwhile is told once in [`DOING_EVERY`].
type Standing = (AlertState, WallTime, Option<WallTime>);

#[derive(Debug)]
struct Item {
    alert: AlertStatus,
    /// Names what is told; another one is news.
    idempotency_key: String,
    sending: Sending,
    /// Whether the alert is still there.
    is_there: bool,
    /// Whether they know how it stands. Then what is to be told is what is done about it.
    is_known: bool,
    /// Until when they are not told of that again.
    quiet_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// To be told then. So many attempts failed since the first.
    Waits {
        at: Instant,
        failed: u32,
        first: Instant,
    },
    /// On its way.
    UnderWay { failed: u32, first: Instant },
    /// Told, or given up.
    Over,
}

/// One request to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub target: AlertTarget,
    /// The same for each attempt.
    pub idempotency_key: String,
    /// The body, as JSON.
    pub body: Vec<u8>,
    fingerprint: String,
    standing: Standing,
}

#[cfg(test)]
impl Delivery {
    /// One without a body.
    pub(super) fn to(url: &str, idempotency_key: &str) -> Self {
        Self {
            target: AlertTarget {
                name: url.to_owned(),
                url: url.to_owned(),
            },
            idempotency_key: idempotency_key.to_owned(),
            body: Vec::new(),
            fingerprint: String::new(),
            standing: (AlertState::Firing, WallTime::default(), None),
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// They know.
    Told,
    /// Nobody there, or they asked to come again, perhaps not before so long.
    Again(Option<Duration>),
    /// They will never take it.
    Refused,
}

/// Whether somebody knows of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Not yet, or not how it stands now; they are asked until they answer.
    Waiting,
    /// They know.
    Told,
    /// They did not take it, or could not be reached for a day; they are not asked again about this.
    Refused,
    /// Not yet: too many other alerts wait for them.
    Dropped,
}

/// Alerts that wait for one target: one for each of a thousand SLOs. One that is dead takes no more room from others.
const WAITING_MAX: usize = 1_000;
/// Alerts that are kept, with all whom they are told to, also those who know: some 40 MiB.
const ITEMS_MAX: usize = 20_000;
/// Before the second attempt; doubled each time.
const AGAIN: Duration = Duration::from_secs(1);
/// Between attempts at most.
const AGAIN_MAX: Duration = Duration::from_secs(300);
/// A webhook that was away for a day gets the next alert.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// What is done about an alert is told at once when it first changes, and then so often at most: in a long outage there is
/// an order a minute.
const DOING_EVERY: Duration = Duration::from_secs(300);

impl Outbox {
    /// Takes in which alerts there are at `now`. Only what changed is told. The answer is how many alerts found no room that
    /// were not left out before, by the name of the target.
    pub fn take(&mut self, alerts: &[AlertStatus], now: Instant) -> BTreeMap<String, u64> {
        for item in self.items.values_mut() {
            item.is_there = false;
        }
        let mut new = Vec::new();
        for alert in alerts {
            if alert.state == AlertState::Pending {
                continue;
            }
            let fingerprint = fingerprint(alert);
            for target in &alert.targets {
                let key = (target.clone(), fingerprint.clone());
                match self.items.get_mut(&key) {
                    Some(item) => item.is_still_there(alert, &target.name, now),
                    None => new.push((key, alert)),
                }
            }
        }
        self.items
            .retain(|_, item| item.is_there || !item.is_settled());
        self.add(new, now)
    }

    /// Adds what is new, as long as there is room.
    fn add(&mut self, new: Vec<(Key, &AlertStatus)>, now: Instant) -> BTreeMap<String, u64> {
        let mut waiting: BTreeMap<AlertTarget, usize> = BTreeMap::new();
        for ((target, _), item) in &self.items {
            if item.sending != Sending::Over {
                *waiting.entry(target.clone()).or_default() += 1;
            }
        }
        let before = std::mem::take(&mut self.left_out);
        let mut dropped = BTreeMap::new();
        for (key, alert) in new {
            let waiting = waiting.entry(key.0.clone()).or_default();
            if *waiting < WAITING_MAX && self.items.len() < ITEMS_MAX {
                *waiting += 1;
                let item = Item::new(alert, &key.0.name, now);
                self.items.insert(key, item);
            } else if self.left_out.len() < ITEMS_MAX {
                if !before.contains(&key) {
                    *dropped.entry(key.0.name.clone()).or_default() += 1;
                }
                self.left_out.insert(key);
            }
        }
        dropped
    }

    /// Whether those whom `alert` is told to know of it, in their order.
    #[must_use]
    pub fn told(&self, alert: &AlertStatus) -> Vec<Told> {
        let fingerprint = fingerprint(alert);
        let told = |target: &AlertTarget| {
            let key = (target.clone(), fingerprint.clone());
            match self.items.get(&key) {
                Some(item) => item.told(),
                None if self.left_out.contains(&key) => Told::Dropped,
                // It has not been looked at yet.
                None => Told::Waiting,
            }
        };
        alert.targets.iter().map(told).collect()
    }

    /// Takes what is to be sent at `now`.
    pub fn due(&mut self, now: Instant) -> Vec<Delivery> {
        let mut due = Vec::new();
        for ((target, fingerprint), item) in &mut self.items {
            let Sending::Waits { at, failed, first } = item.sending else {
                continue;
            };
            if at <= now {
                item.sending = Sending::UnderWay { failed, first };
                due.push(Delivery {
                    target: target.clone(),
                    idempotency_key: item.idempotency_key.clone(),
                    body: payload(&item.alert, &target.name).to_string().into_bytes(),
                    fingerprint: fingerprint.clone(),
                    standing: standing(&item.alert),
                });
            }
        }
        due
    }

    /// When something is to be sent next.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        let waits = self.items.values().filter_map(|item| match item.sending {
            Sending::Waits { at, .. } => Some(at),
            Sending::UnderWay { .. } | Sending::Over => None,
        });
        waits.min()
    }

    /// Learns at `now` how `delivery` ended. True when it is given up.
    pub fn ended(&mut self, delivery: &Delivery, ended: Ended, now: Instant) -> bool {
        let key = (delivery.target.clone(), delivery.fingerprint.clone());
        let Some(item) = self.items.get_mut(&key) else {
            return false;
        };
        let Sending::UnderWay { failed, first } = item.sending else {
            return false;
        };
        if delivery.standing != standing(&item.alert) {
            // There is news meanwhile, and that is to be told.
            item.sending = Sending::waits(now);
            return false;
        }
        let is_too_late = PATIENCE <= now.duration_since(first);
        item.sending = match ended {
            Ended::Again(asked) if !is_too_late => Sending::Waits {
                at: now + wait(failed).max(asked.unwrap_or_default().min(AGAIN_MAX)),
                failed: failed.saturating_add(1),
                first,
            },
            Ended::Told | Ended::Refused | Ended::Again(_) => Sending::Over,
        };
        let is_over = item.sending == Sending::Over;
        if is_over {
            item.concluded(delivery, ended, now);
        }
        if !item.is_there && item.is_settled() {
            self.items.remove(&key);
        }
        is_over && ended != Ended::Told
    }
}

impl Item {
    /// Of `alert`, which `receiver` is to be told at `now`.
    fn new(alert: &AlertStatus, receiver: &str, now: Instant) -> Self {
        Self {
            alert: alert.clone(),
            idempotency_key: idempotency_key(alert, receiver),
            sending: Sending::waits(now),
            is_there: true,
            is_known: false,
            quiet_until: None,
        }
    }

    /// Takes in at `now` how the alert stands.
    fn is_still_there(&mut self, alert: &AlertStatus, receiver: &str, now: Instant) {
        self.is_there = true;
        let idempotency_key = idempotency_key(alert, receiver);
        if self.idempotency_key != idempotency_key {
            self.news(alert, idempotency_key, now);
        }
    }

    const fn told(&self) -> Told {
        match self.sending {
            // What is done about it may still be news.
            _ if self.is_known => Told::Told,
            Sending::Over => Told::Refused,
            Sending::Waits { .. } | Sending::UnderWay { .. } => Told::Waiting,
        }
    }

    /// Takes in at `now` that there is something else to be told.
    fn news(&mut self, alert: &AlertStatus, idempotency_key: String, now: Instant) {
        let is_same = standing(&self.alert) == standing(alert);
        self.alert = alert.clone();
        self.idempotency_key = idempotency_key;
        self.is_known &= is_same;
        self.sending = match self.sending {
            // What is on its way is waited for: what is older must not come later.
            Sending::UnderWay { .. } => self.sending,
            // Who cannot be reached is told all of it at the next attempt.
            Sending::Waits { .. } if is_same => self.sending,
            // Who did not take the alert is not told what is done about it.
            Sending::Over if is_same && !self.is_known => self.sending,
            Sending::Over if is_same => self.waits_its_turn(now),
            Sending::Waits { .. } | Sending::Over => Sending::waits(now),
        };
    }

    /// Learns at `now` that there is no further attempt to tell what `delivery` says.
    fn concluded(&mut self, delivery: &Delivery, ended: Ended, now: Instant) {
        if self.is_known {
            self.quiet_until = Some(now + DOING_EVERY);
        }
        self.is_known |= ended == Ended::Told;
        if self.is_known && self.idempotency_key != delivery.idempotency_key {
            self.sending = self.waits_its_turn(now);
        }
    }

    /// To be told what is done, when that may be told again.
    fn waits_its_turn(&self, now: Instant) -> Sending {
        Sending::waits(self.quiet_until.map_or(now, |until| until.max(now)))
    }

    /// Whether nothing is to be told if the alert is gone.
    fn is_settled(&self) -> bool {
        match self.sending {
            Sending::Over => true,
            Sending::Waits { .. } => self.is_known,
            Sending::UnderWay { .. } => false,
        }
    }
}

impl Sending {
    /// To be told first at `at`.
    const fn waits(at: Instant) -> Self {
        Self::Waits {
            at,
            failed: 0,
            first: at,
        }
    }
}

fn standing(alert: &AlertStatus) -> Standing {
    (alert.state, alert.since_ms, alert.until_ms)
}

/// How long to wait after so many failed attempts and one more.
fn wait(failed: u32) -> Duration {
    AGAIN
        .saturating_mul(1_u32.checked_shl(failed).unwrap_or(u32::MAX))
        .min(AGAIN_MAX)
}

#[cfg(test)]
pub(super) mod tests;
