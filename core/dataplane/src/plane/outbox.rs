//! One report at a time, until it is acknowledged.

use core::time::Duration;

use sloop_model::{Time, WallTime};

use crate::report::Report;

/// What is to be sent, and when.
#[derive(Debug)]
pub(super) struct Outbox {
    incarnation: u64,
    /// Of the last report that was made.
    sequence: u64,
    frozen: Option<Frozen>,
    /// When the next report is to be made.
    due: Time,
    /// Until when the last one counted.
    until: WallTime,
}

/// A report that was made and not yet acknowledged. It stays as it is.
#[derive(Debug)]
struct Frozen {
    report: Report,
    made_at: Time,
    sendings: u32,
    state: Sending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// On its way.
    Sent { at: Time, sender: u32 },
    /// Lost; to be sent again then.
    Lost { again_at: Time },
}

/// The filter gives a report five seconds; if not even a refusal came back by then, its sender is gone.
const ANSWER_MAX: Duration = Duration::from_secs(6);
/// A change of state is told at once, but a few of them together.
const HURRY: Duration = Duration::from_millis(5);

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    Make,
    SendAgain,
}

impl Outbox {
    pub(super) const fn new(incarnation: u64) -> Self {
        Self {
            incarnation,
            sequence: 0,
            frozen: None,
            due: Time::from_nanos(u64::MAX),
            until: WallTime::from_millis(0),
        }
    }

    /// The VM's name.
    pub(super) const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Begins to report, `interval` after `now`: the first request came.
    pub(super) fn start(&mut self, now: Time, wall: WallTime, interval: Duration) {
        self.due = now.after(interval);
        self.until = wall;
    }

    /// Makes the next report soon: something moved.
    pub(super) fn hurry(&mut self, now: Time) {
        self.due = self.due.min(now.after(HURRY));
    }

    /// When something is to be done.
    pub(super) fn wake_at(&self) -> Time {
        match &self.frozen {
            None => self.due,
            Some(frozen) => match frozen.state {
                Sending::Sent { at, .. } => at.after(ANSWER_MAX),
                Sending::Lost { again_at } => again_at,
            },
        }
    }

    /// Whether the report that waits was sent before.
    pub(super) const fn was_sent(&self) -> bool {
        matches!(&self.frozen, Some(frozen) if frozen.sendings != 0)
    }

    /// What is to be done at `now`.
    pub(super) fn step(&self, now: Time) -> Step {
        if now < self.wake_at() {
            Step::Wait
        } else if self.frozen.is_some() {
            Step::SendAgain
        } else {
            Step::Make
        }
    }

    /// Takes a report that was made at `now`, all but its names and times, which are given here.
    pub(super) fn freeze(&mut self, mut report: Report, now: Time, wall: WallTime) {
        self.sequence += 1;
        report.incarnation = self.incarnation;
        report.sequence = self.sequence;
        report.from = self.until;
        report.to = wall;
        self.until = wall;
        // What moves from here on belongs to the next one.
        self.due = Time::from_nanos(u64::MAX);
        self.frozen = Some(Frozen {
            report,
            made_at: now,
            sendings: 0,
            state: Sending::Lost { again_at: now },
        });
    }

    /// The report that waits, which `sender` sends at `now`.
    pub(super) fn send(&mut self, sender: u32, now: Time) -> Option<&Report> {
        let frozen = self.frozen.as_mut()?;
        frozen.state = Sending::Sent { at: now, sender };
        frozen.sendings = frozen.sendings.saturating_add(1);
        Some(&frozen.report)
    }

    /// The report with this sequence arrived. The next one is due `interval` after it was made.
    pub(super) fn acknowledge(&mut self, sequence: u64, interval: Duration) {
        if let Some(frozen) = &self.frozen
            && frozen.report.sequence == sequence
        {
            self.due = self.due.min(frozen.made_at.after(interval));
            self.frozen = None;
        }
    }

    /// The report with this sequence did not arrive; it is to be sent again at `again_at`.
    pub(super) fn lose(&mut self, sequence: u64, again_at: Time) {
        if let Some(frozen) = &mut self.frozen
            && frozen.report.sequence == sequence
        {
            frozen.state = Sending::Lost { again_at };
        }
    }

    /// Whoever sent as `sender` is gone; nobody waits for the answer any more.
    pub(super) fn lose_sender(&mut self, gone: u32, now: Time) {
        if let Some(frozen) = &mut self.frozen
            && let Sending::Sent { sender, .. } = frozen.state
            && sender == gone
        {
            frozen.state = Sending::Lost { again_at: now };
        }
    }
}
