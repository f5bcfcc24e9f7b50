//! Which arms are taken in.

use sloop_model::{DimensionValue, Outcome, ServiceName, Side};

use super::*;
use crate::{Controllers, IntentId};

fn arm(experiment: &str, arm: Arm, requests: u64) -> ArmCounts {
    ArmCounts {
        experiment: ExperimentKey::of(experiment),
        arm,
        requests,
        outcomes: [0; Outcome::ALL.len()],
        objectives: Vec::new(),
        latency: Vec::new(),
        retries: 0,
        callers: Vec::new(),
    }
}

fn scope(service: &str, route: &str) -> Scope {
    Scope {
        service: ServiceName::try_from(service).unwrap(),
        route: RouteName::try_from(route).unwrap(),
        side: Side::Server,
    }
}

/// A world that wants these experiments on all routes of `a`.
fn wanting(experiments: &[&str]) -> World {
    let mut world = World::default();
    want(&mut world, experiments);
    world
}

fn want(world: &mut World, experiments: &[&str]) {
    let keys = experiments.iter().map(|name| ExperimentKey::of(name));
    let wanted = WantedArms {
        experiments: keys.collect(),
        scopes: BTreeSet::from([scope("a", "*")]),
    };
    world.want_arms([wanted].into_iter());
}

fn add_on(world: &mut World, scope: Scope, second: u64, arms: Vec<ArmCounts>) {
    let to = WallTime::from_millis(second * 1_000);
    let seen_by = SeenBy {
        node: "n",
        service: "a",
        from: to.before(Duration::from_secs(1)),
        to,
        heard: to,
        others_by: to,
    };
    let counts = ScopeCounts {
        arms,
        ..ScopeCounts::nothing(scope)
    };
    world.observe_arms(seen_by, &counts);
}

fn add(world: &mut World, second: u64, arms: Vec<ArmCounts>) {
    add_on(world, scope("a", "*"), second, arms);
}

fn numbers(world: &World, experiment: &str, seen: u64) -> Vec<u64> {
    let blocks = world.arm_blocks(ExperimentKey::of(experiment), seen);
    blocks.map(|block| block.number).collect()
}

#[test]
fn both_arms_of_a_report_are_one_block_and_each_is_taken_once() {
    let mut world = wanting(&["a", "b"]);
    let both = vec![
        arm("a", Arm::Control, 2),
        arm("a", Arm::Fault, 1),
        arm("b", Arm::Control, 3),
    ];
    add(&mut world, 1, both);
    add(&mut world, 2, vec![arm("a", Arm::Fault, 4)]);
    let seen: Vec<_> = world.arm_blocks(ExperimentKey::of("a"), 0).collect();
    let requests = |arm: &Option<ArmCounts>| arm.as_ref().map(|arm| arm.requests);
    assert_eq!(requests(&seen[0].fault), Some(1));
    assert_eq!(requests(&seen[0].control), Some(2));
    assert_eq!((seen[1].number, requests(&seen[1].control)), (2, None));
    assert_eq!(numbers(&world, "a", 1), [2]);
    assert_eq!(numbers(&world, "a", 2), [0; 0]);
    // What was stepped over is gone, and numbers go on.
    want(&mut world, &["a"]);
    assert_eq!(numbers(&world, "a", 0), [0; 0]);
    add(&mut world, 3, vec![arm("a", Arm::Fault, 1)]);
    assert_eq!(numbers(&world, "a", 0), [3]);
}

#[test]
fn only_experiments_that_run_are_kept_and_only_where_they_have_a_part() {
    let mut world = wanting(&["a"]);
    add(&mut world, 1, vec![arm("made-up", Arm::Fault, 1)]);
    assert_eq!(numbers(&world, "made-up", 0), [0; 0]);
    let of = |experiment: &str| vec![arm(experiment, Arm::Fault, 1)];
    add_on(&mut world, scope("a", "charge"), 1, of("a"));
    add_on(&mut world, scope("b", "charge"), 1, of("a"));
    assert_eq!(world.newest_arm_block(ExperimentKey::of("a")), 1);
    want(&mut world, &[]);
    add(&mut world, 2, of("a"));
    assert_eq!(world.newest_arm_block(ExperimentKey::of("a")), 0);
    let many: Vec<String> = (0..EXPERIMENTS_MAX + 5).map(|it| it.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    want(&mut world, &many);
    assert_eq!(world.arms.experiments.len(), EXPERIMENTS_MAX);
}

#[test]
fn what_is_kept_is_bounded_and_what_is_missing_is_seen() {
    let mut world = wanting(&["a", "b"]);
    let large = || ArmCounts {
        latency: vec![(1, 1); 8_192],
        callers: vec![
            ArmCaller {
                caller: DimensionValue::try_from("cart".to_owned()).unwrap(),
                objectives: vec![(1, 1); 8],
            };
            16
        ],
        ..arm("a", Arm::Fault, 1)
    };
    let fit = BYTES_MAX / (8_192 * 16);
    for _ in 0..2 * fit {
        add(&mut world, 1, vec![large()]);
    }
    let kept = numbers(&world, "a", 0);
    let newest = world.newest_arm_block(ExperimentKey::of("a"));
    assert_eq!(newest, 2 * fit as u64);
    assert_eq!(kept.last(), Some(&newest), "the newest stay");
    assert!((fit * 9 / 10..fit).contains(&kept.len()), "{}", kept.len());
    // Another experiment has what is left, and none for ever.
    let mut other = large();
    other.experiment = ExperimentKey::of("b");
    add(&mut world, 1, vec![other]);
    assert!(world.arms.bytes <= BYTES_MAX);
    assert_eq!(world.newest_arm_block(ExperimentKey::of("b")), 1);
    world.arms.forget(WallTime::from_millis(62_000));
    assert_eq!((numbers(&world, "a", 0).len(), world.arms.bytes), (0, 0));
}

#[test]
fn what_an_arm_counts_for_an_objective_elsewhere_does_not_count() {
    let mut world = wanting(&["a"]);
    let mut controllers = Controllers::with_all();
    let slo = r#"{"name": "pay", "service": "payments", "mode": "monitored",
        "window": {"rolling": 2592000000}, "budgeting": "occurrences",
        "objectives": [{"target": 999000000, "source": {
            "service": "payments", "route": "any", "side": "server", "indicator": {}}}]}"#;
    controllers
        .put(&IntentId("SLO/pay".to_owned()), "slo", slo)
        .unwrap();
    controllers.tell_sources(&mut world);
    let both = BTreeSet::from([scope("a", "*"), scope("payments", "*")]);
    let wanted = WantedArms {
        experiments: vec![ExperimentKey::of("a")],
        scopes: both,
    };
    world.want_arms([wanted].into_iter());
    let counted = || {
        let id = serde_json::from_str(r#"{"slo": "pay", "index": 0}"#).unwrap();
        let (total, good) = (3, 1);
        ArmCounts {
            objectives: vec![ObjectiveCounts { id, total, good }],
            ..arm("a", Arm::Fault, 3)
        }
    };
    for service in ["a", "payments"] {
        add_on(&mut world, scope(service, "charge"), 1, vec![counted()]);
    }
    let blocks = world.arm_blocks(ExperimentKey::of("a"), 0);
    let totals = blocks.map(|block| block.fault.as_ref().unwrap().objectives[0].total);
    assert_eq!(totals.collect::<Vec<_>>(), [0, 3]);
}
