use std::collections::BTreeMap;

use super::*;
use crate::Cell;
use crate::budget::Slicing;

fn sliced(percent: f64, method: BudgetingMethod, slicing: Slicing) -> SloIntent {
    let mut intent = month(percent);
    intent.budgeting = method;
    intent.objectives[0].slicing = Some(slicing);
    intent
}

/// Minutes, good with 95 % of their requests.
fn whole(percent: f64) -> SloIntent {
    let slicing = Slicing::whole(seconds(60), 0.95).unwrap();
    sliced(percent, BudgetingMethod::Timeslices, slicing)
}

fn ratio(percent: f64) -> SloIntent {
    let slicing = Slicing::ratio(seconds(60)).unwrap();
    sliced(percent, BudgetingMethod::RatioTimeslices, slicing)
}

/// An SLO of several objectives, like that of `one`, with these weights.
fn composite(one: &SloIntent, weights: &[f64]) -> SloIntent {
    let mut intent = one.clone();
    intent.objectives = weights
        .iter()
        .map(|weight| SloObjective {
            weight: Some(Weight::nearest(*weight)),
            ..one.objectives[0].clone()
        })
        .collect();
    intent
}

/// Lets `intent` see the minutes of an hour: (bad ones of 100 requests) per objective. Stands at the end of it.
fn hour(intent: &SloIntent, bad: impl Fn(u64, u32) -> Option<u64>) -> SloStatus {
    let mut controllers = Controllers::with_all();
    let body = serde_json::to_string(intent).unwrap();
    let id = IntentId("SLO/pay".into());
    controllers.put(&id, Slo::KIND, &body).unwrap();
    let mut world = World::default();
    for minute in 0..60 {
        for tenth in 0..6 {
            let second = minute * 60 + tenth * 10;
            world.begin_step(at(second + 9));
            controllers.step(&mut world);
            let mut report = saw(second, second + 9, (0, 0));
            report.scopes[0].objectives = (0..)
                .take(intent.objectives.len())
                .filter_map(|index| {
                    let bad = bad(minute, index)?;
                    Some(ObjectiveCounts {
                        id: intent.objective_id(index),
                        total: 100,
                        good: 100 - bad,
                    })
                })
                .collect();
            world.observe(report);
        }
    }
    world.begin_step(at(3_600));
    let step = controllers.step(&mut world);
    controllers.slo_statuses(&world, &step).remove(0)
}

#[test]
fn a_budget_of_slices_counts_slices() {
    // Four bad ones of a hundred spend nothing, six spend a minute.
    let status = hour(&whole(90.0), |minute, _| {
        Some(if minute < 3 { 6 } else { 4 })
    });
    let budget = status.objectives[0].budget.unwrap();
    assert_eq!((budget.unit, budget.spent), (BudgetUnit::Slices, 3));
    assert!(
        close(budget.allowed, 6.0) && close(budget.left_share, 0.5),
        "{budget:?}"
    );
    assert_eq!(
        status.objectives[0].counts.unwrap().bad(),
        6 * (3 * 6 + 57 * 4)
    );
    let words = status.objectives[0].slices.as_deref();
    assert_eq!(
        words,
        Some("slices of 1 min, good with 95 % of their requests")
    );
    let hour = status.objectives[0]
        .burn
        .iter()
        .find(|burn| burn.window_ms == 3_600_000);
    assert!(
        close(hour.unwrap().burn.unwrap(), 0.5),
        "3 of 60 slices, 6 allowed"
    );
    assert!(
        status.because[0].contains("57 of 60 slices"),
        "{:?}",
        status.because
    );
}

#[test]
fn shares_of_slices_are_averaged() {
    // By requests it would be the same; so let the bad slices have most requests of all.
    let status = hour(&ratio(90.0), |minute, _| {
        Some(if minute < 3 { 50 } else { 0 })
    });
    let budget = status.objectives[0].budget.unwrap();
    assert_eq!(
        (budget.unit, budget.spent),
        (BudgetUnit::Slices, 2),
        "1.5, rounded up"
    );
    assert!(
        close(budget.left, 4.5) && close(budget.left_share, 0.75),
        "{budget:?}"
    );
}

