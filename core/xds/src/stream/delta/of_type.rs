//! What a delta stream knows of one type.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::order::Standing;
use super::super::refused::Refused;
use super::super::{Response, Sent};
use crate::names::Names;
use crate::subscription::{Subscription, WILDCARD};
use crate::{DeltaDiscoveryRequest, Kind, LegacyWildcard, Resource, TypeSnapshot, Version};

#[derive(Debug, Default)]
pub(super) struct TypeState {
    pub(super) subscription: Subscription,
    /// What the client has: brought along or sent, refused or not. Unknown versions are of what was refused and then not there,
    /// and of what may have expired.
    has: Names<Version>,
    /// What the client took last, where it refused what came after that, or may yet: that has a time to live, and goes on.
    held: BTreeMap<String, Version>,
    /// Names of what is held, to be in a heartbeat of their own: the client did not know something that one named with them.
    pub(super) alone: BTreeSet<String>,
    /// Names to be answered although nothing changed: with the resource, or with a removal.
    due: Names,
    /// Whether even an empty answer is owed: a client that begins with the wildcard waits for one.
    owes_answer: bool,
    /// Whether the client brought something along and has answered nothing yet: what else it
    /// brings it may not have said, but will have before its first answer.
    pub(super) is_arriving: bool,
    /// Whether it refused a response that carried no resource: what it does not have then has no name.
    refuses_all: bool,
    /// What it refused. It holds up others for as long as it is wanted.
    pub(super) refused: Refused,
    pub(super) in_flight: Option<Arc<Sent>>,
    /// Whether it is time for a heartbeat.
    pub(super) beats: bool,
}

/// What is to be sent of one type.
pub(super) struct News<'a> {
    pub(super) with: Vec<&'a Resource>,
    removed: Vec<String>,
}

impl TypeState {
    /// The first request of a type: what the client brings along is not asked for again.
    pub(super) fn begin(
        &mut self,
        request: &DeltaDiscoveryRequest,
        kind: &Kind,
        legacy: LegacyWildcard,
    ) {
        let brought = &request.initial_resource_versions;
        if request.resource_names_subscribe.is_empty() {
            self.subscription.begin_silent(kind, legacy);
        }
        for name in &request.resource_names_subscribe {
            self.subscription.add(name);
            if name != WILDCARD && !brought.contains_key(name) {
                self.due.put(name, ());
            }
        }
        for (name, version) in brought {
            if self.subscription.covers(name) {
                self.has.put(name, Version::claimed(version));
            }
        }
        self.owes_answer = self.subscription.is_wildcard() && self.has.is_empty();
        self.is_arriving = !kind.outlives().is_empty() && !self.has.is_empty();
    }

    /// Bytes that are kept of names that are not in `offered`.
    pub(super) fn names_bytes(&mut self, offered: Option<&TypeSnapshot>) -> usize {
        let beside = self.due.bytes(offered) + self.has.bytes(offered);
        self.subscription.bytes(offered) + beside
    }

    /// A resource goes again, if the client has it.
    pub(super) fn repeat(&mut self, name: &str) {
        if self.has.contains(name) {
            self.due.put(name, ());
        }
    }

    /// Hears what the client says of `sent`. What it has let go of meanwhile it need not have.
    pub(super) fn settle(&mut self, sent: &Sent, is_refused: bool) {
        let wanted = &self.subscription;
        if !sent.is_heartbeat {
            let is_empty = sent.resources.is_empty();
            self.refuses_all = is_refused && is_empty && !wanted.is_empty();
            if is_refused {
                self.refused.add(sent.resources.iter().cloned());
                let names = sent.names().filter(|name| !wanted.covers(name));
                names.for_each(|name| self.refused.remove(name));
            } else {
                sent.names().for_each(|name| drop(self.held.remove(name)));
            }
        } else if is_refused {
            let is_alone = sent.resources.len() == 1;
            for name in sent.names().filter(|name| wanted.covers(name)) {
                // Something of it has expired meanwhile, and holds again when it comes whole. What was refused is not sent
                // again, so of what is held instead it must be known what has.
                if self.held.contains_key(name) && !is_alone {
                    self.alone.insert(name.to_owned());
                } else if self.held.remove(name).is_none() && self.has.contains(name) {
                    self.has.put(name, Version::unknown());
                }
            }
        }
    }

