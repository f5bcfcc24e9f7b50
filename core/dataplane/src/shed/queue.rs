//! The service as a queue: what it serves, what waits, and what is usual.

use core::time::Duration;

use sloop_model::{Share, ShedRule};

use super::harvest::{Harvest, Reaped};
use super::seen::Seen;
use super::smooth::Smooth;

/// The wait to aim at, as a part of the way from what is usual to what is slow: a third, because the wait for a
/// queue of a few dozen requests varies by as much again.
const AIM: u64 = 3;
/// Steps that what is usual is learnt over: six seconds.
const MEMORY: u64 = 64;
/// And when it seems to become more, once it is known: two minutes. A queue that grows with the load looks like
/// a service that becomes slower, and whoever takes it for usual leaves it to the others to shed.
const MEMORY_UP: u64 = 1_200;
/// Steps until it is known: half a minute.
const LEARNT: u32 = 300;
/// Longer than callers wait.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// [`Shedder::PERIOD`](super::Shedder::PERIOD) in microseconds.
pub(super) const PERIOD_US: u64 = 100_000;

/// One request, which waits for nobody, in 256ths. With little traffic, less than that would be the aim.
const ALONE: i64 = 256;

/// While there is little queue, what is admitted grows by this part of itself per period: a quarter where more than half
/// is shed, half as much where less is.
const REFILL: i64 = 4;
/// A step makes up for the periods since the last one, when little came: for two of them when the two before found next to
/// nothing under way as well, as one may by chance, and for twice as many after each more, up to so many.
const MAKES_UP_MAX: u64 = 8;
const WHOLE: i64 = 10_000;

/// What is known of the service.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    /// Requests that came, as if none were repeated because it was shed; per period.
    wanted: Smooth,
    /// Per period, in time.
    good: Smooth,
    /// Per period, however late.
    served: Smooth,
    /// Per period, served or failed.
    judged: Smooth,
    /// Of what was judged and has a latency: how many per period, and how long they took.
    timed: Smooth,
    latency_us: Smooth,
    /// Under way, but not in any queue: streams, and what nobody tells the end of. In 256ths.
    lasting: u64,
    /// The latency while no more than must be is shed and all is well, in 256ths of a microsecond.
    usual_us: u64,
    /// Steps in which that was learnt.
    learnt: u32,
    /// Periods that the next step makes up for, at most.
    makes_up: u64,
}

impl Queue {
    pub(super) fn learn(&mut self, seen: &Seen, level: Share) {
        let micros = micros(seen.elapsed).max(1);
        // A service that is asked seldom serves less than one per period.
        let per_period = |count: u64| count.saturating_mul(PERIOD_US * Smooth::ONE) / micros;
        let wanted = Self::wanted(seen, level);
        self.wanted.learn_scaled(per_period(wanted));
        self.good.learn_scaled(per_period(seen.good));
        self.served.learn_scaled(per_period(seen.served));
        self.judged.learn_scaled(per_period(seen.judged));
        self.timed.learn_scaled(per_period(seen.timed));
        if let Some(latency) = seen.latency_us.checked_div(seen.timed) {
            self.latency_us.learn(latency);
        }
    }

    /// Requests that would have come at `level` if nobody repeated what was shed: callers that do make what comes
    /// grow with the level, and then a share of it says nothing. What passed is a known share of what is wanted.
    #[inline(never)]
    fn wanted(seen: &Seen, level: Share) -> u64 {
        let passing = u64::from(u16::from(level.rest()));
        let whole = u64::from(u16::from(Share::WHOLE));
        let wanted = seen.passed.saturating_mul(whole).checked_div(passing);
        wanted.map_or(seen.offered, |wanted| wanted.min(seen.offered))
    }

    /// What came in since the last step, at `level`.
    pub(super) fn reaped(seen: &Seen, level: Share) -> Reaped {
        Reaped {
            good: seen.good,
            wanted: Self::wanted(seen, level),
            judged: seen.judged,
        }
    }

