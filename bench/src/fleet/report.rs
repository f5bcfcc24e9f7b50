//! Reports: who sends them, how often, and what became of them.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::seen::now;
use crate::quantile::record;
use crate::{Quantile, quantile};

/// Reports of a fleet.
#[derive(Clone, Debug)]
pub struct Reporting {
    /// Fields of an encoded `ReportRequest` that are the same in all: what was counted.
    pub counts: Vec<u8>,
    /// How many of the nodes report; the first ones.
    pub nodes: usize,
    /// How many VMs each of them has. Each sends its next report when the last was answered.
    pub each: usize,
    /// When they do.
    pub pace: Pace,
}

/// When reports are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as the one before was answered.
    AtOnce,
    /// So many a second, of all together, evenly, whether or not earlier ones were answered.
    PerSecond(f64),
}

/// What became of reports.
#[derive(Clone, Debug)]
pub struct Reported {
    /// Answered: they are durable. Whenever they were sent, so that this over the time is what is taken in it.
    pub taken: u64,
    /// Refused or put off; sent again.
    pub refused: u64,
    /// Not sent, since all VMs still waited for an answer.
    pub skipped: u64,
    latency_us: Histogram<u64>,
}

/// One VM of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reporter {
    pub(super) node: usize,
    incarnation: u64,
    sequence: u64,
    pub(super) waits: bool,
}

/// All reports of a fleet.
#[derive(Debug)]
pub(super) struct Reports {
    pub(super) plan: Reporting,
    pub(super) reporters: Vec<Reporter>,
    pub(super) became: Reported,
    /// The incarnation of the first of them; the others' follow.
    first: u64,
    /// How long the answer to what was sent earlier took is not counted.
    counted_since: Instant,
    next: usize,
    begun: Instant,
    /// Of those that should have been sent since then.
    handled: u64,
}

impl Default for Reported {
    #[expect(clippy::expect_used, reason = "three digits are within 0..=5")]
    fn default() -> Self {
        Self {
            taken: 0,
            refused: 0,
            skipped: 0,
            latency_us: Histogram::new(3).expect("three digits are within 0..=5"),
        }
    }
}

impl Reported {
    /// How long answers took, when there were any.
    #[must_use]
    pub fn latency(&self, at: Quantile) -> Option<Duration> {
        quantile(&self.latency_us, at).map(Duration::from_micros)
    }
}

impl Reports {
    /// `first` is an incarnation beyond all that were used before.
    pub(super) fn new(plan: Reporting, first: u64) -> Self {
        let (each, all) = (plan.each, plan.each * plan.nodes);
        let reporter = |index: usize| Reporter {
            node: index.checked_div(each).unwrap_or_default(),
            incarnation: first + index as u64,
            sequence: 1,
            waits: false,
        };
        Self {
            plan,
            reporters: (0..all).map(reporter).collect(),
            became: Reported::default(),
            first,
            counted_since: Instant::now(),
            next: 0,
            begun: Instant::now(),
            handled: 0,
        }
    }

    /// Forgets what became of reports so far. That those on their way are answered counts, but not how long it took.
    pub(super) fn count_anew(&mut self) {
        self.became = Reported::default();
        self.counted_since = Instant::now();
    }

    /// How many should be sent now that were not.
    pub(super) fn due(&self) -> u64 {
        match self.plan.pace {
            // Each once; after that its answer sends the next.
            Pace::AtOnce => (self.reporters.len() as u64).saturating_sub(self.handled),
            Pace::PerSecond(rate) => {
                let all = self.begun.elapsed().mul_f64(rate).as_secs();
                all.saturating_sub(self.handled)
            }
        }
    }

    /// When the next is due; `None` when that hangs on an answer.
    pub(super) fn due_at(&self) -> Option<Instant> {
        match self.plan.pace {
            Pace::AtOnce => None,
            Pace::PerSecond(rate) => {
                let since = (self.handled + 1) as f64 / rate;
                Some(self.begun + Duration::try_from_secs_f64(since).ok()?)
            }
        }
    }

    /// The next VM whose turn it is, if it waits for nothing.
    pub(super) fn turn(&mut self) -> Option<usize> {
        self.handled += 1;
        let index = self.next;
        self.next = (self.next + 1) % self.reporters.len().max(1);
        let is_free = self.reporters.get(index).is_some_and(|it| !it.waits);
        if !is_free && self.plan.pace != Pace::AtOnce {
            self.became.skipped += 1;
        }
        is_free.then_some(index)
    }

