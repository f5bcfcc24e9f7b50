//! The cases that users of other SLO engines complain about, with the right answer argued.

use super::*;

/// `seen` every two seconds: half a request per second for `hours`.
fn half_a_request_per_second(hours: u64, bad: impl Fn(u64) -> bool) -> World {
    let seen: Vec<_> = (0..hours * 1_800)
        .map(|number| (2 * number, 2 * number + 2, 1, u64::from(bad(number))))
        .collect();
    world(&seen)
}

/// slok/sloth #666, pyrra #1925: with 1,800 requests in an hour a single error is 0.056 %, within
/// what 99.9 % allows; in the short window it is 1 of 150, a burn of 6.7. Of so few one error tells nothing:
/// a service that keeps its objective has one in every seventh such window. Nobody is woken.
#[test]
fn one_error_at_half_a_request_per_second_pages_nobody() {
    let world = half_a_request_per_second(1, |number| number == 1_799);
    assert_eq!(speed(&month(99.9), &world), None);
    let world = half_a_request_per_second(1, |number| number == 0);
    assert_eq!(speed(&month(99.9), &world), None, "nor later on");
}

/// The same with an objective that such traffic can hardly be judged by: one error is a burn of 67 in five minutes.
#[test]
fn one_error_pages_nobody_however_strict_the_objective() {
    let world = half_a_request_per_second(1, |number| number == 1_799);
    assert_eq!(speed(&month(99.99), &world), None);
}

/// vonrobak/fedora-homelab-containers #165: nine of ten fail for days at low traffic. Two or
/// three requests in each five seconds are enough to be sure within seconds, and stay enough.
#[test]
fn what_mostly_fails_at_low_traffic_is_seen_and_stays_seen() {
    let fails = |number: u64| !number.is_multiple_of(10);
    let outage = half_a_request_per_second(48, fails);
    assert_eq!(speed(&month(99.9), &outage), Some(Speed::Now));
    let begun: Vec<_> = (0..200)
        .map(|number| {
            (
                2 * number,
                2 * number + 2,
                1,
                u64::from(190 < number && fails(number)),
            )
        })
        .collect();
    assert_eq!(speed(&month(99.9), &world(&begun)), Some(Speed::Now));
}

/// So few requests that no window of seconds can tell: one a minute, nine of ten bad. The pairs of
/// long windows are sure, as soon as the short one holds enough.
#[test]
fn one_request_a_minute_is_judged_by_the_long_windows() {
    let seen: Vec<_> = (0..12 * 60)
        .map(|number: u64| {
            (
                60 * number,
                60 * number + 60,
                1,
                u64::from(!number.is_multiple_of(10)),
            )
        })
        .collect();
    let world = world(&seen);
    let intent = month(99.9);
    let measured = Measured::new(&intent, 0, &intent.objectives[0], &world);
    let fires: Vec<_> = measured
        .pairs()
        .iter()
        .map(|pair| measured.fires(pair))
        .collect();
    assert_eq!(fires, [Some(true); 4]);
}

/// slok/sloth #341: below 93.06 % a burn of 14.4 is more than everything. A total outage fires
/// all the same; half of it, at 50 %, is what the objective allows and fires nothing.
#[test]
fn an_objective_below_93_percent_can_burn() {
    for percent in [93.0, 90.0, 75.0, 50.0, 20.0] {
        let outage = world(&[(0, 600, 60_000, 0), (600, 4_200, 360_000, 360_000)]);
        let intent = month(percent);
        let measured = Measured::new(&intent, 0, &intent.objectives[0], &outage);
        assert_eq!(
            measured.fires(&measured.pairs()[0]),
            Some(true),
            "{percent}"
        );
        assert_eq!(measured.speed(), Some(Speed::Now), "{percent}");
    }
    let half = world(&[(0, 4_200, 420_000, 210_000)]);
    assert_eq!(speed(&month(50.0), &half), None, "as much as it may");
}

/// slok/sloth #348: a young service has no history. Its budget is that of what it served, a finite
/// number from the first request on; before it there is none, which is neither 0 nor 100 %.
#[test]
fn a_new_service_has_a_budget_from_its_first_request_on() {
    let intent = month(99.9);
    let budget = |world: &World| Measured::new(&intent, 0, &intent.objectives[0], world).budget();
    assert_eq!(budget(&World::default()), None, "nobody knows");
    let quiet = budget(&world(&[(0, 10, 0, 0)])).unwrap();
    assert!(
        close(quiet.left_share, 1.0) && close(quiet.allowed, 0.0),
        "{quiet:?}"
    );
    assert_eq!(quiet.exhausted_in_s, None);
    let first = budget(&world(&[(0, 10, 1, 1)])).unwrap();
    assert!(
        first.left_share.is_finite() && first.left_share < 0.0,
        "{first:?}"
    );
    assert_eq!(
        speed(&intent, &world(&[(0, 10, 1, 1)])),
        None,
        "one request is no outage"
    );
    let well = budget(&world(&[(0, 10, 1_000, 0)])).unwrap();
    assert!(close(well.left_share, 1.0), "{well:?}");
    assert_eq!(well.exhausted_in_s, None);
}

/// pyrra #448: more good requests than there were. They are taken as all of them.
#[test]
fn more_good_requests_than_all_are_all() {
    let mut report = saw(0, 10, (10, 0));
    report.scopes[0].objectives[0].good = 25;
    let mut world = World::default();
    world.begin_step(at(10));
    world.observe(report);
    let intent = month(99.9);
    let counts = world.counts(&intent.objective_id(0), seconds(10)).unwrap();
    assert_eq!((counts.total, counts.bad()), (10, 0));
}
