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
            counts: Counts::default(),
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
        self.rollout
            .want(wanted(&self.stable, content, content), &PACE, at(seconds));
    }

    fn step(&mut self, seconds: u64) -> Option<Told> {
        self.rollout.step(&self.seen, &PACE, at(seconds))
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
fn a_clock_that_goes_backwards_waits() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 50);
    nodes.step(50);
    nodes.take();
    nodes.step(50);
    assert_eq!(nodes.step(0), None);
    assert_eq!(nodes.step(60), Some(Told::Trying(2)));
}

#[test]
fn a_refusal_takes_it_back_from_all_and_it_is_not_tried_again() {
    let mut nodes = Nodes::with("old");
    nodes.seen[1].refusal = Some((at(0), "of long ago".to_owned()));
    nodes.want("bad", 1);
    nodes.step(1);
    nodes.seen[0].refusal = Some((at(2), "no".to_owned()));
    assert_eq!(because(nodes.step(3)), "n0 refuses it: no");
    assert_eq!(nodes.offered("old"), 4);
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
fn a_vm_that_begins_anew_takes_it_back() {
    let mut nodes = Nodes::with("old");
    nodes.want("bad", 0);
    nodes.step(0);
    nodes.take();
    nodes.seen[3].counts.filters.vms += 1;
    assert_eq!(nodes.step(1), None, "of a node that does not try it");
    nodes.seen[0].counts.filters.vms += 1;
    assert_eq!(because(nodes.step(2)), "n0 began a Wasm VM anew");
}

#[test]
fn another_module_begins_vms_anew_and_may() {
    let mut nodes = Nodes::with("old");
    let upgrade = Wanted {
        vms: Vms::Begin,
        ..wanted("old", "new", "new")
    };
    nodes.rollout.want(upgrade, &PACE, at(0));
    nodes.step(0);
    nodes.take();
    nodes.seen[0].counts.filters.vms += 2;
    assert_eq!(nodes.step(1), None);
    assert_eq!(nodes.step(11), Some(Told::Trying(2)));
}

#[test]
fn failures_beyond_those_elsewhere_take_it_back() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    nodes.step(0);
    nodes.take();
    for it in &mut nodes.seen {
        it.counts.filters.requests = 1_000;
        it.counts.filters.failed = 300;
    }
    assert_eq!(nodes.step(1), None, "everywhere alike");
    nodes.seen[0].counts.filters.failed = 700;
    let expected = "700 of 1000 requests failed where it was tried, 900 of 3000 otherwise";
    assert_eq!(because(nodes.step(2)), expected);
}

#[test]
fn failures_that_a_node_had_before_are_not_the_fault_of_the_change() {
    let mut nodes = Nodes::with("old");
    for it in &mut nodes.seen {
        it.counts.filters.requests = 1_000;
    }
    nodes.seen[0].counts.filters.failed = 500;
    nodes.want("new", 0);
    nodes.step(0);
    nodes.take();
    for it in &mut nodes.seen {
        it.counts.filters.requests += 1_000;
    }
    nodes.seen[0].counts.filters.failed += 500;
    assert_eq!(nodes.step(1), None);
    nodes.seen[0].counts.filters.failed += 400;
    assert_ne!(because(nodes.step(2)), "");
}

#[test]
fn failures_of_a_change_that_was_taken_back_excuse_no_other() {
    let mut nodes = Nodes::with("old");
    for it in &mut nodes.seen {
        it.counts.filters.requests = 100;
    }
    let mut again = |content: &str, seconds: u64| {
        nodes.want(content, seconds);
        nodes.step(seconds);
        nodes.take();
        for it in &mut nodes.seen {
            it.counts.filters.requests += 1_000;
        }
        nodes.seen[0].counts.filters.failed += 1_000;
        because(nodes.step(seconds + 1))
    };
    let expected = "1000 of 1000 requests failed where it was tried, 0 of 3000 otherwise";
    assert_eq!(again("bad", 0), expected);
    assert_eq!(again("as bad", 2), expected);
    assert_eq!(again("no better", 4), expected);
}

#[test]
fn failures_are_seen_by_envoys_where_the_change_takes_filters_away() {
    let mut nodes = Nodes::with("old");
    let count = |nodes: &mut Nodes| {
        for it in &mut nodes.seen {
            it.counts.filters.requests += 1_000;
            it.counts.envoy.requests += 1_000;
        }
    };
    count(&mut nodes);
    nodes.want("bad", 0);
    nodes.step(0);
    nodes.take();
    count(&mut nodes);
    assert_eq!(nodes.step(1), None);
    nodes.seen[0].counts.envoy.requests += 500;
    nodes.seen[0].counts.envoy.failed += 500;
    let expected = "500 of 1500 requests failed where it was tried, 0 of 3000 otherwise";
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
fn what_must_not_wait_goes_to_all_while_something_is_tried() {
    let mut nodes = Nodes::with("old");
    nodes.want("new", 0);
    nodes.step(0);
    for second in 1..=10 {
        let (protected, both) = (format!("protected {second}"), format!("both {second}"));
        let wanted = wanted(&protected, &both, "new");
        nodes.rollout.want(wanted, &PACE, at(second));
        assert_eq!((nodes.offered(&protected), nodes.offered(&both)), (3, 1));
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
    nodes.rollout.step(&nodes.seen, &pace, at(0));
    nodes.take();
    let told = nodes.rollout.step(&nodes.seen, &pace, at(1));
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
        .want(wanted("old", "new", "new"), &RolloutPace::NONE, at(0));
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
            }
            if refuses_at <= n {
                prop_assert_eq!(nodes.offered("bad"), 0);
            }
        }
    }
}
