//! How well the Envoys of a fleet are, as their filters count, and as they do themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use sloop_model::{Outcome, WallTime};
use sloop_xds::rollout::{Counts, Health, Phase, Tally};

use super::Engine;
use crate::ads::{Counted, Load};
use crate::ingest::Report;

/// The VMs of an Envoy begin together, one per worker. One that begins later than this after the
/// first begins anew: it crashed, or its Envoy did.
const START: Duration = Duration::from_secs(10);

/// A node that was quiet for this long is forgotten, as its VMs are.
const GONE_AFTER: Duration = Duration::from_secs(600);

/// Nodes that are kept, beyond which of newer ones nothing is known: twice the fleet that a
/// control plane is made for.
const NODES_MAX: usize = 20_000;

/// Of these, nodes of one group: as many as one may have, and whoever makes names up leaves room to others.
const NODES_OF_GROUP_MAX: usize = NODES_MAX / 2;

/// What each node counted since the process began.
#[derive(Debug, Default)]
pub(super) struct Healths {
    /// By group and id: what one may report as is its group, and ids are only what nodes say.
    groups: BTreeMap<String, BTreeMap<String, Node>>,
    /// How many nodes there are.
    count: usize,
    /// How often something of a node found no room.
    crowded: u64,
}

#[derive(Debug)]
struct Node {
    tally: Tally,
    /// When it was first heard of.
    heard: WallTime,
    /// When its first VM began, by its own clock, as far as is known; `None` when no filter ever reported.
    began: Option<WallTime>,
    reported: WallTime,
}

impl Healths {
    /// Takes in a report that came at `now` and was not counted before, as the one that came from the same VM at `last` was.
    pub(super) fn take(&mut self, report: &Report, last: Option<WallTime>, now: WallTime) {
        let Some(node) = self.named(&report.group, &report.node, now) else {
            return self.crowd();
        };
        node.reported = now;
        let mut health = counted(report);
        let began = node.began.unwrap_or(report.from);
        // The first report of a VM is about the time since it began.
        if report.sequence == 1 && START < report.from.since(began) {
            health.vms = 1;
        }
        node.began = Some(began.min(report.from));
        let counts = Counts {
            filters: health,
            ..Counts::default()
        };
        // By our own clock, at the latest: it was on its way for a while, and so was the last.
        let from = now.before(report.to.since(report.from));
        node.tally
            .take(counts, last.map_or(from, |last| last.min(from)));
    }

    /// Takes in what the Envoy of `node` of `group` said at `now` that it counted.
    pub(super) fn take_load(&mut self, (group, node): (&str, &str), load: Load, now: WallTime) {
        let Some(node) = self.named(group, node, now) else {
            return self.crowd();
        };
        node.reported = now;
        let counts = Counts {
            envoy: load.health,
            ..Counts::default()
        };
        node.tally.take(counts, load.from);
    }

    /// What is counted later of `node` of `group` belongs to `phase`, as of `now`.
    pub(super) fn follow(&mut self, (group, node): (&str, &str), phase: Phase, now: WallTime) {
        let known = self.groups.get(group);
        if phase == Phase::default() && !known.is_some_and(|nodes| nodes.contains_key(node)) {
            return;
        }
        if let Some(node) = self.named(group, node, now) {
            node.reported = node.reported.max(now);
            node.tally.follow(phase, now);
        }
    }

    /// The node of this name, if there is room for it. Names are copied once, not for each report.
    fn named(&mut self, group: &str, node: &str, now: WallTime) -> Option<&mut Node> {
        let known = self.groups.get(group);
        if !known.is_some_and(|nodes| nodes.contains_key(node)) {
            let own = known.map_or(0, BTreeMap::len);
            if NODES_MAX <= self.count || NODES_OF_GROUP_MAX <= own {
                return None;
            }
            self.count += 1;
            let newcomer = Node {
                tally: Tally::default(),
                heard: now,
                began: None,
                reported: WallTime::default(),
            };
            let nodes = self.groups.entry(group.to_owned()).or_default();
            nodes.insert(node.to_owned(), newcomer);
        }
        self.groups.get_mut(group)?.get_mut(node)
    }

    fn crowd(&mut self) {
        self.crowded = self.crowded.saturating_add(1);
    }

    /// How often something was counted of a node for which there was no room.
    pub(super) const fn crowded(&self) -> u64 {
        self.crowded
    }

    /// What `node` of `group` counted; nothing when it never reported.
    pub(super) fn of(&self, group: &str, node: &str) -> Tally {
        self.known(group, node)
            .map(|(_, tally)| tally)
            .unwrap_or_default()
    }

    /// The same, and since when it is heard of; nothing when it never reported.
    pub(super) fn known(&self, group: &str, node: &str) -> Option<(WallTime, Tally)> {
        let node = self.groups.get(group)?.get(node)?;
        Some((node.heard, node.tally))
    }

