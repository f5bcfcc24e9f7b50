//! Random fleets: whatever comes in whatever order, no route leads nowhere, and what is bad holds up nothing for longer than it is
//! there.

use proptest::prelude::*;

use super::*;

/// What happens next to three clusters, the endpoints of each, and two tables of routes.
#[derive(Clone, Debug)]
enum Event {
    /// The operator wants these clusters (bits), and the tables lead to the `n`th of them.
    Want(u8, [usize; 2]),
    /// Cluster or table `n` gets another content, which clients refuse if it is bad.
    Touch(usize, bool),
    /// The connection has room for a response.
    Flush,
    /// The client takes over the response in flight of type `n`, or refuses it when something in it is bad, and says so. Then it
    /// takes over the rest of it all the same, or does not.
    Settle(usize, bool),
    /// The client comes back on a new stream, with what it has. In state of the world it cannot say
    /// what that is, so there it begins anew.
    Reconnect,
    /// It asks for the next type.
    Ask,
    /// It wants the `n`th table of routes, or lets go of it if it does.
    Turn(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (1..8_u8, [0..3_usize, 0..3]).prop_map(|(clusters, to)| Event::Want(clusters, to)),
        2 => (0..5_usize, any::<bool>()).prop_map(|(n, bad)| Event::Touch(n, bad)),
        4 => Just(Event::Flush),
        4 => (0..3_usize, any::<bool>()).prop_map(|(n, rest)| Event::Settle(n, rest)),
        1 => Just(Event::Reconnect),
        2 => Just(Event::Ask),
        2 => (0..2_usize).prop_map(Event::Turn),
    ]
}

const TYPES: [&str; 3] = [Kind::CLUSTER, Kind::ENDPOINTS, Kind::ROUTES];
const CLUSTERS: [&str; 3] = ["a", "b", "c"];
const TABLES: [&str; 2] = ["r", "s"];
const ALL: [&str; 5] = ["a", "b", "c", "r", "s"];

/// Of a type what a client wants by name; silence asks for all clusters.
type Wanted<'a> = (&'a str, &'a BTreeSet<&'static str>);

/// A client that speaks one variant: wants all clusters, their endpoints and tables of routes.
trait Client: Stream + Default {
    const IS_DELTA: bool;
    fn begin(wanted: Wanted<'_>, has: &BTreeMap<String, String>) -> Self::Request;
    fn answer(wanted: Wanted<'_>, nonce: &str, error: Option<Status>) -> Self::Request;
    /// It wants one more or less, which is `turned`.
    fn turn(wanted: Wanted<'_>, turned: &'static str) -> Self::Request;
}

fn owned(names: &BTreeSet<&'static str>) -> Vec<String> {
    names.iter().map(|it| (*it).to_owned()).collect()
}

impl Client for SotwStream {
    const IS_DELTA: bool = false;

    fn begin(wanted: Wanted<'_>, _: &BTreeMap<String, String>) -> DiscoveryRequest {
        Self::answer(wanted, "", None)
    }

    fn answer(
        (type_url, names): Wanted<'_>,
        nonce: &str,
        error: Option<Status>,
    ) -> DiscoveryRequest {
        DiscoveryRequest {
            type_url: type_url.to_owned(),
            resource_names: owned(names),
            response_nonce: nonce.to_owned(),
            error_detail: error,
            ..DiscoveryRequest::default()
        }
    }

    fn turn(wanted: Wanted<'_>, _: &'static str) -> DiscoveryRequest {
        Self::answer(wanted, "", None)
    }
}

impl Client for DeltaStream {
    const IS_DELTA: bool = true;

    fn begin(
        (type_url, names): Wanted<'_>,
        has: &BTreeMap<String, String>,
    ) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            resource_names_subscribe: owned(names),
            initial_resource_versions: has.clone(),
            ..Self::answer((type_url, names), "", None)
        }
    }

    fn answer(
        (type_url, _): Wanted<'_>,
        nonce: &str,
        error: Option<Status>,
    ) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            type_url: type_url.to_owned(),
            response_nonce: nonce.to_owned(),
            error_detail: error,
            ..DeltaDiscoveryRequest::default()
        }
    }

    fn turn((type_url, names): Wanted<'_>, turned: &'static str) -> DeltaDiscoveryRequest {
        let mut request = Self::answer((type_url, names), "", None);
        let change = match names.contains(turned) {
            true => &mut request.resource_names_subscribe,
            false => &mut request.resource_names_unsubscribe,
        };
        change.push(turned.to_owned());
        request
    }
}

