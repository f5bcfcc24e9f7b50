//! The breaker of a scope, with what the configuration says about it.

use core::time::Duration;

use sloop_model::{BreakerConfig, BreakerMode, Judge, Outcome, Time, WallTime};

use super::clock::Clock;
use crate::breaker::{Admit, Breaker, BreakerState, Ticket};
use crate::random::Random;
use crate::report::BreakerDelta;

/// A breaker that may be wanted or not, and that expires by itself.
#[derive(Debug, Default)]
pub(super) struct Guard {
    config: Option<BreakerConfig>,
    breaker: Option<Breaker>,
    /// The last order that was obeyed.
    trip_seen: u64,
    refused: u64,
    shadow_refused: u64,
    shadow_refused_good: u64,
}

/// What else can be done about requests that take too long. To refuse all of them would lose what shedding saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relief {
    /// Nothing.
    None,
    /// To shed the least critical ones.
    Possible,
    /// That is being done.
    AtWork,
}

/// What the breaker of a scope says about a request.
#[derive(Debug)]
pub(super) enum Admission {
    /// It passes; with a ticket if a breaker wants to know how it ends.
    Pass(Option<Ticket>),
    /// It passes to find out how the service is.
    Probe(Ticket, BreakerMode),
    /// It passes, but only because the breaker is in shadow mode.
    Shadow,
    /// It does not pass.
    Refuse {
        /// When to try again.
        retry_at: Time,
    },
}

impl Guard {
    /// Puts `config` in force, in the state that the breaker is in, and obeys an order that it did not see.
    pub(super) fn adopt(
        &mut self,
        config: Option<&BreakerConfig>,
        relief: Relief,
        (now, wall): (Time, WallTime),
    ) {
        let Some(config) = config.filter(|config| !has_expired(config, wall)) else {
            self.drop_breaker(now);
            return;
        };
        self.config = Some(*config);
        let breaker = self
            .breaker
            .get_or_insert_with(|| Breaker::new(config.limits, now));
        breaker.adopt(config.limits, now);
        breaker.obey(config.mode, now);
        if let Some(trip) = config.trip
            && self.trip_seen < trip.id
            && wall < trip.until_ms
        {
            self.trip_seen = trip.id;
            match relief {
                Relief::None | Relief::Possible => breaker.trip(now),
                Relief::AtWork => {}
            }
        }
    }

    /// Whether there is a breaker, unless it has just expired.
    pub(super) const fn is_wanted(&self) -> bool {
        self.config.is_some()
    }

    /// The breaker, as it is shared with other workers.
    pub(super) const fn shared(&mut self) -> Option<&mut Breaker> {
        match &self.config {
            Some(_) => self.breaker.as_mut(),
            None => None,
        }
    }

    /// Decides about a request that arrives.
    #[inline]
    pub(super) fn admit(&mut self, random: &mut Random, now: Time, clock: &Clock) -> Admission {
        let Some(mode) = self.mode(now, clock) else {
            return Admission::Pass(None);
        };
        let Some(breaker) = &mut self.breaker else {
            return Admission::Pass(None);
        };
        let draw = if breaker.draws() { random.draw() } else { 0 };
        match (breaker.admit(draw, now), mode) {
            // Without a ticket: it would not have been there to learn from.
            (Admit::Refuse { .. }, BreakerMode::Shadow) => Admission::Shadow,
            (
                Admit::Refuse { retry_at },
                BreakerMode::Enforce
                | BreakerMode::MetricsOnly
                | BreakerMode::Disabled
                | BreakerMode::ForcedOpen,
            ) => Admission::Refuse { retry_at },
            (
                Admit::Pass(ticket),
                BreakerMode::Enforce
                | BreakerMode::Shadow
                | BreakerMode::MetricsOnly
                | BreakerMode::Disabled
                | BreakerMode::ForcedOpen,
            ) => {
                if breaker.is_probing() {
                    Admission::Probe(ticket, mode)
                } else {
                    Admission::Pass(Some(ticket))
                }
            }
        }
    }

    /// By what the breaker has to be told how requests ended.
    pub(super) fn judge(&self) -> Judge {
        let config = self.config.as_ref();
        config.map_or_else(Judge::default, |config| config.limits.limits().manner.judge)
    }

    /// Lets the breaker learn how a request ended.
    pub(super) fn record(
        &mut self,
        ticket: Ticket,
        (outcome, latency): (Outcome, Duration),
        relief: Relief,
        now: Time,
    ) {
        if let Some(breaker) = &mut self.breaker {
            match relief {
                Relief::None => breaker.record(ticket, outcome, latency, now),
                Relief::Possible | Relief::AtWork => {
                    breaker.record_mildly(ticket, outcome, latency, now);
                }
            }
        }
    }

    /// Whether the service came back since this was last asked, after the breaker had refused requests.
    pub(super) fn take_recovered(&mut self) -> bool {
        // Taken in shadow, too: it must not be news when the mode has changed.
        let has_recovered = self.breaker.as_mut().is_some_and(Breaker::take_recovered);
        let config = self.config.as_ref();
        has_recovered && config.is_some_and(|config| config.mode == BreakerMode::Enforce)
    }

    pub(super) const fn count_refused(&mut self) {
        self.refused += 1;
    }

    pub(super) const fn count_shadow_refused(&mut self, is_good: bool) {
        self.shadow_refused += 1;
        self.shadow_refused_good += is_good as u64;
    }

    /// Whether the state changed since the last report.
    pub(super) fn has_changed(&self) -> bool {
        self.breaker.as_ref().is_some_and(Breaker::has_changed)
    }

    /// Takes what is to be reported, if there is or was a breaker.
    pub(super) fn take(&mut self, now: Time, clock: &Clock) -> Option<BreakerDelta> {
        let is_wanted = self.mode(now, clock).is_some();
        let breaker = self.breaker.as_mut()?;
        let state = breaker.state(now);
        let delta = BreakerDelta {
            state,
            changes: breaker
                .take_changes()
                .iter()
                .map(|change| (change.to, clock.wall(change.at), change.cause))
                .collect(),
            refused: core::mem::take(&mut self.refused),
            shadow_refused: core::mem::take(&mut self.shadow_refused),
            shadow_refused_good: core::mem::take(&mut self.shadow_refused_good),
        };
        let has_news = !delta.changes.is_empty() || 0 < delta.refused + delta.shadow_refused;
        (is_wanted || has_news).then_some(delta)
    }

    /// Whether the breaker is worth a report even of a scope without traffic.
    pub(super) fn is_news(&mut self, now: Time) -> bool {
        self.breaker.as_mut().is_some_and(|breaker| {
            breaker.state(now) != BreakerState::Closed || breaker.has_changed()
        })
    }

    /// The mode of the breaker, if one is in force. An expired one is dropped.
    #[inline]
    fn mode(&mut self, now: Time, clock: &Clock) -> Option<BreakerMode> {
        let config = self.config.as_ref()?;
        let mode = config.mode;
        if config.expires_at_ms.is_some() && has_expired(config, clock.wall(now)) {
            self.drop_breaker(now);
            return None;
        }
        Some(mode)
    }

    #[cold]
    fn drop_breaker(&mut self, now: Time) {
        if self.config.take().is_some()
            && let Some(breaker) = &mut self.breaker
        {
            breaker.reset(now);
        }
    }
}

fn has_expired(config: &BreakerConfig, wall: WallTime) -> bool {
    config.expires_at_ms.is_some_and(|at| at <= wall)
}
