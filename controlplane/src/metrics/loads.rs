//! What becomes of the load reports of Envoys.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::counter::counter_by;

/// What the service for load reports measures.
#[derive(Clone, Debug)]
pub struct LoadMetrics {
    reports: Counter<u64>,
}

impl LoadMetrics {
    /// Creates the instruments.
    #[must_use]
    pub fn register(meter: &Meter) -> Self {
        Self {
            reports: counter_by(
                meter,
                (
                    "load_reports",
                    "Load reports of Envoys, by what became of them.",
                ),
                "result",
                ["received", "refused", "left_out"],
            ),
        }
    }

    /// A report was counted.
    pub fn received(&self) {
        self.count("received");
    }

    /// A report made no sense or was too large.
    pub fn refused(&self) {
        self.count("refused");
    }

    /// A report counted more than can be, or found no room.
    pub fn left_out(&self) {
        self.count("left_out");
    }

    fn count(&self, result: &'static str) {
        self.reports.add(1, &[KeyValue::new("result", result)]);
    }
}
