//! What each sidecar saw in the last seconds.

use core::time::Duration;

use sloop_model::WallTime;

use super::Counts;
use super::ring::{Ring, Sum};

/// The last half minute of one scope, in all and per sidecar. Not stored: after a restart it is known again within seconds.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    all: Ring,
    /// All that was added. Only differences mean anything.
    ever: Counts,
    nodes: Nodes,
    /// Until when the newest report with a request counted, of whomever.
    heard: WallTime,
    /// When others would have been heard of, after nobody had been for [`HEARD_KEPT`].
    others_by: WallTime,
}

/// What one sidecar saw.
#[derive(Clone, Debug)]
struct Node {
    ring: Ring,
    ever: Counts,
    /// Until when its newest report with a request counted, however long its interval was.
    heard: WallTime,
}

/// By name, ascending. A list, as most scopes are seen by one or two, and a tree has room for eleven as soon as there is one:
/// in a large mesh that is a tenth of everything. Who comes moves those after it, which of thousands takes microseconds.
#[derive(Clone, Debug)]
struct Nodes(Vec<(Box<str>, Node)>);

/// Who saw something, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeenBy<'a> {
    /// The sidecar.
    pub(crate) node: &'a str,
    /// The service that it belongs to; empty when it does not say.
    pub(crate) service: &'a str,
    /// Since when.
    pub(crate) from: WallTime,
    /// Until when.
    pub(crate) to: WallTime,
    /// When it was heard.
    pub(crate) heard: WallTime,
    /// When others would have been heard of that see the same, if there are any.
    pub(crate) others_by: WallTime,
}

/// What was gathered for longer, because the control plane was away, may be over by now:
/// nobody must be ordered to open because of it. Reports at longer intervals than this feed budgets only.
const INTERVAL_MAX: Duration = Duration::from_secs(5);
/// The longest window that can be asked for.
pub(crate) const FLEET_WINDOW_MAX: Duration = Duration::from_secs(30);
/// Who was heard of in this time is there: the longest interval of reports (60 s), and 4 s for one to come.
const HEARD_KEPT: Duration = Duration::from_secs(64);
/// [`FLEET_WINDOW_MAX`] in seconds, and one more that is only begun.
const CELLS: u64 = 31;
/// A scope is rarely seen by more sidecars than there are pods of a large service; the rest counts in all only.
const NODES_MAX: usize = 5_000;

impl Nodes {
    /// The one called so; nothing when there are so many that there is no room for it.
    fn entry(&mut self, name: &str) -> Option<&mut Node> {
        let place = self.0.binary_search_by(|(known, _)| (**known).cmp(name));
        let place = match place {
            Ok(place) => place,
            Err(_) if NODES_MAX <= self.0.len() => return None,
            Err(place) => {
                if self.0.len() == self.0.capacity() {
                    self.0.reserve_exact(self.0.len().max(1));
                }
                self.0.insert(place, (name.into(), Node::new()));
                place
            }
        };
        self.0.get_mut(place).map(|(_, node)| node)
    }

    fn iter(&self) -> impl Iterator<Item = &Node> {
        self.0.iter().map(|(_, node)| node)
    }
}

impl Node {
    /// Nothing was seen.
    const fn new() -> Self {
        Self {
            ring: Ring::new(CELLS),
            ever: Counts { total: 0, good: 0 },
            heard: WallTime::from_millis(0),
        }
    }
}

impl SeenBy<'_> {
    /// Whether it says something about just now.
    pub(crate) fn is_fresh(&self) -> bool {
        self.to.since(self.from) <= INTERVAL_MAX
    }
}

impl Default for Fleet {
    fn default() -> Self {
        Self::new()
    }
}

impl Fleet {
    /// Nobody saw anything.
    pub(crate) const fn new() -> Self {
        Self {
            all: Ring::new(CELLS),
            ever: Counts { total: 0, good: 0 },
            nodes: Nodes(Vec::new()),
            heard: WallTime::from_millis(0),
            others_by: WallTime::from_millis(0),
        }
    }

