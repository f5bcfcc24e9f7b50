//! Evidence about the difference of two shares, valid whenever one looks at it.
//!
//! The effect is the share of bad requests in the arm of the fault less that in the
//! control arm. For a bound `d`, [`Test`] bets against "the effect is at most `d`" (or "at
//! least `d`"). What the bets have won is an e-process: under the hypothesis its mean
//! is at most 1 at any stopping time, so the chance that it ever reaches `1 / alpha` is at most
//! `alpha` (Ville's inequality). Looking after every report, and stopping when one
//! likes, costs nothing.
//!
//! # One bet
//!
//! R. Turner, A. Ly and P. Gruenwald, "Generic E-variables for exact sequential k-sample tests that
//! allow for optional stopping" (2024), and R. Turner and P. Gruenwald, "Exact anytime-valid
//! confidence intervals for contingency tables and beyond" (2023). A block has `n_a` requests in the
//! control arm and `n_b` in the fault arm. With guesses `g_a`, `g_b` for the shares, made before the block is seen, and
//! `h` the point of the hypothesis that minimises `sum n_i KL(g_i || h_i)`, the bet pays
//! `prod (g_i / h_i)^bad_i ((1 - g_i) / (1 - h_i))^(n_i - bad_i)`.
//! Its mean under shares `t` of the hypothesis is `prod (1 + (t_i - h_i) c_i)^n_i` with
//! `c_i = (g_i - h_i) / (h_i (1 - h_i))`, at most `exp(sum n_i c_i (t_i - h_i))`. The exponent is the
//! derivative of the sum of divergences at its minimum towards `t`, negated, and the hypothesis is convex: it is not positive.
//! So the mean is at most 1, exactly and for blocks of any size; nothing is asymptotic.
//!
//! # What this is robust against
//!
//! The proof holds block by block with other shares in each: a bad second, a slow sidecar or a deployment that meets both
//! arms alike is no evidence. Requests of one arm that fail together (retries of one trace) would be; therefore
//! all winnings are raised to the power `1 / design effect` as it is known then ([`super::Clustering`]): if requests came in
//! identical groups of that size, that is the bet on groups. The design effect is an estimate, so with it the guarantee is as
//! good as the estimate is, no longer exact.
//!
//! # Guesses
//!
//! Each arm's share so far, with the weight of [`PULL`] requests of both arms together, so that arms of
//! which nothing is known are alike and nothing is staked. Bad guesses win less; they cannot make a test err.

use serde::{Deserialize, Serialize};

use super::{ALPHA, Arm, Block};

/// Which side of a bound the effect is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) enum Side {
    /// Evidence that the effect is above the bound.
    Above,
    /// Evidence that it is below.
    Below,
}

/// Bets against one hypothesis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Test {
    side: Side,
    bound: f64,
    /// The logarithm of what the bets have won.
    won: f64,
    /// The most that it was ever worth, as requests counted then that come together.
    best: f64,
}

/// The evidence about one effect: on both sides of a tolerance, and of all bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Evidence {
    /// That the effect is above the tolerance.
    pub(in super::super) above: Test,
    /// That it is below.
    pub(in super::super) below: Test,
    /// Of bounds, ascending; empty when no interval is asked for.
    grid: Vec<[Test; 2]>,
    seen: Block,
}

/// Where the effect surely is, each end in `-1.0..=1.0`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Interval {
    /// It is surely not below this.
    pub low: f64,
    /// It is surely not above this.
    pub high: f64,
}

/// Requests that the guess of an arm is pulled towards the share of both arms by.
const PULL: f64 = 1.0;
/// Shares are kept from 0 and 1 by this, where logarithms end. Rarer failures than one in ten million are not told apart.
const EDGE: f64 = 1e-7;
/// Bisections of a unit: down to 1e-10, far below what counts can tell.
const HALVINGS: usize = 33;

impl Test {
    /// No bet was made yet. The bound is held within `-1.0..=1.0`.
    pub(in super::super) const fn new(side: Side, bound: f64) -> Self {
        Self {
            side,
            bound: bound.clamp(-1.0, 1.0),
            won: 0.0,
            best: 0.0,
        }
    }

    /// The highest e-value so far, as a logarithm.
    pub(in super::super) const fn best(&self) -> f64 {
        self.best
    }

    /// The e-value as it stands when `clustering` requests count as one, as a logarithm. Its highest is enough to reject one
    /// hypothesis (Ville), and only that.
    pub(in super::super) const fn now(&self, clustering: f64) -> f64 {
        self.won / clustering.max(1.0)
    }

    /// What the bets have won, as a logarithm.
    #[cfg(test)]
    pub(super) const fn won(&self) -> f64 {
        self.won
    }

    /// Whether the hypothesis is rejected at the level `alpha`.
    pub(in super::super) fn is_sure(&self, alpha: f64) -> bool {
        -alpha.ln() <= self.best
    }

