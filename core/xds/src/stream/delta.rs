//! Incremental: each request says what to add and to take away.
//!
//! Per type: *idle* or *waiting*, as in state of the world. A stale nonce
//! settles nothing, but the changes that come with it hold. The stream knows
//! what its client has (what it brought along and what it was sent), and sends
//! the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::order::{Standing, is_in_force, may_remove, must_wait};
use super::{
    Nonces, Response, Sent, Stream, StreamLimits, Verdict, Violation, is_offered, kept_bytes,
};
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
    /// Boxed: a map makes room for eleven at once, and most clients ask for one or two.
    types: BTreeMap<Kind, Box<TypeState>>,
    /// Endpoints of clusters that were sent before the client said which endpoints it has.
    owed: BTreeSet<String>,
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
    /// Whether the client brought something along and has answered nothing yet: what else it
    /// brings it may not have said, but will have before its first answer.
    is_arriving: bool,
    is_refusing: bool,
    /// What it refused, by name, and was not sent again since.
    refused: BTreeMap<String, Version>,
    in_flight: Option<Arc<Sent>>,
    /// Whether it is time for a heartbeat.
    beats: bool,
}

/// What is to be sent of one type.
struct News<'a> {
    with: Vec<&'a Resource>,
    removed: Vec<String>,
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

    /// What still holds, of the first type of which that is to be said. Not what the client refused, nor what came with
    /// it: whether it has these is not known.
    fn heartbeat(&mut self, snapshot: &Snapshot) -> Option<Response> {
        self.types.iter_mut().find_map(|(kind, state)| {
            let of_type = snapshot.of_type(kind.type_url())?;
            if state.in_flight.is_some() || !std::mem::take(&mut state.beats) {
                return None;
            }
            let with: Vec<&Resource> = state
                .wanted(of_type)
                .filter(|it| it.ttl().is_some() && !state.is_news(it) && !state.is_refused(it))
                .collect();
            if with.is_empty() {
                return None;
            }
            let fields = with.iter().filter_map(|it| it.as_delta_heartbeat());
            let what = (kind.type_url(), of_type.version());
            let response = Response::heartbeat(what, self.nonces.draw(), &with, fields);
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
            Some(state) => {
                let had = names.filter(|name| state.has.contains_key(*name));
                let had: Vec<String> = had.map(str::to_owned).collect();
                state.due.extend(had);
            }
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
                let had = owed.into_iter().filter(|name| state.has.contains_key(name));
                state.due.extend(had);
            }
        } else if Self::says_names(&request) {
            state.change(&request);
        }
        self.limits
            .check_count(&request.type_url, state.subscription.len())?;
        Ok(settled.map(|sent| Verdict::of(sent, request.error_detail)))
    }

    fn next(&mut self, snapshot: &Snapshot) -> Option<Response> {
        let Some((kind, of_type, news)) = self.due(snapshot) else {
            return self.heartbeat(snapshot);
        };
        self.repeat(&kind, &news.with);
        let state = self.types.get_mut(&kind)?;
        Some(state.send(&kind, of_type.version(), news, self.nonces.draw()))
    }

    fn may_owe(&self, snapshot: &Snapshot) -> bool {
        let mut types = self.types.values();
        types.any(|state| state.beats && state.in_flight.is_none()) || self.due(snapshot).is_some()
    }

    fn beat(&mut self) {
        self.types.values_mut().for_each(|state| state.beats = true);
    }

    fn says_names(request: &DeltaDiscoveryRequest) -> bool {
        !(request.resource_names_subscribe.is_empty()
            && request.resource_names_unsubscribe.is_empty()
            && request.initial_resource_versions.is_empty())
    }

    fn names_bytes(&self, offered: Option<&Snapshot>) -> usize {
        let of_types = self.types.iter().map(|(kind, state)| {
            let of_type = offered.and_then(|it| it.of_type(kind.type_url()));
            state.names_bytes(of_type)
        });
        of_types.sum()
    }

    fn is_in_force(&self, snapshot: &Snapshot) -> bool {
        is_in_force(&self.types, snapshot)
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
        self.is_arriving = !kind.outlives().is_empty() && !self.has.is_empty();
    }

    fn names_bytes(&self, offered: Option<&TypeSnapshot>) -> usize {
        let wanted = self.subscription.names();
        let due = self.due.iter().map(String::as_str);
        let names = wanted.chain(due).map(|name| (name, 0));
        let has = self.has.iter();
        let has = has.map(|(name, version)| (name.as_str(), version.as_str().len()));
        let unknown = names
            .chain(has)
            .filter(|(name, _)| !is_offered(offered, name));
        unknown
            .map(|(name, beside)| kept_bytes(name) + beside)
            .sum()
    }

    /// Hears what the client says of `sent`.
    fn settle(&mut self, sent: &Sent, is_refused: bool) {
        let resources = sent.resources.iter();
        if !sent.is_heartbeat {
            self.is_refusing = is_refused;
            if is_refused {
                self.refused.extend(resources.cloned());
            }
        } else if is_refused {
            // Something of it has expired meanwhile, and holds again when it comes whole.
            self.due.extend(resources.map(|(name, _)| name.clone()));
        }
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
        self.refused.retain(|name, _| wanted.covers(name));
        // Dropped while it is on its way, and wanted again: the client keeps what comes, and may have to drop it.
        for (name, version) in self.in_flight.iter().flat_map(|sent| &sent.resources) {
            if wanted.covers(name) && !self.has.contains_key(name) {
                self.has.insert(name.clone(), version.clone());
                self.due.insert(name.clone());
            }
        }
    }

    fn send(&mut self, kind: &Kind, version: &Version, news: News<'_>, nonce: String) -> Response {
        self.owes_answer = false;
        self.is_refusing = false;
        for resource in &news.with {
            self.due.remove(resource.name());
            self.refused.remove(resource.name());
            match self.has.get_mut(resource.name()) {
                Some(known) => known.clone_from(resource.version()),
                None => {
                    let name = resource.name().to_owned();
                    self.has.insert(name, resource.version().clone());
                }
            }
        }
        for name in &news.removed {
            self.due.remove(name);
            self.refused.remove(name);
            self.has.remove(name);
        }
        let response = Response::delta(kind.type_url(), version, nonce, &news.with, news.removed);
        self.in_flight = Some(Arc::clone(&response.sent));
        response
    }

    /// What is to be sent, if anything. `may_remove` says whether what is gone may be taken away.
    fn news<'a>(
        &self,
        kind: &Kind,
        of_type: &'a TypeSnapshot,
        may_remove: impl FnOnce() -> bool,
    ) -> Option<News<'a>> {
        if self.in_flight.is_some() {
            return None;
        }
        let mut with: Vec<&Resource> = self.wanted(of_type).filter(|it| self.is_news(it)).collect();
        let mut removed: BTreeSet<&String> = self.missing(of_type).collect();
        let has_surplus = self.has_surplus(kind, of_type);
        if has_surplus && !self.is_arriving && may_remove() {
            removed.extend(self.surplus(kind, of_type));
        }
        // An empty response asks for an answer.
        let asks = self.owes_answer || (has_surplus && self.is_arriving);
        if with.is_empty() && removed.is_empty() && !asks {
            return None;
        }
        if kind.is_waited_for() && !self.refused.is_empty() {
            // Of what came in one response with something bad it is not known whether the client has it.
            let goes = |it: &&Resource| self.is_news(it) || self.is_refused(it);
            with = self.wanted(of_type).filter(goes).collect();
        }
        Some(News {
            with,
            removed: removed.into_iter().cloned().collect(),
        })
    }

    fn wanted<'a>(&self, of_type: &'a TypeSnapshot) -> impl Iterator<Item = &'a Resource> {
        of_type
            .resources()
            .filter(|resource| self.subscription.covers(resource.name()))
    }

    fn is_news(&self, resource: &Resource) -> bool {
        self.has.get(resource.name()) != Some(resource.version())
            || self.due.contains(resource.name())
    }

    /// Whether the client refused it and was sent nothing else by its name since.
    fn is_refused(&self, resource: &Resource) -> bool {
        self.refused.get(resource.name()) == Some(resource.version())
    }

    /// What the client asked for in vain.
    fn missing(&self, of_type: &TypeSnapshot) -> impl Iterator<Item = &String> {
        self.due
            .iter()
            .filter(|name| !self.has.contains_key(*name) && of_type.get(name).is_none())
    }

    /// What the client has and must drop.
    fn surplus(&self, kind: &Kind, of_type: &TypeSnapshot) -> impl Iterator<Item = &String> {
        let goes = |name: &str| kind.is_full_set() || of_type.is_deleted(name);
        self.has
            .keys()
            .filter(move |name| of_type.get(name).is_none() && goes(name))
    }
}

/// Whether an answer to `sent` says whether something is in force.
fn is_awaited(sent: &Sent) -> bool {
    !sent.is_heartbeat
}

impl Standing for TypeState {
    fn is_behind(&self, _: &Kind, of_type: &TypeSnapshot) -> bool {
        if self.subscription.is_empty() {
            return false;
        }
        self.in_flight.as_deref().is_some_and(is_awaited)
            || self.is_refusing
            || self.owes_answer
            || self
                .wanted(of_type)
                .any(|resource| self.is_news(resource) || self.is_refused(resource))
    }

    fn has_surplus(&self, kind: &Kind, of_type: &TypeSnapshot) -> bool {
        self.surplus(kind, of_type).next().is_some()
    }
}