    /// Drops the nodes that are gone at `now`.
    pub(super) fn forget(&mut self, now: WallTime) {
        self.groups.retain(|_, nodes| {
            nodes.retain(|_, node| now.since(node.reported) < GONE_AFTER);
            !nodes.is_empty()
        });
        self.count = self.groups.values().map(BTreeMap::len).sum();
    }
}

impl Engine {
    /// Takes in what Envoys said at `now` that they counted. No controller decides by it, so no record has it.
    pub fn take_loads(&mut self, counted: &Counted, now: WallTime) {
        for ((group, node), load) in counted {
            self.healths.take_load((group, node), *load, now);
        }
    }

    /// What is counted later of `node` of `group` belongs to `phase`, as of `now`.
    pub fn follow(&mut self, (group, node): (&str, &str), phase: Phase, now: WallTime) {
        self.healths.follow((group, node), phase, now);
    }

    /// What `node` of `group` counted since the process began, its filters and its Envoy.
    #[must_use]
    pub fn tally(&self, group: &str, node: &str) -> Tally {
        self.healths.of(group, node)
    }

    /// The same, and since when; nothing of a node that did not report for ten minutes.
    #[must_use]
    pub fn known_tally(&self, group: &str, node: &str) -> Option<(WallTime, Tally)> {
        self.healths.known(group, node)
    }
}

/// The requests of a report that say something about a service, and those that it did not serve.
fn counted(report: &Report) -> Health {
    let mut health = Health::default();
    for scope in &report.scopes {
        for (outcome, count) in Outcome::ALL.iter().zip(scope.outcomes) {
            if !outcome.is_evidence() {
                continue;
            }
            health.requests = health.requests.saturating_add(count);
            if !outcome.is_served() {
                health.failed = health.failed.saturating_add(count);
            }
        }
    }
    health
}

#[cfg(test)]
mod tests {
    use sloop_xds::rollout::Runs;
    use sloop_xds_protos::report::v1 as wire;

    use super::*;

    /// A report of a VM that began, or went on, at `from` seconds.
    fn report(sequence: u64, from: u64, outcomes: &[u64]) -> Report {
        let scope = wire::ScopeDelta {
            service: "shop".to_owned(),
            route: "pay".to_owned(),
            side: wire::Side::Server.into(),
            requests: outcomes.iter().sum(),
            outcomes: outcomes.to_vec(),
            ..wire::ScopeDelta::default()
        };
        let request = wire::ReportRequest {
            node: "shop-1".to_owned(),
            cluster: "shop".to_owned(),
            incarnation: 1,
            sequence,
            from_ms: from * 1_000,
            to_ms: from * 1_000 + 1_000,
            scopes: vec![scope],
            ..wire::ReportRequest::default()
        };
        Report::try_from(request).unwrap()
    }

    /// The VMs that began anew after these reports, of (sequence, second).
    fn anew(reports: &[(u64, u64)]) -> u64 {
        let mut healths = Healths::default();
        for (sequence, from) in reports {
            healths.take(&report(*sequence, *from, &[]), None, WallTime::default());
        }
        healths.of("shop", "shop-1").usual().filters.vms
    }

    #[test]
    fn a_vm_that_begins_long_after_the_first_begins_anew() {
        assert_eq!(anew(&[(1, 100), (1, 101), (2, 101)]), 0, "two workers");
        assert_eq!(anew(&[(1, 100), (1, 110)]), 0, "a slow start");
        assert_eq!(anew(&[(1, 100), (1, 111)]), 1);
        assert_eq!(anew(&[(7, 100), (8, 200)]), 0, "of an earlier process");
        assert_eq!(anew(&[(7, 100), (1, 200)]), 1);
        assert_eq!(anew(&[(1, 100), (1, 90)]), 0, "out of order");
    }

    #[test]
    fn what_the_filter_answered_itself_says_nothing() {
        let mut healths = Healths::default();
        let outcomes = [5, 1, 2, 0, 0, 0, 0, 4, 3];
        healths.take(&report(1, 0, &outcomes), None, WallTime::default());
        let health = healths.of("shop", "shop-1").usual().filters;
        assert_eq!((health.requests, health.failed), (8, 2));
        assert_eq!(healths.of("shop", "shop-2"), Tally::default());
        let of_others = healths.of("cart", "shop-1");
        assert_eq!(of_others, Tally::default(), "an id is its group's alone");
        healths.forget(WallTime::from_millis(600_000));
        assert_eq!(healths.of("shop", "shop-1"), Tally::default());
    }

