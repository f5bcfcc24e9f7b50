use core::time::Duration;
use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::Value;
use sloop_model::{RouteName, Scope, ServiceName, Side, SloName, Target, WallTime};

use super::*;
use crate::slo::forecast::{Lately, budget};
use crate::slo::measure::burn;
use crate::slo::tally::Tally;
use crate::slo::windows::{bad_share, pairs};
use crate::{
    Controllers, Counts, IntentId, ObjectiveCounts, Observation, RouteSelector, ScopeCounts,
};

mod forecasts;
mod slices;
mod traffic;

const DAY: u64 = 86_400;
/// At the end of a cell of every ring.
const BEGIN: u64 = 1_699_999_200;

fn at(second: u64) -> WallTime {
    WallTime::from_millis((BEGIN + second) * 1_000)
}

fn target(percent: f64) -> Target {
    Target::parse(percent / 100.0).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn slo(percent: f64, window: SloWindow) -> SloIntent {
    let service = ServiceName::try_from("payments").unwrap();
    SloIntent {
        name: SloName::try_from("pay").unwrap(),
        display_name: None,
        labels: BTreeMap::new(),
        service: service.clone(),
        mode: SloMode::Actionable,
        window,
        deadline: DeadlineChoice::Derived,
        budgeting: BudgetingMethod::Occurrences,
        objectives: vec![SloObjective {
            display_name: None,
            target: target(percent),
            slicing: None,
            weight: None,
            source: Some(SloSource {
                service,
                route: RouteSelector::Any,
                side: Side::Server,
                indicator: Indicator::default(),
            }),
        }],
    }
}

fn month(percent: f64) -> SloIntent {
    slo(percent, SloWindow::Rolling(30 * DAY * 1_000))
}

/// What was counted in the seconds after `from` up to `to`.
fn saw(from: u64, to: u64, (total, bad): (u64, u64)) -> Observation {
    Observation {
        node: "a".into(),
        incarnation: 1,
        sidecar: crate::SidecarReading::default(),
        from: at(from),
        at: at(to),
        scopes: vec![ScopeCounts {
            scope: Scope {
                service: ServiceName::try_from("payments").unwrap(),
                route: RouteName::other(),
                side: Side::Server,
            },
            requests: total,
            outcomes: [0; sloop_model::Outcome::ALL.len()],
            objectives: vec![ObjectiveCounts {
                id: month(99.9).objective_id(0),
                total,
                good: total - bad,
            }],
            refused: 3,
            shadow_refused: 2,
            shadow_refused_good: 1,
            breaker: None,
            latency: Vec::new(),
            arms: Vec::new(),
            shadows: crate::ShadowCounts::default(),
        }],
    }
}

/// A world in which `seen` (from, to, total, bad) was counted, at the end of it.
fn world(seen: &[(u64, u64, u64, u64)]) -> World {
    let mut world = World::default();
    for &(from, to, total, bad) in seen {
        world.begin_step(at(to));
        world.observe(saw(from, to, (total, bad)));
    }
    world
}

fn speed(intent: &SloIntent, world: &World) -> Option<Speed> {
    let decision = Slo.step(intent, &mut SloMemory::default(), world);
    decision.signals.iter().find_map(|signal| match signal {
        Signal::Burning { speed, .. } => Some(*speed),
        Signal::Changed { .. }
        | Signal::Alert(_)
        | Signal::Watched { .. }
        | Signal::Objective { .. }
        | Signal::Experimenting { .. }
        | Signal::Ordered { .. }
        | Signal::BudgetLeft { .. } => None,
    })
}

/// The golden values, where the folder is there.
fn golden() -> Option<Value> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test may be told where its data is"
    )]
    let folder = std::env::var("SLOOP_CONFORMANCE").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance").to_owned()
    });
    let path = format!("{folder}/slo/golden.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let _seen = writeln!(std::io::stderr(), "SKIPPED: no golden values at {path}");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}

#[test]
fn budgets_are_the_golden_ones() {
    let Some(golden) = golden() else { return };
    for case in golden["derived_budget"].as_array().unwrap() {
        let target = target(case["objective_percent"].as_f64().unwrap());
        let (total, bad) = (
            case["total"].as_u64().unwrap(),
            case["bad"].as_u64().unwrap(),
        );
        let counts = Counts {
            total,
            good: total - bad,
        };
        let tally = Tally::of_requests(counts);
        let burn = burn(seconds(60), Some(tally), target);
        let left = budget(&tally, target, None);
        assert!(
            close(
                left.allowed,
                case["budget_events_allowed"].as_f64().unwrap()
            ),
            "{case}"
        );
        assert!(
            close(left.left, case["budget_events_left"].as_f64().unwrap()),
            "{case}"
        );
        assert_eq!(burn.burn.is_some(), case["burn_rate"].is_f64(), "{case}");
        if let Some(expected) = case["burn_rate"].as_f64() {
            assert!(close(burn.burn.unwrap(), expected), "{case}");
            assert!(
                close(
                    left.left_share,
                    case["budget_remaining_ratio"].as_f64().unwrap()
                ),
                "{case}"
            );
        }
    }
}

#[test]
fn windows_are_the_workbooks() {
    let month = pairs(seconds(30 * DAY));
    let expected = [
        (14.4, 3_600, 300),
        (6.0, 21_600, 1_800),
        (3.0, DAY, 7_200),
        (1.0, 3 * DAY, 21_600),
    ];
    for (pair, (factor, long, short)) in month.iter().zip(expected) {
        assert_eq!(
            (pair.factor, pair.long, pair.short),
            (factor, seconds(long), seconds(short))
        );
    }
    for window in [seconds(7 * DAY), seconds(28 * DAY), seconds(90 * DAY)] {
        for (pair, spent) in pairs(window).iter().zip([0.02, 0.05, 0.1, 0.1]) {
            let share = pair.factor * pair.long.as_secs_f64() / window.as_secs_f64();
            assert!(
                close(share, spent),
                "the same share of the budget: {pair:?}"
            );
        }
    }
    assert_eq!(
        pairs(seconds(60))[0].short,
        seconds(5),
        "no shorter than cells can tell"
    );
}

#[test]
fn thresholds_are_the_golden_ones_where_they_can_be_reached() {
    let Some(golden) = golden() else { return };
    for case in golden["derived_thresholds"].as_array().unwrap() {
        let target = target(case["objective_percent"].as_f64().unwrap());
        for (factor, threshold) in case["thresholds"].as_object().unwrap() {
            let threshold = threshold.as_f64().unwrap();
            let ours = bad_share(factor.parse().unwrap(), target);
            if threshold < 0.8 {
                assert!(close(ours, threshold), "{factor} {case}");
            }
            assert!(ours < 1.0, "a total outage always fires: {factor} {case}");
        }
    }
}

/// Errors begin after four healthy days; the rate is high enough for confidence not to matter.
#[test]
fn pairs_fire_as_the_golden_ones() {
    let Some(golden) = golden() else { return };
    let cases = golden["derived_firing_google_30d"]["cases"]
        .as_array()
        .unwrap();
    let rate = 3_000_000;
    for case in cases {
        let percent = case["objective_percent"].as_f64().unwrap();
        let ratio = case["error_ratio"].as_f64().unwrap();
        let held = case["held_s"].as_u64().unwrap();
        let healthy = 4 * DAY;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate"
        )]
        let bad = (ratio * rate as f64).round() as u64;
        let end = healthy + held;
        let seen = [
            (0, healthy, rate * healthy, 0),
            (healthy, end, rate * held, bad * held),
        ];
        let world = world(&seen);
        let intent = month(percent);
        let measured = Measured::new(&intent, 0, &intent.objectives[0], &world);
        let names = ["page-quick", "page-slow", "ticket-quick", "ticket-slow"];
        let firing: Vec<&str> = measured
            .pairs()
            .iter()
            .zip(names)
            .filter(|(pair, _)| measured.fires(pair) == Some(true))
            .map(|(_, name)| name)
            .collect();
        let expected: Vec<&str> = case["firing"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        assert_eq!(firing, expected, "{case}");
    }
}