    /// Adds what a VM saw. Of what took so long that it says nothing about just now, only who saw something.
    pub(crate) fn add(&mut self, seen_by: SeenBy<'_>, counts: Counts) {
        if counts.total == 0 {
            return;
        }
        if HEARD_KEPT < seen_by.heard.since(self.heard) {
            self.others_by = seen_by.others_by;
        }
        self.heard = self.heard.max(seen_by.to);
        let number = seen_by.to.as_millis() / 1_000;
        let sum = Sum { counts, known_s: 0 };
        let is_new = seen_by.is_fresh() && self.all.add(number, sum);
        if is_new {
            self.ever = self.ever.plus(counts);
        }
        if let Some(node) = self.nodes.entry(seen_by.node) {
            node.heard = node.heard.max(seen_by.to);
            if is_new {
                node.ring.add(number, sum);
                node.ever = node.ever.plus(counts);
            }
        }
    }

    /// Whether there surely is only one sidecar, which may then speak for all: no other was heard of in the
    /// longest time that one may be silent, and others would have had the time to be.
    pub(crate) fn is_alone(&self, now: WallTime) -> bool {
        self.heard(now) <= 1 && self.is_gathered(now)
    }

    /// Whether all sidecars can have been heard of that see the same. Before, those heard of are the ones that had something
    /// to say at once: they say nothing of how the fleet is.
    pub(crate) fn is_gathered(&self, now: WallTime) -> bool {
        !self.nodes.0.is_empty() && self.others_by <= now
    }

    /// How many sidecars are there that see requests: those heard of in the longest time that one may be silent,
    /// also where they report too seldom to be in any window.
    pub(crate) fn heard(&self, now: WallTime) -> usize {
        let is_there = |node: &&Node| now.since(node.heard) <= HEARD_KEPT;
        self.nodes.iter().filter(is_there).count()
    }

    /// Whether nobody was heard of lately.
    pub(crate) const fn is_idle(&self) -> bool {
        self.nodes.0.is_empty()
    }

    /// All that was added since the process began, so that whoever looks again sees what is new.
    pub(crate) const fn ever(&self) -> Counts {
        self.ever
    }

    /// The same of each sidecar, since it was last idle.
    pub(crate) fn nodes_ever(&self) -> impl Iterator<Item = (&str, Counts)> {
        let nodes = self.nodes.0.iter();
        nodes.map(|(name, node)| (&**name, node.ever))
    }

    /// What all sidecars saw in the last `length`.
    pub(crate) fn all(&self, now: WallTime, length: Duration) -> Counts {
        counts(&self.all, now, length)
    }

    /// What all but the worst sidecar saw: the one with most bad requests is left out.
    /// Nothing when no other saw anything, since then there is nobody to ask.
    pub(crate) fn without_worst(&self, now: WallTime, length: Duration) -> Option<Counts> {
        let seen = || {
            self.nodes
                .iter()
                .map(|node| counts(&node.ring, now, length))
                .filter(|counts| 0 < counts.total)
        };
        let worst = seen().max_by_key(Counts::bad)?;
        (1 < seen().count()).then(|| self.all(now, length).minus(worst))
    }

    /// How many sidecars saw a request in the last `length`.
    pub(crate) fn nodes(&self, now: WallTime, length: Duration) -> usize {
        self.nodes
            .iter()
            .filter(|node| 0 < counts(&node.ring, now, length).total)
            .count()
    }

    /// Forgets sidecars that saw nothing lately.
    pub(crate) fn forget_idle(&mut self, now: WallTime) {
        self.nodes
            .0
            .retain(|(_, node)| now.since(node.heard) <= HEARD_KEPT);
    }

    /// Forgets what lies ahead after the clock stepped back to `now`.
    pub(crate) fn rewind(&mut self, now: WallTime) {
        let number = now.as_millis() / 1_000;
        self.all.forget_after(number);
        self.heard = self.heard.min(now);
        self.others_by = self.others_by.min(now.after(HEARD_KEPT));
        for (_, node) in &mut self.nodes.0 {
            node.ring.forget_after(number);
            node.heard = node.heard.min(now);
        }
    }
}

fn counts(ring: &Ring, now: WallTime, length: Duration) -> Counts {
    let first = now.before(length).as_millis() / 1_000;
    ring.between(first, now.as_millis() / 1_000).counts
}
