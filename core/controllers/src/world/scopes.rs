//! What is kept of each scope, whatever SLOs there are.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::{Outcome, Scope, WallTime};

use crate::budget::{FLEET_WINDOW_MAX, Fleet, SeenBy};
use crate::observation::{BreakerCause, BreakerReading, BreakerState, ScopeCounts, ShadowCounts};
use crate::{Counts, World};

/// What happened on a scope since counting began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeTotals {
    /// Which requests.
    pub scope: Scope,
    /// Requests that ended.
    pub requests: u64,
    /// Requests by outcome, in the order of [`Outcome::ALL`]. What was stored when there were fewer is read, too.
    #[serde(deserialize_with = "outcomes")]
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Requests that a breaker refused.
    pub refused: u64,
    /// Requests that a breaker in shadow mode would have refused.
    pub shadow_refused: u64,
    /// Among `shadow_refused`: those that met every objective all the same.
    pub shadow_refused_good: u64,
    /// What shedding and deny rules in shadow mode would have kept out.
    #[serde(default, skip_serializing_if = "ShadowCounts::is_nothing")]
    pub shadows: ShadowCounts,
    /// Among `refused`, an estimate in thousandths of a request: those that would have been bad, by the
    /// share of bad ones among the requests that passed in the same seconds (probes and the ramp among them).
    #[serde(default)]
    pub refused_bad_thousandths: u64,
    /// Among `refused`: those of which nobody knows, because nothing passed.
    #[serde(default)]
    pub refused_unknown: u64,
    /// The same of those that were shed.
    #[serde(default, skip_serializing_if = "Weighed::is_nothing")]
    pub shed: Weighed,
    /// The same of those that deny rules refused.
    #[serde(default, skip_serializing_if = "Weighed::is_nothing")]
    pub denied: Weighed,
    /// Until when the newest report on it counted; the epoch of what was stored without.
    #[serde(default)]
    pub reported: WallTime,
    /// The service whose sidecars reported on it first, where it is not its own; empty of what was stored without, too.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reporter: String,
}

/// What would have become of requests that were refused, as an estimate by those that passed in the same seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighed {
    /// Those that would have been bad, in thousandths of a request.
    pub bad_thousandths: u64,
    /// Those of which nobody knows, because nothing passed.
    pub unknown: u64,
}

impl Weighed {
    const fn is_nothing(&self) -> bool {
        self.bad_thousandths == 0 && self.unknown == 0
    }

    /// `refused` requests at a time when `passed` did.
    fn by(refused: u64, passed: Option<Counts>) -> Self {
        let Some(passed) = passed else {
            return Self {
                bad_thousandths: 0,
                unknown: refused,
            };
        };
        let bad = u128::from(refused) * 1_000 * u128::from(passed.bad());
        let bad = bad / u128::from(passed.total).max(1);
        Self {
            bad_thousandths: u64::try_from(bad).unwrap_or(u64::MAX),
            unknown: 0,
        }
    }

    const fn plus(self, more: Self) -> Self {
        Self {
            bad_thousandths: self.bad_thousandths.saturating_add(more.bad_thousandths),
            unknown: self.unknown.saturating_add(more.unknown),
        }
    }
}

impl ScopeTotals {
    /// Requests that ended with `outcome`.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        count(&self.outcomes, outcome)
    }
}

fn count(outcomes: &[u64; Outcome::ALL.len()], outcome: Outcome) -> u64 {
    outcomes.get(outcome.index()).copied().unwrap_or_default()
}

/// Counts by outcome, as a control plane that knew fewer or more of them stored them.
fn outcomes<'de, D>(stored: D) -> Result<[u64; Outcome::ALL.len()], D::Error>
where
    D: serde::Deserializer<'de>,
{
    let mut outcomes = [0; Outcome::ALL.len()];
    for (count, stored) in outcomes.iter_mut().zip(Vec::<u64>::deserialize(stored)?) {
        *count = stored;
    }
    Ok(outcomes)
}

/// By what passed in how long a time it is estimated what became of refused requests: the shortest in which anything did.
const PASSED_WINDOWS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    FLEET_WINDOW_MAX,
];

