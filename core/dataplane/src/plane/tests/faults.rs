//! Faults begin and end as they should.

use super::*;
use sloop_model::OwnVerdict;

fn fault(what: &str, expires_at_ms: u64) -> String {
    let expires_at_ms = WALL + expires_at_ms;
    let fault = format!(
        r#""faults": [{{"id": "e", "share": 10000, {what}, "expires_at_ms": {expires_at_ms}}}]"#
    );
    config(&scope("a", &fault))
}

#[test]
fn an_abort_is_counted_apart() {
    let mut bench = Bench::new(&fault(r#""abort_status": 503"#, 10_000));
    let (exchange, verdict) = bench.begin("a", 0);
    assert_eq!(verdict, Verdict::End(FaultEnding::Abort { status: 503 }));
    bench.end(exchange, 503, 0);
    let scopes = bench.scopes(1_000);
    assert_eq!(scopes[0].aborted, 1);
    assert_eq!(outcome(&scopes[0], Outcome::Faulted), 1);
    assert!(scopes[0].latency.is_empty());
}

#[test]
fn a_held_request_goes_on_when_its_time_has_come() {
    let mut bench = Bench::new(&fault(r#""delay_ms": 100"#, 10_000));
    let (exchange, verdict) = bench.begin("a", 0);
    assert_eq!(verdict, Verdict::Hold);
    assert_eq!(bench.plane.wake_at(), Some(at(100)));
    assert_eq!(bench.plane.release(at(99)), []);
    let released = bench.plane.release(at(100));
    assert_eq!(released.len(), 1);
    assert_eq!(
        (released[0].context, released[0].release),
        (1, Release::Continue)
    );
    assert_eq!(bench.plane.release(at(200)), [], "never twice");
    bench.end(exchange, 200, 300);
    let scopes = bench.scopes(1_000);
    assert_eq!((scopes[0].delayed, scopes[0].aborted), (1, 0));
    assert_eq!(outcome(&scopes[0], Outcome::Success), 1);
}

#[test]
fn an_abort_may_follow_a_delay() {
    let mut bench = Bench::new(&fault(r#""delay_ms": 100, "abort_status": 504"#, 10_000));
    let (exchange, _) = bench.begin("a", 0);
    let released = bench.plane.release(at(100));
    assert_eq!(
        released[0].release,
        Release::End(FaultEnding::Abort { status: 504 })
    );
    assert_eq!(exchange.verdict(), OwnVerdict::Faulted);
    bench.end(exchange, 504, 100);
    let scopes = bench.scopes(1_000);
    assert_eq!((scopes[0].delayed, scopes[0].aborted), (1, 1));
}

#[test]
fn a_caller_that_leaves_while_held_is_forgotten() {
    let mut bench = Bench::new(&fault(r#""delay_ms": 100, "abort_status": 504"#, 10_000));
    let (exchange, _) = bench.begin("a", 0);
    let ending = Ending {
        flags: Flags::CANCELLED,
        ..Ending::default()
    };
    bench.plane.end(exchange, ending, at(50));
    assert_eq!(bench.plane.release(at(1_000)), []);
    let scopes = bench.scopes(1_000);
    assert_eq!(outcome(&scopes[0], Outcome::ClientCancel), 1);
    assert_eq!(scopes[0].aborted, 0);
}

#[test]
fn a_fault_that_expires_lets_go_of_what_it_holds() {
    let mut bench = Bench::new(&fault(r#""delay_ms": 9000, "abort_status": 504"#, 500));
    let (exchange, verdict) = bench.begin("a", 0);
    assert_eq!(verdict, Verdict::Hold);
    assert_eq!(bench.plane.release(at(500))[0].release, Release::Continue);
    assert_eq!(bench.request("a", 200, 500), Verdict::Pass);
    bench.end(exchange, 200, 600);
}

#[test]
fn a_fault_that_is_withdrawn_lets_go_of_what_it_holds() {
    let mut bench = Bench::new(&fault(r#""delay_ms": 9000, "abort_status": 504"#, 20_000));
    let (exchange, _) = bench.begin("a", 0);
    bench.configure(
        &fault(r#""delay_ms": 8000, "abort_status": 504"#, 30_000),
        10,
    );
    assert_eq!(bench.plane.release(at(10)), [], "it was only renewed");
    bench.configure(&config(&scope("a", "")), 20);
    assert_eq!(bench.plane.release(at(20))[0].release, Release::Continue);
    bench.end(exchange, 200, 30);
}

/// Two rules of one experiment: whoever says it is a `c` waits by one that ends sooner, or later, than that of the others.
fn two_of_one(c_until: u64, others_until: u64) -> String {
    let fault = |whom: &str, until: u64| {
        let until = WALL + until;
        format!(
            r#"{{"id": "e", "share": 10000, {whom}"delay_ms": 9000, "expires_at_ms": {until}}}"#
        )
    };
    let c = r#""match": {"headers": [{"name": "x-who", "exact": "c"}]}, "#;
    let faults = [fault(c, c_until), fault("", others_until)].join(", ");
    config(&scope("a", &format!(r#""faults": [{faults}]"#)))
}

#[test]
fn each_of_several_faults_of_one_experiment_ends_by_itself() {
    let c: (&str, &[u8]) = ("x-who", b"c");
    for (c_until, others_until) in [(500, 900), (900, 500)] {
        let mut bench = Bench::new(&two_of_one(c_until, others_until));
        let whose = [(1, c_until), (2, others_until)];
        let c = bench.begin_with(Side::Server, "a", &[c], 0);
        let other = bench.begin_with(Side::Server, "a", &[], 0);
        assert_eq!((c.verdict, other.verdict), (Verdict::Hold, Verdict::Hold));
        for (now, ended) in [
            (499, vec![]),
            (500, vec![500]),
            (899, vec![]),
            (900, vec![900]),
        ] {
            let released = bench.plane.release(at(now));
            let until = |one: &Released| whose.iter().find(|(context, _)| *context == one.context);
            let until: Vec<_> = released.iter().map(|one| until(one).unwrap().1).collect();
            assert_eq!(until, ended, "at {now}");
        }
        bench.end(c.exchange, 200, 900);
        bench.end(other.exchange, 200, 900);
    }
}

#[test]
fn each_of_several_faults_of_one_experiment_is_renewed_by_itself() {
    let mut bench = Bench::new(&two_of_one(500, 900));
    let other = bench.begin_with(Side::Server, "a", &[], 0);
    bench.configure(&two_of_one(20_000, 600), 10);
    assert_eq!(bench.plane.release(at(599)), []);
    assert_eq!(bench.plane.release(at(600)).len(), 1);
    bench.end(other.exchange, 200, 700);
}

#[test]
fn held_requests_have_a_maximum() {
    let mut bench = Bench::new(&fault(r#""delay_ms": 100"#, 10_000));
    let held: Vec<_> = (0..=Plane::HELD_MAX).map(|_| bench.begin("a", 0)).collect();
    let waiting = held.iter().filter(|(_, verdict)| *verdict == Verdict::Hold);
    assert_eq!(waiting.count(), Plane::HELD_MAX);
    assert_eq!(held.last().unwrap().1, Verdict::Pass);
    assert_eq!(bench.plane.release(at(100)).len(), Plane::HELD_MAX);
    for (exchange, _) in held {
        bench.end(exchange, 200, 100);
    }
    assert_eq!(bench.report(1_000).unwrap().trouble.delays_over_cap, 1);
}
