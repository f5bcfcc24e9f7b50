//! Which requests the bad ones overtook.
//!
//! What fails is often over within a millisecond, what is served takes as long as it takes. So of
//! requests that came together the bad ones are known first: at the beginning, after a pause
//! and in bursts, ten failures may be all that came back of a hundred requests. Judged by what ended
//! they would be everything. So what came before a bad request and is still under way counts as not bad, until it
//! ends or has been under way for too long to end well.
//!
//! | what ends badly | what is under way meanwhile | counts as not bad |
//! |---|---|---|
//! | a part of a burst, at once | the others of the burst | all of them, until they end |
//! | the same, in another worker | the others, here and there | all of them, here and there |
//! | everything, at once | hardly anything | hardly anything: it opens as soon as it is sure |
//! | everything, after a time-out | what came later | nothing: what takes longest overtakes nobody |
//! | a part at once, the rest hangs | those that hang | those that may yet end as usual: until four times as long as the longest that was served lately, at most two windows |
//! | one of the oldest of a burst, after others of it | the others of the burst | all of them: the [`LAST_BAD`] last bad ones decide together |
//! | anything | streams, tickets that were lost | nothing after two windows; where a change is sudden, and what is served is not known to take less than that, sessions that last speak for the service ([`super::sudden`]) |
//!
//! When they passed is known by eighths of a window. Of requests of other workers less is known ([`UnderWay`]).

use core::time::Duration;

use sloop_model::{BreakerRule, BreakerWindow, Time, whole_nanos};

use super::board::UnderWay;
use super::usual::Usual;

/// Requests that were let pass and did not end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// The length of a bucket, in nanoseconds; nothing where limits are compared plainly or by the last so many requests.
    length: Option<u64>,
    /// Fewer that were served say nothing about how long that takes.
    served_min: u32,
    /// When the newest bucket began, and when the next one begins.
    began: Time,
    until: Time,
    /// The name of the newest bucket; those before have the numbers before it.
    newest: u32,
    /// All that passed; only differences mean anything.
    passed: u32,
    /// By bucket, at its name modulo their number.
    under_way: [u32; BUCKETS as usize],
    usual: Usual,
    /// The last bad ones, in any order.
    bad: [Option<Passed>; LAST_BAD],
}

/// When a request passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    bucket: u32,
    number: u32,
}

impl Passed {
    /// Whether as many as `number` had passed before.
    #[inline]
    pub(super) const fn is_after(self, number: u32) -> bool {
        0 < self.number.wrapping_sub(number).cast_signed()
    }
}

/// Two windows, in eighths: what takes longer is judged by what ended.
const BUCKETS: u32 = 16;
/// Buckets of a window.
const WINDOW: u32 = 8;
/// One old request may fail for reasons of its own. That four in a row passed before all that is under way is no accident.
const LAST_BAD: usize = 4;
/// What takes so many times as long as the longest lately does not end as usual. A burst that queues takes a few times
/// as long; a time-out, far longer.
const PATIENCE: u64 = 4;

impl Pending {
    /// Nothing is under way.
    pub(super) fn new(rule: &BreakerRule) -> Self {
        let length = match rule.window() {
            BreakerWindow::Time { length, .. } if rule.limits().sigmas_hundredths != 0 => {
                Some(whole_nanos(length) / u64::from(WINDOW))
            }
            BreakerWindow::Time { .. } | BreakerWindow::Calls(_) => None,
        };
        Self {
            length: length.filter(|length| *length != 0),
            served_min: rule.calls_min(),
            began: Time::from_nanos(0),
            until: Time::from_nanos(0),
            newest: 0,
            passed: 0,
            under_way: [0; BUCKETS as usize],
            usual: Usual::new(0),
            bad: [None; LAST_BAD],
        }
    }

    /// A request passes at `now`.
    #[inline]
    pub(super) fn pass(&mut self, now: Time) -> Passed {
        if self.until <= now {
            self.age(now);
        }
        self.passed = self.passed.wrapping_add(1);
        let bucket = self.newest;
        if let Some(under_way) = self.under_way.get_mut(place(bucket)) {
            *under_way = under_way.saturating_add(1);
        }
        Passed {
            bucket,
            number: self.passed,
        }
    }