/// What is kept of a scope.
#[derive(Clone, Debug)]
pub(super) struct ScopeState {
    pub(super) totals: ScopeTotals,
    /// Whether `totals` differ from what was last taken to be stored.
    pub(super) is_changed: bool,
    /// Requests that are evidence, and those that were served.
    pub(super) fleet: Fleet,
    /// Which sidecars' breakers opened by what they saw themselves, and when their report said so.
    opened: BTreeMap<String, WallTime>,
}

impl ScopeState {
    /// Openings that are remembered: as many sidecars as a large service has callers.
    const OPENED_MAX: usize = 5_000;

    /// Nothing happened yet.
    pub(super) fn new(scope: Scope, reporter: &str) -> Self {
        let totals = ScopeTotals {
            scope,
            requests: 0,
            outcomes: [0; Outcome::ALL.len()],
            refused: 0,
            shadow_refused: 0,
            shadow_refused_good: 0,
            shadows: ShadowCounts::default(),
            refused_bad_thousandths: 0,
            refused_unknown: 0,
            shed: Weighed::default(),
            denied: Weighed::default(),
            reported: WallTime::default(),
            reporter: String::new(),
        };
        let mut state = Self::restored(totals);
        if state.totals.scope.service.as_str() != reporter {
            reporter.clone_into(&mut state.totals.reporter);
        }
        state
    }

    /// `totals` happened before this process began.
    pub(super) const fn restored(totals: ScopeTotals) -> Self {
        Self {
            totals,
            is_changed: false,
            fleet: Fleet::new(),
            opened: BTreeMap::new(),
        }
    }

    /// The service whose sidecars reported on it first.
    pub(super) fn reporter(&self) -> &str {
        match self.totals.reporter.as_str() {
            "" => self.totals.scope.service.as_str(),
            other => other,
        }
    }

    /// How many sidecars' breakers opened by themselves in the last `length`.
    pub(super) fn opened(&self, now: WallTime, length: Duration) -> usize {
        let first = now.before(length);
        let is_recent = |at: &&WallTime| first <= **at && **at <= now;
        self.opened.values().filter(is_recent).count()
    }

    /// Whether any sidecar's breaker opened by itself lately.
    pub(super) fn has_opened(&self) -> bool {
        !self.opened.is_empty()
    }

    /// Puts right what lies ahead after the clock stepped back to `now`.
    pub(super) fn rewind(&mut self, now: WallTime) {
        self.fleet.rewind(now);
        self.totals.reported = self.totals.reported.min(now);
    }

    /// Forgets what is no longer asked for.
    pub(super) fn forget_idle(&mut self, now: WallTime) {
        self.fleet.forget_idle(now);
        self.opened
            .retain(|_, at| *at <= now && now.since(*at) <= FLEET_WINDOW_MAX);
    }

    fn add_breaker(&mut self, seen_by: SeenBy<'_>, breaker: &BreakerReading) {
        let by_itself = |cause| match cause {
            BreakerCause::Failures | BreakerCause::Slowness => true,
            BreakerCause::Fleet | BreakerCause::Time | BreakerCause::Recovered => false,
        };
        let has_opened = breaker
            .changes
            .iter()
            .any(|change| change.to == BreakerState::Open && by_itself(change.cause));
        let has_room =
            self.opened.len() < Self::OPENED_MAX || self.opened.contains_key(seen_by.node);
        if has_opened && has_room && seen_by.is_fresh() {
            self.opened.insert(seen_by.node.to_owned(), seen_by.to);
        }
    }

    /// Estimates what would have become of requests that were refused, by what passed lately.
    fn weigh(&mut self, counts: &ScopeCounts, now: WallTime) {
        let refused = counts.refused.min(World::COUNT_MAX);
        let shed = count(&counts.outcomes, Outcome::Shed).min(World::COUNT_MAX);
        let denied = count(&counts.outcomes, Outcome::Blocked).min(World::COUNT_MAX);
        if refused == 0 && shed == 0 && denied == 0 {
            return;
        }
        let windows = PASSED_WINDOWS.into_iter();
        let passed = windows
            .map(|window| self.fleet.all(now, window))
            .find(|counts| 0 < counts.total);
        let totals = &mut self.totals;
        let breakers = Weighed {
            bad_thousandths: totals.refused_bad_thousandths,
            unknown: totals.refused_unknown,
        };
        let breakers = breakers.plus(Weighed::by(refused, passed));
        totals.refused_bad_thousandths = breakers.bad_thousandths;
        totals.refused_unknown = breakers.unknown;
        totals.shed = totals.shed.plus(Weighed::by(shed, passed));
        totals.denied = totals.denied.plus(Weighed::by(denied, passed));
    }