#[test]
fn seconds_tell_that_slices_are_going_bad() {
    let burns = |bad: u64| {
        let intent = whole(99.9);
        let mut world = world(&[(0, 20, 2_000, 0)]);
        world.cut(&cuts([&intent].into_iter()));
        world.begin_step(at(30));
        world.observe(saw(20, 30, (1_000, bad)));
        speed(&intent, &world)
    };
    assert_eq!(burns(30), None, "3 % leave a slice good");
    assert_eq!(burns(200), Some(Speed::Now));
}

#[test]
fn slices_that_are_cut_anew_know_the_last_six_hours() {
    let mut world = world(&[(30, 50, 100, 0), (70, 90, 100, 50), (130, 150, 100, 0)]);
    let intent = whole(90.0);
    world.begin_step(at(3_600));
    world.cut(&cuts([&intent].into_iter()));
    let measured = Measured::new(&intent, 0, &intent.objectives[0], &world);
    let budget = measured.budget().unwrap();
    assert_eq!(budget.spent, 1);
    assert!(close(budget.allowed, 0.3), "three slices: {budget:?}");
}

#[test]
fn what_is_no_longer_cut_is_no_longer_stored() {
    let intent = whole(90.0);
    let mut world = World::default();
    world.cut(&cuts([&intent].into_iter()));
    world.begin_step(at(30));
    world.observe(saw(20, 30, (1_000, 10)));
    world.begin_step(at(61));
    let stored: Vec<String> = world.take_changes().iter().map(Cell::key).collect();
    assert!(world.take_gone().is_empty());
    world.cut(&cuts([&month(90.0)].into_iter()));
    world.begin_step(at(DAY));
    world.cut(&cuts([&month(90.0)].into_iter()));
    assert!(world.take_gone().is_empty(), "it may be a slip");
    world.begin_step(at(DAY + 61));
    world.cut(&cuts([&month(90.0)].into_iter()));
    let gone = world.take_gone();
    let sliced = stored.iter().filter(|key| key.starts_with("slice"));
    assert_eq!(
        sliced.clone().count(),
        3,
        "a slice, and its minute and hour: {stored:?}"
    );
    assert!(sliced.into_iter().all(|key| gone.contains(key)), "{gone:?}");
}

#[test]
fn slices_outlive_an_slo_that_is_away_for_a_step_but_not_another_cut() {
    let intent = whole(90.0);
    let mut world = world(&[(0, 20, 2_000, 0)]);
    let spent = |world: &mut World, intent: &SloIntent| {
        world.cut(&cuts([intent].into_iter()));
        let measured = Measured::new(intent, 0, &intent.objectives[0], world);
        measured.budget().map(|budget| budget.spent)
    };
    world.cut(&cuts([&intent].into_iter()));
    world.begin_step(at(30));
    world.observe(saw(20, 30, (1_000, 900)));
    // So much later that nothing of it is known by the minute.
    world.begin_step(at(10 * 3_600));
    world.observe(saw(10 * 3_600 - 10, 10 * 3_600, (1_000, 0)));
    assert_eq!(spent(&mut world, &intent), Some(1));
    world.cut(&BTreeMap::new());
    world.begin_step(at(10 * 3_600 + 1));
    assert_eq!(spent(&mut world, &intent), Some(1), "it was away");
    assert!(world.take_gone().is_empty());
    let mut other = intent;
    other.objectives[0].slicing = Some(Slicing::whole(seconds(120), 0.95).unwrap());
    assert_ne!(spent(&mut world, &other), Some(1));
    assert!(!world.take_gone().is_empty(), "nothing of it is of use");
}

/// An SLO over so many days, with slices of so many minutes that are good with 95 % of their requests.
fn over(days: u64, percent: f64, minutes: u64) -> SloIntent {
    let slicing = Slicing::whole(seconds(60 * minutes), 0.95).unwrap();
    let mut intent = sliced(percent, BudgetingMethod::Timeslices, slicing);
    intent.window = SloWindow::Rolling(days * DAY * 1_000);
    intent
}

/// The pair of `intent` that is asked for first after `world` counted these (minute, requests, bad) up to `now`, in seconds.
fn fastest(intent: &SloIntent, seen: &[(u64, u64, u64)], now: u64) -> Option<bool> {
    let mut world = World::default();
    world.cut(&cuts([intent].into_iter()));
    for &(minute, total, bad) in seen {
        world.begin_step(at(60 * minute + 10));
        world.observe(saw(60 * minute, 60 * minute + 10, (total, bad)));
    }
    world.begin_step(at(now));
    let measured = Measured::new(intent, 0, &intent.objectives[0], &world);
    measured.fires(&measured.pairs()[0])
}

