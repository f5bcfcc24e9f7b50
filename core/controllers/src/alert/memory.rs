//! What is remembered of an alert policy: the state of each objective.
//!
//! - *calm*: nothing to tell.
//! - *pending*: the condition holds, and not yet for as long as it must.
//! - *firing*: people are told.
//! - *resolved*: people are told that it is over; after [`RESOLVED_KEPT`] it is calm.
//!
//! Where it is not known whether the condition holds, nothing begins and nothing fires or is over; what waits to fire does not
//! wait for more than a minute of that, as it must hold all the time. What people are told of outlives
//! the process ([`Told`]), so that they are told of its end, too.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::WallTime;

use super::AlertKind;
use crate::world::Told;

/// What is remembered of one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertMemory {
    /// By position of the objective in the SLO, not by place in the intent, which changes when a source becomes foreign.
    pub(super) objectives: BTreeMap<u32, Watched>,
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
        /// When the condition last held.
        #[serde(default)]
        held: WallTime,
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

/// It must not hold for so long before it is over: what comes and goes is one alert. For as long it may be unclear whether it
/// holds while it waits to fire.
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
        let state = self.rewound(now).expired(now);
        let Some(holds) = holds else { return state };
        let begin = |since: WallTime| {
            if after <= now.since(since) {
                Self::Firing { since, held: now }
            } else {
                Self::Pending { since, held: now }
            }
        };
        match state {
            Self::Calm | Self::Resolved { .. } if holds => begin(now),
            Self::Pending { since, .. } if holds => begin(since),
            Self::Calm | Self::Pending { .. } => Self::Calm,
            Self::Firing { since, .. } if holds => Self::Firing { since, held: now },
            Self::Firing { since, held } if RESOLVE_AFTER <= now.since(held) => {
                Self::Resolved { since, until: now }
            }
            Self::Firing { .. } | Self::Resolved { .. } => state,
        }
    }

    /// The same if its time is not over, whatever is known of the condition.
    fn expired(self, now: WallTime) -> Self {
        match self {
            Self::Pending { held, .. } if RESOLVE_AFTER <= now.since(held) => Self::Calm,
            Self::Resolved { until, .. } if RESOLVED_KEPT <= now.since(until) => Self::Calm,
            Self::Calm | Self::Pending { .. } | Self::Firing { .. } | Self::Resolved { .. } => self,
        }
    }

    /// The same if the clock did not step back. Moments that lie ahead would keep it as it is until
    /// they come. When it began firing stays: that tells one alert from another.
    fn rewound(self, now: WallTime) -> Self {
        match self {
            Self::Calm => self,
            Self::Pending { since, held } => Self::Pending {
                since: since.min(now),
                held: held.min(now),
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
        let known: Vec<(u64, Option<bool>)> = seen.iter().map(|&(at, it)| (at, Some(it))).collect();
        unclear(&known, after)
    }

    /// The same where it is not always known.
    fn unclear(seen: &[(u64, Option<bool>)], after: u64) -> Vec<State> {
        let mut state = State::Calm;
        let next = |&(second, holds): &(u64, Option<bool>)| {
            state = state.next(holds, Duration::from_secs(after), at(second));
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
        let waits = State::Pending { since, held: since };
        assert_eq!(seen[1], waits);
        assert_eq!(seen[2], State::Firing { since, held });
    }

    #[test]
    fn what_is_over_is_told_for_a_quarter_of_an_hour_also_where_nothing_is_clear() {
        let (begin, over) = ((1_000, Some(true)), (1_060, Some(false)));
        let told = |second| unclear(&[begin, over, (second, None)], 0)[2];
        let (since, until) = (at(1_000), at(1_060));
        assert_eq!(told(1_959), State::Resolved { since, until });
        assert_eq!(told(1_960), State::Calm);
        let again = unclear(&[begin, over, (1_960, Some(true))], 0)[2];
        let (since, held) = (at(1_960), at(1_960));
        assert_eq!(again, State::Firing { since, held });
    }

    #[test]
    fn what_did_not_hold_for_a_minute_waits_anew() {
        let after = 600;
        let waits = |since, held| State::Pending {
            since: at(since),
            held: at(held),
        };
        let holds = |second| (second, Some(true));
        let short = unclear(&[holds(1_000), (1_059, None), holds(1_059)], after);
        assert_eq!(short[1..], [waits(1_000, 1_000), waits(1_000, 1_059)]);
        let long = unclear(&[holds(1_000), (1_060, None), holds(22_600)], after);
        assert_eq!(long[1..], [State::Calm, waits(22_600, 22_600)]);
        // Nor where nobody looked in between.
        let unseen = unclear(&[holds(1_000), holds(22_600)], after);
        assert_eq!(unseen[1], waits(22_600, 22_600));
    }
}
