//! W3C Trace Context: continue a trace, or start one.
//!
//! Rules: <https://www.w3.org/TR/trace-context-2/#traceparent-header>. What
//! cannot be read starts a trace of its own, and what came with it is not
//! carried on. Version 00 is written whatever came in, as the specification
//! asks of those who know no later one.

use super::{b3, hex};
use crate::headers::Request;
use crate::random::Random;

/// Names a trace. Never all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId {
    /// The first 16 hexadecimal digits.
    pub high: u64,
    /// The last 16 hexadecimal digits.
    pub low: u64,
}

/// What a request said about its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// Nothing.
    Absent,
    /// One `traceparent`.
    Once(&'a [u8]),
    /// Several, of which none can be trusted.
    Repeated,
}

/// The span that a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its trace.
    pub trace: TraceId,
    /// The span. Never zero.
    pub span: u64,
    /// [`SAMPLED`](Self::SAMPLED) and [`RANDOM`](Self::RANDOM), as far as they were set.
    pub flags: u8,
}

/// A request's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    id: TraceId,
    span: u64,
    /// Zero where the trace began.
    parent: u64,
    flags: u8,
}

/// `00-` trace id `-` span id `-` flags.
pub(super) const TRACEPARENT_BYTES: usize = 55;

impl Parent {
    /// The caller may have recorded it. Set on traces that begin here, so that nobody behind is switched off.
    pub const SAMPLED: u8 = 1;
    /// The low 56 bits of the trace id are random (level 2). Ours are.
    pub const RANDOM: u8 = 2;

    /// That of a trace of which the ids are not known.
    pub const UNKNOWN: Self = Self {
        trace: TraceId { high: 0, low: 0 },
        span: 0,
        flags: 0,
    };

    /// Reads a `traceparent`.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = match value.len() {
            TRACEPARENT_BYTES => value,
            _ => trimmed(value),
        };
        let (known, rest) = value.split_first_chunk::<TRACEPARENT_BYTES>()?;
        let version = match known {
            [b'0', b'0', ..] => 0,
            [high, low, ..] => hex::pair([*high, *low])?,
        };
        let may_go_on = version != 0 && rest.first() == Some(&b'-');
        let is_dashed = (known[2] ^ b'-') | (known[35] ^ b'-') | (known[52] ^ b'-') == 0;
        if !is_dashed || version == 0xff || !(rest.is_empty() || may_go_on) {
            return None;
        }
        let (high, low, span) = (long::<3>(known), long::<19>(known), long::<36>(known));
        if (high.1 | low.1 | span.1) & hex::WRONG != 0 {
            return None;
        }
        let flags = match [known[53], known[54]] {
            [b'0', flags @ b'0'..=b'3'] => flags - b'0',
            digits => hex::pair(digits)?,
        };
        Self {
            trace: TraceId {
                high: high.0,
                low: low.0,
            },
            span: span.0,
            // "Vendors MUST set those to zero": flags that level 2 does not define.
            flags: flags & (Self::SAMPLED | Self::RANDOM),
        }
        .checked()
    }

    /// This, unless an id is all zeros.
    pub(super) fn checked(self) -> Option<Self> {
        let is_valid = (self.trace.high | self.trace.low) != 0 && self.span != 0;
        is_valid.then_some(self)
    }
}

impl TraceContext {
    /// That of a request that was not read yet.
    pub(super) const UNREAD: Self = Self {
        id: TraceId { high: 0, low: 0 },
        span: 0,
        parent: 0,
        flags: 0,
    };

    /// The place of a request that came with `incoming`, as a new span.
    #[must_use]
    pub fn continue_or_start(incoming: Incoming<'_>, random: &mut Random) -> Self {
        Self::below_known(parent_of(incoming).unwrap_or(Parent::UNKNOWN), random)
    }

    /// A new span below `parent`, or a trace of its own where that is not known.
    pub(super) const fn below_known(parent: Parent, random: &mut Random) -> Self {
        match parent.span {
            0 => Self::start(Parent::SAMPLED, random),
            _ => Self::below(parent, random),
        }
    }

    /// The place of `request`, as a new span: below its `traceparent`, else below its B3 headers.
    #[must_use]
    pub fn of(request: &Request<'_>, random: &mut Random) -> Self {
        match request.traceparent {
            Incoming::Absent if request.has_b3 => b3::read(request).context(random),
            incoming @ (Incoming::Absent | Incoming::Once(_) | Incoming::Repeated) => {
                Self::continue_or_start(incoming, random)
            }
        }
    }

