//! Sheds the least critical requests while there are more than can be served well.
//!
//! A control law (`law.rs`) finds, ten times a second, the share of all requests
//! to shed; `spread.rs` turns it into a share per class of criticality, the
//! lowest class first; [`Shedder::admit`] compares that with a draw.
//!
//! The draw comes from the trace id ([`draw`]), so every hop sheds the same
//! traces first. A trace that needs three services which each shed a third is
//! then served with probability 2/3, where independent draws would leave 8/27
//! and waste the work of the services that did serve it (the "subsequent
//! overload" of DAGOR, Zhou et al., SoCC 2018). A repeated request of the same
//! trace is shed again, so repeating does not pay.
//!
//! What never stops, so that there is always something to measure: the floor
//! passes (draws at the upper end of each class), and a request passes when
//! none did for [`Shedder::SILENCE_MAX`].
//!
//! Time moves with requests, no timer is needed. While nothing is shed, a
//! request costs a comparison of times, a count and a comparison of shares.

mod aside;
mod evidence;
mod expiry;
mod harvest;
mod law;
mod queue;
mod seen;
mod smooth;
mod spread;
mod standing;
mod trial;
mod vain;
mod words;

use core::time::Duration;
use std::cell::Cell;
use std::rc::Rc;

use sloop_model::{Criticality, Mode, Share, ShedRule, Time};

pub use aside::SetAside;
use law::Law;
use seen::{Seen, micros};
use smooth::Smooth;
pub use spread::draw;
use vain::Ended;
pub use words::{FleetReading, ShedCounts, ShedEnding};

/// Whether a request may pass.
#[derive(Debug, PartialEq, Eq)]
pub enum ShedAdmit {
    /// It may. Hand the ticket back with its outcome.
    Pass(ShedTicket),
    /// It may not. Only in [`Mode::Enforce`].
    Shed,
}

/// Ties an outcome to how its request was admitted.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "hand it back to `Shedder::record` or `Shedder::forget`"]
pub struct ShedTicket {
    /// It passed only because of the shadow mode.
    would_shed: bool,
}

/// The shedder of one scope.
#[derive(Debug)]
pub struct Shedder {
    /// When a request must look at more than its share: the next step, or the expiry.
    wake_at: Time,
    /// The share of each class to shed.
    shares: [Share; Criticality::ALL.len()],
    /// Requests of each class since the last step.
    offered: [u32; Criticality::ALL.len()],
    /// How many of them were shed.
    kept_out: u32,
    in_flight: u32,
    /// How many of them are set aside.
    aside: Rc<Cell<u32>>,
    slow_above: Duration,
    mode: Mode,
    rule: ShedRule,
    expires_at: Option<Time>,
    has_expired: bool,
    stepped_at: Time,
    passed_at: Time,
    /// How requests ended since the last step.
    served: u32,
    /// How many of those were slow.
    late: u32,
    /// How long all that was served in time took.
    good_us: u64,
    judged: u32,
    failed: u32,
    slow: u32,
    latency_us: u64,
    /// How many of what was judged, and of what was served in time, have a latency: all but upgraded connections.
    timed: u32,
    prompt: u32,
    /// The recent share of the classes.
    mix: [Smooth; Criticality::ALL.len()],
    fleet: Option<(FleetReading, Time)>,
    is_fleet_news: bool,
    law: Law,
    counts: ShedCounts,
}

impl ShedTicket {
    /// Whether its request passes only because of the shadow mode.
    #[must_use]
    pub const fn would_shed(&self) -> bool {
        self.would_shed
    }
}

impl Shedder {
    /// Time between two steps: what `DAGOR` and `CoDel` (RFC 8289) found to be above the noise of a busy service.
    pub const PERIOD: Duration = Duration::from_millis(100);
    /// Fewest judged requests that a step waits for, up to [`Shedder::WAIT_MAX`].
    pub const JUDGED_MIN: u32 = 10;
    /// The longest time between two steps of a scope with requests.
    pub const WAIT_MAX: Duration = Duration::from_secs(1);
    /// When none passed for this long, the next one does, whatever its class.
    pub const SILENCE_MAX: Duration = Duration::from_secs(1);
    /// A reading of the fleet covers at most ten seconds; an older one says nothing.
    pub const FLEET_AGE_MAX: Duration = Duration::from_secs(10);

