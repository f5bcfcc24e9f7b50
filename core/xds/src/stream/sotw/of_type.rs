//! What a stream of the state of the world knows of one type.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::order::Standing;
use super::super::refused::Refused;
use super::super::{Response, Sent};
use crate::subscription::Subscription;
use crate::{Kind, Resource, TypeSnapshot, Version};

#[derive(Debug, Default)]
pub(super) struct TypeState {
    pub(super) subscription: Subscription,
    /// What the client was sent, refused or not: none of it is sent again unasked. Unknown versions are of what was refused and
    /// then not there.
    pub(super) sent: BTreeMap<String, Version>,
    /// Of a full set that which it took, as it did last: to be sent again while something may refer to it.
    kept: BTreeMap<String, Resource>,
    /// To be sent although unchanged.
    pub(super) due: BTreeSet<String>,
    /// The version that the client came back with, until it is compared.
    pub(super) brought: String,
    /// Whether a full set was ever sent.
    has_set: bool,
    /// Whether the client began with nothing: it waits for what it asks for, there or not.
    pub(super) waits: bool,
    /// Whether it refused a response of which nothing was new to it: what it does not have then has no name.
    refuses_all: bool,
    /// What it refused. It holds up others for as long as it is wanted.
    pub(super) refused: Refused,
    pub(super) nonce: String,
    pub(super) in_flight: Option<Arc<Sent>>,
    /// A full set in flight.
    set: Vec<(Resource, Stays)>,
    /// The version of the response that it took last.
    took: Option<Version>,
    /// Whether it is time for a heartbeat.
    pub(super) beats: bool,
    /// What it drops when it does not hear of it, as it heard of it last.
    mortal: BTreeMap<String, Resource>,
    /// What was in a heartbeat that it refused: it waits for the next that is due, so that it is not refused again at once.
    put_off: BTreeMap<String, Version>,
}

/// Whether the client took a resource as it is: it keeps that, whatever it says of what comes with it.
type Stays = bool;

/// What is to be sent of one type.
pub(super) struct News {
    version: Version,
    /// Sorted by name.
    pub(super) with: Vec<(Resource, Stays)>,
}

impl TypeState {
    /// Hears what the client says of `sent`.
    pub(super) fn settle(&mut self, sent: &Sent, is_refused: bool) {
        if sent.is_heartbeat {
            return self.settle_heartbeat(sent, is_refused);
        }
        if !is_refused {
            self.took = Some(sent.version.clone());
        }
        let set = std::mem::take(&mut self.set);
        self.refuses_all = false;
        if !is_refused {
            let kept = set.into_iter().map(|(it, _)| (it.name().to_owned(), it));
            return self.kept.extend(kept);
        }
        let stays = set.iter().map(|(_, stays)| *stays);
        let stays = stays.chain(std::iter::repeat(false));
        let resources = sent.resources.iter().zip(stays);
        let new = resources.filter(|(_, stays)| !stays);
        let mut new = new.map(|(resource, _)| resource.clone()).peekable();
        self.refuses_all = new.peek().is_none();
        self.refused.add(new);
    }

    /// What the client has by the names of a heartbeat that it refused nobody knows, so they go once more, as news.
    fn settle_heartbeat(&mut self, sent: &Sent, is_refused: bool) {
        for (name, version) in &sent.resources {
            if is_refused {
                self.lose(name);
                self.put_off.insert(name.clone(), version.clone());
            } else {
                self.put_off.remove(name);
            }
        }
    }

    /// What was refused and is not there any more is over. What the client has by its name then nobody knows, so it is sent
    /// when it returns, whatever it is.
    pub(super) fn notice(&mut self, of_type: Option<&TypeSnapshot>) {
        for name in self.refused.take_lost(of_type) {
            self.sent.insert(name, Version::unknown());
        }
    }

    fn lose(&mut self, name: &str) {
        if let Some(version) = self.sent.get_mut(name) {
            *version = Version::unknown();
        }
    }

    /// What the client does not want any more it has lost when it wants it again.
    pub(super) fn forget_unwanted(&mut self) {
        let wanted = &self.subscription;
        self.sent.retain(|name, _| wanted.covers(name));
        self.kept.retain(|name, _| wanted.covers(name));
        self.due.retain(|name| wanted.covers(name));
        self.put_off.retain(|name, _| wanted.covers(name));
        self.refused.retain(|name| wanted.covers(name));
        self.has_set &= !wanted.is_empty();
        self.refuses_all &= !wanted.is_empty();
    }