struct Run<C> {
    stream: C,
    /// Which clusters the operator wants, and where each table leads.
    clusters: BTreeSet<&'static str>,
    routes: [&'static str; 2],
    /// The content of each cluster, wanted or not, and of each table.
    contents: BTreeMap<&'static str, u32>,
    /// How many contents there were, and which of them are bad.
    drawn: u32,
    bad: BTreeSet<u32>,
    /// The versions of resources that are bad.
    bad_versions: BTreeSet<String>,
    /// Where the routes of each version that there ever was lead.
    leads: BTreeMap<String, &'static str>,
    /// What the client wants by name, by type.
    wants: BTreeMap<&'static str, BTreeSet<&'static str>>,
    /// What the client has, by type: versions by name.
    has: BTreeMap<&'static str, BTreeMap<String, String>>,
    in_flight: BTreeMap<&'static str, Response>,
    /// Clusters that wait for endpoints that come after them.
    warming: BTreeSet<String>,
    /// Types that it has not asked for yet on this stream; it does before its first answer.
    unsaid: Vec<&'static str>,
}

impl<C: Client> Run<C> {
    fn begin() -> Self {
        let mut run = Self {
            stream: C::default(),
            clusters: BTreeSet::from(["a"]),
            routes: ["a"; 2],
            contents: ALL.map(|name| (name, 0)).into(),
            drawn: 0,
            bad: BTreeSet::new(),
            bad_versions: BTreeSet::new(),
            leads: BTreeMap::new(),
            wants: BTreeMap::from([
                (Kind::CLUSTER, BTreeSet::new()),
                (Kind::ENDPOINTS, CLUSTERS.into()),
                (Kind::ROUTES, TABLES.into()),
            ]),
            has: TYPES.map(|it| (it, BTreeMap::new())).into(),
            in_flight: BTreeMap::new(),
            warming: BTreeSet::new(),
            unsaid: Vec::new(),
        };
        run.take(&Event::Reconnect);
        run
    }

    fn present(&mut self) -> Snapshot {
        let mut builder = Snapshot::builder().manage(Kind::CLUSTER);
        for (table, to) in TABLES.into_iter().zip(self.routes) {
            let routes = self.resource(Kind::ROUTES, table, to);
            self.leads.insert(routes.version().to_string(), to);
            builder = builder.with(routes);
        }
        for name in self.clusters.clone() {
            builder = builder
                .with(self.resource(Kind::CLUSTER, name, ""))
                .with(Resource::new(Kind::ENDPOINTS, name, name.as_bytes()));
        }
        builder.build()
    }

    /// A cluster or a table as it is.
    fn resource(&mut self, type_url: &str, name: &str, to: &str) -> Resource {
        let content = self.contents[name];
        let bytes = [name.as_bytes(), to.as_bytes(), &content.to_be_bytes()].concat();
        let resource = Resource::new(type_url, name, &bytes);
        if self.bad.contains(&content) {
            self.bad_versions.insert(resource.version().to_string());
        }
        resource
    }

    fn touch(&mut self, name: &'static str, is_bad: bool) {
        self.drawn += 1;
        self.contents.insert(name, self.drawn);
        if is_bad {
            self.bad.insert(self.drawn);
        }
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Want(bits, to) => {
                let wanted = CLUSTERS.into_iter().enumerate();
                let wanted = wanted.filter(|(n, _)| bits >> n & 1 == 1);
                let wanted: Vec<_> = wanted.map(|(_, name)| name).collect();
                self.routes = to.map(|to| wanted[to % wanted.len()]);
                self.clusters = wanted.into_iter().collect();
            }
            Event::Touch(n, is_bad) => self.touch(ALL[*n], *is_bad),
            Event::Flush => self.flush(),
            Event::Settle(n, takes_rest) => self.settle(TYPES[*n], *takes_rest),
            Event::Reconnect => {
                self.stream = C::default();
                self.in_flight.clear();
                self.warming.clear();
                if !C::IS_DELTA {
                    self.has.values_mut().for_each(BTreeMap::clear);
                }
                self.unsaid = TYPES.to_vec();
                self.ask(1);
            }
            Event::Ask => self.ask(1),
            Event::Turn(n) => self.turn(TABLES[*n]),
        }
    }

    /// Wants a table, or lets go of it.
    fn turn(&mut self, table: &'static str) {
        let wanted = self.wants.get_mut(Kind::ROUTES).unwrap();
        if !wanted.remove(table) {
            wanted.insert(table);
        }
        self.has.get_mut(Kind::ROUTES).unwrap().remove(table);
        if !self.unsaid.contains(&Kind::ROUTES) {
            let request = C::turn((Kind::ROUTES, wanted), table);
            assert_eq!(self.stream.take(request).unwrap(), None);
        }
    }

    fn ask(&mut self, count: usize) {
        for type_url in self.unsaid.drain(..count.min(self.unsaid.len())) {
            let request = C::begin((type_url, &self.wants[type_url]), &self.has[type_url]);
            self.stream.take(request).unwrap();
        }
    }

