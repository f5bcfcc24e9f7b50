//! Who spent an objective's budget: bad requests by route, sidecar, version, caller, origin and journey.
//!
//! Only bad requests are kept, so what is well costs nothing. Each spender has a trail of cells in
//! which it spent, in three resolutions ([`Level`]), so a window of any length is a sum over at most
//! 181 of them. Bounds:
//! - A window begins at the start of a cell: it is longer than asked by less than 10 s (up to
//!   5 min), 5 min (up to 6 h) or 12 h (up to 90 days).
//! - What a report says counts at the end of its interval.
//! - Of each kind [`SPENDERS_MAX`] spenders have names; more are [`OTHER`]. One that spent nothing for
//!   six hours makes room for a newcomer, and what it spent is then part of [`OTHER`]: the sum is exact.
//! - Cells of 10 s are not stored. After a restart the shortest windows are answered by cells of
//!   five minutes until there are new ones.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sloop_model::{DimensionValue, ObjectiveId, WallTime};

use super::Cell;
use super::trail::Trail;

/// By what a budget's spending is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SpentBy {
    /// The route that was asked. Every bad request has one.
    Route,
    /// The sidecar that counted it: Envoy's node id.
    Sidecar,
    /// The version that the sidecar says its service has.
    Version,
    /// Who asked.
    Caller,
    /// Where the request entered the mesh.
    Origin,
    /// The journey that it was part of.
    Journey,
}

/// What one spender spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Spent {
    /// What the name is.
    pub by: SpentBy,
    /// The spender; `other` for those beyond the cap.
    pub name: String,
    /// Bad requests.
    pub bad: u64,
}

impl Spent {
    /// The longest window of which it is known who spent: 90 days.
    pub const KEPT: Duration = KEPT;
}

/// How much time one cell of a trail covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// 10 s, for the last five minutes.
    Seconds,
    /// 5 min, for the last six hours.
    Minutes,
    /// 12 h, for the last 90 days.
    Hours,
}

/// Spenders of one kind that have names, per objective: more than anybody reads.
pub(crate) const SPENDERS_MAX: usize = 32;
/// Stands for all others.
pub(crate) const OTHER: &str = DimensionValue::OTHER;
/// One that spent nothing for so long makes room.
const QUIET: Duration = Duration::from_secs(6 * 3_600);
/// The longest window.
const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// Who spent one objective's budget.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spending {
    trails: BTreeMap<(SpentBy, String), Trail>,
    /// Cells of time in which what anybody spent differs from what was last taken to be stored.
    changed: BTreeSet<(Level, u64)>,
    /// Cells of time of which the store has an entry for each spender, as it was before there was one for all.
    apart: BTreeSet<(Level, u64)>,
    gone: Vec<String>,
}

impl Level {
    pub(super) const ALL: [Self; 3] = [Self::Seconds, Self::Minutes, Self::Hours];
    /// Those that are stored.
    const STORED: [Self; 2] = [Self::Minutes, Self::Hours];

    pub(super) const fn cell_ms(self) -> u64 {
        match self {
            Self::Seconds => 10_000,
            Self::Minutes => 300_000,
            Self::Hours => 43_200_000,
        }
    }

    /// The cells of the windows that are read from it, and one more that is only begun.
    pub(super) const fn cells(self) -> u64 {
        match self {
            Self::Seconds => 31,
            Self::Minutes => 73,
            Self::Hours => 181,
        }
    }

    /// The finest that reaches back `length`.
    fn for_window(length: Duration) -> Self {
        Self::ALL
            .into_iter()
            .find(|level| length <= Duration::from_millis(level.cell_ms() * (level.cells() - 1)))
            .unwrap_or(Self::Hours)
    }

    /// The place in a trail of the cell that `at` falls into.
    pub(super) const fn slot(self, at: WallTime) -> u64 {
        at.as_millis() / self.cell_ms() % self.cells()
    }
}

