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
//! last and the error of another. It counts in one place only, the first
//! request of a full set on a stream: a client that comes back with the
//! version of the whole set has the whole set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::order::{Standing, is_in_force, may_remove, must_wait, refuses};
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
    /// Boxed, as in [`DeltaStream`](super::DeltaStream).
    types: BTreeMap<Kind, Box<TypeState>>,
}

#[derive(Debug, Default)]
struct TypeState {
    subscription: Subscription,
    /// What the client was sent, refused or not: none of it is sent again unasked.
    sent: BTreeMap<String, Version>,
    /// The same of a kind that outlives others, to be sent again while something may refer to it.
    kept: BTreeMap<String, Resource>,
    /// To be sent although unchanged.
    due: BTreeSet<String>,
    /// The version that the client came back with, until it is compared.
    brought: String,
    /// Whether a full set was ever sent.
    has_set: bool,
    /// Whether the client began with nothing: it waits for what it asks for, there or not.
    waits: bool,
    /// Whether it refused a response of which nothing was new to it: what it does not have then has no name.
    refuses_all: bool,
    /// What it refused, by name, and was not sent again since. It holds up others for as long as it is wanted.
    refused: BTreeMap<String, Version>,
    nonce: String,
    in_flight: Option<Arc<Sent>>,
    /// Of each resource of a set in flight whether the client has had it as it is: it keeps that, whatever it says.
    stays: Vec<bool>,
}

/// What is to be sent of one type.
struct News {
    version: Version,
    /// Sorted by name.
    with: Vec<Resource>,
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
        let texts = names.iter().chain([&request.version_info]);
        self.limits.check_names(texts.map(String::as_str))
    }

    /// The first type of which something is to be sent and may be.
    fn due(&self, snapshot: &Snapshot) -> Option<(Kind, News)> {
        self.types.iter().find_map(|(kind, state)| {
            let of_type = snapshot.of_type(kind.type_url())?;
            let may_remove = || may_remove(kind, &self.types, snapshot);
            let news = state.news(kind, of_type, may_remove)?;
            (!must_wait(kind, &self.types, snapshot)).then(|| (kind.clone(), news))
        })
    }

    /// The endpoints of clusters go again after them.
    fn repeat(&mut self, kind: &Kind, changed: &[Resource]) {
        if let Some(dependent) = kind.repeats_after()
            && let Some(state) = self.types.get_mut(&dependent)
        {
            let names = changed.iter().map(Resource::endpoints);
            let had = names.filter(|name| state.sent.contains_key(*name));
            let had: Vec<String> = had.map(str::to_owned).collect();
            state.due.extend(had);
        }
    }
}

impl Stream for SotwStream {
    type Request = DiscoveryRequest;

