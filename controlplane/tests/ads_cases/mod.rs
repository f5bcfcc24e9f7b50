//! The cases of the conformance list by their numbers, over real gRPC, each answer heard before the next request.
//!
//! What is not here: 1, 15, 16, 18 to 20 and 24 are beside this file; 11, 12 and 17 need an Envoy.

mod replicas;

use super::*;

/// As [`SILENCE`], where somebody might speak again and again.
const LONG_SILENCE: Duration = Duration::from_secs(2);

/// A client of one type.
struct OfType<Q, R> {
    client: Client<Q, R>,
    type_url: &'static str,
    /// What it says it is.
    agent: &'static str,
}

type SotwClient = OfType<DiscoveryRequest, DiscoveryResponse>;
type DeltaClient = OfType<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

/// Publishes `type=name:content name:content; ..`; a content of `-` deletes.
fn publish(server: &Server, text: &str) {
    let mut builder = Snapshot::builder();
    for of_type in text.split(';') {
        let (short, resources) = of_type.trim().split_once('=').unwrap();
        let type_url = url(short);
        builder = builder.manage(type_url);
        for resource in resources.split_whitespace() {
            let (name, content) = resource.split_once(':').unwrap();
            builder = match content {
                "-" => builder.delete(type_url, name),
                _ => builder.with(Resource::new(type_url, name, resource.as_bytes())),
            };
        }
    }
    server.hub.publish("shop", Arc::new(builder.build()));
}

fn url(short: &str) -> &'static str {
    match short {
        "cds" => Kind::CLUSTER,
        "rds" => Kind::ROUTES,
        "ecds" => Kind::EXTENSION,
        _ => panic!("no such type: {short}"),
    }
}

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A node that says that it is `agent`.
fn node_of(agent: &str) -> Option<Node> {
    Some(Node {
        user_agent_name: agent.to_owned(),
        ..node().unwrap()
    })
}

async fn sotw_of(server: &Server, short: &str) -> SotwClient {
    OfType {
        client: server.sotw().await,
        type_url: url(short),
        agent: "envoy",
    }
}

async fn delta_of(server: &Server, short: &str) -> DeltaClient {
    OfType {
        client: server.delta().await,
        type_url: url(short),
        agent: "envoy",
    }
}

/// A control plane that has this for everybody, in the words of [`publish`].
async fn serving(resources: &str) -> Server {
    let server = Server::open().await;
    publish(&server, resources);
    server
}

/// A client of state of the world that has asked for `wanted`.
async fn asking(server: &Server, short: &str, wanted: &str) -> SotwClient {
    let client = sotw_of(server, short).await;
    client.asks(wanted, "").await;
    client
}

/// A client of delta that has asked for `wanted`.
async fn subscribing(server: &Server, short: &str, wanted: &str) -> DeltaClient {
    let client = delta_of(server, short).await;
    client.changes(wanted, "").await;
    client
}

impl SotwClient {
    /// Asks for `wanted` with a nonce.
    async fn asks(&self, wanted: &str, nonce: &str) {
        self.answers(wanted, nonce, None).await;
    }

    async fn answers(&self, wanted: &str, nonce: &str, error_detail: Option<rpc::Status>) {
        let request = DiscoveryRequest {
            node: node_of(self.agent),
            type_url: self.type_url.to_owned(),
            resource_names: names(wanted),
            response_nonce: nonce.to_owned(),
            error_detail,
            ..DiscoveryRequest::default()
        };
        self.client.send(request).await;
    }

    /// The next response, as `nonce: name:content name:content`.
    async fn hears(&mut self) -> String {
        let heard = self.client.hears().await.unwrap();
        assert!(
            heard
                .resources
                .iter()
                .all(|it| it.type_url == heard.type_url)
        );
        let values = heard.resources.iter().map(|it| it.value.clone());
        let values: Vec<String> = values.map(|it| String::from_utf8(it).unwrap()).collect();
        format!("{}: {}", heard.nonce, values.join(" "))
    }
}