    /// A shedder that sheds nothing beyond the rule's `share_min`, until `expires_at`.
    #[must_use]
    pub fn new(rule: ShedRule, mode: Mode, expires_at: Option<Time>, now: Time) -> Self {
        let mut shedder = Self {
            wake_at: now,
            shares: [Share::NONE; Criticality::ALL.len()],
            offered: [0; Criticality::ALL.len()],
            kept_out: 0,
            in_flight: 0,
            aside: Rc::default(),
            slow_above: Duration::MAX,
            mode,
            rule,
            expires_at,
            has_expired: false,
            stepped_at: now,
            passed_at: now,
            served: 0,
            late: 0,
            good_us: 0,
            judged: 0,
            failed: 0,
            slow: 0,
            latency_us: 0,
            timed: 0,
            prompt: 0,
            mix: [Smooth::default(); Criticality::ALL.len()],
            fleet: None,
            is_fleet_news: false,
            law: Law::new(now),
            counts: ShedCounts::default(),
        };
        shedder.adopt(rule, mode, expires_at, now);
        shedder
    }

    /// Goes on with another rule, at the level that it is at.
    #[cold]
    pub fn adopt(&mut self, rule: ShedRule, mode: Mode, expires_at: Option<Time>, now: Time) {
        if mode != self.mode || self.has_expired {
            self.counts.given_up += self.law.take_given_up();
            self.law = Law::new(now);
        }
        self.revive(now);
        self.rule = rule;
        self.mode = mode;
        self.expires_at = expires_at;
        self.slow_above = rule.slow().map_or(Duration::MAX, |(_, slow)| slow);
        self.law.hold_within(&rule);
        self.apply();
        self.wake_at = self.next_wake();
        if expires_at.is_some_and(|at| at <= now) {
            self.expire();
        }
    }

    /// Decides about a request that arrives at `now`. `draw` is uniform over `0..10_000`: that of [`draw`].
    #[inline]
    pub fn admit(&mut self, class: Criticality, draw: u16, now: Time) -> ShedAdmit {
        if self.wake_at <= now {
            self.wake(now);
        }
        if let Some(count) = self.offered.get_mut(class.index()) {
            *count = count.saturating_add(1);
        }
        let share = self.shares.get(class.index()).copied();
        if share.is_some_and(|share| share.includes(draw)) {
            return self.shed(class, now);
        }
        self.passed_at = now;
        self.in_flight = self.in_flight.saturating_add(1);
        ShedAdmit::Pass(ShedTicket { would_shed: false })
    }

