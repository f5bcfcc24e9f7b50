//! Instruments of the components.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};
use sloop_controllers::{Controllers, Lost, Stage};

use super::counter::{counter, counter_by};
use super::effects::EffectMetrics;
use crate::alerts::Ended;
use crate::ingest::{Report, Trouble, Verdict};

/// From a quiet memory operation to a disk that hangs; a factor of about three each.
const SECONDS: [f64; 10] = [
    0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0,
];

/// A histogram of seconds.
pub(super) fn seconds(
    meter: &Meter,
    name: &'static str,
    description: &'static str,
) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_unit("s")
        .with_description(description)
        .with_boundaries(SECONDS.to_vec())
        .build()
}

/// What telling people of alerts measures.
#[derive(Clone, Debug)]
pub struct AlertMetrics {
    deliveries: Counter<u64>,
    dropped: Counter<u64>,
}

impl AlertMetrics {
    /// Creates the instruments.
    #[must_use]
    pub fn register(meter: &Meter) -> Self {
        Self {
            deliveries: counter_by(
                meter,
                (
                    "alert_deliveries",
                    "Attempts to tell somebody of an alert, by what became of them.",
                ),
                "result",
                ["told", "again", "refused"],
            ),
            dropped: counter(
                meter,
                "alerts_dropped",
                "Alerts that somebody should have been told of while too many others waited, each once.",
            ),
        }
    }

    /// An attempt ended.
    pub fn ended(&self, ended: Ended) {
        let result = match ended {
            Ended::Told => "told",
            Ended::Again(_) => "again",
            Ended::Refused => "refused",
        };
        self.deliveries.add(1, &[KeyValue::new("result", result)]);
    }

    /// `count` alerts found no room.
    pub fn dropped(&self, count: u64) {
        self.dropped.add(count, &[]);
    }
}

/// What became of the reports that were taken at one go: they are counted together, as labels are looked for each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// Reports that were counted.
    pub received: u64,
    /// Reports that came again, and were not counted again.
    pub repeated: u64,
    /// Reports, of those that were counted, whose predecessor never came.
    pub gaps: u64,
}

impl Intake {
    /// One more.
    pub const fn note(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Repeated => self.repeated += 1,
            Verdict::Next => self.received += 1,
            Verdict::AfterGap => {
                self.received += 1;
                self.gaps += 1;
            }
        }
    }
}

/// What the report service measures.
#[derive(Clone, Debug)]
pub struct IngestMetrics {
    reports: Counter<u64>,
    scopes_dropped: Counter<u64>,
    gaps: Counter<u64>,
    vms_gone: Counter<u64>,
    trouble: Counter<u64>,
    commits_failed: Counter<u64>,
    failing: Gauge<u64>,
    commit: Histogram<f64>,
    effects: EffectMetrics,
}

impl IngestMetrics {
    /// Creates the instruments.
    #[must_use]
    pub fn register(meter: &Meter) -> Self {
        let failing = meter
            .u64_gauge("store_failing")
            .with_description("1 while the store takes nothing, as on a full disk, else 0.")
            .build();
        failing.record(0, &[]);
        Self {
            reports: counter_by(
                meter,
                ("reports", "Reports that came, by what became of them."),
                "result",
                ["received", "repeated", "refused", "denied", "put_off"],
            ),
            scopes_dropped: counter(
                meter,
                "report_scopes_dropped",
                "Scopes, deny rules and trouble in reports that made no sense, were too many or counted more than can be, and were left out.",
            ),
            gaps: counter(
                meter,
                "report_gaps",
                "Reports whose predecessor never came, so its counts are lost.",
            ),
            vms_gone: counter(
                meter,
                "filter_vms_gone",
                "VMs of filters that said nothing for ten minutes: ended, or cut off.",
            ),
            trouble: counter_by(
                meter,
                (
                    "filter_trouble",
                    "Things that should not happen in a filter and did, by kind, as filters report them.",
                ),
                "kind",
                Trouble::default().kinds().map(|(kind, _)| kind),
            ),
            commits_failed: counter(
                meter,
                "store_commits_failed",
                "Batches that the store did not take; they are tried again.",
            ),
            failing,
            commit: seconds(
                meter,
                "store.commit.duration",
                "Time to make a batch of changes durable.",
            ),
            effects: EffectMetrics::register(meter),
        }
    }

    /// This became of reports that were taken at one go.
    pub fn taken(&self, intake: Intake) {
        let Intake {
            received,
            repeated,
            gaps,
        } = intake;
        for (count, result) in [(received, "received"), (repeated, "repeated")] {
            if 0 < count {
                self.reports.add(count, &[KeyValue::new("result", result)]);
            }
        }
        self.gaps.add(gaps, &[]);
    }

    /// A report made no sense.
    pub fn report_refused(&self) {
        self.reports.add(1, &[KeyValue::new("result", "refused")]);
    }

    /// A report was about something that its sender may not report about.
    pub fn report_denied(&self) {
        self.reports.add(1, &[KeyValue::new("result", "denied")]);
    }

    /// A report came while too many others waited, or the store took nothing; the filter sends it again.
    pub fn report_put_off(&self) {
        self.reports.add(1, &[KeyValue::new("result", "put_off")]);
    }

