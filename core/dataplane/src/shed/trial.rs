//! Whether shedding helps.
//!
//! A service that is slow or fails for its own reasons does not get better by
//! being asked less: every request that is shed is then lost for nothing. That
//! cannot be known before it is tried, because a full queue and a slow
//! dependency look the same from outside. So shedding is a trial:
//!
//! - *trying*: while the objective is missed, the strain must be at most three
//!   quarters (failures: half) of what it was in the first window, or the
//!   objective be met, or with slowness most of what passes be served in time. Else: given up. Windows are as long as shedding needs to
//!   show: 750 ms and once the wait. What the first one said fades by a
//!   sixteenth per window, so that no old outage excuses shedding for ever.
//!   A miss within a minute of the end of a trial continues it. And from the
//!   second window on (with failures, for which there is no queue to be drained
//!   first, from the first), no fewer requests may be served in time than were
//!   before anything was shed ([`Harvest::is_worse_than`]). Else: given up. What was before is what was lately, or
//!   at last if that is less: while a queue is being filled all are still served in time, which
//!   is not what would have come of doing nothing.
//! - *given up*: nothing is shed for a pause, twice as long after each trial
//!   in vain. It ends early when the strain is twice what it was, or another
//!   one: then something else has begun; and when fewer requests are served in
//!   time than while it was tried: then it did help.
//!
//! Worst case: of the good requests of a service that shedding cannot help, at
//! most `share_max` are lost for two windows in each pause: of 10 s at first, of
//! [`Trial::PAUSE_MAX`] in the end, where it is about one hundredth of the time.
//! The other way round, a real overload of a service that was given up a moment
//! ago waits for the strain to double.

use core::time::Duration;

use sloop_model::Time;

use super::harvest::{Harvest, Reaped, Reaping};

/// In what way the objective is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strain {
    /// Too many are slow.
    Slowness,
    /// Too many fail.
    Failures,
    /// Too many are under way.
    InFlight,
    /// The fleet says so.
    Fleet,
}

/// How strong a strain is, in a unit of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strength {
    /// Summed up over what was seen since the last step.
    pub(super) sum: u64,
    /// How many were summed up.
    pub(super) count: u64,
    /// On average lately.
    pub(super) lately: u64,
}

