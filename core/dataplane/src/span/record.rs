//! A span that waits to be sent, in little memory.

use sloop_model::{Outcome, OwnVerdict, whole_nanos};

use super::request::{self, Described};
use super::sampling::Threshold;
use super::{EndedSpan, Reasons, Seen};
use crate::context::TraceId;

/// What a span keeps of its texts, in bytes.
const METHOD_MAX: usize = 16;
const SCHEME_MAX: usize = 8;
/// The longest name of a host, 253, a colon and a port. A longer one is left out, since its beginning is another host.
const AUTHORITY_MAX: usize = 259;
const PATH_MAX: usize = 256;
const USER_AGENT_MAX: usize = 128;
/// What W3C Trace Context asks everyone to carry at least.
const TRACESTATE_MAX: usize = 512;

/// The texts of a span.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text {
    Service,
    Route,
    Method,
    Scheme,
    Authority,
    Path,
    UserAgent,
    Tracestate,
}

const TEXTS: usize = Text::Tracestate as usize + 1;

/// A span that waits to be sent. All its texts are UTF-8.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) trace: TraceId,
    pub(super) span: u64,
    /// Zero when it is the first of its trace.
    pub(super) parent: u64,
    /// Nanoseconds since the Unix epoch.
    pub(super) began: u64,
    pub(super) ended: u64,
    /// One behind the other.
    texts: Box<[u8]>,
    /// Where each of them ends.
    ends: [u16; TEXTS],
    pub(super) status: Option<u16>,
    pub(super) flags: u8,
    pub(super) is_grpc: bool,
    pub(super) grpc: Option<u8>,
    pub(super) outcome: Outcome,
    pub(super) verdict: OwnVerdict,
    pub(super) reasons: Reasons,
    pub(super) is_sampled: bool,
    /// Empty when it is not known.
    pub(super) http_version: &'static str,
}

impl Record {
    /// A span that stands for as many requests as `threshold` says.
    pub(super) fn new(
        span: &EndedSpan,
        seen: &Seen<'_>,
        is_sampled: bool,
        threshold: Option<Threshold>,
    ) -> Self {
        let described = Described::read(seen.headers);
        let tracestate = request::tracestate(&described.tracestate, threshold, TRACESTATE_MAX);
        let authority = Some(described.authority).filter(|name| name.len() <= AUTHORITY_MAX);
        let mut texts = Vec::with_capacity(256);
        let mut ends = [0; TEXTS];
        // In the order of `Text`.
        let parts: [(&[u8], usize); TEXTS] = [
            (seen.service.as_str().as_bytes(), usize::MAX),
            (seen.route.as_str().as_bytes(), usize::MAX),
            (described.method, METHOD_MAX),
            (described.scheme, SCHEME_MAX),
            (authority.unwrap_or_default(), AUTHORITY_MAX),
            (described.path, PATH_MAX),
            (described.user_agent, USER_AGENT_MAX),
            (&tracestate, TRACESTATE_MAX),
        ];
        for ((part, bytes_max), end) in parts.into_iter().zip(&mut ends) {
            request::push_text(&mut texts, part, bytes_max);
            *end = u16::try_from(texts.len()).unwrap_or(u16::MAX);
        }
        let lasted = span.ended.since(span.began);
        Self {
            trace: span.draft.trace,
            span: span.draft.span,
            parent: span.draft.parent,
            began: span.ended_unix_nanos.saturating_sub(whole_nanos(lasted)),
            ended: span.ended_unix_nanos,
            texts: texts.into_boxed_slice(),
            ends,
            status: span.status,
            flags: span.draft.flags,
            is_grpc: span.is_grpc,
            grpc: span.grpc,
            outcome: span.outcome,
            verdict: span.verdict,
            reasons: span.reasons,
            is_sampled,
            http_version: request::http_version(seen.protocol),
        }
    }

    /// One of its texts.
    pub(super) fn text(&self, which: Text) -> &[u8] {
        let at = which as usize;
        let end = |at: usize| self.ends.get(at).map_or(0, |end| usize::from(*end));
        let begin = at.checked_sub(1).map_or(0, end);
        self.texts.get(begin..end(at)).unwrap_or_default()
    }
}
