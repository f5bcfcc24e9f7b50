//! One change, while some nodes try it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sloop_model::{Time, WallTime};

use super::returning::Returning;
use super::{Counts, Health, Now, RolloutPace, Seen, Vms};
use crate::{Snapshot, Version};

/// Nodes that may go while they try a change, where few try it: one may be stopped by somebody.
const GONE_MIN: usize = 2;

/// Of something that all nodes refuse, some are done a little later than others.
const REFUSED_TOGETHER: Duration = Duration::from_secs(1);

/// A change on its way.
#[derive(Debug)]
pub(super) struct Trial {
    snapshot: Arc<Snapshot>,
    vms: Vms,
    revision: Version,
    nodes: Arc<BTreeSet<String>>,
    /// Since when each of these does: what it refused before was something else.
    joined: BTreeMap<String, WallTime>,
    is_first: bool,
    /// When the change was first tried.
    began: WallTime,
    /// Since when these nodes try it.
    since: WallTime,
    /// Since when nodes are waited for that should try it; `None` while none is.
    waits_since: Option<Time>,
    /// Nodes that have taken the change over in this stage, whatever went along with it.
    took: BTreeSet<String>,
    /// Since when all nodes of the stage have.
    quiet_since: Option<Time>,
    /// Whether what is counted of nodes is not heard, as of the next look.
    is_unheard: bool,
    /// When it was seen last that nodes refuse something which do not try it.
    refused_elsewhere: Option<Time>,
    /// Since when a node that tries it is seen to refuse something.
    refused_since: Option<Time>,
    /// Nodes of the stage that are not connected, and since when.
    away: BTreeMap<String, Time>,
    /// Nodes that were replaced since the change was first tried.
    gone: usize,
    /// Nodes that were there when it was.
    at_first: BTreeSet<String>,
}

/// What a look at the nodes brings.
pub(super) enum Finding {
    /// Nothing new.
    Nothing,
    /// Other nodes try it, so many.
    Others(usize),
    /// All nodes may have it.
    Well,
    /// It must be taken back, because.
    Unwell(String),
}

impl Trial {
    /// A change that nobody tries yet.
    pub(super) fn of((snapshot, vms): (Arc<Snapshot>, Vms), revision: Version, now: Now) -> Self {
        Self {
            snapshot,
            vms,
            revision,
            nodes: Arc::default(),
            joined: BTreeMap::new(),
            is_first: true,
            began: now.wall,
            since: now.wall,
            waits_since: None,
            took: BTreeSet::new(),
            quiet_since: None,
            is_unheard: false,
            refused_elsewhere: None,
            refused_since: None,
            away: BTreeMap::new(),
            gone: 0,
            at_first: BTreeSet::new(),
        }
    }

    /// The same change, with something else that does not wait.
    pub(super) fn renew(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshot = snapshot;
    }

    pub(super) const fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    pub(super) const fn revision(&self) -> &Version {
        &self.revision
    }

    pub(super) const fn nodes(&self) -> &Arc<BTreeSet<String>> {
        &self.nodes
    }

    pub(super) const fn since(&self) -> WallTime {
        self.since
    }

    /// What is counted of nodes is not heard at the next look: who seems quiet may not be.
    pub(super) const fn hears_nothing(&mut self) {
        self.is_unheard = true;
    }

    /// Looks at all nodes that are connected. Those that are `returning` from another change are waited for.
    pub(super) fn look(
        &mut self,
        seen: &[Seen],
        pace: &RolloutPace,
        now: Now,
        returning: &Returning,
    ) -> Finding {
        self.note_away(seen, pace, now.time);
        self.heed_clock(now.wall);
        if let Some(because) = self.trouble(seen, now.time) {
            return Finding::Unwell(because);
        }
        if self.is_over(seen, pace, now.time) {
            let goes_on = self.is_first && self.nodes.len() < pace.of(seen.len());
            if !goes_on {
                return Finding::Well;
            }
            self.is_first = false;
            self.since = now.wall;
            self.quiet_since = None;
            self.took.clear();
        }
        if self.choose(seen, (pace, now), returning) {
            Finding::Others(self.nodes.len())
        } else {
            Finding::Nothing
        }
    }

