//! Answers that went through whole, of which Envoy's flags need not be read.
//!
//! To read the flags is among the dearest things that a request can ask for: the host enters the VM once more to
//! return them. For most answers they say nothing. They are read unless all of this holds:
//!
//! - the end of the answer, its last part or its trailers, went by ([`Heard`]), so nobody broke it off before;
//! - it was more than one part with everything in it. An operator may let Envoy answer its own errors with statuses below
//!   400 (`local_reply_config`), and Envoy's own answers are such a part, or have no body at all. A service's on HTTP/1 has an
//!   end of its own behind its last byte, so only short ones on HTTP/2 look like Envoy's;
//! - it was logged at once. Later than [`SOON`], the rest was still on its way to the client, which may have gone
//!   away meanwhile (an HTTP/2 stream that is reset), or the request had not ended;
//! - its status is below 400. Envoy's own answers to a timeout, a broken connection or a missing route have the statuses of
//!   errors, if nobody changes that;
//! - no objective of its scope selects requests by flags.

use core::time::Duration;

use sloop_model::Time;

use super::exchange::Exchange;

/// The log follows in the same turn of Envoy's loop, within some ten microseconds; where the worker was interrupted, flags
/// are read, which harms nobody. A client needs a round trip to go away after the last byte.
const SOON: Duration = Duration::from_micros(100);

/// Statuses from here on may be Envoy's own.
const ERRORS: u16 = 400;

/// What was heard of the answer that last moved. One is enough to remember: the log of most follows at once, and where
/// another one came between, flags are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The number of its request at the host; 0, which none has, before the first.
    context: u32,
    /// When its end went by, if that says that it is whole.
    whole_at: Option<Time>,
}

impl Heard {
    /// A part of the answer to the request `context` went by, and more follows.
    pub const fn goes_on(&mut self, context: u32) {
        *self = Self {
            context,
            whole_at: None,
        };
    }

    /// The end of the answer to `context` went by at `now`, with so many bytes of its body; none with trailers.
    pub const fn ends(&mut self, context: u32, bytes: usize, now: Time) {
        let may_be_envoys = self.context != context && 0 < bytes;
        *self = Self {
            context,
            whole_at: if may_be_envoys { None } else { Some(now) },
        };
    }

    /// Whether the answer to `context`, which is logged at `now`, went through whole, and nobody waited for anything since.
    #[must_use]
    pub fn is_whole(self, context: u32, now: Time) -> bool {
        self.context == context
            && self
                .whole_at
                .is_some_and(|at| at <= now && now.since(at) <= SOON)
    }
}

impl Exchange {
    /// Whether Envoy's flags can say anything about an answer of this status that is whole, as far as was [`Heard`].
    #[must_use]
    pub fn needs_flags(&self, status: Option<u16>) -> bool {
        self.policy.asks_flags || status.is_none_or(|status| ERRORS <= status)
    }
}
