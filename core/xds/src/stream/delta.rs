//! Incremental: each request says what to add and to take away.
//!
//! Per type: *idle* or *waiting*, as in state of the world. A stale nonce
//! settles nothing, but the changes that come with it hold. The stream knows
//! what its client has (what it brought along and what it was sent), and sends
//! the difference.

use std::collections::{BTreeMap, BTreeSet};

use super::{Nonces, Response, Sent, Stream, StreamLimits, Verdict, Violation};
use crate::subscription::{Subscription, WILDCARD};
use crate::{
    DeltaDiscoveryRequest, Kind, LegacyWildcard, Node, Resource, Snapshot, TypeSnapshot, Version,
};

/// A delta stream.
#[derive(Debug, Default)]
pub struct DeltaStream {
    limits: StreamLimits,
    legacy: LegacyWildcard,
    nonces: Nonces,
    types: BTreeMap<Kind, TypeState>,
}

#[derive(Debug, Default)]
struct TypeState {
    subscription: Subscription,
    /// What the client has: brought along or sent, refused or not.
    has: BTreeMap<String, Version>,
    /// Names to be answered although nothing changed: with the resource, or with a removal.
    due: BTreeSet<String>,
    /// Whether even an empty answer is owed: a client that begins with the wildcard waits for one.
    owes_answer: bool,
    in_flight: Option<Sent>,
}

impl DeltaStream {
    /// A stream on which nothing was said.
    #[must_use]
    pub fn new(limits: StreamLimits, legacy: LegacyWildcard) -> Self {
        Self {
            limits,
            legacy,
            ..Self::default()
        }
    }

    fn check(&self, request: &DeltaDiscoveryRequest) -> Result<(), Violation> {
        let added = &request.resource_names_subscribe;
        let taken = &request.resource_names_unsubscribe;
        let brought = &request.initial_resource_versions;
        for count in [added.len(), taken.len(), brought.len()] {
            self.limits.check_count(&request.type_url, count)?;
        }
        let versions = brought.iter().flat_map(|(name, version)| [name, version]);
        self.limits.check_names(
            added
                .iter()
                .chain(taken)
                .chain(versions)
                .map(String::as_str),
        )
    }
}

impl Stream for DeltaStream {
    type Request = DeltaDiscoveryRequest;

    fn node(request: &DeltaDiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn take(&mut self, request: DeltaDiscoveryRequest) -> Result<Option<Verdict>, Violation> {
        let kind = Kind::of(&request.type_url);
        let is_new = !self.types.contains_key(&kind);
        self.limits
            .check_type(&request.type_url, self.types.len(), is_new)?;
        self.check(&request)?;
        let state = self.types.entry(kind.clone()).or_default();
        let settled = state
            .in_flight
            .take_if(|sent| sent.nonce == request.response_nonce);
        if is_new {
            state.begin(&request, &kind, self.legacy);
        } else {
            state.change(&request);
        }
        self.limits
            .check_count(&request.type_url, state.subscription.len())?;
        Ok(settled.map(|sent| Verdict::of(sent, request.error_detail)))
    }

    fn next(&mut self, snapshot: &Snapshot) -> Option<Response> {
        let nonces = &mut self.nonces;
        let (kind, response) = self.types.iter_mut().find_map(|(kind, state)| {
            let of_type = snapshot.of_type(kind.type_url())?;
            let response = state.next(kind, of_type, nonces)?;
            Some((kind.clone(), response))
        })?;
        if let Some(dependent) = kind.repeats_after()
            && let Some(state) = self.types.get_mut(&dependent)
        {
            let names = response.sent.resources.iter().map(|(name, _)| name);
            let had = names.filter(|name| state.has.contains_key(*name)).cloned();
            state.due.extend(had.collect::<Vec<_>>());
        }
        Some(response)
    }
}

impl TypeState {
    /// The first request of a type: what the client brings along is not asked for again.
    fn begin(&mut self, request: &DeltaDiscoveryRequest, kind: &Kind, legacy: LegacyWildcard) {
        self.has = request
            .initial_resource_versions
            .iter()
            .map(|(name, version)| (name.clone(), Version::claimed(version)))
            .collect();
        if request.resource_names_subscribe.is_empty() {
            self.subscription.begin_silent(kind, legacy);
        }
        for name in &request.resource_names_subscribe {
            self.subscription.add(name);
            if name != WILDCARD && !self.has.contains_key(name) {
                self.due.insert(name.clone());
            }
        }
        self.owes_answer = self.subscription.is_wildcard() && self.has.is_empty();
        let wanted = &self.subscription;
        self.has.retain(|name, _| wanted.covers(name));
    }

    fn change(&mut self, request: &DeltaDiscoveryRequest) {
        for name in &request.resource_names_subscribe {
            self.subscription.add(name);
            if name != WILDCARD {
                self.due.insert(name.clone());
            }
        }
        for name in &request.resource_names_unsubscribe {
            if self.subscription.remove(name) && self.subscription.covers(name) {
                // The wildcard still wants it, but the client has dropped it.
                self.due.insert(name.clone());
            }
        }
        let wanted = &self.subscription;
        self.has.retain(|name, _| wanted.covers(name));
        self.due.retain(|name| wanted.covers(name));
    }

    fn next(
        &mut self,
        kind: &Kind,
        of_type: &TypeSnapshot,
        nonces: &mut Nonces,
    ) -> Option<Response> {
        if self.in_flight.is_some() {
            return None;
        }
        let with: Vec<&Resource> = of_type
            .resources()
            .filter(|resource| self.subscription.covers(resource.name()))
            .filter(|resource| self.is_news(resource))
            .collect();
        let removed = self.removed(kind, of_type);
        self.due.clear();
        if with.is_empty() && removed.is_empty() && !self.owes_answer {
            return None;
        }
        self.owes_answer = false;
        for resource in &with {
            self.has
                .insert(resource.name().to_owned(), resource.version().clone());
        }
        for name in &removed {
            self.has.remove(name);
        }
        let version = of_type.version();
        let response = Response::delta(kind.type_url(), version, nonces.draw(), &with, removed);
        self.in_flight = Some(response.sent.clone());
        Some(response)
    }

    fn is_news(&self, resource: &Resource) -> bool {
        self.has.get(resource.name()) != Some(resource.version())
            || self.due.contains(resource.name())
    }

    /// What the client must drop, and what it asked for in vain.
    fn removed(&self, kind: &Kind, of_type: &TypeSnapshot) -> Vec<String> {
        let lost = self
            .has
            .keys()
            .filter(|name| kind.is_full_set() || of_type.is_deleted(name));
        let missing = self.due.iter().filter(|name| !self.has.contains_key(*name));
        let names: BTreeSet<&String> = lost
            .chain(missing)
            .filter(|name| of_type.get(name).is_none())
            .collect();
        names.into_iter().cloned().collect()
    }
}