impl Strength {
    /// That of one sample.
    pub(super) const fn of(sample: u64) -> Self {
        Self {
            sum: sample,
            count: 1,
            lately: sample,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Trial {
    state: State,
    /// How long the next pause is.
    pause: Duration,
    given_up: u64,
    /// What came in lately, and comes in during the present window.
    lately: Harvest,
    reaping: Reaping,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing was missed since `since`, after a trial of `strain` that began with `first`.
    Content { since: Time, tried: Option<Tried> },
    /// It is being tried.
    Trying { strain: Strain, window: Window },
    /// It was tried in vain, with a strain that was `lately` as strong.
    GivenUp {
        strain: Strain,
        lately: u64,
        until: Time,
        /// What came in while it was tried.
        harvest: Harvest,
        /// Since when what comes in without is compared with that.
        since: Time,
    },
}

/// A trial that was not in vain.
#[derive(Clone, Copy, Debug)]
struct Tried {
    strain: Strain,
    first: u64,
    before: Harvest,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Time,
    sum: u64,
    count: u64,
    /// The average of the first window, fading.
    first: Option<u64>,
    /// What came in before anything was shed, fading.
    before: Harvest,
}

impl Trial {
    /// The first pause: seven times a trial with a service that answers at once.
    pub(super) const PAUSE_MIN: Duration = Duration::from_secs(10);
    /// The longest pause.
    pub(super) const PAUSE_MAX: Duration = Duration::from_secs(320);
    /// Longer than the level needs to come near what the model wants, and a queue to begin to shrink.
    const WINDOW_MIN: Duration = Duration::from_millis(750);
    /// Readings of the fleet cover ten seconds.
    const WINDOW_MAX: Duration = Duration::from_secs(10);
    /// An objective that is missed again this soon is missed because less was shed: the same trial goes on.
    /// A minute, which is about the longest that a level takes to fall.
    const MEMORY: Duration = Duration::from_secs(60);
    /// Fewest samples of a window: with 50, chance alone hardly makes a quarter.
    const SAMPLES_MIN: u64 = 50;

    pub(super) fn new(now: Time) -> Self {
        Self {
            state: State::Content {
                since: now,
                tried: None,
            },
            pause: Self::PAUSE_MIN,
            given_up: 0,
            lately: Harvest::default(),
            reaping: Reaping::default(),
        }
    }

    /// Learns what came in since the last step; `lately` is what it was before.
    pub(super) fn reap(&mut self, lately: Harvest, reaped: Reaped, elapsed: Duration) {
        let mut last = Reaping::default();
        last.add(reaped, elapsed);
        let (last, _) = last.finish();
        self.lately = Harvest {
            good: lately.good.min(last.good),
            ..lately
        };
        self.reaping.add(reaped, elapsed);
    }

    /// Whether it is being tried because of `strain`, or was not in vain a moment ago.
    pub(super) fn is_about(&self, strain: Strain, now: Time) -> bool {
        match &self.state {
            State::Trying { strain: tried, .. } => *tried == strain,
            State::Content { .. } => self.state.remembers(strain, now).is_some(),
            State::GivenUp { .. } => false,
        }
    }

    /// Whether it was tried in vain, and the pause is not over.
    pub(super) const fn has_given_up(&self) -> bool {
        matches!(self.state, State::GivenUp { .. })
    }

    /// Whether it is being tried because of slowness, or was not in vain a moment ago.
    pub(super) const fn is_against_a_queue(&self) -> bool {
        match &self.state {
            State::Trying { strain, .. } => matches!(strain, Strain::Slowness),
            State::Content { tried, .. } => matches!(
                tried,
                Some(Tried {
                    strain: Strain::Slowness,
                    ..
                })
            ),
            State::GivenUp { .. } => false,
        }
    }

    /// The objective is met: whatever is shed is not in vain.
    pub(super) fn met(&mut self, now: Time) {
        match self.state {
            State::Content { since, .. } => {
                // As good for as long as the pause would be: a trial may begin afresh.
                if self.pause <= now.since(since) {
                    self.pause = Self::PAUSE_MIN;
                }
            }
            State::Trying { strain, window } => {
                self.state = State::Content {
                    since: now,
                    tried: window.first.map(|first| Tried {
                        strain,
                        first,
                        before: window.before,
                    }),
                };
            }
            State::GivenUp { until, .. } => {
                if until <= now {
                    self.state = State::Content {
                        since: now,
                        tried: None,
                    };
                }
            }
        }
    }

    /// What `strain` was about is over, for reasons that have nothing to do with the trial.
    pub(super) fn end_of(&mut self, strain: Strain, now: Time) {
        let tried = match &self.state {
            State::Trying { strain, .. } => Some(*strain),
            State::Content { tried, .. } => tried.map(|tried| tried.strain),
            State::GivenUp { .. } => None,
        };
        if tried == Some(strain) {
            self.state = State::Content {
                since: now,
                tried: None,
            };
        }
    }

    /// The objective is missed, while requests wait for `wait`: may it be tried to shed?
    pub(super) fn may_shed(
        &mut self,
        strain: Strain,
        strength: Strength,
        wait: Duration,
        now: Time,
    ) -> bool {
        match &mut self.state {
            State::Trying {
                strain: tried,
                window,
            } if *tried == strain => {
                window.add(strength);
                if !window.is_over(strain, wait, now) {
                    return true;
                }
                let reaping = core::mem::take(&mut self.reaping);
                let (harvest, time) = reaping.finish();
                let is_harmful = window.is_harmful(strain, harvest, time);
                // At the edge of a queue there is little to be better than.
                let is_at_the_edge = strain == Strain::Slowness && reaping.is_mostly_good();
                let is_better = window.is_better_than_the_first(strain, now);
                if !is_harmful && (is_better || is_at_the_edge) {
                    return true;
                }
                if is_harmful {
                    // Nothing will have changed soon.
                    self.pause = (self.pause * 2).min(Self::PAUSE_MAX);
                }
                self.state = State::GivenUp {
                    strain,
                    lately: strength.lately,
                    until: now.after(self.pause),
                    harvest,
                    since: now,
                };
                self.pause = (self.pause * 2).min(Self::PAUSE_MAX);
                self.given_up = self.given_up.saturating_add(1);
                false
            }
            State::GivenUp {
                strain: tried,
                lately,
                until,
                harvest,
                since,
            } if now < *until && *tried == strain && strength.lately < lately.saturating_mul(2) => {
                if now.since(*since) < (Self::WINDOW_MIN + wait).min(Self::WINDOW_MAX) {
                    return false;
                }
                *since = now;
                let (without, time) = core::mem::take(&mut self.reaping).finish();
                let did_help = without.is_worse_than(*harvest, time);
                if did_help {
                    self.pause = Self::PAUSE_MIN;
                    self.begin(strain, Window::new(strength, without, now));
                }
                did_help
            }
            state @ (State::Content { .. } | State::Trying { .. } | State::GivenUp { .. }) => {
                let window = match state.remembers(strain, now) {
                    Some(tried) => Window {
                        first: Some(tried.first),
                        ..Window::new(strength, tried.before, now)
                    },
                    None => Window::new(strength, self.lately, now),
                };
                self.begin(strain, window);
                true
            }
        }
    }

    fn begin(&mut self, strain: Strain, window: Window) {
        self.reaping = Reaping::default();
        self.state = State::Trying { strain, window };
    }

    /// How often it was given up since the last call.
    pub(super) const fn take_given_up(&mut self) -> u64 {
        core::mem::replace(&mut self.given_up, 0)
    }
}

impl State {
    /// The trial that made an end of `strain` a moment ago.
    fn remembers(&self, strain: Strain, now: Time) -> Option<Tried> {
        match self {
            Self::Content {
                since,
                tried: Some(tried),
            } => (tried.strain == strain && now.since(*since) < Trial::MEMORY).then_some(*tried),
            Self::Content { tried: None, .. } | Self::Trying { .. } | Self::GivenUp { .. } => None,
        }
    }
}

impl Window {
    /// The first one of a trial.
    const fn new(strength: Strength, before: Harvest, now: Time) -> Self {
        Self {
            since: now,
            sum: strength.sum,
            count: strength.count,
            first: None,
            before,
        }
    }

    const fn add(&mut self, strength: Strength) {
        self.sum = self.sum.saturating_add(strength.sum);
        self.count = self.count.saturating_add(strength.count);
    }

    fn is_over(&self, strain: Strain, wait: Duration, now: Time) -> bool {
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
    fn is_harmful(&self, strain: Strain, harvest: Harvest, time: Duration) -> bool {
        let may_tell = match strain {
            Strain::Failures => true,
            // In the first window the queue of before is served.
            Strain::Slowness | Strain::InFlight | Strain::Fleet => self.first.is_some(),
        };
        may_tell && 0 < harvest.good && harvest.is_worse_than(self.before, time)
    }

    /// Whether shedding helps, at the end of the window; then the next one begins. Not yet known at the end of the first.
    fn is_better_than_the_first(&mut self, strain: Strain, now: Time) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    const fn strength(strength: u64) -> Strength {
        Strength {
            sum: strength * 100,
            count: 100,
            lately: strength,
        }
    }

    /// Whether it may shed, for each (millisecond, strength).
    fn trial(steps: &[(u64, u64)]) -> Vec<bool> {
        let mut trial = Trial::new(at(0));
        let step = |(ms, strong): &(u64, u64)| {
            trial.may_shed(Strain::Failures, strength(*strong), Duration::ZERO, at(*ms))
        };
        steps.iter().map(step).collect()
    }

    fn at(millis: u64) -> Time {
        Time::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn what_does_not_help_is_given_up_for_longer_each_time() {
        let expected = [
            (0, true),
            (750, true),
            (1_499, true),
            (1_500, false),
            (11_499, false),
            (11_500, true),
            (12_250, true),
            (13_000, false),
            (32_999, false),
            (33_000, true),
        ];
        let steps: Vec<_> = expected.iter().map(|(ms, _)| (*ms, 100)).collect();
        assert_eq!(trial(&steps), expected.map(|(_, may)| may));
    }

    #[test]
    fn what_helps_goes_on() {
        assert_eq!(
            trial(&[(0, 100), (750, 100), (1_500, 50), (2_250, 46), (3_000, 46)]),
            [true, true, true, true, false],
            "the first window fades: 100, 94, 89"
        );
    }

    #[test]
    fn what_is_twice_as_bad_is_tried_at_once() {
        assert_eq!(
            trial(&[
                (0, 100),
                (750, 100),
                (1_500, 100),
                (1_600, 199),
                (1_700, 200)
            ]),
            [true, true, false, false, true]
        );
    }

    #[test]
    fn few_samples_are_waited_for() {
        let mut trial = Trial::new(at(0));
        let few = Strength {
            sum: 10,
            count: 1,
            lately: 10,
        };
        let mut may = |ms| trial.may_shed(Strain::Slowness, few, Duration::ZERO, at(ms));
        assert!(may(0) && may(5_000) && may(10_000) && may(19_999));
        assert!(!may(20_000));
    }

    #[test]
    fn another_strain_is_tried_at_once() {
        let mut trial = Trial::new(at(0));
        let wait = Duration::ZERO;
        assert!(trial.may_shed(Strain::Failures, strength(9), wait, at(0)));
        assert!(trial.may_shed(Strain::Failures, strength(9), wait, at(750)));
        assert!(!trial.may_shed(Strain::Failures, strength(9), wait, at(1_500)));
        assert!(trial.may_shed(Strain::Slowness, strength(9), wait, at(1_600)));
    }

    #[test]
    fn the_pause_has_a_maximum_and_is_forgotten_when_all_is_well() {
        let mut trial = Trial::new(at(0));
        let mut now = 0;
        for _ in 0..20 {
            let mut may =
                |ms| trial.may_shed(Strain::Failures, strength(9), Duration::ZERO, at(now + ms));
            assert!(may(0) && may(750) && !may(1_500));
            now += 1_500 + 320_000;
        }
        assert_eq!(trial.take_given_up(), 20);
        assert_eq!(trial.pause, Trial::PAUSE_MAX);
        trial.met(at(now));
        trial.met(at(now + 320_000));
        assert_eq!(trial.pause, Trial::PAUSE_MIN);
    }

    /// Whether it goes on after two windows with 80 good ones a step, if there were so many lately and at last.
    fn goes_on(lately: u64, last: u64) -> bool {
        let mut trial = Trial::new(at(0));
        let promise = Harvest {
            good: lately * 256,
            wanted: 200 * 256,
        };
        let reaped = |good| Reaped {
            good,
            wanted: 200,
            judged: 100,
        };
        let step = Duration::from_millis(100);
        trial.reap(promise, reaped(last), step);
        let may = |trial: &mut Trial, ms, strong| {
            trial.may_shed(Strain::Slowness, strength(strong), Duration::ZERO, at(ms))
        };
        assert!(may(&mut trial, 0, 100));
        for tenth in 1..20 {
            trial.reap(promise, reaped(80), step);
            if !may(&mut trial, tenth * 100, 100 - tenth * 5) {
                return false;
            }
        }
        true
    }

    #[test]
    fn what_was_served_while_a_queue_was_filled_is_no_promise() {
        assert!(!goes_on(100, 100));
        assert!(goes_on(100, 20));
        assert!(goes_on(20, 100));
    }

    #[test]
    fn whoever_waits_long_is_given_longer() {
        let mut trial = Trial::new(at(0));
        let mut may = |ms| {
            trial.may_shed(
                Strain::Slowness,
                strength(9),
                Duration::from_secs(1),
                at(ms),
            )
        };
        assert!(may(0) && may(1_750) && may(3_499));
        assert!(!may(3_500));
    }
}
