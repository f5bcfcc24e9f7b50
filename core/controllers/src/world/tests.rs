use sloop_model::{RouteName, Side, SloName};

use super::*;
use crate::{BreakerReading, Cell, ObjectiveCounts, Observation, ScopeCounts};

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
fn what_is_taken_back_by_and_by_is_what_is_taken_back_at_once() {
    let mut before = World::default();
    let mut cells = BTreeMap::new();
    for hour in 1..60 {
        before.begin_step(at(3_600 * hour));
        before.observe(saw(3_600 * hour - 3, 3_600 * hour));
        let changes = before.take_changes().into_iter();
        cells.extend(changes.map(|cell| (cell.key(), cell)));
    }
    let cells: Vec<Cell> = cells.into_values().collect();
    let restored = |at_once: usize| {
        let mut world = World::default();
        for some in cells.chunks(at_once) {
            world.restore_some(some.to_vec());
        }
        world.restore(Vec::new());
        world.begin_step(before.now());
        let counts = [60, 7_200, 86_400, 172_800, 40_000_000].map(|seconds| {
            let length = Duration::from_secs(seconds);
            (world.counts(&id(), length), world.spent(&id(), length))
        });
        (counts, world.totals(&scope("charge")).cloned())
    };
    let whole = restored(usize::MAX);
    assert_eq!(whole.0[4].0.map(|counts| counts.total), Some(590));
    for at_once in [1, 7, 100] {
        assert_eq!(restored(at_once), whole, "{at_once} at once");
    }
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
        vm.note_breaker(&scope(&format!("r{route}")), Some(BreakerState::Open));
    }
    assert_eq!(vm.breakers.len(), Vm::BREAKERS_MAX);
    vm.note_breaker(&scope("r0"), Some(BreakerState::Closed));
    assert_eq!(vm.breakers.get(&scope("r0")), Some(&BreakerState::Closed));
}

#[test]
fn reports_of_vms_that_find_no_room_are_counted() {
    let mut world = World::default();
    world.begin_step(at(10));
    let mut report = |incarnation: usize| {
        world.observe(Observation {
            incarnation: incarnation.try_into().unwrap(),
            scopes: Vec::new(),
            ..saw(9, 10)
        });
        (world.vms.len(), world.lost().vms)
    };
    for incarnation in 1..=World::VMS_MAX {
        assert_eq!(report(incarnation), (incarnation, 0));
    }
    let most = World::VMS_MAX;
    assert_eq!(report(most + 1), (most, 1));
    assert_eq!(report(most + 1), (most, 2), "it comes again");
    assert_eq!(report(most), (most, 2), "who is known has room");
}

#[test]
fn who_makes_scopes_up_leaves_room_to_others() {
    let mut world = World::default();
    world.begin_step(at(10));
    let mut report = |reporter: &str, service: &str, routes: core::ops::Range<usize>| {
        let mut observation = saw(9, 10);
        reporter.clone_into(&mut observation.sidecar.service);
        let scopes = routes.map(|route| {
            let mut scope = scope(&format!("r{route}"));
            scope.service = ServiceName::try_from(service).unwrap();
            ScopeCounts {
                requests: 1,
                ..ScopeCounts::nothing(scope)
            }
        });
        observation.scopes = scopes.collect();
        world.observe(observation);
        (world.scopes.len(), world.lost().over_cap)
    };
    let most = World::SCOPES_BY_SERVICE_MAX;
    assert_eq!(report("loud", "payments", 0..most), (most, 0));
    assert_eq!(
        report("loud", "orders", 0..3),
        (most, 3),
        "by whatever name"
    );
    assert_eq!(report("loud", "payments", 0..most), (most, 3), "known ones");
    assert_eq!(report("quiet", "orders", 0..3), (most + 3, 3));
    assert_eq!(report("", "old", 0..3), (most + 6, 3));
    // Nor does it find room of its own after a restart.
    let mut again = World::default();
    again.restore(world.take_changes());
    again.begin_step(at(20));
    assert_eq!(again.scopes_by, world.scopes_by);
    assert_eq!(again.scopes_by.get("loud"), Some(&most));
}

#[test]
fn names_that_nobody_reports_on_for_ninety_days_make_room() {
    let day = 86_400;
    let mut world = World::default();
    world.begin_step(at(10));
    world.observe(saw(9, 10));
    let mut stored: Vec<String> = world.take_changes().iter().map(Cell::key).collect();
    // So much later that minutes and seconds begin anew, at other places.
    world.begin_step(at(day));
    world.observe(saw(day - 10, day - 9));
    stored.extend(world.take_changes().iter().map(Cell::key));
    world.begin_step(at(91 * day - 3_600));
    let known = (world.series.len(), world.scopes.len());
    assert_eq!(known, (1, 1), "nothing known is forgotten");
    for hour in 0..24 {
        world.begin_step(at(91 * day + hour * 3_600));
    }
    assert!(world.series.is_empty() && world.scopes.is_empty() && world.scopes_of.is_empty());
    assert!(world.scopes_by.is_empty());
    let gone = world.take_gone();
    let is_ours = |key: &&String| key.starts_with("budget") || key.starts_with("scope");
    for key in stored.iter().filter(is_ours) {
        assert!(gone.contains(key), "{key} of {gone:?}");
    }
}

