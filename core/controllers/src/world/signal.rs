//! Facts that one stage derives for the later ones.

use serde::{Deserialize, Serialize};
use sloop_model::{ObjectiveId, Scope, ServiceName, SloName, Target, WallTime};

use crate::{AlertStatus, ChangeStatus, World};

/// A fact that one stage derived for the later ones and for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// The rate of failures changed for the worse, and that goes on.
    Changed {
        /// Of which objective.
        objective: ObjectiveId,
        /// The service that is asked.
        service: ServiceName,
        /// When, and what was counted since.
        change: ChangeStatus,
    },
    /// An alert of a policy, which people are told of or soon will be.
    Alert(Box<AlertStatus>),
    /// The objective is about the service, so it would burn if the service were unwell.
    Watched {
        /// Which objective.
        objective: ObjectiveId,
        /// The service that is asked.
        service: ServiceName,
        /// Until when its newest report says how the service is; long ago when there is none.
        until: WallTime,
        /// When it last burned faster than slowly, of the last five minutes, also of those before the process began; nothing when it
        /// did not, or when that is not known.
        burned: Option<WallTime>,
    },
    /// The objective is evaluated here.
    Objective {
        /// Which objective.
        objective: ObjectiveId,
        /// What it is counted on.
        scope: Scope,
        /// The share of requests that must be good.
        target: Target,
        /// Requests that may still be bad; nothing when not known, negative when overspent.
        left: Option<f64>,
    },
    /// Breakers are ordered to open to protect the SLO, and they obey.
    Ordered {
        /// Which SLO.
        slo: SloName,
    },
    /// An experiment injects faults.
    Experimenting {
        /// Its name.
        name: String,
        /// Since when.
        since: WallTime,
        /// The objectives that it is about.
        objectives: Vec<ObjectiveId>,
    },
    /// How much of the objective's error budget is left.
    BudgetLeft {
        /// Which objective.
        objective: ObjectiveId,
        /// The share that is left, at most 1; negative when overspent.
        share: f64,
    },
}

impl Signal {
    /// The alert, if it is one.
    #[must_use]
    pub fn alert(&self) -> Option<&AlertStatus> {
        match self {
            Self::Alert(alert) => Some(alert),
            Self::Burning { .. }
            | Self::Changed { .. }
            | Self::Watched { .. }
            | Self::Objective { .. }
            | Self::Ordered { .. }
            | Self::Experimenting { .. }
            | Self::BudgetLeft { .. } => None,
        }
    }

    /// The SLO that breakers are ordered to open for, if it says that they are.
    pub(super) const fn protected(&self) -> Option<&SloName> {
        match self {
            Self::Ordered { slo } => Some(slo),
            Self::Burning { .. }
            | Self::Changed { .. }
            | Self::Alert(_)
            | Self::Watched { .. }
            | Self::Objective { .. }
            | Self::Experimenting { .. }
            | Self::BudgetLeft { .. } => None,
        }
    }

    /// Whether the next step is to know of it.
    pub(super) const fn is_lasting(&self) -> bool {
        match self {
            Self::Alert(_) | Self::Experimenting { .. } => true,
            Self::Burning { .. }
            | Self::Changed { .. }
            | Self::Watched { .. }
            | Self::Objective { .. }
            | Self::Ordered { .. }
            | Self::BudgetLeft { .. } => false,
        }
    }
}

/// How fast a budget burns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

impl World {
    /// Adds what an earlier stage of this step derived.
    pub(crate) fn add_signals(&mut self, signals: impl IntoIterator<Item = Signal>) {
        for signal in signals {
            if signal.is_lasting() {
                self.lasting.push(self.signals.len());
            }
            self.protected.extend(signal.protected().cloned());
            self.signals.push(signal);
        }
    }

    /// How fast objectives about `service` burn, by the fastest; nothing when none does.
    #[must_use]
    pub fn burning(&self, service: &ServiceName) -> Option<(&ObjectiveId, Speed)> {
        let burning = |signal| match signal {
            &Signal::Burning {
                ref objective,
                service: ref burning,
                speed,
            } if burning == service => Some((objective, speed)),
            Signal::Burning { .. }
            | Signal::Changed { .. }
            | Signal::Alert(_)
            | Signal::Watched { .. }
            | Signal::Objective { .. }
            | Signal::Ordered { .. }
            | Signal::Experimenting { .. }
            | Signal::BudgetLeft { .. } => None,
        };
        self.signals
            .iter()
            .filter_map(burning)
            .max_by_key(|(_, speed)| *speed)
    }

    /// Until when it is known how `service` is, by the objectives about it. Before
    /// now when nobody reported on any of them lately, and nothing when there is none.
    #[must_use]
    pub fn watched_until(&self, service: &ServiceName) -> Option<WallTime> {
        let until = |signal: &Signal| match signal {
            Signal::Watched {
                service: watched,
                until,
                ..
            } if watched == service => Some(*until),
            Signal::Burning { .. }
            | Signal::Changed { .. }
            | Signal::Alert(_)
            | Signal::Watched { .. }
            | Signal::Objective { .. }
            | Signal::Ordered { .. }
            | Signal::Experimenting { .. }
            | Signal::BudgetLeft { .. } => None,
        };
        self.signals.iter().filter_map(until).max()
    }

    /// When an objective about `service` last burned faster than slowly, of the last five minutes; nothing when none did.
    #[must_use]
    pub fn burned(&self, service: &ServiceName) -> Option<WallTime> {
        let burned = |signal: &Signal| match signal {
            Signal::Watched {
                service: watched,
                burned,
                ..
            } if watched == service => *burned,
            Signal::Burning { .. }
            | Signal::Changed { .. }
            | Signal::Alert(_)
            | Signal::Watched { .. }
            | Signal::Objective { .. }
            | Signal::Ordered { .. }
            | Signal::Experimenting { .. }
            | Signal::BudgetLeft { .. } => None,
        };
        self.signals.iter().filter_map(burned).max()
    }

    /// Whether breakers are ordered to open to protect `slo`.
    pub(crate) fn is_ordered(&self, slo: &SloName) -> bool {
        self.protected.contains(slo)
    }
}