#[test]
fn windows_are_as_long_as_a_slice_at_least() {
    // Its windows have 14 min and 70 s, its slices five minutes.
    let week = over(7, 99.0, 5);
    let outage: Vec<(u64, u64, u64)> = (0..21).map(|minute| (minute, 100, 100)).collect();
    for second in [660, 720, 890, 905, 1_020, 1_190] {
        let seen = &outage[..usize::try_from(second / 60).unwrap()];
        assert_eq!(fastest(&week, seen, second), Some(true), "{second} s");
    }
    let well: Vec<(u64, u64, u64)> = (0..21).map(|minute| (minute, 100, 0)).collect();
    assert_eq!(fastest(&week, &well, 1_190), Some(false));
    // No slice is over: nobody knows how the first one ends.
    assert_eq!(fastest(&week, &outage[..4], 290), None);
    assert_eq!(fastest(&week, &well[..4], 290), None);
    assert_eq!(fastest(&week, &[(0, 0, 0)], 290), Some(false), "it is idle");
}

#[test]
fn slices_burn_that_surely_are_bad_however_good_they_are() {
    // A tenth of the requests is bad in each slice: all slices are bad, but not 14.4 % of the requests.
    let month = over(30, 99.0, 5);
    let seen: Vec<(u64, u64, u64)> = (0..61).map(|minute| (minute, 1_000, 100)).collect();
    assert_eq!(fastest(&month, &seen, 3_665), Some(true));
    let few: Vec<(u64, u64, u64)> = (0..61)
        .map(|minute| (minute, 1, u64::from(minute % 10 == 0)))
        .collect();
    assert_eq!(
        fastest(&month, &few, 3_665),
        Some(false),
        "that is not sure"
    );
}

#[test]
fn a_forecast_is_by_whole_slices() {
    // As long as an hour is of 30 days is 14 min of a week, in which one slice of an hour is over or none.
    let week = over(7, 90.0, 60);
    let mut world = World::default();
    world.cut(&cuts([&week].into_iter()));
    let mut gone_in = Vec::new();
    for minute in 0..26 * 60 {
        world.begin_step(at(60 * minute + 10));
        let bad = if minute < 60 * 23 { 0 } else { 100 };
        world.observe(saw(60 * minute, 60 * minute + 10, (100, bad)));
        if [1, 10, 20, 59].map(|past| 25 * 60 + past).contains(&minute) {
            let measured = Measured::new(&week, 0, &week.objectives[0], &world);
            gone_in.push(measured.budget().unwrap().exhausted_in_s);
        }
    }
    // 2.5 slices are allowed so far, and two were bad. What is allowed grows by a tenth of a slice each hour.
    let expected = 0.5 / 0.9 * 3_600.0;
    for gone in gone_in {
        let gone = f64::from(u32::try_from(gone.unwrap()).unwrap());
        // Of each minute only ten seconds are reported on.
        assert!((expected / 6.0 - gone).abs() < 20.0, "{gone} {expected}");
    }
}

/// Stores what changed, and what is gone no more.
fn store(world: &mut World, stored: &mut BTreeMap<String, Cell>) {
    for key in world.take_gone() {
        stored.remove(&key);
    }
    let changes = world.take_changes().into_iter();
    stored.extend(changes.map(|cell| (cell.key(), cell)));
}

/// Lets `world` count 100 requests of which `bad` are bad, in each minute from `from` to `to`, both in hours.
fn minutes(world: &mut World, (from, to): (u64, u64), bad: u64) {
    for minute in 60 * from..60 * to {
        world.begin_step(at(60 * minute + 1));
        world.observe(saw(60 * minute, 60 * minute + 1, (100, bad)));
    }
    world.begin_step(at(3_600 * to));
}

