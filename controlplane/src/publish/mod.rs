//! From policies to what the sidecars of a group are sent.
//!
//! Each configuration has a generation, which grows with every change of any
//! configuration and is stored before it leaves, while the store takes anything. A process that restarts and
//! decides the same makes the same bytes, so that sidecars that come back are
//! sent nothing.
//!
//! What operators declare goes to a few nodes first, so there are two of
//! everything while that lasts: what all nodes of a cohort get, made from what
//! they have, and what some try, made from what is declared. Policies that must
//! not wait are in both. What all nodes have is stored: a restart is no way
//! around the few.

mod away;
mod basis;
mod cohort;
mod declared;
mod layers;
mod making;
mod numbers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sloop_controllers::{ConfigSettings, FilterSettings, RouteSet};
use sloop_model::{InvalidName, Module, Policy, ServiceName, Side, WallTime};
use sloop_xds::Version;
use sloop_xds::fleet::{Cohort, Fleet};
use sloop_xds::rollout::{Rejected, Wanted as Step};

use crate::bootstrap::plugin;
use crate::engine::RestoreError;
use crate::store::{Batch, Store};
use basis::{Basis, StoredCohort};
use cohort::{Based, CohortState};
use layers::Layers;
use making::Making;
use numbers::{Lane, Numbers};

/// Pushes remembered until they are acknowledged, to know how long that took.
const PUSHED_MAX: usize = 10_000;

/// Both filters of a sidecar.
const SIDES: [Side; 2] = [Side::Server, Side::Client];

/// What is the same for all groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishSettings {
    /// What every configuration says.
    pub config: ConfigSettings,
    /// Path of the module, as Envoy sees it.
    pub module: String,
    /// How long a configuration holds without a word of this process; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
}

/// What all groups should have, and the numbers that it was given.
#[derive(Debug)]
pub struct Publisher {
    settings: PublishSettings,
    numbers: Numbers,
    layers: Layers,
    /// What is declared.
    basis: Arc<Basis>,
    cohorts: BTreeMap<Cohort, CohortState>,
    /// What cohorts had of which no node has been seen yet, or is there any more.
    stored: BTreeMap<String, StoredCohort>,
    /// The bases in the store, by key.
    bases: BTreeMap<String, Arc<Basis>>,
    /// What was not in the configurations of a group, as said last.
    left_out: BTreeMap<(String, Side), Vec<String>>,
    pushed: BTreeMap<String, Pushed>,
}

/// A configuration that was handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Which filter.
    pub side: Side,
    /// Its number.
    pub generation: u64,
    /// When.
    pub at: WallTime,
}

/// What a group should have from now on.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// What all nodes get and what some try, when anything changed. Hand it on when `batch` is stored.
    pub step: Option<Step>,
    /// Numbers to be stored first.
    pub batch: Batch,
    /// What changed.
    pub changed: Vec<Pushed>,
    /// What did not pass the filter's own check, and why. What was in force stays.
    pub withheld: Vec<(Side, String)>,
    /// What is declared for the cohort and does not fit together. What was in force stays.
    pub troubles: Vec<String>,
    /// What has no place in a configuration any more, and why, where that has changed.
    pub left_out: Vec<(Side, String)>,
}

/// What the documents and controllers say, for all groups.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Merged policies.
    pub policies: &'a [Policy],
    /// What is declared for fleets; `None` while that is not known, and everything stays as it is.
    pub fleet: Option<&'a Fleet>,
    /// What the sidecars of the group run.
    pub module: Module,
}

