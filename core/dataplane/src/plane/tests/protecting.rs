//! Deny rules and shedding.

use super::*;
use crate::breaker::BreakerState;
use sloop_model::Share;

const PATH: (&str, &[u8]) = (":path", b"/a");

fn denying(more: &str, seconds: u64) -> String {
    let deny = format!(
        r#""deny": [{{"id": "d", "match": {{"path": {{"prefix": "/"}}}}, "expires_at_ms": {}{more}}}]"#,
        WALL + seconds * 1_000
    );
    config(&scope("a", &deny))
}

fn ask(bench: &mut Bench, status: u16, millis: u64) -> Verdict {
    let begun = bench.begin_with(Side::Server, "a", &[PATH], millis);
    let verdict = begun.verdict;
    if let Verdict::Block { rule, .. } = verdict {
        assert_eq!(bench.plane.denied_by(Side::Server, rule), Some("d"));
        assert_eq!(bench.written(), [""; 0]);
    }
    bench.end(begun.exchange, status, millis);
    verdict
}

fn is_blocked(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Block { status: 403, .. })
}

#[test]
fn no_rule_takes_more_than_its_share() {
    let mut bench = Bench::new(&denying("", 60));
    let blocked = (0..100).filter(|_| is_blocked(ask(&mut bench, 200, 0)));
    assert_eq!(blocked.count(), 50);
    let report = bench.report(1_000).unwrap();
    assert_eq!(outcome(&report.scopes[0], Outcome::Blocked), 50);
    let [denial] = report.denials.as_slice() else {
        panic!("{:?}", report.denials)
    };
    assert_eq!((&*denial.id, denial.side), ("d", Side::Server));
    assert_eq!((denial.counts.refused, denial.counts.over_share), (50, 50));
}

/// Two scopes beside a rule that denies everything everywhere.
#[test]
fn no_rule_looks_at_a_scope_that_is_spared() {
    let everything = r#""deny": [{"id": "d", "match": {"path": {"prefix": "/"}}, "share_max": 10000,
                                  "expires_at_ms": 4102444800000}]"#;
    let spared = [r#""spared": true"#, everything].join(", ");
    let scopes = [scope("a", &spared), scope("b", "")].join(", ");
    let mut bench = Bench::new(&and(&config(&scopes), everything));
    for _ in 0..10 {
        assert_eq!(ask(&mut bench, 200, 0), Verdict::Pass);
        let begun = bench.begin_with(Side::Server, "b", &[(":path", b"/b")], 0);
        assert!(is_blocked(begun.verdict));
        bench.end(begun.exchange, 200, 0);
    }
    let report = bench.report(1_000).unwrap();
    assert_eq!(report.denials[0].counts.refused, 10);
    assert_eq!(outcome(&report.scopes[0], Outcome::Success), 10);
}

