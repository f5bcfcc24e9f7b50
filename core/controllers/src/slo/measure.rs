//! What an objective's counts say about its budget.

use core::time::Duration;

use sloop_model::{ObjectiveId, Target};

use super::intent::{SloIntent, SloWindow};
use super::status::{BudgetStatus, BurnStatus, PairStatus};
use super::windows::{FAST, Pair, bad_share, pairs};
use crate::budget::{Reading, bounds, surely_above};
use crate::{Counts, Speed, World};

/// An objective with what is needed to read the world about it.
#[derive(Debug)]
pub(crate) struct Measured<'a> {
    pub(crate) id: ObjectiveId,
    pub(crate) target: Target,
    pub(crate) window: &'a SloWindow,
    pub(crate) world: &'a World,
}

impl<'a> Measured<'a> {
    /// The objective at `index` of `intent`, seen in `world`.
    pub(crate) fn new(intent: &'a SloIntent, index: u32, target: Target, world: &'a World) -> Self {
        Self {
            id: intent.objective_id(index),
            target,
            window: &intent.window,
            world,
        }
    }

    /// What is known of the SLO's own window.
    pub(crate) fn reading(&self) -> Option<Reading> {
        let now = self.world.now();
        self.world.reading(&self.id, self.window.start(now))
    }

    /// The error budget of the SLO's window; nothing when not known.
    pub(crate) fn budget(&self) -> Option<BudgetStatus> {
        let counts = self.reading()?.counts;
        let hour = self.pairs().first().map(|pair| pair.long)?;
        let burn = self.burn(hour).burn;
        Some(budget(counts, self.target, burn, self.length()))
    }

    /// The pairs of windows for this SLO.
    pub(crate) fn pairs(&self) -> [Pair; 4] {
        pairs(self.length())
    }

    /// How fast the budget burned in the last `length`.
    pub(crate) fn burn(&self, length: Duration) -> BurnStatus {
        burn(length, self.counts(length), self.target)
    }

    /// Burn rates over all windows that matter, shortest first.
    pub(crate) fn burns(&self) -> Vec<BurnStatus> {
        let mut lengths: Vec<Duration> = FAST.into();
        lengths.extend(self.pairs().iter().flat_map(|pair| [pair.short, pair.long]));
        lengths.sort();
        lengths.dedup();
        lengths
            .into_iter()
            .map(|length| self.burn(length))
            .collect()
    }

    /// Whether both windows of `pair` surely burn too fast; nothing when one of them is not known.
    pub(crate) fn fires(&self, pair: &Pair) -> Option<bool> {
        let limit = bad_share(pair.factor, self.target);
        let long = self.counts(pair.long)?;
        let short = self.counts(pair.short)?;
        Some(is_above(long, limit) && is_above(short, limit))
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
        let now = FAST.iter().take(2).any(|length| {
            let limit = bad_share(NOW_FACTOR, self.target);
            self.counts(*length)
                .is_some_and(|counts| is_above(counts, limit))
        });
        if now {
            return Some(Speed::Now);
        }
        self.pairs()
            .iter()
            .find(|pair| self.fires(pair) == Some(true))
            .map(|pair| pair.speed)
    }

    fn counts(&self, length: Duration) -> Option<Counts> {
        self.world.counts(&self.id, length)
    }

    fn length(&self) -> Duration {
        self.window.length(self.world.now())
    }
}

/// The workbook's fastest factor, over the windows of seconds.
const NOW_FACTOR: f64 = 14.4;

/// The error budget that `counts` leave. `burn` is its rate of late, for a window of `length`.
pub(crate) fn budget(
    counts: Counts,
    target: Target,
    burn: Option<f64>,
    length: Duration,
) -> BudgetStatus {
    let allowed = billionths(target.allowed_bad_billionths(counts.total));
    let spent = counts.bad();
    // In whole billionths first: `allowed - spent` in floats has no exact zero.
    let left = target.allowed_bad_billionths(counts.total);
    let spent_billionths = u128::from(spent) * u128::from(Target::WHOLE);
    let left = if spent_billionths <= left {
        billionths(left - spent_billionths)
    } else {
        -billionths(spent_billionths - left)
    };
    let left_share = if counts.total == 0 {
        1.0
    } else {
        left / allowed
    };
    let exhausted_in_s = match burn {
        _ if left <= 0.0 => Some(0),
        Some(burn) if 1.0 < burn => {
            Duration::try_from_secs_f64(length.as_secs_f64() * left_share / burn)
                .map(|time| time.as_secs())
                .ok()
        }
        Some(_) | None => None,
    };
    BudgetStatus {
        allowed,
        spent,
        left,
        left_share,
        exhausted_in_s: exhausted_in_s.filter(|_| counts.total != 0),
    }
}

/// How fast `counts`, of the last `length`, burned the budget of `target`.
pub(crate) fn burn(length: Duration, counts: Option<Counts>, target: Target) -> BurnStatus {
    let seen = counts.filter(|counts| counts.total != 0);
    let bounds = seen.and_then(|counts| bounds(counts.bad(), counts.total));
    let budget = target.budget_fraction();
    BurnStatus {
        window_ms: millis(length),
        counts,
        burn: seen.map(|counts| share(counts.bad(), counts.total) / budget),
        low: bounds.map(|bounds| bounds.low / budget),
        high: bounds.map(|bounds| bounds.high / budget),
    }
}

/// `part / whole`; zero when there is nothing.
#[expect(
    clippy::cast_precision_loss,
    reason = "for formulas and people: 15 digits are enough"
)]
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

fn is_above(counts: Counts, limit: f64) -> bool {
    surely_above(counts.bad(), counts.total, limit)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "for people: 15 digits are enough"
)]
fn billionths(amount: u128) -> f64 {
    amount as f64 / f64::from(Target::WHOLE)
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
