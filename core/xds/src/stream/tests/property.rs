//! Random clients against random histories, in both variants.

use proptest::prelude::*;

use super::*;
use crate::Version;

/// What happens next, in one type (extensions) with four names.
#[derive(Clone, Debug)]
enum Event {
    /// The client wants this set of names; bit `n` is name `n`, the highest the wildcard.
    Want(u8),
    /// It says that it wants these with the nonce of a response before the last one, which it has not answered yet.
    Stale(u8),
    /// The name gets this content, is deleted (`Some(0)`) or is forgotten (`None`).
    Content(u8, Option<u8>),
    /// The connection has room for responses.
    Flush,
    /// The client takes the oldest response that it has not answered, or refuses it when something in it is bad. Then it takes
    /// the rest of it all the same, or does not.
    Settle(bool),
    /// It is time for a heartbeat.
    Beat,
    /// The client has not heard for long of these names (bits).
    Expire(u8),
    /// The client comes back on a new stream.
    Reconnect,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..32_u8).prop_map(Event::Want),
        (0..32_u8).prop_map(Event::Stale),
        (0..4_u8, proptest::option::of(0..4_u8)).prop_map(|(n, c)| Event::Content(n, c)),
        Just(Event::Flush),
        any::<bool>().prop_map(Event::Settle),
        Just(Event::Beat),
        (0..16_u8).prop_map(Event::Expire),
        Just(Event::Reconnect),
    ]
}

/// All names, and the wildcard.
const NAMES: [&str; 5] = ["n0", "n1", "n2", "n3", "*"];

fn wanted(bits: u8) -> BTreeSet<String> {
    let chosen = NAMES.iter().enumerate().filter(|(n, _)| bits >> n & 1 == 1);
    chosen.map(|(_, name)| (*name).to_owned()).collect()
}

fn covers(wants: &BTreeSet<String>, name: &str) -> bool {
    wants.contains(name) || wants.contains("*")
}

/// The content that clients refuse.
const BAD: u8 = 3;

fn resource(name: &str, content: u8) -> Resource {
    let resource = Resource::new(Kind::EXTENSION, name, &[content]);
    resource.with_ttl(std::time::Duration::from_secs(1))
}

/// The history's present: a content per name, 0 for deleted.
fn present(contents: &BTreeMap<String, u8>) -> Snapshot {
    let start = Snapshot::builder().manage(Kind::EXTENSION);
    contents
        .iter()
        .fold(start, |builder, (name, content)| match content {
            0 => builder.delete(Kind::EXTENSION, name),
            _ => builder.with(resource(name, *content)),
        })
        .build()
}

/// A client that speaks one variant.
trait Client: Stream + Default {
    /// Whether it says change by change what it wants, and resource by resource what it has: changes with an old nonce
    /// hold then, what it lets go of it drops although the wildcard covers it, and what it has is not sent again.
    const IS_INCREMENTAL: bool;

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
    const IS_INCREMENTAL: bool = false;

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
    const IS_INCREMENTAL: bool = true;

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
    /// What it took over last as a whole, by version: it knows heartbeats of that.
    took: BTreeMap<String, String>,
    /// What it drops when it does not hear of it, where it does not speak delta.
    mortal: BTreeSet<String>,
    /// Whether anything has expired.
    has_expired: bool,
    /// What the client has and asks for by name all the same, as who may have lost it: whether it lives on is known when it is
    /// sent again. With the nonce of what was under way, which is not that.
    asked_again: BTreeMap<String, String>,
    /// What it let go of since what is in flight was sent: of that it knows no heartbeat.
    dropped: BTreeSet<String>,
    in_flight: Option<Response>,
    /// The nonce of the last response on this stream that was answered.
    settled: Option<String>,
    /// What the client may be sent although it has it: it asked for it again, or refused what came after it.
    may_repeat: BTreeSet<String>,
}

