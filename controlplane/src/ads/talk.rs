//! What is said on one stream, and how its node stands by that.

use std::sync::Arc;
use std::time::Duration;

use sloop_xds::{Response, Snapshot, Stream, Verdict, Version};
use tokio::time::Instant;
use tonic::Status;

use super::grpc::ToClient;
use super::hub::{Connection, Hub};
use super::names::NamesRoom;
use super::news::News;
use super::place::Place;
use super::reason;
use super::run::{Manner, refuse};
use super::unanswered::Unanswered;

/// A stream on which it is known who is there.
///
/// What happens is gathered and noted when something may be said: after a push thousands of nodes hear, answer and
/// stand as they should, and each change of that is one look at what is known of all.
#[derive(Debug)]
pub(super) struct Talk<'a, S> {
    connection: &'a Connection,
    pub(super) place: Place,
    /// What the node should have, if that is known: as it was when something about that may have changed. Who changes it rings
    /// a bell, and to look each time would take a lock that all streams share.
    snapshot: Option<Arc<Snapshot>>,
    stream: S,
    pub(super) unanswered: Unanswered,
    /// Whether a response may be due. Checked when the connection has room for one.
    pub(super) may_owe: bool,
    news: News,
    /// Room for names that it was given, beyond what each stream may keep.
    names_beyond: usize,
    /// The types of which the node refused something, until a look shows that it refuses nothing of it.
    refusing: Vec<String>,
    /// How the node stands, as it was noted last.
    stands: Option<(Version, bool)>,
}

impl<'a, S: Stream> Talk<'a, S> {
    /// A stream on which nothing was asked.
    pub(super) fn begin(connection: &'a Connection, place: Place, stream: S) -> Self {
        let mut talk = Self {
            connection,
            place,
            snapshot: None,
            stream,
            unanswered: Unanswered::default(),
            may_owe: true,
            news: News::default(),
            names_beyond: 0,
            refusing: Vec::new(),
            stands: None,
        };
        talk.was_moved();
        talk
    }

    /// What the node should have may be something else from now on, and it with others.
    pub(super) fn was_moved(&mut self) {
        self.may_owe = true;
        self.news.cohort = self.place.take_moved().or(self.news.cohort.take());
        self.snapshot = self.place.snapshot();
        self.news.wanted = self.snapshot.as_ref().map(|it| it.version().clone());
        let before = self.stands.take().map(|(version, _)| version);
        if let Some(wanted) = &self.news.wanted
            && before.is_some_and(|it| it != *wanted)
        {
            // That another version is wanted says already that it is not in force. Who wanted nothing for a while may
            // have had this one before.
            self.stands = Some((wanted.clone(), false));
        }
    }

    /// It is time to say that what the client has still holds.
    pub(super) fn beat(&mut self) {
        self.stream.beat();
        self.may_owe = true;
    }

    /// Takes a request.
    pub(super) fn take(
        &mut self,
        request: S::Request,
        manner: Manner<S>,
        hub: &Hub,
    ) -> Result<(), Status> {
        let refuse = |violation| refuse(hub, &violation);
        let request = match manner.only {
            Some(only) => S::confined(request, only).map_err(refuse)?,
            None => request,
        };
        self.may_owe = true;
        let says_names = S::says_names(&request);
        let verdict = self.stream.take(request).map_err(refuse)?;
        if says_names {
            self.keep_names()?;
        }
        let Some(verdict) = verdict else {
            return Ok(());
        };
        let (Verdict::Acknowledged(sent) | Verdict::Refused { sent, .. }) = &verdict;
        self.unanswered.answered(sent);
        // That a client took what it had already, or had lost it by then, says nothing of pushes.
        if !sent.is_heartbeat {
            // What it took over need not be all that it refused: that it refuses nothing of the type any more is found out by a look.
            let is_new = !self.refusing.contains(&sent.type_url);
            if is_new && matches!(verdict, Verdict::Refused { .. }) {
                self.refusing.push(sent.type_url.clone());
            }
            self.news.settled = Some(self.explained(verdict));
        }
        Ok(())
    }

