//! Random fleets: whatever comes in whatever order, no route leads nowhere.

use proptest::prelude::*;

use super::*;

/// What happens next to three clusters, the endpoints of each, and two tables of routes.
#[derive(Clone, Debug)]
enum Event {
    /// The operator wants these clusters (bits), and the tables lead to the `n`th of them.
    Want(u8, [usize; 2]),
    /// Cluster `n` gets another content.
    Touch(usize),
    /// The connection has room for a response.
    Flush,
    /// The client takes over the response in flight of type `n`, or refuses it, and says so.
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
        1 => (0..3_usize).prop_map(Event::Touch),
        4 => Just(Event::Flush),
        4 => (0..3_usize, prop::bool::weighted(0.8)).prop_map(|(n, ok)| Event::Settle(n, ok)),
        1 => Just(Event::Reconnect),
        2 => Just(Event::Ask),
        2 => (0..2_usize).prop_map(Event::Turn),
    ]
}

const TYPES: [&str; 3] = [Kind::CLUSTER, Kind::ENDPOINTS, Kind::ROUTES];
const CLUSTERS: [&str; 3] = ["a", "b", "c"];
const TABLES: [&str; 2] = ["r", "s"];

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
    /// What the operator wants: the content of each cluster, and where each table leads.
    clusters: BTreeMap<&'static str, u32>,
    routes: [&'static str; 2],
    contents: u32,
    /// What else is in everything: another content than that which was refused.
    edition: u8,
    /// Versions that it refused, and whether it refused something that has none.
    refused: BTreeSet<String>,
    has_refused_nothing: bool,
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
            clusters: BTreeMap::from([("a", 0)]),
            routes: ["a"; 2],
            contents: 0,
            edition: 0,
            refused: BTreeSet::new(),
            has_refused_nothing: false,
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
            let content = [to.as_bytes(), &[self.edition]].concat();
            let routes = Resource::new(Kind::ROUTES, table, &content);
            self.leads.insert(routes.version().to_string(), to);
            builder = builder.with(routes);
        }
        let with_edition = |content: &[u8]| [content, &[self.edition]].concat();
        for (name, content) in &self.clusters {
            let cluster = with_edition(&content.to_be_bytes());
            let endpoints = with_edition(name.as_bytes());
            builder = builder
                .with(Resource::new(Kind::CLUSTER, name, &cluster))
                .with(Resource::new(Kind::ENDPOINTS, name, &endpoints));
        }
        builder.build()
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Want(bits, to) => {
                let wanted = CLUSTERS.into_iter().enumerate();
                let wanted: Vec<_> = wanted.filter(|(n, _)| bits >> n & 1 == 1).collect();
                let old = std::mem::take(&mut self.clusters);
                let content = |name| old.get(name).copied().unwrap_or_default();
                self.routes = to.map(|to| wanted[to % wanted.len()].1);
                self.clusters = wanted
                    .into_iter()
                    .map(|(_, name)| (name, content(name)))
                    .collect();
            }
            Event::Touch(n) => {
                self.contents += 1;
                if let Some(content) = self.clusters.get_mut(CLUSTERS[*n]) {
                    *content = self.contents;
                }
            }
            Event::Flush => self.flush(),
            Event::Settle(n, ok) => self.settle(TYPES[*n], *ok),
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

    fn settle(&mut self, type_url: &'static str, ok: bool) {
        let Some(response) = self.in_flight.remove(type_url) else {
            return;
        };
        self.ask(TYPES.len());
        let (has, wanted) = (self.has.get_mut(type_url).unwrap(), &self.wants[type_url]);
        let resources: BTreeMap<String, String> = response
            .sent
            .resources
            .iter()
            .filter(|(name, _)| type_url != Kind::ROUTES || wanted.contains(name.as_str()))
            .map(|(name, version)| (name.clone(), version.to_string()))
            .collect();
        // Who refuses some of it lets go of what is not there any more all the same, as Envoy does.
        if type_url == Kind::CLUSTER && !C::IS_DELTA {
            has.retain(|name, _| resources.contains_key(name));
        }
        for name in &response.sent.removed {
            has.remove(name);
        }
        let error = if ok {
            has.extend(resources);
            None
        } else {
            self.has_refused_nothing |= response.sent.resources.is_empty();
            self.refused.extend(resources.into_values());
            refusal("no")
        };
        self.leads_somewhere();
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

    fn converges(&mut self) {
        self.ask(TYPES.len());
        // What was refused does not come again before it is something else. What was refused and is not wanted any more holds up
        // nothing.
        let now = self.present();
        let is_refused = |type_url| {
            let mut wanted = self.wanted(&now, type_url).into_values();
            wanted.any(|it| self.refused.contains(&it))
        };
        self.edition = (self.has_refused_nothing || TYPES.into_iter().any(is_refused)).into();
        for _ in 0..20 {
            self.flush();
            TYPES.into_iter().for_each(|it| self.settle(it, true));
        }
        let now = self.present();
        assert_eq!(next(&mut self.stream, &now), None, "it never falls silent");
        for type_url in [Kind::CLUSTER, Kind::ROUTES] {
            assert_eq!(self.has[type_url], self.wanted(&now, type_url));
        }
        assert!(self.stream.is_in_force(&now));
        assert!(
            self.warming
                .iter()
                .all(|it| !self.clusters.contains_key(it.as_str())),
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

fn runs<C: Client>(events: &[Event]) {
    let mut run = Run::<C>::begin();
    for event in events {
        run.take(event);
    }
    run.converges();
}

proptest! {
    #[test]
    fn routes_never_lead_nowhere_in_state_of_the_world(
        events in proptest::collection::vec(event(), 0..80),
    ) {
        runs::<SotwStream>(&events);
    }

    #[test]
    fn routes_never_lead_nowhere_in_delta(
        events in proptest::collection::vec(event(), 0..80),
    ) {
        runs::<DeltaStream>(&events);
    }
}
