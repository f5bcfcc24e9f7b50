//! Whose time it was.

use proptest::prelude::*;
use sloop_model::Side;

use super::*;

const NOW: WallTime = WallTime::from_millis(1_700_000_010_000);

/// What one line of a test says: the side, service and route, latency in milliseconds, and requests by journey.
type Line<'a> = (Side, &'a str, u64, &'a [(&'a str, u64)]);

fn scope(side: Side, place: &str) -> Scope {
    let (service, route) = place.split_once('/').unwrap();
    Scope {
        service: service.try_into().unwrap(),
        route: route.try_into().unwrap(),
        side,
    }
}

/// Lets a sidecar of `by` report at `now`. Every request of a line has its latency; without journeys there are ten.
fn report(journeys: &mut Journeys, by: &str, lines: &[Line<'_>], now: WallTime) {
    let scopes: Vec<Scope> = lines.iter().map(|line| scope(line.0, line.1)).collect();
    let latencies: Vec<Vec<(u64, u64)>> = lines
        .iter()
        .map(|(_, _, millis, told)| {
            let requests = told.iter().map(|(_, requests)| requests).sum();
            let requests = if told.is_empty() { 10 } else { requests };
            if *millis == 0 {
                Vec::new()
            } else {
                vec![(millis * 1_000, requests)]
            }
        })
        .collect();
    let hops: Vec<HopCounts<'_>> = lines
        .iter()
        .zip(&scopes)
        .zip(&latencies)
        .map(|(((_, _, _, told), scope), latency)| HopCounts {
            scope,
            latency,
            journeys: told,
        })
        .collect();
    journeys.observe(by, &hops, now);
}

fn all(reports: &[(&str, &[Line<'_>])]) -> Vec<JourneyStatus> {
    let mut journeys = Journeys::default();
    for (by, lines) in reports {
        report(&mut journeys, by, lines, NOW);
    }
    journeys.status(NOW)
}

/// Service, own time and time on the way in milliseconds, share in thousandths.
fn shares(status: &JourneyStatus) -> Vec<(&str, u64, u64, u64)> {
    let share = |hop: &HopShare| format!("{:.0}", hop.share * 1_000.0).parse().unwrap();
    let hops = status.hops.iter();
    hops.map(|hop| {
        let service = hop.service.as_str();
        (service, hop.own_us / 1_000, hop.way_us / 1_000, share(hop))
    })
    .collect()
}

const BUY: &[(&str, u64)] = &[("buy", 1)];

/// The worked example of the module.
#[test]
fn everybody_has_what_they_did_not_wait_for() {
    let status = all(&[
        (
            "shop",
            &[
                (Side::Server, "shop/home", 100, BUY),
                (Side::Client, "checkout/order", 80, BUY),
            ],
        ),
        (
            "checkout",
            &[
                (Side::Server, "checkout/order", 70, BUY),
                (Side::Client, "payments/charge", 50, BUY),
            ],
        ),
        ("payments", &[(Side::Server, "payments/charge", 45, BUY)]),
    ]);
    assert_eq!(status.len(), 1);
    assert_eq!(
        (status[0].journey.as_str(), status[0].time_us),
        ("buy", 100_000)
    );
    assert_eq!(
        shares(&status[0]),
        [
            ("payments", 45, 5, 500),
            ("checkout", 20, 10, 300),
            ("shop", 20, 0, 200),
        ]
    );
    assert!(
        status[0]
            .hops
            .iter()
            .all(|hop| hop.requests == 1 && !hop.is_estimated)
    );
}

#[test]
fn journeys_that_share_a_route_are_told_apart_by_where_else_they_go() {
    let status = all(&[
        (
            "shop",
            &[
                (Side::Server, "shop/home", 40, &[("buy", 1), ("look", 3)]),
                (Side::Client, "pay/charge", 20, &[("buy", 1)]),
            ],
        ),
        ("pay", &[(Side::Server, "pay/charge", 20, &[("buy", 1)])]),
    ]);
    let of = |name: &str| shares(status.iter().find(|it| it.journey == name).unwrap());
    assert_eq!(of("buy"), [("pay", 20, 0, 500), ("shop", 20, 0, 500)]);
    assert_eq!(of("look"), [("shop", 120, 0, 1_000)]);
}

#[test]
fn calls_that_are_not_told_apart_are_divided_and_that_is_said() {
    let status = all(&[
        (
            "shop",
            &[
                (Side::Server, "shop/home", 40, &[("buy", 5), ("look", 5)]),
                (Side::Client, "stock/item", 20, &[]),
            ],
        ),
        (
            "stock",
            &[(Side::Server, "stock/item", 20, &[("buy", 5), ("look", 5)])],
        ),
    ]);
    for journey in &status {
        assert_eq!(
            shares(journey),
            [("shop", 100, 0, 500), ("stock", 100, 0, 500)]
        );
        assert!(journey.hops[0].is_estimated, "{journey:?}");
        assert!(!journey.hops[1].is_estimated, "{journey:?}");
    }
}

#[test]
fn who_has_no_sidecar_has_all_that_others_waited() {
    let status = all(&[(
        "shop",
        &[
            (Side::Server, "shop/home", 100, BUY),
            (Side::Client, "unknown/other", 75, BUY),
        ],
    )]);
    assert_eq!(
        shares(&status[0]),
        [("unknown", 75, 0, 750), ("shop", 25, 0, 250)]
    );
    assert!(status[0].hops[0].is_outside);
    assert!(!status[0].hops[1].is_outside);
}

#[test]
fn calls_at_once_leave_nothing_and_are_said_rather_than_negative() {
    let status = all(&[(
        "shop",
        &[
            (Side::Server, "shop/home", 100, BUY),
            (Side::Client, "a/x", 90, BUY),
            (Side::Client, "b/x", 90, BUY),
        ],
    )]);
    let shop = status[0]
        .hops
        .iter()
        .find(|hop| hop.service == "shop")
        .unwrap();
    assert_eq!((shop.own_us, shop.overlap_us), (0, 80_000));
    assert_eq!(shares(&status[0])[0], ("a", 90, 0, 500));
}

#[test]
fn what_has_no_latency_has_no_time_and_is_said() {
    let status = all(&[("shop", &[(Side::Server, "shop/home", 0, &[("buy", 7)])])]);
    let hop = &status[0].hops[0];
    assert_eq!((hop.untimed, hop.own_us, hop.share), (7, 0, 0.0));
    let waited = all(&[
        (
            "shop",
            &[
                (Side::Server, "shop/home", 90, BUY),
                (Side::Client, "a/x", 60, BUY),
            ],
        ),
        ("a", &[(Side::Server, "a/x", 0, BUY)]),
    ]);
    assert_eq!(
        shares(&waited[0])[0],
        ("a", 0, 60, 667),
        "it was spent on the way"
    );
}

#[test]
fn several_sidecars_and_reports_add_up() {
    let mut journeys = Journeys::default();
    for (millis, requests) in [(10, 1), (30, 3)] {
        let told: &[_] = &[("buy", requests)];
        report(
            &mut journeys,
            "shop",
            &[(Side::Server, "shop/home", millis, told)],
            NOW,
        );
    }
    let status = journeys.status(NOW);
    assert_eq!(
        (status[0].time_us, status[0].hops[0].requests),
        (100_000, 4)
    );
}

#[test]
fn it_is_about_five_minutes_and_a_clock_that_goes_back_does_no_harm() {
    let mut journeys = Journeys::default();
    let lines: &[Line<'_>] = &[(Side::Server, "shop/home", 10, BUY)];
    report(&mut journeys, "shop", lines, NOW);
    let after = |seconds| NOW.after(Duration::from_secs(seconds));
    assert_eq!(journeys.status(after(300)).len(), 1);
    assert_eq!(journeys.status(after(361)), []);
    report(&mut journeys, "shop", lines, after(1_000));
    assert_eq!(journeys.minutes.len(), 1, "what is over is forgotten");
    report(&mut journeys, "shop", lines, NOW);
    assert_eq!(journeys.minutes.len(), 1, "what lies ahead, too");
    assert_eq!(journeys.status(NOW)[0].hops[0].requests, 1);
}

#[test]
fn who_tells_no_journeys_costs_nothing() {
    let mut journeys = Journeys::default();
    report(
        &mut journeys,
        "shop",
        &[(Side::Server, "shop/home", 10, &[])],
        NOW,
    );
    assert!(journeys.minutes.is_empty());
    assert_eq!(journeys.status(NOW), []);
    let none = all(&[(
        "shop",
        &[(Side::Server, "shop/home", 10, &[("unknown", 9)])],
    )]);
    assert_eq!(none, [], "no journey is none");
}

#[test]
fn hops_and_names_have_a_maximum() {
    let mut journeys = Journeys::default();
    for route in 0..=Journeys::HOPS_MAX {
        let place = format!("shop/{route}");
        report(
            &mut journeys,
            "shop",
            &[(Side::Server, &place, 10, &[("buy", 2)])],
            NOW,
        );
    }
    assert_eq!(journeys.minutes[0].1.len(), Journeys::HOPS_MAX);
    assert_eq!(journeys.over_cap(), 2);
    let mut journeys = Journeys::default();
    for name in 0..=Journeys::NAMES_MAX {
        let name = format!("journey-{name}");
        let told: &[_] = &[(name.as_str(), 1)];
        report(
            &mut journeys,
            "shop",
            &[(Side::Server, "shop/home", 10, told)],
            NOW,
        );
    }
    let status = journeys.status(NOW);
    assert_eq!(status.len(), Journeys::NAMES_MAX + 1);
    assert!(status.iter().any(|it| it.journey == "other"));
}

#[test]
fn numbers_that_nobody_believes_do_no_harm() {
    let mut journeys = Journeys::default();
    let of_shop = scope(Side::Server, "shop/home");
    for _ in 0..3 {
        let hop = HopCounts {
            scope: &of_shop,
            latency: &[(u64::MAX, u64::MAX), (1, u64::MAX)],
            journeys: &[("buy", u64::MAX)],
        };
        journeys.observe("shop", &[hop], NOW);
    }
    let status = journeys.status(NOW);
    assert_eq!(status[0].hops[0].share, 1.0);
}

proptest! {
    /// Whatever is reported: nobody has less than nothing, and all together have everything.
    #[test]
    fn shares_always_add_up(
        lines in prop::collection::vec((0_usize..4, any::<bool>(), 0_usize..4, 0_u64..500, 0_u64..9, any::<bool>()), 1..40)
    ) {
        const SERVICES: [&str; 4] = ["a", "b", "c", "d"];
        let mut journeys = Journeys::default();
        for (by, is_server, callee, millis, requests, is_told) in lines {
            let (side, service) = if is_server {
                (Side::Server, SERVICES[by])
            } else {
                (Side::Client, SERVICES[callee])
            };
            let told = [("buy", requests), ("look", 1)];
            let told = if is_told { &told[..] } else { &[] };
            let place = format!("{service}/x");
            report(&mut journeys, SERVICES[by], &[(side, &place, millis, told)], NOW);
        }
        for status in journeys.status(NOW) {
            let sum: f64 = status.hops.iter().map(|hop| hop.share).sum();
            let expected = if status.time_us == 0 { 0.0 } else { 1.0 };
            prop_assert!((sum - expected).abs() < 1e-9, "{status:?}");
            prop_assert!(status.hops.iter().all(|hop| (0.0..=1.0).contains(&hop.share)));
        }
    }
}

#[test]
fn callers_who_invent_journeys_do_not_make_the_list_longer() {
    let names: Vec<String> = (0..300).map(|index| format!("j{index:03}")).collect();
    let mut journeys = Journeys::default();
    for (hop, names) in names.chunks(30).enumerate() {
        let told: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let place = format!("shop/r{hop}");
        report(
            &mut journeys,
            "shop",
            &[(Side::Server, &place, 10, &told)],
            NOW,
        );
    }
    let often = [("often", 5)];
    report(
        &mut journeys,
        "shop",
        &[(Side::Server, "shop/often", 10, &often)],
        NOW,
    );
    let told = journeys.status(NOW);
    assert_eq!(told.len(), Journeys::TOLD_MAX);
    assert!(
        told.iter().any(|journey| journey.journey == "often"),
        "the most come first"
    );
    assert!(told.is_sorted_by(|one, other| one.journey < other.journey));
}
