//! Callers that each send one trace from a sidecar of their own, so that each report has one arm.

use sloop_model::ExperimentKey;

use super::super::clustering::{Cluster, Sums};
use super::clusters::second;
use super::*;

/// How callers fare, each with one trace.
#[derive(Clone, Copy)]
struct OneArmed {
    callers: u32,
    /// The share of callers of which all requests end as one does.
    alike: f64,
    /// How many requests are bad in the control arm, in the arm of the fault.
    shares: (f64, f64),
    seconds: u32,
    /// Requests of a caller in a second.
    each: u32,
    /// Whether all of them are sidecars of one service, and so one caller by name.
    is_one_service: bool,
}

const USUAL: OneArmed = OneArmed {
    callers: 40,
    alike: 0.5,
    shares: (0.2, 0.2),
    seconds: 60,
    each: 2,
    is_one_service: false,
};

impl OneArmed {
    /// Whether the effect is surely above `tolerance`, whether it is surely below, at any of all looks; one after each second.
    fn run(&self, draws: &mut Draws, tolerance: f64) -> [bool; 2] {
        let (control, fault) = self.shares;
        let drawn: Vec<(bool, f64, Option<f64>)> = (0..self.callers)
            .map(|_| {
                let is_faulted = draws.uniform() < 0.5;
                let share = if is_faulted { fault } else { control };
                let is_alike = draws.uniform() < self.alike;
                (is_faulted, share, is_alike.then(|| draws.bad(1, share)))
            })
            .collect();
        let mut tests = [Side::Above, Side::Below].map(|side| Test::new(side, tolerance));
        let mut clustering = Clustering::default();
        let (mut seen, mut next) = (Block::default(), Block::default());
        for number in 0..self.seconds {
            for (caller, (is_faulted, share, fate)) in drawn.iter().enumerate() {
                let bad = match fate {
                    Some(fate) => fate * f64::from(self.each),
                    None => draws.bad(self.each, *share),
                };
                let own = arm(self.each.into(), bad);
                let none = Arm::default();
                let (control, fault) = if *is_faulted {
                    (none, own)
                } else {
                    (own, none)
                };
                let block = Block { control, fault };
                let name = format!("caller-{caller}");
                let service = if self.is_one_service { "web" } else { &name };
                take(&mut clustering, block, number, (&name, service));
                next = next.plus(block);
            }
            if 8.0 <= next.control.total.min(next.fault.total) {
                let effect = clustering.effect();
                tests
                    .iter_mut()
                    .for_each(|test| test.take(seen, next, effect));
                seen = seen.plus(next);
                next = Block::default();
            }
        }
        tests.map(|test| test.is_sure(ALPHA))
    }

    /// Of `runs` runs: how many are surely above, how many surely below.
    fn sure(&self, seed: u64, runs: u32, tolerance: f64) -> [u32; 2] {
        let mut draws = Draws(seed);
        let mut sums = [0, 0];
        for _ in 0..runs {
            let sure = self.run(&mut draws, tolerance);
            for (sum, sure) in sums.iter_mut().zip(sure) {
                *sum += u32::from(sure);
            }
        }
        sums
    }
}

/// What a sidecar of a service reports.
fn take(clustering: &mut Clustering, block: Block, number: u32, (node, service): (&str, &str)) {
    let callers = [(ExperimentKey::of(service), block)];
    clustering.take(block, second(number), node, &callers);
}

/// Both verdicts, without an effect and with one of exactly what is tolerated, or a wrong one with one that is more.
#[test]
fn reports_of_one_arm_alone_stop_falsely_at_most_five_times_in_a_hundred() {
    let few = OneArmed {
        callers: 15,
        alike: 0.3,
        seconds: 300,
        ..USUAL
    };
    let pods = OneArmed {
        is_one_service: true,
        ..USUAL
    };
    let of = |shares: (f64, f64), alike: f64| OneArmed {
        shares,
        alike,
        seconds: 120,
        ..USUAL
    };
    for (seed, one_armed, tolerance) in [
        (71, USUAL, 0.0),
        (73, pods, 0.0),
        (79, few, 0.0),
        (83, of((0.2, 0.25), 0.5), 0.05),
        (89, of((0.05, 0.1), 0.5), 0.05),
        (97, of((0.05, 0.15), 0.5), 0.05),
    ] {
        let OneArmed {
            callers,
            alike,
            shares: (control, fault),
            seconds,
            ..
        } = one_armed;
        let [above, below] = one_armed.sure(seed, 200, tolerance);
        println!(
            "{callers} callers, {alike} alike, {control} and {fault} bad, {seconds} s: {above} of 200 surely above {tolerance}, {below} below"
        );
        let is_above = tolerance < fault - control - 1e-9;
        assert!(is_above || above <= 10, "{above} of 200");
        assert!(below <= 10, "{below} of 200");
    }
}

