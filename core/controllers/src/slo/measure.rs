//! What an objective's counts say about its budget.

use core::time::Duration;

use sloop_model::{ObjectiveId, Target, WallTime};

use super::forecast::{Lately, budget};
use super::intent::{SloIntent, SloObjective};
use super::status::{BudgetStatus, BurnStatus, PairStatus};
use super::tally::Tally;
use super::window::SloWindow;
use super::windows::{FAST, Pair, bad_share, pairs};
use crate::budget::{Reading, Series, Slices, Slicing, surely_above};
use crate::{Counts, Speed, World};

/// An objective with what is needed to read the world about it.
#[derive(Clone, Debug)]
pub(crate) struct Measured<'a> {
    pub(crate) id: ObjectiveId,
    pub(crate) target: Target,
    pub(crate) window: &'a SloWindow,
    slicing: Option<Slicing>,
    now: WallTime,
    /// When this is told: `now`, or later.
    told_at: WallTime,
    /// Looked up once: an objective is asked about a dozen windows.
    series: Option<&'a Series>,
    slices: Option<&'a Slices>,
    pairs: [Pair; 4],
}

impl<'a> Measured<'a> {
    /// The objective at `index` of `intent`, seen in `world`.
    pub(crate) fn new(
        intent: &'a SloIntent,
        index: u32,
        objective: &SloObjective,
        world: &'a World,
    ) -> Self {
        let id = intent.objective_id(index);
        let now = world.now();
        Self {
            target: objective.target,
            window: &intent.window,
            slicing: objective.slicing,
            now,
            told_at: now,
            series: world.series(&id),
            slices: objective
                .slicing
                .and_then(|slicing| world.slices(&id, slicing)),
            pairs: pairs(intent.window.length(now)),
            id,
        }
    }

    /// The moment that it is seen at.
    pub(super) const fn now(&self) -> WallTime {
        self.now
    }

    /// All that sidecars counted since the process began, so that whoever looks again sees what is new.
    pub(super) fn ever(&self) -> Counts {
        self.series.map_or_else(Counts::default, Series::ever)
    }

    /// Until when the newest report on it is fresh; long ago when there is none.
    pub(super) fn fresh_until(&self) -> WallTime {
        World::fresh_until(self.series)
    }

    /// What is known of the SLO's own window; nothing before it begins.
    pub(crate) fn reading(&self) -> Option<Reading> {
        let start = self.window.start(self.now)?;
        self.series?.since(self.now, start)
    }

    /// The error budget of the SLO's window; nothing when not known.
    pub(crate) fn budget(&self) -> Option<BudgetStatus> {
        let start = self.window.start(self.now)?;
        let (tally, covered) = self.tally(start)?;
        let hour = self.pairs.first().map(|pair| pair.long)?;
        let lately = self.lately(hour, 0.99 <= covered);
        Some(budget(&tally, self.target, lately))
    }

    /// How many of the slices of the SLO's window were good, as `57 of 60`.
    pub(crate) fn slices_in_words(&self) -> String {
        let start = self.window.start(self.now);
        let Some((tally, _)) = start.and_then(|start| self.tally(start)) else {
            return "0 of 0".to_owned();
        };
        let (units, worth) = (tally.units(), tally.worth());
        let bad = units.bad().div_ceil(worth);
        let total = units.total / worth;
        format!("{} of {total}", total.saturating_sub(bad))
    }

    /// The pairs of windows for this SLO.
    pub(crate) const fn pairs(&self) -> &[Pair; 4] {
        &self.pairs
    }

    /// How fast the budget burned in the last `length`.
    pub(crate) fn burn(&self, length: Duration) -> BurnStatus {
        BurnStatus {
            measured_ms: longer(self.at_least_a_slice(length), length),
            ..burn(length, self.last(length), self.target)
        }
    }

    /// Burn rates over all windows that matter, shortest first.
    pub(crate) fn burns(&self) -> Vec<BurnStatus> {
        let mut lengths: Vec<Duration> = FAST.into();
        lengths.extend(self.pairs.iter().flat_map(|pair| [pair.short, pair.long]));
        lengths.sort();
        lengths.dedup();
        lengths
            .into_iter()
            .map(|length| self.burn(length))
            .collect()
    }

    /// Whether both windows of `pair` surely burn too fast; nothing when one of them is not known.
    pub(crate) fn fires(&self, pair: &Pair) -> Option<bool> {
        let [long, short] = [pair.long, pair.short].map(|length| self.exceeds(pair, length));
        Some(long? && short?)
    }

    /// What people see of `pair`.
    pub(crate) fn pair_status(&self, pair: &Pair) -> PairStatus {
        PairStatus {
            factor: pair.factor,
            long_ms: millis(pair.long),
            short_ms: millis(pair.short),
            burning: self.fires(pair),
        }
    }

    /// How fast the budget burns; nothing when it does not, or when nobody knows.
    pub(crate) fn speed(&self) -> Option<Speed> {
        if self.burns_now().is_some() {
            return Some(Speed::Now);
        }
        self.pairs
            .iter()
            .find(|pair| self.is_firing(pair))
            .map(|pair| pair.speed)
    }