impl DeltaClient {
    /// Changes the subscription: `a b -c` adds two names and takes one away.
    async fn changes(&self, change: &str, nonce: &str) {
        self.answers(change, nonce, None).await;
    }

    async fn answers(&self, change: &str, nonce: &str, error_detail: Option<rpc::Status>) {
        let (taken, added): (Vec<_>, Vec<_>) = names(change)
            .into_iter()
            .partition(|it| it.starts_with('-'));
        let request = DeltaDiscoveryRequest {
            node: node_of(self.agent),
            type_url: self.type_url.to_owned(),
            resource_names_subscribe: added,
            resource_names_unsubscribe: taken.iter().map(|it| it[1..].to_owned()).collect(),
            response_nonce: nonce.to_owned(),
            error_detail,
            ..DeltaDiscoveryRequest::default()
        };
        self.client.send(request).await;
    }

    /// The next response, as `nonce: name:content -removed`.
    async fn hears(&mut self) -> String {
        let heard = self.client.hears().await.unwrap();
        let values = heard.resources.iter().map(|it| {
            let value = it.resource.as_ref().unwrap().value.clone();
            String::from_utf8(value).unwrap()
        });
        let removed = heard
            .removed_resources
            .iter()
            .map(|name| format!("-{name}"));
        let all: Vec<String> = values.chain(removed).collect();
        format!("{}: {}", heard.nonce, all.join(" "))
    }
}

/// Waits until a refusal was heard; which version was refused, and with what words.
async fn refused(server: &mut Server) -> (String, String) {
    server
        .event(|what| {
            if let What::Refused { sent, message } = what {
                Some((sent.version.to_string(), message))
            } else {
                None
            }
        })
        .await
}

/// Waits until so many responses were accepted.
async fn accepted(server: &mut Server, count: usize) {
    for _ in 0..count {
        server
            .event(|what| matches!(what, What::Acknowledged { .. }).then_some(()))
            .await;
    }
}

/// Case 2: nobody hears of it that something is published again as it was.
#[tokio::test]
async fn what_is_published_again_unchanged_is_not_sent_again() {
    let mut server = serving("ecds=a:1 b:1").await;
    let mut whole = asking(&server, "ecds", "a b").await;
    let mut delta = subscribing(&server, "ecds", "a b").await;
    assert_eq!(whole.hears().await, "1: a:1 b:1");
    assert_eq!(delta.hears().await, "1: a:1 b:1");
    whole.asks("a b", "1").await;
    delta.changes("", "1").await;
    accepted(&mut server, 2).await;
    publish(&server, "ecds=a:1 b:1");
    publish(&server, "ecds=b:1 a:1");
    tokio::join!(
        whole.client.hears_nothing_for(LONG_SILENCE),
        delta.client.hears_nothing_for(LONG_SILENCE)
    );
    publish(&server, "ecds=b:1 a:2");
    assert_eq!(whole.hears().await, "2: a:2");
    assert_eq!(delta.hears().await, "2: a:2");
}

/// Case 3.
#[tokio::test]
async fn a_refusal_in_state_of_the_world_is_remembered_and_not_answered() {
    let mut server = serving("ecds=a:bad").await;
    let mut client = asking(&server, "ecds", "a").await;
    assert_eq!(client.hears().await, "1: a:bad");
    client.answers("a", "1", refusal()).await;
    assert_eq!(refused(&mut server).await.1, "cannot");
    client.client.hears_nothing().await;
    let status = server.hub.nodes()[0].types[Kind::EXTENSION].clone();
    assert!(status.is_refusing && status.acknowledged.is_none());
    publish(&server, "ecds=a:good");
    assert_eq!(client.hears().await, "2: a:good");
    client.asks("a", "2").await;
    accepted(&mut server, 1).await;
    let status = server.hub.nodes()[0].types[Kind::EXTENSION].clone();
    assert!(!status.is_refusing && status.refused.is_some());
}

