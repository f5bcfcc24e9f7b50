mod histories;

use proptest::prelude::*;

use super::*;
use crate::Resource;

const PACE: RolloutPace = RolloutPace {
    first: 1,
    share_percent: 50,
    quiet: Duration::from_secs(10),
};

fn at(seconds: u64) -> WallTime {
    WallTime::from_millis(1_000_000 + seconds * 1_000)
}

/// A moment at which both clocks have gone as far as `wall` says.
fn both(wall: WallTime) -> Now {
    let time = Time::from_nanos(wall.as_millis() * 1_000_000);
    Now { wall, time }
}

fn snapshot(content: &str) -> Arc<Snapshot> {
    Arc::new(
        Snapshot::builder()
            .with(Resource::new("t", "a", content.as_bytes()))
            .build(),
    )
}

/// `at_once` for all, and `whole` for who tries the change that is called `revision`.
fn wanted(at_once: &str, whole: &str, revision: &str) -> Wanted {
    Wanted {
        at_once: snapshot(at_once),
        whole: snapshot(whole),
        revision: Version::of([revision.as_bytes()]),
        vms: Vms::Stay,
    }
}

fn finished(revision: &str) -> Option<Told> {
    let revision = Version::of([revision.as_bytes()]);
    Some(Told::Finished { revision })
}

fn of(requests: u64, failed: u64) -> Health {
    Health {
        vms: 0,
        requests,
        failed,
    }
}

/// Why the change was taken back; empty when it was not.
fn because(told: Option<Told>) -> String {
    match told {
        Some(Told::RolledBack(rejected)) => rejected.because,
        _ => String::new(),
    }
}

/// A cohort of four nodes that take over whatever they are offered.
struct Nodes {
    rollout: Rollout,
    seen: Vec<Seen>,
    stable: String,
}

impl Nodes {
    fn with(content: &str) -> Self {
        let seen = ["n0", "n1", "n2", "n3"].map(|node| Seen {
            node: node.to_owned(),
            has: None,
            refusal: None,
            tally: Tally::default(),
        });
        let mut nodes = Self {
            rollout: Rollout::default(),
            seen: seen.into(),
            stable: content.to_owned(),
        };
        nodes.want(content, 0);
        nodes
    }

    fn want(&mut self, content: &str, seconds: u64) {
        let wanted = wanted(&self.stable, content, content);
        self.rollout.want(wanted, &PACE, both(at(seconds)));
    }

    fn step(&mut self, seconds: u64) -> Option<Told> {
        self.step_at(&PACE, at(seconds))
    }

    fn step_at(&mut self, pace: &RolloutPace, now: WallTime) -> Option<Told> {
        self.step_by(pace, both(now))
    }

    fn step_by(&mut self, pace: &RolloutPace, now: Now) -> Option<Told> {
        let told = self.rollout.step(&self.seen, pace, now);
        for it in &mut self.seen {
            it.tally.follow(self.rollout.phase(&it.node), now.wall);
        }
        told
    }

    fn watching(&self, seconds: u64) -> bool {
        self.rollout.is_watching(both(at(seconds)).time)
    }

    /// A node comes, with what all get.
    fn join(&mut self, node: &str) {
        let has = self
            .rollout
            .offer()
            .map(|it| it.for_node(node).version().clone());
        let place = self.seen.partition_point(|it| it.node.as_str() < node);
        let seen = Seen {
            node: node.to_owned(),
            has,
            refusal: None,
            tally: Tally::default(),
        };
        self.seen.insert(place, seen);
    }

    fn leave(&mut self, node: &str) {
        self.seen.retain(|it| it.node != node);
    }

    /// Filters of a node count so many requests, and failures among them, of a time that began at `seconds`.
    fn count(&mut self, node: usize, requests: u64, failed: u64, seconds: u64) {
        let counts = Counts {
            filters: of(requests, failed),
            ..Counts::default()
        };
        self.seen[node].tally.take(counts, at(seconds));
    }

    /// The same of all nodes.
    fn count_all(&mut self, requests: u64, failed: u64, seconds: u64) {
        (0..4).for_each(|node| self.count(node, requests, failed, seconds));
    }