/// Forty sidecars with a few requests each, every one of which has a trace of its own: many reports have one arm, by chance. What they
/// count as is what it is when one report says all.
#[test]
fn small_reports_cost_nothing_where_requests_were_drawn() {
    let mut draws = Draws(103);
    let mut sums = [0.0, 0.0];
    for _ in 0..40 {
        let mut clusterings = [Clustering::default(), Clustering::default()];
        let [each, at_once] = &mut clusterings;
        for number in 0..60 {
            let mut whole = Block::default();
            for caller in 0..40 {
                let faulted = draws.bad(2, 0.5);
                let control = 2.0 - faulted;
                let block = Block {
                    control: arm(control, draws.bad(control as u32, 0.05)),
                    fault: arm(faulted, draws.bad(faulted as u32, 0.25)),
                };
                take(each, block, number, (&format!("caller-{caller}"), "a"));
                whole = whole.plus(block);
            }
            at_once.take(whole, second(number), "a", &[]);
        }
        for (sum, clustering) in sums.iter_mut().zip(&clusterings) {
            *sum += clustering.effect() / 40.0;
        }
    }
    let [each, at_once] = sums;
    println!("{each} requests count as one on average; {at_once} if one report says all");
    assert!(each < 1.05 * at_once, "{each} {at_once}");
}

/// Whatever reports of a second have: as if each had been kept, and compared with the whole.
#[test]
fn sums_over_reports_are_those_of_all_of_them_in_their_second() {
    let mut draws = Draws(107);
    for _ in 0..50 {
        let mut of = |total: f64| arm(total, draws.bad(total as u32, 0.3));
        let sizes = [(3.0, 0.0), (0.0, 5.0), (4.0, 7.0), (1.0, 0.0)];
        let reports = sizes.map(|(control, fault)| Block {
            control: of(control),
            fault: of(fault),
        });
        let whole = reports.into_iter().fold(Block::default(), Block::plus);
        let mut clustering = Clustering::default();
        for report in reports {
            clustering.take(report, second(0), "a", &[]);
        }
        let parts = reports.map(|report| Cluster::part(whole, report).unwrap());
        let kept = parts.into_iter().fold(Sums::default(), Sums::with);
        let found = clustering.by_report();
        for (found, kept) in [
            (found.clusters, kept.clusters),
            (found.squares, kept.squares),
            (found.products, kept.products),
            (found.weights, kept.weights),
            (found.beyond, kept.beyond),
            (found.weight, kept.weight),
            (found.variance, kept.variance),
        ] {
            assert!((found - kept).abs() < 1e-9, "{found} {kept}");
        }
    }
}

#[test]
fn a_second_with_one_arm_alone_belongs_to_the_next_one() {
    let mut clustering = Clustering::default();
    let (fault, control) = (Block::of((0, 0), (4, 2)), Block::of((4, 1), (0, 0)));
    for number in 0..20 {
        clustering.take(fault, second(number), "a", &[]);
    }
    assert_eq!(clustering.by_report().clusters, 0.0);
    clustering.take(control, second(20), "b", &[]);
    let all = clustering.by_report();
    assert_eq!(all.clusters, 21.0);
    let whole = Block::of((4, 1), (80, 40));
    let alone = Cluster::part(whole, whole).unwrap();
    assert!((all.beyond - alone.beyond()).abs() < 1e-9, "{all:?}");
}

/// Nothing is kept of a report, and 64 of all callers and sidecars.
#[test]
fn what_is_remembered_does_not_grow_with_sidecars_and_callers() {
    let of = |sidecars: u32| {
        let mut clustering = Clustering::default();
        for number in 0..10 {
            for sidecar in 0..sidecars {
                let name = format!("sidecar-{sidecar}");
                let block = Block::of((u64::from(sidecar % 2), 0), (1, 1));
                take(&mut clustering, block, number, (&name, &name));
            }
        }
        assert_eq!(clustering.callers(), 64);
        serde_json::to_string(&clustering).unwrap().len()
    };
    let (few, many) = (of(1_000), of(4_000));
    assert!(many < few + few / 4, "{few} {many}");
}
