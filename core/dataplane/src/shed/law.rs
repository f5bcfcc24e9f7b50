//! How large a share to shed: a control law with two speeds.
//!
//! # The law
//!
//! Once per period `T` (100 ms), with the counts of that period:
//!
//! - *Missed*, when surely more requests than allowed were slow or failed
//!   ([`surely_exceeds`]), or too many are under way: the level rises by at
//!   least [`UP`], and goes half of the way to what the model wants.
//! - *Met*: the level goes a part of the way to what the model wants, and falls
//!   by [`DOWN`] per period besides, unless requests wait beyond the aim. If
//!   they still do after [`HOLD`], that is what the service is like now, and
//!   the level falls all the same.
//! - *Unknown*, when too little was seen here and nothing is known of the fleet:
//!   the level falls, by [`DOWN`] and as fast as when it is met with next to nothing under way. Not to know is no reason to refuse.
//!
//! While no more than `share_min` is shed, nothing happens until an objective is
//! missed: such a level stays as it is in every period that is not missed. And because
//! of slowness it does so until surely most requests are slow: a queue makes all of them late,
//! while one bad host of three, or one kind of requests, leaves the others in
//! time, and refusing by chance then loses more than there is to save. So with failures, as long as what is served is not late.
//!
//! The model is a queue. By Little's law (Little 1961) a request that arrives
//! waits `W = q / s`, with `q` requests under way and `s` served per second,
//! whoever waits where. A server that is busy serves `s` whatever it is sent.
//! So the rate to admit is what it serves, less what brings the queue to the
//! aim `q* = s * (usual + (slow - usual) / 3)` within [`DRAIN`] = 5 periods:
//!
//! ```text
//! admit = s - (q - q*) / DRAIN        level wanted = 1 - admit / wanted
//! ```
//!
//! What is *wanted* is not what comes: callers that repeat what was shed make
//! that grow with the level, and by it the level would never fall again. It is what
//! passed, divided by the share that may pass ([`Queue::wanted`]). While fewer than half of `q*` are under way,
//! what is admitted grows by a quarter per period ([`Queue::level_max`]): then the queue is drained, or the trouble
//! over. While less than half is shed that takes next to no queue, and it grows by an eighth: near the edge a queue is short by chance, too.
//! Either fills a quarter of `q*` at most in a period before it is seen, as what is under way is known at once.
//! A step waits for ten requests, so with little traffic there is one in a second. After two in a row that find next to nothing under way
//! it makes up for up to eight periods, and one request is no queue, however small `q*` is. Else a service that is asked fifteen times a
//! second goes on refusing for ten seconds after it was slow for six. In small overloads (15 to 80 served per second) it costs up to a tenth.
//!
//! For failures there is no queue to drain, and `admit = s`: what the SRE book
//! calls adaptive throttling (chapter 21) with K = 1; but no more is shed than
//! what fails, as no more can be saved. Who failed only after the time in which it should have been
//! served waited, so that is slowness. The two speeds are those
//! of DAGOR (Zhou et al., SoCC 2018: quick cuts, slow returns) and of AIMD
//! (Chiu and Jain 1989); reading the queue from what is under way rather than
//! from late completions is what Breakwater (Cho et al., OSDI 2020) argues for.
//!
//! Where too little is seen the fleet's counts decide; but where latency is judged, only whoever sees requests wait sheds because of them.
//! While nothing ends and more are under way than should wait, the level stays.
//!
//! What is usual is learnt while no more than `share_min` is shed and the objective is met: the
//! latency, and what is under way without being in a queue (streams), which is
//! left out of `q`: all less `s` times the latency, Little's law again.
//!
//! # Stability
//!
//! While the server is busy, `q[k+1] = q[k] + admit - s`. If the level went all
//! of the way at once, `q - q*` would shrink by `1 - 1/5` per period, and with
//! one more period of delay the roots of `z^2 - z + 1/5` are real and below
//! 0.73. Going half of the way (`level[k+1] = level[k] + e/2`) makes that
//! `z^2 - 1.5 z + 0.6`: complex, with a modulus of 0.78, so a disturbance is a
//! tenth after ten periods; a quarter of the way, on the way down, gives
//! `z^2 - 1.75 z + 0.8`, modulus 0.9. Both are damped whatever the capacity,
//! because everything scales with `s`. The rate `s` is smoothed, but it does
//! not depend on the level while the server is busy, so the smoothing is not in
//! the loop. What remains is the noise of the traffic: the simulation holds the
//! level within 20 % of all requests at 1,000 served per second.
//!
//! # Worst case
//!
//! - Overload: the level is within a tenth of what is wanted in four periods.
//! - The load falls away: from level `x` to zero takes at most `x / DOWN`
//!   periods, 20 s from everything; when requests wait beyond the aim, although
//!   the objective is met, [`HOLD`] and a minute.
//! - Shedding that does not help: bounded by [`Trial`], see there.
//! - The classes change their shares of the traffic: the shares of the classes
//!   are those of the last steps, so for one step more or less than the level
//!   is shed, but nothing above a class that may still be shed.
//!
//! In shadow mode the queue is not what it would be, and a level that rises
//! until it helps would rise without end: only the feed-forward part
//! `1 - s / offered` is used, and there is no trial. So it says the share that
//! would be right once the queue is drained.