/// Case 3: Envoy joins the version of the last response with the error of another.
#[tokio::test]
async fn a_refusal_that_says_an_accepted_version_is_one_in_state_of_the_world() {
    let mut server = serving("ecds=a:1").await;
    let mut client = asking(&server, "ecds", "a").await;
    assert_eq!(client.hears().await, "1: a:1");
    client.asks("a", "1").await;
    accepted(&mut server, 1).await;
    let had = server.hub.nodes()[0].types[Kind::EXTENSION].clone();
    publish(&server, "ecds=a:bad");
    let bad = client.client.hears().await.unwrap();
    let request = DiscoveryRequest {
        version_info: bad.version_info.clone(),
        response_nonce: bad.nonce,
        error_detail: refusal(),
        ..sotw(&["a"])
    };
    client.client.send(request).await;
    let said = refused(&mut server).await;
    assert_eq!(said, (bad.version_info, "cannot".to_owned()));
    client.client.hears_nothing().await;
    let status = server.hub.nodes()[0].types[Kind::EXTENSION].clone();
    assert!(status.is_refusing);
    assert_eq!(status.acknowledged, had.acknowledged, "the last good one");
    publish(&server, "ecds=a:good");
    assert_eq!(client.hears().await, "3: a:good");
}

/// Case 4: in state of the world all of a request with an old nonce is out of date.
#[tokio::test]
async fn a_stale_nonce_is_ignored_in_state_of_the_world() {
    let server = serving("ecds=a:1 b:1").await;
    let mut client = asking(&server, "ecds", "a").await;
    assert_eq!(client.hears().await, "1: a:1");
    client.asks("a", "1").await;
    publish(&server, "ecds=a:2 b:1");
    assert_eq!(client.hears().await, "2: a:2");
    // Had it been heard, `a` would be gone, and come again with the acknowledgement.
    client.asks("b", "1").await;
    client.asks("a", "2").await;
    client.client.hears_nothing().await;
    publish(&server, "ecds=a:3 b:3");
    assert_eq!(client.hears().await, "3: a:3", "b was not heard");
}

/// Case 4: in delta it settles nothing, and what it changes holds.
#[tokio::test]
async fn a_stale_nonce_changes_a_subscription_in_delta() {
    let server = serving("ecds=a:1 b:1").await;
    let mut client = subscribing(&server, "ecds", "a").await;
    assert_eq!(client.hears().await, "1: a:1");
    client.changes("", "1").await;
    publish(&server, "ecds=a:2 b:1");
    assert_eq!(client.hears().await, "2: a:2");
    client.changes("b", "1").await;
    client.client.hears_nothing().await;
    client.changes("", "2").await;
    assert_eq!(client.hears().await, "3: b:1");
}

/// Case 5: gRPC's clients ask for more while the first answer is on its way.
#[tokio::test]
async fn an_empty_nonce_after_a_response_changes_the_subscription() {
    let server = serving("cds=ga:1 gb:1").await;
    let mut client = asking(&server, "cds", "ga").await;
    assert_eq!(client.hears().await, "1: ga:1");
    client.asks("ga gb", "").await;
    client.client.hears_nothing().await;
    client.asks("ga gb", "1").await;
    assert_eq!(client.hears().await, "2: ga:1 gb:1");
    client.asks("ga gb", "2").await;
    // Nobody says this one again.
    client.asks("gb", "").await;
    client.client.hears_nothing().await;
    publish(&server, "cds=ga:2 gb:2");
    assert_eq!(client.hears().await, "3: gb:2");
}

/// Case 5, without an answer that would say it again: what was asked with an empty nonce holds by itself.
#[tokio::test]
async fn an_empty_nonce_is_honoured_before_anything_is_acknowledged() {
    let server = serving("ecds=").await;
    let mut client = asking(&server, "ecds", "a").await;
    client.client.hears_nothing().await;
    client.asks("a b", "").await;
    publish(&server, "ecds=b:1");
    assert_eq!(client.hears().await, "1: b:1");
}