    /// The newest of the moments of the last `length`, five seconds apart, at which it burned faster than slowly by what is kept: to the
    /// minute, where a window reaches further back than five. Nothing where none is known.
    pub(super) fn burned_within(&self, length: Duration) -> Option<WallTime> {
        let mut then = self.clone();
        let backs = (0..).map(|number| LOOK * number);
        backs.take_while(|back| *back < length).find_map(|back| {
            then.now = self.now.before(back);
            (Some(Speed::Slow) < then.speed()).then_some(then.now)
        })
    }

    /// The shortest window of seconds that says that the budget burns; nothing when none does.
    pub(super) fn burns_now(&self) -> Option<Duration> {
        let limit = self.limit_now();
        FAST.into_iter().take(2).find(|length| {
            self.series
                .and_then(|series| self.counted(series, self.now.before(*length)))
                .is_some_and(|Reading { counts, .. }| {
                    surely_above(counts.bad(), counts.total, limit)
                })
        })
    }

    /// Whether it is known that `pair` fires. In health the short window says that it does not, and the long one is not asked.
    fn is_firing(&self, pair: &Pair) -> bool {
        let exceeds = |length| self.exceeds(pair, length) == Some(true);
        exceeds(pair.short) && exceeds(pair.long)
    }

    /// Whether the last `length` surely burned faster than `pair` allows; nothing when not known, and while no slice is over.
    fn exceeds(&self, pair: &Pair, length: Duration) -> Option<bool> {
        let limit = bad_share(pair.factor, self.target);
        let slice = self.slicing.and_then(|slicing| slicing.target());
        let tally = self.last(length).filter(|tally| !tally.is_open())?;
        Some(tally.surely_burns(limit, slice.map(|target| 1.0 - target)))
    }

    /// The share of requests above which seconds are enough to say that the budget burns.
    ///
    /// No slice is over within seconds. So few bad requests that a slice with them is good burn
    /// nothing; so few that it is bad, but a budget of requests would not burn fast, must
    /// last for some slices first.
    fn limit_now(&self) -> f64 {
        let limit = bad_share(NOW_FACTOR, self.target);
        let slice = self.slicing.and_then(|slicing| slicing.target());
        slice.map_or(limit, |target| limit.max(1.0 - target))
    }

    /// What was counted in the last `length`, in the unit of the budget; nothing when not known. A slice says nothing
    /// before it is over, so a window is as long as one at least: it holds the one that was over last.
    pub(super) fn last(&self, length: Duration) -> Option<Tally> {
        let length = self.at_least_a_slice(length);
        Some(self.tally(self.now.before(length))?.0)
    }

    fn at_least_a_slice(&self, length: Duration) -> Duration {
        let slice = self.slicing.map(|slicing| slicing.length());
        length.max(slice.unwrap_or_default())
    }

    fn counted(&self, series: &Series, start: WallTime) -> Option<Reading> {
        series.between((start, self.now), self.told_at)
    }

    /// What was counted since `start`, and the share of that time that somebody reported on.
    fn tally(&self, start: WallTime) -> Option<(Tally, f64)> {
        let Reading { counts, covered } = self.counted(self.series?, start)?;
        let tally = match self.slicing {
            None => Tally::of_requests(counts),
            Some(slicing) => {
                let sum = self.slices?.since(self.now, start);
                Tally::of_slices(counts, sum, slicing)
            }
        };
        Some((tally, covered))
    }

    /// How the last `length` went, where all of the SLO's window `is_known` or not. In whole slices: otherwise the time that is
    /// counted with one is now shorter than a slice, now longer.
    fn lately(&self, length: Duration, is_known: bool) -> Option<Lately> {
        let now = self.now;
        let length = self
            .slicing
            .map_or(length, |slicing| slicing.whole_slices(length));
        let (tally, covered) = self.tally(now.before(length))?;
        let ends_in = self.window.end(now).map(|end| end.since(now));
        Some(Lately {
            tally,
            known: length.mul_f64(covered),
            is_filling: ends_in.is_some() || !is_known,
            ends_in,
        })
    }
}

/// How far moments are apart that are looked back at: the shortest window.
const LOOK: Duration = Duration::from_secs(5);

/// The workbook's fastest factor, over the windows of seconds.
const NOW_FACTOR: f64 = 14.4;

/// How fast what was counted in the last `length` burned the budget of `target`.
pub(crate) fn burn(length: Duration, tally: Option<Tally>, target: Target) -> BurnStatus {
    let bounds = tally.and_then(|tally| tally.bounds());
    let budget = target.budget_fraction();
    BurnStatus {
        window_ms: millis(length),
        measured_ms: None,
        counts: tally.map(|tally| tally.requests),
        burn: tally
            .and_then(|tally| tally.bad_share())
            .map(|bad| bad / budget),
        low: bounds.map(|bounds| bounds.low / budget),
        high: bounds.map(|bounds| bounds.high / budget),
    }
}

/// How long a time is measured, in milliseconds, where that is more than the `window`.
pub(super) fn longer(measured: Duration, window: Duration) -> Option<u64> {
    (window < measured).then(|| millis(measured))
}

pub(super) fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
