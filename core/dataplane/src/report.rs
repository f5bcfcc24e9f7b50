//! What a VM tells the control plane, as plain values, and how they travel.

mod split;
mod wire;

use sloop_model::{
    Dimension, DimensionValue, LatencyCounts, ObjectiveId, Outcome, OutcomeClass, Scope, Share,
    Side, WallTime,
};

use crate::breaker::{BreakerState, Cause};
use crate::deny::DenyCounts;
use crate::fault::ArmDelta;
use crate::shed::ShedCounts;

pub use wire::readings;

/// Counts since the last report that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Names the VM, for as long as it lives.
    pub incarnation: u64,
    /// 1 for the VM's first report.
    pub sequence: u64,
    /// Since when.
    pub from: WallTime,
    /// Until when.
    pub to: WallTime,
    /// Sorted by service, route and side, no duplicates; scopes without news are left out.
    pub scopes: Vec<ScopeDelta>,
    /// The configurations in force, at most one per side.
    pub filters: Vec<FilterStatus>,
    /// What deny rules did. Those that did nothing are left out.
    pub denials: Vec<DenyDelta>,
    /// What should not have happened.
    pub trouble: Trouble,
}

/// What ended in one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeDelta {
    /// The scope.
    pub scope: Scope,
    /// Requests that ended.
    pub requests: u64,
    /// Of these, by [`Outcome::index`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Sorted by id; those without counts are left out.
    pub objectives: Vec<ObjectiveDelta>,
    /// How often which latency.
    pub latency: LatencyCounts,
    /// Requests under way. Not a delta.
    pub in_flight: u32,
    /// What the breaker did, if there is or was one.
    pub breaker: Option<BreakerDelta>,
    /// Requests that were held back as a fault.
    pub delayed: u64,
    /// Requests that were answered as a fault.
    pub aborted: u64,
    /// Attempts beyond the first, where these are counted: on the server side the requests that were
    /// one, on the client side those that Envoy made for the requests that ended.
    pub retries: u64,
    /// Values that had requests, by dimension, no duplicates. The requests of a dimension add up
    /// to `requests`, but for those that began before it was configured.
    pub dimensions: Vec<DimensionDelta>,
    /// What shedding did, if there is any.
    pub shed: Option<ShedDelta>,
    /// Requests that a deny rule would have refused without its shadow mode.
    pub shadow_denied: u64,
    /// Of these, those that were good.
    pub shadow_denied_good: u64,
    /// What ended in the arms of experiments. Sorted by experiment and arm.
    pub arms: Vec<ArmDelta>,
    /// What the retry budget did.
    pub budget: RetryDelta,
}

/// What the retry budget of one scope did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryDelta {
    /// Retries refused; where requests go out, requests that were not tried again.
    pub refused: u64,
    /// Retries that shadow mode would have refused; where requests go out, requests that were tried again.
    pub shadow_refused: u64,
    /// Of these, those that were good all the same.
    pub shadow_refused_good: u64,
}

/// What shedding did on one scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShedDelta {
    /// The share of all requests that is being shed. Not a delta.
    pub level: Share,
    /// What was shed, and what would have been.
    pub counts: ShedCounts,
}

/// What one deny rule did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyDelta {
    /// On which side.
    pub side: Side,
    /// Its id.
    pub id: Box<str>,
    /// What it did.
    pub counts: DenyCounts,
}

/// What ended for one value of a dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DimensionDelta {
    /// Which dimension.
    pub dimension: Dimension,
    /// Which value.
    pub value: DimensionValue,
    /// Requests by [`OutcomeClass::index`]; together all of the value.
    pub classes: [u64; OutcomeClass::ALL.len()],
    /// Total and good of each of the scope's [`ScopeDelta::objectives`], as many and in their order.
    pub objectives: Vec<(u64, u64)>,
}

/// Counts for one objective.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectiveDelta {
    /// Which.
    pub id: ObjectiveId,
    /// Requests that it is about.
    pub total: u64,
    /// Of these, those that met it.
    pub good: u64,
}

