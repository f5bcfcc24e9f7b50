//! What configurations are made from that goes to a few nodes first.
//!
//! That is what operators declare: routes, what objectives count, settings, and
//! resources for fleets. What protects or harms for a while (breakers, faults,
//! shedding, retry budgets, deny rules, deadlines) is not part of it: it goes to all nodes at once, on top
//! of whatever basis they have.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sloop_controllers::{Configured, FilterSettings, RouteSet, filter_config};
use sloop_model::{FilterConfig, Policy, Rule, ServiceName, Side, WallTime};
use sloop_xds::rollout::Rejected;
use sloop_xds::{Kind, Resource, Version};

use super::{PublishSettings, declared::Declared, digest};
use crate::bootstrap::plugin;
use crate::engine::put;
use crate::store::Batch;

/// Where bases are stored, by their key.
pub(super) const BASIS: &str = "basis\n";

/// Where it is stored what each cohort has.
pub(super) const ROLLOUT: &str = "rollout\n";

/// What the filters of all groups are configured by, but for what must not wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Basis {
    settings: PublishSettings,
    route_sets: Vec<RouteSet>,
    filter_settings: Vec<FilterSettings>,
    /// What to count, and which of it breakers and shedding judge by.
    counts: Vec<Policy>,
}

/// Whether a policy only counts, and so may wait. Which objectives what judges by objectives goes by waits with them: until
/// then it goes by outcomes.
pub(super) const fn may_wait(policy: &Policy) -> bool {
    match policy.rule {
        Rule::Count(_) => true,
        Rule::Break { .. }
        | Rule::Trip(_)
        | Rule::Fault(_)
        | Rule::Shed { .. }
        | Rule::Deny(_)
        | Rule::RetryBudget { .. }
        | Rule::Deadline { .. } => false,
    }
}

impl Basis {
    pub(super) fn new(
        settings: &PublishSettings,
        route_sets: &[RouteSet],
        filter_settings: &[FilterSettings],
        policies: &[Policy],
    ) -> Self {
        let counts = policies.iter().filter(|it| may_wait(it));
        Self {
            settings: settings.clone(),
            route_sets: route_sets.to_vec(),
            filter_settings: filter_settings.to_vec(),
            counts: counts.cloned().collect(),
        }
    }

    /// Whether [`Basis::new`] would make the same of this.
    pub(super) fn is_made_of(
        &self,
        settings: &PublishSettings,
        route_sets: &[RouteSet],
        filter_settings: &[FilterSettings],
        policies: &[Policy],
    ) -> bool {
        self.settings == *settings
            && self.route_sets == route_sets
            && self.filter_settings == filter_settings
            && policies.iter().filter(|it| may_wait(it)).eq(&self.counts)
    }

    /// Path of the module, as Envoy sees it.
    pub(super) fn module(&self) -> &str {
        &self.settings.module
    }

    /// `config` for Envoy.
    pub(super) fn encode(&self, config: &FilterConfig) -> Resource {
        let resource = plugin::resource(&self.settings.module, config);
        match self.settings.ttl {
            Some(ttl) => resource.with_ttl(ttl),
            None => resource,
        }
    }

    /// What is in resources beside configurations, as text.
    pub(super) fn around(&self) -> String {
        let module = &self.settings.module;
        match self.settings.ttl {
            Some(ttl) => format!("{module}\n{}", ttl.as_millis()),
            None => module.clone(),
        }
    }

    /// What the filter of `service` on `side` is told when `policies` hold, too; those that may wait are ignored.
    pub(super) fn configure(
        &self,
        service: &ServiceName,
        side: Side,
        policies: &[Policy],
    ) -> Configured {
        let is_current = || policies.iter().filter(|it| may_wait(it)).eq(&self.counts);
        let all = if policies.is_empty() {
            Cow::Borrowed(self.counts.as_slice())
        } else if is_current() {
            Cow::Borrowed(policies)
        } else {
            let urgent = policies.iter().filter(|it| !may_wait(it));
            let mut all: Vec<Policy> = self.counts.iter().chain(urgent).cloned().collect();
            all.sort();
            Cow::Owned(all)
        };
        filter_config(service, side, &self.route_sets, &all, &self.settings.config)
            .with(&self.filter_settings, &self.route_sets)
    }

