use std::collections::BTreeMap;

use sloop_model::{RouteName, Scope, Side, SloName};

use super::*;
use crate::world::Cut;
use crate::{
    BudgetingMethod, DeadlineChoice, Indicator, ObjectiveCounts, Observation, RouteSelector,
    ScopeCounts, SloIntent, SloMode, SloObjective, SloSource, SloWindow, Weight, objective_name,
};

/// Slices of one and of five minutes begin then.
const BEGIN: u64 = 1_700_000_100;

fn at(second: u64) -> WallTime {
    WallTime::from_millis((BEGIN + second) * 1_000)
}

fn intent() -> AlertIntent {
    AlertIntent {
        policy: "wake".to_owned(),
        slo: SloName::try_from("pay").unwrap(),
        service: ServiceName::try_from("payments").unwrap(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        objectives: vec![(0, Target::parse(0.99).unwrap())],
        slices: Vec::new(),
        composite: None,
        severity: "page".to_owned(),
        op: Comparison::Gt,
        threshold: 2.0,
        lookback_ms: 60_000,
        after_ms: 0,
        when: AlertWhen {
            breaching: true,
            resolved: true,
            no_data: false,
        },
        acting: false,
        targets: vec![AlertTarget {
            name: "phone".to_owned(),
            url: "http://127.0.0.1:1/".to_owned(),
        }],
    }
}

fn saw(second: u64, (total, bad): (u64, u64)) -> Observation {
    Observation {
        node: "a".to_owned(),
        incarnation: 1,
        sidecar: crate::SidecarReading::default(),
        from: at(second - 1),
        at: at(second),
        scopes: vec![ScopeCounts {
            requests: total,
            objectives: vec![ObjectiveCounts {
                id: ObjectiveId {
                    slo: SloName::try_from("pay").unwrap(),
                    index: 0,
                },
                total,
                good: total - bad,
            }],
            ..ScopeCounts::nothing(Scope {
                service: ServiceName::try_from("payments").unwrap(),
                route: RouteName::other(),
                side: Side::Server,
            })
        }],
    }
}

/// Plays what the sidecar of each objective saw in each second, from 1 on (nothing: it did not report), and returns what `told`
/// says of alerts whenever that is new: the second, and that.
fn walk<const OBJECTIVES: usize, T: PartialEq>(
    intent: &AlertIntent,
    seen: impl IntoIterator<Item = [Option<(u64, u64)>; OBJECTIVES]>,
    told: impl Fn(&AlertStatus) -> T,
) -> Vec<(u64, T)> {
    let mut world = World::default();
    let mut memory = AlertMemory::default();
    let mut changes: Vec<(u64, T)> = Vec::new();
    let mut last: Vec<T> = Vec::new();
    for (second, seen) in (1..).zip(seen) {
        world.begin_step(at(second));
        world.cut(&cuts(intent));
        for (index, seen) in (0..).zip(seen) {
            let Some(seen) = seen else { continue };
            let mut report = saw(second, seen);
            report.node = format!("node-{index}");
            report.incarnation = index;
            report.scopes[0].objectives[0].id.index = u32::try_from(index).unwrap();
            world.observe(report);
        }
        let alerts = alerts(&Alert.step(intent, &mut memory, &world));
        for one in alerts.iter().map(&told) {
            if !last.contains(&one) {
                changes.push((second, one));
            }
        }
        last = alerts.iter().map(&told).collect();
    }
    changes
}

/// What [`walk`] sees of one objective: all changes of state, with the second and the kind.
fn changes(
    intent: &AlertIntent,
    seen: impl IntoIterator<Item = Option<(u64, u64)>>,
) -> Vec<(u64, AlertKind, AlertState)> {
    let seen = seen.into_iter().map(|seen| [seen]);
    walk(intent, seen, |alert| (alert.kind, alert.state))
        .into_iter()
        .map(|(second, (kind, state))| (second, kind, state))
        .collect()
}

/// The slices that the objectives of `intent` are cut into, and the whole where it is on a composite.
fn cuts(intent: &AlertIntent) -> BTreeMap<ObjectiveId, Cut> {
    if let Some(slo) = &intent.composite {
        return crate::slo::cuts(core::iter::once(&**slo));
    }
    let slices = intent.slices.iter();
    let cut = slices.map(|(index, slicing)| {
        let id = ObjectiveId {
            slo: intent.slo.clone(),
            index: *index,
        };
        let members = Vec::new();
        (
            id,
            Cut {
                slicing: *slicing,
                members,
            },
        )
    });
    cut.collect()
}

fn alerts(decision: &Decision) -> Vec<AlertStatus> {
    let alerts = decision.signals.iter().filter_map(Signal::alert);
    alerts.cloned().collect()
}

const GOOD: Option<(u64, u64)> = Some((100, 0));
const BAD: Option<(u64, u64)> = Some((100, 20));
use AlertKind::{Breaching, NoData};
use AlertState::{Firing, Pending, Resolved};

#[test]
fn it_fires_while_the_burn_is_surely_above_and_resolves_once() {
    let seen = [GOOD; 10].into_iter().chain([BAD; 30]).chain([GOOD; 300]);
    let given = changes(&intent(), seen);
    assert!(
        matches!(given[..], [(fired, Breaching, Firing), (ended, Breaching, Resolved)]
            if (11..20).contains(&fired) && (130..180).contains(&ended)),
        "{given:?}"
    );
}

#[test]
fn it_ends_after_a_whole_clean_window_also_where_little_is_asked() {
    // Three requests in two seconds: to be surely below 1.44 % would take 617.
    let quiet = AlertIntent {
        objectives: vec![(0, Target::parse(0.999).unwrap())],
        threshold: 14.4,
        lookback_ms: 300_000,
        ..intent()
    };
    let second = |second: u64, bad: u64| Some((1 + second % 2, bad));
    let bad = (0..60).map(|at| second(at, 1));
    let good = (60..1_000).map(|at| second(at, 0));
    let given = changes(&quiet, bad.chain(good));
    // The last bad one is in the window until 360 s; for the last seconds of that it is not sure that it was too much.
    assert!(
        matches!(given[..], [(fired, Breaching, Firing), (ended, Breaching, Resolved)]
            if fired < 20 && (361..425).contains(&ended)),
        "{given:?}"
    );
    // Nobody reported for an hour, so of most of the window nothing is known.
    let bad = (0..60).map(|at| second(at, 1));
    let returned = (0..60).map(|at| second(at, 0));
    let given = changes(&quiet, bad.chain([None; 3_600]).chain(returned));
    assert!(matches!(given[..], [(_, Breaching, Firing)]), "{given:?}");
    // One bad request in each window is not clean, and no end.
    let now_and_then = (0..1_000).map(|at| second(at, u64::from(at < 60 || at % 200 == 0)));
    let given = changes(&quiet, now_and_then);
    assert!(matches!(given[..], [(_, Breaching, Firing)]), "{given:?}");
}

#[test]
fn a_few_clean_requests_are_not_surely_too_little() {
    let below = AlertIntent {
        op: Comparison::Lt,
        ..intent()
    };
    assert_eq!(changes(&below, [Some((1, 0)); 20]), []);
    assert_eq!(changes(&below, [GOOD; 20]), [(5, Breaching, Firing)]);
}

#[test]
fn one_failure_in_a_quiet_night_wakes_nobody() {
    let seen = [Some((1, 0)), None, Some((1, 1)), None, Some((1, 0))];
    assert_eq!(changes(&intent(), seen), []);
}

#[test]
fn it_waits_as_long_as_it_is_told_to() {
    let intent = AlertIntent {
        after_ms: 30_000,
        ..intent()
    };
    assert_eq!(
        changes(&intent, [BAD; 40]),
        [(1, Breaching, Pending), (31, Breaching, Firing)]
    );
    let short = changes(&intent, [BAD; 3].into_iter().chain([Some((10_000, 0)); 60]));
    assert_eq!(short, [(1, Breaching, Pending)], "it was over before");
}

#[test]
fn nobody_reporting_is_told_where_it_is_wanted_and_never_ends_an_alert() {
    let wanted = AlertIntent {
        when: AlertWhen {
            no_data: true,
            ..intent().when
        },
        ..intent()
    };
    let gone = [GOOD; 5].into_iter().chain([None; 100]);
    let given = changes(&wanted, gone);
    assert!(
        matches!(given[..], [(second, NoData, Firing)] if 60 < second),
        "{given:?}"
    );
    // Who has just begun to listen, as after a night without a control plane, does not know.
    assert_eq!(changes(&wanted, [None; 60]), []);
    assert_eq!(changes(&wanted, [None; 70]), [(61, NoData, Firing)]);
    let dark = [BAD; 5].into_iter().chain([None; 600]);
    assert_eq!(changes(&intent(), dark), [(1, Breaching, Firing)]);
}

#[test]
fn of_what_was_just_declared_nobody_can_have_reported() {
    let mut wanted = intent();
    wanted.when.no_data = true;
    let (mut world, mut memory) = (World::default(), AlertMemory::default());
    let mut fires = |second, is_there: bool| {
        world.begin_step(at(second));
        is_there && !alerts(&Alert.step(&wanted, &mut memory, &world)).is_empty()
    };
    assert!((1..1_000).all(|second| !fires(second, false)));
    assert!((1_000..1_060).all(|second| !fires(second, true)));
    assert!(fires(1_060, true));
}

#[test]
fn only_who_wants_to_hear_is_told() {
    let mut world = World::default();
    world.begin_step(at(1));
    world.observe(saw(1, (100, 50)));
    let told = |intent: &AlertIntent| {
        let decision = Alert.step(intent, &mut AlertMemory::default(), &world);
        alerts(&decision)
            .iter()
            .map(|one| one.targets.len())
            .sum::<usize>()
    };
    assert_eq!(told(&intent()), 1);
    let mut deaf = intent();
    deaf.when.breaching = false;
    assert_eq!(told(&deaf), 0);
    let mut below = intent();
    below.op = Comparison::Lt;
    assert_eq!(told(&below), 0, "it is above");
}

#[test]
fn an_objective_keeps_its_alert_when_another_is_no_longer_counted_here() {
    let target = Target::parse(0.99).unwrap();
    let both = AlertIntent {
        objectives: vec![(0, target), (1, target)],
        ..intent()
    };
    let second = AlertIntent {
        objectives: vec![(1, target)],
        ..intent()
    };
    let (mut world, mut memory) = (World::default(), AlertMemory::default());
    let mut fires = |intent: &AlertIntent, second: u64, bad: [u64; 2]| {
        world.begin_step(at(second));
        for (index, bad) in (0..).zip(bad) {
            let mut report = saw(second, (100, bad));
            report.scopes[0].objectives[0].id.index = index;
            world.observe(report);
        }
        let alerts = alerts(&Alert.step(intent, &mut memory, &world));
        let told = alerts.iter().map(|it| (it.objective.index, it.since_ms));
        told.collect::<Vec<_>>()
    };
    assert_eq!(fires(&both, 1, [50, 0]), [(0, at(1))]);
    assert_eq!(fires(&second, 2, [50, 0]), []);
    assert_eq!(fires(&second, 70, [0, 50]), [(1, at(70))], "its own");
    assert_eq!(fires(&both, 71, [50, 50]), [(0, at(71)), (1, at(70))]);
}

/// Whether breakers are ordered to open, from the second 1 on.
fn told_of_orders(
    wanted: &AlertIntent,
    ordered: impl IntoIterator<Item = bool>,
) -> Vec<(u64, AlertState)> {
    let (mut world, mut memory) = (World::default(), AlertMemory::default());
    let (mut last, mut told) = (None, Vec::new());
    for (second, is_ordered) in (1..).zip(ordered) {
        world.begin_step(at(second));
        world.observe(saw(second, (100, 0)));
        let slo = |name: &str| Signal::Ordered {
            slo: SloName::try_from(name).unwrap(),
        };
        world.add_signals([slo("other")]);
        world.add_signals(is_ordered.then(|| slo("pay")));
        let alerts = alerts(&Alert.step(wanted, &mut memory, &world));
        assert!(alerts.len() <= 1, "once for the SLO: {alerts:?}");
        let now = alerts.first().map(|alert| {
            assert_eq!((alert.kind, alert.objective.index), (AlertKind::Acting, 0));
            assert_eq!(alert.targets.len(), 1);
            alert.state
        });
        if now != last {
            told.extend(now.map(|state| (second, state)));
        }
        last = now;
    }
    told
}

#[test]
fn who_wants_to_hear_of_it_is_told_of_orders_whatever_burns() {
    let target = Target::parse(0.99).unwrap();
    let wanted = AlertIntent {
        acting: true,
        after_ms: 120_000,
        objectives: vec![(0, target), (1, target)],
        ..intent()
    };
    let orders = || {
        let off = core::iter::repeat_n(false, 5);
        let on = core::iter::repeat_n(true, 10);
        off.chain(on).chain(core::iter::repeat_n(false, 70))
    };
    // A minute after the last second in which there was an order.
    assert_eq!(
        told_of_orders(&wanted, orders()),
        [(6, Firing), (75, Resolved)]
    );
    assert_eq!(told_of_orders(&intent(), orders()), []);
}

#[test]
fn a_threshold_out_of_reach_fires_in_a_total_outage() {
    let intent = AlertIntent {
        objectives: vec![(0, Target::parse(0.5).unwrap())],
        threshold: 14.4,
        ..intent()
    };
    let given = changes(&intent, [Some((100, 100)); 5]);
    assert_eq!(
        given,
        [(2, Breaching, Firing)],
        "a hundred requests are not sure"
    );
}

#[test]
fn people_read_the_numbers() {
    let mut world = World::default();
    world.begin_step(at(1));
    world.observe(saw(1, (100, 50)));
    let decision = Alert.step(&intent(), &mut AlertMemory::default(), &world);
    assert_eq!(
        alerts(&decision)[0].summary,
        "50 of 100 requests (50 %) were bad in the last 1 min: 50.0 times what a target of 99 % allows, against 2 in the policy"
    );
}

/// The alert on slices of so many minutes, good with nine tenths of their requests.
fn of_slices(minutes: u64, lookback_s: u64) -> AlertIntent {
    let length = Duration::from_secs(minutes * 60);
    AlertIntent {
        slices: vec![(0, crate::Slicing::whole(length, 0.9).unwrap())],
        lookback_ms: lookback_s * 1_000,
        ..intent()
    }
}

/// So many minutes in which each second looks like this.
fn minutes(number: usize, second: (u64, u64)) -> impl Iterator<Item = Option<(u64, u64)>> {
    core::iter::repeat_n(Some(second), number * 60)
}

#[test]
fn what_leaves_every_slice_good_wakes_nobody() {
    let seen = || minutes(20, (1_000, 60));
    assert_eq!(changes(&intent(), seen()), [(1, Breaching, Firing)]);
    assert_eq!(changes(&of_slices(1, 600), seen()), []);
}

#[test]
fn one_slice_in_which_very_much_was_bad_is_one_slice() {
    let seen = || {
        minutes(50, (1, 0))
            .chain(minutes(1, (1_000, 1_000)))
            .chain(minutes(5, (1, 0)))
    };
    let hour = AlertIntent {
        lookback_ms: 3_600_000,
        ..intent()
    };
    assert_eq!(changes(&hour, seen()).len(), 1, "most requests were bad");
    assert_eq!(changes(&of_slices(1, 3_600), seen()), []);
}

#[test]
fn slices_fire_when_enough_of_them_are_bad_and_resolve_when_few_are() {
    // Each third minute is bad by little traffic: no share of all requests would tell.
    let bad = || minutes(2, (100, 0)).chain(minutes(1, (4, 4)));
    let seen = (0..10).flat_map(|_| bad()).chain(minutes(40, (100, 0)));
    let given = changes(&of_slices(1, 1_800), seen);
    assert!(
        matches!(given[..], [(fired, Breaching, Firing), (ended, Breaching, Resolved)]
            if (300..1_800).contains(&fired) && (3_000..3_900).contains(&ended)),
        "{given:?}"
    );
}

#[test]
fn a_slice_in_which_surely_too_much_was_bad_is_enough_when_it_is_over() {
    // It is longer than the window.
    let seen = minutes(6, (100, 0)).chain(minutes(10, (100, 20)));
    let given = changes(&of_slices(5, 60), seen);
    assert_eq!(given, [(600, Breaching, Firing)]);
    let quiet = (0..600).map(|second| (second % 300 == 200).then_some((1, 1)));
    assert_eq!(changes(&of_slices(5, 60), quiet), [], "one request in it");
}

#[test]
fn slices_that_are_not_over_after_a_silence_end_nothing() {
    let silence = core::iter::repeat_n(None, 11 * 60);
    let seen = minutes(6, (100, 0))
        .chain(minutes(10, (100, 20)))
        .chain(silence)
        .chain(minutes(2, (100, 20)));
    assert_eq!(changes(&of_slices(5, 60), seen), [(600, Breaching, Firing)]);
}

#[test]
fn shares_of_slices_burn_as_they_add_up() {
    let mut ratio = of_slices(1, 600);
    ratio.slices = vec![(0, crate::Slicing::ratio(Duration::from_secs(60)).unwrap())];
    let seen = minutes(10, (100, 0)).chain(minutes(10, (100, 20)));
    let given = changes(&ratio, seen);
    assert!(
        matches!(given[..], [(fired, Breaching, Firing)] if (600..800).contains(&fired)),
        "{given:?}"
    );
}

#[test]
fn people_read_of_slices_where_the_budget_is_of_slices() {
    let intent = of_slices(1, 600);
    let mut world = World::default();
    for second in 1..=640 {
        world.begin_step(at(second));
        world.cut(&cuts(&intent));
        world.observe(saw(second, (100, if 580 < second { 50 } else { 0 })));
    }
    let decision = Alert.step(&intent, &mut AlertMemory::default(), &world);
    assert_eq!(
        decision.because,
        "objective 0: 1 of 10 slices (10 %) were bad in the last 10 min: 10.0 times what a target of 99 % allows, against 2 in the policy"
    );
}

/// The alert on both objectives of a composite, like that of [`intent`], which weigh the same.
fn on_both(budgeting: BudgetingMethod) -> AlertIntent {
    let slicing = match budgeting {
        BudgetingMethod::Occurrences => None,
        BudgetingMethod::Timeslices => {
            Some(crate::Slicing::whole(Duration::from_secs(60), 0.9).unwrap())
        }
        BudgetingMethod::RatioTimeslices => {
            Some(crate::Slicing::ratio(Duration::from_secs(60)).unwrap())
        }
    };
    let alone = intent();
    let (_, target) = alone.objectives[0];
    let objective = SloObjective {
        display_name: None,
        target,
        slicing,
        weight: Some(Weight::ONE),
        source: Some(SloSource {
            service: alone.service.clone(),
            route: RouteSelector::Any,
            side: Side::Server,
            indicator: Indicator::default(),
        }),
    };
    let slo = SloIntent {
        name: alone.slo.clone(),
        display_name: None,
        labels: BTreeMap::new(),
        service: alone.service.clone(),
        mode: SloMode::Monitored,
        deadline: DeadlineChoice::Derived,
        window: SloWindow::Rolling(30 * 86_400_000),
        budgeting,
        objectives: vec![objective.clone(), objective],
    };
    assert!(slo.is_evaluated_together());
    AlertIntent {
        objectives: vec![(0, target), (1, target)],
        slices: slicing
            .into_iter()
            .flat_map(|it| [(0, it), (1, it)])
            .collect(),
        composite: Some(Box::new(slo)),
        ..alone
    }
}

/// What [`walk`] sees of two objectives: all changes of state, with the second and the objective.
fn of_each(
    intent: &AlertIntent,
    seen: impl IntoIterator<Item = [Option<(u64, u64)>; 2]>,
) -> Vec<(u64, String, AlertState)> {
    let told = |alert: &AlertStatus| (objective_name(alert.objective.index), alert.state);
    walk(intent, seen, told)
        .into_iter()
        .map(|(second, (objective, state))| (second, objective, state))
        .collect()
}

/// 1.5 times what a target of 99 % allows.
const A_LITTLE: Option<(u64, u64)> = Some((1_000, 15));

#[test]
fn objectives_that_burn_a_little_each_fire_together() {
    let seen = core::iter::repeat_n([A_LITTLE; 2], 60).chain([[GOOD; 2]; 300]);
    let given = of_each(&on_both(BudgetingMethod::Occurrences), seen);
    assert!(
        matches!(&given[..], [(fired, one, Firing), (ended, other, Resolved)]
            if *fired < 40 && (110..200).contains(ended) && one == "composite" && one == other),
        "{given:?}"
    );
}

#[test]
fn what_is_not_known_of_one_objective_ends_nothing_and_may_begin_nothing() {
    let both = core::iter::repeat_n([A_LITTLE; 2], 60);
    let gone = core::iter::repeat_n([GOOD, None], 600);
    let given = of_each(&on_both(BudgetingMethod::Occurrences), both.chain(gone));
    assert!(matches!(&given[..], [(_, _, Firing)]), "{given:?}");
    let alone = core::iter::repeat_n([A_LITTLE, None], 600);
    let given = of_each(&on_both(BudgetingMethod::Occurrences), alone);
    assert_eq!(given, [], "1.5 times is not above 2");
}

#[test]
fn slices_that_are_bad_for_any_objective_fire_together() {
    // After six good minutes each has one of three that is bad, by little traffic: two of three for both.
    let minute = |minute: u64| {
        let bad = |objective: u64| 6 <= minute && minute % 3 == objective;
        let second = [bad(0), bad(1)].map(|is_bad| Some(if is_bad { (4, 4) } else { (100, 0) }));
        core::iter::repeat_n(second, 60)
    };
    let mut intent = on_both(BudgetingMethod::Timeslices);
    intent.lookback_ms = 3_600_000;
    intent.threshold = 35.0;
    let given = of_each(&intent, (0..76).flat_map(minute));
    assert!(
        matches!(&given[..], [(fired, one, Firing)] if 600 < *fired && one == "composite"),
        "{given:?}"
    );
    let mut ratio = on_both(BudgetingMethod::RatioTimeslices);
    ratio.lookback_ms = 600_000;
    let seen = core::iter::repeat_n([A_LITTLE; 2], 700);
    let given = of_each(&ratio, seen);
    assert!(
        matches!(&given[..], [(fired, one, Firing)] if 60 <= *fired && one == "composite"),
        "{given:?}"
    );
}

#[test]
fn people_read_of_all_objectives_together() {
    let intent = on_both(BudgetingMethod::Occurrences);
    let mut world = World::default();
    let said = |world: &World| {
        Alert
            .step(&intent, &mut AlertMemory::default(), world)
            .because
    };
    world.begin_step(at(1));
    let nobody = "; nobody reported on any objective in the last 1 min";
    assert!(said(&world).ends_with(nobody), "{}", said(&world));
    let mut report = saw(1, (10_000, 200));
    world.observe(report.clone());
    let half = "all objectives together burned 2.0 times what their budget allows in the last 1 min (surely at least 1.6, not all objectives are known), against 2 in the policy";
    assert!(said(&world).ends_with(half), "{}", said(&world));
    report.incarnation = 2;
    report.scopes[0].objectives[0].id.index = 1;
    world.observe(report);
    let whole = "burned 4.0 times what their budget allows in the last 1 min (surely at least 3.2, at most 4.9), against 2 in the policy";
    assert!(said(&world).ends_with(whole), "{}", said(&world));
}
