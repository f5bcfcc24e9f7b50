//! What pairs of neighbouring slices say about a variant.
//!
//! On a machine with neighbours, the cost of a request drifts by tens of percent
//! within seconds, but two slices of some milliseconds each, one right after the other, have
//! nearly the same machine. So what is compared is never two averages, but the
//! two slices of a pair; the median of all pairs does not feel the few that were disturbed.
//!
//! How sure that is comes from blocks: the pairs in the order of time are cut
//! into blocks, each with an estimate of its own, so that a disturbance that lasts
//! for many pairs counts once. The interval runs between two of the sorted estimates of blocks, chosen
//! such that it holds the true median with at least 95 % whatever their
//! distribution is (H. A. David, H. N. Nagaraja, Order Statistics, 3rd ed., 7.1).

mod precision;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use precision::{ERROR_MAX, Need};

/// Blocks that the pairs are cut into, at most.
///
/// With 20, the 6th and the 15th estimate hold the median with 95.9 %.
const BLOCKS_MAX: usize = 20;

/// Pairs in a block, at least: the median of fewer is no median.
const BLOCK_PAIRS_MIN: usize = 3;

/// How often an interval misses the true median, at most.
const MISS_MAX: f64 = 0.05;

/// The fewest pairs that have an interval: with less than six blocks even the
/// smallest and the largest estimate miss the median more often than is allowed.
pub const PAIRS_MIN: usize = 6 * BLOCK_PAIRS_MIN;

/// Two neighbouring slices, in nanoseconds of the worker per request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Without the variant.
    pub baseline: f64,
    /// With it.
    pub variant: f64,
}

/// An estimate and the interval that holds the true value with 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The lower end.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The upper end.
    pub high: f64,
}

impl Pair {
    /// What the variant adds, in nanoseconds; below zero when it saves.
    #[must_use]
    pub const fn added(self) -> f64 {
        self.variant - self.baseline
    }

    /// How many times as much the variant costs.
    #[must_use]
    pub const fn ratio(self) -> f64 {
        self.variant / self.baseline
    }
}

/// The median; of an even number the middle between the two. `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let above = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(above);
    }
    let below = *sorted.get((sorted.len() / 2).checked_sub(1)?)?;
    Some(f64::midpoint(below, above))
}

/// The median of what `of` says about each pair. `pairs` are in the order of time.
///
/// `None` for fewer than [`PAIRS_MIN`].
#[must_use]
pub fn estimate(pairs: &[Pair], of: impl Fn(Pair) -> f64) -> Option<Estimate> {
    let values: Vec<f64> = pairs.iter().map(|pair| of(*pair)).collect();
    estimate_of(&values)
}

/// The median of values that are in the order of time. `None` for fewer than [`PAIRS_MIN`].
#[must_use]
pub fn estimate_of(values: &[f64]) -> Option<Estimate> {
    let blocks: Option<Vec<f64>> = blocks(values).map(median).collect();
    around(median(values)?, blocks?)
}

/// What `variant` adds, as a share of what `reference` adds.
///
/// The same number in both stands for the same time. Where one has more pairs than the other these are left
/// out. `None` for fewer than [`PAIRS_MIN`], and when the reference does not surely add anything.
#[must_use]
pub fn share_of(variant: &[Pair], reference: &[Pair]) -> Option<Estimate> {
    let both = variant.len().min(reference.len());
    let (variant, reference) = (variant.get(..both)?, reference.get(..both)?);
    let added = |pairs: &[Pair]| pairs.iter().map(|pair| pair.added()).collect::<Vec<_>>();
    let (variant, reference) = (added(variant), added(reference));
    let share = |variant: &[f64], reference: &[f64]| {
        let reference = median(reference)?;
        (0.0 < reference).then_some(median(variant)? / reference)
    };
    let of_blocks: Option<Vec<f64>> = blocks(&variant)
        .zip(blocks(&reference))
        .map(|(variant, reference)| share(variant, reference))
        .collect();
    around(share(&variant, &reference)?, of_blocks?)
}

/// Cuts into blocks whose lengths differ by one at most.
fn blocks(values: &[f64]) -> impl Iterator<Item = &[f64]> {
    let count = (values.len() / BLOCK_PAIRS_MIN).min(BLOCKS_MAX);
    let begin = move |block: usize| (block * values.len()).checked_div(count).unwrap_or(0);
    (0..count).map(move |block| {
        values
            .get(begin(block)..begin(block + 1))
            .unwrap_or_default()
    })
}

/// The interval of the estimates of blocks around the estimate of all.
fn around(median: f64, mut of_blocks: Vec<f64>) -> Option<Estimate> {
    let outside = outside(of_blocks.len())?;
    of_blocks.sort_by(f64::total_cmp);
    let low = *of_blocks.get(outside)?;
    let high = *of_blocks.get(of_blocks.len() - 1 - outside)?;
    Some(Estimate {
        // The median of all lies within, but for rare accidents of grouping.
        low: low.min(median),
        median,
        high: high.max(median),
    })
}

/// How many of `count` sorted values may be left outside on each side. `None` when all of them are too few.
///
/// Each value is below the true median as often as above it, so the number below is
/// binomial with one half.
fn outside(count: usize) -> Option<usize> {
    let mut term = 0.5_f64.powi(i32::try_from(count).ok()?);
    let mut missed = 2.0 * term;
    let mut outside = None;
    let mut index = 0_usize;
    while missed <= MISS_MAX && index < count / 2 {
        outside = Some(index);
        term *= (count - index) as f64 / (index + 1) as f64;
        missed += 2.0 * term;
        index += 1;
    }
    outside
}

#[cfg(test)]
mod tests;
