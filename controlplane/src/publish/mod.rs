//! From policies to what the sidecars of a group are sent.
//!
//! Each configuration has a generation, which grows with every change of any
//! configuration and is stored before it leaves. A process that restarts and
//! decides the same makes the same bytes, so that sidecars that come back are
//! sent nothing.

mod declared;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sloop_controllers::{ConfigSettings, FilterSettings, RouteSet, filter_config};
use sloop_model::{FilterConfig, InvalidName, Module, Policy, ServiceName, Side, WallTime};
use sloop_xds::fleet::{Cohort, Fleet};
use sloop_xds::{Resource, Snapshot};

use crate::bootstrap::plugin;
use crate::engine::RestoreError;
use crate::store::{Batch, Store};
use declared::Declared;

/// Numbers of configurations.
const GENERATION: &str = "config\n";

/// Pushes remembered until they are acknowledged, to know how long that took.
const PUSHED_MAX: usize = 10_000;

/// What is the same for all groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishSettings {
    /// What every configuration says.
    pub config: ConfigSettings,
    /// Path of the module, as Envoy sees it.
    pub module: String,
}

/// What all groups should have, and the numbers that it was given.
#[derive(Debug)]
pub struct Publisher {
    settings: PublishSettings,
    numbered: BTreeMap<(String, Side), Numbered>,
    newest: u64,
    groups: BTreeMap<String, Group>,
    cohorts: BTreeMap<Cohort, CohortState>,
    pushed: BTreeMap<String, Pushed>,
}

/// One configuration and its number, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Numbered {
    group: String,
    side: Side,
    generation: u64,
    /// SHA-256 of the configuration with generation 0, in hexadecimal digits.
    hash: String,
}

#[derive(Debug, Default)]
struct Group {
    resources: BTreeMap<Side, Resource>,
    /// What was not in the configurations, as said last.
    left_out: BTreeMap<Side, Vec<String>>,
}

/// What one cohort has.
#[derive(Debug, Default)]
struct CohortState {
    snapshot: Option<Arc<Snapshot>>,
    declared: Declared,
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
    /// All resources, when anything changed. Publish it when `batch` is stored.
    pub snapshot: Option<Arc<Snapshot>>,
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
    /// Routes by name.
    pub route_sets: &'a [RouteSet],
    /// Merged policies.
    pub policies: &'a [Policy],
    /// What is declared for fleets.
    pub fleet: &'a Fleet,
    /// What filters are told beside policies.
    pub filter_settings: &'a [FilterSettings],
    /// What the sidecars of the group run.
    pub module: Module,
}

impl Publisher {
    /// A publisher that knows the numbers that were given out before.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn restore(settings: PublishSettings, store: &dyn Store) -> Result<Self, RestoreError> {
        let stored: Vec<Numbered> = crate::engine::read(store, GENERATION)?;
        let numbered: BTreeMap<_, _> = stored
            .into_iter()
            .map(|one| ((one.group.clone(), one.side), one))
            .collect();
        Ok(Self {
            settings,
            newest: numbered
                .values()
                .map(|one| one.generation)
                .max()
                .unwrap_or(0),
            numbered,
            groups: BTreeMap::new(),
            cohorts: BTreeMap::new(),
            pushed: BTreeMap::new(),
        })
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
        for side in [Side::Server, Side::Client] {
            let config = filter_config(
                &service,
                side,
                wanted.route_sets,
                wanted.policies,
                &self.settings.config,
            )
            .with(wanted.filter_settings, wanted.route_sets)
            .fitting(wanted.module);
            let known = self.groups.entry(cohort.service.clone()).or_default();
            let said = known.left_out.insert(side, config.left_out.clone());
            let said = said.unwrap_or_default();
            let left_out = config.left_out.into_iter();
            let new = left_out.filter(|one| !said.contains(one));
            prepared.left_out.extend(new.map(|one| (side, one)));
            self.prepare_side(config.config, now, &mut prepared);
        }
        let state = self.cohorts.entry(cohort.clone()).or_default();
        prepared.troubles = state.declared.take(wanted.fleet.resources(cohort));
        let filters = self.groups.get(&cohort.service);
        let filters = filters.iter().flat_map(|group| group.resources.values());
        let builder = filters.fold(Snapshot::builder(), |builder, one| {
            builder.with(one.clone())
        });
        let snapshot = Arc::new(state.declared.add_to(builder).build());
        let is_empty = snapshot.types().next().is_none();
        if state.snapshot.as_ref() != Some(&snapshot) && !is_empty {
            state.snapshot = Some(Arc::clone(&snapshot));
            prepared.snapshot = Some(snapshot);
        }
        Ok(prepared)
    }

    /// The push that made the resource with this version; `None` when it was long ago.
    #[must_use]
    pub fn pushed(&self, version: &str) -> Option<Pushed> {
        self.pushed.get(version).copied()
    }

    fn prepare_side(&mut self, mut config: FilterConfig, now: WallTime, prepared: &mut Prepared) {
        let side = config.side;
        let group = config.service.as_str().to_owned();
        let hash = match serde_json::to_vec(&config) {
            Ok(json) => digest(&json),
            Err(error) => return prepared.withheld.push((side, error.to_string())),
        };
        config.generation = self.number(&group, side, hash, prepared);
        if let Err(reason) = check(&config) {
            return prepared.withheld.push((side, reason));
        }
        let resource = plugin::resource(&self.settings.module, &config);
        let known = self.groups.entry(group).or_default();
        if known.resources.get(&side) == Some(&resource) {
            return;
        }
        let pushed = Pushed {
            side,
            generation: config.generation,
            at: now,
        };
        self.remember(resource.version().as_str(), pushed);
        self.groups
            .entry(config.service.into())
            .or_default()
            .resources
            .insert(side, resource);
        prepared.changed.push(pushed);
    }

    /// The number of the configuration with this hash: the one that it has, or the next.
    fn number(&mut self, group: &str, side: Side, hash: String, prepared: &mut Prepared) -> u64 {
        let key = (group.to_owned(), side);
        if let Some(known) = self.numbered.get(&key)
            && known.hash == hash
        {
            return known.generation;
        }
        self.newest += 1;
        let numbered = Numbered {
            group: key.0.clone(),
            side,
            generation: self.newest,
            hash,
        };
        let stored_at = format!("{GENERATION}{group}\n{side}");
        crate::engine::put(&mut prepared.batch, &stored_at, &numbered);
        self.numbered.insert(key, numbered);
        self.newest
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

/// Whether the filter would take `config`: its own reader says so.
fn check(config: &FilterConfig) -> Result<(), String> {
    let json = serde_json::to_vec(config).map_err(|error| error.to_string())?;
    match FilterConfig::parse(&json) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
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
