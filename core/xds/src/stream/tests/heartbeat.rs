//! Case 18: what has a time to live is kept alive, and sent again only when it changes.

use std::time::Duration;

use prost::Message as _;

use super::*;

/// The messages as clients read them, reduced to the fields that matter here.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Ttl {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Wire {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(message, optional, tag = "2")]
    resource: Option<Any>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(message, optional, tag = "6")]
    ttl: Option<Ttl>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct DeltaDiscoveryResponse {
    #[prost(message, repeated, tag = "2")]
    resources: Vec<Wire>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct DiscoveryResponse {
    #[prost(string, tag = "1")]
    version_info: String,
    #[prost(message, repeated, tag = "2")]
    resources: Vec<Any>,
}

fn lives(name: &str, content: &str) -> Resource {
    let resource = Resource::new(Kind::EXTENSION, name, content.as_bytes());
    let resource = resource.with_ttl(Duration::from_millis(30_500));
    assert_eq!(resource.value(), content.as_bytes());
    resource
}

/// One filter with this content, which lives for 30 s.
fn mortal(content: &str) -> Snapshot {
    Snapshot::builder().with(lives("a", content)).build()
}

/// Another one beside it.
fn mortals(a: &str, b: &str) -> Snapshot {
    let with = Snapshot::builder().with(lives("a", a));
    with.with(lives("b", b)).build()
}

impl DeltaClient {
    /// What the next heartbeat is about, as `nonce: names`, with the content of each.
    fn beats(&mut self, snapshot: &Snapshot) -> String {
        self.stream.beat();
        self.still_beats(snapshot)
    }

    /// The same, of one that is due already.
    fn still_beats(&mut self, snapshot: &Snapshot) -> String {
        let Some(response) = next(&mut self.stream, snapshot) else {
            return String::new();
        };
        assert!(response.sent.is_heartbeat);
        let wire = DeltaDiscoveryResponse::decode(bytes(&response).as_slice()).unwrap();
        let said = wire.resources.iter().zip(&response.sent.resources);
        let said = said.map(|(resource, (name, version))| {
            let of = |it: &Wire| (it.name.clone(), it.version.clone());
            assert_eq!(of(resource), (name.clone(), version.to_string()));
            let mut contents = ["1", "2", "3", "4", "5"].into_iter();
            let content = contents.find(|it| lives(name, it).version() == version);
            format!("{name}{}", content.unwrap())
        });
        let said: Vec<String> = said.collect();
        format!("{}: {}", response.sent.nonce, said.join(" "))
    }
}

fn bytes(response: &Response) -> Vec<u8> {
    response.pieces.concat()
}

fn ttl(resource: &Wire) -> (i64, i32) {
    let ttl = resource.ttl.as_ref().unwrap();
    (ttl.seconds, ttl.nanos)
}

#[test]
fn heartbeats_of_delta_name_what_the_client_has_and_no_more() {
    let now = mortal("1");
    assert_eq!(
        now.heartbeat_every(),
        Some(Duration::from_millis(30_500) / 3)
    );
    assert_eq!(snapshot("ecds=a:1").heartbeat_every(), None);
    let mut client = DeltaClient::new("ecds");
    client.stream.beat();
    client.change("a", "");
    let first = client.stream.next(&now).unwrap();
    let sent = DeltaDiscoveryResponse::decode(bytes(&first).as_slice()).unwrap();
    assert_eq!(ttl(&sent.resources[0]), (30, 500_000_000));
    assert_eq!(sent.resources[0].resource.as_ref().unwrap().value, b"1");
    client.stream.beat();
    assert_eq!(client.hears(&now), "", "the first is not answered");
    client.change("", "1");
    let beat = client.stream.next(&now).unwrap();
    assert!(beat.sent.is_heartbeat);
    let beat = DeltaDiscoveryResponse::decode(bytes(&beat).as_slice()).unwrap();
    let [resource] = beat.resources.as_slice() else {
        panic!("{beat:?}")
    };
    assert_eq!(
        (&resource.name, &resource.version),
        (&"a".to_owned(), &sent.resources[0].version)
    );
    assert_eq!(
        (&resource.resource, ttl(resource)),
        (&None, (30, 500_000_000))
    );
    assert!(
        client.stream.is_in_force(&now),
        "nothing waits for a heartbeat"
    );
    client.change("", "2");
    assert_eq!(client.hears(&now), "", "until the next one is due");
    client.stream.beat();
    assert_eq!(
        client.hears(&mortal("2")),
        "3: a",
        "what changed comes whole"
    );
}

#[test]
fn what_a_client_has_lives_on_while_it_refuses_something_else() {
    let mut client = DeltaClient::new("ecds");
    client.change("a b", "");
    assert_eq!(client.hears(&mortals("1", "1")), "1: a b");
    client.change("", "1");
    let now = mortals("1", "2");
    assert_eq!(client.hears(&now), "2: b");
    client.answer("", "2", refusal("no"));
    assert_eq!(client.beats(&now), "3: a1 b1", "what it runs");
    client.change("", "3");
    assert!(!client.stream.is_in_force(&now), "it refuses still");
    assert_eq!(client.beats(&now), "4: a1 b1");
    client.change("", "4");
    assert_eq!(client.hears(&mortals("1", "3")), "5: b");
    client.change("", "5");
    assert_eq!(client.beats(&mortals("1", "3")), "6: a1 b3");
}

/// Envoy keeps the versions and times of what it had, whatever in a response that it refuses was good.
#[test]
fn what_a_client_took_lives_on_when_what_came_after_it_is_refused() {
    let mut client = DeltaClient::new("ecds");
    client.begin("a b c", &mortals("1", "1"));
    let with = |content: &str| {
        let with = Snapshot::builder().with(lives("c", content));
        let with = with.with(lives("a", content));
        with.with(lives("b", content)).build()
    };
    assert_eq!(client.hears(&with("2")), "1: a b c");
    client.answer("", "1", refusal("no"));
    assert_eq!(client.beats(&with("2")), "2: a1 b1", "it never took c");
    client.change("", "2");
    assert_eq!(client.hears(&with("3")), "3: a b c");
    client.answer("-b", "3", refusal("no"));
    assert_eq!(client.hears(&with("3")), "4: a c", "without b");
    client.answer("", "4", refusal("no"));
    assert_eq!(client.beats(&with("3")), "5: a1", "it dropped b");
    client.change("", "5");
    // Nothing by the name for a while, and then the same.
    let none = Snapshot::builder().manage(Kind::EXTENSION).build();
    assert_eq!(client.hears(&none), "");
    assert_eq!(client.hears(&with("3")), "6: a c");
    client.answer("", "6", refusal("no"));
    assert_eq!(client.beats(&with("3")), "7: a1");
    client.change("", "7");
    assert_eq!(client.hears(&with("4")), "8: a c");
    client.change("", "8");
    assert_eq!(client.beats(&with("4")), "9: a4 c4");
}

/// Who asks for a name again, or lets go of it below the wildcard, has dropped what it had by it.
#[test]
fn what_a_client_dropped_does_not_live_on() {
    for change in ["a", "* -a"] {
        let mut client = DeltaClient::new("ecds");
        client.change("a", "");
        client.hears(&mortal("1"));
        client.change("", "1");
        client.change(change, "");
        assert_eq!(client.hears(&mortal("2")), "2: a");
        client.answer("", "2", refusal("no"));
        assert_eq!(client.beats(&mortal("2")), "", "{change}");
    }
}

#[test]
fn what_expired_while_something_else_was_refused_is_not_sent_again() {
    let mut client = DeltaClient::new("ecds");
    client.begin("a b", &mortals("1", "1"));
    let now = mortals("1", "2");
    assert_eq!(client.hears(&now), "1: b");
    client.answer("", "1", refusal("no"));
    assert_eq!(client.beats(&now), "2: a1 b1");
    client.answer("", "2", refusal("no"));
    assert_eq!(client.hears(&now), "3: a", "b is what it refused");
    client.change("", "3");
    assert_eq!(client.still_beats(&now), "4: b1", "it may live");
    client.answer("", "4", refusal("no"));
    assert_eq!(client.beats(&now), "5: a1");
    client.change("", "5");
    assert_eq!(client.hears(&now), "");
}

/// Envoy takes nothing of a heartbeat that names something which it does not know.
#[test]
fn what_a_client_took_lives_on_when_something_else_has_expired() {
    let with = |a: &str, b: &str, c: &str| {
        let with = Snapshot::builder().with(lives("a", a));
        with.with(lives("b", b)).with(lives("c", c)).build()
    };
    let mut client = DeltaClient::new("ecds");
    client.begin("a b c", &with("1", "1", "1"));
    let now = with("2", "1", "2");
    assert_eq!(client.hears(&now), "1: a c");
    client.answer("", "1", refusal("no"));
    assert_eq!(client.beats(&now), "2: a1 b1 c1");
    client.answer("", "2", refusal("b and c have expired"));
    assert_eq!(client.hears(&now), "3: b", "whole");
    client.change("", "3");
    assert_eq!(client.still_beats(&now), "4: a1");
    client.change("", "4");
    assert_eq!(client.still_beats(&now), "5: c1");
    client.answer("", "5", refusal("c has expired"));
    assert_eq!(client.still_beats(&now), "");
    assert_eq!(client.beats(&now), "6: a1 b1");
    // What it lets go of meanwhile is not named.
    client.answer("", "6", refusal("b has expired"));
    client.change("-a", "");
    assert_eq!(client.hears(&now), "7: c", "it came with a");
    client.change("", "7");
    assert_eq!(client.hears(&now), "8: b");
    client.change("", "8");
    assert_eq!(client.still_beats(&now), "");
}

#[test]
fn what_expired_before_its_heartbeat_came_is_sent_whole() {
    let now = mortals("1", "1");
    let mut client = DeltaClient::new("ecds");
    client.change("a b", "");
    client.hears(&now);
    client.change("", "1");
    assert_eq!(client.beats(&now), "2: a1 b1");
    client.answer("", "2", refusal("no"));
    let whole = client.stream.next(&now).unwrap();
    assert!(!whole.sent.is_heartbeat);
    assert_eq!(said(&whole), "a b");
    client.answer("", "3", refusal("no"));
    assert_eq!(client.hears(&now), "", "once, and not for ever");
    assert_eq!(client.beats(&now), "");
}

#[test]
fn a_client_that_comes_back_hears_at_once_that_it_still_holds() {
    let now = mortal("1");
    let mut client = DeltaClient::new("ecds");
    client.begin("a", &now);
    client.stream.beat();
    assert!(client.stream.next(&now).unwrap().sent.is_heartbeat);
}

/// Whether a response of state of the world gives what it carries a time to live.
pub(super) fn is_mortal(response: &Response) -> bool {
    let wire = DiscoveryResponse::decode(bytes(response).as_slice()).unwrap();
    let wrapped = wire.resources.iter().map(|it| it.type_url == WRAPPED);
    let wrapped: BTreeSet<bool> = wrapped.collect();
    assert_eq!(wrapped.len(), 1, "all alike");
    wrapped.contains(&true)
}

/// The message that has a time to live, in state of the world.
const WRAPPED: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";

impl SotwClient {
    /// What the next response is about, as `nonce: names`, with the content of each: whole, and with `~` where it has a time
    /// to live. `beat` for heartbeats.
    fn says(&mut self, snapshot: &Snapshot) -> String {
        let Some(response) = next(&mut self.stream, snapshot) else {
            return String::new();
        };
        let wire = DiscoveryResponse::decode(bytes(&response).as_slice()).unwrap();
        assert_eq!(wire.version_info, response.sent.version.as_str());
        let said = wire.resources.iter().zip(&response.sent.resources);
        let said = said.map(|(any, (name, version))| {
            if any.type_url != WRAPPED {
                return format!("{name}{}", String::from_utf8_lossy(&any.value));
            }
            let wrapped = Wire::decode(any.value.as_slice()).unwrap();
            assert_eq!(ttl(&wrapped), (30, 500_000_000));
            let of = (wrapped.name.as_str(), wrapped.version.as_str());
            assert_eq!(of, (name.as_str(), version.as_str()));
            let resource = wrapped.resource.unwrap();
            assert_eq!(resource.type_url, Kind::EXTENSION);
            format!("{name}{}~", String::from_utf8_lossy(&resource.value))
        });
        let said: Vec<String> = said.collect();
        let beat = if response.sent.is_heartbeat {
            "beat "
        } else {
            ""
        };
        format!("{}: {beat}{}", response.sent.nonce, said.join(" "))
    }

    /// A client of these names that has all of `now`, with a time to live.
    fn living(wanted: &str, now: &Snapshot) -> Self {
        let mut client = Self::new("ecds");
        client.ask(wanted, "", None);
        assert!(!client.says(now).contains('~'), "it has not taken it");
        client.ask(wanted, "1", None);
        assert!(client.says(now).starts_with("2: beat "));
        client.ask(wanted, "2", None);
        client
    }
}

#[test]
fn heartbeats_of_the_state_of_the_world_are_whole_and_begin_when_something_is_taken() {
    let now = mortal("1");
    let mut client = SotwClient::new("ecds");
    client.ask("a", "", None);
    client.stream.beat();
    assert_eq!(client.says(&now), "1: a1");
    assert_eq!(client.says(&now), "", "the first is not answered");
    client.ask("a", "1", None);
    assert_eq!(client.says(&now), "2: beat a1~");
    assert!(
        client.stream.is_in_force(&now),
        "nothing waits for a heartbeat"
    );
    client.stream.beat();
    assert_eq!(client.says(&now), "", "one in flight");
    client.ask("a", "2", None);
    assert_eq!(client.says(&now), "3: beat a1~");
    client.ask("a", "3", None);
    assert_eq!(client.says(&now), "", "until the next one is due");
    client.stream.beat();
    let now = mortal("2");
    assert_eq!(client.says(&now), "4: a2", "what changed comes first");
    client.ask("a", "4", None);
    assert_eq!(client.says(&now), "5: beat a2~");
}

#[test]
fn what_was_taken_is_renewed_at_once_and_the_rest_when_it_is_time_in_state_of_the_world() {
    let mut client = SotwClient::living("a b", &mortals("1", "1"));
    let now = mortals("1", "2");
    assert_eq!(client.says(&now), "3: b2");
    client.ask("a b", "3", None);
    assert_eq!(client.says(&now), "4: beat b2~");
    client.ask("a b", "4", None);
    assert_eq!(client.says(&now), "");
    client.stream.beat();
    assert_eq!(client.says(&now), "5: beat a1~ b2~");
    client.ask("a b", "5", None);
    assert_eq!(client.says(&now), "");
    // On a new stream it may wait for the end of it already.
    let mut client = SotwClient::new("ecds");
    client.come_back("a b", &now);
    assert_eq!(client.says(&now), "1: a1 b2");
    client.ask("a b", "1", None);
    assert_eq!(client.says(&now), "2: beat a1~ b2~");
}

/// Envoy would take the time of what it refuses for that of what it has.
#[test]
fn what_is_refused_has_no_time_to_live_in_state_of_the_world() {
    let mut client = SotwClient::living("a b", &mortals("1", "1"));
    let now = mortals("1", "2");
    assert_eq!(client.says(&now), "3: b2");
    client.ask("a b", "3", refusal("no"));
    assert_eq!(client.says(&now), "");
    client.stream.beat();
    let beat = client.stream.next(&now).unwrap();
    assert_eq!(
        (said(&beat).as_str(), is_mortal(&beat)),
        ("a", true),
        "b lives on without"
    );
    let taken = mortals("1", "1");
    let taken = taken.of_type(Kind::EXTENSION).unwrap().version();
    assert_eq!(&beat.sent.version, taken, "that which it took");
    client.ask("a b", "4", None);
    assert!(!client.stream.is_in_force(&now), "it refuses still");
    let now = mortals("2", "3");
    assert_eq!(client.says(&now), "5: a2 b3");
    client.ask("a b", "5", refusal("no"));
    client.stream.beat();
    assert_eq!(client.says(&now), "", "which of them is not known");
    assert_eq!(client.says(&mortals("2", "4")), "6: b4");
    client.ask("a b", "6", None);
    assert_eq!(client.says(&mortals("2", "4")), "7: a2", "tried again");
    client.ask("a b", "7", None);
    assert_eq!(client.says(&mortals("2", "4")), "8: beat a2~ b4~");
}

/// When anything expires, Envoy lets go of all of the type.
#[test]
fn what_is_not_renewed_any_more_stays_in_state_of_the_world() {
    let now = mortals("1", "1");
    let none = Snapshot::builder().manage(Kind::EXTENSION);
    let gone = Snapshot::builder()
        .with(lives("a", "1"))
        .delete(Kind::EXTENSION, "b");
    for (wanted, later, ends) in [
        ("a", now.clone(), "b1"),
        ("a b", mortal("1"), "a1 b1"),
        ("a b", gone.build(), "a1 b1"),
        ("a b", none.build(), "a1 b1"),
        ("a b", Snapshot::default(), "a1 b1"),
    ] {
        let mut client = SotwClient::living("a b", &now);
        client.ask(wanted, "2", None);
        assert_eq!(client.says(&later), format!("3: beat {ends}"));
        client.ask(wanted, "3", None);
        assert_eq!(client.says(&later), "", "once");
        client.stream.beat();
        let rest = if ends == "b1" { "4: beat a1~" } else { "" };
        assert_eq!(client.says(&later), rest);
    }
}

/// It is not taken away, and Envoy would let go of it with the rest.
#[test]
fn nothing_has_a_time_to_live_beside_what_is_gone_and_still_asked_for_in_state_of_the_world() {
    let (all, now) = (mortals("1", "1"), mortal("1"));
    let mut client = SotwClient::living("a b", &all);
    assert_eq!(client.says(&now), "3: beat a1 b1");
    client.ask("a b", "3", None);
    client.stream.beat();
    assert_eq!(client.says(&now), "", "for ever");
    assert_eq!(client.says(&all), "4: beat a1~ b1~", "it is there again");
    client.ask("a b", "4", None);
    assert_eq!(client.says(&now), "5: beat a1 b1");
    client.ask("a", "5", None);
    assert_eq!(client.says(&now), "6: beat a1~", "it has let go of b");
    // What it has from a stream before is not known. If that ends, it takes a with it, which comes again by its heartbeat.
    let mut client = SotwClient::new("ecds");
    client.come_back("a b", &now);
    assert_eq!(client.says(&now), "1: a1");
    client.ask("a b", "1", None);
    assert_eq!(client.says(&now), "2: beat a1~");
}

#[test]
fn nothing_has_a_time_to_live_beside_what_has_none_in_state_of_the_world() {
    let beside = Snapshot::builder().with(lives("a", "1"));
    let beside = beside.with(Resource::new(Kind::EXTENSION, "c", b"1"));
    let (now, beside) = (mortal("1"), beside.build());
    let mut client = SotwClient::living("a", &now);
    client.ask("a c", "2", None);
    assert_eq!(client.says(&beside), "3: c1");
    client.ask("a c", "3", None);
    assert_eq!(client.says(&beside), "4: beat a1", "for ever");
    client.ask("a c", "4", None);
    client.stream.beat();
    assert_eq!(client.says(&beside), "");
    client.ask("a", "4", None);
    client.stream.beat();
    assert_eq!(client.says(&beside), "5: beat a1~", "it let go of c");
}

#[test]
fn a_refused_heartbeat_is_followed_by_the_same_as_news_in_state_of_the_world() {
    let now = mortal("1");
    let mut client = SotwClient::living("a", &now);
    client.stream.beat();
    assert_eq!(client.says(&now), "3: beat a1~");
    client.ask("a", "3", refusal("no"));
    assert_eq!(client.says(&now), "4: a1");
    client.ask("a", "4", refusal("no"));
    client.stream.beat();
    assert_eq!(client.says(&now), "", "once, and not for ever");
    assert!(!client.stream.is_in_force(&now));
}

/// Otherwise who refuses heartbeats and takes news is sent both as fast as it answers.
#[test]
fn a_refused_heartbeat_is_tried_again_when_the_next_is_due_in_state_of_the_world() {
    let now = mortals("1", "1");
    let mut client = SotwClient::living("a b", &now);
    client.stream.beat();
    assert_eq!(client.says(&now), "3: beat a1~ b1~");
    client.ask("a b", "3", refusal("no"));
    assert_eq!(client.says(&now), "4: a1 b1");
    client.ask("a b", "4", None);
    assert_eq!(client.says(&now), "", "not at once");
    let now = mortals("1", "2");
    assert_eq!(client.says(&now), "5: b2");
    client.ask("a b", "5", None);
    assert_eq!(client.says(&now), "6: beat b2~", "another version is");
    client.ask("a b", "6", None);
    assert_eq!(client.says(&now), "");
    client.stream.beat();
    assert_eq!(client.says(&now), "7: beat a1~ b2~");
    client.ask("a b", "7", refusal("no"));
    assert_eq!(client.says(&now), "8: a1 b2");
    client.ask("a b", "8", None);
    client.stream.beat();
    assert_eq!(client.says(&now), "9: beat a1~ b2~");
    client.ask("a b", "9", None);
    assert_eq!(client.says(&now), "");
}

/// Of these what a heartbeat leaves out would be gone.
#[test]
fn full_sets_have_no_heartbeats() {
    let cluster = Resource::new(Kind::CLUSTER, "a", b"1");
    let cluster = cluster.with_ttl(Duration::from_secs(1));
    let now = Snapshot::builder().with(cluster).build();
    let mut client = SotwClient::new("cds");
    client.ask("", "", None);
    assert_eq!(client.hears(&now), "1: a");
    client.ask("", "1", None);
    client.stream.beat();
    assert_eq!(client.hears(&now), "");
}

#[test]
fn what_lives_for_ever_has_no_heartbeat() {
    let now = snapshot("ecds=a:1");
    let mut client = DeltaClient::new("ecds");
    client.change("a", "");
    client.hears(&now);
    client.change("", "1");
    client.stream.beat();
    assert_eq!(client.hears(&now), "");
}

#[test]
fn a_time_to_live_is_another_version() {
    let plain = Resource::new("t", "a", b"1");
    let short = plain.clone().with_ttl(Duration::from_secs(1));
    let long = plain.clone().with_ttl(Duration::from_secs(2));
    assert_ne!(plain.version(), short.version());
    assert_ne!(short.version(), long.version());
}