    /// A wall clock that was set back shows no refusal after what it showed before: from here on all are.
    fn heed_clock(&mut self, wall: WallTime) {
        self.began = self.began.min(wall);
        for joined in self.joined.values_mut() {
            *joined = wall.min(*joined);
        }
    }

    /// How many nodes should try it in this stage.
    fn count(&self, seen: &[Seen], pace: &RolloutPace) -> usize {
        let share = if self.is_first {
            0
        } else {
            pace.of(seen.len())
        };
        pace.first.max(share).min(seen.len())
    }

    /// Notes which nodes of the stage are not connected; those that are not for long are given up.
    fn note_away(&mut self, seen: &[Seen], pace: &RolloutPace, now: Time) {
        let connected: BTreeSet<&str> = seen.iter().map(|it| it.node.as_str()).collect();
        let is_away = |node: &String| !connected.contains(node.as_str());
        self.away.retain(|node, _| is_away(node));
        for node in self.nodes.iter().filter(|node| is_away(node)) {
            self.away.entry(node.clone()).or_insert(now);
        }
        let long = |since: &Time| pace.quiet <= now.since(*since);
        let given_up: BTreeSet<&String> = self
            .away
            .iter()
            .filter(|(_, since)| long(since))
            .map(|(node, _)| node)
            .collect();
        if given_up.is_empty() {
            return;
        }
        self.gone = self.gone.saturating_add(given_up.len());
        let stays = |node: &&String| !given_up.contains(node);
        self.nodes = Arc::new(self.nodes.iter().filter(stays).cloned().collect());
        self.joined.retain(|node, _| self.nodes.contains(node));
        self.away.retain(|_, since| !long(since));
        self.quiet_since = None;
    }

    /// Chooses nodes where some are missing. Whether there are others now.
    ///
    /// The first by id try it; in the place of one that is gone first those that came since: where old ones are replaced one
    /// after the other, as in a rolling deploy, the next old one would go as well. Where one of them is on its way back from
    /// another change it is waited for: what that breaks until then would be held against this one. It must come back while
    /// those that try something are quiet; then the next ones do. Where there is none it is waited for until nobody looks
    /// after it any more.
    fn choose(
        &mut self,
        seen: &[Seen],
        (pace, now): (&RolloutPace, Now),
        returning: &Returning,
    ) -> bool {
        let missing = self.count(seen, pace).saturating_sub(self.nodes.len());
        if missing == 0 {
            self.waits_since = None;
            return false;
        }
        let mut others: Vec<&str> = self.others(seen).map(|it| it.node.as_str()).collect();
        if 0 < self.gone {
            others.sort_by_key(|node| self.at_first.contains(*node));
        }
        let is_back = |node: &&str| !returning.includes(node);
        let waits = !others.iter().take(missing).all(is_back);
        if waits {
            let since = *self.waits_since.get_or_insert(now.time);
            if now.time.since(since) < pace.quiet {
                return false;
            }
        }
        let late = others.iter().copied();
        let late = late.filter(|node| returning.has_given_up(node, now.time));
        let back = others.iter().copied().filter(is_back);
        let chosen: Vec<String> = back.chain(late).take(missing).map(str::to_owned).collect();
        if chosen.is_empty() {
            self.waits_since.take_if(|_| !waits);
            return false;
        }
        self.waits_since = None;
        if self.nodes.is_empty() {
            self.began = now.wall;
        }
        if self.at_first.is_empty() {
            self.at_first = seen.iter().map(|it| it.node.clone()).collect();
        }
        let joined = chosen.iter().map(|node| (node.clone(), now.wall));
        self.joined.extend(joined);
        Arc::make_mut(&mut self.nodes).extend(chosen);
        self.since = now.wall;
        self.quiet_since = None;
        true
    }

    fn trying<'a>(&'a self, seen: &'a [Seen]) -> impl Iterator<Item = &'a Seen> {
        seen.iter().filter(|it| self.nodes.contains(&it.node))
    }