/// Case 6.
#[tokio::test]
async fn a_new_name_is_answered_although_the_version_is_the_same() {
    let server = serving("ecds=a:1 b:1").await;
    let mut client = asking(&server, "ecds", "a").await;
    assert_eq!(client.hears().await, "1: a:1");
    client.asks("a", "1").await;
    client.client.hears_nothing().await;
    client.asks("a b", "1").await;
    assert_eq!(client.hears().await, "2: b:1");
}

/// Case 7.
#[tokio::test]
async fn a_name_that_was_dropped_is_sent_again_when_it_returns_in_state_of_the_world() {
    let server = serving("ecds=a:1 b:1").await;
    let mut client = asking(&server, "ecds", "a b").await;
    assert_eq!(client.hears().await, "1: a:1 b:1");
    client.asks("a", "1").await;
    client.client.hears_nothing().await;
    publish(&server, "ecds=a:1 b:2");
    client.client.hears_nothing().await;
    client.asks("a b", "1").await;
    assert_eq!(client.hears().await, "2: b:2");
    client.asks("a", "2").await;
    client.asks("a b", "2").await;
    assert_eq!(client.hears().await, "3: b:2", "unchanged");
}

/// Case 7.
#[tokio::test]
async fn a_name_that_is_asked_for_again_is_sent_again_in_delta() {
    let server = serving("ecds=a:1 b:1").await;
    let mut client = subscribing(&server, "ecds", "a b").await;
    assert_eq!(client.hears().await, "1: a:1 b:1");
    client.changes("-b -unknown", "1").await;
    client.client.hears_nothing().await;
    publish(&server, "ecds=a:1 b:2");
    client.client.hears_nothing().await;
    client.changes("b", "").await;
    assert_eq!(client.hears().await, "2: b:2");
    client.changes("", "2").await;
    client.client.hears_nothing().await;
    client.changes("a", "").await;
    assert_eq!(client.hears().await, "3: a:1", "it had it");
}

/// Case 8: the steps of the specification.
#[tokio::test]
async fn the_wildcard_goes_by_what_was_said_first_in_state_of_the_world() {
    let server = serving("cds=a:1 b:1").await;
    let mut client = asking(&server, "cds", "").await;
    assert_eq!(client.hears().await, "1: a:1 b:1");
    client.asks("* a", "1").await;
    client.client.hears_nothing().await;
    publish(&server, "cds=a:1 b:2");
    assert_eq!(client.hears().await, "2: a:1 b:2", "the wildcard stays");
    client.asks("a", "2").await;
    client.client.hears_nothing().await;
    publish(&server, "cds=a:3 b:3");
    assert_eq!(client.hears().await, "3: a:3");
    client.asks("", "3").await;
    client.client.hears_nothing().await;
    publish(&server, "cds=a:4 b:4");
    client.client.hears_nothing().await;
}

/// Case 8: the steps of the specification in delta.
#[tokio::test]
async fn the_wildcard_goes_by_what_was_said_first_in_delta() {
    let server = serving("cds=a:1 b:1").await;
    let mut client = subscribing(&server, "cds", "").await;
    assert_eq!(client.hears().await, "1: a:1 b:1");
    client.changes("a", "1").await;
    assert_eq!(client.hears().await, "2: a:1", "asked for by its name");
    client.changes("", "2").await;
    publish(&server, "cds=a:1 b:2");
    assert_eq!(client.hears().await, "3: b:2", "the wildcard stays");
    client.changes("-*", "3").await;
    client.client.hears_nothing().await;
    publish(&server, "cds=a:3 b:3");
    assert_eq!(client.hears().await, "4: a:3");
    client.changes("-a", "4").await;
    client.client.hears_nothing().await;
    publish(&server, "cds=a:4 b:4");
    client.client.hears_nothing().await;
}

