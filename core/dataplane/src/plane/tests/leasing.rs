//! A fault lasts as long as its lease, which is renewed while requests are under way.

use super::answering::{GO_ON, RESPONSE, is_held, lasting, passes};
use super::*;

/// The same fault with a lease until then.
fn renewed(bench: &mut Bench, what: &str, until: u64, millis: u64) {
    bench.configure(&lasting(what, until), millis);
}

const ABORTED: FaultEnding = FaultEnding::Abort { status: 504 };
const SLOW_ABORT: &str = r#""delay_ms": 5000, "abort_status": 504"#;

#[test]
fn a_wait_that_is_longer_than_a_lease_ends_when_it_should() {
    let mut bench = Bench::new(&lasting(SLOW_ABORT, 2_000));
    let (exchange, verdict) = bench.begin("a", 0);
    assert_eq!(verdict, Verdict::Hold);
    assert_eq!(bench.plane.wake_at(), Some(at(1_000)), "for a report");
    for second in [1, 3] {
        renewed(&mut bench, SLOW_ABORT, (second + 3) * 1_000, second * 1_000);
    }
    assert_eq!(bench.plane.release(at(4_999)), []);
    let released = bench.plane.release(at(5_000));
    assert_eq!(released[0].release, Release::End(ABORTED));
    bench.end(exchange, 504, 5_000);
    assert_eq!(bench.scopes(6_000)[0].aborted, 1);
}

#[test]
fn without_another_word_a_wait_ends_with_the_last_lease() {
    for (renewals, ends) in [(0, 2_000), (1, 4_000)] {
        let mut bench = Bench::new(&lasting(SLOW_ABORT, 2_000));
        let (exchange, _) = bench.begin("a", 0);
        for _ in 0..renewals {
            renewed(&mut bench, SLOW_ABORT, 4_000, 1_000);
        }
        assert_eq!(bench.plane.release(at(ends - 1)), []);
        let released = bench.plane.release(at(ends));
        assert_eq!(released[0].release, Release::Continue, "{renewals}");
        bench.end(exchange, 200, ends);
    }
}

#[test]
fn a_lease_that_is_shortened_is_shorter_for_what_waits_as_well() {
    let mut bench = Bench::new(&lasting(SLOW_ABORT, 9_000));
    let (exchange, _) = bench.begin("a", 0);
    renewed(&mut bench, SLOW_ABORT, 3_000, 1_000);
    let released = bench.plane.release(at(3_000));
    assert_eq!(released[0].release, Release::Continue);
    bench.end(exchange, 200, 3_000);
}

#[test]
fn a_response_that_is_slower_than_a_lease_meets_its_fault() {
    let what = r#""side_of_exchange": "response", "abort_status": 504"#;
    let mut bench = Bench::new(&lasting(what, 2_000));
    let (mut exchange, _) = bench.begin("a", 0);
    renewed(&mut bench, what, 4_000, 1_000);
    assert_eq!(
        bench.respond(&mut exchange, true, 3_999),
        Struck::End(ABORTED)
    );
    bench.end(exchange, 504, 3_999);
    let (mut late, _) = bench.begin("a", 3_999);
    assert_eq!(bench.respond(&mut late, true, 4_000), Struck::Pass);
    bench.end(late, 200, 4_000);
}

#[test]
fn a_body_is_slow_for_as_long_as_the_lease_is_renewed() {
    let what = r#""side_of_exchange": "response", "body": {"bytes_per_second": 10}"#;
    for (renewals, ends) in [(0, 2_000), (1, 4_000), (2, 5_000)] {
        let mut bench = Bench::new(&lasting(what, 2_000));
        let (mut exchange, _) = bench.begin("a", 0);
        bench.respond(&mut exchange, false, 0);
        assert_eq!(bench.body(&mut exchange, RESPONSE, 50, 0), is_held(50));
        for second in (1..).step_by(2).take(renewals) {
            renewed(&mut bench, what, (second + 3) * 1_000, second * 1_000);
        }
        assert_eq!(bench.released(ends - 1), []);
        assert_eq!(bench.released(ends), [GO_ON], "{renewals}");
        bench.end(exchange, 200, ends);
    }
}

#[test]
fn a_body_that_outlasts_a_lease_is_still_cut_short() {
    let what = r#""side_of_exchange": "response", "body": {"truncate_after_bytes": 5}"#;
    let mut bench = Bench::new(&lasting(what, 2_000));
    let (mut exchange, _) = bench.begin("a", 0);
    bench.respond(&mut exchange, false, 0);
    assert_eq!(bench.body(&mut exchange, RESPONSE, 3, 0), passes(3));
    renewed(&mut bench, what, 4_000, 1_000);
    assert_eq!(bench.body(&mut exchange, RESPONSE, 9, 3_000), passes(2));
    bench.end(exchange, 200, 3_000);
}
