//! When all sidecars can have been heard of that are there.
//!
//! Who sees bad requests reports at once, who sees none at the interval that it was told. So after nobody
//! was heard of, the first report is that of the one with the trouble, and the others have yet to come.

use core::time::Duration;

use super::World;

impl World {
    /// How often sidecars report by default (`ReportSettings`).
    const REPORT_INTERVAL: Duration = Duration::from_secs(1);

    /// How often sidecars report when all is well, as they are told to; a second unless it is told.
    pub const fn set_report_interval(&mut self, interval: Duration) {
        self.report_interval = Some(interval);
    }

    /// How often sidecars report.
    #[must_use]
    pub fn report_interval(&self) -> Duration {
        self.report_interval.unwrap_or(Self::REPORT_INTERVAL)
    }

    /// How long after a first report others may not have come yet: an interval, and what a report may be late.
    pub(super) fn gathers(&self) -> Duration {
        let interval = self.report_interval();
        interval + interval.min(Self::REPORT_DELAY_MAX)
    }
}
