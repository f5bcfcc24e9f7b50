//! What an SLO's objective counts, and which of it is good.

use serde::{Deserialize, Serialize};

use crate::{Ended, Flags, Mode, Only, Outcome, SloName};

/// Names one objective of one SLO.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectiveId {
    /// The SLO.
    pub slo: SloName,
    /// Position in the SLO's list of objectives, from 0.
    pub index: u32,
}

/// What the filter counts for one objective.
///
/// Of the requests that `only` lets through, one counts when `total` selects it; without `total`, when its outcome
/// is evidence ([`Outcome::is_evidence`]). Of these it is good when it was
/// served ([`Outcome::is_served`]), or as `good` or `bad` say, and, where
/// `within_us` is given, its latency was at most that: a failure is never good,
/// however fast. With `within_us`, requests without a latency do not count, but one
/// that its caller gave up on after that time does: it was not answered in time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// Whose counts these are.
    pub id: ObjectiveId,
    /// Whose requests, and which, by what they say of themselves; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Box<Only>>,
    /// What it is about; everything that is evidence when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Selector>,
    /// What is good, instead of "served".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<Selector>,
    /// What is bad, whatever else it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad: Option<Selector>,
    /// The longest good latency in whole microseconds, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_us: Option<u64>,
    /// Whether breakers and shedding that judge by objectives judge by it; `shadow` when its SLO only
    /// watches. To the filter both are the same. When absent, it only counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guards: Option<Mode>,
}

/// What an objective says about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The objective is not about it.
    NotCounted,
    /// It met the objective.
    Good,
    /// It did not.
    Bad,
}

impl Objective {
    /// Checks what selects requests.
    ///
    /// # Errors
    ///
    /// Names the first field that is wrong, and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, InvalidSelector)> {
        if let Some(only) = &self.only {
            only.check().map_err(|error| ("only", error))?;
        }
        for (field, selector) in [
            ("total", &self.total),
            ("good", &self.good),
            ("bad", &self.bad),
        ] {
            if let Some(selector) = selector {
                selector.check().map_err(|error| (field, error))?;
            }
        }
        Ok(())
    }

    /// Whether it selects requests by Envoy's flags.
    #[must_use]
    pub fn asks_flags(&self) -> bool {
        let selectors = [&self.total, &self.good, &self.bad];
        selectors
            .into_iter()
            .flatten()
            .any(|selector| selector.flags != 0)
    }

    /// The longest latency, in whole microseconds, that is not bad as such: above it `within_us` or `bad` say so.
    #[must_use]
    pub fn slow_us(&self) -> Option<u64> {
        slow_us(self.within_us, self.bad.as_ref())
    }

    /// Whether more than the outcome and the latency says what it counts, and which of it is good.
    #[must_use]
    #[inline]
    pub const fn selects(&self) -> bool {
        self.total.is_some() || self.good.is_some() || self.bad.is_some()
    }

    /// Judges a request that it is about, and that ended as `ended` after `latency_us` whole microseconds.
    ///
    /// A number of 64 bits, made once per request: a filter judges several
    /// objectives, and Wasm has no arithmetic of 128 bits as `Duration` uses.
    #[must_use]
    #[inline]
    pub fn judge(&self, ended: &Ended, outcome: Outcome, latency_us: u64) -> Judgement {
        let in_time = self.within_us.is_none_or(|within| latency_us <= within);
        if !self.selects() && outcome.has_latency() {
            // What nearly all are: the same as below, where each part is then known.
            return if in_time && outcome.is_served() {
                Judgement::Good
            } else {
                Judgement::Bad
            };
        }
        self.judge_selected(ended, outcome, latency_us)
    }

    /// As [`Objective::judge`], whatever it selects.
    fn judge_selected(&self, ended: &Ended, outcome: Outcome, latency_us: u64) -> Judgement {
        let in_time = self.within_us.is_none_or(|within| latency_us <= within);
        let gave_up = !in_time && outcome.shows_slowness() && !outcome.is_evidence();
        let counts = match &self.total {
            Some(total) => total.selects(ended, outcome, latency_us),
            None => outcome.is_evidence() || gave_up,
        };
        let is_timed = self.within_us.is_none() || outcome.has_latency() || gave_up;
        if !counts || !is_timed {
            return Judgement::NotCounted;
        }
        let served = match &self.good {
            Some(good) => good.selects(ended, outcome, latency_us),
            None => self.bad.is_some() || outcome.is_served(),
        };
        let bad = self
            .bad
            .as_ref()
            .is_some_and(|bad| bad.selects(ended, outcome, latency_us));
        if served && !bad && in_time {
            Judgement::Good
        } else {
            Judgement::Bad
        }
    }
}

