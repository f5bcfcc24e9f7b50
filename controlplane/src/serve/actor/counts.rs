//! Which counts of reports cannot be, and that it is said.

use std::time::{Duration, Instant};

use crate::door::Limit;
use crate::ingest::{Report, ReportLimits};
use crate::metrics::DoorMetrics;

/// It is said in the log once in so long: sidecars can bring it about as often as they report.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What reports may count.
#[derive(Debug, Default)]
pub(super) struct Counts {
    limits: ReportLimits,
    metrics: Option<DoorMetrics>,
    said: Option<Instant>,
}

impl Counts {
    pub(super) const fn within(limits: ReportLimits, metrics: DoorMetrics) -> Self {
        Self {
            limits,
            metrics: Some(metrics),
            said: None,
        }
    }

    /// Leaves out of `report` what cannot have happened in `span`. Returns how much that was.
    pub(super) fn check(&self, report: &mut Report, span: Duration) -> u64 {
        // Rounded up, and at least what a VM is believed without having reported: never zero.
        let seconds = span.as_secs().saturating_add(1);
        report.leave_out_above(seconds.saturating_mul(self.limits.requests_per_second.into()))
    }

    /// Counts and says that so much was left out of a report that was new.
    pub(super) fn note(&mut self, left_out: u64, report: &Report, now: Instant) {
        if left_out == 0 {
            return;
        }
        if let Some(metrics) = &self.metrics {
            metrics.hit(Limit::ReportCounts);
        }
        if self.said.is_none_or(|said| SAID_EVERY <= now - said) {
            self.said = Some(now);
            tracing::warn!(
                node = report.node,
                service = report.group,
                left_out,
                max_per_second = self.limits.requests_per_second,
                "a sidecar reports more requests than there can have been; what cannot be does not count"
            );
        }
    }
}
