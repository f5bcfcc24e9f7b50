//! What a request says of itself besides its route.

use sloop_model::{CallerSource, Dimension, DimensionSettings};

use super::xfcc::caller_uri;
use crate::headers::{Found, HeaderMap, Request, Wanted};

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
        let (caller, attempt) = names(settings);
        let found = |name: &[u8]| headers.last(name).filter(|_| !name.is_empty());
        let found = Found {
            caller: found(caller),
            attempt: found(attempt),
        };
        Self::of(settings, found)
    }

    /// As [`Self::read`], of what was found when the request was read.
    pub(crate) fn of(settings: &DimensionSettings, found: Found<'a>) -> Self {
        Self {
            caller: match settings.caller {
                Some(CallerSource::Xfcc(_)) => found.caller.and_then(caller_uri),
                Some(CallerSource::Header(_)) | None => found.caller,
            },
            // A retry budget has it looked for, too.
            attempt: found.attempt.filter(|_| settings.attempts).and_then(number),
            ..Self::default()
        }
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

/// The headers that `settings` ask for: the caller's, and the attempt's, which retry budgets want, too. An empty
/// name is none.
pub(crate) fn wanted(settings: Option<&DimensionSettings>, bounds_retries: bool) -> Wanted {
    let (caller, attempt) = settings.map_or((&b""[..], &b""[..]), names);
    Wanted::new(caller, if bounds_retries { ATTEMPT } else { attempt })
}

/// Which attempt of the caller's Envoy `request` is, from 1; none when it does not say.
pub(crate) fn attempt(request: &Request<'_>) -> Option<u32> {
    let said = match request.found {
        Some(found) => found.attempt,
        None => request.headers.last(ATTEMPT),
    };
    said.and_then(number)
}

fn names(settings: &DimensionSettings) -> (&[u8], &'static [u8]) {
    let caller = settings.caller.as_ref().map(|source| match source {
        CallerSource::Header(name) => name.as_bytes(),
        CallerSource::Xfcc(_) => XFCC,
    });
    let attempt = if settings.attempts { ATTEMPT } else { b"" };
    (caller.unwrap_or_default(), attempt)
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
