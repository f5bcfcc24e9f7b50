//! How many requests an answer takes.
//!
//! The evidence of [`super::Test`] grows by the divergence `g` of what is true from the
//! hypothesis with each request of an arm, scattered with a variance of about `2 g` (that of a log-likelihood ratio of near
//! hypotheses). It must reach `ln(1 / alpha)` and pay for learning both shares, which costs half the logarithm of the number of
//! requests each (J. Rissanen, "Stochastic complexity and modeling", 1986). Simulations in the tests hold
//! the promise that [`needed`] is enough four times out of five.

use super::evidence::nearest;

/// The deviations that four of five normal draws are above: 80 % power.
const POWER: f64 = 0.841_621;

/// Nobody waits for more: an hour of a million requests a second.
const NEEDED_MAX: f64 = 3.6e9;

/// Requests in the arm of the fault after which four of five runs are sure, at the level `alpha`, that the effect is not
/// `bound`, when the control arm's share of bad requests is `control` and the effect is `effect`. For each there are `ratio` in the
/// control arm. Nothing when the effect is the bound, or so near to it that more than [`NEEDED_MAX`] are needed: nothing is enough.
pub(in super::super) fn needed(
    (control, effect): (f64, f64),
    bound: f64,
    ratio: f64,
    alpha: f64,
) -> Option<f64> {
    let held = |share: f64| share.clamp(1e-6, 1.0 - 1e-6);
    let truth = (held(control), held(control + effect));
    let null = nearest(truth, (ratio, 1.0), bound);
    let growth = ratio * divergence(truth.0, null.0) + divergence(truth.1, null.1);
    if growth <= 1e-12 {
        return None;
    }
    let mut requests = 1.0_f64;
    // What must be won depends on how many requests it takes, but weakly: this settles at once.
    for _ in 0..8 {
        let wanted = -alpha.ln() + 0.5 * (requests * (1.0 + ratio)).max(1.0).ln();
        // x - POWER * sqrt(2 x) = wanted, solved for x.
        let root =
            (POWER * core::f64::consts::SQRT_2 + (2.0 * POWER * POWER + 4.0 * wanted).sqrt()) / 2.0;
        requests = root * root / growth;
    }
    (requests <= NEEDED_MAX).then(|| requests.ceil())
}

/// The divergence of Kullback and Leibler between two shares.
fn divergence(truth: f64, null: f64) -> f64 {
    truth * (truth / null).ln() + (1.0 - truth) * ((1.0 - truth) / (1.0 - null)).ln()
}

/// Requests per arm of a test with a fixed sample, two-sided at 5 % with 80 % power, to compare with: the usual formula for
/// two shares (J. L. Fleiss, "Statistical Methods for Rates and Proportions", 1981).
#[cfg(test)]
pub(super) fn fixed_sample(one: f64, other: f64) -> f64 {
    const TWO_SIDED: f64 = 1.959_964;
    let mean = f64::midpoint(one, other);
    let alike = TWO_SIDED * (2.0 * mean * (1.0 - mean)).sqrt();
    let apart = POWER * (one * (1.0 - one) + other * (1.0 - other)).sqrt();
    ((alike + apart) / (one - other)).powi(2).ceil()
}