    /// Bets on a block with guesses from `before`; what was won counts as that of groups of `clustering` requests.
    pub(in super::super) fn take(&mut self, before: Block, block: Block, clustering: f64) {
        if block.control.total == 0.0 || block.fault.total == 0.0 {
            return;
        }
        let guess = guess(before);
        let effect = guess.1 - guess.0;
        let is_inside = match self.side {
            Side::Above => effect <= self.bound,
            Side::Below => self.bound <= effect,
        };
        if is_inside {
            return;
        }
        let null = nearest(guess, (block.control.total, block.fault.total), self.bound);
        let won = paid(block.control, guess.0, null.0) + paid(block.fault, guess.1, null.1);
        self.won += won;
        self.best = self.best.max(self.now(clustering));
    }
}

impl Evidence {
    /// Nothing seen yet, with bets on all bounds for an interval.
    pub(in super::super) fn with_interval(tolerance: f64) -> Self {
        let bounds = bounds().into_iter();
        Self {
            grid: bounds
                .map(|bound| [Side::Above, Side::Below].map(|side| Test::new(side, bound)))
                .collect(),
            ..Self::against(tolerance)
        }
    }

    /// Nothing seen yet; no interval.
    pub(in super::super) fn against(tolerance: f64) -> Self {
        Self {
            above: Test::new(Side::Above, tolerance),
            below: Test::new(Side::Below, tolerance),
            grid: Vec::new(),
            seen: Block::default(),
        }
    }

    /// Takes a block in.
    pub(in super::super) fn take(&mut self, block: Block, clustering: f64) {
        let before = self.seen;
        // What an interval leaves out stays out, so there is nothing more to bet on.
        let is_open = |test: &&mut Test| !test.is_sure(ALPHA / 2.0);
        let grid = self.grid.iter_mut().flatten().filter(is_open);
        for test in [&mut self.above, &mut self.below].into_iter().chain(grid) {
            test.take(before, block, clustering);
        }
        self.seen = before.plus(block);
    }

    /// What was seen in all.
    pub(in super::super) const fn seen(&self) -> Block {
        self.seen
    }

    /// The effect as it looks; nothing while an arm saw nothing.
    pub(in super::super) fn effect(&self) -> Option<f64> {
        Some(self.seen.fault.share()? - self.seen.control.share()?)
    }

    /// Where the effect surely is: all intervals together, at every moment, err with a chance of at most [`ALPHA`].
    pub(in super::super) fn interval(&self) -> Interval {
        let is_rejected = |test: &Test| test.is_sure(ALPHA / 2.0);
        let above = self.grid.iter().filter(|[above, _]| is_rejected(above));
        let below = self.grid.iter().filter(|[_, below]| is_rejected(below));
        Interval {
            low: above.map(|[test, _]| test.bound).fold(-1.0, f64::max),
            high: below.map(|[_, test]| test.bound).fold(1.0, f64::min),
        }
    }
}

/// The share of each arm that is expected of the next block: control, fault.
fn guess(seen: Block) -> (f64, f64) {
    let total = seen.control.total + seen.fault.total;
    let both = (seen.control.bad + seen.fault.bad + 0.5) / (total + 1.0);
    let of = |arm: Arm| {
        let share = (arm.bad + PULL * both) / (arm.total + PULL);
        share.clamp(EDGE, 1.0 - EDGE)
    };
    (of(seen.control), of(seen.fault))
}

/// The shares with the effect `bound` that are nearest to `guess` by the sum of `weights * KL`.
pub(super) fn nearest(guess: (f64, f64), weights: (f64, f64), bound: f64) -> (f64, f64) {
    // The derivative by the control arm's share grows, so its zero is found by halving.
    let slope = |weight: f64, guess: f64, share: f64| {
        weight * (share - guess) / (share * (1.0 - share)).max(EDGE * EDGE)
    };
    let mut low = EDGE.max(EDGE - bound);
    let mut high = (1.0 - EDGE).min(1.0 - EDGE - bound);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        let sum = slope(weights.0, guess.0, middle) + slope(weights.1, guess.1, middle + bound);
        if sum < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let control = f64::midpoint(low, high);
    let held = |share: f64| share.clamp(EDGE, 1.0 - EDGE);
    (held(control), held(control + bound))
}

/// The logarithm of what an arm pays.
fn paid(arm: Arm, guess: f64, null: f64) -> f64 {
    let good = arm.total - arm.bad;
    arm.bad * (guess / null).ln() + good * ((1.0 - guess) / (1.0 - null)).ln()
}

/// Bounds that are tested for an interval: of both signs, 24 per decade from 0.01 % to 10 %, then every
/// percentage point. An end of an interval is off by at most the step to the next, outwards.
fn bounds() -> Vec<f64> {
    let small = (0..72).map(|step| 1e-4 * 10_f64.powf(f64::from(step) / 24.0));
    let large = (10..100).map(|percent| f64::from(percent) / 100.0);
    let positive: Vec<f64> = small.chain(large).collect();
    let negative = positive.iter().rev().map(|bound| -bound);
    negative
        .chain([0.0])
        .chain(positive.iter().copied())
        .collect()
}
