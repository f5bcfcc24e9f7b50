mod alone;
mod derivation;
mod judging;
mod quorum;
mod several;

use core::time::Duration;
use std::collections::BTreeMap;

use proptest::prelude::*;
use sloop_model::{
    ObjectiveId, Outcome, RouteName, ServiceName, Side, SloName, Target, Trip, WallTime,
};

use super::*;
use crate::{
    BreakerCause, BreakerChange, BreakerReading, BudgetingMethod, Controllers, DeadlineChoice,
    Indicator, IntentId, ObjectiveCounts, Observation, RouteSelector, ScopeCounts, Slo, SloMode,
    SloObjective, SloSource, SloWindow,
};

/// A quarter of an hour after a renewal of leases.
const BEGIN: u64 = 1_700_000_100;

fn at(second: u64) -> WallTime {
    WallTime::from_millis((BEGIN + second) * 1_000)
}

fn scope() -> Scope {
    Scope {
        service: ServiceName::try_from("payments").unwrap(),
        route: RouteName::try_from("charge").unwrap(),
        side: Side::Server,
    }
}

fn slo(mode: SloMode, target: f64) -> SloIntent {
    SloIntent {
        name: SloName::try_from("pay").unwrap(),
        display_name: None,
        labels: BTreeMap::new(),
        service: scope().service,
        mode,
        window: SloWindow::Rolling(2_592_000_000),
        deadline: DeadlineChoice::Derived,
        budgeting: BudgetingMethod::Occurrences,
        objectives: vec![SloObjective {
            display_name: None,
            target: Target::parse(target).unwrap(),
            slicing: None,
            weight: None,
            source: Some(SloSource {
                service: scope().service,
                route: RouteSelector::Any,
                side: Side::Server,
                indicator: Indicator::default(),
            }),
        }],
    }
}

/// What a sidecar saw in the second before.
fn saw(node: &str, second: u64, (total, bad): (u64, u64)) -> Observation {
    let mut outcomes = [0; Outcome::ALL.len()];
    outcomes[Outcome::Success.index()] = total - bad;
    outcomes[Outcome::ServerError.index()] = bad;
    Observation {
        node: node.to_owned(),
        incarnation: 1,
        sidecar: crate::SidecarReading::default(),
        from: at(second - 1),
        at: at(second),
        scopes: vec![ScopeCounts {
            requests: total,
            outcomes,
            objectives: vec![ObjectiveCounts {
                id: ObjectiveId {
                    slo: SloName::try_from("pay").unwrap(),
                    index: 0,
                },
                total,
                good: total - bad,
            }],
            ..ScopeCounts::nothing(scope())
        }],
    }
}

fn trip(decision: &Decision) -> Option<Trip> {
    decision
        .policies
        .iter()
        .find_map(|policy| match policy.rule {
            Rule::Trip(trip) => Some(trip),
            Rule::Break { .. }
            | Rule::Count(_)
            | Rule::Fault(_)
            | Rule::Shed { .. }
            | Rule::Deny(_)
            | Rule::RetryBudget { .. }
            | Rule::Deadline { .. } => None,
        })
}

/// A world that has long heard of these sidecars.
fn knowing(nodes: &[&str]) -> World {
    let mut world = World::default();
    // Longer ago than any window, and not so long that they may be gone.
    let before = at(0).before(Duration::from_secs(40));
    world.begin_step(before);
    for node in nodes {
        let mut seen = saw(node, 1, (1, 0));
        seen.from = before.before(Duration::from_secs(1));
        seen.at = before;
        world.observe(seen);
    }
    world
}

/// Plays what two sidecars that are known saw in each second, and returns the seconds in which an order was given.
fn orders(seen: impl IntoIterator<Item = [(u64, u64); 2]>) -> Vec<u64> {
    orders_in(knowing(&["a", "b"]), seen)
}

