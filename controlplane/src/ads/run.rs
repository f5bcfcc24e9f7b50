//! One stream, from its first request to its end.

use sloop_xds::{LegacyWildcard, Node, Response, Stream, StreamLimits, Verdict, Violation};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::allowance::Allowance;
use super::grpc::{Requests, ToClient};
use super::heartbeats::Heartbeats;
use super::hub::{Connection, Hub};
use super::limits::AdsLimits;
use super::place::Place;
use super::unanswered::Unanswered;
use crate::door::Limit;

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
pub(super) async fn run<S: Stream>(
    hub: &Hub,
    connection: &Connection,
    manner: Manner<S>,
    mut requests: Requests<S::Request>,
    to_client: &ToClient,
) -> Result<(), Status> {
    let limits = hub.limits();
    let Some(first) = first(hub, &mut requests).await? else {
        return Ok(());
    };
    let node = S::node(&first)
        .ok_or_else(|| Status::invalid_argument("node is missing in the first request"))?;
    // Before anything is checked by it: no change is missed.
    let mut access = hub.access();
    let mut place = connection.introduce(node)?;
    let mut stream = (manner.begin)(hub.limits().stream, legacy_wildcard(node));
    let mut gate = hub.gate();
    let mut allowance =
        Allowance::new(limits.requests_burst, limits.requests_per_second, hub.now());
    take(&mut stream, first, manner, (hub, connection))?;
    connection.placed(&place);
    let mut unanswered = Unanswered::default();
    let mut heartbeats = Heartbeats::default();
    // Whether a response may be due. Checked when the connection has room for one.
    let mut may_owe = true;
    loop {
        let every = place.heartbeat_every();
        tokio::select! {
            request = receive(hub, &mut requests) => {
                let Some(request) = request? else { return Ok(()) };
                if !allowance.take(hub.now()) {
                    return Err(hub.hit(Limit::Requests, "too many requests"));
                }
                if let Some(type_url) = take(&mut stream, request, manner, (hub, connection))? {
                    unanswered.answered(&type_url);
                }
                may_owe = true;
            }
            () = place.changed() => {
                connection.placed(&place);
                may_owe = true;
            }
            Ok(()) = gate.changed() => may_owe = true,
            () = heartbeats.due(every) => {
                stream.beat();
                may_owe = true;
            }
            Ok(()) = access.changed() => connection.check(place.service())?,
            room = to_client.reserve(), if may_owe => {
                let Ok(room) = room else { return Ok(()) };
                match due(&mut stream, &place, &gate) {
                    Some(response) => {
                        if !response.sent.is_heartbeat {
                            connection.sent(&response.sent);
                        }
                        unanswered.sent(&response.sent.type_url, Instant::now());
                        room.send(Ok(Box::new(response)));
                    }
                    None => {
                        may_owe = false;
                        if let Some(snapshot) = place.snapshot() {
                            connection.stands(&snapshot, stream.is_in_force(&snapshot));
                        }
                    }
                }
            }
            () = stalled(&unanswered, limits) => {
                connection.end();
                return Err(hub.hit(Limit::Stall, "a response is not answered"));
            }
        }
    }
}

/// The first request, which does not take for ever.
async fn first<R: prost::Message + Default>(
    hub: &Hub,
    requests: &mut Requests<R>,
) -> Result<Option<R>, Status> {
    let first = tokio::time::timeout(hub.limits().stall_max, receive(hub, requests));
    first
        .await
        .map_err(|_elapsed| hub.hit(Limit::Stall, "nothing is asked"))?
}

/// Takes a request. The answer is the type of what it accepted or refused, if it did.
fn take<S: Stream>(
    stream: &mut S,
    request: S::Request,
    manner: Manner<S>,
    (hub, connection): (&Hub, &Connection),
) -> Result<Option<String>, Status> {
    let refuse = |violation| refuse(hub, &violation);
    let request = match manner.only {
        Some(only) => S::confined(request, only).map_err(refuse)?,
        None => request,
    };
    let Some(verdict) = stream.take(request).map_err(refuse)? else {
        return Ok(None);
    };
    let (Verdict::Acknowledged(sent) | Verdict::Refused { sent, .. }) = &verdict;
    let type_url = sent.type_url.clone();
    // That a client took what it had already says nothing of pushes.
    let is_of_heartbeat = matches!(&verdict, Verdict::Acknowledged(sent) if sent.is_heartbeat);
    if !is_of_heartbeat {
        connection.settled(verdict);
    }
    Ok(Some(type_url))
}

/// Waits until the client has owed an answer for too long.
async fn stalled(unanswered: &Unanswered, limits: &AdsLimits) {
    match unanswered.oldest() {
        Some(since) => tokio::time::sleep_until(since + limits.stall_max).await,
        None => std::future::pending().await,
    }
}

fn due<S: Stream>(stream: &mut S, place: &Place, gate: &watch::Receiver<bool>) -> Option<Response> {
    if !*gate.borrow() {
        return None;
    }
    stream.next(&*place.snapshot()?)
}

fn legacy_wildcard(node: &Node) -> LegacyWildcard {
    if node.user_agent_name.starts_with("gRPC") {
        LegacyWildcard::Off
    } else {
        LegacyWildcard::Honoured
    }
}

fn refuse(hub: &Hub, violation: &Violation) -> Status {
    let text = violation.to_string();
    match violation {
        Violation::TypeUrlMissing | Violation::OtherType { .. } => Status::invalid_argument(text),
        Violation::TooManyTypes { .. } => hub.hit(Limit::Types, text),
        Violation::TooManyNames { .. } => hub.hit(Limit::Names, text),
        Violation::NameTooLong { .. } => hub.hit(Limit::NameBytes, text),
    }
}

/// The next request, if there is one.
async fn receive<R: prost::Message + Default>(
    hub: &Hub,
    requests: &mut Requests<R>,
) -> Result<Option<R>, Status> {
    requests.message().await.map_err(|status| {
        // What is said of a message with too many bytes.
        if status.code() == Code::OutOfRange {
            return hub.hit(Limit::RequestBytes, status.message());
        }
        status
    })
}