    /// What was refused and is not there any more is over. What the client has by its name then nobody knows, so it is sent
    /// when it returns, whatever it is, and taken away where what is not there is taken away.
    pub(super) fn notice(&mut self, of_type: Option<&TypeSnapshot>) {
        for name in self.refused.take_lost(of_type) {
            self.has.put(&name, Version::unknown());
        }
    }

    /// Takes what a client asks for besides, and what not any more. That costs as much as it says, and not as much as is kept.
    pub(super) fn change(&mut self, request: &DeltaDiscoveryRequest) {
        for name in &request.resource_names_subscribe {
            self.subscription.add(name);
            if name != WILDCARD {
                self.ask_again(name);
            }
        }
        for name in &request.resource_names_unsubscribe {
            let was_wanted = self.subscription.remove(name);
            if name == WILDCARD && was_wanted {
                self.forget_unwanted();
            } else if !self.subscription.covers(name) {
                self.forget(name);
            } else if was_wanted {
                // The wildcard still wants it, but the client has dropped it.
                self.ask_again(name);
            }
        }
        if let Some(sent) = self.in_flight.clone() {
            self.keep_what_comes(&sent, &request.resource_names_subscribe);
        }
        self.refuses_all &= !self.subscription.is_empty();
    }

    /// A name is to be answered, and nothing goes on that the client had by it.
    fn ask_again(&mut self, name: &str) {
        self.due.put(name, ());
        self.held.remove(name);
    }

    /// What was dropped while it is on its way in `sent`, and is wanted again by `names`: the client keeps what comes, and may
    /// have to drop it.
    fn keep_what_comes(&mut self, sent: &Sent, names: &[String]) {
        let mut keep = |name: &str, version: &Version| {
            if self.subscription.covers(name) && !self.has.contains(name) {
                self.has.put(name, version.clone());
                self.due.put(name, ());
            }
        };
        if names.iter().any(|name| name == WILDCARD) {
            let resources = sent.resources.iter();
            return resources.for_each(|(name, version)| keep(name, version));
        }
        for name in names {
            if let Some(version) = sent.version_of(name) {
                keep(name, version);
            }
        }
    }

    fn forget(&mut self, name: &str) {
        self.has.remove(name);
        self.held.remove(name);
        self.due.remove(name);
        self.refused.remove(name);
    }

    fn forget_unwanted(&mut self) {
        let wanted = &self.subscription;
        self.has.retain(|name| wanted.covers(name));
        self.held.retain(|name, _| wanted.covers(name));
        self.due.retain(|name| wanted.covers(name));
        self.refused.retain(|name| wanted.covers(name));
    }

    pub(super) fn send(
        &mut self,
        kind: &Kind,
        version: &Version,
        news: News<'_>,
        nonce: String,
    ) -> Response {
        self.owes_answer = false;
        self.refuses_all = false;
        for resource in &news.with {
            self.hold(resource);
            self.due.remove(resource.name());
            self.refused.remove(resource.name());
            self.has.put(resource.name(), resource.version().clone());
        }
        for name in &news.removed {
            self.due.remove(name);
            self.refused.remove(name);
            self.has.remove(name);
            self.held.remove(name);
        }
        let response = Response::delta(kind.type_url(), version, nonce, &news.with, news.removed);
        self.in_flight = Some(Arc::clone(&response.sent));
        response
    }

    /// What the client took before `resource`, which is about to be sent, it goes on with if it refuses that. Not where it asks
    /// for it again, since it may have dropped it.
    fn hold(&mut self, resource: &Resource) {
        let name = resource.name();
        let is_sure = !(self.refused.contains(name) || self.due.contains(name));
        let took = self.has.get(name).filter(|_| is_sure);
        if let Some(version) = took.filter(|it| **it != Version::unknown())
            && resource.ttl().is_some()
        {
            self.held.insert(name.to_owned(), version.clone());
        }
    }