#[test]
fn what_was_stored_of_another_cut_before_an_idle_night_is_not_taken_back() {
    let (old, new) = (whole(90.0), {
        let slicing = Slicing::whole(seconds(60), 0.99).unwrap();
        sliced(90.0, BudgetingMethod::Timeslices, slicing)
    });
    let spent = |world: &World| {
        let measured = Measured::new(&new, 0, &new.objectives[0], world);
        measured.budget().unwrap().spent
    };
    let mut world = World::default();
    let mut stored = BTreeMap::new();
    let mut early = BTreeMap::new();
    for (cut, hours, bad) in [
        (&old, (18, 20), 4),
        (&old, (32, 34), 4),
        (&new, (34, 37), 2),
    ] {
        world.cut(&cuts([cut].into_iter()));
        minutes(&mut world, hours, bad);
        store(&mut world, &mut stored);
        if early.is_empty() {
            early = stored.clone();
        }
    }
    let is_sliced =
        |(key, cell): &(&String, &Cell)| key.starts_with("slice") && cell.start() < at(20 * 3_600);
    assert_eq!(
        stored.iter().filter(is_sliced).count(),
        0,
        "those of before the night are gone"
    );
    // A store that has them all the same, under keys that nothing was put in their place under.
    for (key, cell) in early {
        stored.entry(key).or_insert(cell);
    }
    assert!(stored.iter().filter(is_sliced).count() != 0);
    let expected = spent(&world);
    assert_eq!(
        expected,
        60 * 5,
        "two hours that are cut anew, and three since"
    );
    for at_once in [1, 100, usize::MAX] {
        let mut world = World::default();
        let cells: Vec<Cell> = stored.values().cloned().collect();
        for some in cells.chunks(at_once) {
            world.restore_some(some.to_vec());
        }
        world.restore(Vec::new());
        world.begin_step(at(37 * 3_600));
        world.cut(&cuts([&new].into_iter()));
        assert_eq!(spent(&world), expected, "{at_once} at once");
    }
}

/// How all is cut that is stored of slices.
fn slicings(stored: &BTreeMap<String, Cell>) -> Vec<Slicing> {
    let slicings = stored.values().filter_map(|cell| {
        if let Cell::Slices { slicing, .. } | Cell::Slice { slicing, .. } = cell {
            Some(*slicing)
        } else {
            None
        }
    });
    slicings.collect()
}

/// Some are cut anew in each step, and a restart between two of them changes nothing.
#[test]
fn of_many_that_are_cut_anew_each_is_as_if_it_was_alone() {
    const MANY: usize = 45;
    let names = (0..MANY).map(|number| format!("s{number:02}"));
    let all = |target: f64| {
        let slicing = Slicing::whole(seconds(60), target).unwrap();
        let one = sliced(90.0, BudgetingMethod::Timeslices, slicing);
        let named = |name: String| SloIntent {
            name: SloName::try_from(name.as_str()).unwrap(),
            ..one.clone()
        };
        names.clone().map(named).collect::<Vec<SloIntent>>()
    };
    let (old, new) = (all(0.95), all(0.99));
    let mut world = World::default();
    let mut stored = BTreeMap::new();
    world.cut(&cuts(old.iter()));
    for minute in 0..10 {
        world.begin_step(at(60 * minute + 1));
        let mut report = saw(60 * minute, 60 * minute + 1, (100, 4));
        let count = |intent: &SloIntent| ObjectiveCounts {
            id: intent.objective_id(0),
            total: 100,
            good: 96,
        };
        report.scopes[0].objectives = old.iter().map(count).collect();
        world.observe(report);
    }
    world.begin_step(at(600));
    store(&mut world, &mut stored);
    let spent = |world: &World| -> Vec<Option<u64>> {
        let spent = |intent: &SloIntent| {
            let measured = Measured::new(intent, 0, &intent.objectives[0], world);
            Some(measured.budget()?.spent)
        };
        new.iter().map(spent).collect()
    };
    assert_eq!(
        spent(&world),
        vec![None; MANY],
        "by the old cut nobody judges"
    );
    for (step, known) in [(0, 20), (1, 40), (2, MANY), (3, MANY)] {
        world.begin_step(at(600 + step));
        world.cut(&cuts(new.iter()));
        let expected = |it: usize| (it < known).then_some(10);
        let expected: Vec<Option<u64>> = (0..MANY).map(expected).collect();
        assert_eq!(spent(&world), expected, "step {step}");
        let gone = world.take_gone();
        assert!(gone.len() < 20 * 3_000, "{}", gone.len());
        for key in gone {
            stored.remove(&key);
        }
        store(&mut world, &mut stored);
        let mut again = World::default();
        again.restore(stored.values().cloned().collect());
        again.begin_step(at(600 + step));
        assert_eq!(spent(&again), expected, "after a restart, step {step}");
        world = again;
    }
    let slicings = slicings(&stored);
    assert!(MANY * 10 < slicings.len());
    let is_new = |it: &Slicing| Some(*it) == new[0].objectives[0].slicing;
    assert!(
        slicings.iter().all(is_new),
        "of the old cut is something left"
    );
}

