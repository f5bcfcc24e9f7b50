//! Where the time of a journey goes: the share of each service, and of the ways between them, in its latency.
//!
//! A journey is what a user is doing, as the baggage of requests says; filters count requests by it
//! ([`sloop_model::Dimension::Journey`]). What they report of every route and side is enough to tell whose time it was,
//! without looking at a single trace:
//!
//! ```text
//! served(S)    = over the routes of S:     requests of the journey x mean latency, as S's own sidecars saw it
//! calls(S)     = over what S asks others:  requests of the journey x mean latency, as S's sidecars saw that
//! own(S)       = served(S) - calls(S)
//! way(S -> T)  = requests of the journey x (mean latency of T for S - mean latency of T for itself)
//! share        = (own + ways to it) / the sum of all of these
//! ```
//!
//! Worked example: `shop` answers within 100 ms and waits 80 ms of them for `checkout`, whose own sidecars see 70 ms, 50 ms of them
//! for `payments`, whose sidecars see 45 ms. So `shop` has 20 ms of the 100, `checkout` 20 ms and 10 ms on the way to it,
//! and `payments` 45 ms and 5 ms: shares of 20 %, 30 % and 50 %.
//!
//! # What it does not know
//!
//! - Latencies are counted by route and side, not by journey: a journey whose requests are slower than others on the same
//!   route gets the mean of all. A route of its own tells it apart.
//! - Calls are taken to follow each other. Where they run at once, or go on after the answer, what a service
//!   does itself is more than `own` says; where they add up to more than its whole time, that is told ([`HopShare::overlap_us`]).
//! - Where a service's outbound filter does not count by journey, its calls are divided among journeys as its own time
//!   is ([`HopShare::is_estimated`]).
//! - A service that no sidecar reports for is all that its callers waited for it ([`HopShare::is_outside`]).
//! - Requests on a route of which no latency is known have no time, and are told ([`HopShare::untimed`]).
//!
//! It is about the last minutes, for people, and not stored. What it keeps is bounded: [`Journeys::HOPS_MAX`] hops a minute
//! and [`Journeys::NAMES_MAX`] names each. Reports without journeys cost nothing.

mod share;

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use sloop_model::{DimensionValue, Scope, WallTime};

use crate::World;
use share::Whole;

/// What one sidecar reported of one scope, as far as journeys go.
#[derive(Clone, Copy, Debug)]
pub struct HopCounts<'a> {
    /// Which requests, from which side.
    pub scope: &'a Scope,
    /// Latencies in microseconds and how many requests had them.
    pub latency: &'a [(u64, u64)],
    /// Requests that took time, by journey, no duplicates. Empty where the filter does not tell journeys apart.
    pub journeys: &'a [(&'a str, u64)],
}

/// What is known of journeys of the last minutes.
#[derive(Clone, Debug, Default)]
pub struct Journeys {
    /// By the number of the minute, ascending.
    minutes: VecDeque<(u64, Minute)>,
    over_cap: u64,
}

/// The share of everybody in the latency of one journey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JourneyStatus {
    /// Its name in the baggage; `other` is all that were too many.
    pub journey: String,
    /// The time up to now that it is about, in milliseconds.
    pub window_ms: u64,
    /// All time that requests of the journey took, in microseconds: what the hops have together.
    pub time_us: u64,
    /// Who has it, the largest share first.
    pub hops: Vec<HopShare>,
}

/// What one service has of a journey's time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HopShare {
    /// The service.
    pub service: String,
    /// Requests of the journey that it was sent.
    pub requests: u64,
    /// Its own time, in microseconds: without what it waited for others.
    pub own_us: u64,
    /// Time on the way to it, in microseconds: networks, sidecars, and waiting for a connection.
    pub way_us: u64,
    /// Both as a share of the journey's time, `0.0..=1.0`; zero when that has none.
    pub share: f64,
    /// Its calls add up to so much more than its whole time, in microseconds: they ran at once.
    #[serde(default)]
    pub overlap_us: u64,
    /// Requests of the journey of which no latency is known, and so no time.
    #[serde(default)]
    pub untimed: u64,
    /// Whether its outbound filter does not tell journeys apart, so that its calls are divided as its own time is.
    #[serde(default)]
    pub is_estimated: bool,
    /// Whether no sidecar reports for it: all that its callers waited for it is its own time.
    #[serde(default)]
    pub is_outside: bool,
}

/// What was reported within one minute.
type Minute = BTreeMap<Hop, Sums>;

/// A scope as the sidecars of one service see it: of requests that it is sent, or that it sends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Hop {
    /// The service whose sidecars these are.
    by: String,
    scope: Scope,
}