    /// A filter's VM of a node begins after the others.
    fn begins_anew(&mut self, node: usize, seconds: u64) {
        let mut counts = Counts::default();
        counts.filters.vms = 1;
        self.seen[node].tally.take(counts, at(seconds));
    }

    /// Nodes take over what they are offered.
    fn take(&mut self) {
        let offer = self.rollout.offer().unwrap();
        for it in &mut self.seen {
            it.has = Some(offer.for_node(&it.node).version().clone());
        }
    }

    /// How many nodes are offered `content`.
    fn offered(&self, content: &str) -> usize {
        let offer = self.rollout.offer().unwrap();
        let wanted = snapshot(content);
        let nodes = self.seen.iter();
        nodes
            .filter(|it| **offer.for_node(&it.node) == *wanted)
            .count()
    }
}

#[test]
fn the_first_goes_to_all() {
    let nodes = Nodes::with("old");
    assert_eq!(nodes.offered("old"), 4);
    assert!(!nodes.rollout.is_under_way());
}

#[test]
fn a_change_goes_to_one_then_to_a_share_and_then_to_all() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    assert_eq!(nodes.offered("new"), 0);
    assert_eq!(nodes.step(0), Some(Told::Trying(1)));
    assert_eq!(nodes.offered("new"), 1);
    assert_eq!(nodes.step(100), None, "nobody has it yet");
    nodes.take();
    assert_eq!(nodes.step(101), None);
    assert_eq!(nodes.step(110), None, "not yet quiet for long enough");
    assert_eq!(nodes.step(111), Some(Told::Trying(2)));
    nodes.take();
    nodes.step(112);
    assert_eq!(nodes.offered("new"), 2);
    assert_eq!(nodes.step(122), finished("new"));
    assert_eq!(nodes.offered("new"), 4);
    assert_eq!(nodes.rollout.stage(), Stage::Settled);
}

#[test]
fn a_step_of_the_wall_clock_makes_nothing_longer_or_shorter() {
    for set_to in [0, 86_400] {
        let mut nodes = Nodes::with("old");
        nodes.want("new", 50);
        nodes.step(50);
        nodes.take();
        nodes.step(50);
        let mut stepped = |seconds: u64| {
            let time = both(at(seconds)).time;
            let wall = at(set_to + seconds - 50);
            nodes.step_by(&PACE, Now { wall, time })
        };
        assert_eq!((stepped(51), stepped(59)), (None, None));
        assert_eq!(stepped(60), Some(Told::Trying(2)));
    }
    // Nor is a node gone or back for longer.
    let mut nodes = Nodes::with("old");
    nodes.want("new", 50);
    nodes.step(50);
    nodes.leave("n0");
    nodes.step(51);
    let wall = at(86_400);
    let time = both(at(52)).time;
    assert_eq!(nodes.step_by(&PACE, Now { wall, time }), None);
    assert_eq!(nodes.offered("new"), 0, "n0 may come back");
}

#[test]
fn a_refusal_takes_it_back_from_all_and_it_is_not_tried_again() {
    let mut nodes = Nodes::with("old");
    nodes.seen[1].refusal = Some((at(0), "of long ago".to_owned()));
    nodes.want("bad", 1);
    nodes.step(1);
    nodes.seen[0].refusal = Some((at(2), "no".to_owned()));
    assert_eq!(nodes.step(2), None);
    assert_eq!(because(nodes.step(3)), "n0 refuses it: no");
    assert_eq!(nodes.offered("old"), 4);
    nodes.take();
    nodes.want("bad", 4);
    assert_eq!(nodes.step(4), None);
    assert!(matches!(nodes.rollout.stage(), Stage::RolledBack(_)));
    nodes.want("good", 5);
    assert_eq!(nodes.step(5), Some(Told::Trying(1)));
}

#[test]
fn what_another_process_took_back_is_not_tried_again_until_it_was_away() {
    let rejected = Rejected {
        revision: Version::of([b"bad".as_slice()]),
        because: "no".to_owned(),
        at: at(0),
    };
    let mut nodes = Nodes::with("old");
    nodes.rollout = Rollout::restored(Some(rejected));
    nodes.want("bad", 1);
    assert_eq!((nodes.step(1), nodes.offered("old")), (None, 4));
    nodes.want("old", 2);
    assert_eq!(nodes.rollout.stage(), Stage::Settled);
    nodes.want("bad", 3);
    assert_eq!(nodes.step(3), Some(Told::Trying(1)), "somebody insists");
}