    /// Takes a client that came back with exactly this set for one that was sent it.
    pub(super) fn adopt(&mut self, of_type: &TypeSnapshot) {
        let brought = std::mem::take(&mut self.brought);
        if self.has_set || !self.subscription.is_wildcard() || brought != of_type.version().as_str()
        {
            return;
        }
        self.has_set = true;
        for resource in of_type.resources() {
            let name = resource.name().to_owned();
            self.kept.insert(name.clone(), resource.clone());
            self.sent.insert(name, resource.version().clone());
        }
    }

    pub(super) fn send(&mut self, kind: &Kind, news: News, nonce: String) -> Response {
        if kind.is_full_set() {
            self.has_set = true;
            self.sent.clear();
            self.refused.clear();
        }
        for (resource, _) in &news.with {
            self.due.remove(resource.name());
            self.refused.remove(resource.name());
            self.mortal.remove(resource.name());
            let name = resource.name().to_owned();
            self.sent.insert(name, resource.version().clone());
        }
        let with: Vec<&Resource> = news.with.iter().map(|(it, _)| it).collect();
        let response = Response::sotw(kind.type_url(), &news.version, nonce, &with);
        if kind.is_full_set() {
            self.kept.retain(|name, _| self.sent.contains_key(name));
            self.set = news.with;
        }
        self.nonce.clone_from(&response.sent.nonce);
        self.refuses_all = false;
        self.in_flight = Some(Arc::clone(&response.sent));
        response
    }

    /// Says what is to hold for ever from now on, or else what still holds: all of it when it is time for that, and what was
    /// taken meanwhile at once.
    pub(super) fn heartbeat(
        &mut self,
        kind: &Kind,
        of_type: Option<&TypeSnapshot>,
        nonce: impl FnOnce() -> String,
    ) -> Option<Response> {
        if !self.may_beat(kind, of_type) {
            return None;
        }
        let mut with: Vec<Resource> = self.outlived(kind, of_type).cloned().collect();
        let is_mortal = with.is_empty();
        if is_mortal {
            let all = std::mem::take(&mut self.beats);
            let renewed = self.renewed(kind, of_type);
            let renewed = renewed.filter(|it| all || self.goes_at_once(it));
            with = renewed.cloned().collect();
        }
        let version = self.took.as_ref().filter(|_| !with.is_empty())?;
        let fields: Vec<&Resource> = with.iter().collect();
        let what = (kind.type_url(), version);
        let response = Response::renewal(what, nonce(), &fields, is_mortal);
        for resource in with {
            let name = resource.name().to_owned();
            match is_mortal {
                true => drop(self.mortal.insert(name, resource)),
                false => drop(self.mortal.remove(&name)),
            }
        }
        self.nonce.clone_from(&response.sent.nonce);
        self.in_flight = Some(Arc::clone(&response.sent));
        Some(response)
    }

    /// Whether [`TypeState::heartbeat`] may have something to say: `false` is sure.
    pub(super) fn may_beat(&self, kind: &Kind, of_type: Option<&TypeSnapshot>) -> bool {
        if self.in_flight.is_some() || self.took.is_none() || self.subscription.is_empty() {
            return false;
        }
        self.beats
            || self.outlived(kind, of_type).next().is_some()
            || self.renewed(kind, of_type).any(|it| self.goes_at_once(it))
    }