    #[test]
    fn what_an_envoy_counts_is_kept_apart_from_what_its_filters_do() {
        let mut healths = Healths::default();
        let health = Health {
            vms: 0,
            requests: 30,
            failed: 3,
        };
        let load = Load {
            health,
            from: WallTime::default(),
        };
        let counted = |it: Health| (it.requests, it.failed);
        let take = |healths: &mut Healths, seconds: u64| {
            let now = WallTime::from_millis(seconds * 1_000);
            healths.take_load(("shop", "shop-1"), load, now);
            counted(healths.of("shop", "shop-1").usual().envoy)
        };
        assert_eq!(take(&mut healths, 1), (30, 3));
        let now = WallTime::from_millis(2_000);
        healths.take(&report(1, 2, &[5, 0, 1]), None, now);
        let filters = counted(healths.of("shop", "shop-1").usual().filters);
        assert_eq!((take(&mut healths, 3), filters), ((60, 6), (6, 1)));
        healths.forget(WallTime::from_millis(602_000));
        assert_eq!(take(&mut healths, 602), (90, 9), "it goes on");
        healths.forget(WallTime::from_millis(1_202_000));
        assert_eq!(take(&mut healths, 1_203), (30, 3), "it was gone");
    }

    #[test]
    fn so_many_nodes_are_known_and_who_is_gone_makes_room() {
        let mut healths = Healths::default();
        let mut one = report(1, 0, &[0, 1]);
        let mut take = |healths: &mut Healths, number: usize, at_ms| {
            one.group = format!("shop-{}", number % 7);
            one.node = number.to_string();
            healths.take(&one, None, WallTime::from_millis(at_ms));
            healths.of(&one.group, &one.node).usual().filters.requests
        };
        for number in 0..NODES_MAX {
            let at_ms = if number == 0 { 0 } else { 1 };
            assert_eq!(take(&mut healths, number, at_ms), 1);
        }
        let newcomer = NODES_MAX;
        assert_eq!(take(&mut healths, newcomer, 1), 0, "there is no room");
        assert_eq!(take(&mut healths, 1, 1), 2, "who is known goes on");
        assert_eq!(healths.crowded(), 1);
        healths.forget(WallTime::from_millis(600_000));
        assert_eq!(take(&mut healths, newcomer, 600_000), 1, "one was gone");
        assert_eq!(take(&mut healths, newcomer + 1, 600_000), 0);
        assert_eq!(healths.crowded(), 2);
    }

    #[test]
    fn a_group_that_makes_nodes_up_leaves_room_to_others() {
        let mut healths = Healths::default();
        let mut take = |group: &str, number: usize| {
            let mut one = report(1, 0, &[0, 1]);
            group.clone_into(&mut one.group);
            one.node = number.to_string();
            healths.take(&one, None, WallTime::from_millis(1));
            healths.of(group, &one.node).usual().filters.requests
        };
        for number in 0..NODES_OF_GROUP_MAX {
            assert_eq!(take("loud", number), 1);
        }
        assert_eq!(take("loud", NODES_OF_GROUP_MAX), 0);
        assert_eq!(take("quiet", 0), 1);
        assert_eq!(healths.crowded(), 1);
        let tried = Phase {
            stage: Some(WallTime::from_millis(1)),
            ..Phase::default()
        };
        let now = WallTime::from_millis(2);
        healths.follow(("loud", "unknown"), tried, now);
        assert_eq!(healths.crowded(), 1, "it has not counted anything");
    }

    /// Requests that belong to the stage since second 100, after reports that came as (last, seconds it is about, now).
    fn in_stage(reports: &[(Option<u64>, u64, u64)]) -> u64 {
        let at = |seconds: u64| WallTime::from_millis(seconds * 1_000);
        let mut healths = Healths::default();
        let phase = Phase {
            stage: Some(at(100)),
            ..Phase::default()
        };
        healths.follow(("shop", "shop-1"), phase, at(100));
        for (last, about, now) in reports {
            let mut one = report(2, 5_000, &[1]);
            one.to = one.from.after(Duration::from_secs(*about));
            healths.take(&one, last.map(at), at(*now));
        }
        healths
            .of("shop", "shop-1")
            .in_stage(at(100))
            .filters
            .requests
    }

    #[test]
    fn a_report_began_by_our_clock_before_what_it_says_and_when_the_last_came() {
        assert_eq!(in_stage(&[(None, 1, 101), (Some(100), 1, 101)]), 2);
        assert_eq!(in_stage(&[(None, 2, 101)]), 0, "it says so");
        assert_eq!(in_stage(&[(Some(99), 1, 105)]), 0, "it came late");
        assert_eq!(in_stage(&[(Some(100), 2, 101)]), 0, "the last came late");
    }

    #[test]
    fn a_node_that_never_reported_is_known_while_something_is_tried_on_it() {
        let mut healths = Healths::default();
        let who = ("shop", "shop-1");
        healths.follow(who, Phase::default(), WallTime::default());
        assert_eq!(healths.count, 0, "nothing has to be known");
        let tries = Phase {
            runs: Runs::Other,
            stage: None,
        };
        healths.follow(who, tries, WallTime::default());
        healths.take(&report(1, 0, &[1]), None, WallTime::from_millis(1_000));
        let tally = healths.of("shop", "shop-1");
        assert_eq!((healths.count, tally.usual()), (1, Counts::default()));
    }
}
