//! Which requests a bad one overtook.
//!
//! What fails is often over within a millisecond, what is served takes as long as it takes. So of
//! requests that came together the bad ones are known first: at the beginning, after a pause
//! and in bursts, ten failures may be all that came back of a hundred requests. Judged by what ended
//! they would be everything. So what came before a bad request and is still under way counts as not bad, until it ends.
//! Where bad ones take longest, as time-outs do, they overtake nobody, and nothing is waited for.
//!
//! Only what came within the last one or two windows counts: a stream that goes on for hours says nothing, and no
//! more does a ticket that was lost. What takes longer is judged by what ended.
//!
//! The price: where a part fails at once and the rest hangs, those that hang count as not bad until the first of them
//! ends badly, or the fleet's order comes. How many there are in other workers is taken from those of this one.

use sloop_model::{BreakerRule, BreakerWindow, Time};

/// Requests that were let pass and did not end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// Of a generation, in nanoseconds; nothing where limits are compared plainly or by the last so many requests.
    length: Option<u64>,
    /// When the next generation begins.
    until: Time,
    generation: u32,
    /// All that passed; only differences mean anything.
    passed: u32,
    /// Of this generation, and of the one before.
    under_way: [u32; 2],
}

/// When a request passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    generation: u32,
    number: u32,
}

impl Pending {
    /// Nothing is under way.
    pub(super) fn new(rule: &BreakerRule) -> Self {
        let length = match rule.window() {
            BreakerWindow::Time { length, .. } if rule.limits().sigmas_hundredths != 0 => {
                u64::try_from(length.as_nanos()).ok()
            }
            BreakerWindow::Time { .. } | BreakerWindow::Calls(_) => None,
        };
        Self {
            length,
            until: Time::from_nanos(0),
            generation: 0,
            passed: 0,
            under_way: [0; 2],
        }
    }

    /// A request passes at `now`.
    #[inline]
    pub(super) fn pass(&mut self, now: Time) -> Passed {
        if self.until <= now {
            self.age(now);
        }
        self.passed = self.passed.wrapping_add(1);
        let [this, _] = &mut self.under_way;
        *this = this.saturating_add(1);
        Passed {
            generation: self.generation,
            number: self.passed,
        }
    }

    /// A request that passed is over.
    #[inline]
    pub(super) const fn end(&mut self, passed: Passed) {
        let [this, before] = &mut self.under_way;
        match self.generation.wrapping_sub(passed.generation) {
            0 => *this = this.saturating_sub(1),
            1 => *before = before.saturating_sub(1),
            _ => {}
        }
    }

    /// Goes on with another rule; what is under way is forgotten.
    pub(super) fn adopt(&mut self, rule: &BreakerRule) {
        self.forget();
        let Self { generation, .. } = *self;
        *self = Self {
            generation,
            ..Self::new(rule)
        };
    }

    /// What passed until now does not count, however it ends.
    pub(super) const fn forget(&mut self) {
        self.under_way = [0; 2];
        self.generation = self.generation.wrapping_add(2);
    }

    /// At least so many that came before a request, which is over, are under way.
    pub(super) fn overtaken(&self, passed: Passed) -> u32 {
        if self.length.is_none() {
            return 0;
        }
        let later = self.passed.wrapping_sub(passed.number);
        self.all().saturating_sub(later)
    }

    /// So many at most were overtaken by a request of which nothing is known but that it is over.
    pub(super) const fn may_be_overtaken(&self) -> u32 {
        match self.length {
            Some(_) => self.all(),
            None => 0,
        }
    }

    /// How many are under way.
    pub(super) const fn all(&self) -> u32 {
        let [this, before] = self.under_way;
        this.saturating_add(before)
    }

    #[cold]
    fn age(&mut self, now: Time) {
        let length = self.length.unwrap_or(u64::MAX);
        let [this, _] = self.under_way;
        let is_next = now.as_nanos() < self.until.as_nanos().saturating_add(length);
        self.under_way = [0, if is_next { this } else { 0 }];
        self.generation = self.generation.wrapping_add(if is_next { 1 } else { 2 });
        self.until = Time::from_nanos(now.as_nanos().saturating_add(length));
    }
}

#[cfg(test)]
mod tests {
    use sloop_model::BreakerLimits;

    use super::super::tests::LIMITS;
    use super::*;

    fn pending(limits: BreakerLimits) -> Pending {
        Pending::new(&BreakerRule::try_from(limits).unwrap())
    }

    fn sure() -> Pending {
        pending(BreakerLimits {
            sigmas_hundredths: 300,
            window_ms: Some(1_000),
            ..LIMITS()
        })
    }

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn what_came_before_and_is_under_way_was_overtaken() {
        let mut pending = sure();
        let first = pending.pass(at(1));
        let _second = pending.pass(at(2));
        let third = pending.pass(at(3));
        let _fourth = pending.pass(at(4));
        pending.end(third);
        assert_eq!(pending.overtaken(third), 2, "the fourth came later");
        pending.end(first);
        assert_eq!(pending.overtaken(first), 0, "the oldest overtakes nobody");
    }

    #[test]
    fn who_passed_under_another_rule_takes_nothing_away() {
        let mut pending = sure();
        let old = pending.pass(at(1));
        pending.adopt(&BreakerRule::try_from(LIMITS()).unwrap());
        pending.pass(at(2));
        pending.end(old);
        assert_eq!(pending.all(), 1);
        assert_eq!(pending.may_be_overtaken(), 0, "limits are compared plainly");
    }

    #[test]
    fn streams_and_lost_tickets_are_left_out_after_two_windows() {
        let mut pending = sure();
        let streams: Vec<Passed> = (0..100).map(|_| pending.pass(at(10))).collect();
        let quick = pending.pass(at(1_500));
        pending.end(quick);
        assert_eq!(pending.overtaken(quick), 100);
        let quick = pending.pass(at(2_600));
        pending.end(quick);
        assert_eq!(pending.overtaken(quick), 0);
        for stream in streams {
            pending.end(stream);
        }
        assert_eq!(pending.all(), 0);
    }

    #[test]
    fn time_may_go_back_and_a_ticket_may_come_twice() {
        let mut pending = sure();
        let late = pending.pass(at(9_000));
        let early = pending.pass(at(1));
        for _ in 0..2 {
            pending.end(early);
            pending.end(late);
        }
        assert_eq!(pending.all(), 0);
        pending.pass(Time::from_nanos(u64::MAX));
        assert_eq!(pending.all(), 1);
    }

    #[test]
    fn where_nothing_is_to_be_sure_only_what_ended_counts() {
        let plain = BreakerLimits {
            sigmas_hundredths: 0,
            ..LIMITS()
        };
        let calls = BreakerLimits {
            sigmas_hundredths: 300,
            window_ms: None,
            window_buckets: None,
            window_calls: Some(10),
            ..LIMITS()
        };
        for limits in [plain, calls] {
            let mut pending = pending(limits);
            pending.pass(at(1));
            let quick = pending.pass(at(2));
            pending.end(quick);
            assert_eq!(pending.overtaken(quick), 0);
        }
    }
}
