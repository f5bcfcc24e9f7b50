//! Which alerts people are told of, so that after a restart they are told of the end as well.

use std::collections::{BTreeMap, BTreeSet};

use sloop_model::{ObjectiveId, WallTime};

use super::{Signal, World};
use crate::{AlertKind, AlertState, AlertStatus, Cell};

/// The alerts of the last step that fired or were over.
#[derive(Clone, Debug, Default)]
pub(super) struct Alerts {
    told: BTreeMap<Key, Told>,
    /// Those that differ from what was last taken to be stored.
    changed: BTreeSet<Key>,
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

/// Alerts that are remembered; more begin anew after a restart.
const ALERTS_MAX: usize = World::OBJECTIVES_MAX;

impl Alerts {
    /// Keeps what the `signals` of the step that ends say.
    pub(super) fn end_step<'a>(&mut self, signals: impl Iterator<Item = &'a Signal>) {
        let alerts = signals.filter_map(Signal::alert);
        let told = alerts.filter_map(told).take(ALERTS_MAX);
        let before = core::mem::replace(&mut self.told, told.collect());
        for (key, told) in &self.told {
            if before.get(key) != Some(told) {
                self.changed.insert(key.clone());
            }
        }
        for (key, told) in before {
            if !self.told.contains_key(&key) {
                self.gone.push(cell(key, told).key());
            }
        }
    }

    /// Takes what changed since the last call, to be stored.
    pub(super) fn take_changes(&mut self, cells: &mut Vec<Cell>) {
        for key in core::mem::take(&mut self.changed) {
            if let Some(told) = self.told.get(&key) {
                cells.push(cell(key, *told));
            }
        }
    }

    /// Takes the keys of what is no longer to be stored.
    pub(super) fn take_gone(&mut self) -> Vec<String> {
        core::mem::take(&mut self.gone)
    }

    /// Takes back what was stored.
    pub(super) fn restore(&mut self, key: Key, told: Told) {
        if self.told.len() < ALERTS_MAX {
            self.told.insert(key, told);
        }
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
        self.alerts.told.get(&key).copied()
    }
}

fn told(alert: &AlertStatus) -> Option<(Key, Told)> {
    match alert.state {
        AlertState::Pending => None,
        AlertState::Firing | AlertState::Resolved => {
            let key = (alert.objective.clone(), alert.kind, alert.policy.clone());
            let told = Told {
                since: alert.since_ms,
                until: alert.until_ms,
            };
            Some((key, told))
        }
    }
}

fn cell((objective, kind, policy): Key, told: Told) -> Cell {
    Cell::Alert {
        objective,
        kind,
        policy,
        since: told.since,
        until: told.until,
    }
}

#[cfg(test)]
mod tests {
    use sloop_model::{ServiceName, SloName};

    use super::*;

    fn alert(state: AlertState) -> Signal {
        let second = |second: u64| WallTime::from_millis(second * 1_000);
        Signal::Alert(Box::new(AlertStatus {
            policy: "wake".to_owned(),
            objective: ObjectiveId {
                slo: SloName::try_from("pay").unwrap(),
                index: 0,
            },
            service: ServiceName::try_from("payments").unwrap(),
            severity: "page".to_owned(),
            kind: AlertKind::Breaching,
            state,
            since_ms: second(1),
            until_ms: (state == AlertState::Resolved).then(|| second(2)),
            summary: String::new(),
            targets: Vec::new(),
        }))
    }

    /// How many cells are to be written and to be deleted after a step with these alerts.
    fn stored(world: &mut World, alerts: &[AlertState]) -> (usize, usize) {
        world.begin_step(WallTime::from_millis(1_000));
        world.add_signals(alerts.iter().map(|state| alert(*state)));
        world.end_step();
        let gone = world.take_gone();
        (world.take_changes().len(), gone.len())
    }

    #[test]
    fn an_alert_is_stored_when_it_changes_and_no_longer_when_it_is_gone() {
        let mut world = World::default();
        assert_eq!(stored(&mut world, &[AlertState::Pending]), (0, 0));
        assert_eq!(stored(&mut world, &[AlertState::Firing]), (1, 0));
        assert_eq!(stored(&mut world, &[AlertState::Firing]), (0, 0));
        assert_eq!(stored(&mut world, &[AlertState::Resolved]), (1, 0));
        assert_eq!(stored(&mut world, &[]), (0, 1));
        assert_eq!(stored(&mut world, &[]), (0, 0));
    }

    #[test]
    fn one_that_comes_again_before_its_end_is_stored_stays() {
        let mut world = World::default();
        stored(&mut world, &[AlertState::Firing]);
        for alerts in [&[][..], &[alert(AlertState::Firing)]] {
            world.begin_step(WallTime::from_millis(1_000));
            world.add_signals(alerts.iter().cloned());
            world.end_step();
        }
        // Deletions are stored before what is put.
        assert_eq!(world.take_gone().len(), 1);
        assert_eq!(world.take_changes().len(), 1);
    }

    #[test]
    fn what_was_stored_is_known_until_a_step_knows_better() {
        let mut world = World::default();
        world.begin_step(WallTime::from_millis(1_000));
        world.add_signals([alert(AlertState::Firing)]);
        world.end_step();
        let cells = world.take_changes();
        let json = serde_json::to_string(&cells).unwrap();
        let mut world = World::default();
        world.restore(serde_json::from_str(&json).unwrap());
        assert!(world.take_changes().is_empty());
        let objective = ObjectiveId {
            slo: SloName::try_from("pay").unwrap(),
            index: 0,
        };
        let told = |world: &World| world.told(&objective, AlertKind::Breaching, "wake");
        let since = WallTime::from_millis(1_000);
        assert_eq!(told(&world), Some(Told { since, until: None }));
        assert_eq!(stored(&mut world, &[]), (0, 1));
        assert_eq!(told(&world), None);
    }
}
