//! Which alerts people are told of, so that they are told of the end as well: after a restart, and when nobody declares them
//! any more.

use std::collections::{BTreeMap, BTreeSet};

use sloop_model::{ObjectiveId, WallTime};

use super::{Signal, World};
use crate::alert::RESOLVED_KEPT;
use crate::{AlertKind, AlertState, AlertStatus, AlertTelling, Cell};

/// The alerts of the last step that fired or were over, and those that were withdrawn lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Alerts {
    told: BTreeMap<Key, Kept>,
    /// Those that fired when they were withdrawn, by when that was.
    withdrawn: BTreeMap<(Key, WallTime), Withdrawn>,
    /// Those that differ from what was last taken to be stored.
    changed: BTreeSet<Key>,
    /// The same of those that were withdrawn.
    changed_withdrawn: BTreeSet<(Key, WallTime)>,
    /// Keys of what is stored and no longer wanted.
    gone: Vec<String>,
}

/// The objective, what it is about, and the policy.
type Key = (ObjectiveId, AlertKind, String);

/// What people are told about an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// When it began.
    pub(crate) since: WallTime,
    /// When it ended; nothing while it fires.
    pub(crate) until: Option<WallTime>,
}

/// The same, and how they are told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    told: Told,
    telling: Option<Box<AlertTelling>>,
}

/// An alert that was withdrawn while it fired.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Withdrawn {
    since: WallTime,
    telling: Box<AlertTelling>,
}

/// Alerts that are remembered; more begin anew after a restart. As many that were withdrawn; of more nobody is told.
const ALERTS_MAX: usize = World::OBJECTIVES_MAX;

impl Alerts {
    /// Keeps what the `signals` of the step that ends at `now` say.
    pub(super) fn end_step<'a>(
        &mut self,
        signals: impl Iterator<Item = &'a Signal>,
        now: WallTime,
    ) {
        let alerts = signals.filter_map(Signal::alert);
        let mut there: BTreeMap<Key, Kept> = alerts.filter_map(kept).collect();
        let before = core::mem::take(&mut self.told);
        self.forget_withdrawn(&there, now);
        self.withdraw(&before, &there, now);
        while ALERTS_MAX < there.len() {
            there.pop_last();
        }
        for (key, kept) in &there {
            if before.get(key) != Some(kept) {
                self.changed.insert(key.clone());
            }
        }
        for (key, kept) in before {
            if !there.contains_key(&key) {
                self.gone.push(cell(key, kept).key());
            }
        }
        self.told = there;
    }

    /// Takes what changed since the last call, to be stored.
    pub(super) fn take_changes(&mut self, cells: &mut Vec<Cell>) {
        for key in core::mem::take(&mut self.changed) {
            if let Some(kept) = self.told.get(&key) {
                cells.push(cell(key, kept.clone()));
            }
        }
        for key in core::mem::take(&mut self.changed_withdrawn) {
            if let Some(withdrawn) = self.withdrawn.get(&key) {
                cells.push(withdrawn_cell(key, withdrawn.clone()));
            }
        }
    }

    /// Takes the keys of what is no longer to be stored.
    pub(super) fn take_gone(&mut self) -> Vec<String> {
        core::mem::take(&mut self.gone)
    }

    /// Takes back what was stored, if it is about an alert.
    pub(super) fn restore(&mut self, cell: Cell) {
        match cell {
            Cell::Alert {
                objective,
                kind,
                policy,
                since,
                until,
                telling,
            } if self.told.len() < ALERTS_MAX => {
                let told = Told { since, until };
                let kept = Kept { told, telling };
                self.told.insert((objective, kind, policy), kept);
            }
            Cell::Withdrawn {
                objective,
                kind,
                policy,
                since,
                until,
                telling,
            } if self.withdrawn.len() < ALERTS_MAX => {
                let withdrawn = Withdrawn { since, telling };
                let key = ((objective, kind, policy), until);
                self.withdrawn.insert(key, withdrawn);
            }
            Cell::Alert { .. }
            | Cell::Withdrawn { .. }
            | Cell::Budget { .. }
            | Cell::Beginning { .. }
            | Cell::Slices { .. }
            | Cell::Slice { .. }
            | Cell::Spending { .. }
            | Cell::Spent { .. }
            | Cell::Scope(_) => {}
        }
    }

    /// Notes, of those `before` that fired, whom nobody tells of them any more by what is `there`.
    fn withdraw(
        &mut self,
        before: &BTreeMap<Key, Kept>,
        there: &BTreeMap<Key, Kept>,
        now: WallTime,
    ) {
        for (key, kept) in before {
            let Some(telling) = &kept.telling else {
                continue;
            };
            let fires = kept.told.until.is_none();
            if !(fires && telling.tells_end) || ALERTS_MAX <= self.withdrawn.len() {
                continue;
            }
            let told = there.get(key).and_then(|it| it.telling.as_deref());
            let targets = telling.targets_without(told);
            if !targets.is_empty() {
                let telling = AlertTelling {
                    targets,
                    ..AlertTelling::clone(telling)
                };
                let withdrawn = Withdrawn {
                    since: kept.told.since,
                    telling: Box::new(telling),
                };
                self.changed_withdrawn.insert((key.clone(), now));
                self.withdrawn.insert((key.clone(), now), withdrawn);
            }
        }
    }

    /// Forgets those of long ago, and those that are `there` again.
    fn forget_withdrawn(&mut self, there: &BTreeMap<Key, Kept>, now: WallTime) {
        let (changed, gone) = (&mut self.changed_withdrawn, &mut self.gone);
        self.withdrawn.retain(|key, withdrawn| {
            let (alert, until) = key;
            let told = there.get(alert).and_then(|it| it.telling.as_deref());
            let targets = withdrawn.telling.targets_without(told);
            if targets.len() != withdrawn.telling.targets.len() {
                withdrawn.telling.targets = targets;
                changed.insert(key.clone());
            }
            // What lies ahead is of before the clock stepped back.
            let is_old = RESOLVED_KEPT <= now.since(*until).max(until.since(now));
            let is_kept = !is_old && !withdrawn.telling.targets.is_empty();
            if !is_kept {
                gone.push(withdrawn_cell(key.clone(), withdrawn.clone()).key());
            }
            is_kept
        });
    }
}