    fn others<'s>(&self, seen: &'s [Seen]) -> impl Iterator<Item = &'s Seen> {
        seen.iter().filter(|it| !self.nodes.contains(&it.node))
    }

    /// Whether all nodes of the stage have it and were well for long enough.
    fn is_over(&mut self, seen: &[Seen], pace: &RolloutPace, now: Time) -> bool {
        let version = self.snapshot.version();
        let have = self
            .trying(seen)
            .filter(|it| it.has.as_ref() == Some(version));
        let have: Vec<String> = have.map(|it| it.node.clone()).collect();
        self.took.extend(have);
        let all_have = !self.nodes.is_empty() && self.nodes.is_subset(&self.took);
        let is_heard = !std::mem::take(&mut self.is_unheard);
        // Where others refuse something as well it is not known yet what such a refusal is about.
        let is_refused = self.refused(seen).is_some();
        let is_whole = self.away.is_empty() && self.waits_since.is_none();
        if !(all_have && is_heard && is_whole) || is_refused {
            self.quiet_since = None;
            return false;
        }
        let since = *self.quiet_since.get_or_insert(now);
        pace.quiet <= now.since(since)
    }

    /// What is wrong with the nodes that try it.
    fn trouble(&mut self, seen: &[Seen], now: Time) -> Option<String> {
        let gone_max = GONE_MIN.max(self.nodes.len());
        if gone_max <= self.gone {
            return Some(format!("{} nodes that tried it are gone", self.gone));
        }
        self.refusal(seen, now)
            .or_else(|| self.reload(seen))
            .or_else(|| self.failures(seen))
    }

    /// A refusal, unless nodes refuse that do not try it: then it is about something else. These may be done with it a little
    /// later, so they are waited for.
    fn refusal(&mut self, seen: &[Seen], now: Time) -> Option<String> {
        let refuses = |it: &Seen| {
            let refusal = it.refusal.as_ref();
            refusal.is_some_and(|(at, _)| self.began <= *at)
        };
        if self.others(seen).any(refuses) {
            self.refused_elsewhere = Some(now);
        }
        let Some((node, message)) = self.refused(seen) else {
            self.refused_since = None;
            return None;
        };
        let because = format!("{node} refuses it: {message}");
        let since = *self.refused_since.get_or_insert(now);
        let is_early = |at: Time| now.since(at) < REFUSED_TOGETHER;
        let is_alone = self.others(seen).next().is_none();
        let waits = !is_alone && is_early(since) || self.refused_elsewhere.is_some_and(is_early);
        (!waits).then_some(because)
    }

    /// Who refused something since it tries the change, and why.
    fn refused<'s>(&self, seen: &'s [Seen]) -> Option<(&'s str, &'s str)> {
        seen.iter().find_map(|it| {
            let (at, message) = it.refusal.as_ref()?;
            let joined = self.joined.get(&it.node)?;
            (joined <= at).then_some((it.node.as_str(), message.as_str()))
        })
    }

    fn reload(&self, seen: &[Seen]) -> Option<String> {
        match self.vms {
            Vms::Stay => {}
            Vms::Begin => return None,
        }
        let node = self
            .trying(seen)
            .find(|it| 0 < it.tally.in_stage(self.since).filters.vms)?;
        Some(format!("{} began a Wasm VM anew", node.node))
    }

    /// Failures by what filters count, or else by what Envoys do: where a change takes filters away, these go on.
    fn failures(&self, seen: &[Seen]) -> Option<String> {
        let in_stage = |sum: Counts, it: &Seen| sum.plus(it.tally.in_stage(self.since));
        let trying = self.trying(seen).fold(Counts::default(), in_stage);
        let others = self.others(seen).fold(Counts::default(), in_stage);
        let usual = |sum: Counts, it: &Seen| sum.plus(it.tally.usual());
        let usual = self.trying(seen).fold(Counts::default(), usual);
        beyond(trying.filters, [others.filters, usual.filters])
            .or_else(|| beyond(trying.envoy, [others.envoy, usual.envoy]))
    }
}

/// Failures where a change is tried beyond those elsewhere, and beyond what is usual for the same nodes.
fn beyond(trying: Health, compared: [Health; 2]) -> Option<String> {
    let mut compared = compared.into_iter().filter(Health::says_something);
    let worst = compared.clone().next()?;
    if !compared.all(|it| trying.is_worse_than(it)) {
        return None;
    }
    Some(format!(
        "{} of {} requests failed where it was tried, {} of {} otherwise",
        trying.failed, trying.requests, worst.failed, worst.requests
    ))
}