#[test]
fn what_everybody_refuses_is_not_the_fault_of_the_change() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 1);
    nodes.step(1);
    for it in &mut nodes.seen {
        it.refusal = Some((at(2), "no".to_owned()));
    }
    assert_eq!(nodes.step(3), None);
    assert!(nodes.rollout.is_under_way());
}

#[test]
fn who_is_done_last_with_what_everybody_refuses_refuses_nothing_else() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 1);
    nodes.step(1);
    let millis = |seconds, millis| WallTime::from_millis(at(seconds).as_millis() + millis);
    for it in &mut nodes.seen {
        it.refusal = Some((at(2), "no".to_owned()));
    }
    assert_eq!(nodes.step(3), None);
    for it in &mut nodes.seen[1..] {
        it.refusal = None;
    }
    assert_eq!(nodes.step_at(&PACE, millis(3, 999)), None);
    let because = because(nodes.step_at(&PACE, millis(4, 0)));
    assert_eq!(because, "n0 refuses it: no", "it is not done with it");
}

#[test]
fn who_is_done_first_with_what_everybody_refuses_refuses_nothing_else() {
    let millis = |seconds, millis| WallTime::from_millis(at(seconds).as_millis() + millis);
    let mut nodes = Nodes::with("old");
    nodes.want("new", 1);
    nodes.step(1);
    nodes.seen[0].refusal = Some((at(2), "no".to_owned()));
    assert_eq!(nodes.step(2), None);
    assert_eq!(nodes.step_at(&PACE, millis(2, 999)), None);
    for it in &mut nodes.seen[1..] {
        it.refusal = Some((millis(2, 999), "no".to_owned()));
    }
    assert_eq!([3, 4, 5].map(|it| nodes.step(it)), [None, None, None]);
    assert!(nodes.rollout.is_under_way());
    // Where all try it there is nobody to wait for.
    let mut nodes = Nodes::with("old");
    for node in ["n1", "n2", "n3"] {
        nodes.leave(node);
    }
    nodes.want("new", 1);
    nodes.step(1);
    nodes.seen[0].refusal = Some((at(2), "no".to_owned()));
    assert_eq!(because(nodes.step(2)), "n0 refuses it: no");
}

#[test]
fn while_who_tries_it_and_others_refuse_something_a_change_does_not_go_on() {
    for is_last in [false, true] {
        let mut nodes = Nodes::with("old");
        let pace = RolloutPace {
            share_percent: if is_last { 25 } else { 50 },
            ..PACE
        };
        nodes.want("new", 0);
        nodes.step_at(&pace, at(0));
        nodes.take();
        nodes.step_at(&pace, at(1));
        nodes.seen[3].refusal = Some((at(6), "something else".to_owned()));
        nodes.seen[0].refusal = Some((at(9), "no".to_owned()));
        let told = [9, 10, 11, 12].map(|it| nodes.step_at(&pace, at(it)));
        assert_eq!(told, [None, None, None, None]);
        assert_eq!(nodes.offered("new"), 1);
        nodes.seen[3].refusal = None;
        let told = nodes.step_at(&pace, at(13));
        assert_eq!(because(told), "n0 refuses it: no");
    }
    // What both are done with.
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    nodes.step(0);
    nodes.take();
    nodes.step(1);
    let refuse = |nodes: &mut Nodes, refusal: Option<(WallTime, String)>| {
        for it in &mut nodes.seen {
            it.refusal.clone_from(&refusal);
        }
    };
    refuse(&mut nodes, Some((at(2), "no".to_owned())));
    assert_eq!([3, 6].map(|it| nodes.step(it)), [None, None]);
    refuse(&mut nodes, None);
    assert_eq!([7, 16].map(|it| nodes.step(it)), [None, None]);
    assert_eq!(nodes.step(17), Some(Told::Trying(2)));
}

