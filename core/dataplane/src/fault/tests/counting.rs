//! Arms are counted apart, and only what can be compared.

use super::*;
use crate::sli::{About, Cells, Place, Request};
use sloop_model::{Ended, Flags, Objective, Outcome, OwnVerdict};

const SERVED: Ended = Ended {
    verdict: OwnVerdict::Passed,
    status: Some(200),
    flags: Flags(0),
    grpc: None,
};

fn objectives() -> Vec<Objective> {
    let json = r#"[{"id": {"slo": "fast", "index": 0}, "within_us": 1000}]"#;
    serde_json::from_str(json).unwrap()
}

/// A request of nobody that has a name.
fn request<'a>(objectives: &'a [Objective], ended: &'a Ended, latency_us: u64) -> Request<'a> {
    Request {
        objectives,
        about: About::all(objectives),
        ended,
        latency_us,
        place: Place::Cells(Cells::default()),
        is_in_force: false,
    }
}

fn key(number: u32) -> ExperimentKey {
    ExperimentKey::from_bits(number)
}

#[test]
fn arms_are_counted_apart() {
    let mut counts = ArmCounts::default();
    assert!(counts.is_empty());
    let objectives = objectives();
    for (arm, status, micros) in [
        (Arm::Fault, 503, 5),
        (Arm::Fault, 200, 5_000),
        (Arm::Control, 200, 5),
        (Arm::Untouched, 200, 5),
    ] {
        let ended = Ended {
            status: Some(status),
            ..SERVED
        };
        counts.add((key(1), arm), request(&objectives, &ended, micros), 2);
    }
    assert!(!counts.is_empty());
    let taken = counts.take(&[]);
    let seen: Vec<_> = taken
        .iter()
        .map(|delta| {
            (
                delta.arm,
                delta.requests,
                delta.objectives[0].total,
                delta.objectives[0].good,
                delta.latency.iter().count(),
            )
        })
        .collect();
    assert_eq!(seen, [(Arm::Fault, 2, 2, 0, 2), (Arm::Control, 1, 1, 1, 1)]);
    assert_eq!(taken[0].outcomes[Outcome::ServerError.index()], 1);
    assert_eq!((taken[0].retries, taken[1].retries), (4, 2));
    assert!(counts.is_empty() && counts.take(&[]).is_empty());
}

#[test]
fn experiments_have_a_maximum_and_make_room_when_they_are_over() {
    let mut counts = ArmCounts::default();
    let add = |counts: &mut ArmCounts, number| {
        counts.add((key(number), Arm::Control), request(&[], &SERVED, 1), 0)
    };
    for number in 0..4 {
        assert!(add(&mut counts, number));
    }
    assert!(!add(&mut counts, 4));
    assert_eq!(counts.take(&[]).len(), ArmCounts::EXPERIMENTS_MAX);
    assert!(add(&mut counts, 1));
    assert_eq!(counts.take(&[]).len(), 1);
    assert!(add(&mut counts, 9));
    assert_eq!(counts.take(&[])[0].experiment, key(9));
}

