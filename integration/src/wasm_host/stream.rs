//! One request and its answer, as Envoy sees them: what a filter may read when.

use super::abi::{Headers, Map, STREAM_REQUEST, STREAM_RESPONSE, Status};
use super::{Request, Response};

/// Names an exchange in its VM: the id of its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchange(pub(super) u32);

/// An answer that the filter gave in place of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u32,
    /// What access logs show as response code details.
    pub details: String,
    /// The body.
    pub body: Vec<u8>,
    /// gRPC status, or -1.
    pub grpc_status: i32,
}

/// Where the exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// In `on_request_headers`, or paused since.
    Request,
    /// In `on_response_headers`.
    Response,
    /// In `on_log`.
    Log,
    /// In none of these: no header map can be reached.
    Between,
}

/// One exchange.
#[derive(Clone, Debug)]
pub struct Stream {
    pub(super) root: u32,
    /// Whether the guest knows of it.
    pub(super) created: bool,
    pub(super) phase: Phase,
    pub(super) paused: bool,
    pub(super) request: Request,
    pub(super) response: Response,
    pub(super) reply: Option<Reply>,
    sent: u32,
    closed: bool,
    misuse: Vec<&'static str>,
}

impl Stream {
    pub(super) const fn new(root: u32, request: Request) -> Self {
        Self {
            root,
            created: false,
            phase: Phase::Between,
            paused: false,
            request,
            response: Response::none(),
            reply: None,
            sent: 0,
            closed: false,
            misuse: Vec::new(),
        }
    }

    /// The value that the service saw in the request header `name`, or would see; other than UTF-8 is shown as U+FFFD.
    #[must_use]
    pub fn sent(&self, name: &str) -> Option<String> {
        text(&self.request.headers, name)
    }

    /// The value that the client saw in the response header `name`.
    #[must_use]
    pub fn received(&self, name: &str) -> Option<String> {
        text(self.response.headers.as_ref()?, name)
    }

    /// Request headers, as the service sees them.
    #[must_use]
    pub const fn request_headers(&self) -> &Headers {
        &self.request.headers
    }

    /// How often the request went to the service: more than once is a disaster.
    #[must_use]
    pub const fn times_sent(&self) -> u32 {
        self.sent
    }

    /// Whether the filter holds the request back.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether the filter closed the stream without an answer.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// The filter's own answer, if it gave one.
    #[must_use]
    pub const fn reply(&self) -> Option<&Reply> {
        self.reply.as_ref()
    }

    /// Calls that harm a real Envoy. Always empty for a sound filter.
    #[must_use]
    pub fn misuse(&self) -> &[&'static str] {
        &self.misuse
    }

    /// The header map, if it can be reached in this phase.
    pub(super) const fn map(&self, map: Map) -> Option<&Headers> {
        match (map, self.phase) {
            (Map::Request, Phase::Request | Phase::Log) => Some(&self.request.headers),
            (Map::Response, Phase::Response | Phase::Log) => self.response.headers.as_ref(),
            (Map::Request, Phase::Response | Phase::Between)
            | (Map::Response, Phase::Request | Phase::Between) => None,
        }
    }

    /// The header map to write to. In `on_log` it is too late.
    pub(super) const fn map_mut(&mut self, map: Map) -> Option<&mut Headers> {
        match (map, self.phase) {
            (Map::Request, Phase::Request) => Some(&mut self.request.headers),
            (Map::Response, Phase::Response) => self.response.headers.as_mut(),
            (Map::Request | Map::Response, _) => None,
        }
    }

    /// The request goes on to the service.
    pub(super) const fn send(&mut self) {
        self.paused = false;
        self.phase = Phase::Between;
        self.sent += 1;
    }

    /// The filter says that the stream may go on.
    pub(super) fn resume(&mut self, way: u32) -> Status {
        if way == STREAM_RESPONSE {
            return Status::Ok;
        }
        if way != STREAM_REQUEST {
            return Status::BadArgument;
        }
        if !self.paused {
            self.misuse.push("resumed a request that was not paused");
        }
        self.send();
        Status::Ok
    }

    /// The filter closes the stream.
    pub(super) const fn close(&mut self) -> Status {
        self.closed = true;
        Status::Ok
    }

    /// The filter answers. Only the first answer counts.
    pub(super) fn answer(&mut self, reply: Reply, mut headers: Headers) {
        if self.reply.is_some() {
            self.misuse.push("answered twice");
            return;
        }
        if self.sent != 0 {
            self.misuse
                .push("answered a request that went to the service");
        }
        headers.insert(
            0,
            (b":status".to_vec(), reply.status.to_string().into_bytes()),
        );
        self.response.headers = Some(headers);
        self.reply = Some(reply);
        self.paused = false;
        self.phase = Phase::Between;
    }

    /// The HTTP status that the client was sent.
    pub(super) fn status(&self) -> Option<i64> {
        self.received(":status")?.parse().ok()
    }
}

fn text(headers: &Headers, name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(other, _)| other == name.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}
