//! One request and its answer, as Envoy sees them: what a filter may read when.

use super::abi::{Headers, Map, Status};
use super::way::{Half, Stop, Way};
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
    pub(super) request: Request,
    pub(super) response: Response,
    pub(super) reply: Option<Reply>,
    request_way: Way,
    response_way: Way,
    sent: u32,
    /// Whether the service's response came.
    pub(super) is_responding: bool,
    answered: u32,
    closed: bool,
    misuse: Vec<&'static str>,
}

impl Stream {
    pub(super) fn new(root: u32, request: Request) -> Self {
        Self {
            root,
            created: false,
            phase: Phase::Between,
            request,
            response: Response::none(),
            reply: None,
            request_way: Way::default(),
            response_way: Way::default(),
            sent: 0,
            is_responding: false,
            answered: 0,
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

    /// How often the client was sent headers of a response.
    #[must_use]
    pub const fn times_answered(&self) -> u32 {
        self.answered
    }

    /// Whether the filter holds the request back.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.request_way.stop.is_some()
    }

    /// Whether the filter holds the response back.
    #[must_use]
    pub const fn is_response_paused(&self) -> bool {
        self.response_way.stop.is_some()
    }

    /// What went on of a body.
    #[must_use]
    pub fn passed(&self, half: Half) -> &[u8] {
        match half {
            Half::Request => self.request_way.passed(),
            Half::Response => self.response_way.passed(),
        }
    }

    /// Whether all of a half went on, its end included.
    #[must_use]
    pub const fn is_over(&self, half: Half) -> bool {
        match half {
            Half::Request => self.request_way.is_over,
            Half::Response => self.response_way.is_over,
        }
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

    pub(super) const fn way(&mut self, half: Half) -> &mut Way {
        match half {
            Half::Request => &mut self.request_way,
            Half::Response => &mut self.response_way,
        }
    }

    pub(super) fn misused(&mut self, how: &'static str) {
        self.misuse.push(how);
    }

    /// The headers of a half go on.
    pub(super) const fn send_headers(&mut self, half: Half) {
        self.phase = Phase::Between;
        match half {
            Half::Request => self.sent += 1,
            Half::Response => self.answered += 1,
        }
    }

    /// The filter stops a half at its headers.
    pub(super) const fn stop(&mut self, half: Half) {
        self.way(half).stop = Some(Stop::Headers);
    }

    /// The filter says that a half may go on. Whether it does.
    pub(super) fn resume(&mut self, half: Half) -> bool {
        let is_stopped = self.way(half).stop.is_some();
        if !is_stopped {
            self.misuse.push(match half {
                Half::Request => "resumed a request that was not paused",
                Half::Response => "resumed a response that was not paused",
            });
            if half == Half::Request {
                self.send_headers(half);
            }
        }
        is_stopped
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
        if self.answered != 0 {
            self.misuse.push("answered after the service");
        } else if self.sent != 0 && !self.is_responding {
            self.misuse
                .push("answered a request that went to the service");
        }
        headers.insert(
            0,
            (b":status".to_vec(), reply.status.to_string().into_bytes()),
        );
        self.response.headers = Some(headers);
        self.reply = Some(reply);
        self.request_way.stop = None;
        self.response_way.stop = None;
        self.phase = Phase::Between;
        if self.is_responding {
            // The filter is not shown what takes the place of a response that it saw.
            self.answered += 1;
        }
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