#[test]
fn what_nobody_reported_neither_burns_nor_has_a_budget() {
    let mut world = world(&[(0, 10, 1_000, 500)]);
    assert!(speed(&month(99.9), &world).is_some());
    world.begin_step(at(100 * DAY));
    let decision = Slo.step(&month(99.9), &mut SloMemory::default(), &world);
    assert!(
        matches!(
            decision.signals[..],
            [Signal::Watched { until, .. }, Signal::Objective { left: None, .. }] if until < at(DAY)
        ),
        "{:?}",
        decision.signals
    );
    assert!(
        decision.because.contains("not known"),
        "{}",
        decision.because
    );
    assert_eq!(decision.policies.len(), 1, "it is counted all the same");
}

#[test]
fn a_new_service_is_judged_by_what_is_known() {
    let world = world(&[(0, 10, 1_000, 500)]);
    let intent = month(99.9);
    let status = &statuses(&intent, &world)[0];
    let objective = &status.objectives[0];
    assert_eq!(objective.counts.unwrap().bad(), 500);
    assert!(objective.covered < 0.001);
    assert!(
        status.notes[0].contains("the rest is not known"),
        "{:?}",
        status.notes
    );
}

/// What is counted since midnight in Asia/Kolkata, half past an hour in UTC, at each half hour of a day in which 100 requests come
/// per minute, and 1,000 in each before; the process begins anew at these.
fn since_midnight(restarts: &[u64]) -> Vec<u64> {
    let midnight = 2 * 3_600 + 1_800;
    let starts = vec![at(midnight), at(midnight + DAY)];
    let text = "1 day".to_owned();
    let intent = slo(99.9, SloWindow::Calendar { text, starts });
    let mut controllers = Controllers::with_all();
    let id = IntentId("SLO/pay".into());
    let body = serde_json::to_string(&intent).unwrap();
    controllers.put(&id, Slo::KIND, &body).unwrap();
    let (mut world, mut stored, mut counted) = (World::default(), BTreeMap::new(), Vec::new());
    for minute in 0..midnight / 60 + 24 * 60 {
        let begin = 60 * minute;
        let total = if begin < midnight { 1_000 } else { 100 };
        world.begin_step(at(begin + 10));
        world.observe(saw(begin, begin + 10, (total, 0)));
        controllers.step(&mut world);
        let changes = world.take_changes().into_iter();
        stored.extend(changes.map(|cell| (cell.key(), cell)));
        if restarts.contains(&(begin - begin.min(midnight))) {
            world = World::default();
            world.restore(stored.values().cloned().collect());
            world.begin_step(at(begin + 10));
            controllers.step(&mut world);
        }
        if midnight <= begin && (begin - midnight).is_multiple_of(1_800) {
            let measured = Measured::new(&intent, 0, &intent.objectives[0], &world);
            counted.push(measured.reading().unwrap().counts.total);
        }
    }
    counted
}