impl Publisher {
    /// A publisher that knows what cohorts have, and the numbers that were given out before.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn restore(settings: PublishSettings, store: &dyn Store) -> Result<Self, RestoreError> {
        let stored: Vec<StoredCohort> = crate::engine::read(store, basis::ROLLOUT)?;
        let bases: Vec<Basis> = crate::engine::read(store, basis::BASIS)?;
        Ok(Self {
            basis: Arc::new(Basis::new(&settings, &[], &[], &[])),
            settings,
            numbers: Numbers::restore(store)?,
            layers: Layers::restore(store, &stored)?,
            cohorts: BTreeMap::new(),
            stored: stored
                .into_iter()
                .map(|one| (one.cohort.clone(), one))
                .collect(),
            bases: bases
                .into_iter()
                .map(|one| (one.key(), Arc::new(one)))
                .collect(),
            left_out: BTreeMap::new(),
            pushed: BTreeMap::new(),
        })
    }

    /// Takes what is declared from now on. Of `policies` only those count that may wait.
    pub fn base_on(
        &mut self,
        route_sets: &[RouteSet],
        filter_settings: &[FilterSettings],
        policies: &[Policy],
    ) {
        let settings = &self.settings;
        let current = &self.basis;
        if current.is_made_of(settings, route_sets, filter_settings, policies) {
            return;
        }
        let basis = Basis::new(settings, route_sets, filter_settings, policies);
        let stored = self.bases.values().find(|stored| ***stored == basis);
        self.basis = stored.cloned().unwrap_or_else(|| Arc::new(basis));
    }

    /// Makes what `cohort` should have.
    ///
    /// # Errors
    ///
    /// When the cohort's name is none that a service can have.
    pub fn prepare(
        &mut self,
        cohort: &Cohort,
        wanted: Wanted<'_>,
        now: WallTime,
    ) -> Result<Prepared, InvalidName> {
        let service = ServiceName::try_from(cohort.service.as_str())?;
        let mut prepared = Prepared::default();
        let mut state = match self.cohorts.remove(cohort) {
            Some(state) => state,
            None => self.restored(cohort, &mut prepared.batch),
        };
        if let Some(fleet) = wanted.fleet {
            self.layers.take(fleet, &mut prepared.batch);
            prepared.troubles = state.declared.take(fleet.resources(cohort));
        }
        let trial = self.trial(&service, &mut state, cohort, &mut prepared.batch);
        let making = Making {
            cohort: cohort.to_string(),
            service,
            wanted,
            now,
        };
        let step = self.step(&making, &mut state, trial, &mut prepared);
        prepared.step = step.and_then(|step| state.hand_on(step));
        self.cohorts.insert(cohort.clone(), state);
        Ok(prepared)
    }

    /// All nodes of `cohort` have the change called `revision`. Returns what is to be stored.
    pub fn accept(&mut self, cohort: &Cohort, revision: &Version) -> Batch {
        let mut batch = Batch::default();
        if let Some(mut state) = self.cohorts.remove(cohort) {
            if state.accept(revision) {
                self.put(cohort, &state, &mut batch);
            }
            self.cohorts.insert(cohort.clone(), state);
        }
        batch
    }

    /// A change was taken back from the nodes of `cohort` that tried it. Returns what is to be stored.
    pub fn reject(&mut self, cohort: &Cohort, rejected: Rejected) -> Batch {
        let mut batch = Batch::default();
        if let Some(mut state) = self.cohorts.remove(cohort) {
            state.rejected = Some(rejected);
            self.put(cohort, &state, &mut batch);
            self.cohorts.insert(cohort.clone(), state);
        }
        batch
    }

    /// What was taken back from nodes of `cohort` and is still wanted.
    #[must_use]
    pub fn rejected(&self, cohort: &Cohort) -> Option<Rejected> {
        match self.cohorts.get(cohort) {
            Some(state) => state.rejected.clone(),
            None => self.stored.get(&cohort.to_string())?.rejected(),
        }
    }

    /// What is tried by nodes of `cohort` goes to more of them at `now`: acknowledgements count from there.
    pub fn goes_on(&mut self, cohort: &Cohort, now: WallTime) {
        let made = self.cohorts.get(cohort).map(|state| &state.made);
        let tried = made.into_iter().flatten();
        for (_, made) in tried.filter(|((lane, _), _)| *lane == Lane::Trial) {
            let version = made.resource.version();
            if let Some(pushed) = self.pushed.get_mut(version.as_str()) {
                pushed.at = now;
            }
        }
    }

    /// The push that made the resource with this version; `None` when it was long ago.
    #[must_use]
    pub fn pushed(&self, version: &str) -> Option<Pushed> {
        self.pushed.get(version).copied()
    }

    /// What is to be tried, if what is declared is not what all nodes have.
    fn trial(
        &mut self,
        service: &ServiceName,
        state: &mut CohortState,
        cohort: &Cohort,
        batch: &mut Batch,
    ) -> Option<Based> {
        if let Some(stable) = &state.stable
            && Arc::ptr_eq(&stable.basis, &self.basis)
            && stable.declared.is_same(&state.declared)
        {
            state.wanted = None;
            if state.rejected.is_some() {
                state.settle();
                self.put(cohort, state, batch);
            }
            return None;
        }
        let change = state.wanted(&self.basis, service);
        match &state.stable {
            Some(stable) if stable.revision != change.revision => Some(change),
            // The first, or a change that makes no difference here.
            Some(_) | None => {
                state.settle();
                state.stable = Some(change);
                self.put(cohort, state, batch);
                None
            }
        }
    }

    fn remember(&mut self, version: &str, pushed: Pushed) {
        if self.pushed.len() >= PUSHED_MAX {
            let oldest = self
                .pushed
                .iter()
                .min_by_key(|(_, pushed)| pushed.generation)
                .map(|(version, _)| version.clone());
            oldest.and_then(|oldest| self.pushed.remove(&oldest));
        }
        self.pushed.insert(version.to_owned(), pushed);
    }
}

/// The side of the filter that Envoy calls `name`.
#[must_use]
pub fn side_of(name: &str) -> Option<Side> {
    [Side::Server, Side::Client]
        .into_iter()
        .find(|side| plugin::name(*side) == name)
}

fn digest(json: &[u8]) -> String {
    Sha256::digest(json)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests;
