//! Faults that requests ask for in their headers, as Envoy's own fault filter reads them.
//!
//! <https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/fault_filter#controlling-fault-injection-via-http-headers>.
//! What is no number in its range is as if it were not there. A percentage is
//! in hundredths and at most what the rule allows; delays are at most
//! [`Delay::MAX`], where Envoy has no bound.

use core::time::Duration;

use sloop_model::{Delay, FaultEnding, Share};

use super::draw::{Below, Purpose, word_for};
use crate::headers::Request;

const ABORT: &[u8] = b"x-envoy-fault-abort-request";
const ABORT_GRPC: &[u8] = b"x-envoy-fault-abort-grpc-request";
const ABORT_PERCENTAGE: &[u8] = b"x-envoy-fault-abort-request-percentage";
const DELAY: &[u8] = b"x-envoy-fault-delay-request";
const DELAY_PERCENTAGE: &[u8] = b"x-envoy-fault-delay-request-percentage";

/// What a request asks for, of what was drawn for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) delay: Option<Duration>,
    pub(super) ending: Option<FaultEnding>,
}

impl Asked {
    /// Reads what `request` asks for, under a rule that chose it by `word` from a `share` of requests.
    pub(super) fn read(request: &Request<'_>, word: u64, share: Share) -> Self {
        let mut numbers = [None; 5];
        for (name, value) in request.headers.iter() {
            // They share a beginning that no other header has.
            if !name.starts_with(b"x-envoy-fault-") {
                continue;
            }
            let names = [ABORT, ABORT_GRPC, ABORT_PERCENTAGE, DELAY, DELAY_PERCENTAGE];
            let slots = numbers.iter_mut().zip(names);
            for (number, _) in slots.filter(|(number, known)| number.is_none() && *known == name) {
                *number = parse(value);
            }
        }
        let [abort, abort_grpc, abort_percentage, delay, delay_percentage] = numbers;
        let is_drawn =
            |purpose, percentage| of_rule(percentage, share).includes(word_for(purpose, word));
        Self {
            delay: delay
                .filter(|millis| 0 < *millis)
                .filter(|_| is_drawn(Purpose::AskedDelay, delay_percentage))
                .map(|millis| Duration::from_millis(millis).min(Delay::MAX)),
            ending: ending(abort, abort_grpc)
                .filter(|_| is_drawn(Purpose::AskedAbort, abort_percentage)),
        }
    }

    pub(super) const fn is_nothing(&self) -> bool {
        self.delay.is_none() && self.ending.is_none()
    }
}

/// The HTTP status comes before the gRPC status, if it is one.
fn ending(abort: Option<u64>, abort_grpc: Option<u64>) -> Option<FaultEnding> {
    let statuses = FaultEnding::STATUS_MIN..=FaultEnding::STATUS_MAX;
    let http = abort
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| statuses.contains(status))
        .map(|status| FaultEnding::Abort { status });
    let grpc = abort_grpc
        .and_then(|status| u32::try_from(status).ok())
        .map(|status| FaultEnding::AbortGrpc { status });
    http.or(grpc)
}

/// Of the `share` of requests that the rule chose, those that make the `percentage` of all that is asked for.
fn of_rule(percentage: Option<u64>, share: Share) -> Below {
    let whole = u64::from(u16::from(Share::WHOLE));
    let asked = percentage.unwrap_or(100).min(100) * 100;
    // A request may come in the fault's arm where the rule has no share of its own.
    let part = asked * whole / u64::from(u16::from(share)).max(1);
    let part = u16::try_from(part.min(whole)).unwrap_or(u16::MAX);
    Below::share(Share::try_from(part).unwrap_or(Share::WHOLE))
}

/// A number of decimal digits alone.
fn parse(value: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |number, byte| {
        number.checked_mul(10)?.checked_add(digit(byte)?)
    })
}
