//! What a request says of itself besides its route.

use sloop_model::{CallerSource, Dimension, DimensionSettings};

use super::xfcc::caller_uri;
use crate::headers::HeaderMap;

/// Values of the dimensions, and which attempt it is. What is missing is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen<'a> {
    /// Who sent it.
    pub caller: Option<&'a [u8]>,
    /// Where the trace began, from the baggage.
    pub origin: Option<&'a [u8]>,
    /// What the user is doing, from the baggage.
    pub journey: Option<&'a [u8]>,
    /// Which attempt of the caller's Envoy it is, from 1.
    pub attempt: Option<u32>,
}

/// Written by the caller's Envoy when its virtual host has `include_request_attempt_count`.
const ATTEMPT: &[u8] = b"x-envoy-attempt-count";
const XFCC: &[u8] = b"x-forwarded-client-cert";

impl<'a> Seen<'a> {
    /// Reads from the headers what `settings` ask for. Origin and journey are in the baggage, which
    /// is read elsewhere. Of a repeated header the last one counts: the nearest hop wrote it.
    #[must_use]
    pub fn read(settings: &DimensionSettings, headers: HeaderMap<'a>) -> Self {
        let caller = settings.caller.as_ref().map(|source| match source {
            CallerSource::Header(name) => name.as_bytes(),
            CallerSource::Xfcc(_) => XFCC,
        });
        let mut seen = Self {
            caller: caller.and_then(|name| headers.last(name)),
            ..Self::default()
        };
        if let Some(CallerSource::Xfcc(_)) = settings.caller {
            seen.caller = seen.caller.and_then(caller_uri);
        }
        if settings.attempts {
            seen.attempt = headers.last(ATTEMPT).and_then(number);
        }
        seen
    }

    /// The value of a dimension.
    pub(super) const fn value(&self, dimension: Dimension) -> Option<&'a [u8]> {
        match dimension {
            Dimension::Caller => self.caller,
            Dimension::Origin => self.origin,
            Dimension::Journey => self.journey,
        }
    }
}

/// A decimal number of at most nine digits.
fn number(text: &[u8]) -> Option<u32> {
    if !(1..=9).contains(&text.len()) {
        return None;
    }
    text.iter().try_fold(0, |all, byte| {
        byte.is_ascii_digit()
            .then(|| all * 10 + u32::from(byte - b'0'))
    })
}