impl World {
    /// What people are told about an alert since the last step, or were before the process began; nothing of one that
    /// is not there, or does not fire yet.
    pub(crate) fn told(
        &self,
        objective: &ObjectiveId,
        kind: AlertKind,
        policy: &str,
    ) -> Option<Told> {
        let key = (objective.clone(), kind, policy.to_owned());
        self.alerts.told.get(&key).map(|kept| kept.told)
    }

    /// Those alerts that were withdrawn while they fired, of which people are told that they are over: for a quarter of an
    /// hour, as of all that are. Sorted by objective, no duplicates.
    pub fn withdrawn_alerts(&self) -> impl Iterator<Item = AlertStatus> {
        let withdrawn = self.alerts.withdrawn.iter();
        withdrawn.map(|((key, until), it)| it.telling.withdrawn(key.clone(), (it.since, *until)))
    }
}

fn kept(alert: &AlertStatus) -> Option<(Key, Kept)> {
    match alert.state {
        AlertState::Pending => None,
        AlertState::Firing | AlertState::Resolved => {
            let key = (alert.objective.clone(), alert.kind, alert.policy.clone());
            let told = Told {
                since: alert.since_ms,
                until: alert.until_ms,
            };
            let telling = Some(Box::new(AlertTelling::of(alert)));
            Some((key, Kept { told, telling }))
        }
    }
}

fn cell((objective, kind, policy): Key, kept: Kept) -> Cell {
    Cell::Alert {
        objective,
        kind,
        policy,
        since: kept.told.since,
        until: kept.told.until,
        telling: kept.telling,
    }
}

fn withdrawn_cell(
    ((objective, kind, policy), until): (Key, WallTime),
    withdrawn: Withdrawn,
) -> Cell {
    Cell::Withdrawn {
        objective,
        kind,
        policy,
        since: withdrawn.since,
        until,
        telling: withdrawn.telling,
    }
}

#[cfg(test)]
mod tests;