    fn flush(&mut self) {
        let now = self.present();
        if let Some(response) = next(&mut self.stream, &now) {
            for (name, version) in &response.sent.resources {
                let of_type = now.of_type(&response.sent.type_url).unwrap();
                let is_bad = self.bad_versions.contains(version.as_str());
                let is_there = of_type.get(name).is_some();
                assert!(is_there || !is_bad, "{name} is bad and not there");
            }
            let url = TYPES.into_iter().find(|it| *it == response.sent.type_url);
            if url == Some(Kind::CLUSTER) {
                let changed = response.sent.resources.iter();
                let changed = changed.filter(|(name, version)| {
                    self.has[Kind::CLUSTER].get(name) != Some(&version.to_string())
                });
                self.warming.extend(changed.map(|(name, _)| name.clone()));
            }
            if url == Some(Kind::ENDPOINTS) {
                let came = response.sent.resources.iter().map(|(name, _)| name);
                for name in came {
                    self.warming.remove(name);
                }
            }
            let earlier = self.in_flight.insert(url.unwrap(), response);
            assert!(earlier.is_none(), "two responses in flight");
        }
    }

    fn settle(&mut self, type_url: &'static str, takes_rest: bool) {
        let Some(response) = self.in_flight.remove(type_url) else {
            return;
        };
        self.ask(TYPES.len());
        let (has, wanted) = (self.has.get_mut(type_url).unwrap(), &self.wants[type_url]);
        // Who refuses some of it lets go of what is not there any more all the same, as Envoy does.
        let sent = &response.sent.resources;
        if type_url == Kind::CLUSTER && !C::IS_DELTA {
            has.retain(|name, _| sent.iter().any(|(it, _)| it == name));
        }
        for name in &response.sent.removed {
            has.remove(name);
        }
        let is_good = |version: &str| !self.bad_versions.contains(version);
        let refuses = !sent.iter().all(|(_, version)| is_good(version.as_str()));
        for (name, version) in sent {
            let is_wanted = type_url != Kind::ROUTES || wanted.contains(name.as_str());
            let is_taken = !refuses || (takes_rest && is_good(version.as_str()));
            if is_wanted && is_taken {
                has.insert(name.clone(), version.to_string());
            }
        }
        self.leads_somewhere();
        let error = if refuses { refusal("no") } else { None };
        let request = C::answer((type_url, wanted), &response.sent.nonce, error);
        assert!(self.stream.take(request).unwrap().is_some());
    }

    /// The promise.
    fn leads_somewhere(&self) {
        for version in self.has[Kind::ROUTES].values() {
            let cluster = self.leads[version];
            let clusters = &self.has[Kind::CLUSTER];
            assert!(clusters.contains_key(cluster), "no cluster {cluster}");
        }
    }

    /// Says and hears everything, until there is nothing more to say.
    fn falls_silent(&mut self) {
        for _ in 0..30 {
            self.flush();
            TYPES.into_iter().for_each(|it| self.settle(it, false));
        }
        let now = self.present();
        assert_eq!(next(&mut self.stream, &now), None, "it never falls silent");
    }

    /// Of all that is bad another content comes, or it is deleted, cluster `n` by bit, and tables lead elsewhere. Nothing else changes.
    fn mend(&mut self, deleted: u8) {
        for (n, name) in ALL.into_iter().enumerate() {
            if !self.bad.contains(&self.contents[name]) {
                continue;
            }
            let other = self.clusters.iter().copied().find(|it| *it != name);
            match other {
                Some(other) if deleted >> n & 1 == 1 && self.clusters.contains(name) => {
                    self.routes = self.routes.map(|it| if it == name { other } else { it });
                    self.clusters.remove(name);
                }
                _ => self.touch(name, false),
            }
        }
    }

    /// What is bad stands, and then is mended.
    fn converges(&mut self, deleted: u8) {
        self.ask(TYPES.len());
        self.falls_silent();
        self.mend(deleted);
        self.falls_silent();
        let now = self.present();
        for type_url in [Kind::CLUSTER, Kind::ROUTES] {
            assert_eq!(self.has[type_url], self.wanted(&now, type_url));
        }
        assert!(self.stream.is_in_force(&now));
        assert!(
            self.warming
                .iter()
                .all(|it| !self.clusters.contains(it.as_str())),
            "no endpoints came after {:?}",
            self.warming
        );
    }

    /// What the client should have of a type: versions by name.
    fn wanted(&self, snapshot: &Snapshot, type_url: &str) -> BTreeMap<String, String> {
        let is_wanted =
            |name: &str| type_url != Kind::ROUTES || self.wants[type_url].contains(name);
        let resources = snapshot.of_type(type_url).unwrap().resources();
        resources
            .filter(|it| is_wanted(it.name()))
            .map(|it| (it.name().to_owned(), it.version().to_string()))
            .collect()
    }
}

fn runs<C: Client>(events: &[Event], deleted: u8) {
    let mut run = Run::<C>::begin();
    for event in events {
        run.take(event);
    }
    run.converges(deleted);
}

proptest! {
    #[test]
    fn routes_never_lead_nowhere_in_state_of_the_world(
        events in proptest::collection::vec(event(), 0..80),
        deleted in 0..8_u8,
    ) {
        runs::<SotwStream>(&events, deleted);
    }

    #[test]
    fn routes_never_lead_nowhere_in_delta(
        events in proptest::collection::vec(event(), 0..80),
        deleted in 0..8_u8,
    ) {
        runs::<DeltaStream>(&events, deleted);
    }
}
