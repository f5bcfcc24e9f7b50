//! Incremental: each request says what to add and to take away.
//!
//! Per type: *idle* or *waiting*, as in state of the world. A stale nonce
//! settles nothing, but the changes that come with it hold. The stream knows
//! what its client has (what it brought along and what it was sent), and sends
//! the difference.

mod of_type;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::order::{is_in_force, may_remove, must_wait, refuses};
use super::{Nonces, Response, Stream, StreamLimits, Verdict, Violation};
use crate::{DeltaDiscoveryRequest, Kind, LegacyWildcard, Node, Resource, Snapshot, TypeSnapshot};

use of_type::{News, TypeState};

/// A delta stream.
#[derive(Debug, Default)]
pub struct DeltaStream {
    limits: StreamLimits,
    legacy: LegacyWildcard,
    nonces: Nonces,
    /// Boxed: a map makes room for eleven at once, and most clients ask for one or two.
    types: BTreeMap<Kind, Box<TypeState>>,
    /// Endpoints of clusters that were sent before the client said which endpoints it has.
    owed: BTreeSet<String>,
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

    /// The first type of which something is to be sent and may be.
    fn due<'a>(&self, snapshot: &'a Snapshot) -> Option<(Kind, &'a TypeSnapshot, News<'a>)> {
        self.types.iter().find_map(|(kind, state)| {
            let of_type = snapshot.of_type(kind.type_url())?;
            let may_remove = || may_remove(kind, &self.types, snapshot);
            let news = state.news(kind, of_type, may_remove)?;
            (!must_wait(kind, &self.types, snapshot)).then(|| (kind.clone(), of_type, news))
        })
    }

    /// What still holds, of the first type of which that is to be said.
    fn heartbeat(&mut self, snapshot: &Snapshot) -> Option<Response> {
        self.types.iter_mut().find_map(|(kind, state)| {
            let of_type = snapshot.of_type(kind.type_url())?;
            if state.in_flight.is_some() {
                return None;
            }
            let alone = state.take_alone(of_type);
            if alone.is_none() && !std::mem::take(&mut state.beats) {
                return None;
            }
            let is_named = |it: &&Resource| alone.as_ref().is_none_or(|name| it.name() == name);
            let mortal = state.wanted(of_type).filter(|it| it.ttl().is_some());
            let with: Vec<_> = mortal
                .filter(is_named)
                .filter_map(|it| Some((it, state.holds(it)?)))
                .collect();
            if with.is_empty() {
                return None;
            }
            let what = (kind.type_url(), of_type.version());
            let response = Response::heartbeat(what, self.nonces.draw(), &with);
            state.in_flight = Some(Arc::clone(&response.sent));
            Some(response)
        })
    }

    /// The endpoints of clusters go again after them.
    fn repeat(&mut self, kind: &Kind, sent: &[&Resource]) {
        let Some(dependent) = kind.repeats_after() else {
            return;
        };
        let names = sent.iter().map(|resource| resource.endpoints());
        match self.types.get_mut(&dependent) {
            Some(state) => names.for_each(|name| state.repeat(name)),
            None => self.owed.extend(names.map(str::to_owned)),
        }
    }
}

impl Stream for DeltaStream {
    type Request = DeltaDiscoveryRequest;

    fn node(request: &DeltaDiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn type_url(request: &mut DeltaDiscoveryRequest) -> &mut String {
        &mut request.type_url
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
        if let Some(sent) = &settled {
            state.is_arriving = false;
            state.settle(sent, request.error_detail.is_some());
        }
        if is_new {
            state.begin(&request, &kind, self.legacy);
            if kind.type_url() == Kind::ENDPOINTS {
                let owed = std::mem::take(&mut self.owed);
                owed.iter().for_each(|name| state.repeat(name));
            }
        } else if Self::says_names(&request) {
            state.change(&request);
        }
        self.limits
            .check_count(&request.type_url, state.subscription.len())?;
        Ok(settled.map(|sent| Verdict::of(sent, request.error_detail)))
    }

    fn next(&mut self, snapshot: &Snapshot) -> Option<Response> {
        for (kind, state) in &mut self.types {
            state.notice(snapshot.of_type(kind.type_url()));
        }
        let Some((kind, of_type, news)) = self.due(snapshot) else {
            return self.heartbeat(snapshot);
        };
        self.repeat(&kind, &news.with);
        let state = self.types.get_mut(&kind)?;
        Some(state.send(&kind, of_type.version(), news, self.nonces.draw()))
    }

    fn may_owe(&self, snapshot: &Snapshot) -> bool {
        let mut beats = self.types.values();
        let mut refused = self.types.iter();
        let may_beat = |it: &TypeState| it.beats || !it.alone.is_empty();
        beats.any(|state| state.in_flight.is_none() && may_beat(state))
            || refused
                .any(|(kind, state)| state.refused.has_lost(snapshot.of_type(kind.type_url())))
            || self.due(snapshot).is_some()
    }

    fn beat(&mut self) {
        self.types.values_mut().for_each(|state| state.beats = true);
    }

    fn says_names(request: &DeltaDiscoveryRequest) -> bool {
        !(request.resource_names_subscribe.is_empty()
            && request.resource_names_unsubscribe.is_empty()
            && request.initial_resource_versions.is_empty())
    }

    fn names_bytes(&mut self, offered: Option<&Snapshot>) -> usize {
        let of_types = self.types.iter_mut().map(|(kind, state)| {
            let of_type = offered.and_then(|it| it.of_type(kind.type_url()));
            state.names_bytes(of_type)
        });
        of_types.sum()
    }

    fn is_in_force(&self, snapshot: &Snapshot) -> bool {
        is_in_force(&self.types, snapshot)
    }

    fn refuses(&self, type_url: &str, snapshot: &Snapshot) -> bool {
        refuses(type_url, &self.types, snapshot)
    }
}