    /// What came in lately.
    pub(super) fn harvest(&self) -> Harvest {
        Harvest {
            good: self.good.scaled(),
            wanted: self.wanted.scaled(),
        }
    }

    /// Learns, while no more than must be is shed and all is well, what is usual: the latency, and how many are under way
    /// beyond those that Little's law explains.
    pub(super) fn learn_usual(&mut self, seen: &Seen) {
        let per_period = self
            .timed
            .scaled()
            .saturating_mul(self.latency_us.scaled() / Smooth::ONE);
        let explained = per_period / (PERIOD_US * Smooth::ONE);
        let lasting = seen.in_flight.saturating_sub(explained) * Smooth::ONE;
        // Over six seconds: what was sent a moment ago is no stream yet.
        self.lasting = self.lasting - self.lasting / 64 + lasting / 64;
        let latency = self.latency_us.scaled();
        let memory = if LEARNT < self.learnt && self.usual_us < latency {
            MEMORY_UP
        } else {
            MEMORY
        };
        self.learnt = self.learnt.saturating_add(1);
        self.usual_us = self.usual_us - self.usual_us / memory + latency / memory;
    }

    /// The latency on average lately, in 256ths of a microsecond.
    pub(super) fn latency_us(&self) -> u64 {
        self.latency_us.scaled()
    }

    /// Requests under way that may be in a queue, in 256ths.
    pub(super) fn queued(&self, seen: &Seen) -> u64 {
        let under_way = seen.in_flight.saturating_mul(Smooth::ONE);
        under_way.saturating_sub(self.lasting)
    }

    /// Whether those that are served in time wait beyond the aim, too.
    pub(super) fn holds_up_the_prompt(&self, rule: &ShedRule, seen: &Seen) -> bool {
        let mean = seen.good_us.checked_div(seen.prompt);
        mean.zip(self.aim_us(rule))
            .is_some_and(|(mean, aim)| aim < mean)
    }

    /// The wait to aim at, in microseconds.
    fn aim_us(&self, rule: &ShedRule) -> Option<u64> {
        let (_, slow) = rule.slow()?;
        let (slow, usual) = (micros(slow), self.usual_us / Smooth::ONE);
        Some(usual + slow.saturating_sub(usual) / AIM)
    }

    /// The most that may be shed after `level`: less when next to nothing is under way, so that there is nothing to be
    /// careful of until most of the room is used.
    pub(super) fn level_max(&mut self, level: i64, rule: &ShedRule, seen: &Seen) -> i64 {
        let (parts, refill) = if WHOLE / 2 < level {
            (2, REFILL)
        } else {
            (8, REFILL * 2)
        };
        if !self.is_below(parts, rule, seen) {
            self.makes_up = 0;
            return WHOLE;
        }
        let periods = micros(seen.elapsed) / PERIOD_US;
        let periods = periods.min(self.makes_up).max(1);
        self.makes_up = (self.makes_up * 2).clamp(1, MAKES_UP_MAX);
        (0..periods).fold(level, |level, _| level - (WHOLE - level) / refill)
    }

    /// The objective is missed, so there is no room.
    pub(super) const fn is_needed(&mut self) {
        self.makes_up = 0;
    }

    /// Whether fewer are under way than one of `parts` parts of the aim, or one at most: it waits for nobody.
    fn is_below(&self, parts: i64, rule: &ShedRule, seen: &Seen) -> bool {
        let queued = to_i64(self.queued(seen));
        let is_below = |aim| queued <= ALONE || queued.saturating_mul(parts) < aim;
        self.aim(rule).is_some_and(is_below)
    }

    /// Requests under way beyond the aim, in 256ths; negative when there is room.
    pub(super) fn excess(&self, rule: &ShedRule, seen: &Seen) -> i64 {
        let aim = self.aim(rule);
        aim.map_or(0, |aim| to_i64(self.queued(seen)).saturating_sub(aim))
    }