    /// Has room for the names that are kept for the client, or is refused.
    fn keep_names(&mut self) -> Result<(), Status> {
        let mut beyond = NamesRoom::beyond_free(self.stream.names_bytes(None));
        if 0 < beyond {
            // Who has all that there is of a large fleet says nothing that is not kept already.
            let offered = self.snapshot.as_deref();
            beyond = NamesRoom::beyond_free(self.stream.names_bytes(offered));
        }
        if beyond != self.names_beyond {
            self.connection.keep_names(beyond)?;
            self.names_beyond = beyond;
        }
        Ok(())
    }

    /// The same, with what we know ourselves about a refusal.
    fn explained(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Acknowledged(_) => verdict,
            Verdict::Refused { sent, message } => {
                let message = reason::explained(message, &sent, self.snapshot.as_deref());
                Verdict::Refused { sent, message }
            }
        }
    }

    /// How often the node must hear that what it has still holds; `None` when it need not.
    pub(super) fn heartbeat_every(&self) -> Option<Duration> {
        self.snapshot.as_ref()?.heartbeat_every()
    }

    /// Says what is due, as far as the connection has room and `is_open` says that anything may be said, and notes what
    /// happened since the last time.
    pub(super) fn speak(&mut self, is_open: bool, to_client: &ToClient) {
        if !(self.may_owe && to_client.has_room()) {
            return self.note();
        }
        let Some(response) = self.due(is_open) else {
            self.may_owe = false;
            self.look();
            return self.note();
        };
        if !response.sent.is_heartbeat {
            self.news.sent = Some(Arc::clone(&response.sent));
        }
        self.unanswered.sent(&response.sent, Instant::now());
        self.may_owe = self.owes_more();
        if !self.may_owe {
            self.look();
        }
        // Before the client can answer.
        self.note();
        to_client.give(Ok(Box::new(response)));
    }

    fn due(&mut self, is_open: bool) -> Option<Response> {
        let snapshot = self.snapshot.as_ref().filter(|_| is_open)?;
        self.stream.next(snapshot)
    }

    /// Whether there may be more to say at once. Mostly there is one type, and its response waits for an answer.
    fn owes_more(&self) -> bool {
        let snapshot = self.snapshot.as_deref();
        snapshot.is_some_and(|it| self.stream.may_owe(it))
    }

    /// Finds out how the node stands.
    fn look(&mut self) {
        let Some(snapshot) = &self.snapshot else {
            // It should have nothing.
            self.news.let_go.append(&mut self.refusing);
            return;
        };
        let (version, is_in_force) = (snapshot.version(), self.stream.is_in_force(snapshot));
        let is_known = |(known, was): &(Version, bool)| known == version && *was == is_in_force;
        if !self.stands.as_ref().is_some_and(is_known) {
            let stands = (version.clone(), is_in_force);
            self.stands = Some(stands.clone());
            self.news.stands = Some(stands);
        }
        let stream = &self.stream;
        let let_go = self
            .refusing
            .extract_if(.., |it| !stream.refuses(it, snapshot));
        self.news.let_go.extend(let_go);
    }

    fn note(&mut self) {
        self.connection.note(std::mem::take(&mut self.news));
    }
}

#[cfg(test)]
mod tests {
    use sloop_xds::fleet::{Condition, Declared, Fleet, Selector};
    use sloop_xds::{
        DeltaDiscoveryRequest, DeltaStream, Kind, LegacyWildcard, Node, Resource, Snapshot,
        StreamLimits,
    };

    use super::super::grpc::Responses;
    use super::super::{AdsLimits, Variant};
    use super::*;
    use crate::clock;

    const MANNER: Manner<DeltaStream> = Manner {
        begin: DeltaStream::new,
        only: None,
    };

