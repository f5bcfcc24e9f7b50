//! Facts that one stage derives for the later ones.

use serde::{Deserialize, Serialize};
use sloop_model::{ObjectiveId, ServiceName, WallTime};

/// A fact that one stage derived for the later ones and for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// The objective's error budget is spent faster than it may.
    Burning {
        /// Which objective.
        objective: ObjectiveId,
        /// The service that is asked.
        service: ServiceName,
        /// How fast it will be gone.
        speed: Speed,
    },
    /// The objective is about the service, so it would burn if the service were unwell.
    Watched {
        /// Which objective.
        objective: ObjectiveId,
        /// The service that is asked.
        service: ServiceName,
        /// Until when its newest report says how the service is; long ago when there is none.
        until: WallTime,
    },
    /// How much of the objective's error budget is left.
    BudgetLeft {
        /// Which objective.
        objective: ObjectiveId,
        /// The share that is left, at most 1; negative when overspent.
        share: f64,
    },
}

/// How fast a budget burns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// The slowest pair of windows: a person should look within days.
    Slow,
    /// The next: a person should look today.
    Fast,
    /// The two fastest pairs: a person should look within the hour.
    Page,
    /// The windows of seconds: no person could react.
    Now,
}
