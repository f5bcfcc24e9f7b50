//! By what else than their route requests are told apart.

use sloop_model::{DimensionSettings, Side};

use super::{Exchange, Plane};
use crate::sli::Seen;

impl Plane {
    /// What the requests of a side are told apart by; [`Seen::read`] needs it. None costs nothing more.
    #[must_use]
    pub const fn dimensions(&self, side: Side) -> Option<&DimensionSettings> {
        match side {
            Side::Server => self.server.dimensions.as_ref(),
            Side::Client => self.client.dimensions.as_ref(),
        }
    }

    /// Whether Envoy is to be asked how many attempts it made for requests of a side.
    #[must_use]
    pub fn counts_attempts(&self, side: Side) -> bool {
        self.dimensions(side)
            .is_some_and(|settings| settings.attempts)
    }

    /// Says what a request that just began says of itself. Without this it counts for its scope only.
    pub fn describe(&mut self, exchange: &mut Exchange, seen: &Seen<'_>) {
        let side = match exchange.side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        };
        exchange.slots = side.slots(exchange.scope, seen, &mut self.trouble);
        if seen.attempt.is_some_and(|attempt| 1 < attempt) {
            // The attempts before it were requests of their own here.
            exchange.retries = 1;
        }
    }
}

impl Exchange {
    /// Says, before its end, how many attempts Envoy made for this request (`upstream.request_attempt_count`).
    pub fn attempted(&mut self, attempts: u32) {
        self.retries = attempts.saturating_sub(1);
    }
}