    fn asks(has: Option<&Version>) -> DeltaDiscoveryRequest {
        let has = has.map(|version| ("a".to_owned(), version.as_str().to_owned()));
        DeltaDiscoveryRequest {
            type_url: Kind::EXTENSION.to_owned(),
            resource_names_subscribe: vec!["a".to_owned()],
            initial_resource_versions: has.into_iter().collect(),
            ..DeltaDiscoveryRequest::default()
        }
    }

    /// A fleet in which `shop-1` is a cohort of its own.
    fn by_id(resource: Resource) -> Fleet {
        let selector = Selector {
            all: vec![Condition::Id("shop-1".to_owned())],
            ..Selector::default()
        };
        Fleet::new(vec![Declared {
            document: "one".to_owned(),
            selector,
            resource,
            references: std::collections::BTreeSet::default(),
        }])
    }

    #[test]
    fn what_a_node_lost_while_it_wanted_nothing_is_not_in_force_when_it_wants_it_again() {
        let resource = Resource::new(Kind::EXTENSION, "a", b"1".as_slice());
        let has = resource.version().clone();
        let snapshot = Snapshot::builder().with(resource.clone()).build();
        let hub = Hub::new(AdsLimits::default(), clock::wall);
        hub.publish("shop", Arc::new(snapshot));
        let connection = hub.admit(Variant::Delta, None).unwrap();
        let place = connection.introduce(&Node {
            id: "shop-1".to_owned(),
            cluster: "shop".to_owned(),
            ..Node::default()
        });
        let stream = DeltaStream::new(StreamLimits::default(), LegacyWildcard::Off);
        let mut talk = Talk::begin(&connection, place.unwrap(), stream);
        let (to_client, _answer) = Responses::channel();
        let is_in_force = || hub.nodes()[0].standing.has().is_some();

        talk.take(asks(Some(&has)), MANNER, &hub).unwrap();
        talk.speak(true, &to_client);
        assert!(is_in_force());
        // It is of a cohort that nothing is known of for a while, and asks anew for what it had.
        hub.set_fleet(Arc::new(by_id(resource)));
        assert!(talk.place.find().is_some());
        talk.was_moved();
        talk.take(asks(None), MANNER, &hub).unwrap();
        talk.speak(true, &to_client);
        hub.set_fleet(Arc::default());
        assert!(talk.place.find().is_some());
        talk.was_moved();
        talk.speak(false, &to_client);
        assert!(!is_in_force(), "it is to be sent again");
    }

    /// Whether the only node refuses something.
    fn is_refusing(hub: &Hub) -> bool {
        let types = &hub.nodes()[0].types;
        types.values().any(|it| it.is_refusing)
    }

