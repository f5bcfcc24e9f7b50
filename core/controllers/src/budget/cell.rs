//! What is kept of the counts, and what a store must keep so that a restart loses nothing.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sloop_model::{ObjectiveId, WallTime};

use super::{Level, Slicing, Spent, SpentBy};
use crate::{AlertKind, AlertTelling, ScopeTotals};

/// Requests, and those among them that were good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// All requests.
    pub total: u64,
    /// Those that were good, at most `total`.
    pub good: u64,
}

impl Counts {
    /// Those that were not good.
    #[must_use]
    pub const fn bad(&self) -> u64 {
        self.total.saturating_sub(self.good)
    }

    /// The same with no more good ones than there are: what the wire says is not trusted.
    pub(crate) const fn held(self) -> Self {
        if self.total < self.good {
            Self {
                total: self.total,
                good: self.total,
            }
        } else {
            self
        }
    }

    /// What was counted in the first `part` of a time of length `whole`, when spread evenly over
    /// it: good and bad requests each in whole ones.
    pub(crate) fn until(self, part: u64, whole: u64) -> Self {
        let share = |amount: u64| {
            let share = u128::from(amount) * u128::from(part) / u128::from(whole.max(1));
            u64::try_from(share).unwrap_or(amount)
        };
        let good = share(self.good);
        Self {
            total: good + share(self.bad()),
            good,
        }
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            total: self.total.saturating_add(other.total),
            good: self.good.saturating_add(other.good),
        }
    }

    pub(crate) const fn minus(self, other: Self) -> Self {
        Self {
            total: self.total.saturating_sub(other.total),
            good: self.good.saturating_sub(other.good),
        }
    }
}

/// How much time one cell of a ring covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// For the last five minutes.
    Second,
    /// For the last six hours.
    Minute,
    /// For the last 90 days.
    Hour,
    /// For the last 400 days, in UTC.
    Day,
}

/// One piece of what the world knows, to be stored under [`Cell::key`], replacing what was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// What an objective counted in one cell of time.
    Budget {
        /// Whose counts these are.
        objective: ObjectiveId,
        /// How long the cell is.
        resolution: Resolution,
        /// When it begins.
        start: WallTime,
        /// What was counted in it.
        counts: Counts,
        /// Seconds of it that somebody reported on.
        known_s: u32,
    },
    /// What an objective counted from the beginning of its window, within an hour, to the next whole hour.
    Beginning {
        /// Whose counts these are.
        objective: ObjectiveId,
        /// When its window began.
        start: WallTime,
        /// What was counted.
        counts: Counts,
        /// Seconds of it that somebody reported on.
        known_s: u32,
    },
    /// What the slices of an objective that ended in one cell of time add up to.
    Slices {
        /// Whose slices these are.
        objective: ObjectiveId,
        /// How they are cut.
        slicing: Slicing,
        /// How long the cell is.
        resolution: Resolution,
        /// When it begins.
        start: WallTime,
        /// How many slices, and how many of them were good; in billionths of slices where each counts with its ratio.
        sum: Counts,
    },
    /// What was counted in one slice that a late report may still change.
    Slice {
        /// Whose slice it is.
        objective: ObjectiveId,
        /// How they are cut.
        slicing: Slicing,
        /// When it begins.
        start: WallTime,
        /// What was counted in it.
        counts: Counts,
        /// Whether it is over, and so among [`Cell::Slices`].
        is_over: bool,
    },
    /// What all spenders spent of an objective's budget in one cell of time: in one piece, as each bad request has several.
    Spending {
        /// Whose budget it is.
        objective: ObjectiveId,
        /// How long the cell is.
        level: Level,
        /// When it begins.
        start: WallTime,
        /// Who spent how much; whoever spent nothing is left out.
        spent: Vec<Spent>,
    },
    /// What one of them spent, as a store of before has it. Nothing is written so.
    Spent {
        /// Whose budget it is.
        objective: ObjectiveId,
        /// What the name is.
        by: SpentBy,
        /// Who spent it.
        name: String,
        /// How long the cell is.
        level: Level,
        /// When it begins.
        start: WallTime,
        /// Bad requests.
        bad: u64,
    },
    /// What happened on a scope since counting began.
    Scope(Box<ScopeTotals>),
    /// An alert that people are told of, so that they are told of its end, too.
    Alert {
        /// Of which objective.
        objective: ObjectiveId,
        /// What it is about.
        kind: AlertKind,
        /// Of which policy.
        policy: String,
        /// When it began.
        since: WallTime,
        /// When it ended; nothing while it fires.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<WallTime>,
        /// How people are told of it; a store may have alerts of before this was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        telling: Option<Box<AlertTelling>>,
    },
    /// An alert that was withdrawn while it fired, of which people are told that it is over.
    Withdrawn {
        /// Of which objective.
        objective: ObjectiveId,
        /// What it was about.
        kind: AlertKind,
        /// Of which policy.
        policy: String,
        /// When it began.
        since: WallTime,
        /// When it was withdrawn.
        until: WallTime,
        /// How people are told of it.
        telling: Box<AlertTelling>,
    },
}

