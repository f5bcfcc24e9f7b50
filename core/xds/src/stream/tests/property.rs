//! Random clients against random histories, in both variants.

use proptest::prelude::*;

use super::*;

/// What happens next, in one type (extensions) with four names.
#[derive(Clone, Debug)]
enum Event {
    /// The client wants this set of names; bit `n` is name `n`.
    Want(u8),
    /// The name gets this content, is deleted (`Some(0)`) or is forgotten (`None`).
    Content(u8, Option<u8>),
    /// The connection has room for responses.
    Flush,
    /// The client takes the oldest response that it has not answered, or refuses it.
    Settle(bool),
    /// The client comes back on a new stream.
    Reconnect,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..16_u8).prop_map(Event::Want),
        (0..4_u8, proptest::option::of(0..4_u8)).prop_map(|(n, c)| Event::Content(n, c)),
        Just(Event::Flush),
        any::<bool>().prop_map(Event::Settle),
        Just(Event::Reconnect),
    ]
}

fn wanted(bits: u8) -> BTreeSet<String> {
    (0..4)
        .filter(|n| bits >> n & 1 == 1)
        .map(|n| format!("n{n}"))
        .collect()
}

/// The history's present: a content per name, 0 for deleted.
fn present(contents: &BTreeMap<String, u8>) -> Snapshot {
    let start = Snapshot::builder().manage(Kind::EXTENSION);
    contents
        .iter()
        .fold(start, |builder, (name, content)| match content {
            0 => builder.delete(Kind::EXTENSION, name),
            _ => builder.with(Resource::new(Kind::EXTENSION, name, &[*content])),
        })
        .build()
}

/// A client that speaks one variant.
trait Client: Stream + Default {
    /// The request that follows from wanting `now` after `before`, with a nonce and a refusal.
    fn request(
        now: &BTreeSet<String>,
        before: &BTreeSet<String>,
        nonce: &str,
        ok: bool,
    ) -> Self::Request;
    /// The first request on a new stream.
    fn begin(wants: &BTreeSet<String>, has: &BTreeMap<String, String>) -> Self::Request;
}

fn error(ok: bool) -> Option<Status> {
    if ok { None } else { refusal("no") }
}

impl Client for SotwStream {
    fn request(
        now: &BTreeSet<String>,
        _: &BTreeSet<String>,
        nonce: &str,
        ok: bool,
    ) -> DiscoveryRequest {
        DiscoveryRequest {
            type_url: Kind::EXTENSION.into(),
            resource_names: now.iter().cloned().collect(),
            response_nonce: nonce.to_owned(),
            error_detail: error(ok),
            ..DiscoveryRequest::default()
        }
    }

    fn begin(wants: &BTreeSet<String>, _: &BTreeMap<String, String>) -> DiscoveryRequest {
        Self::request(wants, wants, "", true)
    }
}

impl Client for DeltaStream {
    fn request(
        now: &BTreeSet<String>,
        before: &BTreeSet<String>,
        nonce: &str,
        ok: bool,
    ) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            type_url: Kind::EXTENSION.into(),
            resource_names_subscribe: now.difference(before).cloned().collect(),
            resource_names_unsubscribe: before.difference(now).cloned().collect(),
            response_nonce: nonce.to_owned(),
            error_detail: error(ok),
            ..DeltaDiscoveryRequest::default()
        }
    }

    fn begin(wants: &BTreeSet<String>, has: &BTreeMap<String, String>) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            initial_resource_versions: has.clone(),
            ..Self::request(wants, &BTreeSet::new(), "", true)
        }
    }
}

/// The world of one run.
#[derive(Default)]
struct Run<C> {
    stream: C,
    contents: BTreeMap<String, u8>,
    wants: BTreeSet<String>,
    /// What the client runs with, by version.
    has: BTreeMap<String, String>,
    in_flight: Option<Response>,
    /// What the client refused last: it does not run with it, and is not sent it again.
    refused: BTreeMap<String, String>,
}

impl<C: Client> Run<C> {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Want(bits) => {
                let now = wanted(*bits);
                let before = core::mem::replace(&mut self.wants, now);
                let request = C::request(&self.wants, &before, "", true);
                self.stream.take(request).unwrap();
                self.has.retain(|name, _| self.wants.contains(name));
                self.refused.retain(|name, _| self.wants.contains(name));
            }
            Event::Content(n, Some(content)) => {
                self.contents.insert(format!("n{n}"), *content);
            }
            Event::Content(n, None) => {
                self.contents.remove(&format!("n{n}"));
            }
            Event::Flush => self.flush(),
            Event::Settle(ok) => self.settle(*ok),
            Event::Reconnect => {
                self.stream = C::default();
                self.in_flight = None;
                self.refused.clear();
                let request = C::begin(&self.wants, &self.has);
                self.stream.take(request).unwrap();
            }
        }
    }

    fn flush(&mut self) {
        let now = present(&self.contents);
        while let Some(response) = self.stream.next(&now) {
            assert!(self.in_flight.is_none(), "two responses in flight");
            let names = response.sent.resources.iter().map(|(name, _)| name);
            let mut seen = BTreeSet::new();
            for name in names.chain(&response.sent.removed) {
                assert!(self.wants.contains(name), "{name} was not asked for");
                assert!(seen.insert(name.clone()), "{name} is there twice");
            }
            self.in_flight = Some(response);
        }
    }

    fn settle(&mut self, ok: bool) {
        let Some(response) = self.in_flight.take() else {
            return;
        };
        let resources = response.sent.resources.iter();
        for (name, version) in resources.filter(|(name, _)| self.wants.contains(name)) {
            let into = if ok { &mut self.has } else { &mut self.refused };
            into.insert(name.clone(), version.to_string());
            if ok {
                self.refused.remove(name);
            }
        }
        for name in &response.sent.removed {
            self.has.remove(name);
        }
        let request = C::request(&self.wants, &self.wants, &response.sent.nonce, ok);
        assert!(self.stream.take(request).unwrap().is_some());
    }

    /// Lets everything arrive. Refusals end: what is sent from here on is taken.
    fn settle_all(&mut self) {
        for _ in 0..10 {
            self.flush();
            self.settle(true);
        }
        self.flush();
        assert!(self.in_flight.is_none(), "it never falls silent");
    }

    /// Everything wanted that exists is what the client runs with, or refused.
    fn converged(&self) {
        let now = present(&self.contents);
        let of_type = now.of_type(Kind::EXTENSION).unwrap();
        for name in &self.wants {
            if let Some(resource) = of_type.get(name) {
                let version = resource.version().to_string();
                let known = [self.has.get(name), self.refused.get(name)];
                assert!(known.contains(&Some(&version)), "{name} is not up to date");
            }
        }
    }
}

fn runs<C: Client + Default>(events: &[Event]) -> Run<C> {
    let mut run = Run::<C>::default();
    run.take(&Event::Reconnect);
    for event in events {
        run.take(event);
    }
    run.settle_all();
    run.converged();
    run
}

proptest! {
    #[test]
    fn state_of_the_world_converges(events in proptest::collection::vec(event(), 0..60)) {
        runs::<SotwStream>(&events);
    }

    #[test]
    fn delta_converges_and_removes_only_what_was_deleted(
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let run = runs::<DeltaStream>(&events);
        for (name, content) in &run.contents {
            prop_assert!(*content != 0 || !run.has.contains_key(name), "{} was deleted", name);
        }
    }
}