    /// What a node does about something that it refused, or what else becomes of that.
    type Ends = fn(&mut Talk<'_, DeltaStream>, &Hub);

    #[test]
    fn a_node_refuses_nothing_any_more_when_it_need_not_have_what_it_refused() {
        let lets_go: Ends = |talk, hub| {
            let request = DeltaDiscoveryRequest {
                type_url: Kind::EXTENSION.to_owned(),
                resource_names_unsubscribe: vec!["a".to_owned()],
                ..DeltaDiscoveryRequest::default()
            };
            talk.take(request, MANNER, hub).unwrap();
        };
        let is_taken_back: Ends = |talk, hub| {
            let none = Snapshot::builder().manage(Kind::EXTENSION).build();
            hub.publish("shop", Arc::new(none));
            talk.was_moved();
        };
        for (ends, lets_go) in [(lets_go, true), (is_taken_back, false)] {
            let resource = Resource::new(Kind::EXTENSION, "a", b"bad".as_slice());
            let hub = Hub::new(AdsLimits::default(), clock::wall);
            let bad = Snapshot::builder().with(resource).build();
            hub.publish("shop", Arc::new(bad.clone()));
            let connection = hub.admit(Variant::Delta, None).unwrap();
            let place = connection.introduce(&Node {
                id: "shop-1".to_owned(),
                cluster: "shop".to_owned(),
                ..Node::default()
            });
            let stream = DeltaStream::new(StreamLimits::default(), LegacyWildcard::Off);
            let mut talk = Talk::begin(&connection, place.unwrap(), stream);
            let (to_client, mut answer) = Responses::channel();
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            talk.take(asks(None), MANNER, &hub).unwrap();
            talk.speak(true, &to_client);
            assert!(answer.poll_piece(&mut context).is_ready());
            let refusal = |nonce: &str| DeltaDiscoveryRequest {
                type_url: Kind::EXTENSION.to_owned(),
                response_nonce: nonce.to_owned(),
                error_detail: Some(sloop_xds::Status::default()),
                ..DeltaDiscoveryRequest::default()
            };
            talk.take(refusal("1"), MANNER, &hub).unwrap();
            talk.speak(true, &to_client);
            assert!(is_refusing(&hub));
            talk.speak(true, &to_client);
            assert!(is_refusing(&hub), "it goes on until something happens");
            ends(&mut talk, &hub);
            talk.speak(true, &to_client);
            assert!(!is_refusing(&hub));
            assert!(hub.nodes()[0].standing.has().is_some());
            // The same is wanted again, and refused again.
            if lets_go {
                talk.take(asks(None), MANNER, &hub).unwrap();
            }
            hub.publish("shop", Arc::new(bad));
            talk.was_moved();
            talk.speak(true, &to_client);
            assert!(answer.poll_piece(&mut context).is_ready());
            talk.take(refusal("2"), MANNER, &hub).unwrap();
            talk.speak(true, &to_client);
            assert!(is_refusing(&hub));
        }
    }

    /// Two that were refused together: one is replaced by what is refused, too, and the other then taken over.
    #[test]
    fn who_takes_over_a_part_still_refuses_the_rest() {
        let hub = Hub::new(AdsLimits::default(), clock::wall);
        let publish = |contents: [&[u8]; 2]| {
            let [a, b] = ["a", "b"]
                .map(|name| move |content: &[u8]| Resource::new(Kind::EXTENSION, name, content));
            let snapshot = Snapshot::builder()
                .with(a(contents[0]))
                .with(b(contents[1]));
            hub.publish("shop", Arc::new(snapshot.build()));
        };
        publish([b"bad", b"1"]);
        let connection = hub.admit(Variant::Delta, None).unwrap();
        let place = connection.introduce(&Node {
            id: "shop-1".to_owned(),
            cluster: "shop".to_owned(),
            ..Node::default()
        });
        let stream = DeltaStream::new(StreamLimits::default(), LegacyWildcard::Off);
        let mut talk = Talk::begin(&connection, place.unwrap(), stream);
        let (to_client, mut answer) = Responses::channel();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut asks_for_both = asks(None);
        asks_for_both.resource_names_subscribe.push("b".to_owned());
        talk.take(asks_for_both, MANNER, &hub).unwrap();
        talk.speak(true, &to_client);
        let mut answers = |talk: &mut Talk<'_, DeltaStream>, nonce: &str, is_refused: bool| {
            assert!(answer.poll_piece(&mut context).is_ready());
            let request = DeltaDiscoveryRequest {
                type_url: Kind::EXTENSION.to_owned(),
                response_nonce: nonce.to_owned(),
                error_detail: is_refused.then(sloop_xds::Status::default),
                ..DeltaDiscoveryRequest::default()
            };
            talk.take(request, MANNER, &hub).unwrap();
            talk.speak(true, &to_client);
        };
        answers(&mut talk, "1", true);
        publish([b"worse", b"1"]);
        talk.was_moved();
        talk.speak(true, &to_client);
        answers(&mut talk, "2", true);
        answers(&mut talk, "3", false);
        assert!(is_refusing(&hub), "a is not in force");
        publish([b"good", b"1"]);
        talk.was_moved();
        talk.speak(true, &to_client);
        answers(&mut talk, "4", false);
        assert!(!is_refusing(&hub));
        assert!(hub.nodes()[0].standing.has().is_some());
    }
}