/// What is tried may be what mends that.
#[test]
fn what_a_node_refused_before_it_tried_the_change_is_not_held_against_it() {
    let mut nodes = Nodes::with("old");
    let refuses_old = |nodes: &mut Nodes, node: usize, seconds: Option<u64>| {
        nodes.seen[node].refusal = seconds.map(|seconds| (at(seconds), "the old one".to_owned()));
    };
    nodes.want("mends", 0);
    nodes.step(0);
    nodes.take();
    nodes.step(1);
    refuses_old(&mut nodes, 1, Some(9));
    assert_eq!(nodes.step(10), None);
    assert_eq!(nodes.step(11), Some(Told::Trying(2)));
    nodes.take();
    assert_eq!([12, 13].map(|it| nodes.step(it)), [None, None]);
    refuses_old(&mut nodes, 1, None);
    // As does who comes in the place of one that is gone.
    refuses_old(&mut nodes, 2, Some(15));
    nodes.leave("n0");
    nodes.step(15);
    assert_eq!(nodes.step(25), Some(Told::Trying(2)));
    nodes.take();
    assert_eq!([26, 27].map(|it| nodes.step(it)), [None, None]);
    nodes.seen[1].refusal = Some((at(28), "no".to_owned()));
    assert_eq!(nodes.step(28), None);
    assert_eq!(because(nodes.step(29)), "n2 refuses it: no");
}

#[test]
fn a_refusal_counts_as_well_when_the_clock_was_set_back() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 600);
    nodes.step(600);
    nodes.take();
    assert_eq!(nodes.step(601), None);
    let back = |seconds| Now {
        wall: at(seconds),
        time: both(at(seconds + 600)).time,
    };
    assert_eq!(nodes.step_by(&PACE, back(2)), None);
    nodes.seen[0].refusal = Some((at(3), "no".to_owned()));
    assert_eq!(nodes.step_by(&PACE, back(3)), None);
    assert_eq!(because(nodes.step_by(&PACE, back(4))), "n0 refuses it: no");
}

#[test]
fn a_vm_that_begins_anew_takes_it_back() {
    let mut nodes = Nodes::with("old");
    nodes.want("bad", 0);
    nodes.step(0);
    nodes.take();
    nodes.begins_anew(3, 1);
    assert_eq!(nodes.step(1), None, "of a node that does not try it");
    nodes.begins_anew(0, 1);
    assert_eq!(because(nodes.step(2)), "n0 began a Wasm VM anew");
}

#[test]
fn a_vm_that_began_anew_before_is_not_the_fault_of_the_change() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 10);
    nodes.step(10);
    nodes.take();
    nodes.begins_anew(0, 9);
    assert_eq!(nodes.step(11), None);
}

#[test]
fn another_module_begins_vms_anew_and_may() {
    let mut nodes = Nodes::with("old");
    let upgrade = Wanted {
        vms: Vms::Begin,
        ..wanted("old", "new", "new")
    };
    nodes.rollout.want(upgrade, &PACE, both(at(0)));
    nodes.step(0);
    nodes.take();
    nodes.begins_anew(0, 1);
    nodes.begins_anew(0, 1);
    assert_eq!(nodes.step(1), None);
    assert_eq!(nodes.step(11), Some(Told::Trying(2)));
}

#[test]
fn failures_beyond_those_elsewhere_take_it_back() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    nodes.step(0);
    nodes.take();
    nodes.count_all(1_000, 300, 0);
    assert_eq!(nodes.step(1), None, "everywhere alike");
    nodes.count(0, 0, 400, 1);
    let expected = "700 of 1000 requests failed where it was tried, 900 of 3000 otherwise";
    assert_eq!(because(nodes.step(2)), expected);
}

#[test]
fn failures_that_a_node_had_before_are_not_the_fault_of_the_change() {
    let mut nodes = Nodes::with("old");
    nodes.count_all(1_000, 0, 0);
    nodes.count(0, 0, 500, 0);
    nodes.want("new", 0);
    nodes.step(0);
    nodes.take();
    nodes.count_all(1_000, 0, 0);
    nodes.count(0, 0, 500, 0);
    assert_eq!(nodes.step(1), None);
    nodes.count(0, 0, 400, 1);
    assert_ne!(because(nodes.step(2)), "");
}

#[test]
fn failures_of_a_time_that_began_before_are_not_the_fault_of_the_change() {
    let mut nodes = Nodes::with("old");
    nodes.count_all(1_000, 0, 0);
    nodes.want("new", 60);
    nodes.step(60);
    nodes.take();
    nodes.count_all(1_000, 0, 55);
    nodes.count(0, 1_000, 1_000, 55);
    assert_eq!(nodes.step(61), None, "of an outage that is over");
    nodes.count_all(1_000, 0, 60);
    assert_eq!(nodes.step(62), None);
    nodes.count(0, 1_000, 1_000, 61);
    assert_ne!(because(nodes.step(63)), "", "of another");
}

