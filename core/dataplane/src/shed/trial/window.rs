//! One window of a trial.

use core::time::Duration;

use sloop_model::Time;

use super::super::harvest::Harvest;
use super::{Strain, Strength, Trial};

/// What is summed up in it, and what that is compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) since: Time,
    pub(super) sum: u64,
    pub(super) count: u64,
    /// The average of the first window, fading.
    pub(super) first: Option<u64>,
    /// What came in before anything was shed, fading.
    pub(super) before: Harvest,
}

impl Window {
    /// The first one of a trial.
    pub(super) const fn new(strength: Strength, before: Harvest, now: Time) -> Self {
        Self {
            since: now,
            sum: strength.sum,
            count: strength.count,
            first: None,
            before,
        }
    }

    pub(super) const fn add(&mut self, strength: Strength) {
        self.sum = self.sum.saturating_add(strength.sum);
        self.count = self.count.saturating_add(strength.count);
    }

    pub(super) fn is_over(&self, strain: Strain, wait: Duration, now: Time) -> bool {
        let passed = now.since(self.since);
        let (length, has_enough) = match strain {
            Strain::Slowness => {
                let has_enough = Trial::SAMPLES_MIN <= self.count;
                (Trial::WINDOW_MIN + wait, has_enough)
            }
            // What fails at once waits for nothing.
            Strain::Failures => (Trial::WINDOW_MIN, Trial::SAMPLES_MIN <= self.count),
            // One sample a step, of all that are under way.
            Strain::InFlight => (Trial::WINDOW_MIN + wait, true),
            Strain::Fleet => (Trial::WINDOW_MAX, true),
        };
        let length = length.min(Trial::WINDOW_MAX);
        length <= passed && (has_enough || Trial::WINDOW_MAX <= passed)
    }

    /// Whether fewer were served in time in the window, which is over, than before anything was shed. Where none are,
    /// nobody loses by it.
    pub(super) fn is_harmful(&self, strain: Strain, harvest: Harvest, time: Duration) -> bool {
        let may_tell = match strain {
            Strain::Failures => true,
            // In the first window the queue of before is served.
            Strain::Slowness | Strain::InFlight | Strain::Fleet => self.first.is_some(),
        };
        may_tell && 0 < harvest.good && harvest.is_worse_than(self.before, time)
    }

    /// Whether shedding helps, at the end of the window; then the next one begins. Not yet known at the end of the first.
    pub(super) fn is_better_than_the_first(&mut self, strain: Strain, now: Time) -> bool {
        let mean = self.sum.checked_div(self.count).unwrap_or(0);
        let is_better = self.first.is_none_or(|first| match strain {
            Strain::Failures => mean <= first / 2,
            Strain::Slowness | Strain::InFlight | Strain::Fleet => mean <= first - first / 4,
        });
        *self = Self {
            since: now,
            sum: 0,
            count: 0,
            first: Some(self.first.map_or(mean, |first| first - first / 16)),
            before: self.before.faded(),
        };
        is_better
    }
}