    /// `count` scopes of a report made no sense or were too many.
    pub fn scopes_dropped(&self, count: u64) {
        self.scopes_dropped.add(count, &[]);
    }

    /// So many VMs of filters said nothing for too long.
    pub fn vms_gone(&self, count: usize) {
        if count != 0 {
            self.vms_gone.add(count as u64, &[]);
        }
    }

    /// A report that was counted tells of `trouble`.
    pub fn trouble(&self, trouble: &Trouble) {
        for (kind, count) in trouble.kinds() {
            if 0 < count {
                self.trouble.add(count, &[KeyValue::new("kind", kind)]);
            }
        }
    }

    /// A report that was counted tells what was done to requests on purpose.
    pub fn effects(&self, report: &Report) {
        self.effects.add(report);
    }

    /// A batch was made durable in `took`.
    pub fn committed(&self, took: Duration) {
        self.commit.record(took.as_secs_f64(), &[]);
    }

    /// A batch could not be made durable.
    pub fn commit_failed(&self) {
        self.commits_failed.add(1, &[]);
    }

    /// Whether the store takes nothing.
    pub fn set_failing(&self, is_failing: bool) {
        self.failing.record(is_failing.into(), &[]);
    }
}

/// What the decision loop measures.
#[derive(Clone, Debug)]
pub struct StepMetrics {
    step: Histogram<f64>,
    lost: Counter<u64>,
    decisions: Counter<u64>,
}

impl StepMetrics {
    /// Creates the instruments.
    #[must_use]
    pub fn register(meter: &Meter) -> Self {
        Self {
            step: seconds(
                meter,
                "step.duration",
                "Time that all controllers took to decide.",
            ),
            lost: counter_by(
                meter,
                (
                    "requests_not_counted",
                    "Requests in reports that no budget counts, by why.",
                ),
                "reason",
                ["over_cap", "too_late", "elsewhere", "too_late_for_slices"],
            ),
            decisions: decisions(meter),
        }
    }

    /// What could not be counted grew from `before` to `after`.
    pub fn lost(&self, before: Lost, after: Lost) {
        for (reason, count) in [
            ("over_cap", after.over_cap.saturating_sub(before.over_cap)),
            ("too_late", after.too_late.saturating_sub(before.too_late)),
            (
                "elsewhere",
                after.elsewhere.saturating_sub(before.elsewhere),
            ),
            (
                "too_late_for_slices",
                after
                    .too_late_for_slices
                    .saturating_sub(before.too_late_for_slices),
            ),
        ] {
            if count > 0 {
                self.lost.add(count, &[KeyValue::new("reason", reason)]);
            }
        }
    }

    /// A step took `took`, in which these controllers changed their minds, each time with its stage and its kind.
    pub fn stepped(&self, took: Duration, decided: &[(Stage, &'static str)]) {
        for controller in decided {
            self.decisions.add(1, &named(*controller));
        }
        self.step.record(took.as_secs_f64(), &[]);
    }
}

/// Counts decisions by who made them: there from the beginning for each controller that there is.
fn decisions(meter: &Meter) -> Counter<u64> {
    let counter = meter
        .u64_counter("decisions")
        .with_description("Times that a controller changed its mind, by its stage and the kind of what it decides about.")
        .build();
    for controller in Controllers::with_all().names() {
        counter.add(0, &named(controller));
    }
    counter
}

/// The labels that tell a controller from others.
fn named((stage, kind): (Stage, &'static str)) -> [KeyValue; 2] {
    let stage = match stage {
        Stage::Measure => "measure",
        Stage::Protect => "protect",
        Stage::Change => "change",
        Stage::Advise => "advise",
    };
    [KeyValue::new("stage", stage), KeyValue::new("kind", kind)]
}

/// What reading documents measures.
#[derive(Clone, Debug)]
pub struct DocumentMetrics {
    loads: Counter<u64>,
    intents: Gauge<u64>,
    refused: Gauge<u64>,
}

impl DocumentMetrics {
    /// Creates the instruments.
    #[must_use]
    pub fn register(meter: &Meter) -> Self {
        Self {
            loads: counter(
                meter,
                "documents_loads",
                "Times that changed documents were read.",
            ),
            intents: meter
                .u64_gauge("documents_intents")
                .with_description("Intents in force.")
                .build(),
            refused: meter
                .u64_gauge("documents_files_refused")
                .with_description("Files with problems, which keep what they said before.")
                .build(),
        }
    }

    /// Documents were read.
    pub fn loaded(&self, intents: usize, refused: usize) {
        self.loads.add(1, &[]);
        self.intents
            .record(u64::try_from(intents).unwrap_or(u64::MAX), &[]);
        self.refused
            .record(u64::try_from(refused).unwrap_or(u64::MAX), &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_after_a_gap_is_received_and_a_gap() {
        let mut intake = Intake::default();
        for verdict in [
            Verdict::Next,
            Verdict::AfterGap,
            Verdict::Repeated,
            Verdict::AfterGap,
        ] {
            intake.note(verdict);
        }
        let expected = Intake {
            received: 3,
            repeated: 1,
            gaps: 2,
        };
        assert_eq!(intake, expected);
    }
}