#[test]
fn failures_of_a_change_that_was_taken_back_excuse_no_other() {
    let mut nodes = Nodes::with("old");
    nodes.count_all(100, 0, 0);
    let mut again = |content: &str, seconds: u64| {
        nodes.want(content, seconds);
        nodes.step(seconds);
        nodes.take();
        nodes.count_all(1_000, 0, seconds);
        nodes.count(0, 0, 1_000, seconds);
        let because = because(nodes.step(seconds + 1));
        // Until it has what it had, and in a report that began before.
        nodes.count(0, 10_000, 10_000, seconds + 2);
        nodes.step(seconds + 2);
        nodes.take();
        nodes.step(seconds + 3);
        nodes.step(seconds + 4);
        nodes.count(0, 10_000, 10_000, seconds + 3);
        because
    };
    let expected = "1000 of 1000 requests failed where it was tried, 0 of 3000 otherwise";
    assert_eq!(again("bad", 0), expected);
    assert_eq!(again("as bad", 10), expected);
    assert_eq!(again("no better", 20), expected);
}

#[test]
fn who_is_on_the_way_back_is_waited_for_and_then_passed_over() {
    let mut nodes = Nodes::with("old");
    nodes.want("bad", 0);
    nodes.step(0);
    nodes.take();
    nodes.want("good", 1);
    assert_eq!(nodes.step(1), None, "n0 has the bad one still");
    nodes.count(0, 1_000, 1_000, 1);
    nodes.take();
    assert_eq!((nodes.step(2), nodes.offered("good")), (None, 0));
    nodes.begins_anew(0, 2);
    assert_eq!(nodes.step(3), Some(Told::Trying(1)));
    nodes.take();
    nodes.count_all(1_000, 0, 3);
    assert_eq!((nodes.step(4), nodes.step(5)), (None, None), "it is good");

    nodes.want("better", 6);
    assert_eq!((nodes.step(6), nodes.step(15)), (None, None));
    assert_eq!(nodes.step(16), Some(Told::Trying(1)), "n0 takes nothing");
    let offer = nodes.rollout.offer().unwrap();
    assert_eq!(
        *offer.for_node("n1").version(),
        *snapshot("better").version()
    );
}

#[test]
fn where_there_is_one_it_is_waited_for_until_it_is_back() {
    let mut nodes = Nodes::with("old");
    nodes.seen.truncate(1);
    nodes.want("bad", 0);
    nodes.step(0);
    nodes.take();
    nodes.want("good", 1);
    nodes.step(1);
    // It fails on its way back, for longer than others are quiet.
    for second in 2..40 {
        nodes.count(0, 1_000, 1_000, second);
        assert_eq!(nodes.step(second), None, "second {second}");
    }
    nodes.take();
    nodes.step(40);
    assert_eq!(nodes.step(41), Some(Told::Trying(1)));
    nodes.take();
    nodes.count(0, 1_000, 0, 41);
    assert_eq!((nodes.step(42), nodes.step(51)), (None, None));
    assert_eq!(nodes.step(52), finished("good"));
    // What all have it may refuse, and take what is new.
    nodes.stable = "good".to_owned();
    nodes.want("newer", 60);
    nodes.step(60);
    nodes.want("newest", 61);
    nodes.seen[0].has = None;
    assert_eq!((nodes.step(62), nodes.step(120)), (None, None));
    assert_eq!(
        nodes.step(121),
        Some(Told::Trying(1)),
        "nobody waits longer"
    );
}

#[test]
fn who_was_on_the_way_back_when_it_refused_refuses_nothing_else() {
    let mut nodes = Nodes::with("old");
    nodes.want("bad", 0);
    nodes.step(0);
    nodes.want("good", 1);
    nodes.step(1);
    nodes.seen[0].refusal = Some((at(2), "the bad one".to_owned()));
    nodes.take();
    assert_eq!(
        (nodes.step(3), nodes.step(4)),
        (None, Some(Told::Trying(1)))
    );
    assert_eq!(nodes.step(5), None);
}