    /// Adds what a VM saw. Returns whether it has seen breakers open by themselves.
    pub(super) fn add(&mut self, seen_by: SeenBy<'_>, counts: &ScopeCounts) -> bool {
        let totals = &mut self.totals;
        for (sum, more) in [
            (&mut totals.requests, counts.requests),
            (&mut totals.refused, counts.refused),
            (&mut totals.shadow_refused, counts.shadow_refused),
            (&mut totals.shadow_refused_good, counts.shadow_refused_good),
            (&mut totals.shadows.shed, counts.shadows.shed),
            (&mut totals.shadows.shed_good, counts.shadows.shed_good),
            (&mut totals.shadows.denied, counts.shadows.denied),
            (&mut totals.shadows.denied_good, counts.shadows.denied_good),
        ] {
            *sum = sum.saturating_add(more.min(World::COUNT_MAX));
        }
        let mut evidence = Counts::default();
        for ((outcome, sum), more) in Outcome::ALL
            .iter()
            .zip(&mut totals.outcomes)
            .zip(counts.outcomes)
        {
            let more = more.min(World::COUNT_MAX);
            *sum = sum.saturating_add(more);
            evidence = evidence.plus(Counts {
                total: if outcome.is_evidence() { more } else { 0 },
                good: if outcome.is_served() { more } else { 0 },
            });
        }
        totals.reported = totals.reported.max(seen_by.to);
        self.is_changed = true;
        self.fleet.add(seen_by, evidence.held());
        self.weigh(counts, seen_by.to);
        if let Some(breaker) = &counts.breaker {
            self.add_breaker(seen_by, breaker);
        }
        self.has_opened()
    }
}

/// The service whose sidecar reports on `scope`.
fn reporter<'a>(seen_by: SeenBy<'a>, scope: &'a Scope) -> &'a str {
    if seen_by.service.is_empty() {
        return scope.service.as_str();
    }
    seen_by.service
}

impl World {
    /// Adds what a VM saw on a scope.
    pub(super) fn observe_scope(&mut self, seen_by: SeenBy<'_>, counts: &ScopeCounts) {
        if let Some(state) = self.scopes.get_mut(&counts.scope) {
            if state.add(seen_by, counts) {
                self.opened.insert(counts.scope.clone());
            }
        } else if self.has_room_for_scope(reporter(seen_by, &counts.scope)) {
            let reporter = reporter(seen_by, &counts.scope);
            let mut state = ScopeState::new(counts.scope.clone(), reporter);
            if state.add(seen_by, counts) {
                self.opened.insert(counts.scope.clone());
            }
            self.insert_scope(state);
        } else {
            let requests = counts.requests.min(Self::COUNT_MAX);
            self.lost.over_cap = self.lost.over_cap.saturating_add(requests);
        }
    }

    /// Whether sidecars of `service` may be the first to report on one more.
    fn has_room_for_scope(&self, service: &str) -> bool {
        let own = self.scopes_by.get(service).copied().unwrap_or_default();
        own < Self::SCOPES_BY_SERVICE_MAX && self.scopes.len() < Self::SCOPES_MAX
    }