#[test]
fn who_is_touched_is_compared_in_that_experiment_alone() {
    let fault = named("f", 10_000, r#"{"reset": true}"#);
    let compared = named("g", 9_000, r#"{"reset": true, "control": 1000}"#);
    let control = named("c", 0, r#"{"control": 10000}"#);
    let counted = |rules: &[FaultRule]| -> Vec<(ExperimentKey, Arm)> {
        let rules = faults(rules);
        let choice = rules.choose(&facts(1), || wall(1));
        rules.counted(choice).collect()
    };
    let of = ExperimentKey::of;
    assert_eq!(
        counted(&[control.clone(), fault]),
        [],
        "a fault without a control is no experiment"
    );
    assert_eq!(
        counted(&[control.clone(), compared]),
        [(of("g"), Arm::Fault)]
    );
    assert_eq!(
        counted(std::slice::from_ref(&control)),
        [(of("c"), Arm::Control)]
    );
    let watched = |id| named(id, 9_999, r#"{"control": 1}"#);
    assert_eq!(
        counted(&[control.clone(), watched("g"), control.clone()]),
        [(of("g"), Arm::Fault)]
    );
    // What two faults drew would be missing in the control arm of either, at every hop.
    assert_eq!(counted(&[control, watched("g"), watched("h")]), []);
}

/// The second fault is for one caller of two. Without it, both arms of the first have as many requests of either.
#[test]
fn both_arms_lack_what_another_fault_drew() {
    for does in [r#""reset": true, "#, ""] {
        let first = named(
            "f",
            3_000,
            &format!(r#"{{{does} "control": 3000, "seed": 1}}"#),
        );
        let second = named(
            "g",
            8_000,
            &format!(r#"{{{does} "control": 2000, "seed": 2, "caller": ["shop"]}}"#),
        );
        let rules = faults(&[first, second]);
        let mut counts = std::collections::BTreeMap::new();
        for low in 1..=20_000 {
            let caller: &[u8] = if low % 2 == 0 { b"shop" } else { b"cart" };
            let choice = rules.choose(
                &Facts {
                    caller,
                    ..facts(low)
                },
                || wall(1),
            );
            for (key, arm) in rules.counted(choice) {
                *counts.entry((key, arm, caller)).or_insert(0_i32) += 1;
            }
        }
        let of = |id, arm, caller| counts.get(&(ExperimentKey::of(id), arm, caller)).copied();
        // Of 10,000 requests of each caller.
        for (id, caller, fault, control) in [
            ("f", b"cart".as_slice(), 3_000, 3_000),
            ("f", b"shop", 600, 600),
            ("g", b"shop", 5_600, 1_400),
        ] {
            for (arm, expected) in [(Arm::Fault, fault), (Arm::Control, control)] {
                let count: i32 = of(id, arm, caller).unwrap();
                let off = (count - expected).abs();
                assert!(off < 200, "{does}{id} {arm:?} {caller:?}: {count}");
            }
        }
        assert_eq!(of("g", Arm::Fault, b"cart"), None);
    }
}

/// As for a delay of some requests and an abort of others, compared with the same ones.
#[test]
fn several_rules_of_one_experiment_count_a_request_once() {
    let control = |id| named(id, 0, r#"{"control": 10000}"#);
    let rules = faults(&[control("c"), control("d"), control("c"), control("c")]);
    let choice = rules.choose(&facts(1), || wall(1));
    let counted: Vec<_> = rules.counted(choice).collect();
    let of = ExperimentKey::of;
    assert_eq!(counted, [(of("c"), Arm::Control), (of("d"), Arm::Control)]);
    // One that is over says nothing.
    let over = named("c", 0, r#"{"control": 10000, "expires_at_ms": 1}"#);
    let rules = faults(&[over, control("c")]);
    let choice = rules.choose(&facts(1), || wall(1));
    assert_eq!(rules.counted(choice).count(), 1);
}

/// As where all routes of a service are watched, and one of them has the fault.
#[test]
fn what_is_watched_and_injected_on_one_scope_is_counted_once_in_either_order() {
    let arms = r#""control": 3000, "seed": 1"#;
    let watched = named("f", 3_000, &format!("{{{arms}}}"));
    let injecting = named("f", 3_000, &format!(r#"{{"reset": true, {arms}}}"#));
    let counted = |rules: &[FaultRule]| {
        let rules = faults(rules);
        let choose = |low| rules.choose(&facts(low), || wall(1));
        let choices = (1..=1_000).map(choose);
        let counted = choices.map(|choice| {
            let arms: Vec<_> = rules.counted(choice).collect();
            (choice.hit().is_some(), arms)
        });
        counted.collect::<Vec<_>>()
    };
    let alone = counted(std::slice::from_ref(&injecting));
    for arm in [Arm::Fault, Arm::Control] {
        let is_in = |(_, arms): &&(bool, Vec<_>)| *arms == [(ExperimentKey::of("f"), arm)];
        assert!(250 < alone.iter().filter(is_in).count(), "{arm:?}");
    }
    assert_eq!(counted(&[watched.clone(), injecting.clone()]), alone);
    assert_eq!(counted(&[injecting, watched]), alone);
}
