//! Spans that wait, and the one batch of them that is under way.
//!
//! A batch is sent when it is full or its oldest span has waited for the
//! interval, one at a time. Its spans stay in the queue until it is answered:
//!
//! - taken: they are forgotten;
//! - refused for good: they are dropped and counted;
//! - refused for now, or not answered: they are sent once more, then dropped
//!   and counted. They may have arrived, so a collector can see a span twice,
//!   with the same ids.
//!
//! After each failure in a row the pause doubles, up to half a minute. While a
//! collector is away spans are dropped when they come, so what it finds when it
//! is back is at most a queue old.

use core::time::Duration;
use std::collections::VecDeque;

use sloop_model::Time;

use super::record::Record;

/// The filter gives a call five seconds; if not even a refusal came back by then, its sender is gone.
const ANSWER_MAX: Duration = Duration::from_secs(6);
/// The pause after the first failure; collectors that restart are back in about a second.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it doubles, to 32 s: below a minute, so that a collector that is back is found soon.
const DOUBLINGS: u32 = 5;

/// When spans are sent, and how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) interval: Duration,
    pub(super) queue_max: usize,
    pub(super) batch_max: usize,
}

/// Spans that wait, oldest first.
#[derive(Debug)]
pub(super) struct Queue {
    records: VecDeque<Record>,
    under_way: Option<UnderWay>,
    /// How many of the oldest failed once and go together again.
    again: usize,
    /// Since when the oldest that never was under way waits.
    since: Time,
    not_before: Time,
    /// In a row.
    failures: u32,
    /// Of the last batch.
    number: u32,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    number: u32,
    spans: usize,
    at: Time,
    sender: u32,
}

/// What became of spans that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// So many are sent again.
    Again(usize),
    /// So many are gone.
    Gone(usize),
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self {
            records: VecDeque::new(),
            under_way: None,
            again: 0,
            since: Time::from_nanos(0),
            not_before: Time::from_nanos(0),
            failures: 0,
            number: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Adds a span at `now`. There must be room.
    pub(super) fn push(&mut self, record: Record, now: Time) {
        if self.records.len() == self.taken() {
            self.since = now;
        }
        self.records.push_back(record);
    }

    /// How many of the oldest are under way, or will be again.
    fn taken(&self) -> usize {
        let under_way = self.under_way.map_or(0, |batch| batch.spans);
        under_way.max(self.again)
    }

    /// When something is to be done.
    pub(super) fn wake_at(&self, limits: Limits) -> Option<Time> {
        if let Some(batch) = &self.under_way {
            return Some(batch.at.after(ANSWER_MAX));
        }
        if self.records.is_empty() {
            return None;
        }
        let is_due = 0 < self.again || limits.batch_max <= self.records.len();
        let due = if is_due {
            Time::from_nanos(0)
        } else {
            self.since.after(limits.interval)
        };
        Some(due.max(self.not_before))
    }

    /// Takes the batch that is to be sent at `now` by `sender`: its number and how many spans are in it.
    pub(super) fn take(&mut self, limits: Limits, sender: u32, now: Time) -> Option<(u32, usize)> {
        if self.under_way.is_some() || now < self.wake_at(limits)? {
            return None;
        }
        let spans = match self.again {
            0 => self.records.len().min(limits.batch_max),
            again => again,
        };
        self.number = self.number.wrapping_add(1);
        self.under_way = Some(UnderWay {
            number: self.number,
            spans,
            at: now,
            sender,
        });
        Some((self.number, spans))
    }

    /// The oldest spans.
    pub(super) fn oldest(&self, spans: usize) -> impl ExactSizeIterator<Item = &Record> {
        self.records.iter().take(spans)
    }

    /// The batch was taken. How many spans were in it, if it is the one that is under way.
    pub(super) fn acknowledge(&mut self, number: u32) -> Option<usize> {
        let batch = self.under_way.take_if(|batch| batch.number == number)?;
        self.drop_oldest(batch.spans);
        self.failures = 0;
        self.not_before = Time::from_nanos(0);
        Some(batch.spans)
    }

    /// The batch was not taken, as was learnt at `now`.
    pub(super) fn fail(&mut self, number: u32, is_retryable: bool, now: Time) -> Option<Failed> {
        let batch = self.under_way.take_if(|batch| batch.number == number)?;
        let doublings = self.failures.min(DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.after(PAUSE * (1 << doublings));
        if is_retryable && self.again == 0 {
            self.again = batch.spans;
            return Some(Failed::Again(batch.spans));
        }
        self.drop_oldest(batch.spans);
        Some(Failed::Gone(batch.spans))
    }

    /// The batch that nobody will answer any more, at `now`.
    pub(super) fn overdue(&self, now: Time) -> Option<u32> {
        let batch = self.under_way?;
        (batch.at.after(ANSWER_MAX) <= now).then_some(batch.number)
    }

    /// The batch that `sender` waits for.
    pub(super) fn sent_by(&self, sender: u32) -> Option<u32> {
        let batch = self.under_way?;
        (batch.sender == sender).then_some(batch.number)
    }

    fn drop_oldest(&mut self, spans: usize) {
        self.again = 0;
        for _ in 0..spans {
            self.records.pop_front();
        }
    }
}