    /// Names what the nodes of `service` get by it, with what is declared for them.
    pub(super) fn revision(&self, service: &ServiceName, declared: &Declared) -> Version {
        let around = self.around();
        let sides = [Side::Server, Side::Client].map(|side| {
            let made = self.configure(service, side, &[]);
            serde_json::to_vec(&made.config).unwrap_or_default()
        });
        let filters = sides.iter().map(Vec::as_slice);
        let resources = declared.resources().iter().flat_map(|one| {
            let texts = [one.type_url(), one.name(), one.version().as_str()];
            texts.map(str::as_bytes)
        });
        let is_declared = match (declared.is_there(), declared.is_unknown()) {
            (true, _) => b"+",
            (false, false) => b"-",
            (false, true) => b"?",
        };
        Version::of(
            filters
                .chain([around.as_bytes(), is_declared])
                .chain(resources),
        )
    }

    /// Names the whole of it, for the store.
    pub(super) fn key(&self) -> String {
        digest(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// What a cohort has, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredCohort {
    /// The cohort as people see it.
    pub(super) cohort: String,
    /// The key of its basis.
    pub(super) basis: String,
    revision: String,
    declared: Option<Vec<StoredResource>>,
    /// Runtime layers that were there, as earlier versions stored them. Empty.
    gone: BTreeSet<String>,
    rejected: Option<StoredRejected>,
    /// Since when no node of it is known to be connected; `None` when there was one at last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) away_since_ms: Option<WallTime>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredResource {
    type_url: String,
    name: String,
    version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoints: Option<String>,
    value: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredRejected {
    revision: String,
    because: String,
    at_ms: WallTime,
}

impl StoredCohort {
    pub(super) fn new(
        cohort: String,
        basis: String,
        (revision, declared): (&Version, &Declared),
        rejected: Option<&Rejected>,
    ) -> Self {
        let resources = declared.resources().iter().map(StoredResource::of);
        let resources: Vec<StoredResource> = resources.collect();
        Self {
            cohort,
            basis,
            revision: revision.to_string(),
            declared: declared.is_there().then_some(resources),
            gone: BTreeSet::new(),
            rejected: rejected.map(|it| StoredRejected {
                revision: it.revision.to_string(),
                because: it.because.clone(),
                at_ms: it.at,
            }),
            away_since_ms: None,
        }
    }

    pub(super) fn put(&self, batch: &mut Batch) {
        put(batch, &format!("{ROLLOUT}{}", self.cohort), self);
    }

    pub(super) fn revision(&self) -> Version {
        Version::claimed(&self.revision)
    }

    pub(super) fn declared(&self) -> Declared {
        let resources = self.declared.as_ref();
        let resources = resources.map(|all| all.iter().map(StoredResource::resource).collect());
        Declared::restored(resources)
    }

    /// Names of runtime layers that its nodes have, or had by what an earlier version stored.
    pub(super) fn layers(&self) -> impl Iterator<Item = &str> {
        let declared = self.declared.iter().flatten();
        let declared = declared.filter(|one| one.type_url == Kind::RUNTIME);
        let gone = self.gone.iter().map(String::as_str);
        declared.map(|one| one.name.as_str()).chain(gone)
    }

    pub(super) fn rejected(&self) -> Option<Rejected> {
        self.rejected.as_ref().map(|it| Rejected {
            revision: Version::claimed(&it.revision),
            because: it.because.clone(),
            at: it.at_ms,
        })
    }
}

impl StoredResource {
    fn of(resource: &Resource) -> Self {
        Self {
            type_url: resource.type_url().to_owned(),
            name: resource.name().to_owned(),
            version: resource.version().to_string(),
            endpoints: resource.own_endpoints().map(str::to_owned),
            value: resource.value().to_vec(),
        }
    }

    fn resource(&self) -> Resource {
        let version = Version::claimed(&self.version);
        let resource = Resource::with_version(&self.type_url, &self.name, &self.value, version);
        match &self.endpoints {
            Some(name) => resource.with_endpoints(name),
            None => resource,
        }
    }
}