#[test]
fn a_shadow_blocks_nobody_and_says_what_it_would_have_cost() {
    let mut bench = Bench::new(&denying(r#", "mode": "shadow", "share_max": 10000"#, 60));
    for status in [200, 200, 500] {
        assert_eq!(ask(&mut bench, status, 0), Verdict::Pass);
    }
    let report = bench.report(1_000).unwrap();
    let delta = &report.scopes[0];
    assert_eq!((delta.shadow_denied, delta.shadow_denied_good), (3, 2));
    let counts = report.denials[0].counts;
    assert_eq!((counts.refused, counts.shadow_refused), (0, 3));
}

#[test]
fn what_a_rule_did_outlives_it() {
    let mut bench = Bench::new(&denying(r#", "share_max": 10000"#, 60));
    assert!(is_blocked(ask(&mut bench, 200, 0)));
    bench.configure(&denying(r#", "share_max": 10000"#, 2), 10);
    assert!(is_blocked(ask(&mut bench, 200, 20)));
    bench.configure(&config(&scope("a", "")), 30);
    assert_eq!(ask(&mut bench, 200, 40), Verdict::Pass);
    let report = bench.report(1_000).unwrap();
    assert_eq!(report.denials[0].counts.refused, 2, "withdrawn");

    let mut bench = Bench::new(&denying(r#", "share_max": 10000"#, 2));
    assert!(is_blocked(ask(&mut bench, 200, 1_999)));
    assert_eq!(ask(&mut bench, 200, 2_000), Verdict::Pass);
    let report = bench.report(3_000).unwrap();
    assert_eq!(report.denials[0].counts.refused, 1, "expired");
}

/// Sheds half of everything, the least critical first.
fn shedding(more: &str) -> String {
    let limits =
        r#""limits": {"share_min": 5000, "share_max": 9000, "floor": 10, "failed_max": 100"#;
    let limits = format!(r#"{limits}, "class_max": {{"critical_plus": 0}}}}"#);
    config(&scope("a", &format!(r#""shed": {{{limits}}}{more}"#)))
}

/// How many of a hundred requests with this `tracestate` are shed, one every hundredth of a second.
fn shed(bench: &mut Bench, state: &str, millis: u64) -> usize {
    let mut is_shed = |turn: &u64| {
        let now = millis + turn * 10;
        let trace = u128::from(bench.plane.random.word_not_zero()) << 64 | 7;
        let parent = format!("00-{trace:032x}-b7ad6b7169203331-01");
        let headers = [
            ("traceparent", parent.as_bytes()),
            ("tracestate", state.as_bytes()),
        ];
        let begun = bench.begin_with(Side::Server, "a", &headers, now);
        bench.end(begun.exchange, 200, now);
        begun.verdict == Verdict::Shed
    };
    (0..100).filter(|turn| is_shed(turn)).count()
}

/// As [`shedding`], after two seconds of requests.
fn shedder(json: &str) -> Bench {
    let mut bench = Bench::new(json);
    shed(&mut bench, "", 0);
    shed(&mut bench, "", 1_000);
    bench.scopes(2_000);
    bench
}

#[test]
fn criticality_is_the_requests_own_or_else_its_routes() {
    let mut bench = shedder(&shedding(""));
    assert!(30 < shed(&mut bench, "", 2_000));
    assert_eq!(shed(&mut bench, "sloop=1.c3", 3_000), 0);
    bench.configure(&shedding(r#", "criticality": "critical_plus""#), 4_000);
    assert_eq!(shed(&mut bench, "", 4_000), 0);
    assert!(30 < shed(&mut bench, "sloop=1.c0", 5_000));
}

#[test]
fn the_report_says_how_much_is_shed() {
    let mut bench = shedder(&shedding(""));
    let count = shed(&mut bench, "", 2_000) as u64;
    let delta = bench.scopes(3_000).remove(0);
    assert!(30 < count && outcome(&delta, Outcome::Shed) == count);
    let shed = delta.shed.unwrap();
    assert_eq!(shed.level, Share::HALF);
    assert_eq!(shed.counts.shed.iter().sum::<u64>(), count);
    assert_eq!(shed.counts.shadow_shed, 0);
}

#[test]
fn in_shadow_mode_it_only_counts() {
    let json = shedding("").replace("\"limits\"", r#""mode": "shadow", "limits""#);
    let mut bench = shedder(&json);
    assert_eq!(shed(&mut bench, "", 2_000), 0);
    let counts = bench.scopes(3_000)[0].shed.unwrap().counts;
    assert!(30 < counts.shadow_shed, "{counts:?}");
    assert_eq!(counts.shadow_shed_good, counts.shadow_shed);
}

#[test]
fn what_the_fleet_counted_reaches_the_shedder() {
    let mut bench = Bench::new(&shedding("").replace("\"share_min\": 5000, ", ""));
    let scope = Scope {
        service: "shop".to_owned().try_into().unwrap(),
        route: "a".to_owned().try_into().unwrap(),
        side: Side::Server,
    };
    let reading = FleetReading {
        requests: 1_000,
        good: 100,
    };
    // Too few here to judge by.
    for second in 0..5 {
        bench.plane.learn(&scope, reading, at(second * 1_000));
        bench.request("a", 200, second * 1_000);
    }
    let delta = bench.scopes(5_000).remove(0);
    assert!(Share::NONE < delta.shed.unwrap().level);
}

/// Whoever says so is held for five seconds; four may be under way.
const FEW_AND_HELD: &str = r#""shed": {"limits": {"share_max": 9000, "in_flight_max": 4}},
    "faults": [{"id": "e", "share": 10000, "delay_ms": 5000, "expires_at_ms": 4102444800000,
                "match": {"headers": [{"name": "x-held"}]}}]"#;

#[test]
fn what_a_fault_holds_back_is_no_load() {
    let mut bench = Bench::new(&config(&scope("a", FEW_AND_HELD)));
    let held: (&str, &[u8]) = ("x-held", b"yes");
    let begin = |bench: &mut Bench, headers: &[(&str, &[u8])], now| {
        let begun = bench.begin_with(Side::Server, "a", headers, now);
        (begun.exchange, begun.verdict)
    };
    let mut all: Vec<_> = (0..10).map(|_| begin(&mut bench, &[held], 0)).collect();
    assert!(all.iter().all(|(_, verdict)| *verdict == Verdict::Hold));
    let is_shed = |bench: &mut Bench, from: u64| {
        let mut verdicts = (0..20).map(|turn| bench.request("a", 200, from + turn * 100));
        verdicts.any(|verdict| verdict == Verdict::Shed)
    };
    assert!(!is_shed(&mut bench, 200), "nobody else is under way");
    // A client that leaves meanwhile is no load either.
    let (left, _) = all.pop().unwrap();
    let flags = Flags::CANCELLED;
    let _ = bench.plane.end(
        left,
        Ending {
            flags,
            ..Ending::default()
        },
        at(2_500),
    );
    assert!(!is_shed(&mut bench, 2_600));
    assert_eq!(bench.plane.release(at(5_000)).len(), 9);
    assert!(is_shed(&mut bench, 5_100), "the service has nine");
    for (exchange, _) in all {
        bench.end(exchange, 200, 7_500);
    }
    assert!(!is_shed(&mut bench, 60_000));
}

#[test]
fn a_probe_is_not_shed_unless_the_breaker_is_a_shadow() {
    // After so many more failures than enough, and so with another draw for the probe: half of all are shed.
    let probed = |mode: &str, more: u32| {
        let breaker = format!(
            r#", "breaker": {{"mode": "{mode}", "limits": {{"window_ms": 1000, "calls_min": 4, "failed_max": 5000,
            "open_ms": 500, "open_max_ms": 4000, "probes": 1}}}}"#
        );
        let mut bench = shedder(&shedding(&breaker));
        for _ in 0..400 + more {
            bench.request("a", 503, 2_000);
        }
        let probe = bench.request("a", 200, 2_500);
        let verdicts: Vec<Verdict> = (0..40).map(|_| bench.request("a", 200, 2_500)).collect();
        // Nobody is refused any more: one probe was permitted, and it was not lost.
        assert!(verdicts.contains(&Verdict::Shed) && verdicts.contains(&Verdict::Pass));
        let delta = bench.scopes(3_000).remove(0);
        assert_eq!(delta.breaker.unwrap().state, BreakerState::Closed);
        probe
    };
    assert!((0..20).all(|more| probed("enforce", more) == Verdict::Pass));
    assert!((0..20).any(|more| probed("shadow", more) == Verdict::Shed));
}