    /// What the client has for certain and is to drop when it does not hear of it. Nothing beside what has no time to live, or
    /// was sent and is there still although the snapshot does not have it any more; and nothing of full sets, as what a heartbeat
    /// leaves out would be gone.
    fn renewed<'a>(
        &'a self,
        kind: &Kind,
        of_type: Option<&'a TypeSnapshot>,
    ) -> impl Iterator<Item = &'a Resource> {
        let all_live = |it: &&TypeSnapshot| self.wanted(it).all(|it| it.ttl().is_some());
        let all_are_there =
            |it: &&TypeSnapshot| self.sent.keys().all(|name| it.get(name).is_some());
        let of_type = of_type.filter(|it| !kind.is_full_set() && all_live(it) && all_are_there(it));
        let wanted = of_type.into_iter().flat_map(|it| self.wanted(it));
        wanted.filter(|it| self.is_known(it) && !self.due.contains(it.name()))
    }

    /// What the client would drop although it is not renewed any more.
    fn outlived<'a>(
        &'a self,
        kind: &Kind,
        of_type: Option<&'a TypeSnapshot>,
    ) -> impl Iterator<Item = &'a Resource> {
        let renewed: BTreeSet<&str> = match self.mortal.is_empty() {
            true => BTreeSet::new(),
            false => self.renewed(kind, of_type).map(Resource::name).collect(),
        };
        let mortal = self.mortal.values();
        mortal.filter(move |it| !renewed.contains(it.name()))
    }

    /// Whether the client drops it, as it is, when it does not hear of it.
    fn is_mortal(&self, resource: &Resource) -> bool {
        self.mortal.get(resource.name()) == Some(resource)
    }

    /// Whether it goes before it is time for a heartbeat: the client has it for ever, and did not refuse to have it otherwise.
    fn goes_at_once(&self, resource: &Resource) -> bool {
        let is_put_off = self.put_off.get(resource.name()) == Some(resource.version());
        !(self.is_mortal(resource) || is_put_off)
    }

    /// What is to be sent, if anything. `may_remove` says whether what is gone may be left out.
    pub(super) fn news(
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
        let wanted = self.wanted(of_type).map(|it| (it, self.is_known(it)));
        let mut with: Vec<(&Resource, Stays)> = wanted.collect();
        let mut outlive = self.outlive(of_type).peekable();
        let mut version = of_type.version().clone();
        if outlive.peek().is_some() && !may_remove() {
            with.extend(outlive.map(|it| (it, true)));
            with.sort_by_key(|(resource, _)| resource.name());
            version = Version::of_set(with.iter().map(|(resource, _)| *resource));
        }
        let is_all = self.has_set && with.len() == self.sent.len();
        let goes = |it: &Resource| !self.has(it) || self.refused.is_tried_again(it);
        if is_all && !with.iter().any(|(it, _)| goes(it)) {
            return None;
        }
        let with = with.into_iter().map(|(it, stays)| (it.clone(), stays));
        Some(News {
            version,
            with: with.collect(),
        })
    }

    /// What is wanted and not known, if anything.
    fn changed(&self, kind: &Kind, of_type: &TypeSnapshot) -> Option<News> {
        let wanted = || self.wanted(of_type);
        let again = wanted().filter(|it| self.refused.is_tried_again(it));
        let mut with: Vec<Resource> = again.cloned().collect();
        if with.is_empty() {
            with.extend(wanted().filter(|it| self.is_due(it)).cloned());
        }
        if self.waits {
            with.extend(self.in_vain(kind, of_type));
            with.sort_by(|one, other| one.name().cmp(other.name()));
        }
        (!with.is_empty()).then(|| News {
            version: of_type.version().clone(),
            with: with.into_iter().map(|it| (it, false)).collect(),
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

    /// What the client has and the snapshot does not, as the client took it last: what it refused goes to it never again. Where it
    /// took nothing by the name on this stream, nothing that was sent on it waited for that; what routes it had before lead to is
    /// not known.
    fn outlive(&self, of_type: &TypeSnapshot) -> impl Iterator<Item = &Resource> {
        self.kept
            .values()
            .filter(|resource| of_type.get(resource.name()).is_none())
    }

    fn has(&self, resource: &Resource) -> bool {
        self.sent.get(resource.name()) == Some(resource.version())
    }

    /// Whether the client was sent it and took it.
    pub(super) fn is_known(&self, resource: &Resource) -> bool {
        self.has(resource) && !self.refused.includes(resource)
    }

    fn is_due(&self, resource: &Resource) -> bool {
        !self.has(resource) || self.due.contains(resource.name())
    }
}

impl Standing for TypeState {
    fn is_behind(&self, kind: &Kind, of_type: &TypeSnapshot) -> bool {
        // What is under way it may take, wanted or not: it may want it again by then.
        if self.in_flight.as_deref().is_some_and(|it| !it.is_heartbeat) {
            return true;
        }
        if self.subscription.is_empty() {
            return false;
        }
        self.refuses_all
            || (kind.is_full_set() && !self.has_set)
            || self
                .wanted(of_type)
                .any(|resource| self.is_due(resource) || self.refused.includes(resource))
    }

    fn refuses(&self, of_type: &TypeSnapshot) -> bool {
        let mut refused = self.refused.names();
        self.in_flight.is_some()
            || self.refuses_all
            || refused.any(|name| of_type.get(name).is_some())
    }

    fn has_surplus(&self, kind: &Kind, of_type: &TypeSnapshot) -> bool {
        // Of what comes in parts absence says nothing.
        let mut sent = self.sent.keys();
        kind.is_full_set() && sent.any(|name| of_type.get(name).is_none())
    }
}