use core::time::Duration;

use sloop_model::{Mode, Share, ShedRule, Time};

use super::Shedder;
use super::evidence::{fleet_max, fleet_misses, surely_exceeds};
use super::queue::{PERIOD_US, Queue, micros, to_i64};
use super::seen::Seen;
use super::smooth::{Smooth, half_way};
use super::trial::{Strain, Strength, Trial};
use super::vain::{Ended, Vain};

/// The least that the level rises when the objective is missed, in ten-thousandths per step.
const UP: i64 = 200;
/// How much it falls per period when the objective is met: slower than it rises, so that the edge is found gently.
const DOWN: u64 = 50;
/// How long requests may wait beyond the aim before that is taken for what the service is like.
const HOLD: Duration = Duration::from_secs(5);
/// The part of the way to a lower level that is gone per step: a quarter.
const SLOWLY: i64 = 4;
/// Periods in which the model drains what waits too long.
const DRAIN: i64 = 5;
const WHOLE: i64 = 10_000;

/// Whether the objective holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unknown,
    Met,
    Missed(Strain),
    /// By others: what is known here is no reason to shed.
    MissedElsewhere,
}

/// The level of shedding, and what it follows from.
#[derive(Clone, Debug)]
pub(super) struct Law {
    level: Share,
    queue: Queue,
    /// Ten-thousandths of what was judged.
    failing: Smooth,
    /// Ten-thousandths of what was judged.
    slowing: Smooth,
    /// The largest share that failed lately since something is shed, in ten-thousandths.
    worst: u64,
    /// How long requests waited beyond the aim while the objective was met.
    waited: Duration,
    vain: Vain,
    trial: Trial,
}

impl Law {
    pub(super) fn new(now: Time) -> Self {
        Self {
            level: Share::NONE,
            queue: Queue::default(),
            failing: Smooth::default(),
            slowing: Smooth::default(),
            worst: 0,
            waited: Duration::ZERO,
            vain: Vain::default(),
            trial: Trial::new(now),
        }
    }

    /// The share of all requests to shed.
    pub(super) const fn level(&self) -> Share {
        self.level
    }

    /// Whether there is a queue that shedding is being tried against, with more than is shed whatever is measured.
    pub(super) fn is_at_work(&self, rule: &ShedRule) -> bool {
        rule.limits().share_min < self.level && self.trial.is_against_a_queue()
    }

    /// Whether shedding was tried a moment ago, and in vain.
    pub(super) fn has_given_up(&self) -> bool {
        self.trial.has_given_up()
    }

    /// How often shedding was given up since the last call.
    pub(super) const fn take_given_up(&mut self) -> u64 {
        self.trial.take_given_up()
    }

    /// Forgets what failed, and what was shed because of it. What is shed because of a queue stays: it is drained now,
    /// and callers want as much as before.
    pub(super) fn begin_anew(&mut self, rule: &ShedRule, now: Time) {
        (self.failing, self.slowing, self.worst) = (Smooth::default(), Smooth::default(), 0);
        (self.waited, self.vain) = (Duration::ZERO, Vain::default());
        self.trial.end_of(Strain::Failures, now);
        if !self.trial.is_against_a_queue() {
            self.level = Share::NONE;
        }
        self.hold_within(rule);
    }

    /// Whether it has something to set against what is slow.
    pub(super) const fn vain(&self) -> Vain {
        self.vain
    }

    /// Moves the level into the bounds of `rule`.
    pub(super) fn hold_within(&mut self, rule: &ShedRule) {
        let limits = rule.limits();
        self.level = self.level.clamp(limits.share_min, limits.share_max);
    }

