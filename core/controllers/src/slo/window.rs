//! The time that an SLO's error budget is for.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sloop_model::WallTime;

use super::intent::BudgetingMethod;
use crate::budget::Resolution;
use crate::words::Length;

/// The time that an error budget is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SloWindow {
    /// The time up to now, of this length in milliseconds. Requests are kept for 400 days, slices of time for 90; of a longer window only those are known.
    Rolling(u64),
    /// From one moment of the calendar to the next. Whoever reads the document knows
    /// time zones and lists the moments; this crate only compares them.
    Calendar {
        /// How a person would say it, as `1 month, Europe/Paris`.
        text: String,
        /// When windows begin, ascending, at least one. The last one never ends.
        starts: Vec<WallTime>,
    },
    /// From one moment to the next, always equally far apart: calendar windows of minutes and
    /// hours, which no time zone makes longer or shorter.
    Fixed {
        /// How a person would say it, as `6h from 2026-01-01T00:00:00, Europe/Paris`.
        text: String,
        /// When the first window begins.
        from: WallTime,
        /// Their length in milliseconds.
        length_ms: core::num::NonZeroU64,
    },
}

impl SloWindow {
    /// As long as requests are kept.
    const KEPT: Duration = Duration::from_secs(400 * 86_400);
    /// As long as slices of time are.
    const SLICES_KEPT: Duration = Duration::from_secs(90 * 86_400);
    /// The shortest window that a ring of seconds can tell.
    const SHORTEST: Duration = Duration::from_secs(5);
    /// A calendar window that never ends is judged like the workbook's.
    const USUAL: Duration = Duration::from_secs(30 * 86_400);

    /// When the window that `now` lies in began; nothing before the first one.
    pub(crate) fn start(&self, now: WallTime) -> Option<WallTime> {
        match self {
            Self::Rolling(_) => Some(now.before(self.length(now))),
            Self::Calendar { starts, .. } => {
                starts.iter().rev().find(|start| **start <= now).copied()
            }
            Self::Fixed {
                from, length_ms, ..
            } => {
                let length_ms = length_ms.get();
                let past = now.as_millis().checked_sub(from.as_millis())?;
                let begun = from.as_millis() + past / length_ms * length_ms;
                Some(WallTime::from_millis(begun))
            }
        }
    }

    /// When the window that `now` lies in began, where that moment stays until it ends; nothing for a rolling one, and for one
    /// that is never so long that it is not known by the minute.
    pub(crate) fn begun(&self, now: WallTime) -> Option<WallTime> {
        match self {
            Self::Rolling(_) => None,
            Self::Fixed { length_ms, .. } if Resolution::Minute.holds(length_ms.get()) => None,
            Self::Calendar { .. } | Self::Fixed { .. } => self.start(now),
        }
    }

    /// When the window that `now` lies in ends; nothing for one that never does, and before the first one.
    pub(crate) fn end(&self, now: WallTime) -> Option<WallTime> {
        match self {
            Self::Rolling(_) => None,
            Self::Calendar { starts, .. } => {
                self.start(now)?;
                starts.iter().find(|start| now < **start).copied()
            }
            Self::Fixed { length_ms, .. } => {
                let length = Duration::from_millis(length_ms.get());
                Some(self.start(now)?.after(length))
            }
        }
    }

    /// The whole length of the window that `now` lies in, as far as counts are kept.
    pub(crate) fn length(&self, now: WallTime) -> Duration {
        let length = match self {
            Self::Rolling(_) => self.declared(),
            Self::Calendar { .. } => match (self.start(now), self.end(now)) {
                (Some(start), Some(end)) => end.since(start),
                (None, _) | (_, None) => Self::USUAL,
            },
            Self::Fixed { length_ms, .. } => Duration::from_millis(length_ms.get()),
        };
        length.clamp(Self::SHORTEST, Self::KEPT)
    }

    /// For how many days counts are kept, when a window may be longer: then what was spent at its beginning is not
    /// known at its end. Nothing when none is.
    #[must_use]
    pub fn outlasts(&self, budgeting: BudgetingMethod) -> Option<u64> {
        let kept = match budgeting {
            BudgetingMethod::Occurrences => Self::KEPT,
            BudgetingMethod::Timeslices | BudgetingMethod::RatioTimeslices => Self::SLICES_KEPT,
        };
        let is_longer = match self {
            Self::Rolling(_) => kept < self.declared(),
            Self::Calendar { starts, .. } => {
                let mut windows = starts.iter().zip(starts.iter().skip(1));
                windows.any(|(start, end)| kept < end.since(*start))
            }
            Self::Fixed { length_ms, .. } => kept < Duration::from_millis(length_ms.get()),
        };
        is_longer.then_some(kept.as_secs() / 86_400)
    }

    /// The length as declared; zero for a calendar window, which has none of its own.
    pub(crate) const fn declared(&self) -> Duration {
        match self {
            Self::Rolling(length_ms) => Duration::from_millis(*length_ms),
            Self::Calendar { .. } | Self::Fixed { .. } => Duration::ZERO,
        }
    }
}

impl core::fmt::Display for SloWindow {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Rolling(_) => write!(formatter, "rolling {}", Length(self.declared())),
            Self::Calendar { text, .. } | Self::Fixed { text, .. } => formatter.write_str(text),
        }
    }
}