/// The longest latency, in whole microseconds, that is not bad as such, where good latencies are at most `within_us` and
/// `bad` is bad.
#[must_use]
pub fn slow_us(within_us: Option<u64>, bad: Option<&Selector>) -> Option<u64> {
    let slower = bad.and_then(|bad| bad.slower_than_us);
    within_us.into_iter().chain(slower).min()
}

/// Selects requests by how they ended: a request is selected when any of the conditions holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// HTTP status ranges. gRPC requests are selected by `grpc_status` instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Self::CONDITIONS_MAX)))]
    pub status: Vec<StatusRange>,
    /// gRPC statuses, `0..=16`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Self::CONDITIONS_MAX)))]
    #[cfg_attr(feature = "schema", schemars(inner(range(max = 16))))]
    pub grpc_status: Vec<u8>,
    /// Outcomes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Self::CONDITIONS_MAX)))]
    pub outcome: Vec<Outcome>,
    /// Envoy's response flags as a bit mask ([`Flags`]).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub flags: u64,
    /// Latency above this, in whole microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slower_than_us: Option<u64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Why a selector cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelector {
    /// It selects nothing at all.
    #[error("the selector has no condition; give at least one")]
    Empty,
    /// Not a range of HTTP statuses.
    #[error("status range {from} to {to}; it must lie within 100 to 599 and not be reversed")]
    Status {
        /// Lower end as given.
        from: u16,
        /// Upper end as given.
        to: u16,
    },
    /// Not a gRPC status.
    #[error("gRPC status {given}; it must be at most 16")]
    GrpcStatus {
        /// As given.
        given: u8,
    },
    /// Too many conditions for a hot path.
    #[error("{given} conditions of one kind; there may be at most {max}", max = Selector::CONDITIONS_MAX)]
    TooMany {
        /// As given.
        given: usize,
    },
}

impl Selector {
    /// Conditions of one kind: there are 17 gRPC statuses, and nothing needs more ranges.
    pub const CONDITIONS_MAX: usize = 17;

    /// Whether any condition holds for a request that ended as `ended` after `latency_us` whole microseconds.
    #[must_use]
    #[inline]
    pub fn selects(&self, ended: &Ended, outcome: Outcome, latency_us: u64) -> bool {
        let by_code = match (ended.grpc, ended.status) {
            (Some(grpc), _) => self.grpc_status.contains(&grpc),
            (None, Some(status)) => self.status.iter().any(|range| range.includes(status)),
            (None, None) => false,
        };
        by_code
            || self.outcome.contains(&outcome)
            || ended.flags.intersects(Flags(self.flags))
            || (outcome.shows_slowness()
                && self.slower_than_us.is_some_and(|limit| limit < latency_us))
    }

    /// Whether there is no condition.
    const fn is_empty(&self) -> bool {
        let Self {
            status,
            grpc_status,
            outcome,
            flags,
            slower_than_us,
        } = self;
        let selects_codes = !status.is_empty() || !grpc_status.is_empty() || !outcome.is_empty();
        !selects_codes && *flags == 0 && slower_than_us.is_none()
    }

    /// Checks the conditions.
    ///
    /// # Errors
    ///
    /// When there is none, too many, or one can never hold.
    pub fn check(&self) -> Result<(), InvalidSelector> {
        if self.is_empty() {
            return Err(InvalidSelector::Empty);
        }
        for given in [
            self.status.len(),
            self.grpc_status.len(),
            self.outcome.len(),
        ] {
            if given > Self::CONDITIONS_MAX {
                return Err(InvalidSelector::TooMany { given });
            }
        }
        match self.grpc_status.iter().find(|status| 16 < **status) {
            Some(&given) => Err(InvalidSelector::GrpcStatus { given }),
            None => Ok(()),
        }
    }
}

/// HTTP statuses from `from` to `to`, both included, within `100..=599`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::pairs((100, 599), (100, 599))))]
#[serde(try_from = "(u16, u16)", into = "(u16, u16)")]
pub struct StatusRange {
    from: u16,
    to: u16,
}