fn orders_in(mut world: World, seen: impl IntoIterator<Item = [(u64, u64); 2]>) -> Vec<u64> {
    let mut memory = Orders::default();
    let intent = slo(SloMode::Actionable, 0.999);
    let mut last = None;
    let mut given = Vec::new();
    for (second, [one, other]) in (1..).zip(seen) {
        world.begin_step(at(second));
        world.observe(saw("a", second, one));
        world.observe(saw("b", second, other));
        let order = trip(&DerivedBreak.step(&intent, &mut memory, &world));
        if order.is_some() && last < order {
            given.push(second);
            last = order;
        }
    }
    given
}

/// A world that knows that there is one sidecar, at 10 s.
fn of_one_sidecar() -> World {
    let mut world = World::default();
    world.begin_step(at(1));
    world.observe(saw("a", 1, (1, 0)));
    world.begin_step(at(10));
    world
}

const GOOD: [(u64, u64); 2] = [(20, 0), (20, 0)];
const NEVER: [u64; 0] = [];
const BAD: [(u64, u64); 2] = [(20, 20), (20, 20)];

#[test]
fn the_fleet_opens_when_surely_too_much_is_bad() {
    assert_eq!(orders([GOOD, GOOD]), NEVER);
    assert_eq!(orders([GOOD, GOOD, BAD, BAD]), [4]);
    assert_eq!(orders([[(3, 3), (1, 1)]]), NEVER, "too few to judge by");
    assert_eq!(
        orders([[(2_000, 1_001), (2_000, 1_001)]]),
        NEVER,
        "exactly the level is not above it"
    );
}

#[test]
fn one_bad_sidecar_gives_no_order() {
    assert_eq!(orders([[(20, 20), (20, 0)]; 30]), NEVER);
    assert_eq!(
        orders_in(World::default(), [[(20, 20), (0, 0)]; 5]),
        [3],
        "unless it is the only one that sees requests"
    );
}

/// Whether an order is given when `opened` of `callers` sidecars, all with mostly good requests, say that
/// their breakers opened because of `cause`, `ago` seconds before the step.
fn ordered_by(opened: usize, callers: usize, cause: BreakerCause, ago: u64) -> bool {
    let mut world = knowing(&["caller-0"]);
    world.begin_step(at(10));
    for caller in 0..callers {
        let mut seen = saw(&format!("caller-{caller}"), 10, (20, 1));
        let mut breaker = BreakerReading {
            state: BreakerState::Closed,
            changes: Vec::new(),
        };
        if caller < opened {
            seen.from = at(9 - ago);
            seen.at = at(10 - ago);
            breaker.state = BreakerState::Open;
            breaker.changes.push(BreakerChange {
                to: BreakerState::Open,
                at: seen.at,
                cause,
            });
        }
        seen.scopes[0].breaker = Some(breaker);
        world.observe(seen);
    }
    let mut orders = Orders::default();
    let decision = DerivedBreak.step(&slo(SloMode::Actionable, 0.999), &mut orders, &world);
    trip(&decision).is_some()
}

#[test]
fn a_quorum_of_open_breakers_opens_all() {
    let ordered = |opened, callers| ordered_by(opened, callers, BreakerCause::Failures, 0);
    assert!(!ordered(1, 3), "one bad sidecar");
    assert!(ordered(2, 3));
    assert!(ordered(2, 10));
    assert!(!ordered(2, 11), "less than a fifth");
    assert!(ordered(3, 11));
}

#[test]
fn only_what_sidecars_judged_themselves_and_lately_makes_a_quorum() {
    assert!(ordered_by(3, 4, BreakerCause::Slowness, 3));
    assert!(!ordered_by(3, 4, BreakerCause::Slowness, 4), "too long ago");
    assert!(!ordered_by(3, 4, BreakerCause::Fleet, 0), "it was ordered");
}

#[test]
fn what_has_healed_gives_no_order() {
    let outage = [BAD; 3].into_iter();
    assert_eq!(orders(outage.chain([GOOD; 60])), [1]);
}

#[test]
fn a_long_outage_gives_no_order_after_it_has_healed_even_where_little_comes() {
    let outage = [BAD; 100].into_iter();
    let given = orders(outage.chain([[(1, 0), (1, 0)]; 400]));
    assert_eq!(given, [1, 11, 31, 71], "the last one lasted until 131");
}