#[test]
fn a_day_that_begins_within_an_hour_counts_nothing_of_the_day_before() {
    let expected: Vec<u64> = (0..48).map(|half| 100 * (30 * half + 1)).collect();
    assert_eq!(since_midnight(&[]), expected);
    let hours = [60, 5 * 3_600, 6 * 3_600, 7 * 3_600, 20 * 3_600];
    assert_eq!(since_midnight(&hours), expected);
}

#[test]
fn calendar_windows_begin_anew() {
    let calendar = SloWindow::Calendar {
        text: "1 day, UTC".into(),
        starts: vec![at(0), at(DAY), at(2 * DAY)],
    };
    let intent = slo(99.9, calendar);
    let world = world(&[(100, 200, 1_000, 1), (DAY + 3_600, DAY + 3_700, 1_000, 2)]);
    let counts = statuses(&intent, &world)[0].objectives[0].counts.unwrap();
    assert_eq!(
        (counts.total, counts.bad()),
        (1_000, 2),
        "yesterday is over"
    );
}

#[test]
fn of_windows_longer_than_counts_are_kept_that_is_said() {
    let said = |window, budgeting| {
        let mut intent = slo(99.9, window);
        intent.budgeting = budgeting;
        let world = world(&[(100, 200, 1_000, 1)]);
        let notes = statuses(&intent, &world).remove(0).notes;
        notes
            .iter()
            .any(|note| note.contains("counts are kept for"))
    };
    let calendar = |days: u64| SloWindow::Calendar {
        text: "3 months, UTC".into(),
        starts: vec![at(0), at(90 * DAY), at((90 + days) * DAY)],
    };
    let fixed = |days: u64| SloWindow::Fixed {
        text: "weeks, UTC".into(),
        from: at(0),
        length_ms: (days * DAY * 1_000).try_into().unwrap(),
    };
    let rolling = |days: u64| SloWindow::Rolling(days * DAY * 1_000);
    for (budgeting, kept) in [
        (BudgetingMethod::Occurrences, 400),
        (BudgetingMethod::Timeslices, 90),
        (BudgetingMethod::RatioTimeslices, 90),
    ] {
        for window in [calendar, fixed, rolling] as [fn(u64) -> SloWindow; 3] {
            assert!(!said(window(kept), budgeting), "{budgeting:?}");
            assert!(said(window(kept + 1), budgeting), "{budgeting:?}");
        }
    }
}