    /// Learns whether it has anything to set against what is slow. Before the step: also of what ended before a silence.
    pub(super) fn learn_vain(&mut self, rule: &ShedRule, ended: Ended) {
        self.vain.learn(rule, ended, self.level);
    }

    /// Takes one step.
    pub(super) fn step(&mut self, rule: &ShedRule, mode: Mode, seen: &Seen, now: Time) {
        self.learn(rule, seen);
        let level = i64::from(u16::from(self.level));
        let standing = self.standing(rule, seen, now);
        if let Standing::Missed(_) = standing {
            self.queue.is_needed();
        }
        let next = match (standing, mode) {
            (Standing::Missed(strain), Mode::Enforce) => {
                let wait = self.queue.wait(seen);
                let strength = self.strength(strain, seen);
                if self.trial.may_shed(strain, strength, wait, now) {
                    self.rise(rule, strain, seen)
                } else {
                    // Every request that is shed is lost for nothing.
                    0
                }
            }
            (Standing::Missed(_), Mode::Shadow) => {
                half_way(level, self.queue.share_to_relieve(0)).max(level)
            }
            (Standing::Met | Standing::MissedElsewhere, _) => {
                if standing == Standing::Met && self.is_met_for_long(rule) {
                    self.trial.met(now);
                    if self.level <= rule.limits().share_min {
                        self.queue.learn_usual(seen);
                    }
                }
                self.sink(rule, mode, seen)
            }
            // What is known of the fleet holds until it is old, even if it is no news, where it may say that too much is asked.
            (Standing::Unknown, _) if seen.is_fleet_known && fleet_max(rule).is_some() => level,
            (Standing::Unknown, _) => {
                let next = level - fall(DOWN, seen);
                next.min(self.queue.level_max(level, rule, seen))
            }
        };
        let next = u16::try_from(next.clamp(0, WHOLE)).unwrap_or(0);
        self.level = Share::try_from(next).unwrap_or(Share::WHOLE);
        self.hold_within(rule);
    }

    fn learn(&mut self, rule: &ShedRule, seen: &Seen) {
        let before = self.queue.harvest();
        self.queue.learn(seen, self.level);
        let reaped = Queue::reaped(seen, self.level);
        self.trial.reap(before, reaped, seen.elapsed);
        let share = |part: u64| part.saturating_mul(10_000).checked_div(seen.judged);
        if let (Some(failing), Some(slowing)) = (share(seen.failed), share(seen.slow)) {
            self.failing.learn(failing);
            self.slowing.learn(slowing);
        }
        let failing = self.failing.scaled() / Smooth::ONE;
        self.worst = if self.level <= rule.limits().share_min {
            failing
        } else {
            self.worst.max(failing)
        };
    }

    /// Whether what is slow or fails may be because of a queue. A queue makes all wait, those too that are still in time.
    /// Where they are as quick as ever, the others are bad for reasons of their own, as one host of several is.
    fn may_be_a_queue(&self, strain: Strain, rule: &ShedRule, seen: &Seen, now: Time) -> bool {
        // Where latency is not judged, failures are all that is known.
        let is_sure = rule.slow().is_none()
            || match strain {
                Strain::Slowness => surely_exceeds(seen.slow, seen.judged, Share::HALF),
                // Too few to be sure by, but the fleet is.
                Strain::Fleet => seen.judged < 2 * seen.slow,
                Strain::Failures | Strain::InFlight => false,
            };
        // That others wait is no reason to go on here.
        let is_tried = strain != Strain::Fleet && self.trial.is_about(strain, now);
        is_sure || is_tried || self.queue.holds_up_the_prompt(rule, seen)
    }

    /// Whether the objective is met not only now and then: at its edge, chance says met and missed by turns.
    fn is_met_for_long(&self, rule: &ShedRule) -> bool {
        let within = |bad: Smooth, max: Option<Share>| {
            max.is_none_or(|max| bad.scaled() <= u64::from(u16::from(max)) * Smooth::ONE)
        };
        within(self.slowing, rule.slow().map(|(max, _)| max))
            && within(self.failing, rule.limits().failed_max)
    }

