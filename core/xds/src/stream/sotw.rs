//! State of the world: each request names everything that the client wants.
//!
//! Per type: *idle* (nothing unacknowledged) or *waiting* (one response in
//! flight). A request whose nonce is that of the response in flight
//! acknowledges or refuses it; one without a nonce, or with the nonce of a
//! response that was settled before, only changes the subscription; one with
//! any other nonce was overtaken by a later response and is ignored.
//!
//! A refusal is known by its error alone. The version in a request is no
//! evidence: Envoy answers several responses at once with the version of the
//! last and the error of another.

use std::collections::{BTreeMap, BTreeSet};

use super::{Nonces, Response, Sent, Stream, StreamLimits, Verdict, Violation};
use crate::subscription::Subscription;
use crate::{
    DiscoveryRequest, Kind, LegacyWildcard, Node, Resource, Snapshot, TypeSnapshot, Version,
};

/// A state-of-the-world stream.
#[derive(Debug, Default)]
pub struct SotwStream {
    limits: StreamLimits,
    legacy: LegacyWildcard,
    nonces: Nonces,
    types: BTreeMap<Kind, TypeState>,
}

#[derive(Debug, Default)]
struct TypeState {
    subscription: Subscription,
    /// What the client was sent, refused or not: none of it is sent again unasked.
    sent: BTreeMap<String, Version>,
    /// To be sent although unchanged.
    due: BTreeSet<String>,
    /// Whether a full set was ever sent.
    has_set: bool,
    nonce: String,
    in_flight: Option<Sent>,
}

impl SotwStream {
    /// A stream on which nothing was said.
    #[must_use]
    pub fn new(limits: StreamLimits, legacy: LegacyWildcard) -> Self {
        Self {
            limits,
            legacy,
            ..Self::default()
        }
    }

    fn check(&self, request: &DiscoveryRequest) -> Result<(), Violation> {
        let names = &request.resource_names;
        self.limits.check_count(&request.type_url, names.len())?;
        self.limits.check_names(names.iter().map(String::as_str))
    }
}

impl Stream for SotwStream {
    type Request = DiscoveryRequest;

    fn node(request: &DiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn take(&mut self, request: DiscoveryRequest) -> Result<Option<Verdict>, Violation> {
        let kind = Kind::of(&request.type_url);
        let is_new = !self.types.contains_key(&kind);
        self.limits
            .check_type(&request.type_url, self.types.len(), is_new)?;
        self.check(&request)?;
        let state = self.types.entry(kind.clone()).or_default();
        if !request.response_nonce.is_empty() && request.response_nonce != state.nonce {
            return Ok(None);
        }
        let settled = state
            .in_flight
            .take_if(|_| !request.response_nonce.is_empty());
        state
            .subscription
            .replace(&request.resource_names, &kind, self.legacy);
        state.forget_unwanted();
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
            let had = names.filter(|name| state.sent.contains_key(*name)).cloned();
            state.due.extend(had.collect::<Vec<_>>());
        }
        Some(response)
    }
}

impl TypeState {
    /// What the client does not want any more it has lost when it wants it again.
    fn forget_unwanted(&mut self) {
        let wanted = &self.subscription;
        self.sent.retain(|name, _| wanted.covers(name));
        self.due.retain(|name| wanted.covers(name));
        self.has_set &= !wanted.is_empty();
    }

    fn next(
        &mut self,
        kind: &Kind,
        of_type: &TypeSnapshot,
        nonces: &mut Nonces,
    ) -> Option<Response> {
        if self.in_flight.is_some() || self.subscription.is_empty() {
            return None;
        }
        let with = if kind.is_full_set() {
            self.full_set(of_type)?
        } else {
            self.changed(of_type)?
        };
        if kind.is_full_set() {
            self.has_set = true;
            self.sent.clear();
        }
        for resource in &with {
            self.sent
                .insert(resource.name().to_owned(), resource.version().clone());
            self.due.remove(resource.name());
        }
        let response = Response::sotw(kind.type_url(), of_type.version(), nonces.draw(), &with);
        self.nonce.clone_from(&response.sent.nonce);
        self.in_flight = Some(response.sent.clone());
        Some(response)
    }

    /// Everything wanted, if it differs from what the client was sent.
    fn full_set<'a>(&self, of_type: &'a TypeSnapshot) -> Option<Vec<&'a Resource>> {
        let wanted: Vec<&Resource> = self.wanted(of_type).collect();
        let is_known = self.has_set
            && wanted.len() == self.sent.len()
            && wanted.iter().all(|resource| self.has(resource));
        (!is_known).then_some(wanted)
    }

    /// What is wanted and not known, if anything.
    fn changed<'a>(&self, of_type: &'a TypeSnapshot) -> Option<Vec<&'a Resource>> {
        let news: Vec<&Resource> = self
            .wanted(of_type)
            .filter(|resource| !self.has(resource) || self.due.contains(resource.name()))
            .collect();
        (!news.is_empty()).then_some(news)
    }

    fn wanted<'a>(&self, of_type: &'a TypeSnapshot) -> impl Iterator<Item = &'a Resource> {
        of_type
            .resources()
            .filter(|resource| self.subscription.covers(resource.name()))
    }

    fn has(&self, resource: &Resource) -> bool {
        self.sent.get(resource.name()) == Some(resource.version())
    }
}
