//! One stream, from its first request to its end.

use std::pin::pin;

use sloop_xds::{LegacyWildcard, Node, Stream, StreamLimits, Violation};
use tonic::{Code, Status};

use super::allowance::Allowance;
use super::bells::rings;
use super::grpc::{Requests, ToClient};
use super::heartbeats::Heartbeats;
use super::hub::{Connection, Hub};
use super::talk::Talk;
use super::unanswered::Patience;
use crate::door::Limit;
use crate::ingest::Data;

/// What kind of stream it is.
#[derive(Debug)]
pub(super) struct Manner<S> {
    /// Begins its state, once it is known who is on it.
    pub(super) begin: fn(StreamLimits, LegacyWildcard) -> S,
    /// The one type that it carries; any when absent.
    pub(super) only: Option<&'static str>,
}

impl<S> Clone for Manner<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Manner<S> {}

/// Serves a stream until the client ends it, breaks a rule or is gone.
pub(super) async fn run<S: Stream, B: Data>(
    hub: &Hub,
    connection: &Connection,
    manner: Manner<S>,
    mut requests: Requests<S::Request, B>,
    to_client: &ToClient,
) -> Result<(), Status> {
    let limits = hub.limits();
    let Some(first) = first(hub, &mut requests).await? else {
        return Ok(());
    };
    let node = S::node(&first)
        .ok_or_else(|| Status::invalid_argument("node is missing in the first request"))?;
    // Before anything is checked by what may change: no change is missed.
    let common = hub.common();
    let mut is_open = hub.is_open();
    let place = connection.introduce(node)?;
    let mut common = pin!(rings(common));
    let mut offers = pin!(rings(place.offers()));
    let stream = (manner.begin)(hub.limits().stream, legacy_wildcard(node));
    let mut allowance =
        Allowance::new(limits.requests_burst, limits.requests_per_second, hub.now());
    let mut talk = Talk::begin(connection, place, stream);
    talk.take(first, manner, hub)?;
    let mut heartbeats = Heartbeats::default();
    let mut patience = Patience::of(limits.stall_max);
    loop {
        talk.speak(is_open, to_client);
        let every = talk.heartbeat_every();
        tokio::select! {
            request = receive(hub, &mut requests) => {
                let Some(request) = request? else { return Ok(()) };
                if !allowance.take(hub.now()) {
                    return Err(hub.hit(Limit::Requests, "too many requests"));
                }
                talk.take(request, manner, hub)?;
            }
            bell = &mut offers => {
                talk.was_moved();
                offers.set(rings(bell));
            }
            bell = &mut common => {
                is_open = hub.is_open();
                connection.check(talk.place.service())?;
                if let Some(others) = talk.place.find() {
                    offers.set(rings(others));
                }
                talk.was_moved();
                common.set(rings(bell));
            }
            () = heartbeats.due(every) => talk.beat(),
            room = to_client.room(), if talk.may_owe => if room.is_err() { return Ok(()) },
            () = patience.ends(&talk.unanswered) => {
                connection.end();
                return Err(hub.hit(Limit::Stall, "a response is not answered"));
            }
        }
    }
}

/// The first request, which does not take for ever.
async fn first<R: prost::Message + Default, B: Data>(
    hub: &Hub,
    requests: &mut Requests<R, B>,
) -> Result<Option<R>, Status> {
    let first = tokio::time::timeout(hub.limits().stall_max, receive(hub, requests));
    first
        .await
        .map_err(|_elapsed| hub.hit(Limit::Stall, "nothing is asked"))?
}

fn legacy_wildcard(node: &Node) -> LegacyWildcard {
    if node.user_agent_name.starts_with("gRPC") {
        LegacyWildcard::Off
    } else {
        LegacyWildcard::Honoured
    }
}

pub(super) fn refuse(hub: &Hub, violation: &Violation) -> Status {
    let text = violation.to_string();
    match violation {
        Violation::TypeUrlMissing | Violation::OtherType { .. } => Status::invalid_argument(text),
        Violation::TooManyTypes { .. } => hub.hit(Limit::Types, text),
        Violation::TooManyNames { .. } => hub.hit(Limit::Names, text),
        Violation::NameTooLong { .. } => hub.hit(Limit::NameBytes, text),
    }
}

/// The next request, if there is one.
async fn receive<R: prost::Message + Default, B: Data>(
    hub: &Hub,
    requests: &mut Requests<R, B>,
) -> Result<Option<R>, Status> {
    requests.message().await.map_err(|status| {
        // What is said of a message with too many bytes.
        if status.code() == Code::OutOfRange {
            return hub.hit(Limit::RequestBytes, status.message());
        }
        status
    })
}