    fn node(request: &DiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn type_url(request: &mut DiscoveryRequest) -> &mut String {
        &mut request.type_url
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
        if is_new {
            state.waits = request.version_info.is_empty();
        }
        if is_new && kind.is_full_set() {
            state.brought = request.version_info;
        }
        if let Some(sent) = &settled {
            state.settle(sent, request.error_detail.is_some());
        }
        state
            .subscription
            .replace(&request.resource_names, &kind, self.legacy);
        state.forget_unwanted();
        Ok(settled.map(|sent| Verdict::of(sent, request.error_detail)))
    }

    fn next(&mut self, snapshot: &Snapshot) -> Option<Response> {
        for (kind, state) in &mut self.types {
            if let Some(of_type) = snapshot.of_type(kind.type_url()) {
                state.adopt(of_type);
            }
        }
        let (kind, news) = self.due(snapshot)?;
        let state = self.types.get_mut(&kind)?;
        let changed: Vec<Resource> = news
            .with
            .iter()
            .filter(|resource| !state.has(resource))
            .cloned()
            .collect();
        let response = state.send(&kind, news, self.nonces.draw());
        self.repeat(&kind, &changed);
        Some(response)
    }

    fn may_owe(&self, snapshot: &Snapshot) -> bool {
        self.due(snapshot).is_some()
    }

    /// Nothing has a time to live here ([`Resource::with_ttl`]).
    fn beat(&mut self) {}

    fn says_names(request: &DiscoveryRequest) -> bool {
        !request.resource_names.is_empty()
    }

    fn names_bytes(&mut self, offered: Option<&Snapshot>) -> usize {
        let of_types = self.types.iter_mut().map(|(kind, state)| {
            let of_type = offered.and_then(|it| it.of_type(kind.type_url()));
            state.subscription.bytes(of_type)
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

impl TypeState {
    /// Hears what the client says of `sent`.
    fn settle(&mut self, sent: &Sent, is_refused: bool) {
        let stays = std::mem::take(&mut self.stays);
        let stays = stays.into_iter().chain(std::iter::repeat(false));
        let resources = sent.resources.iter().zip(stays);
        let new = resources.filter(|(_, stays)| is_refused && !stays);
        let mut new = new.map(|(resource, _)| resource.clone()).peekable();
        self.refuses_all = is_refused && new.peek().is_none();
        self.refused.extend(new);
    }

    /// What the client does not want any more it has lost when it wants it again.
    fn forget_unwanted(&mut self) {
        let wanted = &self.subscription;
        self.sent.retain(|name, _| wanted.covers(name));
        self.kept.retain(|name, _| wanted.covers(name));
        self.due.retain(|name| wanted.covers(name));
        self.refused.retain(|name, _| wanted.covers(name));
        self.has_set &= !wanted.is_empty();
    }

    /// Takes a client that came back with exactly this set for one that was sent it.
    fn adopt(&mut self, of_type: &TypeSnapshot) {
        let brought = std::mem::take(&mut self.brought);
        if self.has_set || !self.subscription.is_wildcard() || brought != of_type.version().as_str()
        {
            return;
        }
        self.has_set = true;
        for resource in of_type.resources() {
            self.note(resource);
        }
    }

    fn note(&mut self, resource: &Resource) {
        let name = resource.name().to_owned();
        self.kept.insert(name.clone(), resource.clone());
        self.sent.insert(name, resource.version().clone());
    }

    fn send(&mut self, kind: &Kind, news: News, nonce: String) -> Response {
        if kind.is_full_set() {
            let stays = |it: &Resource| self.has(it) && !self.is_refused(it);
            self.stays = news.with.iter().map(stays).collect();
            self.has_set = true;
            self.sent.clear();
            self.kept.clear();
            self.refused.clear();
        }
        for resource in &news.with {
            self.due.remove(resource.name());
            self.refused.remove(resource.name());
            if kind.is_full_set() {
                self.note(resource);
            } else {
                let name = resource.name().to_owned();
                self.sent.insert(name, resource.version().clone());
            }
        }
        let with: Vec<&Resource> = news.with.iter().collect();
        let response = Response::sotw(kind.type_url(), &news.version, nonce, &with);
        self.nonce.clone_from(&response.sent.nonce);
        self.refuses_all = false;
        self.in_flight = Some(Arc::clone(&response.sent));
        response
    }

    /// What is to be sent, if anything. `may_remove` says whether what is gone may be left out.
    fn news(
        &self,
        kind: &Kind,
        of_type: &TypeSnapshot,
        may_remove: impl FnOnce() -> bool,
    ) -> Option<News> {
        if self.in_flight.is_some() || self.subscription.is_empty() {
            return None;
        }
        if kind.is_full_set() {
            self.full_set(of_type, may_remove)
        } else {
            self.changed(kind, of_type)
        }
    }

    /// Everything wanted, if it differs from what the client was sent.
    fn full_set(&self, of_type: &TypeSnapshot, may_remove: impl FnOnce() -> bool) -> Option<News> {
        let mut with: Vec<&Resource> = self.wanted(of_type).collect();
        let mut surplus = self.surplus(of_type).peekable();
        let stays = surplus.peek().is_some() && !may_remove();
        let mut version = of_type.version().clone();
        if stays {
            with.extend(surplus);
            with.sort_by_key(|resource| resource.name());
            version = Version::of_set(with.iter().copied());
        }
        let is_known = self.has_set
            && with.len() == self.sent.len()
            && with.iter().all(|resource| self.has(resource));
        (!is_known).then(|| News {
            version,
            with: with.into_iter().cloned().collect(),
        })
    }

    /// What is wanted and not known, if anything.
    fn changed(&self, kind: &Kind, of_type: &TypeSnapshot) -> Option<News> {
        let mut with: Vec<Resource> = self
            .wanted(of_type)
            .filter(|resource| self.is_due(resource))
            .cloned()
            .collect();
        if self.waits {
            with.extend(self.in_vain(kind, of_type));
            with.sort_by(|one, other| one.name().cmp(other.name()));
        }
        (!with.is_empty()).then(|| News {
            version: of_type.version().clone(),
            with,
        })
    }

    fn wanted<'a>(&self, of_type: &'a TypeSnapshot) -> impl Iterator<Item = &'a Resource> {
        of_type
            .resources()
            .filter(|resource| self.subscription.covers(resource.name()))
    }

    /// What ends the wait for what is not there and never was, as far as anything does.
    fn in_vain(&self, kind: &Kind, of_type: &TypeSnapshot) -> impl Iterator<Item = Resource> {
        let names = self.subscription.names();
        names
            .filter(|name| of_type.get(name).is_none() && !self.sent.contains_key(*name))
            .filter_map(|name| kind.in_place_of(name))
    }

    /// What the client was sent and the snapshot does not have.
    fn surplus(&self, of_type: &TypeSnapshot) -> impl Iterator<Item = &Resource> {
        self.kept
            .values()
            .filter(|resource| of_type.get(resource.name()).is_none())
    }

    fn has(&self, resource: &Resource) -> bool {
        self.sent.get(resource.name()) == Some(resource.version())
    }

    fn is_due(&self, resource: &Resource) -> bool {
        !self.has(resource) || self.due.contains(resource.name())
    }

    /// Whether the client refused it and was sent nothing else by its name since.
    fn is_refused(&self, resource: &Resource) -> bool {
        self.refused.get(resource.name()) == Some(resource.version())
    }
}

impl Standing for TypeState {
    fn is_behind(&self, kind: &Kind, of_type: &TypeSnapshot) -> bool {
        // What is under way it may take, wanted or not: it may want it again by then.
        if self.in_flight.is_some() {
            return true;
        }
        if self.subscription.is_empty() {
            return false;
        }
        self.refuses_all
            || (kind.is_full_set() && !self.has_set)
            || self
                .wanted(of_type)
                .any(|resource| self.is_due(resource) || self.is_refused(resource))
    }

    fn refuses(&self, of_type: &TypeSnapshot) -> bool {
        let mut refused = self.refused.keys();
        self.in_flight.is_some()
            || self.refuses_all
            || refused.any(|name| of_type.get(name).is_some())
    }

    fn has_surplus(&self, _: &Kind, of_type: &TypeSnapshot) -> bool {
        self.surplus(of_type).next().is_some()
    }
}
