//! Latency as a whole: quantiles with bands that hold at all times.
//!
//! S. R. Howard and A. Ramdas, "Sequential estimation of quantiles with applications to A/B testing
//! and best-arm identification", Bernoulli 28(3), 2022: with
//! `l(t) = (1.4 ln ln(2.1 t) + ln(10 / alpha)) / t` and `f(p) = 1.5 sqrt(p (1 - p) l(t)) + 0.8 l(t)`,
//! the quantile `p` lies between the empirical quantiles `p - f(p)` and `p + f(p)` at all `t`, with a
//! chance of at least `1 - alpha`. Several quantiles share `alpha` evenly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ALPHA;

/// A quantile of the latencies of an arm. An end of the band is absent where too few were seen to bound it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuantileBand {
    /// Which quantile, as 0.5 for the median.
    pub quantile: f64,
    /// As seen, in microseconds.
    pub us: u64,
    /// It is surely not below this.
    pub low_us: Option<u64>,
    /// It is surely not above this.
    pub high_us: Option<u64>,
}

/// The quantiles that people ask for.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

/// The quantiles of latencies (microseconds and how many requests had them); empty when there are none.
pub(in super::super) fn bands(latencies: &BTreeMap<u64, u64>) -> Vec<QuantileBand> {
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
    let count = latencies
        .values()
        .fold(0_u64, |sum, n| sum.saturating_add(*n)) as f64;
    if count == 0.0 {
        return Vec::new();
    }
    QUANTILES
        .into_iter()
        .filter_map(|quantile| {
            let half = half_width(quantile, count);
            Some(QuantileBand {
                quantile,
                us: at(latencies, quantile * count)?,
                low_us: (half < quantile)
                    .then(|| at(latencies, (quantile - half) * count))
                    .flatten(),
                high_us: (quantile + half < 1.0)
                    .then(|| at(latencies, (quantile + half) * count))
                    .flatten(),
            })
        })
        .collect()
}

/// Half of the band of a quantile after `count` latencies, as a share of requests.
pub(super) fn half_width(quantile: f64, count: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "four quantiles")]
    let alpha = ALPHA / QUANTILES.len() as f64;
    let level =
        (1.4 * (2.1 * count).max(core::f64::consts::E).ln().ln() + (10.0 / alpha).ln()) / count;
    1.5 * (quantile * (1.0 - quantile) * level).sqrt() + 0.8 * level
}

/// The latency that `rank` requests are at most as slow as.
fn at(latencies: &BTreeMap<u64, u64>, rank: f64) -> Option<u64> {
    let mut below = 0.0;
    for (us, count) in latencies {
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
        let count = *count as f64;
        below += count;
        if rank <= below {
            return Some(*us);
        }
    }
    latencies.last_key_value().map(|(us, _)| *us)
}