    pub(super) fn insert_scope(&mut self, state: ScopeState) {
        let scope = state.totals.scope.clone();
        let scopes_of = self.scopes_of.entry(scope.service.clone()).or_default();
        scopes_of.insert(scope.clone());
        let reporter = state.reporter().to_owned();
        *self.scopes_by.entry(reporter).or_default() += 1;
        self.scopes.insert(scope, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        serde_json::from_str(r#"{"service": "a", "route": "b", "side": "server"}"#).unwrap()
    }

    /// What `reports` of (second, passed, bad, refused) say of the refused: bad in thousandths, and not known.
    fn weighed(reports: &[(u64, u64, u64, u64)]) -> (u64, u64) {
        let mut state = ScopeState::new(scope(), "a");
        for &(second, passed, bad, refused) in reports {
            let to = WallTime::from_millis(1_700_000_000_000 + second * 1_000);
            let seen_by = SeenBy {
                node: "n",
                service: "a",
                from: to.before(Duration::from_secs(1)),
                to,
                heard: to,
                others_by: to,
            };
            let mut outcomes = [0; Outcome::ALL.len()];
            outcomes[Outcome::Success.index()] = passed - bad;
            outcomes[Outcome::ServerError.index()] = bad;
            state.add(
                seen_by,
                &ScopeCounts {
                    requests: passed + refused,
                    outcomes,
                    refused,
                    ..ScopeCounts::nothing(scope())
                },
            );
        }
        let totals = &state.totals;
        (totals.refused_bad_thousandths, totals.refused_unknown)
    }

    #[test]
    fn what_was_refused_is_weighed_by_what_passed_at_the_same_time() {
        assert_eq!(weighed(&[(0, 100, 0, 0)]), (0, 0));
        assert_eq!(weighed(&[(0, 4, 3, 100)]), (75_000, 0));
        assert_eq!(
            weighed(&[(0, 1_000, 0, 0), (3, 2, 2, 100)]),
            (100_000, 0),
            "long before is not at the same time"
        );
        assert_eq!(weighed(&[(0, 2, 2, 0), (20, 0, 0, 100)]), (100_000, 0));
        assert_eq!(weighed(&[(0, 2, 2, 0), (40, 0, 0, 100)]), (0, 100));
    }

    #[test]
    fn what_was_shed_and_denied_is_weighed_for_itself() {
        let mut state = ScopeState::new(scope(), "a");
        let to = WallTime::from_millis(1_700_000_000_000);
        let seen_by = SeenBy {
            node: "n",
            service: "a",
            from: to.before(Duration::from_secs(1)),
            to,
            heard: to,
            others_by: to,
        };
        let mut outcomes = [0; Outcome::ALL.len()];
        outcomes[Outcome::Success.index()] = 75;
        outcomes[Outcome::Timeout.index()] = 25;
        outcomes[Outcome::Shed.index()] = 8;
        outcomes[Outcome::Blocked.index()] = 4;
        outcomes[Outcome::DeadlinePassed.index()] = 3;
        let counts = ScopeCounts {
            requests: 115,
            outcomes,
            ..ScopeCounts::nothing(scope())
        };
        state.add(seen_by, &counts);
        let acted = crate::Acted::of(&state.totals);
        assert_eq!(acted.breakers, crate::Refusals::default());
        let of = |it: crate::Refusals| (it.refused, it.refused_bad, it.refused_good());
        assert_eq!((of(acted.shed), of(acted.denied)), ((8, 2, 6), (4, 1, 3)));
        let alone = acted.by(&[crate::Means::Deny].into());
        assert_eq!((of(alone.shed), of(alone.denied)), ((0, 0, 0), (4, 1, 3)));
        let late = acted.by(&[crate::Means::Deadline].into());
        assert_eq!((acted.late, alone.late, late.late), (3, 0, 3));
        assert_eq!(late.shed, crate::Refusals::default());
        let stored = serde_json::to_string(&state.totals).unwrap();
        let read: ScopeTotals = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, state.totals);
    }

    #[test]
    fn what_was_stored_with_other_outcomes_is_read() {
        let stored = |outcomes: &str| {
            let json = format!(
                r#"{{"scope": {{"service": "a", "route": "b", "side": "server"}}, "requests": 3,
                    "outcomes": {outcomes}, "refused": 0, "shadow_refused": 0, "shadow_refused_good": 0}}"#
            );
            serde_json::from_str::<ScopeTotals>(&json).unwrap().outcomes
        };
        let fewer = stored("[1,0,2,0,0,0,0,0,0,0,0,0]");
        assert_eq!(
            (fewer[0], fewer[2], fewer.len()),
            (1, 2, Outcome::ALL.len())
        );
        let more = format!("[{}9]", "1,".repeat(Outcome::ALL.len()));
        assert_eq!(stored(&more), [1; Outcome::ALL.len()]);
    }
}