#[test]
fn what_was_spent_early_in_a_year_is_spent_at_its_end() {
    let midnight = DAY - BEGIN % DAY;
    let calendar = SloWindow::Calendar {
        text: "1 year, UTC".into(),
        starts: vec![at(midnight), at(midnight + 365 * DAY)],
    };
    let intent = slo(99.9, calendar);
    let quarterly = [0, 80, 160, 240, 320, 363].map(|day| midnight + day * DAY);
    let seen = quarterly.map(|begin| (begin + 100, begin + 200, 1_000, 7));
    let status = &statuses(&intent, &world(&seen))[0].objectives[0];
    assert_eq!(status.counts.unwrap().bad(), 42);
    assert_eq!(status.budget.unwrap().spent, 42);
}

#[test]
fn what_entered_a_budget_only_grows_and_what_came_too_late_did_not() {
    let begin = 500 * DAY;
    let mut world = world(&[(begin, begin + 10, 100, 1), (begin + 10, begin + 20, 50, 2)]);
    // Nobody keeps counts for so long.
    world.observe(saw(0, 10, (7, 7)));
    let id = month(99.9).objective_id(0);
    let all = Counts {
        total: 150,
        good: 147,
    };
    assert_eq!(world.entered(&id), all);
    assert_eq!(world.lost().too_late, 7);
    world.begin_step(at(begin + 40 * DAY));
    assert_eq!(
        world.counts(&id, seconds(30 * DAY)),
        None,
        "the window is over"
    );
    assert_eq!(world.entered(&id), all);
    assert_eq!(World::default().entered(&id), Counts::default());
}

fn statuses(intent: &SloIntent, world: &World) -> Vec<SloStatus> {
    let mut controllers = Controllers::with_all();
    let body = serde_json::to_string(intent).unwrap();
    controllers
        .put(&IntentId("SLO/pay".into()), Slo::KIND, &body)
        .unwrap();
    let mut world = world.clone();
    let step = controllers.step(&mut world);
    controllers.slo_statuses(&world, &step)
}

#[test]
fn what_is_said_to_burn_is_what_burned_and_not_the_quiet_seconds_after_it() {
    let world = world(&[
        (0, 2_980, 100_000, 50),
        (3_005, 3_010, 500, 400),
        (3_010, 3_020, 0, 0),
    ]);
    let decision = Slo.step(&month(99.9), &mut SloMemory::default(), &world);
    assert!(
        decision
            .because
            .contains("400 of 500 requests were bad in the last 30 s"),
        "{}",
        decision.because
    );
}