#[test]
fn little_traffic_is_judged_by_its_last_requests() {
    let quiet = (0..40).map(|second| {
        [
            (second % 2, second % 2),
            ((second + 1) % 2, (second + 1) % 2),
        ]
    });
    let given = orders(quiet);
    assert_eq!(given, [11, 21], "half a request per second and sidecar");
}

#[test]
fn orders_back_off_and_begin_anew_after_recovery() {
    assert_eq!(orders([BAD; 100]), [1, 11, 31, 71]);
    let healed = [BAD; 31].into_iter().chain([GOOD; 30]).chain([BAD; 20]);
    assert_eq!(
        orders(healed),
        [1, 11, 31, 71, 81],
        "the third lasts forty seconds"
    );
    let healed = [BAD; 2].into_iter().chain([GOOD; 30]).chain([BAD; 12]);
    assert_eq!(orders(healed), [1, 34, 44]);
}

/// The seconds in which an order was given when all is bad for objective `bad` of two, and good for the other one.
fn orders_beside_a_good_objective(bad: u32) -> Vec<u64> {
    let mut intent = slo(SloMode::Actionable, 0.999);
    intent.objectives.push(intent.objectives[0].clone());
    let both = |mut seen: Observation| {
        let counted = &mut seen.scopes[0].objectives;
        counted[0].id.index = bad;
        let mut good = counted[0].clone();
        (good.id.index, good.good) = (1 - bad, good.total);
        counted.push(good);
        seen
    };
    let (mut world, mut memory) = (World::default(), Orders::default());
    let mut last = None;
    let mut given = Vec::new();
    for second in 1..=102 {
        world.begin_step(at(second));
        world.observe(both(saw("a", second, (20, 20))));
        world.observe(both(saw("b", second, (20, 20))));
        let order = trip(&DerivedBreak.step(&intent, &mut memory, &world));
        if order.is_some() && last < order {
            given.push(second);
            last = order;
        }
    }
    given
}

#[test]
fn orders_back_off_also_where_another_objective_is_met() {
    for bad in [0, 1] {
        let given = orders_beside_a_good_objective(bad);
        assert_eq!(given, [3, 13, 33, 73], "objective {bad} is bad");
    }
}

#[test]
fn no_order_when_all_breakers_are_open() {
    let mut world = of_one_sidecar();
    let mut memory = Orders::default();
    let mut report = saw("a", 10, (20, 20));
    report.scopes[0].breaker = Some(BreakerReading {
        state: BreakerState::Open,
        changes: Vec::new(),
    });
    world.observe(report);
    let decision = DerivedBreak.step(&slo(SloMode::Actionable, 0.999), &mut memory, &world);
    assert_eq!(trip(&decision), None);
    assert!(
        decision.because.contains("by themselves"),
        "{}",
        decision.because
    );
}

#[test]
fn where_callers_are_judged_it_is_their_retries_that_are_bounded() {
    for (mode, expected) in [
        (SloMode::Shadow, Mode::Shadow),
        (SloMode::Actionable, Mode::Enforce),
    ] {
        let mut intent = slo(mode, 0.99);
        for objective in &mut intent.objectives {
            objective.source.as_mut().unwrap().side = Side::Client;
        }
        let mut controllers = Controllers::with_all();
        let body = serde_json::to_string(&intent).unwrap();
        let id = IntentId("SLO/pay".into());
        controllers.put(&id, Slo::KIND, &body).unwrap();
        let mut world = World::default();
        world.begin_step(at(1));
        let step = controllers.step(&mut world);
        let budgets = step.policies.iter().filter_map(|policy| match policy.rule {
            Rule::RetryBudget { mode, limits, .. } => Some((policy.scope.side, mode, limits)),
            Rule::Break { .. }
            | Rule::Trip(_)
            | Rule::Count(_)
            | Rule::Fault(_)
            | Rule::Shed { .. }
            | Rule::Deny(_)
            | Rule::Deadline { .. } => None,
        });
        let limits = retry::retry_limits(Target::parse(0.99).unwrap()).unwrap();
        assert_eq!(
            budgets.collect::<Vec<_>>(),
            [(Side::Client, expected, limits)]
        );
        let status = &controllers.slo_statuses(&world, &step)[0].objectives[0];
        let share = status.retries.as_ref().unwrap().share;
        assert!((share - 0.144).abs() < 1e-9, "{share}");
    }
}

