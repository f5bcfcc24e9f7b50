//! What the nodes do when something is ready.

use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::{Events, Token};
use rand::Rng;

use super::connection::{Connection, Heard};
use super::message::{self, Has};
use super::plan::Variant;
use super::report::{Pace, Reports};
use super::seen::{Age, Versions, now};
use super::session::{self, Session};
use super::{Fleet, id};

/// How long a node waits at first that lost its stream of discovery, as `sloop bootstrap` has it (`retry_back_off`): as
/// Envoy reckons, it is doubled each time, and any part of it is taken.
pub const BACKOFF: Duration = Duration::from_millis(100);

/// How long it waits at most.
pub const BACKOFF_MAX: Duration = Duration::from_secs(2);

impl Fleet {
    /// Does what there is to do, and waits for more for at most `within`.
    ///
    /// # Errors
    ///
    /// When the kernel does not say what is ready.
    pub fn turn(&mut self, within: Duration) -> io::Result<()> {
        self.open_waiting();
        self.send_reports();
        let due = self.reports.as_ref().and_then(Reports::due_at);
        let due = due.map(|at| at.saturating_duration_since(Instant::now()));
        let within = due.map_or(within, |due| due.min(within));
        match self.poll.poll(&mut self.events, Some(within)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let ready = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &ready {
            self.exchange(event.token().0);
        }
        self.events = ready;
        Ok(())
    }

    fn open_waiting(&mut self) {
        let now = Instant::now();
        let waiting = &mut self.waiting;
        self.later.retain(|(at, index)| {
            let is_due = *at <= now;
            if is_due {
                waiting.push_back(*index);
            }
            !is_due
        });
        while self.opening < self.opening_max
            && let Some(index) = self.waiting.pop_front()
        {
            self.open(index);
        }
    }

    fn open(&mut self, index: usize) {
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        if node.connection.is_some() {
            return;
        }
        let variants = &self.plan.variants;
        let variant = index
            .checked_rem(variants.len())
            .and_then(|at| variants.get(at));
        let variant = variant.copied().unwrap_or(Variant::Delta);
        let bytes = message::node(&id(index), &self.plan.cluster, self.plan.node_bytes);
        let session = Session::begin(variant, Rc::clone(&self.speech), &bytes, &node.has);
        let to = (self.plan.to, self.plan.tls.as_ref());
        match Connection::open(to, session, self.poll.registry(), Token(index)) {
            Ok(connection) => {
                node.connection = Some(connection);
                self.opening += 1;
            }
            Err(_refused) => {
                self.losses.refused += 1;
                self.come_back(index);
            }
        }
    }

    /// Reads and writes what a node can.
    fn exchange(&mut self, index: usize) {
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        let Some(connection) = &mut node.connection else {
            return;
        };
        let mut told = Told {
            has: &mut node.has,
            age: &mut node.age,
            versions: &mut self.versions,
            reports: &mut self.reports,
            response_bytes: &mut self.response_bytes,
            heard: Heard::default(),
        };
        let is_open = connection.exchange(&mut self.buffer, &mut |happened| told.take(happened));
        let heard = told.heard;
        if heard.is_accepted && node.accepted_at.is_none() {
            node.accepted_at = Some(Instant::now());
            node.failures = 0;
            self.accepted += 1;
            self.opening -= 1;
        }
        if heard.is_answered && !node.is_answered {
            node.is_answered = true;
            self.answered += 1;
        }
        let was_accepted = node.accepted_at.is_some();
        if is_open && !heard.is_over {
            // An answer, or room for more, lets the next report go.
            if self.is_at_once() {
                self.report_of(index);
            }
            return;
        }
        if was_accepted {
            self.losses.ended += 1;
        } else {
            self.losses.refused += 1;
        }
        self.close(index);
        self.come_back(index);
    }

    fn is_at_once(&self) -> bool {
        let plan = self.reports.as_ref().map(|reports| reports.plan.pace);
        plan == Some(Pace::AtOnce)
    }

    /// Ends a connection without a word.
    pub(super) fn close(&mut self, index: usize) {
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        let Some(connection) = node.connection.take() else {
            return;
        };
        connection.close(self.poll.registry());
        if node.accepted_at.take().is_some() {
            self.accepted -= 1;
        } else {
            self.opening -= 1;
        }
        if std::mem::take(&mut node.is_answered) {
            self.answered -= 1;
        }
        if let Some(reports) = &mut self.reports {
            reports.lost(index);
        }
    }

    /// A node whose connection was lost comes back as Envoy does.
    fn come_back(&mut self, index: usize) {
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        let longest = BACKOFF
            .saturating_mul(1 << node.failures.min(10))
            .min(BACKOFF_MAX);
        node.failures += 1;
        let pause = longest.mul_f64(self.random.random_range(0.0..1.0));
        self.later.push((Instant::now() + pause, index));
    }

    /// Sends the reports that are due.
    fn send_reports(&mut self) {
        let due = self.reports.as_ref().map_or(0, Reports::due);
        for _ in 0..due {
            let Some(reporter) = self.reports.as_mut().and_then(Reports::turn) else {
                continue;
            };
            self.send(reporter..reporter + 1);
        }
    }

    /// Sends a report of each VM of a node that waits for nothing.
    fn report_of(&mut self, node: usize) {
        let each = self.reports.as_ref().map_or(0, |reports| reports.plan.each);
        self.send(node * each..(node + 1) * each);
    }

    /// Sends a report of each of these VMs, all of one node, that waits for nothing.
    fn send(&mut self, reporters: Range<usize>) {
        let Some(reports) = &mut self.reports else {
            return;
        };
        let node = reports.reporters.get(reporters.start).map(|it| it.node);
        let node = node.and_then(|node| self.nodes.get_mut(node));
        let Some(connection) = node.and_then(|node| node.connection.as_mut()) else {
            return;
        };
        for reporter in reporters {
            // The head of a report has less than a hundred bytes.
            let has_room = connection
                .session
                .has_room_for(reports.plan.counts.len() + 128);
            let is_free = reports.reporters.get(reporter).is_some_and(|it| !it.waits);
            if has_room
                && is_free
                && let Some((incarnation, bytes)) = reports.encode(reporter, &self.plan.cluster)
            {
                let now = Instant::now();
                connection.session.report(incarnation, &bytes, now);
            }
        }
        // What breaks here is seen when it is read.
        connection.flush();
    }
}

/// Where goes what a node hears.
struct Told<'a> {
    has: &'a mut Has,
    age: &'a mut Option<Age>,
    versions: &'a mut Versions,
    reports: &'a mut Option<Reports>,
    response_bytes: &'a mut usize,
    heard: Heard,
}

impl Told<'_> {
    fn take(&mut self, happened: session::Happened<'_>) {
        match happened {
            session::Happened::Accepted => self.heard.is_accepted = true,
            session::Happened::Over => self.heard.is_over = true,
            session::Happened::Response(response) => {
                self.heard.is_answered = true;
                *self.age = Some(self.versions.hear(response.version, *self.age, now()));
                response.version.clone_into(&mut self.has.version);
                self.has.resources = response.resources();
                *self.response_bytes = response.bytes.len();
            }
            session::Happened::Reported {
                incarnation,
                sent_at,
                is_taken,
            } => {
                if let Some(reports) = self.reports {
                    reports.answered(incarnation, sent_at, is_taken);
                }
            }
        }
    }
}
