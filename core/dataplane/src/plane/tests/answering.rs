//! Faults on responses and bodies.

use super::*;
use crate::fault::ActiveTotal;
use sloop_model::{ExchangeSide, OwnVerdict};

const REQUEST: ExchangeSide = ExchangeSide::Request;
pub(super) const RESPONSE: ExchangeSide = ExchangeSide::Response;

fn fault(what: &str) -> String {
    lasting(what, 10_000)
}

pub(super) fn lasting(what: &str, millis: u64) -> String {
    let expires_at_ms = WALL + millis;
    let fault = format!(
        r#""faults": [{{"id": "e", "share": 10000, {what}, "expires_at_ms": {expires_at_ms}}}]"#
    );
    config(&scope("a", &fault))
}

fn on_response(what: &str) -> Bench {
    Bench::new(&fault(&format!(
        r#""side_of_exchange": "response", {what}"#
    )))
}

impl Bench {
    /// The response to the last request comes; what is changed in it is in `sent`.
    pub(super) fn respond(&mut self, exchange: &mut Exchange, is_end: bool, millis: u64) -> Struck {
        let answer = Answer {
            context: self.context,
            is_end,
            now: at(millis),
        };
        let sent = &mut self.sent;
        sent.clear();
        self.plane.respond(exchange, answer, |write| match write {
            HeaderWrite::Set(name, value) => {
                let value = String::from_utf8(value.to_vec()).unwrap();
                sent.insert(name.to_owned(), Some(value));
            }
            HeaderWrite::Remove(name) => {
                sent.insert(name.to_owned(), None);
            }
        })
    }

    /// So many bytes of a body are visible.
    pub(super) fn body(
        &mut self,
        exchange: &mut Exchange,
        half: ExchangeSide,
        bytes: u64,
        millis: u64,
    ) -> BodyVerdict {
        self.part(exchange, (half, bytes, false), millis)
    }

    fn part(
        &mut self,
        exchange: &mut Exchange,
        (half, bytes, is_end): (ExchangeSide, u64, bool),
        millis: u64,
    ) -> BodyVerdict {
        let part = BodyPart {
            context: self.context,
            half,
            bytes,
            is_end,
            now: at(millis),
        };
        self.plane.body(exchange, part)
    }

    /// What is let go at this time.
    pub(super) fn released(&mut self, millis: u64) -> Vec<(ExchangeSide, Release)> {
        let released = self.plane.release(at(millis)).into_iter();
        released.map(|one| (one.half, one.release)).collect()
    }
}

pub(super) const GO_ON: (ExchangeSide, Release) = (RESPONSE, Release::Continue);
const RESET: (ExchangeSide, Release) = (RESPONSE, Release::End(FaultEnding::Reset));

pub(super) fn passes(keep: u64) -> BodyVerdict {
    BodyVerdict {
        keep,
        corrupt: None,
        is_held: false,
    }
}

pub(super) fn is_held(keep: u64) -> BodyVerdict {
    BodyVerdict {
        is_held: true,
        ..passes(keep)
    }
}

