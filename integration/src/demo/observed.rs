//! What was seen during one run, before anything is made of it.

use serde::{Deserialize, Serialize};
use sloop_bench::{Ending, Lateness};
use sloop_controllers::Spent;
pub use sloop_controllers::{BreakerCause, BreakerState};

use super::decided::Ordered;
use super::heard::Heard;
use super::plan::Phase;
use crate::shop::{CheckoutStatus, Episode};

/// Whether breakers refused, or only said when they would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// They decided and counted.
    Shadow,
    /// They refused.
    Enforced,
}

impl Enforcement {
    /// The value of the annotation `sloop.dev/mode` that asks for it.
    #[must_use]
    pub const fn annotation(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Enforced => "actionable",
        }
    }

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Enforced => "enforced",
        }
    }
}

/// One request of a user.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What the user wanted.
    pub route: String,
    /// When, in milliseconds after the beginning of the run.
    pub at_ms: u64,
    /// From then to its end, in microseconds.
    pub latency_us: u64,
    /// How it ended.
    pub ending: Ending,
    /// What kind of answer the shop said it was.
    pub answer: Option<String>,
}

/// A breaker's change of state, as its sidecar reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose sidecar.
    pub node: String,
    /// Which of its Wasm VMs and which route: one breaker.
    pub breaker: String,
    /// When, in milliseconds since the Unix epoch, by the sidecar's clock.
    pub at_ms: u64,
    /// To which state.
    pub to: BreakerState,
    /// Why.
    pub cause: BreakerCause,
}

/// From a push to its effect in one VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// How long it took, in milliseconds.
    pub after_ms: u64,
}

/// How fast one SLO burned at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Burn {
    /// Which SLO.
    pub slo: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How many times faster than the budget allows, over the shortest window.
    pub rate: f64,
}

/// What one objective counted in the whole run, as the control plane says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// Which SLO.
    pub slo: String,
    /// The share that must be good.
    pub target: f64,
    /// Requests that it is about.
    pub total: u64,
    /// Those among them that missed it.
    pub bad: u64,
}

/// Everything that was seen during one run.
#[derive(Clone, Debug)]
pub struct Observed {
    /// How it was run.
    pub enforcement: Enforcement,
    /// When it began, in milliseconds since the Unix epoch.
    pub began_ms: u64,
    /// What was to happen.
    pub phases: Vec<Phase>,
    /// All requests.
    pub seen: Vec<Seen>,
    /// Requests that reached `edge`'s sidecar, as the generator knows it.
    pub sent_requests: u64,
    /// Requests that `edge`'s sidecar counted in the same time, as the control plane says.
    pub counted_requests: u64,
    /// Breakers on calls to `payments`.
    pub changes: Vec<Change>,
    /// Sidecars that call `payments`.
    pub callers: Vec<String>,
    /// What `payments` itself recorded.
    pub episodes: Vec<Episode>,
    /// Pushes that were seen to take effect.
    pub effects: Vec<Effect>,
    /// How fast SLOs burned.
    pub burns: Vec<Burn>,
    /// What SLOs counted.
    pub counted: Vec<Counted>,
    /// Orders to open breakers, as the control plane explains them.
    pub ordered: Vec<Ordered>,
    /// What each sidecar spent of the budget of `payments`.
    pub spent: Vec<Spent>,
    /// Alerts that people were told of.
    pub heard: Vec<Heard>,
    /// What became of orders without a charge.
    pub orders: CheckoutStatus,
    /// How late the generator was.
    pub lateness: Lateness,
}
