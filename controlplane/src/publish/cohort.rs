//! What one cohort has, and what it is to have.

use std::collections::BTreeMap;
use std::sync::Arc;

use sloop_model::{ServiceName, Side};
use sloop_xds::rollout::{Rejected, Wanted as Step};
use sloop_xds::{Resource, Snapshot, SnapshotBuilder, Version};

use super::basis::Basis;
use super::declared::Declared;
use super::numbers::Lane;

/// Changes that were on their way at the same moment: one ends while the next begins.
const TRIALS_MAX: usize = 2;

/// What one cohort has.
#[derive(Debug, Default)]
pub(super) struct CohortState {
    /// What all of its nodes have; `None` before the first.
    pub(super) stable: Option<Based>,
    /// What is declared for it, whether all nodes have it or not.
    pub(super) declared: Declared,
    /// What was declared last and its name, which takes two whole configurations to find.
    pub(super) wanted: Option<Based>,
    /// Changes that may have gone to some nodes, oldest first.
    trials: Vec<Based>,
    /// The change that was taken back last, as long as it is wanted.
    pub(super) rejected: Option<Rejected>,
    /// Configurations by who they are for, as made last.
    pub(super) made: BTreeMap<(Lane, Side), Made>,
    /// What was handed on last.
    pub(super) handed: Option<Step>,
}

/// What configurations are made from, and its name.
#[derive(Clone, Debug)]
pub(super) struct Based {
    pub(super) basis: Arc<Basis>,
    pub(super) declared: Declared,
    pub(super) revision: Version,
}

/// One configuration, encoded.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) generation: u64,
    pub(super) resource: Resource,
}

impl CohortState {
    /// A snapshot that begins with the configurations for `lane`, or for all nodes where it has none.
    pub(super) fn filters(&self, lane: Lane) -> SnapshotBuilder {
        let made = |side| {
            let all = || self.made.get(&(Lane::All, side));
            self.made.get(&(lane, side)).or_else(all)
        };
        let made = [Side::Server, Side::Client].into_iter().filter_map(made);
        made.fold(Snapshot::builder(), |builder, made| {
            builder.with(made.resource.clone())
        })
    }

    /// What is declared, by `basis` and for the cohort itself, with its name.
    pub(super) fn wanted(&mut self, basis: &Arc<Basis>, service: &ServiceName) -> Based {
        let known = self.wanted.take().filter(|known| {
            Arc::ptr_eq(&known.basis, basis) && known.declared.is_same(&self.declared)
        });
        let wanted = known.unwrap_or_else(|| Based {
            basis: Arc::clone(basis),
            declared: self.declared.clone(),
            revision: basis.revision(service, &self.declared),
        });
        self.wanted.insert(wanted).clone()
    }

    /// The name of what is wanted and not what all nodes have, where it is known.
    #[cfg(test)]
    pub(super) fn wanted_name(&self) -> Option<Version> {
        self.wanted.as_ref().map(|wanted| wanted.revision.clone())
    }

    /// Notes that a change may go to some nodes.
    pub(super) fn try_out(&mut self, change: Based) {
        self.trials.retain(|it| it.revision != change.revision);
        if TRIALS_MAX <= self.trials.len() {
            self.trials.remove(0);
        }
        self.trials.push(change);
    }

    /// All nodes have the change. Whether it was known.
    pub(super) fn accept(&mut self, revision: &Version) -> bool {
        let Some(at) = self.trials.iter().position(|it| it.revision == *revision) else {
            return false;
        };
        self.stable = Some(self.trials.remove(at));
        self.rejected = None;
        true
    }

    /// All nodes have what is wanted.
    pub(super) fn settle(&mut self) {
        self.wanted = None;
        self.trials.clear();
        self.rejected = None;
    }

    /// What is handed on when `step` is wanted; nothing when it was already, or has no resources.
    pub(super) fn hand_on(&mut self, step: Step) -> Option<Step> {
        let is_empty = |it: &Arc<Snapshot>| {
            let mut resources = it.types().flat_map(|(_, of_type)| of_type.resources());
            resources.next().is_none()
        };
        let is_nothing = is_empty(&step.at_once) && is_empty(&step.whole);
        if is_nothing || self.handed.as_ref() == Some(&step) {
            return None;
        }
        self.handed = Some(step.clone());
        Some(step)
    }
}