impl StatusRange {
    /// Stands for what cannot be read.
    pub(crate) const fn unread() -> Self {
        Self { from: 100, to: 599 }
    }

    /// Whether `status` lies in the range.
    #[must_use]
    #[inline]
    pub const fn includes(self, status: u16) -> bool {
        self.from <= status && status <= self.to
    }
}

impl TryFrom<(u16, u16)> for StatusRange {
    type Error = InvalidSelector;

    fn try_from((from, to): (u16, u16)) -> Result<Self, InvalidSelector> {
        if 100 <= from && from <= to && to <= 599 {
            Ok(Self { from, to })
        } else {
            Err(InvalidSelector::Status { from, to })
        }
    }
}

impl From<StatusRange> for (u16, u16) {
    fn from(range: StatusRange) -> Self {
        (range.from, range.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OwnVerdict;

    fn objective() -> Objective {
        Objective {
            id: ObjectiveId {
                slo: SloName::try_from("a").unwrap(),
                index: 0,
            },
            only: None,
            total: None,
            good: None,
            bad: None,
            within_us: None,
            guards: None,
        }
    }

    fn judged(objective: &Objective, status: u16, latency_us: u64) -> Judgement {
        let ended = Ended {
            verdict: OwnVerdict::Passed,
            status: Some(status),
            flags: Flags::default(),
            grpc: None,
        };
        objective.judge(&ended, Outcome::of(ended), latency_us)
    }

    #[test]
    fn the_threshold_itself_is_good() {
        let fast = Objective {
            within_us: Some(250_000),
            ..objective()
        };
        assert_eq!(judged(&fast, 200, 250_000), Judgement::Good);
        assert_eq!(judged(&fast, 200, 250_001), Judgement::Bad);
        assert_eq!(judged(&fast, 503, 1), Judgement::Bad, "a fast failure");
        assert_eq!(judged(&fast, 101, 1), Judgement::NotCounted);
    }

    #[test]
    fn a_caller_that_gave_up_waiting_was_not_answered_in_time() {
        let fast = Objective {
            within_us: Some(250_000),
            ..objective()
        };
        let gave_up = |objective: &Objective, after_us| {
            let ended = Ended {
                verdict: OwnVerdict::Passed,
                status: None,
                flags: Flags::CANCELLED,
                grpc: None,
            };
            objective.judge(&ended, Outcome::of(ended), after_us)
        };
        assert_eq!(gave_up(&fast, 250_000), Judgement::NotCounted);
        assert_eq!(gave_up(&fast, 250_001), Judgement::Bad);
        assert_eq!(gave_up(&objective(), 250_001), Judgement::NotCounted);
    }

    #[test]
    fn a_callers_mistake_is_no_failure_of_the_service() {
        assert_eq!(judged(&objective(), 404, 1), Judgement::Good);
        assert_eq!(judged(&objective(), 500, 1), Judgement::Bad);
    }

    #[test]
    fn bad_replaces_what_is_served() {
        let odd = Objective {
            bad: Some(Selector {
                status: vec![StatusRange::try_from((429, 429)).unwrap()],
                ..Selector::default()
            }),
            ..objective()
        };
        assert_eq!(judged(&odd, 429, 1), Judgement::Bad);
        assert_eq!(judged(&odd, 500, 1), Judgement::Good);
    }

    #[test]
    fn slow_is_what_is_bad_for_its_time_alone() {
        let slower = Selector {
            slower_than_us: Some(250_000),
            ..Selector::default()
        };
        assert_eq!(slow_us(None, None), None);
        assert_eq!(slow_us(Some(100_000), None), Some(100_000));
        assert_eq!(slow_us(None, Some(&slower)), Some(250_000));
        assert_eq!(slow_us(Some(300_000), Some(&slower)), Some(250_000));
        assert_eq!(slow_us(None, Some(&Selector::default())), None);
    }

    #[test]
    fn ranges_lie_within_http() {
        assert!(StatusRange::try_from((99, 200)).is_err());
        assert!(StatusRange::try_from((300, 200)).is_err());
        assert!(StatusRange::try_from((500, 600)).is_err());
        assert_eq!(Selector::default().check(), Err(InvalidSelector::Empty));
    }
}
