//! Whether a share is surely above or below a level.

use sloop_model::ShareBounds;

/// Standard deviations: three, so that a test per second on a share that is
/// exactly at the limit errs about once in twelve minutes, and on one at half the
/// limit practically never.
pub(crate) const SIGMAS: f64 = 3.0;

/// What `part` of `whole` may really be; nothing when nothing was seen.
pub(crate) fn bounds(part: u64, whole: u64) -> Option<ShareBounds> {
    ShareBounds::wilson(part, whole, SIGMAS)
}

/// Whether surely more than `level` of `whole` is `part`. Not when nothing was seen.
///
/// Of few cases Wilson's lower end says too much when the level is small: one of
/// three is "surely" more than 1.44 %, although chance alone gives that every
/// 23rd time. So few cases must also be as unlikely at the level as three
/// standard deviations are, by the binomial distribution itself. And one case alone is never
/// sure: the first request of a service that fails would be, at a level of 0.1 %.
pub(crate) fn surely_above(part: u64, whole: u64, level: f64) -> bool {
    1 < part
        && bounds(part, whole).is_some_and(|bounds| level < bounds.low)
        && (FEW <= part || chance_of(part, whole, level) <= CHANCE_MAX)
}

/// Whether surely less than `level` of `whole` is `part`. Not when nothing was seen.
pub(crate) fn surely_below(part: u64, whole: u64, level: f64) -> bool {
    bounds(part, whole).is_some_and(|bounds| bounds.high < level)
}

/// The share of `whole` that `part` surely is at least: a level that it is surely above, the highest to an eighth. Zero when
/// nothing is sure.
pub(crate) fn surely_least(part: u64, whole: u64) -> f64 {
    let low = bounds(part, whole).map_or(0.0, |bounds| bounds.low);
    if part <= 1 {
        return 0.0;
    }
    let is_sure = |level: &f64| FEW <= part || chance_of(part, whole, *level) <= CHANCE_MAX;
    let levels = core::iter::successors(Some(low), |level| Some(level * 0.875));
    let mut levels = levels.take(LEVELS_MAX);
    levels.find(is_sure).unwrap_or(0.0)
}

/// Levels that are looked at: the fewest cases need fifteen of them.
const LEVELS_MAX: usize = 24;
/// From so many cases on the normal approximation behind Wilson's interval is good.
const FEW: u64 = 30;
/// The chance to be three standard deviations above the mean of a normal distribution.
const CHANCE_MAX: f64 = 0.001_35;

/// The chance of `part` or more of `whole`, when each has the chance `level`.
#[expect(
    clippy::cast_precision_loss,
    reason = "few cases; and of wholes above 2^52 the chance is the same"
)]
fn chance_of(part: u64, whole: u64, level: f64) -> f64 {
    let mut term = (1.0 - level).powf(whole as f64);
    let mut fewer = 0.0;
    for cases in 0..part {
        fewer += term;
        let left = whole.saturating_sub(cases) as f64;
        term *= left / (cases + 1) as f64 * level / (1.0 - level);
    }
    1.0 - fewer
}