/// Case 8: the wildcard covers a name that was dropped below it, so the client learns what became of it.
#[tokio::test]
async fn a_name_that_is_dropped_below_the_wildcard_is_answered_in_delta() {
    let server = serving("cds=a:1 b:1").await;
    let mut client = subscribing(&server, "cds", "* a gone").await;
    assert_eq!(client.hears().await, "1: a:1 b:1 -gone");
    client.changes("-a", "1").await;
    assert_eq!(client.hears().await, "2: a:1");
    client.changes("-gone", "2").await;
    assert_eq!(client.hears().await, "3: -gone");
    client.changes("b -*", "3").await;
    assert_eq!(client.hears().await, "4: b:1", "asked for again");
    client.changes("", "4").await;
    publish(&server, "cds=a:2 b:2");
    assert_eq!(client.hears().await, "5: b:2", "a name outlives it");
}

/// Case 8: gRPC's clients say what they want; nothing means nothing.
#[tokio::test]
async fn silence_of_a_grpc_client_asks_for_nothing() {
    let server = serving("cds=a:1 b:1").await;
    let mut whole = sotw_of(&server, "cds").await;
    whole.agent = "gRPC C-core";
    whole.asks("", "").await;
    whole.client.hears_nothing().await;
    whole.asks("a", "").await;
    assert_eq!(whole.hears().await, "1: a:1");
    let mut delta = delta_of(&server, "cds").await;
    delta.agent = "gRPC Go";
    delta.changes("", "").await;
    delta.client.hears_nothing().await;
    delta.changes("a", "").await;
    assert_eq!(delta.hears().await, "1: a:1");
}

/// Case 9.
#[tokio::test]
async fn clusters_come_as_a_full_set_and_vanish_by_omission() {
    let server = serving("cds=a:1 b:1").await;
    let mut whole = asking(&server, "cds", "").await;
    let mut delta = subscribing(&server, "cds", "").await;
    assert_eq!(whole.hears().await, "1: a:1 b:1");
    assert_eq!(delta.hears().await, "1: a:1 b:1");
    whole.asks("", "1").await;
    delta.changes("", "1").await;
    publish(&server, "cds=a:1 b:2");
    assert_eq!(whole.hears().await, "2: a:1 b:2", "all of it");
    assert_eq!(delta.hears().await, "2: b:2", "what changed");
    whole.asks("", "2").await;
    delta.changes("", "2").await;
    publish(&server, "cds=a:1");
    assert_eq!(whole.hears().await, "3: a:1");
    assert_eq!(delta.hears().await, "3: -b");
    whole.asks("", "3").await;
    delta.changes("", "3").await;
    publish(&server, "cds=");
    assert_eq!(whole.hears().await, "4: ", "none");
    assert_eq!(delta.hears().await, "4: -a");
}

/// Case 9: of other types absence says nothing.
#[tokio::test]
async fn extensions_are_never_answered_with_nothing() {
    let server = serving("ecds=a:1").await;
    let mut client = asking(&server, "ecds", "a").await;
    assert_eq!(client.hears().await, "1: a:1");
    client.asks("a", "1").await;
    publish(&server, "ecds=");
    client.client.hears_nothing().await;
    publish(&server, "ecds=a:-");
    client.client.hears_nothing().await;
}

/// Case 10: nobody has to ask again.
#[tokio::test]
async fn what_was_missing_is_sent_when_it_appears() {
    let server = serving("ecds=").await;
    let mut whole = asking(&server, "ecds", "a").await;
    whole.client.hears_nothing().await;
    let mut delta = subscribing(&server, "ecds", "a").await;
    assert_eq!(delta.hears().await, "1: -a");
    delta.changes("", "1").await;
    delta.client.hears_nothing().await;
    publish(&server, "ecds=a:1");
    assert_eq!(whole.hears().await, "1: a:1");
    assert_eq!(delta.hears().await, "2: a:1");
}