    /// Requests that should be under way at most, in 256ths; none when nothing is said about them.
    fn aim(&self, rule: &ShedRule) -> Option<i64> {
        let by_wait = self.aim_us(rule).map(|aim| {
            let served = to_i64(self.served.scaled());
            let aim = served.saturating_mul(to_i64(aim)) / to_i64(PERIOD_US);
            aim.max(ALONE)
        });
        let by_count = rule
            .limits()
            .in_flight_max
            .map(|max| i64::from(max / 2) * to_i64(Smooth::ONE));
        by_wait.into_iter().chain(by_count).min()
    }

    /// How long a request that arrives waits until it is served, by Little's law; at most [`WAIT_MAX`].
    pub(super) fn wait(&self, seen: &Seen) -> Duration {
        let queued = self.queued(seen);
        if queued == 0 {
            return Duration::ZERO;
        }
        queued
            .saturating_mul(PERIOD_US)
            .checked_div(self.served.scaled())
            .map_or(WAIT_MAX, Duration::from_micros)
            .min(WAIT_MAX)
    }

    /// The share to shed so that what is admitted is what is served, less `drain` in 256ths of a request per period.
    pub(super) fn share_to_relieve(&self, drain: i64) -> i64 {
        share_to_shed(self.wanted, self.served, drain)
    }

    /// The share to shed so that what is admitted is what ends, well or not, less `drain` in 256ths of a request per period.
    pub(super) fn share_to_hold(&self, drain: i64) -> i64 {
        share_to_shed(self.wanted, self.judged, drain)
    }
}

#[inline(never)]
fn share_to_shed(wanted: Smooth, done: Smooth, drain: i64) -> i64 {
    let whole = i64::from(u16::from(Share::WHOLE));
    let wanted = to_i64(wanted.scaled());
    let admit = to_i64(done.scaled()).saturating_sub(drain);
    wanted
        .saturating_sub(admit)
        .saturating_mul(whole)
        .checked_div(wanted)
        .unwrap_or(0)
        .clamp(0, whole)
}

/// In microseconds.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Held at the end of the range.
pub(super) fn to_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is usual after `steps` with so many milliseconds.
    fn usual_ms(queue: &mut Queue, steps: u32, millis: u64) -> u64 {
        for _ in 0..steps {
            let seen = Seen {
                offered: 100,
                passed: 100,
                judged: 100,
                served: 100,
                good: 100,
                timed: 100,
                latency_us: 100 * millis * 1_000,
                elapsed: Duration::from_micros(PERIOD_US),
                ..Seen::default()
            };
            queue.learn(&seen, Share::NONE);
            queue.learn_usual(&seen);
        }
        queue.usual_us / Smooth::ONE / 1_000
    }

    #[test]
    fn what_is_served_seldom_is_no_whole_number_per_period() {
        let mut queue = Queue::default();
        let seen = Seen {
            served: 15,
            in_flight: 3,
            elapsed: Duration::from_secs(1),
            ..Seen::default()
        };
        queue.learn(&seen, Share::NONE);
        assert_eq!(queue.served.scaled(), 384, "one and a half");
        assert_eq!(queue.wait(&seen), Duration::from_millis(200));
        let nine = Seen { served: 9, ..seen };
        let mut queue = Queue::default();
        queue.learn(&nine, Share::NONE);
        assert!(queue.wait(&nine) < Duration::from_millis(340));
    }

    #[test]
    fn a_queue_that_grows_with_the_load_is_not_what_is_usual() {
        let mut queue = Queue::default();
        assert!((9..=10).contains(&usual_ms(&mut queue, LEARNT + 1, 10)));
        assert!(usual_ms(&mut queue, 100, 90) < 20);
        assert!(30 < usual_ms(&mut queue, 600, 90), "but it may become so");
        assert!(
            usual_ms(&mut queue, 200, 10) < 13,
            "what is quick is learnt soon"
        );
    }
}