#[test]
fn monitored_slos_are_left_alone_and_shadow_ones_only_watched() {
    let decide = |mode| {
        let mut world = World::default();
        world.begin_step(at(1));
        DerivedBreak.step(&slo(mode, 0.999), &mut Orders::default(), &world)
    };
    assert!(decide(SloMode::Monitored).policies.is_empty());
    for (mode, expected) in [
        (SloMode::Shadow, BreakerMode::Shadow),
        (SloMode::Actionable, BreakerMode::Enforce),
    ] {
        let mut policies = decide(mode).policies;
        let retries = policies.pop().map(|policy| policy.rule);
        let budget = if mode == SloMode::Actionable {
            Mode::Enforce
        } else {
            Mode::Shadow
        };
        assert!(
            matches!(retries, Some(Rule::RetryBudget { mode, .. }) if mode == budget),
            "{retries:?}"
        );
        assert!(
            matches!(
                policies[..],
                [
                    Policy { rule: Rule::Break { mode, .. }, .. },
                    Policy { rule: Rule::Shed { mode: Mode::Shadow, .. }, .. }
                ] if mode == expected
            ),
            "without a threshold shedding only counts: {policies:?}"
        );
    }
}

/// The deadlines that an SLO implies whose objectives are met within these microseconds, by route; and what is said.
fn deadlines(mode: SloMode, withins: &[(&str, Option<u64>)]) -> (Vec<(Mode, u32)>, String) {
    let mut intent = slo(mode, 0.99);
    let objective = intent.objectives[0].clone();
    intent.objectives = withins
        .iter()
        .map(|(route, within_us)| {
            let mut objective = objective.clone();
            let source = objective.source.as_mut().unwrap();
            source.route = RouteSelector::Named(RouteName::try_from(*route).unwrap());
            source.indicator.within_us = *within_us;
            objective
        })
        .collect();
    let mut world = World::default();
    world.begin_step(at(1));
    let decision = DerivedBreak.step(&intent, &mut Orders::default(), &world);
    let limits = decision.policies.iter().filter_map(|policy| {
        let Rule::Deadline { mode, limit_ms, .. } = policy.rule else {
            return None;
        };
        Some((mode, limit_ms.as_millis()))
    });
    (limits.collect(), decision.because)
}

#[test]
fn requests_have_ten_times_what_is_good_and_the_longest_of_a_scope() {
    let (limits, because) = deadlines(SloMode::Actionable, &[("a", Some(300_000))]);
    assert_eq!(limits, [(Mode::Enforce, 3_000)]);
    let said = "; requests have 3 s, and calls that come later are refused";
    assert!(because.contains(said), "{because}");

    let several = [("a", Some(300_000)), ("a", Some(500_000)), ("a", None)];
    assert_eq!(
        deadlines(SloMode::Actionable, &several).0,
        [(Mode::Enforce, 5_000)]
    );

    let two = [("a", Some(300_000)), ("b", Some(500_000))];
    let (limits, because) = deadlines(SloMode::Shadow, &two);
    assert_eq!(limits, [(Mode::Shadow, 3_000), (Mode::Shadow, 5_000)]);
    let said = "; requests would have 3 s to 5 s, and calls that come too late are counted";
    assert!(because.contains(said), "{because}");

    for (mode, within_us) in [
        (SloMode::Actionable, None),
        (SloMode::Monitored, Some(300_000)),
    ] {
        let (limits, because) = deadlines(mode, &[("a", within_us)]);
        assert_eq!(limits, []);
        assert!(!because.contains("requests have"), "{because}");
    }
}

