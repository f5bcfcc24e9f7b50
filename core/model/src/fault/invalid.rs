//! Why a fault cannot be.

use core::time::Duration;

use super::{Delay, FaultRule};
use crate::arm::InvalidArmShares;
use crate::{InvalidMatch, whole_millis};

/// Why a fault cannot be. Names the field, what was given, and the bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFault {
    /// Longer than clients wait, so it would be an abort in disguise.
    #[error("delay is {} ms; it must be at most {} ms", whole_millis(*given), whole_millis(Delay::MAX))]
    DelayTooLong {
        /// As given.
        given: Duration,
    },
    /// Nothing to inject; leave it out instead.
    #[error("delay is zero; it must be positive")]
    DelayZero,
    /// A distribution of delays that is none.
    #[error("{field}: {problem}")]
    Spread {
        /// The field, as `delay.quantiles`.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Out of its bounds.
    #[error("{field} is {given}; it must be from {min} to {max}")]
    Bound {
        /// The field.
        field: &'static str,
        /// As given.
        given: u64,
        /// The least that may be.
        min: u64,
        /// The most that may be.
        max: u64,
    },
    /// Two fields that say different things about the same.
    #[error("the fault has {one} and {other}; give one of them")]
    Conflict {
        /// A field.
        one: &'static str,
        /// Another.
        other: &'static str,
    },
    /// The arms are more than the whole.
    #[error(transparent)]
    Arms(#[from] InvalidArmShares),
    /// It neither harms nor compares.
    #[error(
        "the fault does nothing; give delay_ms, delay, abort_status, abort_grpc_status, reset, \
         body or headers, or control to only count arms"
    )]
    Nothing,
    /// Not a name for logs and headers.
    #[error("id \"{}\"; it must have 1 to 64 visible ASCII characters", given.escape_default())]
    Id {
        /// As given.
        given: String,
    },
    /// Requests that cannot be told.
    #[error("match: {0}")]
    Match(#[source] InvalidMatch),
    /// Too long a list for a hot path.
    #[error("{field} has {given} entries; there may be at most {max}")]
    TooMany {
        /// The field.
        field: &'static str,
        /// As given.
        given: usize,
        /// The bound.
        max: usize,
    },
    /// A text that no request can have.
    #[error(
        "{field} has \"{}\"; it must have 1 to {max} visible ASCII characters",
        given.escape_default(),
        max = FaultRule::TEXT_BYTES_MAX
    )]
    Text {
        /// The field.
        field: &'static str,
        /// As given.
        given: String,
    },
    /// A header that a fault must not touch.
    #[error("headers has \"{}\"; {problem}", given.escape_default())]
    Header {
        /// The name or value as given.
        given: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl InvalidFault {
    /// The field that is wrong, if it is one: what stands before the first dot in the written form.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        let field = match self {
            Self::DelayTooLong { .. } | Self::DelayZero => "delay_ms",
            Self::Id { .. } => "id",
            Self::Match(_) => "match",
            Self::Arms(_) => "control",
            Self::Header { .. } => "headers",
            Self::Spread { field, .. }
            | Self::Bound { field, .. }
            | Self::TooMany { field, .. }
            | Self::Text { field, .. } => field,
            Self::Conflict { other, .. } => other,
            Self::Nothing => return None,
        };
        field.split('.').next()
    }
}