impl Spending {
    /// Adds `bad` requests of `objective`, whose spending this is, that `name` caused at `at`.
    pub(crate) fn add(
        &mut self,
        objective: &ObjectiveId,
        (by, name): (SpentBy, &str),
        bad: u64,
        at: WallTime,
    ) {
        if bad == 0 {
            return;
        }
        let name = if self.has_room(objective, (by, name), at) {
            name
        } else {
            OTHER
        };
        let trail = self.trails.entry((by, name.to_owned())).or_default();
        for level in Level::ALL {
            let number = at.as_millis() / level.cell_ms();
            if trail.add(level, number, bad) && level != Level::Seconds {
                self.changed.insert((level, number));
            }
        }
    }

    /// What each spent in the last `length`: by kind, and then who spent most first. Who spent nothing is left out.
    pub(crate) fn spent(&self, now: WallTime, length: Duration) -> Vec<Spent> {
        let level = self.level(now, length);
        let first = now.before(length).as_millis() / level.cell_ms();
        let last = now.as_millis() / level.cell_ms();
        let spent = self.trails.iter().map(|((by, name), trail)| Spent {
            by: *by,
            name: name.clone(),
            bad: trail.between(level, first, last),
        });
        let mut spent: Vec<Spent> = spent.filter(|spent| spent.bad != 0).collect();
        spent.sort_by(|one, other| {
            (one.by, other.bad, &one.name).cmp(&(other.by, one.bad, &other.name))
        });
        spent
    }

    /// Forgets who spent nothing that any window reaches.
    pub(crate) fn forget_idle(&mut self, objective: &ObjectiveId, now: WallTime) {
        let idle: Vec<(SpentBy, String)> = self
            .trails
            .iter()
            .filter(|(_, trail)| KEPT <= now.since(trail.newest()))
            .map(|(spender, _)| spender.clone())
            .collect();
        let had_any = !self.trails.is_empty();
        for spender in idle {
            self.forget_apart(objective, &spender);
            self.trails.remove(&spender);
        }
        if had_any && self.trails.is_empty() {
            self.changed.clear();
            self.gone.extend(starts().map(|(level, start)| {
                let spent = Vec::new();
                whole(objective, (level, start), spent).key()
            }));
        }
        let is_left = |&(level, number): &(Level, u64)| {
            let newest = now.as_millis() / level.cell_ms();
            level.cells() <= newest.saturating_sub(number)
        };
        let left: Vec<_> = self.apart.extract_if(.., |cell| is_left(cell)).collect();
        self.drop_apart(objective, &left);
    }

    /// Whether nobody spent anything that any window reaches.
    pub(crate) fn is_empty(&self) -> bool {
        self.trails.is_empty()
    }

    /// Moves what lies ahead into the cells of `now`, after the clock stepped back to it.
    pub(crate) fn rewind(&mut self, now: WallTime) {
        for trail in self.trails.values_mut() {
            for level in Level::ALL {
                let number = now.as_millis() / level.cell_ms();
                for changed in trail.fold(level, number) {
                    if level != Level::Seconds {
                        self.changed.insert((level, changed));
                    }
                }
            }
        }
    }

    /// Takes the cells that changed since the last call, after [`Spending::take_gone`].
    pub(crate) fn take_changes(&mut self, objective: &ObjectiveId, cells: &mut Vec<Cell>) {
        for (level, number) in core::mem::take(&mut self.changed) {
            let spent = self.trails.iter().filter_map(|((by, name), trail)| {
                let bad = trail.at(level, number);
                (bad != 0).then(|| Spent {
                    by: *by,
                    name: name.clone(),
                    bad,
                })
            });
            let spent = spent.collect();
            let start = WallTime::from_millis(number * level.cell_ms());
            cells.push(whole(objective, (level, start), spent));
        }
    }

    /// Takes the keys of what is stored and no longer wanted.
    pub(crate) fn take_gone(&mut self, objective: &ObjectiveId) -> Vec<String> {
        if !self.apart.is_empty() {
            let changed = self.changed.iter().copied();
            let now_whole: Vec<_> = changed.filter(|cell| self.apart.contains(cell)).collect();
            self.apart.retain(|cell| !now_whole.contains(cell));
            self.drop_apart(objective, &now_whole);
        }
        core::mem::take(&mut self.gone)
    }

    /// Takes back a stored cell, in the order of time.
    pub(crate) fn restore(&mut self, level: Level, start: WallTime, spent: Vec<Spent>) {
        let number = start.as_millis() / level.cell_ms();
        for Spent { by, name, bad } in spent {
            if bad != 0 {
                let trail = self.trails.entry((by, name)).or_default();
                trail.add(level, number, bad);
            }
        }
    }

