use sloop_model::{RouteName, Side, SloName};

use super::*;
use crate::{BreakerReading, ObjectiveCounts};

/// At the end of a cell of every ring.
const BEGIN: u64 = 1_699_999_200;

fn at(second: u64) -> WallTime {
    WallTime::from_millis((BEGIN + second) * 1_000)
}

fn id() -> ObjectiveId {
    ObjectiveId {
        slo: SloName::try_from("pay").unwrap(),
        index: 0,
    }
}

fn scope(route: &str) -> Scope {
    Scope {
        service: ServiceName::try_from("payments").unwrap(),
        route: RouteName::try_from(route).unwrap(),
        side: Side::Server,
    }
}

/// Ten requests, one of them bad, by the sidecar's clock after `from` up to `to`.
fn saw(from: u64, to: u64) -> Observation {
    Observation {
        node: "a".to_owned(),
        incarnation: 1,
        sidecar: SidecarReading::default(),
        from: at(from),
        at: at(to),
        scopes: vec![ScopeCounts {
            requests: 10,
            objectives: vec![ObjectiveCounts {
                id: id(),
                total: 10,
                good: 9,
            }],
            ..ScopeCounts::nothing(scope("charge"))
        }],
    }
}

/// The part of the last hundred seconds that is known, and how many requests the fleet saw just now, after `report` at 100 s.
fn taken(report: Observation) -> (String, u64) {
    let mut world = World::default();
    world.begin_step(at(100));
    world.observe(report);
    let covered = world.reading(&id(), at(0)).unwrap().covered;
    let (_, fleet) = world.fleets(&id()).next().unwrap();
    let covered = format!("{:.0} s", covered * 100.0);
    (covered, fleet.all(at(100), Duration::from_secs(2)).total)
}

#[test]
fn a_clock_that_is_ahead_takes_nothing_from_an_interval() {
    for end in [100, 101, 110, 86_400] {
        let expected = ("3 s".to_owned(), 10);
        assert_eq!(taken(saw(end - 3, end)), expected, "ends at {end} s");
    }
    let hours = 7_200;
    assert_eq!(
        taken(saw(hours, hours + 10)),
        ("10 s".to_owned(), 0),
        "ten seconds are no news of just now"
    );
}

#[test]
fn a_report_that_ends_before_it_begins_counts_where_it_ends() {
    assert_eq!(taken(saw(100, 99)).1, 10);
    assert_eq!(taken(saw(250, 200)).1, 10);
}

#[test]
fn a_clock_that_was_set_back_while_the_process_was_down_loses_nothing() {
    let mut before = World::default();
    before.begin_step(at(7_200));
    before.observe(saw(7_190, 7_200));
    let mut world = World::default();
    world.restore(before.take_changes());
    world.begin_step(at(3_600));
    for length in [600, 7_200, 86_400] {
        let counts = world.counts(&id(), Duration::from_secs(length));
        assert_eq!(counts.map(|it| it.total), Some(10), "{length} s");
    }
}

#[test]
fn a_breaker_that_was_withdrawn_has_no_state() {
    let mut world = World::default();
    let mut states = |breaker| {
        world.begin_step(at(1));
        let mut report = saw(0, 1);
        report.scopes[0].breaker = breaker;
        world.observe(report);
        world.breakers(&scope("charge")).count()
    };
    let open = BreakerReading {
        state: BreakerState::Open,
        changes: Vec::new(),
    };
    assert_eq!([states(Some(open)), states(None)], [1, 0]);
}

#[test]
fn a_vm_has_no_more_breakers_than_two_filters_could() {
    let mut vm = Vm::default();
    for route in 0..Vm::BREAKERS_MAX + 5 {
        vm.note_breaker(scope(&format!("r{route}")), Some(BreakerState::Open));
    }
    assert_eq!(vm.breakers.len(), Vm::BREAKERS_MAX);
    vm.note_breaker(scope("r0"), Some(BreakerState::Closed));
    assert_eq!(vm.breakers.get(&scope("r0")), Some(&BreakerState::Closed));
}
