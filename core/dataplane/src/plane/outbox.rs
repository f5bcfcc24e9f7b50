//! One report at a time, until it is acknowledged.
//!
//! Reports are an interval apart while nothing happens. What misses an objective
//! is told sooner: after [`HURRY`], and then every [`BRISK`], so that the control
//! plane sees a change while it happens. How often that may be is bounded
//! ([`EARLY_MAX`]): a fleet in lasting trouble must not overrun the control plane.

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
    /// What was made with it and is to follow, the next one last.
    parts: Vec<Report>,
    /// When the next report is to be made.
    due: Time,
    /// Whether that is sooner than the interval would have it, because something was bad.
    is_early: bool,
    /// When the last one was made.
    made_at: Time,
    /// How many may still be made early, and when that was last reckoned.
    early: (u32, Time),
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
/// Between reports while requests go bad: a tenth of a second of a fleet's requests are enough to judge by.
const BRISK: Duration = Duration::from_millis(100);
/// Early reports in a row: ten seconds, within which the fleet has been judged.
const EARLY_MAX: u32 = 100;
/// An early report is given back in this time: a service with two failures per second and worker tells of
/// each at once for good, one with more soon of few.
const EARLY_BACK_MS: u64 = 500;

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
            parts: Vec::new(),
            due: Time::from_nanos(u64::MAX),
            is_early: false,
            made_at: Time::from_nanos(0),
            early: (EARLY_MAX, Time::from_nanos(0)),
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

    /// Makes the next report soon: something moved. Whether it would have come later.
    #[inline(never)]
    pub(super) fn hurry(&mut self, now: Time) -> bool {
        let soon = now.after(HURRY);
        let is_sooner = soon < self.due;
        if is_sooner {
            self.due = soon;
        }
        is_sooner
    }

    /// Makes the next report early, if not too many were: a request was bad. Whether it would have come later.
    pub(super) fn stir(&mut self, now: Time) -> bool {
        let soon = now.after(HURRY).max(self.made_at.after(BRISK));
        if soon < self.due && 0 < self.early_left(now) {
            self.due = soon;
            self.is_early = true;
            return true;
        }
        false
    }

    /// How many early reports may be made at `now`.
    fn early_left(&mut self, now: Time) -> u32 {
        let (left, since) = self.early;
        let back = now.millis_since(since) / EARLY_BACK_MS;
        if back == 0 {
            return left;
        }
        let left = u32::try_from(back)
            .unwrap_or(EARLY_MAX)
            .saturating_add(left)
            .min(EARLY_MAX);
        self.early = (left, now);
        left
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
        if core::mem::replace(&mut self.is_early, false) {
            self.early.0 = self.early_left(now).saturating_sub(1);
        }
        self.made_at = now;
        report.incarnation = self.incarnation;
        report.from = self.until;
        report.to = wall;
        self.until = wall;
        // What moves from here on belongs to the next one.
        self.due = Time::from_nanos(u64::MAX);
        self.parts = report.into_parts();
        self.frozen = self.next_part();
    }

    /// The next part of what was made, to be sent at once.
    fn next_part(&mut self) -> Option<Frozen> {
        let mut report = self.parts.pop()?;
        self.sequence += 1;
        report.sequence = self.sequence;
        Some(Frozen {
            report,
            made_at: self.made_at,
            sendings: 0,
            state: Sending::Lost {
                again_at: self.made_at,
            },
        })
    }

    /// The report that waits, which `sender` sends at `now`.
    pub(super) fn send(&mut self, sender: u32, now: Time) -> Option<&Report> {
        let frozen = self.frozen.as_mut()?;
        frozen.state = Sending::Sent { at: now, sender };
        frozen.sendings = frozen.sendings.saturating_add(1);
        Some(&frozen.report)
    }

    /// The report with this sequence arrived. If it was a part, the next one is due; else the next report is,
    /// `interval` after it was made.
    pub(super) fn acknowledge(&mut self, sequence: u64, interval: Duration) {
        if let Some(frozen) = &self.frozen
            && frozen.report.sequence == sequence
        {
            let due = frozen.made_at.after(interval);
            self.frozen = self.next_part();
            if self.frozen.is_none() {
                self.due = self.due.min(due);
            }
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