impl ObjectiveDelta {
    /// No counts.
    pub(crate) const fn none(id: ObjectiveId) -> Self {
        Self {
            id,
            total: 0,
            good: 0,
        }
    }

    /// Takes the counts out.
    pub(crate) fn take(&mut self) -> Self {
        let taken = self.clone();
        (self.total, self.good) = (0, 0);
        taken
    }
}

/// What one breaker did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerDelta {
    /// Its state.
    pub state: BreakerState,
    /// Changes of state, oldest first, at most 16.
    pub changes: Vec<(BreakerState, WallTime, Cause)>,
    /// Requests refused.
    pub refused: u64,
    /// Requests that shadow mode would have refused.
    pub shadow_refused: u64,
    /// Of these, those that were good all the same.
    pub shadow_refused_good: u64,
}

/// A configuration in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterStatus {
    /// Whose.
    pub side: Side,
    /// Which.
    pub generation: u64,
    /// Since when.
    pub applied_at: WallTime,
    /// The version of the service that the sidecar belongs to, if it is configured.
    pub version: Option<DimensionValue>,
}

/// Things that should not happen, counted since the last report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Requests of routes beyond the cap.
    pub routes_over_cap: u64,
    /// Ends of requests whose beginning was not seen.
    pub ends_without_beginning: u64,
    /// Calls into Envoy that failed.
    pub hostcalls_failed: u64,
    /// Configurations refused.
    pub configs_refused: u64,
    /// Reports that had to be sent again.
    pub reports_repeated: u64,
    /// Requests that a fault should have held back while too many others were.
    pub delays_over_cap: u64,
    /// Requests that passed uncounted, because too many others were under way.
    pub requests_over_cap: u64,
    /// Requests with a value of a dimension that was no value or beyond the cap, counted as `other`.
    pub values_over_cap: u64,
    /// Statistics that were not shown because there were too many.
    pub stats_over_cap: u64,
    /// Requests whose deadline had passed, and that passed since deadlines are not enforced.
    pub late_passed: u64,
    /// Requests that a fault should have touched while too many others were.
    pub faults_over_cap: u64,
    /// Spans that found no room in the queue.
    pub spans_dropped: u64,
    /// Spans that no collector took.
    pub spans_lost: u64,
    /// Ticks at which other workers were always faster to tell about their breakers.
    pub boards_contended: u64,
    /// Requests that were gone without an end.
    pub ends_unseen: u64,
    /// Requests in an arm of an experiment that was one too many on its scope, and so not counted apart.
    pub arms_over_cap: u64,
}

impl Trouble {
    /// How many kinds there are.
    pub const KINDS: usize = 16;

    /// Each kind by its name.
    #[must_use]
    pub const fn kinds(&self) -> [(&'static str, u64); Self::KINDS] {
        let Self {
            routes_over_cap,
            ends_without_beginning,
            hostcalls_failed,
            configs_refused,
            reports_repeated,
            delays_over_cap,
            requests_over_cap,
            values_over_cap,
            stats_over_cap,
            late_passed,
            faults_over_cap,
            spans_dropped,
            spans_lost,
            boards_contended,
            ends_unseen,
            arms_over_cap,
        } = *self;
        [
            ("routes_over_cap", routes_over_cap),
            ("ends_without_beginning", ends_without_beginning),
            ("hostcalls_failed", hostcalls_failed),
            ("configs_refused", configs_refused),
            ("reports_repeated", reports_repeated),
            ("delays_over_cap", delays_over_cap),
            ("requests_over_cap", requests_over_cap),
            ("values_over_cap", values_over_cap),
            ("stats_over_cap", stats_over_cap),
            ("late_passed", late_passed),
            ("faults_over_cap", faults_over_cap),
            ("spans_dropped", spans_dropped),
            ("spans_lost", spans_lost),
            ("boards_contended", boards_contended),
            ("ends_unseen", ends_unseen),
            ("arms_over_cap", arms_over_cap),
        ]
    }
}