    /// Judges by what this worker saw, by the fleet where it saw too little, and by neither when neither is enough.
    fn standing(&self, rule: &ShedRule, seen: &Seen, now: Time) -> Standing {
        let limits = rule.limits();
        if limits
            .in_flight_max
            .is_some_and(|max| u64::from(max) < seen.in_flight)
        {
            return Standing::Missed(Strain::InFlight);
        }
        if u64::from(Shedder::JUDGED_MIN) <= seen.judged {
            let slow = rule
                .slow()
                .map(|(max, _)| (seen.slow, max, Strain::Slowness));
            let failed = limits
                .failed_max
                .map(|max| (seen.failed, max, Strain::Failures));
            let mut missed = [slow, failed].into_iter().flatten();
            let missed = missed.find(|(bad, max, strain)| {
                surely_exceeds(*bad, seen.judged, *max)
                    && self.may_be_a_queue(*strain, rule, seen, now)
            });
            return missed.map_or(Standing::Met, |(_, _, strain)| Standing::Missed(strain));
        }
        match fleet_misses(rule, seen.fleet) {
            None => Standing::Unknown,
            Some(false) => Standing::Met,
            Some(true) if self.may_be_a_queue(Strain::Fleet, rule, seen, now) => {
                Standing::Missed(Strain::Fleet)
            }
            // More are under way than should wait, and none has ended that says why.
            Some(true) if seen.judged == 0 && 0 < self.queue.excess(rule, seen) => {
                Standing::Unknown
            }
            Some(true) => Standing::MissedElsewhere,
        }
    }

    /// How strong the strain is. Falls when shedding helps.
    fn strength(&self, strain: Strain, seen: &Seen) -> Strength {
        match strain {
            // Little's law over a whole window, which does not lag as the latencies of what ended do.
            Strain::Slowness => Strength {
                sum: self.queue.queued(seen).saturating_mul(micros(seen.elapsed)) / Smooth::ONE,
                count: seen.served,
                lately: self.queue.latency_us(),
            },
            Strain::Failures => Strength {
                sum: seen.failed.saturating_mul(10_000),
                count: seen.judged,
                lately: self.failing.scaled(),
            },
            Strain::InFlight => Strength::of(seen.in_flight),
            Strain::Fleet => Strength::of(seen.fleet.map_or(0, |fleet| {
                let bad = fleet.requests.saturating_sub(fleet.good);
                let share = bad.saturating_mul(10_000).checked_div(fleet.requests);
                share.unwrap_or(0)
            })),
        }
    }

    /// The next level when the objective is missed.
    fn rise(&self, rule: &ShedRule, strain: Strain, seen: &Seen) -> i64 {
        let level = i64::from(u16::from(self.level));
        let wanted = match strain {
            Strain::Slowness | Strain::InFlight => {
                let excess = self.queue.excess(rule, seen).max(0);
                self.queue.share_to_relieve(excess / DRAIN)
            }
            Strain::Failures => self.queue.share_to_relieve(0),
            // What others see says nothing about a queue here.
            Strain::Fleet => 0,
        };
        let next = half_way(level, wanted).max(level + UP);
        match strain {
            // No more can be saved than what fails.
            Strain::Failures => next.min(to_i64(self.worst).max(level.min(wanted))),
            Strain::Slowness | Strain::InFlight | Strain::Fleet => next,
        }
    }

    /// The next level when the objective is met.
    fn sink(&mut self, rule: &ShedRule, mode: Mode, seen: &Seen) -> i64 {
        let level = i64::from(u16::from(self.level));
        // In shadow mode what waits is not what would wait.
        if self.level <= rule.limits().share_min || mode == Mode::Shadow {
            return level - fall(DOWN, seen);
        }
        let excess = self.queue.excess(rule, seen);
        self.waited = match excess {
            ..=0 => Duration::ZERO,
            1.. => self.waited.saturating_add(seen.elapsed),
        };
        let (drain, down) = match excess {
            ..=0 => (excess, DOWN),
            1.. if self.waited <= HOLD => (excess, 0),
            1.. => (0, DOWN),
        };
        let wanted = self.queue.share_to_hold(drain / DRAIN);
        let towards = if level < wanted && 0 < drain {
            half_way(level, wanted)
        } else {
            level + (wanted - level) / SLOWLY
        };
        let next = towards - fall(down, seen);
        next.min(self.queue.level_max(level, rule, seen))
    }
}

/// How far the level falls in the time since the last step, at `per_period`.
fn fall(per_period: u64, seen: &Seen) -> i64 {
    to_i64(micros(seen.elapsed).saturating_mul(per_period) / PERIOD_US)
}