    /// Takes back what one spender spent, as a store of before has it.
    pub(crate) fn restore_apart(&mut self, level: Level, start: WallTime, spent: Spent) {
        let number = start.as_millis() / level.cell_ms();
        self.apart.insert((level, number));
        self.restore(level, start, vec![spent]);
    }

    /// Whether `name` may have a trail of its own, if need be in the place of one that was quiet for long.
    fn has_room(
        &mut self,
        objective: &ObjectiveId,
        (by, name): (SpentBy, &str),
        now: WallTime,
    ) -> bool {
        if self.trails.contains_key(&(by, name.to_owned())) {
            return true;
        }
        let named = || {
            let all = self.trails.iter().filter(|((other, _), _)| *other == by);
            all.filter(|((_, name), _)| name != OTHER)
        };
        if named().count() < SPENDERS_MAX {
            return true;
        }
        let quietest = named().min_by_key(|(_, trail)| trail.newest());
        let quiet = quietest
            .filter(|(_, trail)| QUIET <= now.since(trail.newest()))
            .map(|(spender, _)| spender.clone());
        quiet.is_some_and(|spender| {
            self.fold_into_other(objective, &spender);
            true
        })
    }

    /// Makes what `spender` spent part of what all others did.
    fn fold_into_other(&mut self, objective: &ObjectiveId, spender: &(SpentBy, String)) {
        let Some(trail) = self.trails.remove(spender) else {
            return;
        };
        self.forget_apart(objective, spender);
        let other = self
            .trails
            .entry((spender.0, OTHER.to_owned()))
            .or_default();
        for level in Level::ALL {
            for piece in trail.of(level) {
                let number = piece.number;
                other.add(level, number, piece.bad);
                if level != Level::Seconds {
                    self.changed.insert((level, number));
                }
            }
        }
    }

    /// Drops the entries that the store has of `spender` alone.
    fn forget_apart(&mut self, objective: &ObjectiveId, spender: &(SpentBy, String)) {
        let keys = self.apart.iter().map(|cell| key(objective, spender, *cell));
        self.gone.extend(keys);
    }

    /// Drops the entries that the store has for each spender of `cells`.
    fn drop_apart(&mut self, objective: &ObjectiveId, cells: &[(Level, u64)]) {
        for cell in cells {
            let spenders = self.trails.keys();
            let keys = spenders.map(|spender| key(objective, spender, *cell));
            self.gone.extend(keys);
        }
    }

    /// The finest level that reaches back and knows anything: cells of seconds are not stored.
    fn level(&self, now: WallTime, length: Duration) -> Level {
        let finest = Level::for_window(length);
        let is_forgotten =
            |trail: &Trail| trail.newest_of(Level::Seconds) < trail.newest_of(Level::Minutes);
        let recent = now.before(length + Duration::from_millis(Level::Minutes.cell_ms()));
        let is_coarse = self
            .trails
            .values()
            .any(|trail| recent <= trail.newest() && is_forgotten(trail));
        if finest == Level::Seconds && is_coarse {
            Level::Minutes
        } else {
            finest
        }
    }
}

/// What all spent in one cell of time.
fn whole(objective: &ObjectiveId, (level, start): (Level, WallTime), spent: Vec<Spent>) -> Cell {
    Cell::Spending {
        objective: objective.clone(),
        level,
        start,
        spent,
    }
}

/// A moment for each place in which something may be stored.
fn starts() -> impl Iterator<Item = (Level, WallTime)> {
    let of = |level: Level| (0..level.cells()).map(move |slot| (level, slot * level.cell_ms()));
    let all = Level::STORED.into_iter().flat_map(of);
    all.map(|(level, start)| (level, WallTime::from_millis(start)))
}

/// Under which key a store of before has what one spender spent in a cell of time.
fn key(
    objective: &ObjectiveId,
    (by, name): &(SpentBy, String),
    (level, number): (Level, u64),
) -> String {
    let cell = Cell::Spent {
        objective: objective.clone(),
        by: *by,
        name: name.clone(),
        level,
        start: WallTime::from_millis(number * level.cell_ms()),
        bad: 0,
    };
    cell.key()
}