#[test]
fn scopes_of_an_objective_on_which_nobody_is_make_room() {
    let max = sloop_model::FilterConfig::SCOPES_MAX as u64;
    let mut world = World::default();
    let mut see = |second: u64, routes: core::ops::Range<u64>| {
        world.begin_step(at(second));
        for route in routes {
            let mut report = saw(second - 1, second);
            report.scopes[0].scope = scope(&format!("r{route}"));
            world.observe(report);
        }
        let id = id();
        let fleets = world.fleets(&id).map(|(scope, _)| scope.route.to_string());
        let ever = world.series(&id).unwrap().ever().total;
        (fleets.collect::<Vec<_>>(), ever)
    };
    assert_eq!(see(10, 0..max).1, 10 * max);
    let (fleets, ever) = see(20, max..max + 1);
    assert!(
        !fleets.contains(&format!("r{max}")),
        "it counts in all only"
    );
    assert_eq!((fleets.len() as u64, ever), (max, 10 * max));
    // So much later that nobody was heard of on any.
    let (fleets, ever) = see(200, max..max + 2);
    assert_eq!(fleets, [format!("r{max}"), format!("r{}", max + 1)]);
    assert_eq!(ever, 10 * (max + 2), "what they saw is not lost");
}

#[test]
fn what_is_forgotten_in_an_hour_is_bounded_and_nothing_stays() {
    let mut world = World::default();
    world.begin_step(at(10));
    for route in 0..250 {
        let mut report = saw(9, 10);
        report.scopes[0].scope = scope(&format!("r{route}"));
        report.scopes[0].objectives[0].id.index = route;
        world.observe(report);
    }
    let later = 91 * 86_400;
    let left = [0, 1, 2].map(|hour| {
        world.begin_step(at(later + hour * 3_600));
        (world.series.len(), world.scopes.len())
    });
    assert_eq!(left, [(150, 150), (50, 50), (0, 0)]);
}

#[test]
fn a_scope_that_was_stored_without_a_time_is_kept_as_if_it_was_just_reported() {
    let mut before = World::default();
    before.begin_step(at(10));
    before.observe(saw(9, 10));
    let mut cells = before.take_changes();
    for cell in &mut cells {
        if let Cell::Scope(totals) = cell {
            totals.reported = WallTime::default();
        }
    }
    let mut world = World::default();
    world.restore(cells);
    let day = 86_400;
    for days in [100, 180] {
        world.begin_step(at(days * day));
        assert_eq!(world.scopes.len(), 1, "{days} days");
    }
    world.begin_step(at(191 * day));
    assert_eq!(world.scopes.len(), 0);
}

#[test]
fn what_is_reported_of_an_objective_where_it_does_not_count_is_lost_and_said() {
    let body = r#"{
        "name": "pay", "service": "payments", "mode": "monitored",
        "window": {"rolling": 2592000000}, "budgeting": "occurrences",
        "objectives": [{"target": 999000000, "source": {
            "service": "payments", "route": {"named": "charge"}, "side": "server", "indicator": {}
        }}]
    }"#;
    let mut controllers = crate::Controllers::with_all();
    let slo = crate::IntentId("SLO/pay".to_owned());
    controllers.put(&slo, "slo", body).unwrap();
    let mut world = World::default();
    world.begin_step(at(10));
    controllers.step(&mut world);
    let mut forged = saw(9, 10);
    forged.scopes[0].scope = scope("refund");
    world.observe(forged);
    assert_eq!(world.counts(&id(), Duration::from_secs(60)), None);
    assert_eq!(world.lost().elsewhere, 10);
    world.begin_step(at(12));
    let step = controllers.step(&mut world);
    assert_eq!(
        controllers.slo_statuses(&world, &step)[0].notes,
        [
            "objective 0: sidecars counted 10 requests for it where it does not count, the last on payments refund (server), 2 s ago: look for sidecars with another configuration"
        ]
    );
    let other = body.replace("charge", "refund");
    controllers.put(&slo, "slo", &other).unwrap();
    let step = controllers.step(&mut world);
    assert!(controllers.slo_statuses(&world, &step)[0].notes.is_empty());
    controllers.put(&slo, "slo", body).unwrap();
    controllers.step(&mut world);
    world.observe(saw(9, 10));
    let counts = world.counts(&id(), Duration::from_secs(60)).unwrap();
    assert_eq!((counts.total, world.lost().elsewhere), (10, 10));
}