#[test]
fn an_slo_that_acts_sheds_where_it_judges_latency() {
    let shed = |mode, target| {
        let mut intent = slo(mode, target);
        for objective in &mut intent.objectives {
            let source = objective.source.as_mut().unwrap();
            source.indicator.within_us = Some(250_000);
        }
        let decision = DerivedBreak.step(&intent, &mut Orders::default(), &of_one_sidecar());
        let mut rules = decision.policies.iter().map(|policy| &policy.rule);
        let shed = rules.find_map(|rule| {
            if let Rule::Shed { mode, limits, .. } = rule {
                Some((*mode, (*limits)?))
            } else {
                None
            }
        });
        let (mode, limits) = shed.unwrap();
        (mode, limits, decision.because)
    };
    let (mode, limits, because) = shed(SloMode::Actionable, 0.99);
    assert_eq!(mode, Mode::Enforce);
    assert_eq!(
        limits.class_max(sloop_model::Criticality::CriticalPlus),
        Share::NONE
    );
    assert!(
        because.contains("load is shed, as far as that helps, while more than 14.4 %"),
        "{because}"
    );
    let (mode, _, because) = shed(SloMode::Shadow, 0.99);
    assert_eq!(mode, Mode::Shadow);
    assert!(
        because.contains("it is counted what shedding would do"),
        "{because}"
    );
}

#[test]
fn an_explicit_breaker_is_taken_as_written() {
    let limits = derive::limits(Target::parse(0.5).unwrap(), None).unwrap();
    let intent = CircuitBreakerIntent {
        name: "a".into(),
        service: scope().service,
        route: RouteSelector::Named(scope().route),
        side: Side::Server,
        mode: BreakerMode::Enforce,
        limits,
        expires_at: None,
    };
    let mut world = of_one_sidecar();
    let mut memory = Orders::default();
    world.observe(saw("a", 10, (12, 8)));
    let decision = CircuitBreak.step(&intent, &mut memory, &world);
    assert_eq!(
        trip(&decision),
        None,
        "two thirds are not surely above three quarters"
    );
    world.observe(saw("a", 10, (60, 60)));
    let decision = CircuitBreak.step(&intent, &mut memory, &world);
    assert!(trip(&decision).is_some(), "{}", decision.because);
    assert_eq!(decision.policies[0].scope, scope());
}

#[test]
fn a_breaker_that_obeys_no_orders_is_given_none() {
    let limits = derive::limits(Target::parse(0.5).unwrap(), None).unwrap();
    for (mode, obeys) in [
        (BreakerMode::Enforce, true),
        (BreakerMode::Shadow, true),
        (BreakerMode::MetricsOnly, false),
        (BreakerMode::Disabled, false),
        (BreakerMode::ForcedOpen, false),
    ] {
        let intent = CircuitBreakerIntent {
            name: "a".into(),
            service: scope().service,
            route: RouteSelector::Any,
            side: Side::Server,
            mode,
            limits,
            expires_at: None,
        };
        let mut world = of_one_sidecar();
        world.observe(saw("a", 10, (60, 60)));
        let decision = CircuitBreak.step(&intent, &mut Orders::default(), &world);
        assert_eq!(trip(&decision).is_some(), obeys, "{}", decision.because);
        assert!(decision.policies.iter().any(|policy| {
            matches!(policy.rule, Rule::Break { mode: given, .. } if given == mode)
        }));
    }
}

#[test]
fn a_breaker_ends_with_its_lease_and_at_its_expiry_at_the_latest() {
    let intent = CircuitBreakerIntent {
        name: "a".into(),
        service: scope().service,
        route: RouteSelector::Any,
        side: Side::Server,
        mode: BreakerMode::ForcedOpen,
        limits: derive::limits(Target::parse(0.5).unwrap(), None).unwrap(),
        expires_at: Some(at(2_000)),
    };
    let decide = |second| {
        let mut world = World::default();
        world.begin_step(at(second));
        CircuitBreak.step(&intent, &mut Orders::default(), &world)
    };
    let ends = |second| match decide(second).policies[..] {
        [
            Policy {
                rule: Rule::Break { expires_at_ms, .. },
                ..
            },
        ] => Some(expires_at_ms),
        [] => None,
        ref other => panic!("{other:?}"),
    };
    let lease = lease::BREAKERS.ends_at(at(0));
    assert_eq!(ends(0), Some(lease.min(at(2_000))));
    assert_eq!(ends(1_999), Some(at(2_000)));
    assert_eq!(decide(1_999).wake_at, Some(at(2_000)));
    assert!(
        decide(1_940).because.ends_with("; for 1 min more"),
        "{}",
        decide(1_940).because
    );
    assert_eq!(ends(2_000), None);
    assert_eq!(decide(2_000).wake_at, None, "it has nothing more to say");
}