/// Its members wait for their turn, and it for theirs.
#[test]
fn a_composite_that_is_cut_anew_with_many_others_knows_all_of_its_slices() {
    let minutes = |minutes: u64| composite(&over(30, 90.0, minutes), &[1.0; 25]);
    let (old, new) = (minutes(1), minutes(2));
    let mut world = World::default();
    world.cut(&cuts([&old].into_iter()));
    for minute in 0..60 {
        world.begin_step(at(60 * minute + 1));
        let mut report = saw(60 * minute, 60 * minute + 1, (100, 0));
        let count = |index: u32| ObjectiveCounts {
            id: old.objective_id(index),
            total: 100,
            good: if u64::from(index) == minute { 0 } else { 100 },
        };
        report.scopes[0].objectives = (0..25).map(count).collect();
        world.observe(report);
    }
    for step in 0..3 {
        world.begin_step(at(3_600 + step));
        world.cut(&cuts([&new].into_iter()));
    }
    world.begin_step(at(3_661));
    let slicing = new.objectives[0].slicing.unwrap();
    let slices = world.slices(&new.composite_id(), slicing).unwrap();
    let sum = slices.since(world.now(), at(0));
    assert_eq!(
        (sum.total, sum.bad()),
        (30, 13),
        "each of 25 minutes is bad"
    );
}

#[test]
fn a_window_that_is_shorter_than_a_slice_says_what_is_measured() {
    let hourly = over(30, 90.0, 60);
    let world = world(&[(0, 20, 2_000, 0)]);
    let measured = Measured::new(&hourly, 0, &hourly.objectives[0], &world);
    for burn in measured.burns() {
        let expected = (burn.window_ms < 3_600_000).then_some(3_600_000);
        assert_eq!(burn.measured_ms, expected, "{burn:?}");
    }
    assert!(measured.burns().iter().any(|it| it.measured_ms.is_none()));
    let whole = composite(&hourly, &[1.0, 1.0]);
    let burns = hour(&whole, |_, _| Some(0)).composite.unwrap().burn;
    for burn in burns {
        let expected = (burn.window_ms < 3_600_000).then_some(3_600_000);
        assert_eq!(burn.measured_ms, expected, "{burn:?}");
    }
    let requests = month(90.0);
    let measured = Measured::new(&requests, 0, &requests.objectives[0], &world);
    assert!(measured.burns().iter().all(|it| it.measured_ms.is_none()));
}

#[test]
fn objectives_burn_the_budget_of_their_composite_by_weight() {
    let intent = composite(&month(99.0), &[1.0, 0.5]);
    let status = hour(&intent, |_, index| Some(if index == 0 { 1 } else { 2 }));
    let composite = status.composite.unwrap();
    // Burns of 1 and of 2, the second at half its weight.
    let hour = composite
        .burn
        .iter()
        .find(|burn| burn.window_ms == 3_600_000);
    assert!(close(hour.unwrap().burn.unwrap(), 2.0), "{composite:?}");
    assert!(close(composite.left_share.unwrap(), -1.0), "{composite:?}");
    assert!(composite.is_complete);
    let (low, high) = (hour.unwrap().low.unwrap(), hour.unwrap().high.unwrap());
    assert!((1.6..2.0).contains(&low) && (2.0..2.4).contains(&high));
    assert_eq!(burning(&composite), [false, false, false, true].map(Some));
}

/// Which pairs of windows burn, fastest first.
fn burning(composite: &CompositeStatus) -> Vec<Option<bool>> {
    composite.pairs.iter().map(|pair| pair.burning).collect()
}

