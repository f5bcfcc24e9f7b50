//! When an answer needs no flags.

use super::*;

fn needs_flags(fields: &str) -> [bool; 4] {
    let mut bench = Bench::new(&config(&scope("a", fields)));
    let (exchange, _) = bench.begin("a", 0);
    let needs = [Some(200), Some(399), Some(400), None].map(|status| exchange.needs_flags(status));
    bench.end(exchange, 200, 10);
    needs
}

#[test]
fn a_status_that_may_be_envoys_own_needs_flags() {
    assert_eq!(needs_flags(""), [false, false, true, true]);
}

#[test]
fn an_objective_may_ask_for_flags() {
    for selector in ["total", "good", "bad"] {
        let objective = |flags: &str| {
            format!(
                r#""objectives": [{{"id": {{"slo": "s", "index": 0}}, "{selector}": {{"outcome": ["success"]{flags}}}}}]"#
            )
        };
        assert_eq!(needs_flags(&objective("")), [false, false, true, true]);
        assert_eq!(needs_flags(&objective(r#", "flags": 512"#)), [true; 4]);
    }
}

const fn micros(micros: u64) -> Time {
    Time::from_nanos(micros * 1_000)
}

#[test]
fn the_log_must_follow_at_once() {
    let mut heard = Heard::default();
    heard.ends(7, 0, micros(5_000));
    let is_whole = [4_999, 5_000, 5_100, 5_101].map(|now| heard.is_whole(7, micros(now)));
    assert_eq!(is_whole, [false, true, true, false]);
    assert!(!heard.is_whole(8, micros(5_000)));
}

#[test]
fn one_part_with_everything_in_it_may_be_envoys_own() {
    let now = micros(1);
    let mut heard = Heard::default();
    assert!(!heard.is_whole(0, now), "nothing was heard yet");
    heard.ends(7, 2, now);
    assert!(!heard.is_whole(7, now));
    // Trailers, and the end of an answer on HTTP/1, bring no bytes.
    heard.ends(7, 0, now);
    assert!(heard.is_whole(7, now));
    heard.goes_on(8);
    assert!(!heard.is_whole(8, now), "there is more");
    heard.ends(8, 2, now);
    assert!(heard.is_whole(8, now), "the last of several");
    heard.goes_on(8);
    heard.goes_on(9);
    heard.ends(8, 2, now);
    assert!(!heard.is_whole(8, now), "another one came between");
}

/// Those that do are of answers that were cut short, or have the status of an error.
#[test]
fn no_other_flags_change_what_an_answer_below_400_counts_as() {
    use sloop_model::{Ended, OwnVerdict};
    let of = |status, flags| {
        Outcome::of(Ended {
            verdict: OwnVerdict::Passed,
            status: Some(status),
            flags,
            grpc: None,
        })
    };
    let known = [
        Flags::NOWHERE,
        Flags::LATE,
        Flags::UNCONNECTED,
        Flags::BROKEN,
        Flags::CANCELLED,
        Flags::MISUSED,
    ];
    let all = known.iter().fold(0, |all, flags| all | flags.0);
    for status in [200, 204, 304, 399] {
        assert_eq!(of(status, Flags(!all)), of(status, Flags::default()));
    }
}