#[test]
fn leases_last_between_one_and_two_renewals() {
    for second in 0..4_000 {
        let left = lease::BREAKERS.ends_at(at(second)).since(at(second));
        assert!(Duration::from_secs(900) < left && left <= Duration::from_secs(1_800));
    }
}

#[test]
fn memory_survives_as_json() {
    let mut memory = Orders::default();
    memory.open(&scope(), None, at(1));
    let text = serde_json::to_string(&memory).unwrap();
    assert_eq!(serde_json::from_str::<Orders>(&text).unwrap(), memory);
}

#[test]
fn an_order_that_finds_no_room_is_not_claimed() {
    let mut memory = Orders::default();
    let route = |number: u32| Scope {
        route: RouteName::try_from(format!("r{number}").as_str()).unwrap(),
        ..scope()
    };
    for number in 0..1_024 {
        assert_eq!(memory.open(&route(number), None, at(0)), Opened::Ordered);
    }
    assert_eq!(memory.open(&route(1_024), None, at(1)), Opened::Full);
    assert_eq!(memory.open(&route(0), None, at(1)), Opened::InForce);
    assert_eq!(
        memory.open(&route(0), None, at(20)),
        Opened::Ordered,
        "it has a place"
    );
    assert_eq!(memory.current(at(20)).count(), 1_024);
}

#[test]
fn a_clock_that_steps_back_neither_blocks_orders_nor_repeats_their_ids() {
    let mut memory = Orders::default();
    assert_eq!(memory.open(&scope(), None, at(10_000)), Opened::Ordered);
    let first = memory.current(at(10_000)).next().unwrap().1;
    assert_eq!(
        memory.open(&scope(), None, at(10)),
        Opened::Ordered,
        "an order from the future does not count"
    );
    let second = memory.current(at(10)).next().unwrap().1;
    assert!(first.id < second.id);
    assert!(second.until_ms < at(100));
}

#[test]
fn ids_never_fall_also_when_the_order_before_was_dropped() {
    let mut memory = Orders::default();
    assert_eq!(memory.open(&scope(), None, at(10_000)), Opened::Ordered);
    let first = memory.current(at(10_000)).next().unwrap().1;
    assert_eq!(memory.current(at(20_000)).count(), 0);
    assert_eq!(memory.open(&scope(), None, at(10)), Opened::Ordered);
    let second = memory.current(at(10)).next().unwrap().1;
    assert!(first.id < second.id, "{first:?} {second:?}");
}

proptest! {
    /// At most six orders in any minute, whatever the fleet sees.
    #[test]
    fn orders_never_flap(seen in prop::collection::vec((0u64..60, 0u64..60), 1..300)) {
        let given = orders(seen.iter().map(|&(total, bad)| [(total, bad.min(total)); 2]));
        for minute in given.windows(7) {
            prop_assert!(60 <= minute[6] - minute[0], "{:?}", given);
        }
    }

    /// Between two renewals nothing is pushed while the fleet is well, restarts or not.
    #[test]
    fn policies_never_change_between_renewals_in_health(second in 0u64..900, restarts in any::<bool>()) {
        let intent = slo(SloMode::Actionable, 0.99);
        let mut memory = Orders::default();
        let mut world = World::default();
        let period = BEGIN / 900 * 900 + 900 - BEGIN;
        world.begin_step(at(period));
        let first = DerivedBreak.step(&intent, &mut memory, &world).policies;
        if restarts {
            memory = Orders::default();
        }
        world.begin_step(at(period + second));
        world.observe(saw("a", period + second, (100, 1)));
        prop_assert_eq!(DerivedBreak.step(&intent, &mut memory, &world).policies, first);
    }
}

