//! How long requests are held back.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::InvalidFault;
use crate::{Share, whole_millis};

/// How long a request is held back. Positive and at most [`Delay::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "How long a request is held back, in milliseconds.")
)]
#[cfg_attr(feature = "schema", schemars(extend("minimum" = 1, "maximum" = 10_000)))]
#[serde(try_from = "u64", into = "u64")]
pub struct Delay(Duration);

impl Delay {
    /// Stands for what cannot be read.
    pub(crate) const fn unread() -> Self {
        Self(Self::MAX)
    }

    /// Envoy's default route timeout (`RouteAction.timeout`) is 15 s; stay below it.
    pub const MAX: Duration = Duration::from_secs(10);

    /// The delay of `duration`.
    ///
    /// # Errors
    ///
    /// When it is zero or above [`Delay::MAX`].
    pub fn parse(duration: Duration) -> Result<Self, InvalidFault> {
        if duration.is_zero() {
            Err(InvalidFault::DelayZero)
        } else if Self::MAX < duration {
            Err(InvalidFault::DelayTooLong { given: duration })
        } else {
            Ok(Self(duration))
        }
    }

    /// How long.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// How long, in whole milliseconds.
    #[must_use]
    pub fn millis(self) -> u64 {
        whole_millis(self.0)
    }
}

impl TryFrom<u64> for Delay {
    type Error = InvalidFault;

    fn try_from(millis: u64) -> Result<Self, InvalidFault> {
        Self::parse(Duration::from_millis(millis))
    }
}

impl From<Delay> for u64 {
    fn from(delay: Delay) -> Self {
        delay.millis()
    }
}

/// How the delays of a fault are spread. Whatever it says, a delay is at most [`Delay::MAX`]:
/// what would be longer is that long.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        description = "How the delays of a fault are spread. What would be longer than 10 s is that long."
    )
)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DelaySpread {
    /// Always the same, in milliseconds.
    #[serde(rename = "fixed_ms")]
    Fixed(Delay),
    /// Between two bounds, each length as likely.
    Uniform {
        /// The shortest, in milliseconds.
        #[cfg_attr(feature = "schema", schemars(range(max = 9_999)))]
        min_ms: u32,
        /// The longest, in milliseconds; more than the shortest.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
        max_ms: u32,
    },
    /// As waits between independent events are: `-mean * ln(1 - p)`.
    Exponential {
        /// The mean, in milliseconds.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
        mean_ms: u32,
    },
    /// With a heavy tail: `scale / (1 - p)^(1 / shape)`.
    Pareto {
        /// The shortest, in milliseconds.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
        scale_ms: u32,
        /// The smaller, the heavier the tail.
        shape: Shape,
    },
    /// By quantiles `[share, ms]`, straight lines in between: this share of delays is at most that long.
    /// Shares below the first have its delay, those above the last its.
    Quantiles(
        #[cfg_attr(feature = "schema", schemars(length(min = 1, max = DelaySpread::ENTRIES_MAX)))]
        #[cfg_attr(
            feature = "schema",
            schemars(transform = crate::schema::pairs((0, 10_000), (0, 10_000)))
        )]
        Vec<(Share, u32)>,
    ),
    /// By counts `[longest ms, count]`, spread evenly within each; the first begins at zero.
    Histogram(
        #[cfg_attr(feature = "schema", schemars(length(min = 1, max = DelaySpread::ENTRIES_MAX)))]
        #[cfg_attr(
            feature = "schema",
            schemars(transform = crate::schema::pairs((1, 10_000), (0, u32::MAX)))
        )]
        Vec<(u32, u32)>,
    ),
}

/// The exponent of a Pareto distribution, in thousandths, 0.5 to 100.
///
/// From 0.5 on the quantiles are known well enough from a table ([`DelaySpread`]); below it, more
/// than one in a hundred delays would be ten thousand times the scale and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "The exponent of a Pareto distribution.")
)]
#[cfg_attr(feature = "schema", schemars(extend("minimum" = 0.5, "maximum" = 100)))]
#[serde(try_from = "f64", into = "f64")]
pub struct Shape(u32);

/// Why a number is not a [`Shape`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidShape {
    /// As given, in thousandths: to write a fraction takes as much code as all the rest of a refusal.
    thousandths: i64,
}

impl core::error::Error for InvalidShape {}

