//! Delays drawn from a distribution: one lookup in a table of its quantiles.
//!
//! The table is made when a configuration arrives, with integers alone, and
//! asked with a uniform word when a fault is injected. Between its knots it is
//! a straight line, which is exact for fixed, uniform and empirical delays.
//! Exponential and Pareto delays have a knot at every 1/32 (the first half) or
//! 1/16 of each halving of the share of longer delays, down to 2^-16.
//!
//! Error against the exact quantile function, by the bound of linear
//! interpolation `h^2/8 * max |f''|`: Pareto at most 0.3 % (at shape 0.5, less above it);
//! exponential at most 0.5 %, but for the shortest 3 % of delays, where it is at most 1.6 % of
//! what is next to nothing. Delays beyond the quantile `1 - 2^-16` are as long as that one.

use core::time::Duration;

use sloop_model::{Delay, DelaySpread, Share};

/// `ln(32 / (32 - j))` for `j` from 0 to 15, in billionths.
const LN: [u64; 16] = [
    0,
    31_748_698,
    64_538_521,
    98_440_073,
    133_531_393,
    169_899_037,
    207_639_365,
    246_860_078,
    287_682_072,
    330_241_687,
    374_693_449,
    421_213_465,
    470_003_629,
    521_296_924,
    575_364_145,
    632_522_559,
];
/// `ln(2)` in billionths.
const LN_2: u64 = 693_147_181;
const BILLION: u64 = 1_000_000_000;
/// Halvings of the share of longer delays; 2^-16 is beyond what any experiment has requests for.
const OCTAVES: u32 = 16;

/// The quantiles of a distribution of delays.
#[derive(Clone, Debug)]
pub(crate) struct Quantiles {
    /// Shares of shorter delays, in parts of 2^32, and the delay in microseconds; both ascend.
    knots: Box<[(u32, u32)]>,
}

impl Quantiles {
    pub(crate) fn of(spread: &DelaySpread) -> Self {
        let knots = match spread {
            DelaySpread::Fixed(delay) => vec![(0, micros(delay.millis() * 1_000))],
            DelaySpread::Uniform { min_ms, max_ms } => {
                vec![(0, of_millis(*min_ms)), (u32::MAX, of_millis(*max_ms))]
            }
            DelaySpread::Exponential { mean_ms } => {
                let mean = u64::from(*mean_ms) * 1_000;
                // At most 10^7 microseconds times 11.1 billion.
                halvings(|nats| micros(mean * nats / BILLION))
            }
            DelaySpread::Pareto { scale_ms, shape } => {
                let shape = u64::from(shape.thousandths()).max(1);
                halvings(|nats| stretched(*scale_ms, nats * 1_000 / shape))
            }
            DelaySpread::Quantiles(table) => table
                .iter()
                .map(|(share, delay_ms)| {
                    (
                        part(u16::from(*share).into(), u16::from(Share::WHOLE).into()),
                        of_millis(*delay_ms),
                    )
                })
                .collect(),
            DelaySpread::Histogram(table) => cumulated(table),
        };
        Self {
            knots: knots.into_boxed_slice(),
        }
    }

    /// The delay that `word`, uniform over all, stands for.
    pub(crate) fn delay(&self, word: u64) -> Duration {
        let [a, b, c, d, ..] = word.to_be_bytes();
        let micros = self.micros(u32::from_be_bytes([a, b, c, d]));
        Duration::from_micros(micros).min(Delay::MAX)
    }

    /// The quantile `part`, in parts of 2^32.
    fn micros(&self, part: u32) -> u64 {
        let above = self.knots.partition_point(|(at, _)| *at <= part);
        let below = above.checked_sub(1).and_then(|at| self.knots.get(at));
        match (below, self.knots.get(above)) {
            (Some((from, low)), Some((to, high))) => {
                let rise = u64::from(high.saturating_sub(*low));
                let run = u64::from(to.saturating_sub(*from)).max(1);
                u64::from(*low) + rise * u64::from(part.saturating_sub(*from)) / run
            }
            (Some((_, micros)), None) | (None, Some((_, micros))) => u64::from(*micros),
            (None, None) => 0,
        }
    }
}

/// Knots at `1 - p = (32 - j) / 32 * 2^-octave`; `delay` gets `-ln(1 - p)` in billionths.
fn halvings(delay: impl Fn(u64) -> u32) -> Vec<(u32, u32)> {
    let mut knots = Vec::with_capacity(257);
    let mut knot = |left: u32, nats: u64| knots.push((left.wrapping_neg(), delay(nats)));
    for octave in 0..OCTAVES {
        for (j, ln) in (0u32..).zip(LN) {
            // The whole, 2^32, wraps to zero, and so does its complement.
            let left = (u64::from(32 - j) << 27 >> octave) & u64::from(u32::MAX);
            knot(
                u32::try_from(left).unwrap_or(u32::MAX),
                u64::from(octave) * LN_2 + ln,
            );
        }
    }
    knot(1 << (32 - OCTAVES), u64::from(OCTAVES) * LN_2);
    knots
}

/// `scale * e^nats` in microseconds, of `nats` in billionths.
fn stretched(scale_ms: u32, nats: u64) -> u32 {
    let (doublings, rest) = (nats / LN_2, nats % LN_2);
    // Taylor's series of e^rest; below 0.7^14 / 14! nothing is left of a billionth.
    let (mut sum, mut term) = (BILLION, BILLION);
    for n in 1..14 {
        term = term * rest / BILLION / n;
        sum += term;
    }
    // At most 10^7 microseconds times 2 billion: below 2^55.
    let billionths = u64::from(scale_ms) * 1_000 * sum;
    if u64::from(billionths.leading_zeros()) <= doublings {
        return micros(u64::MAX);
    }
    micros((billionths << doublings) / BILLION)
}

/// The quantiles of a histogram of `(longest ms, count)`.
fn cumulated(table: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let total = table.iter().map(|(_, count)| u64::from(*count)).sum();
    let mut knots = vec![(0, 0)];
    let mut below = 0;
    for (delay_ms, count) in table {
        // Without a count it is a jump: the next one that has a count begins here.
        below += u64::from(*count);
        knots.push((part(below, total), of_millis(*delay_ms)));
    }
    knots
}

/// `share` of `whole` in parts of 2^32; the whole itself is the last part.
fn part(share: u64, whole: u64) -> u32 {
    let parts = (share << 32).checked_div(whole).unwrap_or(0);
    u32::try_from(parts).unwrap_or(u32::MAX)
}

fn of_millis(millis: u32) -> u32 {
    micros(u64::from(millis) * 1_000)
}

/// What is longer than 32 bits can say, 71 minutes, is far beyond the longest delay.
fn micros(given: u64) -> u32 {
    u32::try_from(given).unwrap_or(u32::MAX)
}
