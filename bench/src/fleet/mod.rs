//! A fleet of sidecars that fits beside the control plane that it is for.
//!
//! Each node has a connection of its own, subscribes, acknowledges what it is sent, reports
//! if it is told to, and comes back when its connection is lost, as Envoy does. All
//! of them are driven by the thread that calls [`Fleet::turn`]: there is no task and no buffer
//! per node, so that what is measured is the other side.

mod carrier;
mod connection;
mod files;
mod frame;
mod message;
mod plan;
mod report;
mod seen;
mod session;
mod tls;
mod turn;

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub use files::{TooFewFiles, allow};
pub use plan::{Losses, Plan, Variant};
pub use report::{Pace, Reported, Reporting};
pub use seen::now;
pub use tls::{NotSecured, Secured, Tls};
pub use turn::{BACKOFF, BACKOFF_MAX};

use connection::Connection;
use message::{Has, Wants};
use report::Reports;
use seen::{Age, Versions};
use session::Speech;

/// Readiness taken from the kernel at once.
const EVENTS_MAX: usize = 1_024;

/// One node. What it knows stays when its connection does not.
#[derive(Debug, Default)]
struct Node {
    has: Has,
    age: Option<Age>,
    connection: Option<Connection>,
    /// When its stream was accepted; `None` while it is not.
    accepted_at: Option<Instant>,
    failures: u32,
    /// Heard something since it connected.
    is_answered: bool,
}

/// All nodes.
#[derive(Debug)]
pub struct Fleet {
    plan: Plan,
    speech: Rc<Speech>,
    poll: Poll,
    events: Events,
    buffer: Box<[u8]>,
    nodes: Vec<Node>,
    versions: Versions,
    /// To be connected, in this order.
    waiting: VecDeque<usize>,
    /// To be connected later.
    later: Vec<(Instant, usize)>,
    opening: usize,
    opening_max: usize,
    accepted: usize,
    answered: usize,
    losses: Losses,
    response_bytes: usize,
    reports: Option<Reports>,
    incarnations: u64,
    random: SmallRng,
}

/// The id of the node with this number.
fn id(node: usize) -> String {
    format!("bench-{node}")
}

impl Fleet {
    /// A fleet of which no node is connected.
    ///
    /// # Errors
    ///
    /// When the kernel has nothing to wait with.
    pub fn new(plan: Plan, seed: u64) -> io::Result<Self> {
        let wants = Wants {
            type_url: plan.type_url.clone(),
            names: plan.names.clone(),
        };
        let authority = plan.to.to_string();
        let mut nodes = Vec::new();
        nodes.resize_with(plan.nodes, Node::default);
        Ok(Self {
            speech: Rc::new(Speech::new(wants, &authority)),
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            buffer: vec![0; 64 << 10].into_boxed_slice(),
            nodes,
            versions: Versions::default(),
            waiting: VecDeque::new(),
            later: Vec::new(),
            opening: 0,
            opening_max: usize::MAX,
            accepted: 0,
            answered: 0,
            losses: Losses::default(),
            response_bytes: 0,
            reports: None,
            // Apart from those of a fleet that reported to the same store before.
            incarnations: seed << 32,
            random: SmallRng::seed_from_u64(seed),
            plan,
        })
    }

    /// Begins to connect all nodes that are not, at most so many of them at one time.
    pub fn connect(&mut self, at_once: usize) {
        self.opening_max = at_once.max(1);
        self.later.clear();
        let unconnected = self.nodes.iter().enumerate();
        let unconnected = unconnected.filter(|(_, node)| node.connection.is_none());
        self.waiting = unconnected.map(|(index, _)| index).collect();
    }

    /// Ends the connections of `count` nodes without a word, as machines do that are switched off. They stay away
    /// until [`Fleet::connect`]. The answer is how many there were.
    pub fn vanish(&mut self, count: usize) -> usize {
        let connected = self.nodes.iter().enumerate();
        let connected = connected.filter(|(_, node)| node.connection.is_some());
        let all: Vec<usize> = connected.map(|(index, _)| index).collect();
        let first = match all.len() {
            0 => 0,
            length => self.random.random_range(0..length),
        };
        let chosen: Vec<usize> = all
            .iter()
            .cycle()
            .skip(first)
            .take(count.min(all.len()))
            .copied()
            .collect();
        for index in &chosen {
            self.close(*index);
        }
        chosen.len()
    }

    /// Begins with reports, or ends them. Returns what became of those before.
    pub fn report(&mut self, plan: Option<Reporting>) -> Reported {
        let next = plan.map(|plan| {
            let reports = Reports::new(plan, self.incarnations);
            self.incarnations += reports.reporters.len() as u64;
            reports
        });
        let before = std::mem::replace(&mut self.reports, next);
        before.map(|reports| reports.became).unwrap_or_default()
    }

    /// What became of reports so far.
    #[must_use]
    pub fn reported(&self) -> Reported {
        self.reports
            .as_ref()
            .map(|reports| reports.became.clone())
            .unwrap_or_default()
    }

    /// Counts from now on what becomes of reports. Answers to what was sent before are in it, but not how long they took.
    pub fn count_reports_anew(&mut self) {
        if let Some(reports) = &mut self.reports {
            reports.count_anew();
        }
    }

    /// How many reports, of whatever plan, were sent and not answered.
    #[must_use]
    pub fn awaited(&self) -> usize {
        let connections = self.nodes.iter().filter_map(|it| it.connection.as_ref());
        connections.map(|it| it.session.awaited()).sum()
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many nodes' streams are accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted
    }

    /// How many nodes were sent something since they connected.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.answered
    }

    /// How many versions came so far.
    #[must_use]
    pub fn versions(&self) -> usize {
        self.versions.newest().map_or(0, |newest| newest + 1)
    }

    /// How many nodes, connected or not, have the newest version.
    #[must_use]
    pub fn at_newest(&self) -> usize {
        let newest = self.versions.newest();
        newest.map_or(0, |newest| self.versions.nodes(newest))
    }

    /// How many nodes whose streams have been accepted for `time` do not have the newest version.
    #[must_use]
    pub fn behind(&self, time: Duration) -> usize {
        let newest = self.versions.newest();
        let long = |node: &&Node| node.accepted_at.is_some_and(|at| time <= at.elapsed());
        let nodes = self.nodes.iter().filter(long);
        nodes.filter(|node| node.age != newest).count()
    }

    /// When nodes heard the newest version, since the Unix epoch, in the order in which they did.
    #[must_use]
    pub fn arrivals(&self) -> &[Duration] {
        let newest = self.versions.newest();
        newest.map_or(&[], |newest| self.versions.at(newest))
    }

    /// Forgets arrivals; which version each node has stays known.
    pub fn forget_arrivals(&mut self) {
        self.versions.forget();
    }

    /// How connections went so far.
    #[must_use]
    pub const fn losses(&self) -> Losses {
        self.losses
    }

    /// Bytes of the last response.
    #[must_use]
    pub const fn response_bytes(&self) -> usize {
        self.response_bytes
    }
}
