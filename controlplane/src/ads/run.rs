//! One stream, from its first request to its end.

use sloop_xds::{LegacyWildcard, Node, Response, Stream, StreamLimits, Violation};
use tokio::sync::{mpsc, watch};
use tonic::{Status, Streaming};

use super::allowance::Allowance;
use super::hub::{Connection, Hub};
use super::place::Place;

type ToClient = mpsc::Sender<Result<Response, Status>>;

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
    mut requests: Streaming<S::Request>,
    to_client: &ToClient,
) -> Result<(), Status> {
    let Some(first) = requests.message().await? else {
        return Ok(());
    };
    let node = S::node(&first)
        .ok_or_else(|| Status::invalid_argument("node is missing in the first request"))?;
    let mut place = connection.introduce(node)?;
    let mut stream = (manner.begin)(hub.limits().stream, legacy_wildcard(node));
    let mut gate = hub.gate();
    let mut access = hub.access();
    let limits = hub.limits();
    let mut allowance =
        Allowance::new(limits.requests_burst, limits.requests_per_second, hub.now());
    take(&mut stream, first, manner, connection)?;
    connection.placed(&place);
    // Whether a response may be due. Checked when the connection has room for one.
    let mut may_owe = true;
    loop {
        tokio::select! {
            request = requests.message() => {
                let Some(request) = request? else { return Ok(()) };
                if !allowance.take(hub.now()) {
                    return Err(Status::resource_exhausted("too many requests"));
                }
                take(&mut stream, request, manner, connection)?;
                may_owe = true;
            }
            () = place.changed() => {
                connection.placed(&place);
                may_owe = true;
            }
            Ok(()) = gate.changed() => may_owe = true,
            Ok(()) = access.changed() => connection.check(place.service())?,
            room = to_client.reserve(), if may_owe => {
                let Ok(room) = room else { return Ok(()) };
                match due(&mut stream, &place, &gate) {
                    Some(response) => {
                        connection.sent(&response.sent);
                        room.send(Ok(response));
                    }
                    None => {
                        may_owe = false;
                        if let Some(snapshot) = place.snapshot() {
                            connection.stands(&snapshot, stream.is_in_force(&snapshot));
                        }
                    }
                }
            }
        }
    }
}

fn take<S: Stream>(
    stream: &mut S,
    request: S::Request,
    manner: Manner<S>,
    connection: &Connection,
) -> Result<(), Status> {
    let request = match manner.only {
        Some(only) => S::confined(request, only).map_err(refuse)?,
        None => request,
    };
    if let Some(verdict) = stream.take(request).map_err(refuse)? {
        connection.settled(verdict);
    }
    Ok(())
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

fn refuse(violation: Violation) -> Status {
    let text = violation.to_string();
    match violation {
        Violation::TypeUrlMissing | Violation::OtherType { .. } => Status::invalid_argument(text),
        Violation::TooManyTypes { .. }
        | Violation::TooManyNames { .. }
        | Violation::NameTooLong { .. } => Status::resource_exhausted(text),
    }
}
