//! B3 (Zipkin): read where there is no `traceparent`, written where asked for.
//!
//! Rules: <https://github.com/openzipkin/b3-propagation>. `b3` is looked at
//! before `x-b3-*`; of repeated headers the first counts. Ids of 64 bits are
//! padded with zeros on the left. A sampling decision without ids is heeded by
//! the trace that begins here. The filter's span is a new one below the
//! caller's; it does not share the caller's span id, as Zipkin's servers may.

use sloop_model::B3Output;

use super::hex;
use super::traceparent::{Parent, TraceContext, TraceId, trimmed};
use crate::headers::Request;
use crate::random::Random;

/// What B3 headers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct B3 {
    ids: Option<(TraceId, u64)>,
    sampling: Option<Sampling>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sampling {
    Deny,
    Accept,
    /// Accept, and keep whatever others decide.
    Debug,
}

impl B3 {
    /// The place in a trace that follows from it.
    pub(super) fn context(self, random: &mut Random) -> TraceContext {
        let flags = match self.sampling {
            Some(Sampling::Deny) => 0,
            // Undecided is left to those behind, who must not be switched off.
            None | Some(Sampling::Accept | Sampling::Debug) => Parent::SAMPLED,
        };
        match self.ids {
            Some((trace, span)) => TraceContext::below(Parent { trace, span, flags }, random),
            None => TraceContext::start(flags, random),
        }
    }

    /// Whether the caller decided if it is recorded, wherever it begins.
    pub(super) const fn is_decided(self) -> bool {
        self.sampling.is_some()
    }

    /// Whether somebody debugs this very trace.
    pub(super) fn is_debug(self) -> bool {
        self.sampling == Some(Sampling::Debug)
    }
}

/// Reads the B3 headers of `request`.
#[inline(never)]
pub(super) fn read(request: &Request<'_>) -> B3 {
    let mut single = None;
    let mut multi = Multi::default();
    for (name, value) in request.headers.iter() {
        let place = match name {
            b"b3" => &mut single,
            b"x-b3-traceid" => &mut multi.trace,
            b"x-b3-spanid" => &mut multi.span,
            b"x-b3-sampled" => &mut multi.sampled,
            b"x-b3-flags" => &mut multi.flags,
            _ => continue,
        };
        if place.is_none() {
            *place = Some(trimmed(value));
        }
    }
    single
        .and_then(parse_single)
        .unwrap_or_else(|| parse_multi(multi))
}

/// The values of `x-b3-*`.
#[derive(Clone, Copy, Default)]
struct Multi<'a> {
    trace: Option<&'a [u8]>,
    span: Option<&'a [u8]>,
    sampled: Option<&'a [u8]>,
    flags: Option<&'a [u8]>,
}

fn parse_single(value: &[u8]) -> Option<B3> {
    if let [sampling] = value {
        return Some(B3 {
            ids: None,
            sampling: Some(sampling_of(*sampling)?),
        });
    }
    let mut parts = value.split(|byte| *byte == b'-');
    let ids = ids(parts.next()?, parts.next()?)?;
    let sampling = match parts.next() {
        None => None,
        Some([sampling]) => Some(sampling_of(*sampling)?),
        Some(_) => return None,
    };
    let parent_is_valid = parts
        .next()
        .is_none_or(|id| id.len() == 16 && long(id).is_some());
    (parent_is_valid && parts.next().is_none()).then_some(B3 {
        ids: Some(ids),
        sampling,
    })
}

fn parse_multi(multi: Multi<'_>) -> B3 {
    let sampling = match (multi.flags, multi.sampled) {
        (Some(b"1"), _) => Some(Sampling::Debug),
        (_, Some(b"1" | b"true")) => Some(Sampling::Accept),
        (_, Some(b"0" | b"false")) => Some(Sampling::Deny),
        (_, Some(_) | None) => None,
    };
    B3 {
        ids: ids(
            multi.trace.unwrap_or_default(),
            multi.span.unwrap_or_default(),
        ),
        sampling,
    }
}

const fn sampling_of(letter: u8) -> Option<Sampling> {
    match letter {
        b'0' => Some(Sampling::Deny),
        b'1' => Some(Sampling::Accept),
        b'd' => Some(Sampling::Debug),
        _ => None,
    }
}

/// Trace and span, neither of them zero.
fn ids(trace: &[u8], span: &[u8]) -> Option<(TraceId, u64)> {
    let trace = match trace.len() {
        16 => TraceId {
            high: 0,
            low: long(trace)?,
        },
        32 => TraceId {
            high: long(trace)?,
            low: long(trace.get(16..)?)?,
        },
        _ => return None,
    };
    let span = if span.len() == 16 { long(span)? } else { 0 };
    let parent = Parent {
        trace,
        span,
        flags: 0,
    };
    parent.checked().map(|parent| (parent.trace, parent.span))
}

/// The number in the first sixteen digits.
fn long(digits: &[u8]) -> Option<u64> {
    hex::number_long(digits.first_chunk()?)
}

/// What writing of B3 headers needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct B3Writing {
    pub(super) format: B3Output,
    pub(super) is_debug: bool,
    /// Whether the request came with B3 headers, which must not contradict ours.
    pub(super) replaces: bool,
}

/// Calls `put` with each header to be written, or removed if there is no value.
pub(super) fn write(
    context: &TraceContext,
    writing: B3Writing,
    mut put: impl FnMut(&'static str, Option<&[u8]>),
) {
    let id = context.id();
    let [a, b] = hex::digits_long(id.high);
    let [c, d] = hex::digits_long(id.low);
    let [e, f] = hex::digits_long(context.span());
    let sampling = match (writing.is_debug, context.is_sampled()) {
        (true, _) => b'd',
        (false, true) => b'1',
        (false, false) => b'0',
    };
    match writing.format {
        B3Output::None => {}
        B3Output::Single => {
            let mut value = *b"0123456789abcdef0123456789abcdef-0123456789abcdef-0";
            for (at, digits) in [(0, a), (8, b), (16, c), (24, d), (33, e), (41, f)] {
                let place = value.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
                if let Some(place) = place {
                    *place = digits;
                }
            }
            value[50] = sampling;
            put("b3", Some(&value));
        }
        B3Output::Multi => {
            put("x-b3-traceid", Some([a, b, c, d].as_flattened()));
            put("x-b3-spanid", Some([e, f].as_flattened()));
            if let Some(parent) = context.parent() {
                let parent = hex::digits_long(parent);
                put("x-b3-parentspanid", Some(parent.as_flattened()));
            } else if writing.replaces {
                put("x-b3-parentspanid", None);
            }
            // Debug implies accept, so only one of the two is sent.
            if writing.is_debug {
                put("x-b3-flags", Some(b"1"));
            } else {
                put("x-b3-sampled", Some(&[sampling]));
            }
            if writing.replaces {
                // It would be read before the others.
                put("b3", None);
                let other = if writing.is_debug {
                    "x-b3-sampled"
                } else {
                    "x-b3-flags"
                };
                put(other, None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
