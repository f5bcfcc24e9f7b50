//! How time is cut into slices, and what makes a slice good.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sloop_model::WallTime;

use super::Counts;

/// The slices that an objective is budgeted by (OpenSLO v1, `budgetingMethod`).
///
/// Slices are cut at whole multiples of their length since the Unix epoch. One in
/// which no request was counted is neither good nor bad: it is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Slicing {
    minutes: u32,
    /// In billionths, `1..=WHOLE`. Nothing when each slice counts with its ratio.
    target: Option<u32>,
}

/// Why time cannot be cut so.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum InvalidSlicing {
    /// No time at all, or longer than counts are kept.
    #[error("a slice has {given} minutes; it must have 1 to {max}", max = Slicing::MINUTES_MAX)]
    Length {
        /// Minutes, as given.
        given: u64,
    },
    /// Every slice would be good, or none.
    #[error("a slice's target is {given}; it must be above 0 and at most 1")]
    Target {
        /// As given.
        given: f64,
    },
}

/// As it is stored.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    minutes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<u32>,
}

impl Slicing {
    /// The longest slice in minutes: counts are kept for 90 days.
    pub const MINUTES_MAX: u32 = 90 * 24 * 60;
    /// What a slice that counts with its ratio is worth, and the whole of a target: ratios are kept in billionths.
    pub(crate) const WHOLE: u32 = 1_000_000_000;

    /// Slices of `length`, each good when at least `target` of its requests were: OpenSLO's
    /// `Timeslices`. `target` is rounded to billionths.
    ///
    /// # Errors
    ///
    /// When `length` is below a minute or above 90 days, or `target` not in `0.0..=1.0` or zero.
    pub fn whole(length: Duration, target: f64) -> Result<Self, InvalidSlicing> {
        let minutes = minutes(length)?;
        let billionths = (target * f64::from(Self::WHOLE)).round();
        if !(1.0..=f64::from(Self::WHOLE)).contains(&billionths) {
            return Err(InvalidSlicing::Target { given: target });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to lie in 1..=WHOLE"
        )]
        let target = Some(billionths as u32);
        Ok(Self { minutes, target })
    }

    /// Slices of `length`, each worth its share of good requests: OpenSLO's `RatioTimeslices`.
    ///
    /// # Errors
    ///
    /// When `length` is below a minute or above 90 days.
    pub fn ratio(length: Duration) -> Result<Self, InvalidSlicing> {
        Ok(Self {
            minutes: minutes(length)?,
            target: None,
        })
    }

    /// The length of a slice.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_secs(u64::from(self.minutes) * 60)
    }

    /// The time of as many slices as are begun in `length`, at least one.
    pub(crate) fn whole_slices(&self, length: Duration) -> Duration {
        let slices = length.as_secs().div_ceil(self.length().as_secs()).max(1);
        Duration::from_secs(slices.saturating_mul(self.length().as_secs()))
    }

    /// The share of a slice's requests that must be good for it to be good, above 0 and at
    /// most 1; nothing when each slice counts with its ratio. A breaker that defends the
    /// budget has to keep slices above it, not single requests.
    #[must_use]
    pub fn target(&self) -> Option<f64> {
        let target = f64::from(self.target?);
        Some(target / f64::from(Self::WHOLE))
    }

    /// What one slice is worth in the counts that slices add up to.
    pub(crate) const fn worth(&self) -> u64 {
        match self.target {
            Some(_) => 1,
            None => Self::WHOLE as u64,
        }
    }

    /// The number of the slice that `at` lies in.
    pub(super) const fn number(&self, at: WallTime) -> u64 {
        at.as_millis() / self.length_ms()
    }

    /// When slice `number` begins.
    pub(super) const fn start(&self, number: u64) -> WallTime {
        WallTime::from_millis(number.saturating_mul(self.length_ms()))
    }

    /// The last millisecond of slice `number`: it tells which cell of time the slice is counted in.
    pub(super) const fn last_ms(&self, number: u64) -> u64 {
        number.saturating_add(1).saturating_mul(self.length_ms()) - 1
    }

    pub(super) const fn length_ms(&self) -> u64 {
        self.minutes as u64 * 60_000
    }

    /// How many of the newest slices can still change: those of the last six hours, at least two.
    pub(super) const fn open_to_late(&self) -> usize {
        const SIX_HOURS: u32 = 6 * 60;
        let slices = SIX_HOURS.div_ceil(self.minutes) as usize + 1;
        if slices < 2 { 2 } else { slices }
    }

    /// A moment for each place among the newest slices.
    pub(super) fn starts(self) -> impl Iterator<Item = WallTime> {
        (0..self.open_to_late() as u64).map(move |number| self.start(number))
    }

    /// The place among the newest slices of the one that begins at `start`.
    pub(super) const fn slot(&self, start: WallTime) -> u64 {
        self.number(start) % self.open_to_late() as u64
    }

    /// What a slice in which `counts` were counted adds: `total` is its worth, `good` how much of that was good.
    pub(super) fn score(&self, counts: Counts) -> Counts {
        if counts.total == 0 {
            return Counts::default();
        }
        let (good, total) = (u128::from(counts.good), u128::from(counts.total));
        let whole = u128::from(Self::WHOLE);
        match self.target {
            Some(target) => Counts {
                total: 1,
                good: u64::from(u128::from(target) * total <= good * whole),
            },
            None => Counts {
                total: Self::WHOLE.into(),
                good: u64::try_from(good * whole / total).unwrap_or(Self::WHOLE.into()),
            },
        }
    }
}

impl TryFrom<Written> for Slicing {
    type Error = InvalidSlicing;

    fn try_from(written: Written) -> Result<Self, InvalidSlicing> {
        let length = Duration::from_secs(u64::from(written.minutes) * 60);
        match written.target {
            Some(target) => Self::whole(length, f64::from(target) / f64::from(Self::WHOLE)),
            None => Self::ratio(length),
        }
    }
}

impl From<Slicing> for Written {
    fn from(slicing: Slicing) -> Self {
        Self {
            minutes: slicing.minutes,
            target: slicing.target,
        }
    }
}

/// Whole minutes: OpenSLO has no shorter unit.
fn minutes(length: Duration) -> Result<u32, InvalidSlicing> {
    let given = length.as_secs() / 60;
    u32::try_from(given)
        .ok()
        .filter(|minutes| (1..=Slicing::MINUTES_MAX).contains(minutes))
        .ok_or(InvalidSlicing::Length { given })
}
