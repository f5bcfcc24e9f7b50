//! The answer to a probe begins.
//!
//! A session, a WebSocket or a stream of gRPC or of events, ends when its client likes. A breaker that waited for that would
//! refuse all others for as long, although the service has answered. So of such a probe the first part of the answer is judged,
//! by what is known by then, unless its status is an error; and then no more. What takes too long or breaks an objective by
//! then will not be good when it ends. Any other answer may begin well and hang or break off: its end decides.

use sloop_model::{Ended, Flags, Outcome, OwnVerdict, Side, Time};

use super::Plane;
use super::end::{Seen, prove};
use super::exchange::{Exchange, ExchangeState};
use crate::span::Reasons;

impl Plane {
    /// Whether there are probes of whose answers nothing was heard: else no answer need be looked for.
    #[must_use]
    #[inline]
    pub const fn has_probes(&self) -> bool {
        self.probes != 0
    }

    /// Learns that a part of the answer to `exchange`, which [`ExchangeState::is_probe`], came at `now`, with this status. It
    /// `begins` with these bytes, at least [`STREAM_WORD_MAX`] if it has so many, and more follows.
    #[cold]
    pub fn hear_probe(
        &mut self,
        exchange: &mut Exchange,
        (status, begins): (u16, &[u8]),
        now: Time,
    ) {
        let is_first = !begins.is_empty() && !core::mem::replace(&mut exchange.was_heard, true);
        let outcome = match status {
            101 => Outcome::Upgraded,
            ..400 if exchange.is_grpc || (is_first && is_stream(begins)) => Outcome::Success,
            // Its end may say more.
            _ => return,
        };
        // What a fault touches takes as long as that wants.
        if exchange.fault.is_some() {
            return;
        }
        let ended = Ended {
            verdict: OwnVerdict::Passed,
            status: Some(status),
            flags: Flags::default(),
            grpc: exchange.is_grpc.then_some(0),
        };
        let state = match exchange.side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        };
        let Some(entry) = state.entry(exchange.scope) else {
            return;
        };
        let seen = Seen {
            ended: &ended,
            outcome,
            own: now.since(exchange.began),
            now,
        };
        prove(entry, exchange, &seen, &mut self.probes);
        // The others are told although no other request may come.
        self.has_planned |= self.sharing.has_news(now);
        if entry.guard.has_changed() {
            self.has_planned |= entry.changed(&mut self.outbox, now);
        }
    }
}

/// Whether the body of an answer begins as a stream of events does (HTML, "Server-sent events"): by a field, or a comment.
/// Many who stream do not ask for it by `accept`, and many who accept it are answered in JSON, which cannot begin so.
fn is_stream(begins: &[u8]) -> bool {
    let fields: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];
    fields.iter().any(|field| begins.starts_with(field))
}

/// As many bytes of a body tell whether it is a stream of events.
pub const STREAM_WORD_MAX: usize = 6;

impl ExchangeState {
    /// Whether it finds out for a breaker how the service is, which does not know yet.
    #[must_use]
    #[inline]
    pub const fn is_probe(&self) -> bool {
        self.ticket.is_some() && self.reasons.includes(Reasons::BREAKER)
    }
}