#[test]
fn an_order_is_said_as_long_as_it_holds_where_breakers_obey() {
    let said = |mode: SloMode| -> Vec<u64> {
        let (mut world, mut memory) = (World::default(), Orders::default());
        let intent = slo(mode, 0.999);
        let mut is_said = |second: u64| {
            world.begin_step(at(second));
            let bad = if (5..9).contains(&second) { 100 } else { 0 };
            world.observe(saw("a", second, (100, bad)));
            let decision = DerivedBreak.step(&intent, &mut memory, &world);
            let is_order = Signal::Ordered {
                slo: intent.name.clone(),
            };
            decision.signals.contains(&is_order)
        };
        (1..=40).filter(|second| is_said(*second)).collect()
    };
    let acting = said(SloMode::Actionable);
    let first = acting.first().copied().unwrap();
    assert!((5..9).contains(&first), "{first}");
    // An order lasts ten seconds.
    assert_eq!(acting, Vec::from_iter(first..first + 10));
    assert_eq!(said(SloMode::Shadow), [0; 0]);
    assert_eq!(said(SloMode::Monitored), [0; 0]);
}

/// Five seconds in health, then three in which more than half fails, with a breaker declared that opens above so much.
fn told_of_an_outage(declared: Option<u16>) -> Vec<(bool, bool, String)> {
    let mut controllers = Controllers::with_all();
    let mut put = |id: &str, kind: &str, body: String| {
        controllers.put(&IntentId(id.into()), kind, &body).unwrap();
    };
    let intent = slo(SloMode::Actionable, 0.999);
    put(
        "SLO/pay",
        Slo::KIND,
        serde_json::to_string(&intent).unwrap(),
    );
    if let Some(failed_max) = declared {
        let limits = sloop_model::BreakerLimits {
            failed_max: Share::try_from(failed_max).unwrap(),
            ..*derived_limits(Target::parse(0.999).unwrap(), None)
                .unwrap()
                .limits()
        };
        let breaker = CircuitBreakerIntent {
            name: "pay".to_owned(),
            service: scope().service,
            route: RouteSelector::Any,
            side: Side::Server,
            mode: BreakerMode::Enforce,
            limits: limits.try_into().unwrap(),
            expires_at: None,
        };
        put(
            "CircuitBreaker/pay",
            CircuitBreak::KIND,
            serde_json::to_string(&breaker).unwrap(),
        );
    }
    let mut world = World::default();
    let step = |second: u64| {
        world.begin_step(at(second));
        let bad = if 5 < second { 60 } else { 0 };
        world.observe(saw("a", second, (100, bad)));
        world.observe(saw("b", second, (100, bad)));
        let step = controllers.step(&mut world);
        let decided = step
            .decisions
            .iter()
            .find(|it| it.kind == DerivedBreak::KIND && it.stage == Stage::Protect);
        let decision = &decided.unwrap().decision;
        let is_said = decision
            .signals
            .iter()
            .any(|it| matches!(it, Signal::Ordered { .. }));
        let is_told = step
            .policies
            .iter()
            .any(|it| matches!(it.rule, Rule::Trip(_)));
        (is_told, is_said, decision.because.clone())
    };
    (1..=8).map(step).skip(5).collect()
}

#[test]
fn who_hears_of_orders_hears_of_those_that_reach_breakers() {
    for declared in [None, Some(5_000)] {
        let told = told_of_an_outage(declared);
        let (is_told, is_said, because) = told.last().unwrap();
        assert!(is_told & is_said, "{told:?}");
        assert!(because.contains("is in force"), "{because}");
    }
    let told = told_of_an_outage(Some(9_000));
    assert!(
        told.iter().all(|(is_told, is_said, _)| !is_told & !is_said),
        "{told:?}"
    );
    let (.., because) = told.last().unwrap();
    assert!(because.contains("would reach no breaker"), "{because}");
}