    /// What the client has by the name of `resource`, as far as that is known. Where it refused the resource, or what came with
    /// it, that is what it took before.
    pub(super) fn holds<'a>(&'a self, resource: &'a Resource) -> Option<&'a Version> {
        if self.is_news(resource) {
            None
        } else if self.refused.includes(resource) {
            self.held.get(resource.name())
        } else {
            Some(resource.version())
        }
    }

    /// The next name to be in a heartbeat of its own, if that still holds.
    pub(super) fn take_alone(&mut self, of_type: &TypeSnapshot) -> Option<String> {
        while let Some(name) = self.alone.pop_first() {
            let wanted = of_type.get(&name).filter(|it| self.covers(it));
            if wanted.is_some_and(|it| it.ttl().is_some() && self.holds(it).is_some()) {
                return Some(name);
            }
        }
        None
    }

    fn covers(&self, resource: &Resource) -> bool {
        self.subscription.covers(resource.name())
    }

    /// What is to be sent, if anything. `may_remove` says whether what is gone may be taken away.
    pub(super) fn news<'a>(
        &self,
        kind: &Kind,
        of_type: &'a TypeSnapshot,
        may_remove: impl FnOnce() -> bool,
    ) -> Option<News<'a>> {
        if self.in_flight.is_some() {
            return None;
        }
        let again = self.wanted(of_type);
        let again: Vec<&Resource> = again.filter(|it| self.refused.is_tried_again(it)).collect();
        if !again.is_empty() {
            return Some(News {
                with: again,
                removed: Vec::new(),
            });
        }
        let with: Vec<&Resource> = self.wanted(of_type).filter(|it| self.is_news(it)).collect();
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
        Some(News {
            with,
            removed: removed.into_iter().cloned().collect(),
        })
    }

    pub(super) fn wanted<'a>(
        &self,
        of_type: &'a TypeSnapshot,
    ) -> impl Iterator<Item = &'a Resource> {
        of_type.resources().filter(|resource| self.covers(resource))
    }

    pub(super) fn is_news(&self, resource: &Resource) -> bool {
        self.has.get(resource.name()) != Some(resource.version())
            || self.due.contains(resource.name())
    }

    /// Whether the client refused it and was sent nothing else by its name since.
    pub(super) fn is_refused(&self, resource: &Resource) -> bool {
        self.refused.includes(resource)
    }

    /// What the client asked for in vain.
    fn missing(&self, of_type: &TypeSnapshot) -> impl Iterator<Item = &String> {
        self.due
            .iter()
            .filter(|name| !self.has.contains(name) && of_type.get(name).is_none())
    }

    /// What the client has and must drop.
    fn surplus(&self, kind: &Kind, of_type: &TypeSnapshot) -> impl Iterator<Item = &String> {
        let goes = |name: &str| kind.is_full_set() || of_type.is_deleted(name);
        self.has
            .iter()
            .filter(move |name| of_type.get(name).is_none() && goes(name))
    }
}

/// Whether an answer to `sent` says whether something is in force.
fn is_awaited(sent: &Sent) -> bool {
    !sent.is_heartbeat
}

impl Standing for TypeState {
    fn is_behind(&self, _: &Kind, of_type: &TypeSnapshot) -> bool {
        // What is under way it may take, wanted or not: it may want it again by then.
        if self.in_flight.as_deref().is_some_and(is_awaited) {
            return true;
        }
        if self.subscription.is_empty() {
            return false;
        }
        self.refuses_all
            || self.owes_answer
            || self
                .wanted(of_type)
                .any(|resource| self.is_news(resource) || self.is_refused(resource))
    }

    fn refuses(&self, of_type: &TypeSnapshot) -> bool {
        let mut refused = self.refused.names();
        self.in_flight.is_some()
            || self.refuses_all
            || refused.any(|name| of_type.get(name).is_some())
    }

    fn has_surplus(&self, kind: &Kind, of_type: &TypeSnapshot) -> bool {
        self.surplus(kind, of_type).next().is_some()
    }
}
