//! Answers that went through whole, of which Envoy's flags need not be read.
//!
//! To read the flags is among the dearest things that a request can ask for: the host enters the VM once more to
//! return them. For most answers they say nothing. They are read unless all of this holds:
//!
//! - the end of the answer, its last part or its trailers, went by ([`Whole`]), so nobody broke it off before;
//! - it was logged at once. Later than [`SOON`], the rest was still on its way to the client, which may have gone
//!   away meanwhile (an HTTP/2 stream that is reset), or the request had not ended;
//! - its status is below 400. Envoy's own answers to a timeout, a broken connection or a missing route end like those of
//!   a service, but have the statuses of errors;
//! - no objective of its scope selects requests by flags.
//!
//! What this cannot see: an operator may let Envoy answer its own errors with statuses below 400 (`local_reply_config`).
//! They then count as what the client was told, unless an objective selects by flags.

use core::time::Duration;

use sloop_model::Time;

use super::exchange::Exchange;

/// The log follows in the same turn of Envoy's loop, within some ten microseconds; where the worker was interrupted, flags
/// are read, which harms nobody. A client needs a round trip to go away after the last byte.
const SOON: Duration = Duration::from_micros(100);

/// Statuses from here on may be Envoy's own.
const ERRORS: u16 = 400;

/// The answer that last went through whole. One is enough to remember: the log of most follows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    context: u32,
    at: Time,
}

impl Whole {
    /// That to the request of this number at the host, which ended at `at`.
    #[must_use]
    pub const fn new(context: u32, at: Time) -> Self {
        Self { context, at }
    }

    /// Whether it is the answer to `context`, which is logged at `now`, and nobody waited for anything since.
    #[must_use]
    pub fn includes(self, context: u32, now: Time) -> bool {
        self.context == context && self.at <= now && now.since(self.at) <= SOON
    }
}

impl Exchange {
    /// Whether Envoy's flags can say anything about an answer of this status that went through [`Whole`].
    #[must_use]
    pub fn needs_flags(&self, status: Option<u16>) -> bool {
        self.policy.asks_flags || status.is_none_or(|status| ERRORS <= status)
    }
}
