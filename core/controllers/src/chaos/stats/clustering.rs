//! Whether requests of an arm fail together.
//!
//! A block is a second of one sidecar. If its bad requests fell on the two arms by chance
//! alone, their number in the arm of the fault would have the hypergeometric distribution (N. Mantel and
//! W. Haenszel, "Statistical aspects of the analysis of data from retrospective studies of disease", 1959):
//! mean `n_b K / n` and variance `n_a n_b K (n - K) / (n^2 (n - 1))`, with `K` bad of `n`.
//! The design effect (L. Kish, "Survey Sampling", 1965) is how much larger the variance
//! really is: the sum of squares of what is beyond the mean and the effect, by the sum of the
//! variances. Common bad luck of both arms is in the mean, so it does not count; only what makes requests of
//! one arm alike does.

use serde::{Deserialize, Serialize};

use super::Block;

/// Sums over blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Clustering {
    /// Blocks with both arms and both ends.
    blocks: f64,
    /// Of what is beyond the mean, `e`: squares; products with the weight `w`; squares of the weight; `e`; `w`.
    squares: f64,
    products: f64,
    weights: f64,
    beyond: f64,
    weight: f64,
    variance: f64,
}

/// Below so many blocks a ratio of variances is noise.
const BLOCKS_MIN: f64 = 20.0;
/// What is taken for granted until then: every request is tried twice.
const EFFECT_EARLY: f64 = 2.0;
/// Groups larger than this are not believed: retries and fan-out are below it.
const EFFECT_MAX: f64 = 10.0;
/// The ratio of variances scatters by `sqrt(2 / blocks)` around 1 by chance; only what is two deviations above counts.
const DEVIATIONS: f64 = 2.0;

impl Clustering {
    /// Takes a block in.
    pub(in super::super) fn take(&mut self, block: Block) {
        let (control, fault) = (block.control, block.fault);
        let total = control.total + fault.total;
        let bad = control.bad + fault.bad;
        if control.total == 0.0 || fault.total == 0.0 || total < 2.0 {
            return;
        }
        let beyond = fault.bad - fault.total * bad / total;
        let weight = control.total * fault.total / total;
        self.blocks += 1.0;
        self.squares += beyond * beyond;
        self.products += beyond * weight;
        self.weights += weight * weight;
        self.beyond += beyond;
        self.weight += weight;
        self.variance += weight / total * bad * (total - bad) / (total - 1.0);
    }

    /// How many requests count as one, `1.0..=10.0`.
    pub(in super::super) fn effect(&self) -> f64 {
        if self.blocks < BLOCKS_MIN {
            return EFFECT_EARLY;
        }
        if self.variance <= 0.0 || self.weight <= 0.0 {
            return 1.0;
        }
        // The effect between the arms moves each block by as much as its weight.
        let moved = self.beyond / self.weight;
        let squares = self.squares - 2.0 * moved * self.products + moved * moved * self.weights;
        let ratio = squares / self.variance;
        let by_chance = 1.0 + DEVIATIONS * (2.0 / self.blocks).sqrt();
        if ratio <= by_chance {
            1.0
        } else {
            ratio.min(EFFECT_MAX)
        }
    }
}