#[test]
fn people_see_all_of_it() {
    let world = world(&[(0, 3_000, 100_000, 50), (3_010, 3_015, 500, 400)]);
    let status = &statuses(&month(99.9), &world)[0];
    assert_eq!(status.window, "rolling 30 d");
    assert_eq!(status.because.len(), 2, "{:?}", status.because);
    assert!(
        status.because[0].contains("400 of 500 requests were bad in the last 5 s"),
        "{:?}",
        status.because
    );
    assert!(
        status.because[1].contains("ordered to open"),
        "{:?}",
        status.because
    );
    assert_eq!(
        status.policies.len(),
        4,
        "a breaker, an order, shedding, a retry budget"
    );
    let objective = &status.objectives[0];
    assert_eq!(
        objective.acted,
        Acted {
            breakers: Refusals {
                refused: 6,
                shadow_refused: 4,
                shadow_refused_good: 2,
                refused_bad: 0,
                refused_unknown: 6,
            },
            ..Acted::default()
        }
    );
    assert_eq!(objective.burn.len(), 10);
    assert!(
        objective
            .trip
            .as_ref()
            .unwrap()
            .derivation
            .contains("more than 50")
    );
    let budget = objective.budget.unwrap();
    assert!(close(budget.left, 100.5 - 450.0), "{budget:?}");
    assert_eq!(budget.exhausted_in_s, Some(0));
    let text = serde_json::to_string(status).unwrap();
    let read: SloStatus = serde_json::from_str(&text).unwrap();
    assert_eq!(read.because, status.because);
}

#[test]
fn one_absurd_report_does_not_freeze_a_budget() {
    let id = month(99.9).objective_id(0);
    let mut world = world(&[(0, 1, u64::MAX, 7)]);
    let counts = |world: &World| world.counts(&id, seconds(10)).unwrap();
    assert_eq!(counts(&world).total, World::COUNT_MAX);
    assert_eq!(world.scopes().next().unwrap().requests, World::COUNT_MAX);
    world.begin_step(at(100));
    world.observe(saw(99, 100, (10, 3)));
    assert_eq!(counts(&world), Counts { total: 10, good: 7 });
    let requests = world.scopes().next().unwrap().requests;
    assert_eq!(requests, World::COUNT_MAX + 10, "it goes on counting");
}

#[test]
fn an_objective_is_watched_for_an_interval_and_a_little_after_its_report() {
    let until = |world: &World| {
        let service = ServiceName::try_from("payments").unwrap();
        let decision = Slo.step(&month(99.9), &mut SloMemory::default(), world);
        let mut seen = World::default();
        seen.add_signals(decision.signals);
        assert_eq!(
            seen.watched_until(&ServiceName::try_from("shop").unwrap()),
            None
        );
        seen.watched_until(&service).unwrap()
    };
    assert_eq!(until(&World::default()), WallTime::default());
    assert_eq!(until(&world(&[(0, 1, 9, 0)])), at(6));
    assert_eq!(until(&world(&[(0, 30, 9, 0)])), at(64));
    assert_eq!(
        until(&world(&[(0, 900, 9, 0)])),
        at(964),
        "an interval has a limit"
    );
}

#[test]
fn a_window_that_is_known_by_the_minute_has_no_beginning_to_keep() {
    let is_kept = |hours: u64| {
        let window = SloWindow::Fixed {
            text: format!("{hours}h"),
            from: at(60),
            length_ms: (hours * 3_600_000).try_into().unwrap(),
        };
        let body = serde_json::to_string(&slo(99.0, window)).unwrap();
        let mut controllers = Controllers::with_all();
        let id = IntentId("SLO/pay".into());
        controllers.put(&id, Slo::KIND, &body).unwrap();
        let mut world = world(&[(80, 90, 10, 1)]);
        controllers.step(&mut world);
        let cells = world.take_changes();
        cells.iter().any(|cell| cell.key().starts_with("beginning"))
    };
    assert!(!is_kept(1) && !is_kept(6));
    assert!(is_kept(7));
}
