//! Requests that ask for a fault get it where a rule allows it.

use super::*;

fn asked(
    share: u16,
    low: u64,
    headers: &[(&str, &str)],
) -> Option<(Option<Duration>, Option<FaultEnding>)> {
    let rules = faults(&[named("a", share, r#"{"by_header": true}"#)]);
    let headers: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    with_request(&headers, |request| {
        let facts = Facts {
            request: Some(request),
            ..facts(low)
        };
        let hit = rules.choose(&facts, || wall(1)).hit()?;
        let injection = rules.injection(hit, Some(request))?;
        Some((injection.delay, injection.ending))
    })
}

const ABORT: (&str, &str) = ("x-envoy-fault-abort-request", "503");
const DELAY: (&str, &str) = ("x-envoy-fault-delay-request", "50");

#[test]
fn who_asks_for_nothing_gets_nothing() {
    assert_eq!(asked(10_000, 1, &[]), None);
    assert_eq!(asked(0, 1, &[ABORT]), None, "the rule allows it to nobody");
    let rules = faults(&[rule(r#"{"reset": true}"#)]);
    let kept = with_request(&[(ABORT.0, b"503")], |request| {
        let facts = Facts {
            request: Some(request),
            ..facts(1)
        };
        let hit = rules.choose(&facts, || wall(1)).hit()?;
        rules.injection(hit, Some(request))?.ending
    });
    assert_eq!(kept, Some(FaultEnding::Reset), "other rules do not listen");
}

#[test]
fn who_asks_for_nothing_is_in_no_arm() {
    let rules = faults(&[named("a", 0, r#"{"by_header": true, "control": 10000}"#)]);
    let counted = |headers: &[(&str, &[u8])]| {
        with_request(headers, |request| {
            let facts = Facts {
                request: Some(request),
                ..facts(1)
            };
            rules.counted(rules.choose(&facts, || wall(1))).count()
        })
    };
    assert_eq!(counted(&[(ABORT.0, b"503")]), 1);
    assert_eq!(counted(&[("x-other", b"503")]), 0);
}

#[test]
fn a_percentage_is_of_all_requests_and_at_most_that_of_the_rule() {
    let count = |share, percentage| {
        let headers = [
            ABORT,
            ("x-envoy-fault-abort-request-percentage", percentage),
        ];
        (1..=10_000)
            .filter(|low| asked(share, *low, &headers).is_some())
            .count()
    };
    for (share, percentage, expected) in [
        (10_000, "25", 2_500),
        (5_000, "25", 2_500),
        (2_000, "50", 2_000),
        (10_000, "0", 0),
    ] {
        let count = count(share, percentage);
        assert!(
            count.abs_diff(expected) < 250,
            "{percentage} % of {share}: {count}"
        );
    }
}

#[test]
fn delay_and_abort_are_drawn_apart() {
    let headers = [
        ABORT,
        DELAY,
        ("x-envoy-fault-abort-request-percentage", "50"),
        ("x-envoy-fault-delay-request-percentage", "50"),
    ];
    let both = (1..=10_000)
        .filter_map(|low| asked(10_000, low, &headers))
        .filter(|(delay, ending)| delay.is_some() && ending.is_some());
    let both = both.count();
    assert!((2_250..2_750).contains(&both), "a quarter: {both}");
}

#[test]
fn odd_numbers_are_none() {
    for value in [
        "",
        " ",
        "+5",
        "-5",
        "5.0",
        "0x5",
        "99999999999999999999999",
        "\u{e9}",
    ] {
        assert_eq!(asked(10_000, 1, &[(DELAY.0, value)]), None, "{value:?}");
    }
    let long = asked(10_000, 1, &[(DELAY.0, "18446744073709551615")]).unwrap();
    assert_eq!(long.0, Some(sloop_model::Delay::MAX));
}
