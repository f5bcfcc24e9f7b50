//! Whom Sloop is compared with.

use super::guard::{Each, Guard, Nothing};
use super::rivals::{AdmissionControl, Gradient, Resilience, Throttle};
use super::sloop::{Sloop, budget, declared, declared_by};
use sloop_model::Side;

/// What the proxies do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rival {
    /// Nothing.
    Nothing,
    /// Envoy's outlier detection and circuit breakers.
    Outliers,
    /// Envoy's filter `admission_control`.
    AdmissionControl,
    /// Envoy's filter `adaptive_concurrency`.
    AdaptiveConcurrency,
    /// Client-side throttling of the SRE book, K = 2.
    Throttle,
    /// The circuit breaker of resilience4j.
    Resilience4j,
    /// Sloop alone.
    Sloop,
    /// Sloop in an Envoy that has outlier detection and circuit breakers too.
    SloopOutliers,
    /// Sloop with its control plane, as a process. In virtual time its controllers are always beside it.
    SloopControlled,
    /// Sloop at the callers, whose Envoys try again behind it.
    SloopCallers,
    /// A retry budget there, and nothing else.
    BudgetCallers,
}

impl Rival {
    /// All that stand at the service, in the order of tables.
    pub const ALL: [Self; 8] = [
        Self::Nothing,
        Self::Outliers,
        Self::AdmissionControl,
        Self::AdaptiveConcurrency,
        Self::Throttle,
        Self::Resilience4j,
        Self::Sloop,
        Self::SloopOutliers,
    ];

    /// Those that stand at the callers. They are played when they are named.
    pub const CALLERS: [Self; 2] = [Self::SloopCallers, Self::BudgetCallers];

    /// All, those at the service first, and those last that there are on real Envoys alone.
    pub fn everybody() -> impl Iterator<Item = Self> {
        let virtually = Self::ALL.into_iter().chain(Self::CALLERS);
        virtually.chain([Self::SloopControlled])
    }

    /// For tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Outliers => "outliers",
            Self::AdmissionControl => "admission",
            Self::AdaptiveConcurrency => "adaptive",
            Self::Throttle => "throttle",
            Self::Resilience4j => "r4j",
            Self::Sloop => "sloop",
            Self::SloopOutliers => "sloop+out",
            Self::SloopControlled => "sloop+cp",
            Self::SloopCallers => "sloop-callers",
            Self::BudgetCallers => "budget-callers",
        }
    }

    /// What it is, and where its model comes from.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Nothing => "round robin over the hosts, nothing else",
            Self::Outliers => {
                "Envoy's outlier detection and circuit breakers with their defaults, but all hosts may be ejected (Envoy's API reference)"
            }
            Self::AdmissionControl => {
                "Envoy's admission_control with its defaults (its documentation)"
            }
            Self::AdaptiveConcurrency => {
                "Envoy's adaptive_concurrency with its defaults and the example's times (its documentation)"
            }
            Self::Throttle => {
                "client-side throttling with K = 2 over two minutes (SRE book, chapter 21)"
            }
            Self::Resilience4j => {
                "resilience4j's circuit breaker with its defaults (its documentation)"
            }
            Self::Sloop => "an SLO that acts, 99 % within 250 ms; all else is derived",
            Self::SloopOutliers => "the same, in an Envoy that has `outliers` too",
            Self::SloopControlled => {
                "the same SLO as a document of the control plane, which derives, hears and orders"
            }
            Self::SloopCallers => {
                "the same SLO counted at the callers, whose Envoys try again behind Sloop"
            }
            Self::BudgetCallers => "a retry budget at the callers, and nothing else",
        }
    }

    pub(super) const fn ejects(self) -> bool {
        match self {
            Self::Outliers | Self::SloopOutliers => true,
            Self::Nothing
            | Self::AdmissionControl
            | Self::AdaptiveConcurrency
            | Self::Throttle
            | Self::Resilience4j
            | Self::Sloop
            | Self::SloopControlled
            | Self::SloopCallers
            | Self::BudgetCallers => false,
        }
    }

    pub(super) fn guard(self, seed: u64) -> Box<dyn Guard> {
        match self {
            Self::Nothing | Self::Outliers => Box::new(Nothing),
            Self::AdmissionControl => Box::new(Each::<AdmissionControl>(Default::default())),
            Self::AdaptiveConcurrency => Box::new(Each::<Gradient>(Default::default())),
            Self::Throttle => Box::new(Each::<Throttle>(Default::default())),
            Self::Resilience4j => Box::new(Each::<Resilience>(Default::default())),
            Self::Sloop | Self::SloopOutliers | Self::SloopControlled => {
                Box::new(Sloop::new(seed, declared()))
            }
            Self::SloopCallers => Box::new(Sloop::new(seed, declared_by(Side::Client))),
            Self::BudgetCallers => Box::new(Sloop::new(seed, budget())),
        }
    }
}