#[test]
fn it_is_looked_at_until_all_are_back_or_for_a_minute() {
    let mut nodes = Nodes::with("old");
    assert!(!nodes.watching(0));
    let ends = |nodes: &mut Nodes, content: &str, seconds| {
        nodes.want(content, seconds);
        nodes.step(seconds);
        nodes.want("old", seconds);
        nodes.step(seconds);
        let is_under_way = nodes.rollout.is_under_way();
        (is_under_way, nodes.watching(seconds))
    };
    assert_eq!(ends(&mut nodes, "new", 0), (false, true));
    nodes.take();
    nodes.step(1);
    nodes.step(2);
    assert!(!nodes.watching(2), "it is back");
    let has = nodes.seen[0].has.take();
    assert_eq!(ends(&mut nodes, "newer", 3), (false, true));
    assert!(nodes.watching(62) && !nodes.watching(63));
    assert_eq!(
        nodes.rollout.phase("n0").runs,
        Runs::Other,
        "it still has it"
    );
    nodes.seen[0].has = has;
    nodes.step(70);
    nodes.step(71);
    assert_eq!(nodes.rollout.phase("n0"), Phase::default());
    ends(&mut nodes, "newest", 80);
    nodes.seen.remove(0);
    nodes.step(139);
    assert_eq!(
        nodes.rollout.phase("n0").runs,
        Runs::Other,
        "it may come back"
    );
    nodes.step(140);
    assert_eq!(nodes.rollout.phase("n0"), Phase::default());
}

#[test]
fn failures_are_seen_by_envoys_where_the_change_takes_filters_away() {
    let mut nodes = Nodes::with("old");
    let count = |nodes: &mut Nodes, failed: u64| {
        for it in &mut nodes.seen {
            let failed = if it.node == "n0" { failed } else { 0 };
            let counts = Counts {
                filters: of(1_000, 0),
                envoy: of(1_000, failed),
            };
            it.tally.take(counts, at(0));
        }
    };
    count(&mut nodes, 0);
    nodes.want("bad", 0);
    nodes.step(0);
    nodes.take();
    count(&mut nodes, 0);
    assert_eq!(nodes.step(1), None);
    count(&mut nodes, 500);
    let expected = "500 of 2000 requests failed where it was tried, 0 of 6000 otherwise";
    assert_eq!(because(nodes.step(2)), expected);
}

#[test]
fn a_node_that_is_gone_for_long_is_replaced() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    nodes.step(0);
    nodes.seen.remove(0);
    assert_eq!(nodes.step(1), None, "it may come back");
    assert_eq!(nodes.step(11), Some(Told::Trying(1)));
    assert_eq!(nodes.offered("new"), 1);
    nodes.seen.clear();
    assert_eq!(nodes.step(100), None, "nobody is left to try it");
    assert!(nodes.rollout.is_under_way());
}

/// Each old node goes when a new one has come, whose ids are later.
#[test]
fn a_rolling_deploy_takes_nothing_back() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    nodes.step(0);
    let mut is_finished = false;
    for (second, number) in (1..).step_by(20).zip(0..4) {
        nodes.join(&format!("p{number}"));
        nodes.leave(&format!("n{number}"));
        for later in 0..20 {
            nodes.take();
            let told = nodes.step(second + later);
            is_finished |= told == finished("new");
            assert_eq!(because(told), "", "n{number} goes");
        }
    }
    assert!(is_finished);
}

#[test]
fn a_node_that_comes_back_goes_on() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    nodes.step(0);
    nodes.take();
    let node = nodes.seen.remove(0);
    nodes.step(1);
    nodes.seen.insert(0, node);
    assert_eq!((nodes.step(5), nodes.step(14)), (None, None));
    assert_eq!(nodes.step(15), Some(Told::Trying(2)));
}

#[test]
fn what_ends_the_nodes_that_try_it_is_taken_back() {
    let mut nodes = Nodes::with("old");
    nodes.want("bad", 0);
    nodes.step(0);
    nodes.seen.remove(0);
    nodes.step(1);
    nodes.step(11);
    nodes.seen.remove(0);
    nodes.step(12);
    assert_eq!(because(nodes.step(22)), "2 nodes that tried it are gone");
    assert_eq!(nodes.offered("bad"), 0);
}