impl Cell {
    /// When the cell of time begins that it is about; the epoch for what is about none.
    #[must_use]
    pub fn start(&self) -> WallTime {
        match self {
            Self::Budget { start, .. }
            | Self::Beginning { start, .. }
            | Self::Slices { start, .. }
            | Self::Slice { start, .. }
            | Self::Spending { start, .. }
            | Self::Spent { start, .. } => *start,
            Self::Scope(_) | Self::Alert { .. } | Self::Withdrawn { .. } => WallTime::default(),
        }
    }

    /// Where to store it. The number of keys is bounded: a cell takes the place of the one that left its ring.
    #[must_use]
    pub fn key(&self) -> String {
        let of = |kind: &str, one: &ObjectiveId| format!("{kind}\n{}\n{}", one.slo, one.index);
        match self {
            Self::Budget {
                objective,
                resolution,
                start,
                ..
            } => of("budget", objective) + &place(resolution, resolution.slot(*start)),
            Self::Beginning { objective, .. } => of("beginning", objective),
            Self::Slices {
                objective,
                resolution,
                start,
                ..
            } => of("slices", objective) + &place(resolution, resolution.slot(*start)),
            Self::Slice {
                objective,
                slicing,
                start,
                ..
            } => {
                let slot = slicing.slot(*start);
                format!("{}\n{slot}", of("slice", objective))
            }
            Self::Spending {
                objective,
                level,
                start,
                ..
            } => of("spending", objective) + &place(level, level.slot(*start)),
            Self::Spent {
                objective,
                by,
                name,
                level,
                start,
                ..
            } => {
                let slot = level.slot(*start);
                // The name is last, since it may hold anything.
                let of = of("spent", objective);
                format!("{of}\n{by:?}\n{level:?}\n{slot}\n{name}")
            }
            Self::Scope(totals) => {
                let scope = &totals.scope;
                format!("scope\n{}\n{}\n{}", scope.service, scope.route, scope.side)
            }
            Self::Alert {
                objective,
                kind,
                policy,
                ..
            } => {
                // The name is last, since it may hold anything.
                format!("{}\n{kind:?}\n{policy}", of("alert", objective))
            }
            Self::Withdrawn {
                objective,
                kind,
                policy,
                until,
                ..
            } => {
                // The name is last, since it may hold anything.
                let (of, until) = (of("withdrawn", objective), until.as_millis());
                format!("{of}\n{kind:?}\n{until}\n{policy}")
            }
        }
    }
}

/// The end of the key of a cell of time: how long it is, called as in Rust, and its place among those.
fn place(length: &impl core::fmt::Debug, slot: u64) -> String {
    format!("\n{length:?}\n{slot}")
}

impl Resolution {
    /// All of them, finest first.
    pub(crate) const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// The finest whose ring holds a window of `length`; of windows beyond 400 days only the last 400 are held.
    pub(crate) fn for_window(length: Duration) -> Self {
        Self::ALL
            .into_iter()
            .find(|resolution| length <= Duration::from_millis(resolution.window_max_ms()))
            .unwrap_or(Self::Day)
    }

    /// Whether a window of so many milliseconds is read from its ring, or a finer one.
    pub(crate) const fn holds(self, length_ms: u64) -> bool {
        length_ms <= self.window_max_ms()
    }

    const fn window_max_ms(self) -> u64 {
        self.cell_ms() * (self.cells() - 1)
    }

    /// The length of a cell in milliseconds.
    #[must_use]
    pub const fn cell_ms(self) -> u64 {
        match self {
            Self::Second => 1_000,
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// How many cells a ring has: the windows that are read from it, and one more that is only begun.
    #[must_use]
    pub const fn cells(self) -> u64 {
        match self {
            Self::Second => 301,
            Self::Minute => 361,
            Self::Hour => 90 * 24 + 1,
            Self::Day => 400 + 1,
        }
    }

    /// A moment for each place in a ring.
    pub(super) fn starts(self) -> impl Iterator<Item = WallTime> {
        (0..self.cells()).map(move |slot| WallTime::from_millis(slot * self.cell_ms()))
    }

    /// The place in a ring of the cell that `at` falls into.
    const fn slot(self, at: WallTime) -> u64 {
        at.as_millis() / self.cell_ms() % self.cells()
    }
}
