//! Reports that came.

use std::time::Instant;

use super::{Actor, After};
use crate::clock;
use crate::ingest::{Arrival, Verdict, response};
use crate::metrics::Intake;
use crate::store::Batch;

impl Actor {
    /// Takes reports in, to be answered when they are durable. None is taken while the store takes nothing.
    pub(super) fn take_arrivals(&mut self, arrivals: &mut Vec<Arrival>) {
        if let Some(refusal) = self.refusal() {
            for Arrival { answer, .. } in arrivals.drain(..) {
                self.meters.ingest.report_put_off();
                drop(answer.send(Err(refusal.clone())));
            }
            return;
        }
        self.engine.advance(clock::wall());
        let lost = self.engine.lost();
        let mut answers = Vec::with_capacity(arrivals.len());
        let mut intake = Intake::default();
        for Arrival { mut report, answer } in arrivals.drain(..) {
            let span = self.engine.span(&report);
            let left_out = self.counts.check(&mut report, span);
            let taken = self.engine.take(&report);
            let ingest = &self.meters.ingest;
            intake.note(taken.verdict);
            if taken.verdict != Verdict::Repeated {
                ingest.scopes_dropped(report.scopes_dropped.saturating_add(left_out));
                self.counts.note(left_out, &report, Instant::now());
                ingest.trouble(&report.trouble);
                ingest.effects(&report);
                if report.is_news() {
                    self.steps.want();
                }
            }
            answers.push(After::Answer(answer, response(taken.readings)));
        }
        self.meters.ingest.taken(intake);
        self.meters.step.lost(lost, self.engine.lost());
        // What changed is gathered when it is written: more comes until then, and much of it is about the same.
        self.commits.add(Batch::new(), answers, Instant::now());
    }
}