    /// The next report of a VM, and its incarnation; it waits for the answer from now on.
    pub(super) fn encode(&mut self, reporter: usize, cluster: &str) -> Option<(u64, Vec<u8>)> {
        let of = self.reporters.get_mut(reporter)?;
        of.waits = true;
        let mut bytes = Vec::with_capacity(self.plan.counts.len() + 96);
        for (tag, text) in [(1, super::id(of.node).as_str()), (2, cluster)] {
            encode_key(tag, WireType::LengthDelimited, &mut bytes);
            encode_varint(text.len() as u64, &mut bytes);
            bytes.extend_from_slice(text.as_bytes());
        }
        encode_key(3, WireType::SixtyFourBit, &mut bytes);
        bytes.extend_from_slice(&of.incarnation.to_le_bytes());
        let to_ms = u64::try_from(now().as_millis()).unwrap_or(u64::MAX);
        for (tag, number) in [
            (4, of.sequence),
            (5, to_ms.saturating_sub(1_000)),
            (6, to_ms),
        ] {
            encode_key(tag, WireType::Varint, &mut bytes);
            encode_varint(number, &mut bytes);
        }
        bytes.extend_from_slice(&self.plan.counts);
        Some((of.incarnation, bytes))
    }

    /// Notes an answer to the report of an incarnation; those of earlier plans are nobody's here. A report that was
    /// not taken is sent again, as the same.
    pub(super) fn answered(&mut self, incarnation: u64, sent_at: Instant, is_taken: bool) {
        let index = incarnation.checked_sub(self.first);
        let index = index.and_then(|index| usize::try_from(index).ok());
        let Some(of) = index.and_then(|index| self.reporters.get_mut(index)) else {
            return;
        };
        of.waits = false;
        if !is_taken {
            self.became.refused += 1;
            return;
        }
        of.sequence += 1;
        self.became.taken += 1;
        if self.counted_since <= sent_at {
            record(&mut self.became.latency_us, sent_at.elapsed());
        }
    }

    /// No answer comes any more to what this node sent.
    pub(super) fn lost(&mut self, node: usize) {
        let of_node = self.reporters.iter_mut().filter(|it| it.node == node);
        for reporter in of_node {
            reporter.waits = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use sloop_xds_protos::report::v1::ReportRequest;

    use super::*;

    fn reports(pace: Pace) -> Reports {
        let plan = Reporting {
            counts: vec![],
            nodes: 2,
            each: 2,
            pace,
        };
        Reports::new(plan, 100)
    }

    fn sent(reports: &mut Reports, reporter: usize) -> ReportRequest {
        let (_, bytes) = reports.encode(reporter, "bench").unwrap();
        prost::Message::decode(bytes.as_slice()).unwrap()
    }

    #[test]
    fn a_report_is_one_that_the_control_plane_reads() {
        let mut reports = reports(Pace::AtOnce);
        let report = sent(&mut reports, 3);
        assert_eq!(
            (report.node, report.cluster),
            (super::super::id(1), "bench".to_owned())
        );
        assert_eq!((report.incarnation, report.sequence), (103, 1));
        assert_eq!(report.to_ms - report.from_ms, 1_000);
    }

    #[test]
    fn one_that_was_not_taken_is_sent_again() {
        let mut reports = reports(Pace::AtOnce);
        let now = Instant::now();
        for (is_taken, then) in [(false, 1), (true, 2), (true, 3)] {
            sent(&mut reports, 0);
            assert!(reports.reporters[0].waits);
            reports.answered(100, now, is_taken);
            assert_eq!(sent(&mut reports, 0).sequence, then);
        }
        assert_eq!((reports.became.taken, reports.became.refused), (2, 1));
        reports.lost(0);
        assert!(!reports.reporters[0].waits);
        assert!(reports.became.latency(Quantile::P50).is_some());
    }

    #[test]
    fn answers_to_an_earlier_plan_are_nobodys() {
        let mut reports = reports(Pace::AtOnce);
        sent(&mut reports, 0);
        for incarnation in [0, 99, 104, u64::MAX] {
            reports.answered(incarnation, Instant::now(), true);
        }
        assert!(reports.reporters[0].waits);
        assert_eq!((reports.became.taken, reports.became.refused), (0, 0));
    }

    #[test]
    fn what_was_sent_before_the_count_began_is_taken_in_its_time_and_how_long_it_took_is_not_in_it()
    {
        let mut reports = reports(Pace::AtOnce);
        let before = Instant::now();
        for reporter in 0..2 {
            sent(&mut reports, reporter);
        }
        reports.answered(100, before, true);
        reports.count_anew();
        reports.answered(101, before, true);
        assert_eq!(reports.became.taken, 1);
        assert!(reports.became.latency(Quantile::P99).is_none());
        assert_eq!(sent(&mut reports, 1).sequence, 2);
        reports.answered(101, Instant::now(), true);
        assert_eq!(reports.became.taken, 2);
        assert!(reports.became.latency(Quantile::P99).is_some());
    }

    #[test]
    fn who_waits_for_an_answer_is_passed_over_and_counted() {
        let mut reports = reports(Pace::PerSecond(1e9));
        std::thread::sleep(Duration::from_millis(1));
        assert!(0 < reports.due());
        for reporter in 0..4 {
            assert_eq!(reports.turn(), Some(reporter));
            sent(&mut reports, reporter);
        }
        assert_eq!(reports.turn(), None);
        assert_eq!(reports.became.skipped, 1);
    }
}
