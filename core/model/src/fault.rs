//! Faults that are injected on purpose.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Share, WallTime};

/// A fault for a share of a scope's requests, chosen by trace id.
///
/// The same trace and seed always give the same choice, at every hop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "FaultWritten", into = "FaultWritten")]
pub struct FaultRule {
    /// Who asked for it: an experiment. 1 to 64 bytes.
    id: String,
    seed: u64,
    share: Share,
    delay: Option<Delay>,
    abort_status: Option<u16>,
    expires_at: WallTime,
}

/// A fault as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultWritten {
    /// Who asked for it.
    pub id: String,
    /// Mixed with the trace id to choose requests; another seed chooses others.
    #[serde(default)]
    pub seed: u64,
    /// The share of requests.
    pub share: Share,
    /// Hold the request back for this long, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Answer with this HTTP status instead of asking the service; after the delay, if both are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_status: Option<u16>,
    /// When the filter stops by itself, in milliseconds since the Unix epoch. Required: no fault is forever.
    pub expires_at_ms: WallTime,
}

/// Why a fault cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFault {
    /// Longer than clients wait, so it would be an abort in disguise.
    #[error("delay is {given:?}; it must be at most {max:?}", max = Delay::MAX)]
    DelayTooLong {
        /// As given.
        given: Duration,
    },
    /// Nothing to inject; leave it out instead.
    #[error("delay is zero; it must be positive")]
    DelayZero,
    /// Not an error that an upstream could answer with.
    #[error("abort_status is {given}; it must be from 400 to 599")]
    Status {
        /// As given.
        given: u16,
    },
    /// Neither a delay nor an abort.
    #[error("the fault does nothing; give delay_ms, abort_status or both")]
    Nothing,
    /// Not a name for logs and headers.
    #[error("id {given:?}; it must have 1 to 64 visible ASCII characters")]
    Id {
        /// As given.
        given: String,
    },
}

/// How long a request is held back. Positive and at most [`Delay::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delay(Duration);

impl Delay {
    /// Envoy's default route timeout (`RouteAction.timeout`) is 15 s; stay below it.
    pub const MAX: Duration = Duration::from_secs(10);

    /// The delay of `duration`.
    ///
    /// # Errors
    ///
    /// When it is zero or above [`Delay::MAX`].
    pub fn parse(duration: Duration) -> Result<Self, InvalidFault> {
        if duration.is_zero() {
            Err(InvalidFault::DelayZero)
        } else if Self::MAX < duration {
            Err(InvalidFault::DelayTooLong { given: duration })
        } else {
            Ok(Self(duration))
        }
    }

    /// How long.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FaultRule {
    /// Who asked for it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Chooses requests together with the trace id.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The share of requests.
    #[must_use]
    pub const fn share(&self) -> Share {
        self.share
    }

    /// The delay, if there is one.
    #[must_use]
    pub const fn delay(&self) -> Option<Delay> {
        self.delay
    }

    /// The status to answer with, if it aborts: 400 to 599.
    #[must_use]
    pub const fn abort_status(&self) -> Option<u16> {
        self.abort_status
    }

    /// When it ends by itself.
    #[must_use]
    pub const fn expires_at(&self) -> WallTime {
        self.expires_at
    }

    /// The same fault, ending at `end` if it does not end earlier.
    #[must_use]
    pub fn ending_by(mut self, end: WallTime) -> Self {
        self.expires_at = self.expires_at.min(end);
        self
    }
}

impl TryFrom<FaultWritten> for FaultRule {
    type Error = InvalidFault;

    fn try_from(written: FaultWritten) -> Result<Self, InvalidFault> {
        let visible = written.id.bytes().all(|byte| byte.is_ascii_graphic());
        if !(1..=64).contains(&written.id.len()) || !visible {
            return Err(InvalidFault::Id { given: written.id });
        }
        if written.delay_ms.is_none() && written.abort_status.is_none() {
            return Err(InvalidFault::Nothing);
        }
        if let Some(given) = written.abort_status.filter(|s| !(400..600).contains(s)) {
            return Err(InvalidFault::Status { given });
        }
        let delay = written
            .delay_ms
            .map(|millis| Delay::parse(Duration::from_millis(millis)))
            .transpose()?;
        Ok(Self {
            id: written.id,
            seed: written.seed,
            share: written.share,
            delay,
            abort_status: written.abort_status,
            expires_at: written.expires_at_ms,
        })
    }
}

impl From<FaultRule> for FaultWritten {
    fn from(rule: FaultRule) -> Self {
        Self {
            id: rule.id,
            seed: rule.seed,
            share: rule.share,
            delay_ms: rule
                .delay
                .map(|delay| u64::try_from(delay.duration().as_millis()).unwrap_or(u64::MAX)),
            abort_status: rule.abort_status,
            expires_at_ms: rule.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> FaultWritten {
        FaultWritten {
            id: "a".into(),
            seed: 1,
            share: Share::WHOLE,
            delay_ms: Some(10_000),
            abort_status: Some(503),
            expires_at_ms: WallTime::from_millis(1),
        }
    }

    #[test]
    fn a_fault_stays_within_what_callers_bear() {
        assert!(FaultRule::try_from(written()).is_ok());
        for bad in [
            FaultWritten {
                delay_ms: Some(10_001),
                ..written()
            },
            FaultWritten {
                delay_ms: Some(0),
                ..written()
            },
            FaultWritten {
                abort_status: Some(200),
                ..written()
            },
            FaultWritten {
                delay_ms: None,
                abort_status: None,
                ..written()
            },
            FaultWritten {
                id: "a b".into(),
                ..written()
            },
        ] {
            assert!(FaultRule::try_from(bad.clone()).is_err(), "{bad:?}");
        }
    }
}