/// Case 13: a hundred changes behind one that is refused, in both variants.
#[tokio::test]
async fn a_refusal_belongs_to_the_first_of_a_hundred_and_only_the_last_follows() {
    let mut server = serving("ecds=a:0").await;
    let mut whole = asking(&server, "ecds", "a").await;
    let mut delta = subscribing(&server, "ecds", "a").await;
    assert_eq!(whole.hears().await, "1: a:0");
    assert_eq!(delta.hears().await, "1: a:0");
    let sent = server.hub.nodes();
    let first = sent[0].types[Kind::EXTENSION].sent.clone().unwrap();
    for version in 1..=100 {
        publish(&server, &format!("ecds=a:{version}"));
    }
    whole.client.hears_nothing().await;
    delta.client.hears_nothing().await;
    whole.answers("a", "1", refusal()).await;
    assert_eq!(refused(&mut server).await.0, first.as_str());
    delta.answers("", "1", refusal()).await;
    assert_eq!(refused(&mut server).await.0, first.as_str());
    assert_eq!(whole.hears().await, "2: a:100");
    assert_eq!(delta.hears().await, "2: a:100");
    whole.asks("a", "2").await;
    delta.changes("", "2").await;
    accepted(&mut server, 2).await;
    whole.client.hears_nothing().await;
    delta.client.hears_nothing().await;
}

/// Case 22: a nonce says nothing of another type.
#[tokio::test]
async fn two_types_on_one_stream_have_nonces_of_their_own() {
    let mut server = serving("rds=r:1; ecds=a:1").await;
    let mut client = asking(&server, "rds", "r").await;
    assert_eq!(client.hears().await, "1: r:1");
    client.type_url = Kind::EXTENSION;
    client.asks("a", "").await;
    assert_eq!(client.hears().await, "2: a:1");
    publish(&server, "rds=r:2; ecds=a:2");
    client.type_url = Kind::ROUTES;
    client.asks("r", "2").await;
    client.client.hears_nothing().await;
    client.asks("r", "1").await;
    accepted(&mut server, 1).await;
    assert_eq!(client.hears().await, "3: r:2");
    client.type_url = Kind::EXTENSION;
    client.asks("a", "2").await;
    assert_eq!(client.hears().await, "4: a:2");
}

/// Case 23.
#[tokio::test]
async fn a_name_that_is_asked_for_twice_comes_once() {
    let server = serving("ecds=a:1").await;
    let mut whole = asking(&server, "ecds", "a a").await;
    assert_eq!(whole.hears().await, "1: a:1");
    let mut delta = subscribing(&server, "ecds", "a a").await;
    assert_eq!(delta.hears().await, "1: a:1");
}

/// The sources below a folder, in one.
fn sources(folder: &std::path::Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap();
    let texts = entries.map(|entry| {
        let path = entry.unwrap().path();
        let is_source = path.extension().is_some_and(|it| it == "rs");
        match (path.is_dir(), is_source) {
            (true, _) => sources(&path),
            (false, true) => std::fs::read_to_string(path).unwrap(),
            (false, false) => String::new(),
        }
    });
    texts.collect()
}

/// The tests in the last column of a row are there, and there is one.
fn is_held(row: &str, sources: &str) {
    let tests = row.rsplit('|').nth(1).unwrap();
    let mut tests = tests.split('`').skip(1).step_by(2).peekable();
    assert!(tests.peek().is_some(), "without a test: {row}");
    for test in tests {
        let is_there = sources.contains(&format!("fn {test}("));
        assert!(is_there, "there is no test {test}: {row}");
    }
}

#[test]
fn each_case_and_each_departure_has_tests_that_there_are() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("core/xds/README.md")).unwrap();
    let folders = ["core/xds/src", "controlplane/tests", "integration/tests"];
    let sources: String = folders.map(|it| sources(&root.join(it))).concat();
    let mut rows = readme.lines();
    for case in 1..=24 {
        let is_it = |line: &&str| line.starts_with(&format!("| {case} |"));
        let row = rows.find(is_it);
        let row = row.unwrap_or_else(|| panic!("case {case} is not in the table"));
        is_held(row, &sources);
    }
    let departures = readme.split("| departure |").skip(1);
    let of_each: Vec<usize> = departures
        .map(|table| {
            let rows = table.lines().skip(2);
            let rows = rows.take_while(|line| line.starts_with("| "));
            rows.map(|row| is_held(row, &sources)).count()
        })
        .collect();
    assert_eq!(of_each, [15, 5], "go-control-plane and istiod");
}