#[test]
fn while_nothing_is_heard_a_change_does_not_go_on_but_may_be_taken_back() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    nodes.step(0);
    nodes.take();
    nodes.step(1);
    let mut unheard = |seconds: u64| {
        nodes.rollout.hears_nothing();
        nodes.step(seconds)
    };
    assert_eq!([10, 11, 40].map(&mut unheard), [None, None, None]);
    assert_eq!(nodes.step(41), None, "it is heard again");
    assert_eq!(nodes.step(50), None, "not yet quiet for long enough");
    assert_eq!(nodes.step(51), Some(Told::Trying(2)));
    nodes.take();
    nodes.rollout.hears_nothing();
    nodes.seen[0].refusal = Some((at(52), "no".to_owned()));
    assert_eq!(nodes.step(52), None);
    assert_eq!(because(nodes.step(53)), "n0 refuses it: no");
}

#[test]
fn without_a_quiet_time_it_does_not_go_on_unheard_either() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    let pace = RolloutPace {
        quiet: Duration::ZERO,
        ..PACE
    };
    nodes.step_at(&pace, at(0));
    nodes.take();
    nodes.rollout.hears_nothing();
    assert_eq!(nodes.step_at(&pace, at(1)), None);
    assert_eq!(nodes.step_at(&pace, at(2)), Some(Told::Trying(2)));
}

#[test]
fn what_must_not_wait_goes_to_all_while_something_is_tried() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    nodes.step(0);
    for second in 1..=10 {
        let (protected, whole) = (format!("protected {second}"), format!("both {second}"));
        let wanted = wanted(&protected, &whole, "new");
        nodes.rollout.want(wanted, &PACE, both(at(second)));
        assert_eq!((nodes.offered(&protected), nodes.offered(&whole)), (3, 1));
        nodes.take();
        nodes.step(second);
    }
    assert_eq!(
        nodes.step(11),
        Some(Told::Trying(2)),
        "and the trial goes on"
    );
}

#[test]
fn what_comes_late_undoes_nothing() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    let pace = RolloutPace {
        share_percent: 0,
        quiet: Duration::ZERO,
        ..PACE
    };
    nodes.step_at(&pace, at(0));
    nodes.take();
    let told = nodes.step_at(&pace, at(1));
    assert_eq!(told, finished("new"));
    nodes.want("new", 2);
    assert_eq!(nodes.offered("new"), 4, "made before it had finished");
    nodes.want("old", 3);
    assert_eq!(nodes.offered("old"), 4, "the documents are back");
}

#[test]
fn what_is_withdrawn_is_withdrawn_from_all_at_once() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    nodes.step(0);
    nodes.want("old", 1);
    assert_eq!(nodes.offered("old"), 4);
    assert!(!nodes.rollout.is_under_way());
}

#[test]
fn with_no_first_nodes_everything_goes_to_all_at_once() {
    let mut nodes = Nodes::with("old");
    let told = nodes
        .rollout
        .want(wanted("old", "new", "new"), &RolloutPace::NONE, both(at(0)));
    assert_eq!((told, nodes.offered("new")), (finished("new"), 4));
}

proptest! {
    /// What a node refused is not offered to anybody, whenever it refuses and however often one looks.
    #[test]
    fn a_bad_change_never_stays(
        waits in proptest::collection::vec(0..30_u64, 1..20),
        refuses_at in 0..20_usize,
    ) {
        let mut nodes = Nodes::with("old");
        nodes.want("bad", 0);
        let mut now = 0;
        for (n, wait) in waits.into_iter().enumerate() {
            now += wait;
            let told = nodes.step(now);
            nodes.take();
            if told == finished("bad") {
                return Ok(());
            }
            if n == refuses_at {
                let offered = nodes.offered("bad");
                prop_assert!(0 < offered && offered <= 2, "{offered} try it");
                nodes.seen[0].refusal = Some((at(now), "no".to_owned()));
                nodes.step(now);
                prop_assert_eq!(nodes.offered("bad"), offered, "for a second it is not known whether others do");
                now += 1;
                nodes.step(now);
            }
            if refuses_at <= n {
                prop_assert_eq!(nodes.offered("bad"), 0);
            }
        }
    }
}