#[test]
fn a_composite_burns_in_a_total_outage_however_low_its_targets_are() {
    // It cannot burn faster than four times: twice for each objective.
    let intent = composite(&month(50.0), &[1.0, 1.0]);
    let of = |bad| burning(&hour(&intent, |_, _| Some(bad)).composite.unwrap());
    assert_eq!(of(100), [Some(true); 4]);
    assert_eq!(of(80), [false, false, true, true].map(Some), "3.2 times");
    assert_eq!(of(0), [Some(false); 4]);
}

#[test]
fn a_slice_of_a_composite_is_bad_when_any_objectives_was() {
    let intent = composite(&whole(90.0), &[1.0, 100.0]);
    // Minutes 0 to 2 are bad for one, 2 and 3 for the other: four for both.
    let status = hour(&intent, |minute, index| {
        let bad = if index == 0 { 0..3 } else { 2..4 };
        Some(if bad.contains(&minute) { 6 } else { 0 })
    });
    let composite = status.composite.unwrap();
    assert!(
        close(composite.left_share.unwrap(), 1.0 - 4.0 / 6.0),
        "{composite:?}"
    );
}

#[test]
fn a_restart_judges_the_slices_of_a_composite_as_before_however_long_they_are() {
    for minutes in [1, 30, 59, 60] {
        let one = over(30, 90.0, minutes);
        let intent = composite(&one, &[1.0, 1.0]);
        let mut world = World::default();
        world.cut(&cuts([&intent].into_iter()));
        // Ten hours in which the second objective is known, and idle.
        for second in (0..36_000).step_by(60) {
            world.begin_step(at(second + 10));
            let mut report = saw(second, second + 10, (100, 0));
            let idle = ObjectiveCounts {
                id: intent.objective_id(1),
                total: u64::from(second == 0),
                good: u64::from(second == 0),
            };
            report.scopes[0].objectives.push(idle);
            world.observe(report);
        }
        let slices = |world: &World| {
            let slices = world
                .slices(&intent.composite_id(), one.objectives[0].slicing.unwrap())
                .unwrap();
            slices.since(world.now(), at(0))
        };
        let before = slices(&world);
        assert_eq!(before.bad(), 0);
        let mut again = World::default();
        again.restore(world.take_changes());
        again.begin_step(world.now());
        again.cut(&cuts([&intent].into_iter()));
        assert_eq!(slices(&again), before, "{minutes} min");
    }
}

#[test]
fn what_objectives_miss_adds_up() {
    // OpenSLO's example: 95 % and 95 % are 90 % together.
    let intent = composite(&ratio(80.0), &[1.0, 1.0]);
    let status = hour(&intent, |_, _| Some(5));
    let left = status.composite.unwrap().left_share.unwrap();
    assert!(
        close(left, 0.5),
        "10 % of the 20 % that may be missed: {left}"
    );
}

#[test]
fn a_composite_of_which_not_all_is_known_says_so() {
    let intent = composite(&month(99.0), &[1.0, 1.0]);
    let status = hour(&intent, |_, index| (index == 0).then_some(1));
    let composite = status.composite.unwrap();
    assert!(!composite.is_complete);
    assert!(close(composite.left_share.unwrap(), 0.0), "at most");
    assert_eq!(burning(&composite), [None; 4]);
    assert!(composite.burn.iter().all(|burn| burn.high.is_none()));
    let status = hour(&intent, |_, index| (index == 0).then_some(20));
    let surely = burning(&status.composite.unwrap());
    assert_eq!(surely, [Some(true); 4], "one of them is enough");
    let intent = self::composite(&whole(90.0), &[1.0, 1.0]);
    let status = hour(&intent, |minute, index| {
        (index == 0).then_some(if minute < 3 { 6 } else { 0 })
    });
    let burn = status.composite.unwrap().left_share.unwrap();
    assert!(burn < -8.0, "only the bad slices are known: {burn}");
}

#[test]
fn no_composite_is_made_of_slices_of_different_lengths() {
    let mut intent = composite(&whole(90.0), &[1.0, 1.0]);
    intent.objectives[1].slicing = Some(Slicing::whole(seconds(120), 0.95).unwrap());
    let status = hour(&intent, |_, _| Some(0));
    assert_eq!(status.composite, None);
    assert!(
        status
            .notes
            .iter()
            .any(|note| note.contains("different lengths")),
        "{:?}",
        status.notes
    );
    assert_eq!(
        hour(&month(99.0), |_, _| Some(0)).composite,
        None,
        "one objective is none"
    );
}
