//! What should not happen in a filter, as it counts itself.

use sloop_xds_protos::report::v1 as wire;

/// What went wrong in one VM since its last report. All are counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Requests of routes beyond the cap, counted in the route `other`.
    pub routes_over_cap: u64,
    /// Ends of requests whose beginning the filter did not see.
    pub ends_without_beginning: u64,
    /// Calls into Envoy that failed.
    pub hostcalls_failed: u64,
    /// Configurations that the filter refused.
    pub configs_refused: u64,
    /// Reports that had to be sent again.
    pub reports_repeated: u64,
    /// Requests that a fault should have held back while too many others were.
    pub delays_over_cap: u64,
    /// Requests that passed uncounted, because too many others were under way.
    pub requests_over_cap: u64,
    /// Requests with a value of a dimension that was no value or beyond the cap.
    pub values_over_cap: u64,
    /// Statistics of Envoy that were not shown because there were too many.
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
    /// Requests in an arm of an experiment that was one too many.
    pub arms_over_cap: u64,
}

impl Trouble {
    /// Each kind by its name.
    #[must_use]
    pub const fn kinds(&self) -> [(&'static str, u64); 16] {
        [
            ("routes_over_cap", self.routes_over_cap),
            ("ends_without_beginning", self.ends_without_beginning),
            ("hostcalls_failed", self.hostcalls_failed),
            ("configs_refused", self.configs_refused),
            ("reports_repeated", self.reports_repeated),
            ("delays_over_cap", self.delays_over_cap),
            ("requests_over_cap", self.requests_over_cap),
            ("values_over_cap", self.values_over_cap),
            ("stats_over_cap", self.stats_over_cap),
            ("late_passed", self.late_passed),
            ("faults_over_cap", self.faults_over_cap),
            ("spans_dropped", self.spans_dropped),
            ("spans_lost", self.spans_lost),
            ("boards_contended", self.boards_contended),
            ("ends_unseen", self.ends_unseen),
            ("arms_over_cap", self.arms_over_cap),
        ]
    }
}

impl From<wire::Trouble> for Trouble {
    fn from(trouble: wire::Trouble) -> Self {
        Self {
            routes_over_cap: trouble.routes_over_cap,
            ends_without_beginning: trouble.ends_without_beginning,
            hostcalls_failed: trouble.hostcalls_failed,
            configs_refused: trouble.configs_refused,
            reports_repeated: trouble.reports_repeated,
            delays_over_cap: trouble.delays_over_cap,
            requests_over_cap: trouble.requests_over_cap,
            values_over_cap: trouble.values_over_cap,
            stats_over_cap: trouble.stats_over_cap,
            late_passed: trouble.late_passed,
            faults_over_cap: trouble.faults_over_cap,
            spans_dropped: trouble.spans_dropped,
            spans_lost: trouble.spans_lost,
            boards_contended: trouble.boards_contended,
            ends_unseen: trouble.ends_unseen,
            arms_over_cap: trouble.arms_over_cap,
        }
    }
}
