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
//!
//! What has a time to live goes without it at first, and with it when the client has taken it, whole each time. Envoy
//! 1.40 acknowledges a heartbeat without content and lets what it is about expire all the same; it takes the time of
//! what it refuses for one of what it has; and when anything of a type expires, all that it asks for of the type goes.
//! So nothing has a time that is not renewed, and nothing has one beside what is to stay for ever.

mod of_type;

use std::collections::BTreeMap;

use super::order::{is_in_force, may_remove, must_wait, refuses};
use super::{Nonces, Response, Stream, StreamLimits, Verdict, Violation};
use crate::{DiscoveryRequest, Kind, LegacyWildcard, Node, Resource, Snapshot};

use of_type::{News, TypeState};

/// A state-of-the-world stream.
#[derive(Debug, Default)]
pub struct SotwStream {
    limits: StreamLimits,
    legacy: LegacyWildcard,
    nonces: Nonces,
    /// Boxed, as in [`DeltaStream`](super::DeltaStream).
    types: BTreeMap<Kind, Box<TypeState>>,
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

    /// What still holds, of the first type of which that is to be said.
    fn heartbeat(&mut self, snapshot: &Snapshot) -> Option<Response> {
        let nonces = &mut self.nonces;
        self.types.iter_mut().find_map(|(kind, state)| {
            let of_type = snapshot.of_type(kind.type_url());
            state.heartbeat(kind, of_type, || nonces.draw())
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
            let of_type = snapshot.of_type(kind.type_url());
            state.notice(of_type);
            if let Some(of_type) = of_type {
                state.adopt(of_type);
            }
        }
        let Some((kind, news)) = self.due(snapshot) else {
            return self.heartbeat(snapshot);
        };
        let state = self.types.get_mut(&kind)?;
        let changed: Vec<Resource> = news
            .with
            .iter()
            .filter(|(resource, _)| !state.is_known(resource))
            .map(|(resource, _)| resource.clone())
            .collect();
        let response = state.send(&kind, news, self.nonces.draw());
        self.repeat(&kind, &changed);
        Some(response)
    }

    fn may_owe(&self, snapshot: &Snapshot) -> bool {
        let mut types = self.types.iter();
        types.any(|(kind, state)| {
            let of_type = snapshot.of_type(kind.type_url());
            state.refused.has_lost(of_type) || state.may_beat(kind, of_type)
        }) || self.due(snapshot).is_some()
    }

    fn beat(&mut self) {
        self.types.values_mut().for_each(|state| state.beats = true);
    }

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
