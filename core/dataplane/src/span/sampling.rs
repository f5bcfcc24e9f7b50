//! Consistent probability sampling, and how `tracestate` tells of it.
//!
//! Specifications: OpenTelemetry,
//! [probability sampling](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/) and
//! [`tracestate` handling](https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/).
//!
//! A trace has a random number of 56 bits, from its id or from `ot=rv:...`. A
//! share has a threshold: how many of the 2^56 numbers it rejects. A span is
//! kept when the number is not below the threshold, so of two shares the
//! smaller keeps a subset of the larger, wherever in the trace that is decided.
//! What the caller decided does not matter, as with the specification's
//! `ProbabilitySampler`.

use sloop_model::Share;

use crate::context::{TraceId, hex};

/// How many numbers there are: the low 7 bytes of a trace id.
const NUMBERS: u64 = 1 << 56;
/// Hexadecimal digits of such a number.
const DIGITS: usize = 14;
/// Digits of a threshold, behind those that are `f`: what the specification recommends to SDKs.
const PRECISION: u32 = 4;
/// What the specification lets the value of `ot` have.
const OT_BYTES_MAX: usize = 256;

/// How many of the 2^56 random numbers are rejected: below 2^56, so that some are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u64);

/// The random number of a trace, below 2^56.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Randomness(u64);

impl Threshold {
    /// Rejects nothing.
    pub const NONE_REJECTED: Self = Self(0);

    /// The threshold of a share, to four significant digits; none for no share, which is not a probability.
    #[must_use]
    pub fn of(share: Share) -> Option<Self> {
        let whole = u64::from(u16::from(Share::WHOLE));
        let rejected = whole - u64::from(u16::from(share));
        if rejected == whole {
            return None;
        }
        // rejected * 2^56 / 10,000, in numbers of 64 bits.
        let exact = rejected * (NUMBERS / whole) + rejected * (NUMBERS % whole) / whole;
        // How many digits are `f`: the number's leading ones, four by four, behind the eight bits that it lacks.
        let full = (exact << 8).leading_ones() / 4;
        let dropped = 4 * 14_u32.saturating_sub(full + PRECISION);
        let half = 1 << dropped >> 1;
        let rounded = (exact + half) >> dropped << dropped;
        Some(Self(rounded))
    }

    /// Whether a trace is kept.
    #[must_use]
    pub const fn keeps(self, randomness: Randomness) -> bool {
        self.0 <= randomness.0
    }

    /// The threshold that 1 to 14 hexadecimal digits mean. More digits are none.
    fn parse(digits: &[u8]) -> Option<Self> {
        let missing = DIGITS.checked_sub(digits.len())?;
        if digits.is_empty() {
            return None;
        }
        hex::number_of(digits).map(|value| Self(value << (4 * missing)))
    }

    /// Writes its digits, without the zeros at their end.
    fn write(self, out: &mut Vec<u8>) {
        let mut rest = self.0 << 8;
        loop {
            out.push(hex::lowest(rest >> 60));
            rest <<= 4;
            if rest == 0 {
                return;
            }
        }
    }
}

impl Randomness {
    /// The random number of a trace whose `tracestate` has this `ot`.
    ///
    /// Ids are presumed random, as the specification asks, whatever the flag
    /// `random` says: programs that know only level 1 do not pass it on.
    #[must_use]
    pub fn of(trace: TraceId, ot: Option<Ot<'_>>) -> Self {
        ot.and_then(|ot| ot.randomness)
            .unwrap_or(Self(trace.low & (NUMBERS - 1)))
    }

    fn parse(digits: &[u8]) -> Option<Self> {
        (digits.len() == DIGITS)
            .then(|| hex::number_of(digits))?
            .map(Self)
    }
}

/// The value of the member `ot` of a `tracestate`: `key:value` pairs between semicolons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ot<'a> {
    /// `th`: what every sampler before agreed to keep. None when it is absent or cannot be read.
    pub threshold: Option<Threshold>,
    /// `rv`: the number to use in place of the trace id's. None when it is absent or cannot be read.
    pub randomness: Option<Randomness>,
    value: &'a [u8],
}

impl<'a> Ot<'a> {
    /// Reads `value`. What is no pair is passed over, and so are pairs of others.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Self {
        let mut ot = Self {
            threshold: None,
            randomness: None,
            value,
        };
        for pair in value.split(|byte| *byte == b';') {
            if let Some(digits) = pair.strip_prefix(b"th:") {
                ot.threshold = Threshold::parse(digits);
            } else if let Some(digits) = pair.strip_prefix(b"rv:") {
                ot.randomness = Randomness::parse(digits);
            }
        }
        ot
    }

    /// Writes the member `ot=...` with this threshold, or without one; everything else in it stays.
    ///
    /// Writes nothing when there is nothing to say. When the value would be
    /// longer than 256 bytes, only what is about sampling goes on.
    pub fn write(&self, threshold: Option<Threshold>, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(b"ot=");
        let content = out.len();
        if let Some(threshold) = threshold {
            out.extend_from_slice(b"th:");
            threshold.write(out);
        }
        let own = out.len() - content;
        let length = self.others().fold(own, |length, pair| {
            length + usize::from(0 < length) + pair.len()
        });
        let fits = length <= OT_BYTES_MAX;
        let number = self.others().filter(|pair| pair.starts_with(b"rv:")).last();
        let number = number.filter(|_| !fits && self.randomness.is_some());
        for pair in self.others().filter(|_| fits).chain(number) {
            if content < out.len() {
                out.push(b';');
            }
            out.extend_from_slice(pair);
        }
        if out.len() == content {
            out.truncate(begin);
        }
    }

    /// All pairs but the threshold.
    fn others(&self) -> impl Iterator<Item = &'a [u8]> {
        let pairs = self.value.split(|byte| *byte == b';');
        pairs.filter(|pair| !pair.is_empty() && !pair.starts_with(b"th:"))
    }
}

/// No member `ot`.
impl Default for Ot<'_> {
    fn default() -> Self {
        Self::parse(b"")
    }
}

/// The value of the member `ot` among those of a `tracestate`. The first, when it is there more than once.
#[must_use]
pub fn ot_of(tracestate: &[u8]) -> Option<Ot<'_>> {
    members(tracestate)
        .find_map(|member| member.strip_prefix(b"ot="))
        .map(Ot::parse)
}

/// The members of a `tracestate`, without the blanks around them.
pub(super) fn members(tracestate: &[u8]) -> impl Iterator<Item = &[u8]> {
    tracestate
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests;