/// What was counted on a hop.
#[derive(Clone, Debug, Default)]
struct Sums {
    /// Requests with a latency.
    timed: u64,
    /// Their latencies together, in microseconds.
    time_us: u64,
    /// Requests by journey.
    journeys: BTreeMap<String, u64>,
}

impl Journeys {
    /// The time that is looked back on: long enough for rare journeys, short enough to see what a change did.
    pub const WINDOW: Duration = Duration::from_secs(5 * 60);
    /// Hops that are kept of a minute: a mesh of five hundred services that each ask three others.
    pub const HOPS_MAX: usize = 2_048;
    /// Journeys of one hop that have names; the rest is `other`.
    pub const NAMES_MAX: usize = 32;
    /// Journeys that are told of, those with the most requests.
    pub const TOLD_MAX: usize = 256;

    /// Takes in what a sidecar of the service `by` reported at `now`. Nothing is kept of a report without a journey.
    pub fn observe(&mut self, by: &str, hops: &[HopCounts<'_>], now: WallTime) {
        if hops.iter().all(|hop| hop.journeys.is_empty()) {
            return;
        }
        let over_cap = &mut self.over_cap;
        let minute = newest(&mut self.minutes, now);
        for counts in hops {
            let hop = Hop {
                by: by.to_owned(),
                scope: counts.scope.clone(),
            };
            if minute.len() < Self::HOPS_MAX || minute.contains_key(&hop) {
                minute.entry(hop).or_default().add(counts);
            } else {
                let requests = counts.journeys.iter().map(|(_, requests)| *requests);
                *over_cap = requests.fold(*over_cap, u64::saturating_add);
            }
        }
    }

    /// Requests of journeys that found no room since the process began.
    #[must_use]
    pub const fn over_cap(&self) -> u64 {
        self.over_cap
    }

    /// Where the time of each journey went in the last minutes, by name, of [`Self::TOLD_MAX`] at most. Requests without
    /// a journey are left out.
    #[must_use]
    pub fn status(&self, now: WallTime) -> Vec<JourneyStatus> {
        let (oldest, newest) = numbers(now);
        let mut all: BTreeMap<&Hop, Sums> = BTreeMap::new();
        let minutes = self.minutes.iter();
        let minutes = minutes.filter(|(number, _)| (oldest..=newest).contains(number));
        for (hop, sums) in minutes.flat_map(|(_, minute)| minute) {
            all.entry(hop).or_default().plus(sums);
        }
        Whole::new(&all).journeys()
    }
}

impl Sums {
    fn add(&mut self, counts: &HopCounts<'_>) {
        for (latency_us, requests) in counts.latency {
            let requests = (*requests).min(World::COUNT_MAX);
            self.timed = self.timed.saturating_add(requests);
            let time_us = latency_us.saturating_mul(requests);
            self.time_us = self.time_us.saturating_add(time_us);
        }
        for (name, requests) in counts.journeys {
            self.count(name, (*requests).min(World::COUNT_MAX));
        }
    }

    fn plus(&mut self, other: &Self) {
        self.timed = self.timed.saturating_add(other.timed);
        self.time_us = self.time_us.saturating_add(other.time_us);
        for (name, requests) in &other.journeys {
            self.count(name, *requests);
        }
    }

    fn count(&mut self, name: &str, requests: u64) {
        if let Some(known) = self.journeys.get_mut(name) {
            *known = known.saturating_add(requests);
            return;
        }
        let name = if self.journeys.len() < Journeys::NAMES_MAX {
            name
        } else {
            DimensionValue::OTHER
        };
        let known = self.journeys.entry(name.to_owned()).or_default();
        *known = known.saturating_add(requests);
    }
}

/// The numbers of the oldest minute that is looked back on at `now`, and of the newest.
fn numbers(now: WallTime) -> (u64, u64) {
    let number = |at: WallTime| at.as_millis() / 60_000;
    (number(now.before(Journeys::WINDOW)), number(now))
}

/// The minute of `now`, after dropping those that are over. A clock that went back leaves minutes of the future behind; they go too.
fn newest(minutes: &mut VecDeque<(u64, Minute)>, now: WallTime) -> &mut Minute {
    let (oldest, newest) = numbers(now);
    minutes.retain(|(number, _)| (oldest..=newest).contains(number));
    let current = match minutes.pop_back() {
        Some((number, minute)) if number == newest => minute,
        Some(earlier) => {
            minutes.push_back(earlier);
            Minute::new()
        }
        None => Minute::new(),
    };
    &mut minutes.push_back_mut((newest, current)).1
}