#[test]
fn a_fault_on_the_response_leaves_the_request_alone() {
    let mut bench = on_response(r#""headers": {"set": [["x", "y"]], "remove": ["z"]}"#);
    let (mut exchange, verdict) = bench.begin("a", 0);
    assert_eq!(verdict, Verdict::Pass);
    assert!(!bench.sent.contains_key("x") && exchange.awaits_response());
    assert_eq!(bench.respond(&mut exchange, false, 10), Struck::Pass);
    assert_eq!(bench.sent["x"].as_deref(), Some("y"));
    assert_eq!(bench.sent["z"], None);
    // A host that asks again is told nothing new.
    bench.respond(&mut exchange, false, 11);
    assert!(bench.sent.is_empty());
    bench.end(exchange, 200, 20);
    let scopes = bench.scopes(1_000);
    assert_eq!((scopes[0].delayed, scopes[0].aborted), (0, 0));
}

#[test]
fn a_response_waits_from_when_it_came() {
    let mut bench = on_response(r#""delay_ms": 100"#);
    let (mut exchange, _) = bench.begin("a", 0);
    assert_eq!(bench.respond(&mut exchange, false, 50), Struck::Hold);
    assert_eq!(bench.plane.wake_at(), Some(at(150)));
    assert_eq!(bench.released(149), []);
    assert_eq!(bench.released(150), [GO_ON]);
    assert_eq!(bench.released(1_000), [], "never twice");
    bench.end(exchange, 200, 160);
    let scopes = bench.scopes(1_000);
    assert_eq!((scopes[0].delayed, scopes[0].aborted), (1, 0));
    assert_eq!(outcome(&scopes[0], Outcome::Success), 1);
}

#[test]
fn an_abort_of_a_response_is_counted_apart() {
    for (what, at_once) in [
        (r#""abort_status": 503"#, true),
        (r#""abort_status": 503, "delay_ms": 10"#, false),
    ] {
        let mut bench = on_response(what);
        let (mut exchange, _) = bench.begin("a", 0);
        let ending = FaultEnding::Abort { status: 503 };
        if at_once {
            let struck = bench.respond(&mut exchange, true, 5);
            assert_eq!(struck, Struck::End(ending));
        } else {
            assert_eq!(bench.respond(&mut exchange, true, 5), Struck::Hold);
            assert_eq!(exchange.verdict(), OwnVerdict::Passed);
            assert_eq!(bench.released(15), [(RESPONSE, Release::End(ending))]);
        }
        assert_eq!(exchange.verdict(), OwnVerdict::Faulted);
        bench.end(exchange, 503, 20);
        let scopes = bench.scopes(1_000);
        assert_eq!(outcome(&scopes[0], Outcome::Faulted), 1);
        assert_eq!(scopes[0].aborted, 1);
    }
}

#[test]
fn a_response_that_comes_too_late_for_the_fault_passes() {
    let what = r#""side_of_exchange": "response", "abort_status": 503"#;
    let mut bench = Bench::new(&lasting(what, 100));
    let (mut late, _) = bench.begin("a", 0);
    assert_eq!(bench.respond(&mut late, true, 100), Struck::Pass);
    bench.end(late, 200, 100);
    let mut bench = Bench::new(&fault(what));
    let (mut withdrawn, _) = bench.begin("a", 0);
    bench.configure(&config(&scope("a", "")), 10);
    assert_eq!(bench.respond(&mut withdrawn, true, 20), Struck::Pass);
    bench.end(withdrawn, 200, 20);
}

#[test]
fn a_caller_that_leaves_while_the_response_waits_is_forgotten() {
    let mut bench = on_response(r#""delay_ms": 100, "abort_status": 503"#);
    let (mut exchange, _) = bench.begin("a", 0);
    bench.respond(&mut exchange, true, 10);
    bench.end(exchange, 200, 20);
    assert_eq!(bench.released(1_000), []);
    assert_eq!(bench.plane.active.count(), 0);
}

/// A breaker that opens at two slow requests of two: above 50 ms.
const GUARD: &str = r#""breaker": {"limits": {"window_ms": 10000, "calls_min": 2, "failed_max": 5000,
    "slow_max": 5000, "slow_us": 50000, "open_ms": 1000, "open_max_ms": 4000, "probes": 1}}"#;

#[test]
fn what_a_fault_holds_back_is_not_the_services_latency() {
    let refuses = |half: &str, own: u64| {
        let json = fault(&format!(r#""side_of_exchange": "{half}", "delay_ms": 200"#));
        let guarded = json.replacen(r#""faults""#, &format!(r#"{GUARD}, "faults""#), 1);
        let mut bench = Bench::new(&guarded);
        for _ in 0..2 {
            let (mut exchange, verdict) = bench.begin("a", 0);
            if verdict == Verdict::Hold {
                bench.released(200);
            } else {
                assert_eq!(bench.respond(&mut exchange, true, own), Struck::Hold);
                bench.released(200 + own);
            }
            bench.end(exchange, 200, 200 + own);
        }
        let (exchange, verdict) = bench.begin("a", 500);
        bench.plane.abandon(exchange, at(500));
        verdict == REFUSED
    };
    for half in ["request", "response"] {
        assert!(!refuses(half, 40), "{half}");
        assert!(refuses(half, 60), "{half}");
    }
}

const REFUSED: Verdict = Verdict::Refuse {
    retry_after_seconds: 1,
};

#[test]
fn bodies_of_exchanges_without_such_a_fault_are_not_asked_for() {
    let mut bench = on_response(r#""body": {"truncate_after_bytes": 5}"#);
    let (mut exchange, _) = bench.begin("a", 0);
    assert!(!exchange.spoils(RESPONSE), "its headers are not here");
    bench.respond(&mut exchange, false, 1);
    assert!(exchange.spoils(RESPONSE) && !exchange.spoils(REQUEST));
    assert_eq!(bench.body(&mut exchange, REQUEST, 9, 1), passes(9));
    bench.end(exchange, 200, 2);
    let (mut without, _) = bench.begin("a", 0);
    bench.respond(&mut without, true, 1);
    assert!(!without.spoils(RESPONSE), "it has no body");
    assert!(bench.sent.is_empty(), "and keeps its length");
    bench.end(without, 200, 2);
}

#[test]
fn a_truncated_body_has_no_length_to_break() {
    let mut bench = on_response(r#""body": {"truncate_after_bytes": 5}"#);
    let (mut exchange, _) = bench.begin("a", 0);
    bench.respond(&mut exchange, false, 1);
    assert_eq!(bench.sent["content-length"], None);
    assert_eq!(bench.body(&mut exchange, RESPONSE, 3, 1), passes(3));
    assert_eq!(bench.body(&mut exchange, RESPONSE, 3, 1), passes(2));
    assert_eq!(bench.body(&mut exchange, RESPONSE, 3, 1), passes(0));
    bench.end(exchange, 200, 2);

    let mut bench = Bench::new(&fault(r#""body": {"truncate_after_bytes": 5}"#));
    let (mut exchange, verdict) = bench.begin("a", 0);
    assert_eq!(verdict, Verdict::Pass);
    assert_eq!(bench.sent["content-length"], None);
    assert_eq!(bench.body(&mut exchange, REQUEST, 9, 1), passes(5));
    bench.end(exchange, 200, 2);
}

#[test]
fn a_slow_body_waits_part_by_part_and_what_follows_a_wait_waits_too() {
    let mut bench = on_response(r#""body": {"bytes_per_second": 1000}"#);
    let (mut exchange, _) = bench.begin("a", 0);
    bench.respond(&mut exchange, false, 0);
    assert_eq!(bench.body(&mut exchange, RESPONSE, 100, 0), is_held(100));
    assert!(bench.plane.holds_trailers(&mut exchange, RESPONSE));
    assert!(!bench.plane.holds_trailers(&mut exchange, REQUEST));
    assert_eq!(bench.body(&mut exchange, RESPONSE, 150, 50), is_held(150));
    assert_eq!(bench.released(149), [], "what came behind moved its time");
    assert_eq!(bench.released(150), [GO_ON]);
    // It is late enough to pass, but the host would lose it.
    assert_eq!(bench.body(&mut exchange, RESPONSE, 10, 900), is_held(10));
    assert_eq!(bench.released(900), [GO_ON]);
    // Nothing is lost of nothing.
    let end = bench.part(&mut exchange, (RESPONSE, 0, true), 901);
    assert_eq!(end, passes(0));
    assert!(!bench.plane.holds_trailers(&mut exchange, RESPONSE));
    bench.end(exchange, 200, 950);
    assert_eq!(bench.released(2_000), []);
    assert_eq!(bench.scopes(1_000)[0].delayed, 1);
}

#[test]
fn a_cut_body_is_reset_on_a_later_tick() {
    let mut bench = on_response(r#""body": {"cut_after_bytes": 5}"#);
    let (mut exchange, _) = bench.begin("a", 0);
    bench.respond(&mut exchange, false, 0);
    assert_eq!(bench.body(&mut exchange, RESPONSE, 9, 0), passes(5));
    assert_eq!(bench.body(&mut exchange, RESPONSE, 9, 0), is_held(0));
    assert!(bench.plane.holds_trailers(&mut exchange, RESPONSE));
    assert_eq!(bench.released(0), []);
    assert_eq!(bench.released(1), [RESET]);
    assert_eq!(exchange.verdict(), OwnVerdict::Faulted);
    bench.end(exchange, 200, 2);
    let scopes = bench.scopes(1_000);
    assert_eq!((scopes[0].delayed, scopes[0].aborted), (0, 1));
}

#[test]
fn a_body_is_cut_even_if_its_end_is_here() {
    let mut bench = on_response(r#""body": {"cut_after_bytes": 5}"#);
    let (mut exchange, _) = bench.begin("a", 0);
    bench.respond(&mut exchange, false, 0);
    let verdict = bench.part(&mut exchange, (RESPONSE, 9, true), 0);
    assert_eq!(verdict, is_held(0), "or it would end properly");
    assert_eq!(bench.released(1), [RESET]);
    bench.end(exchange, 200, 2);
}

#[test]
fn a_slow_body_is_let_go_before_it_is_cut_and_a_push_does_not_heal_it() {
    let mut bench = on_response(r#""body": {"bytes_per_second": 1000, "cut_after_bytes": 150}"#);
    let (mut exchange, _) = bench.begin("a", 0);
    bench.respond(&mut exchange, false, 0);
    assert_eq!(bench.body(&mut exchange, RESPONSE, 100, 0), is_held(100));
    assert_eq!(bench.released(100), [GO_ON]);
    assert_eq!(bench.body(&mut exchange, RESPONSE, 100, 110), is_held(50));
    bench.configure(&config(&scope("a", "")), 110);
    assert_eq!(bench.body(&mut exchange, RESPONSE, 90, 110), is_held(50));
    assert_eq!(bench.released(110), [GO_ON]);
    assert_eq!(bench.released(111), [RESET]);
    bench.end(exchange, 200, 112);
    assert_eq!(bench.released(2_000), []);
}

/// What is let go of with its end behind it ends properly.
#[test]
fn a_slow_body_whose_end_comes_with_the_cut_is_reset_and_does_not_end() {
    let json = r#""body": {"bytes_per_second": 1000, "cut_after_bytes": 150}"#;
    for has_trailers in [false, true] {
        let mut bench = on_response(json);
        let (mut exchange, _) = bench.begin("a", 0);
        bench.respond(&mut exchange, false, 0);
        assert_eq!(bench.body(&mut exchange, RESPONSE, 100, 0), is_held(100));
        assert_eq!(bench.released(100), [GO_ON]);
        assert_eq!(bench.body(&mut exchange, RESPONSE, 100, 110), is_held(50));
        if has_trailers {
            assert!(bench.plane.holds_trailers(&mut exchange, RESPONSE));
        } else {
            assert_eq!(
                bench.part(&mut exchange, (RESPONSE, 50, true), 110),
                is_held(0)
            );
        }
        assert_eq!(bench.released(110), []);
        assert_eq!(bench.released(111), [RESET]);
        bench.end(exchange, 200, 112);
        assert_eq!(bench.released(2_000), []);
    }
}

#[test]
fn a_push_lets_go_of_a_slow_body() {
    let mut bench = on_response(r#""body": {"bytes_per_second": 10}"#);
    let (mut exchange, _) = bench.begin("a", 0);
    bench.respond(&mut exchange, false, 0);
    bench.body(&mut exchange, RESPONSE, 100, 0);
    bench.configure(&config(&scope("a", "")), 10);
    assert_eq!(bench.released(10), [GO_ON]);
    assert_eq!(bench.body(&mut exchange, RESPONSE, 100, 20), is_held(100));
    assert_eq!(bench.released(20), [GO_ON], "at once");
    bench.end(exchange, 200, 30);
}

#[test]
fn a_caller_that_leaves_after_a_push_leaves_nothing_behind() {
    let mut bench = on_response(r#""delay_ms": 9000"#);
    let (mut exchange, _) = bench.begin("a", 0);
    bench.respond(&mut exchange, false, 0);
    bench.configure(&config(&scope("a", "")), 10);
    bench.end(exchange, 200, 10);
    assert_eq!(bench.released(10), []);
}

#[test]
fn a_delay_comes_before_the_body() {
    let mut bench = Bench::new(&fault(
        r#""delay_ms": 100, "body": {"bytes_per_second": 1000}"#,
    ));
    let (mut exchange, verdict) = bench.begin("a", 0);
    assert_eq!(verdict, Verdict::Hold);
    assert_eq!(bench.released(100), [(REQUEST, Release::Continue)]);
    assert_eq!(bench.body(&mut exchange, REQUEST, 100, 100), is_held(100));
    assert_eq!(bench.released(200), [(REQUEST, Release::Continue)]);
    bench.end(exchange, 200, 300);
}

#[test]
fn what_would_be_lost_is_held_beyond_the_maximum() {
    let mut bench = on_response(r#""body": {"bytes_per_second": 1000}"#);
    let mut exchanges = Vec::new();
    for number in 0..=Plane::HELD_MAX {
        let (mut exchange, _) = bench.begin("a", 0);
        bench.respond(&mut exchange, false, 0);
        let verdict = bench.body(&mut exchange, RESPONSE, 100, 0);
        assert_eq!(verdict.is_held, number < Plane::HELD_MAX, "{number}");
        if number == 0 {
            assert_eq!(bench.released(100).len(), 1);
            let again = bench.body(&mut exchange, RESPONSE, 100, 100);
            assert!(again.is_held);
        }
        exchanges.push(exchange);
    }
    assert!(exchanges.len() <= ActiveTotal::MAX as usize);
    for exchange in exchanges {
        bench.end(exchange, 200, 200);
    }
    assert_eq!(bench.plane.held.next_due(), None);
    assert_eq!(bench.report(1_000).unwrap().trouble.delays_over_cap, 1);
}

#[test]
fn whose_answer_nothing_could_hold_stays_in_its_arm() {
    let fault = format!(
        r#""faults": [{{"id": "e", "share": 9999, "control": 1, "side_of_exchange": "response", "delay_ms": 100, "expires_at_ms": {}}}]"#,
        WALL + 60_000
    );
    let mut bench = Bench::new(&config(&scope("a", &fault)));
    let mut held = Vec::new();
    while held.len() < Plane::HELD_MAX {
        let (mut exchange, _) = bench.begin("a", 0);
        match bench.respond(&mut exchange, true, 0) {
            Struck::Hold => held.push(exchange),
            // The control arm.
            Struck::Pass | Struck::End(_) => bench.plane.abandon(exchange, at(0)),
        }
    }
    let (mut exchange, _) = bench.begin("a", 0);
    assert_eq!(bench.respond(&mut exchange, true, 0), Struck::Pass);
    bench.end(exchange, 200, 0);
    let report = bench.report(1_000).unwrap();
    assert_eq!(report.trouble.delays_over_cap, 1);
    let touched = |arm: &&crate::fault::ArmDelta| arm.arm == sloop_model::Arm::Fault;
    let touched: Vec<_> = report.scopes[0].arms.iter().filter(touched).collect();
    assert_eq!(touched[0].requests, 1);
    for exchange in held {
        bench.plane.abandon(exchange, at(1_000));
    }
}