impl<C: Client> Run<C> {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Want(bits) => self.want(wanted(*bits), "", true),
            Event::Stale(bits) if self.in_flight.is_some() => {
                let nonce = self.settled.clone().unwrap_or_else(|| "0".to_owned());
                self.want(wanted(*bits), &nonce, C::IS_INCREMENTAL);
            }
            Event::Stale(_) => {}
            Event::Content(n, Some(content)) => {
                self.contents.insert(format!("n{n}"), *content);
            }
            Event::Content(n, None) => {
                self.contents.remove(&format!("n{n}"));
            }
            Event::Flush => self.flush(),
            Event::Settle(takes_rest) => self.settle(*takes_rest),
            Event::Beat => self.stream.beat(),
            Event::Expire(bits) if C::IS_INCREMENTAL => {
                self.has_expired = true;
                for name in wanted(*bits) {
                    self.has.remove(&name);
                    self.took.remove(&name);
                }
            }
            Event::Expire(bits) => {
                let (expired, lives) = std::mem::take(&mut self.mortal)
                    .into_iter()
                    .partition::<BTreeSet<_>, _>(|name| wanted(*bits).contains(name));
                self.mortal = lives;
                // Envoy lets go of all of the type then.
                if !expired.is_empty() {
                    self.has_expired = true;
                    self.has.clear();
                    self.took.clear();
                }
            }
            Event::Reconnect => {
                self.took = self.has.clone();
                self.mortal.clear();
                self.stream = C::default();
                self.in_flight = None;
                self.settled = None;
                self.may_repeat.clear();
                self.asked_again.clear();
                let request = C::begin(&self.wants, &self.has);
                self.stream.take(request).unwrap();
            }
        }
    }

    /// Says with a nonce that settles nothing what is wanted now, and whether that is to hold.
    fn want(&mut self, now: BTreeSet<String>, nonce: &str, holds: bool) {
        let request = C::request(&now, &self.wants, nonce, true);
        assert_eq!(self.stream.take(request).unwrap(), None);
        if !holds {
            return;
        }
        let before = core::mem::replace(&mut self.wants, now);
        for name in NAMES {
            let (was, is) = (before.contains(name), self.wants.contains(name));
            if was && !is && C::IS_INCREMENTAL {
                self.has.remove(name);
                self.took.remove(name);
                self.dropped.insert(name.to_owned());
            }
            if was != is {
                let all = NAMES.iter().filter(|it| name == "*" || **it == name);
                self.may_repeat.extend(all.map(|it| (*it).to_owned()));
            }
            if is && !was && before.contains("*") {
                let sent = self.in_flight.as_ref().map(|it| it.sent.nonce.clone());
                let name = name.to_owned();
                self.asked_again.insert(name, sent.unwrap_or_default());
            }
        }
        let wants = &self.wants;
        let let_go = self.took.keys().filter(|name| !covers(wants, name));
        self.dropped.extend(let_go.cloned());
        self.has.retain(|name, _| covers(wants, name));
        self.took.retain(|name, _| covers(wants, name));
    }

    fn flush(&mut self) {
        let now = present(&self.contents);
        while let Some(response) = next(&mut self.stream, &now) {
            assert!(self.in_flight.is_none(), "two responses in flight");
            // What is not wanted any more is to lose its time to live, if it has one.
            let is_beat = !C::IS_INCREMENTAL && response.sent.is_heartbeat;
            let is_end = is_beat && !heartbeat::is_mortal(&response);
            let names = response.sent.resources.iter().map(|(name, _)| name);
            let mut seen = BTreeSet::new();
            for name in names.chain(&response.sent.removed) {
                let may = covers(&self.wants, name) || is_end;
                assert!(may, "{name} was not asked for");
                assert!(seen.insert(name.clone()), "{name} is there twice");
            }
            for (name, version) in &response.sent.resources {
                let has_it = self.has.get(name).map(String::as_str) == Some(version.as_str());
                let may = response.sent.is_heartbeat || !C::IS_INCREMENTAL;
                let may = may || self.may_repeat.remove(name);
                assert!(may || !has_it, "{name} is sent again");
            }
            self.dropped.clear();
            self.in_flight = Some(response);
        }
    }

    fn settle(&mut self, takes_rest: bool) {
        let Some(response) = self.in_flight.take() else {
            return;
        };
        if response.sent.is_heartbeat {
            return self.hear(&response);
        }
        let bad = resource("", BAD);
        let is_bad = |version: &Version| version == bad.version();
        let resources = response.sent.resources.iter();
        let ok = !resources.clone().any(|(_, version)| is_bad(version));
        for (name, _) in resources.clone() {
            self.mortal.remove(name);
        }
        let wants = &self.wants;
        for (name, version) in resources.filter(|(name, _)| covers(wants, name)) {
            if !ok {
                self.may_repeat.insert(name.clone());
            }
            if ok || (takes_rest && !is_bad(version)) {
                self.has.insert(name.clone(), version.to_string());
            }
            if ok {
                self.took.insert(name.clone(), version.to_string());
                let asked = self.asked_again.remove(name);
                if let Some(nonce) = asked.filter(|it| *it == response.sent.nonce) {
                    self.asked_again.insert(name.clone(), nonce);
                }
            }
        }
        for name in &response.sent.removed {
            self.has.remove(name);
            self.took.remove(name);
        }
        let request = C::request(&self.wants, &self.wants, &response.sent.nonce, ok);
        assert!(self.stream.take(request).unwrap().is_some());
        self.settled = Some(response.sent.nonce.clone());
    }

    /// Hears a heartbeat: it knows all of it, or something has expired.
    fn hear(&mut self, response: &Response) {
        if !C::IS_INCREMENTAL {
            return self.hear_whole(response);
        }
        let resources = response.sent.resources.iter();
        let wanted = resources.filter(|(name, _)| covers(&self.wants, name));
        let knows = |(name, version): &(String, Version)| {
            self.took.get(name).map(String::as_str) == Some(version.as_str())
        };
        let ok = wanted.clone().all(knows);
        let mut lost = wanted.filter(|it| !(knows(it) || self.dropped.contains(&it.0)));
        let lost = lost.next();
        assert!(self.has_expired || lost.is_none(), "{lost:?}");
        if !ok {
            let names = response.sent.names().map(str::to_owned);
            self.may_repeat.extend(names);
        }
        let request = C::request(&self.wants, &self.wants, &response.sent.nonce, ok);
        assert!(self.stream.take(request).unwrap().is_some());
        self.settled = Some(response.sent.nonce.clone());
    }

    /// Hears one that carries all of what it is about: that is what it has, unless it has lost it meanwhile.
    fn hear_whole(&mut self, response: &Response) {
        let is_mortal = heartbeat::is_mortal(response);
        for (name, version) in &response.sent.resources {
            match is_mortal {
                true => self.mortal.insert(name.clone()),
                false => self.mortal.remove(name),
            };
            if covers(&self.wants, name) {
                let version = version.to_string();
                let had = self.has.insert(name.clone(), version.clone());
                assert!(had.is_none_or(|it| it == version), "{name} is another");
                self.took.insert(name.clone(), version);
            }
        }
        let request = C::request(&self.wants, &self.wants, &response.sent.nonce, true);
        assert!(self.stream.take(request).unwrap().is_some());
        self.settled = Some(response.sent.nonce.clone());
    }

    /// Everything goes on that the client has and that is still there, refused since or not.
    fn all_lives_on(&mut self) {
        self.stream.beat();
        self.flush();
        let response = self.in_flight.as_ref();
        assert!(response.is_none_or(|it| it.sent.is_heartbeat));
        let named = response.into_iter().flat_map(|it| it.sent.names());
        let named: BTreeSet<String> = named.map(str::to_owned).collect();
        let lives = self.took.keys();
        let lives = lives.filter(|name| 0 < *self.contents.get(*name).unwrap_or(&0));
        let lives: BTreeSet<String> = lives.cloned().collect();
        if C::IS_INCREMENTAL && !self.has_expired {
            let must = |it: &&String| !self.asked_again.contains_key(*it);
            let missing = lives.difference(&named).find(must);
            assert_eq!(missing, None, "does not live on");
            assert!(named.is_subset(&lives), "{named:?} of {lives:?}");
        }
        self.settle(false);
        if !self.wants.is_empty() {
            let never = BTreeSet::new();
            let named = if C::IS_INCREMENTAL { never } else { named };
            assert_eq!(self.mortal, named, "all that may expire is renewed");
        }
    }

    /// Lets everything arrive.
    fn settle_all(&mut self) {
        for _ in 0..20 {
            self.flush();
            self.settle(false);
        }
        self.flush();
        assert!(self.in_flight.is_none(), "it never falls silent");
    }

    /// Of all that is bad another content comes, or it is gone, name `n` by bit.
    fn mend(&mut self, gone: u8) {
        for (n, name) in NAMES.into_iter().enumerate() {
            if self.contents.get(name) != Some(&BAD) {
                continue;
            }
            match gone >> n & 1 == 1 {
                true => drop(self.contents.remove(name)),
                false => drop(self.contents.insert(name.to_owned(), 1)),
            }
        }
    }

    /// Everything wanted that exists is what the client runs with.
    fn converged(&self) {
        let now = present(&self.contents);
        let of_type = now.of_type(Kind::EXTENSION).unwrap();
        for name in NAMES.iter().filter(|name| covers(&self.wants, name)) {
            if let Some(resource) = of_type.get(name) {
                let version = resource.version().to_string();
                assert_eq!(self.has.get(*name), Some(&version), "{name}");
            }
        }
        assert!(self.stream.is_in_force(&now));
    }
}

fn runs<C: Client + Default>(events: &[Event], gone: u8) -> Run<C> {
    let mut run = Run::<C>::default();
    run.take(&Event::Reconnect);
    for event in events {
        run.take(event);
    }
    run.settle_all();
    run.all_lives_on();
    run.settle_all();
    run.mend(gone);
    run.settle_all();
    run.converged();
    run
}

proptest! {
    #[test]
    fn state_of_the_world_converges(
        events in proptest::collection::vec(event(), 0..60),
        gone in 0..16_u8,
    ) {
        runs::<SotwStream>(&events, gone);
    }

    #[test]
    fn delta_converges_and_removes_only_what_was_deleted(
        events in proptest::collection::vec(event(), 0..60),
        gone in 0..16_u8,
    ) {
        let run = runs::<DeltaStream>(&events, gone);
        for (name, content) in &run.contents {
            prop_assert!(*content != 0 || !run.has.contains_key(name), "{} was deleted", name);
        }
    }
}