impl core::fmt::Display for InvalidShape {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (whole, part) = (self.thousandths / 1_000, (self.thousandths % 1_000).abs());
        write!(
            formatter,
            "shape is {whole}.{part:03}; it must be from 0.5 to 100"
        )
    }
}

impl Shape {
    /// Stands for what cannot be read.
    pub(crate) const fn unread() -> Self {
        Self(1_000)
    }

    /// The exponent, in thousandths.
    #[must_use]
    pub const fn thousandths(self) -> u32 {
        self.0
    }
}

impl TryFrom<f64> for Shape {
    type Error = InvalidShape;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to lie between 500 and 100,000 first; what is refused is held at the bounds"
    )]
    fn try_from(given: f64) -> Result<Self, InvalidShape> {
        if (0.5..=100.0).contains(&given) {
            Ok(Self((given * 1_000.0 + 0.5) as u32))
        } else {
            Err(InvalidShape {
                thousandths: (given * 1_000.0) as i64,
            })
        }
    }
}

impl From<Shape> for f64 {
    fn from(shape: Shape) -> Self {
        Self::from(shape.0) / 1_000.0
    }
}

impl DelaySpread {
    /// Entries of a table: more detail than people or histograms of latencies give.
    pub const ENTRIES_MAX: usize = 64;

    /// Checks what the type alone does not hold.
    ///
    /// # Errors
    ///
    /// Names the first field that is wrong.
    pub fn check(&self) -> Result<(), InvalidFault> {
        match self {
            Self::Fixed(_) => Ok(()),
            Self::Uniform { min_ms, max_ms } => {
                millis("delay.uniform.max_ms", *max_ms, 1)?;
                let max = u64::from(*max_ms).saturating_sub(1);
                bound("delay.uniform.min_ms", u64::from(*min_ms), 0, max)
            }
            Self::Exponential { mean_ms } => millis("delay.exponential.mean_ms", *mean_ms, 1),
            Self::Pareto { scale_ms, .. } => millis("delay.pareto.scale_ms", *scale_ms, 1),
            Self::Quantiles(table) => {
                let field = "delay.quantiles";
                for (_, delay_ms) in table {
                    millis(field, *delay_ms, 0)?;
                }
                let rises = |pair: &[(Share, u32)]| match pair {
                    [(share, delay), (next_share, next)] => share < next_share && delay <= next,
                    _ => true,
                };
                let longest = table.last().map_or(0, |(_, delay)| *delay);
                entries(field, table.len(), table.windows(2).all(rises), longest)
            }
            Self::Histogram(table) => {
                let field = "delay.histogram";
                for (delay_ms, _) in table {
                    millis(field, *delay_ms, 1)?;
                }
                let rises = |pair: &[(u32, u32)]| match pair {
                    [(delay, _), (next, _)] => delay < next,
                    _ => true,
                };
                let count = table.iter().map(|(_, count)| *count).max();
                entries(
                    field,
                    table.len(),
                    table.windows(2).all(rises),
                    count.unwrap_or(0),
                )
            }
        }
    }
}

/// A table with a good number of entries that rise, of which at least one says something.
fn entries(
    field: &'static str,
    given: usize,
    rises: bool,
    greatest: u32,
) -> Result<(), InvalidFault> {
    let max = DelaySpread::ENTRIES_MAX;
    if max < given {
        Err(InvalidFault::TooMany { field, given, max })
    } else if !rises {
        let problem = "entries are out of order; each must be above the one before";
        Err(InvalidFault::Spread { field, problem })
    } else if greatest == 0 {
        let problem = "no entry is positive; at least one must be";
        Err(InvalidFault::Spread { field, problem })
    } else {
        Ok(())
    }
}

fn millis(field: &'static str, given: u32, min: u64) -> Result<(), InvalidFault> {
    const MAX_MS: u64 = whole_millis(Delay::MAX);
    bound(field, given.into(), min, MAX_MS)
}

/// Whether `given` lies between its bounds, both of which may be.
pub(super) fn bound(
    field: &'static str,
    given: u64,
    min: u64,
    max: u64,
) -> Result<(), InvalidFault> {
    if (min..=max).contains(&given) {
        Ok(())
    } else {
        Err(InvalidFault::Bound {
            field,
            given,
            min,
            max,
        })
    }
}
