//! What is remembered of an alert policy: the state of each objective.
//!
//! - *calm*: nothing to tell.
//! - *pending*: the condition holds, and not yet for as long as it must.
//! - *firing*: people are told.
//! - *resolved*: people are told that it is over; after [`RESOLVED_KEPT`] it is calm.
//!
//! Where it is not known whether the condition holds, everything stays as it is. What people are told of outlives
//! the process ([`Told`]), so that they are told of its end, too.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sloop_model::WallTime;

use super::AlertKind;
use crate::world::Told;

/// Per objective, in the order of the intent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertMemory {
    pub(super) objectives: Vec<Watched>,
    /// Of all of them together; nothing where they are no composite.
    #[serde(default)]
    pub(super) composite: Option<Watched>,
}

/// All that one objective may be told for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watched {
    /// Since when. It is not known of earlier whether anybody reported.
    since: WallTime,
    pub(super) breaching: State,
    pub(super) no_data: State,
    /// Of the first objective for all of the SLO, calm of the others.
    #[serde(default)]
    pub(super) acting: State,
}

/// How an alert stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    #[default]
    Calm,
    Pending {
        since: WallTime,
    },
    Firing {
        since: WallTime,
        /// When the condition last held.
        held: WallTime,
    },
    Resolved {
        since: WallTime,
        until: WallTime,
    },
}

/// It must not hold for so long before it is over: what comes and goes is one alert.
const RESOLVE_AFTER: Duration = Duration::from_secs(60);
/// For so long people are told that it is over; whoever cannot be reached for longer learns it elsewhere.
pub(crate) const RESOLVED_KEPT: Duration = Duration::from_secs(15 * 60);

impl State {
    /// The state at `now` of what people were told before the process began. What fired may have held until just now.
    fn restored(told: Option<Told>, now: WallTime) -> Self {
        match told {
            None => Self::Calm,
            Some(Told { since, until: None }) => Self::Firing { since, held: now },
            Some(Told {
                since,
                until: Some(until),
            }) => Self::Resolved { since, until },
        }
    }

    /// The state at `now`, when the condition holds or not; `None` when nobody knows.
    pub(super) fn next(self, holds: Option<bool>, after: Duration, now: WallTime) -> Self {
        let state = self.rewound(now);
        let Some(holds) = holds else { return state };
        let begin = |since: WallTime| {
            if after <= now.since(since) {
                Self::Firing { since, held: now }
            } else {
                Self::Pending { since }
            }
        };
        match state {
            Self::Calm if holds => begin(now),
            Self::Pending { since } if holds => begin(since),
            Self::Calm | Self::Pending { .. } => Self::Calm,
            Self::Firing { since, .. } if holds => Self::Firing { since, held: now },
            Self::Firing { since, held } if RESOLVE_AFTER <= now.since(held) => {
                Self::Resolved { since, until: now }
            }
            Self::Firing { .. } => state,
            Self::Resolved { .. } if holds => begin(now),
            Self::Resolved { until, .. } if RESOLVED_KEPT <= now.since(until) => Self::Calm,
            Self::Resolved { .. } => state,
        }
    }

    /// The same if the clock did not step back. Moments that lie ahead would keep it as it is until
    /// they come. When it began firing stays: that tells one alert from another.
    fn rewound(self, now: WallTime) -> Self {
        match self {
            Self::Calm => self,
            Self::Pending { since } => Self::Pending {
                since: since.min(now),
            },
            Self::Firing { since, held } => Self::Firing {
                since,
                held: held.min(now),
            },
            Self::Resolved { since, until } => Self::Resolved {
                since,
                until: until.min(now),
            },
        }
    }
}

impl Watched {
    /// All, as people were `told` of them before the process began.
    pub(super) fn restored(told: impl Fn(AlertKind) -> Option<Told>, now: WallTime) -> Self {
        Self {
            since: now,
            breaching: State::restored(told(AlertKind::Breaching), now),
            no_data: State::restored(told(AlertKind::NoData), now),
            acting: State::restored(told(AlertKind::Acting), now),
        }
    }

    /// Whether it was watched for all of the last `length` at `now`.
    pub(super) fn is_watched_for(&mut self, length: Duration, now: WallTime) -> bool {
        // A clock that was set back would keep it from being so.
        self.since = self.since.min(now);
        length <= now.since(self.since)
    }

    /// All, each with its kind.
    pub(super) fn states(&self) -> [(AlertKind, State); 3] {
        [
            (AlertKind::Breaching, self.breaching),
            (AlertKind::NoData, self.no_data),
            (AlertKind::Acting, self.acting),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The states at each (second, whether it holds).
    fn states(seen: &[(u64, bool)], after: u64) -> Vec<State> {
        let mut state = State::Calm;
        let next = |&(second, holds): &(u64, bool)| {
            let now = WallTime::from_millis(second * 1_000);
            state = state.next(Some(holds), Duration::from_secs(after), now);
            state
        };
        seen.iter().map(next).collect()
    }

    fn at(second: u64) -> WallTime {
        WallTime::from_millis(second * 1_000)
    }

    #[test]
    fn an_alert_ends_also_when_the_clock_stepped_back_an_hour() {
        let seen = states(&[(9_000, true), (5_400, false), (5_460, false)], 0);
        let (since, until) = (at(9_000), at(5_460));
        assert_eq!(
            seen[1],
            State::Firing {
                since,
                held: at(5_400)
            }
        );
        assert_eq!(seen[2], State::Resolved { since, until });
        let back = [
            (9_000, true),
            (9_060, false),
            (5_400, false),
            (6_300, false),
        ];
        assert_eq!(states(&back, 0)[3], State::Calm);
    }

    #[test]
    fn one_that_waits_does_not_wait_longer_than_it_is_told_to() {
        let seen = states(&[(9_000, true), (5_400, true), (5_430, true)], 30);
        let (since, held) = (at(5_400), at(5_430));
        assert_eq!(seen[1], State::Pending { since });
        assert_eq!(seen[2], State::Firing { since, held });
    }
}