    /// A request that passed is over.
    #[inline]
    pub(super) fn end(&mut self, passed: Passed) {
        if self.is_known(passed)
            && let Some(under_way) = self.under_way.get_mut(place(passed.bucket))
        {
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// A request was served, and took so long.
    #[inline]
    pub(super) fn serve(&mut self, latency: Duration) {
        self.usual.serve(latency);
    }

    /// A request that passed was bad.
    #[inline(never)]
    pub(super) const fn fail(&mut self, passed: Passed) {
        let [last, before, earlier, _] = self.bad;
        self.bad = [Some(passed), last, before, earlier];
    }

    /// Goes on with another rule; what is under way is forgotten.
    pub(super) fn adopt(&mut self, rule: &BreakerRule) {
        self.forget();
        *self = Self {
            newest: self.newest,
            began: self.began,
            passed: self.passed,
            usual: self.usual,
            ..Self::new(rule)
        };
    }

    /// What passed until now does not count, however it ends.
    #[inline(never)]
    pub(super) const fn forget(&mut self) {
        self.under_way = [0; BUCKETS as usize];
        self.bad = [None; LAST_BAD];
        self.newest = self.newest.wrapping_add(BUCKETS);
    }

    /// How many the last bad ones overtook at `now`: at least so many here, and about so many of those `elsewhere`.
    pub(super) fn overtaken(&self, elsewhere: UnderWay, now: Time) -> (u32, u32) {
        let Some((later, bad)) = self.last_bad().filter(|(_, bad)| self.is_known(*bad)) else {
            return (0, 0);
        };
        let back = self.newest.wrapping_sub(bad.bucket);
        let age = back.saturating_add(self.lapsed(now));
        let elsewhere = elsewhere.for_as_long_as(age);
        if self.awaited() <= age {
            return (0, elsewhere);
        }
        let before = self.from(age.saturating_add(1), now);
        let since = self.from(0, now).saturating_sub(before);
        let beside = self.at(back).min(since.saturating_sub(later));
        (before.saturating_add(beside), elsewhere)
    }

    /// How many passed in all; only differences mean anything.
    pub(super) const fn passed(&self) -> u32 {
        self.passed
    }

    /// How many passed since `from` had, until the last bad ones did. None where what is served is known to take less than two
    /// windows: what lasts for longer then is no session.
    pub(super) fn passed_since(&self, from: u32) -> u32 {
        if !self.may_be_sessions() {
            return 0;
        }
        let later = self.last_bad().map_or(0, |(later, _)| later);
        self.passed.wrapping_sub(from).saturating_sub(later)
    }

    /// Of the last bad ones the one that passed last, and how many passed after it.
    #[inline(never)]
    fn last_bad(&self) -> Option<(u32, Passed)> {
        let later = |bad: &Passed| (self.passed.wrapping_sub(bad.number), *bad);
        self.bad
            .iter()
            .flatten()
            .map(later)
            .min_by_key(|(later, _)| *later)
    }

    /// What is under way at `now` and may end well; none where that does not matter.
    pub(super) fn under_way(&self, now: Time) -> Option<UnderWay> {
        self.length?;
        Some(UnderWay(UnderWay::FROM.map(|age| self.from(age, now))))
    }

    /// Those that may end well, of the bucket of `earlier` and of later ones.
    pub(super) fn since(&self, earlier: Time, now: Time) -> u32 {
        let length = self.length.unwrap_or(u64::MAX);
        let buckets = (now.as_nanos() / length).saturating_sub(earlier.as_nanos() / length);
        let older = u32::try_from(buckets).unwrap_or(u32::MAX).saturating_add(1);
        self.from(0, now).saturating_sub(self.from(older, now))
    }

    /// Those that may end well, of buckets of at least this age.
    #[inline(never)]
    fn from(&self, age: u32, now: Time) -> u32 {
        let lapsed = self.lapsed(now);
        let ages = age.max(lapsed)..self.awaited();
        ages.fold(0, |sum: u32, age| sum.saturating_add(self.at(age - lapsed)))
    }

    /// Whether what is under way may last: it is not known that what is served takes less than two windows.
    pub(super) fn may_be_sessions(&self) -> bool {
        BUCKETS <= self.awaited()
    }

    /// So many buckets, with that of now, are waited for.
    #[inline(never)]
    fn awaited(&self) -> u32 {
        let Some((longest, length)) = self.usual.longest().zip(self.length) else {
            return BUCKETS;
        };
        let buckets = whole_nanos(longest).saturating_mul(PATIENCE) / length + 2;
        u32::try_from(buckets).map_or(BUCKETS, |buckets| buckets.min(BUCKETS))
    }

    /// How many buckets ago the newest one was, at `now`.
    fn lapsed(&self, now: Time) -> u32 {
        let length = self.length.unwrap_or(u64::MAX);
        let lapsed = now.as_nanos().saturating_sub(self.began.as_nanos()) / length;
        u32::try_from(lapsed).unwrap_or(u32::MAX)
    }

    const fn is_known(&self, passed: Passed) -> bool {
        self.newest.wrapping_sub(passed.bucket) < BUCKETS
    }

    /// Under way in the bucket that is so many behind the newest.
    fn at(&self, back: u32) -> u32 {
        let bucket = place(self.newest.wrapping_sub(back));
        let under_way = self.under_way.get(bucket).filter(|_| back < BUCKETS);
        under_way.copied().unwrap_or(0)
    }

    #[cold]
    fn age(&mut self, now: Time) {
        let Some(length) = self.length else {
            self.until = Time::from_nanos(u64::MAX);
            return;
        };
        let lapsed = self.lapsed(now).min(BUCKETS);
        for _ in 0..lapsed {
            self.newest = self.newest.wrapping_add(1);
            if let Some(under_way) = self.under_way.get_mut(place(self.newest)) {
                *under_way = 0;
            }
        }
        let bucket = now.as_nanos() / length;
        let window = u64::from(WINDOW);
        if BUCKETS <= lapsed {
            self.usual = Usual::new(self.passed);
        } else if self.began.as_nanos() / length / window != bucket / window {
            self.usual.turn(self.served_min, self.passed);
        }
        let began = bucket.saturating_mul(length);
        self.began = Time::from_nanos(began);
        self.until = Time::from_nanos(began.saturating_add(length));
    }
}

const fn place(bucket: u32) -> usize {
    (bucket % BUCKETS) as usize
}

impl UnderWay {
    /// The least ages, in buckets, that are told apart.
    const FROM: [u32; 3] = [0, 2, WINDOW];

    /// Those that have been under way for at least about so many buckets.
    const fn for_as_long_as(self, age: u32) -> u32 {
        let Self([all, longer, longest]) = self;
        match age {
            WINDOW.. => longest,
            2.. => longer,
            0..2 => all,
        }
    }
}

#[cfg(test)]
mod tests;