    /// A new span below `parent`.
    #[must_use]
    #[inline]
    pub const fn below(parent: Parent, random: &mut Random) -> Self {
        Self {
            id: parent.trace,
            span: random.word_not_zero(),
            parent: parent.span,
            flags: parent.flags,
        }
    }

    /// A trace of its own, sampled if `sampled` is [`Parent::SAMPLED`] and not if it is zero.
    #[inline]
    pub(super) const fn start(sampled: u8, random: &mut Random) -> Self {
        let span = random.word_not_zero();
        Self {
            id: TraceId {
                high: random.word(),
                low: random.word_not_zero(),
            },
            span,
            parent: 0,
            flags: sampled | Parent::RANDOM,
        }
    }

    /// The trace.
    #[must_use]
    pub const fn id(&self) -> TraceId {
        self.id
    }

    /// The span that the filter makes of the request; what is sent on names it. Never zero.
    #[must_use]
    pub const fn span(&self) -> u64 {
        self.span
    }

    /// The span that the request came from. None where the trace began.
    #[must_use]
    pub const fn parent(&self) -> Option<u64> {
        match self.parent {
            0 => None,
            parent => Some(parent),
        }
    }

    /// The flags that are sent on.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// Says to those behind whether it is recorded. Only where the trace begins: else it is the caller's word.
    pub const fn set_sampled(&mut self, is_sampled: bool) {
        self.flags = if is_sampled {
            self.flags | Parent::SAMPLED
        } else {
            self.flags & !Parent::SAMPLED
        };
    }

    /// Whether the caller may have recorded it.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & Parent::SAMPLED != 0
    }

    /// Whether the low 56 bits of the trace id are known to be random.
    #[must_use]
    pub const fn is_random(&self) -> bool {
        self.flags & Parent::RANDOM != 0
    }

    /// Whether the trace began here.
    #[must_use]
    pub const fn is_origin(&self) -> bool {
        self.parent == 0
    }

    /// What a request that this one causes says about where it came from.
    #[must_use]
    pub const fn as_parent(&self) -> Parent {
        Parent {
            trace: self.id,
            span: self.span,
            flags: self.flags,
        }
    }

    /// The value for `traceparent` to the service, and for `traceresponse` to the caller.
    #[must_use]
    pub fn header(&self) -> [u8; TRACEPARENT_BYTES] {
        let mut header = *b"00-0123456789abcdef0123456789abcdef-0123456789abcdef-00";
        let [a, b] = hex::digits_long(self.id.high);
        let [c, d] = hex::digits_long(self.id.low);
        let [e, f] = hex::digits_long(self.span);
        put::<3>(&mut header, a);
        put::<11>(&mut header, b);
        put::<19>(&mut header, c);
        put::<27>(&mut header, d);
        put::<36>(&mut header, e);
        put::<44>(&mut header, f);
        header[54] = b'0' + self.flags;
        header
    }

    /// As [`Self::header`], where `parent` is what the request came with: its trace is copied in place of being
    /// written again.
    pub(super) fn header_below(&self, parent: &[u8; TRACEPARENT_BYTES]) -> [u8; TRACEPARENT_BYTES] {
        let mut header = *parent;
        [header[0], header[1]] = *b"00";
        let [high, low] = hex::digits_long(self.span);
        put::<36>(&mut header, high);
        put::<44>(&mut header, low);
        [header[53], header[54]] = [b'0', b'0' + self.flags];
        header
    }
}

/// The sixteen digits from `FROM` on, as [`hex::decoded_long`] reads them.
#[inline(always)]
fn long<const FROM: usize>(known: &[u8; TRACEPARENT_BYTES]) -> (u64, u64) {
    let digits = known.get(FROM..).and_then(<[u8]>::first_chunk);
    digits.map_or((0, hex::WRONG), hex::decoded_long)
}

/// Writes eight digits, from `AT` on.
#[inline(always)]
fn put<const AT: usize>(header: &mut [u8; TRACEPARENT_BYTES], digits: [u8; 8]) {
    if let Some(place) = header.get_mut(AT..).and_then(<[u8]>::first_chunk_mut) {
        *place = digits;
    }
}

/// What `incoming` can be trusted to say.
pub(super) fn parent_of(incoming: Incoming<'_>) -> Option<Parent> {
    match incoming {
        Incoming::Once(value) => Parent::parse(value),
        Incoming::Absent | Incoming::Repeated => None,
    }
}

/// `text` without the optional whitespace (OWS of RFC 9110) around it.
pub(super) const fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