    /// Learns, at `now`, how the request that `ticket` was given for ended.
    #[inline]
    pub fn record(&mut self, ticket: ShedTicket, ending: ShedEnding, now: Time) {
        let ShedEnding {
            outcome,
            latency,
            is_good,
        } = ending;
        if self.wake_at <= now {
            self.wake(now);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        let has_failed = outcome.is_evidence() && !outcome.is_served();
        // Who gave up waiting shows a queue, as who was served late does; it is one or the other.
        let is_slow = self.slow_above < latency && (outcome.shows_slowness() || has_failed);
        if is_slow || outcome.is_evidence() {
            self.judged = self.judged.saturating_add(1);
            self.slow = self.slow.saturating_add(is_slow.into());
            // An upgraded connection lives as long as it likes, and says nothing of how long others wait.
            let has_latency = is_slow || outcome.has_latency();
            let micros = if has_latency { micros(latency) } else { 0 };
            self.latency_us = self.latency_us.saturating_add(micros);
            self.timed = self.timed.saturating_add(has_latency.into());
            if outcome.is_served() {
                self.served = self.served.saturating_add(1);
                if is_slow {
                    self.late = self.late.saturating_add(1);
                } else {
                    self.good_us = self.good_us.saturating_add(micros);
                    self.prompt = self.prompt.saturating_add(has_latency.into());
                }
            } else if has_failed && !is_slow {
                self.failed = self.failed.saturating_add(1);
            }
        }
        if ticket.would_shed {
            self.counts.shadow_shed += 1;
            self.counts.shadow_shed_good += u64::from(is_good);
        }
    }

    /// Forgets a request of which no end was told. A ticket that is not handed back at all counts as under way for
    /// good: the law learns to leave it out, but `in_flight_max` does not.
    pub const fn forget(&mut self, ticket: ShedTicket) {
        let ShedTicket { would_shed: _ } = ticket;
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A breaker had refused requests, and the service is back: nothing is shed any more because it failed before.
    #[cold]
    pub fn begin_anew(&mut self, now: Time) {
        if self.has_expired {
            return;
        }
        self.law.begin_anew(&self.rule, now);
        self.offered = [0; Criticality::ALL.len()];
        self.forget_period(now);
        self.fleet = None;
        self.apply();
        self.wake_at = self.next_wake();
    }

    /// Learns what the fleet counted; `None`: it is not known.
    pub fn learn_fleet(&mut self, reading: Option<FleetReading>, now: Time) {
        self.fleet = reading.map(|reading| (reading, now));
        self.is_fleet_news = true;
    }

    #[cold]
    fn shed(&mut self, class: Criticality, now: Time) -> ShedAdmit {
        let is_silent = Self::SILENCE_MAX <= now.since(self.passed_at);
        match self.mode {
            Mode::Enforce if !is_silent => {
                if let Some(count) = self.counts.shed.get_mut(class.index()) {
                    *count += 1;
                }
                self.kept_out = self.kept_out.saturating_add(1);
                ShedAdmit::Shed
            }
            Mode::Enforce | Mode::Shadow => {
                self.passed_at = now;
                self.in_flight = self.in_flight.saturating_add(1);
                ShedAdmit::Pass(ShedTicket {
                    would_shed: !is_silent,
                })
            }
        }
    }

    /// Does what is due: falls away, or takes a step.
    #[cold]
    fn wake(&mut self, now: Time) {
        if self.expires_at.is_some_and(|at| at <= now) {
            self.expire();
            return;
        }
        let elapsed = now.since(self.stepped_at);
        if elapsed < Self::WAIT_MAX && self.judged < Self::JUDGED_MIN {
            // Too little to judge by: look again soon, but not at every request.
            self.wake_at = self.until_expiry(now.after(Self::PERIOD / 4));
            return;
        }
        self.law.learn_vain(&self.rule, self.ended(now));
        if Self::WAIT_MAX * 2 < elapsed {
            // There was a silence; what was seen before it says nothing about the load of now.
            self.forget_ended();
        }
        let fleet = self.fleet(now);
        let offered: u64 = self.offered.iter().map(|one| u64::from(*one)).sum();
        let seen = Seen {
            offered,
            passed: offered.saturating_sub(self.kept_out.into()),
            good: self.served.saturating_sub(self.late).into(),
            served: self.served.into(),
            judged: self.judged.into(),
            failed: self.failed.into(),
            slow: self.slow.into(),
            latency_us: self.latency_us,
            timed: self.timed.into(),
            prompt: self.prompt.into(),
            good_us: self.good_us,
            in_flight: self.in_flight.saturating_sub(self.aside.get()).into(),
            elapsed,
            // Once: it says nothing that is new to a second step.
            fleet: fleet.filter(|_| self.is_fleet_news),
            is_fleet_known: fleet.is_some(),
        };
        self.law.step(&self.rule, self.mode, &seen, now);
        for (mix, offered) in self.mix.iter_mut().zip(&mut self.offered) {
            mix.learn(core::mem::take(offered).into());
        }
        self.forget_period(now);
        self.apply();
        self.wake_at = self.next_wake();
    }

    /// Begins to count the next period.
    const fn forget_period(&mut self, now: Time) {
        self.forget_ended();
        (self.kept_out, self.is_fleet_news) = (0, false);
        self.stepped_at = now;
    }

    const fn forget_ended(&mut self) {
        (self.served, self.judged, self.failed, self.slow) = (0, 0, 0, 0);
        (self.late, self.good_us, self.latency_us) = (0, 0, 0);
        (self.timed, self.prompt) = (0, 0);
    }

    const fn ended(&self, now: Time) -> Ended {
        Ended {
            judged: self.judged,
            failed: self.failed,
            slow: self.slow,
            us: now.micros_since(self.stepped_at),
        }
    }

    /// The fleet's reading, if it is not too old.
    fn fleet(&self, now: Time) -> Option<FleetReading> {
        let (reading, at) = self.fleet?;
        (now.since(at) <= Self::FLEET_AGE_MAX).then_some(reading)
    }

    fn apply(&mut self) {
        self.shares = spread::spread(self.law.level(), &self.rule, self.mix);
    }

    fn next_wake(&self) -> Time {
        self.until_expiry(self.stepped_at.after(Self::PERIOD))
    }
}

#[cfg(test)]
mod tests;
