//! A rule gives the requests of a scope a deadline, which goes on with all that they cause.

use super::*;
use crate::report::Trouble;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

const THREE: &str = r#""deadline": {"limit_ms": 3000}"#;
const SHADOW: &str = r#""deadline": {"mode": "shadow", "limit_ms": 3000}"#;

/// A sidecar with a scope `a` inbound on which `more` holds, and with `context` in both directions.
fn sidecar(more: &str, context: &str) -> Bench {
    let trace = format!(r#""trace": {{"context": {{{context}}}}}"#);
    let objective = r#""objectives": [{"id": {"slo": "served", "index": 0}}]"#;
    let server = config(&scope("a", &format!("{objective}, {more}")));
    let mut bench = Bench::new(&and(&server, &trace));
    let client = config(&scope("a", "")).replace("server", "client");
    bench.configure(&and(&client, &trace), 0);
    bench
}

const CARRY: &str = r#""deadlines": "carry""#;

/// Sends a request with this `tracestate`, if any, and these headers; what was decided about it, and the
/// `tracestate` that it goes on with.
fn ask(
    bench: &mut Bench,
    (side, millis): (Side, u64),
    state: &str,
    more: &[(&str, &[u8])],
) -> (Verdict, Option<String>) {
    let mut headers = vec![("traceparent", PARENT.as_bytes())];
    if !state.is_empty() {
        headers.push(("tracestate", state.as_bytes()));
    }
    headers.extend(more);
    let begun = bench.begin_with(side, "a", &headers, millis);
    bench.end(begun.exchange, 200, millis);
    (begun.verdict, bench.wrote("tracestate").map(str::to_owned))
}

fn member(left_ms: u32, millis: u64) -> Option<String> {
    Some(format!("sloop=1.d{left_ms:x}-{:x}", WALL + millis))
}

/// What was counted: requests that were late and passed, refused ones, and those of the objective.
fn counted(bench: &mut Bench) -> (u64, u64, u64) {
    let report = bench.report(20_000).unwrap();
    let Trouble { late_passed, .. } = report.trouble;
    let scopes = report.scopes.iter();
    let inbound = scopes.filter(|it| it.scope.side == Side::Server);
    inbound.fold((late_passed, 0, 0), |(late, refused, judged), it| {
        let objective = it.objectives.iter().map(|one| one.total).sum::<u64>();
        let own = outcome(it, Outcome::DeadlinePassed);
        (late, refused + own, judged + objective)
    })
}

#[test]
fn who_says_no_deadline_or_a_later_one_gets_that_of_the_scope() {
    let mut bench = sidecar(THREE, "");
    let inbound = (Side::Server, 5);
    let given = |bench: &mut Bench, state: &str, more: &[(&str, &[u8])]| {
        let (verdict, state) = ask(bench, inbound, state, more);
        assert_eq!(verdict, Verdict::Pass);
        state
    };
    assert_eq!(given(&mut bench, "", &[]), member(3_000, 5));
    let later: [(&str, &[u8]); 1] = [("grpc-timeout", b"10S")];
    assert_eq!(given(&mut bench, "", &later), member(3_000, 5));
    let sooner: [(&str, &[u8]); 1] = [("x-envoy-expected-rq-timeout-ms", b"100")];
    assert_eq!(given(&mut bench, "", &sooner), member(100, 5));
    assert_eq!(given(&mut bench, "sloop=1.dbb9-5", &[]), member(3_000, 5));
    assert_eq!(given(&mut bench, "sloop=1.dbb7-5", &[]), member(2_999, 5));
    assert_eq!(
        given(&mut bench, "sloop=1.c3,congo=1", &[]),
        Some(format!("sloop=1.c3.dbb8-{:x},congo=1", WALL + 5)),
        "the rest goes on"
    );
    assert_eq!(counted(&mut bench), (0, 0, 6));
}

/// The first hop's application takes its time before it calls the second hop.
#[test]
fn a_call_that_the_first_hop_makes_too_late_is_refused_by_the_second() {
    for (rule, spent, verdict, expected) in [
        (THREE, 2_999, Verdict::Pass, (0, 0, 1)),
        (THREE, 3_000, Verdict::Late, (0, 1, 0)),
        (SHADOW, 2_999, Verdict::Pass, (0, 0, 1)),
        (SHADOW, 3_000, Verdict::Pass, (1, 0, 1)),
        (
            r#""criticality": "critical""#,
            3_000,
            Verdict::Pass,
            (1, 0, 1),
        ),
    ] {
        let mut first = sidecar(THREE, CARRY);
        let (_, entered) = ask(&mut first, (Side::Server, 0), "", &[]);
        let (passed, left) = ask(&mut first, (Side::Client, spent), &entered.unwrap(), &[]);
        assert_eq!(passed, Verdict::Pass, "its own filter has no rule for that");
        assert_eq!(left, member(u32::try_from(3_000 - spent).unwrap(), spent));
        // The clock of the second machine is its own.
        let mut second = sidecar(rule, CARRY);
        let (arrived, _) = ask(&mut second, (Side::Server, 40), &left.unwrap(), &[]);
        assert_eq!(arrived, verdict, "{rule} after {spent} ms");
        assert_eq!(counted(&mut second), expected, "{rule} after {spent} ms");
    }
}

#[test]
fn in_shadow_nothing_is_written() {
    let mut bench = sidecar(SHADOW, "");
    let timeout: [(&str, &[u8]); 1] = [("grpc-timeout", b"10S")];
    for (state, more) in [("", &[][..]), ("congo=1", &timeout), ("sloop=1.d0-0", &[])] {
        let (verdict, _) = ask(&mut bench, (Side::Server, 5), state, more);
        assert_eq!(verdict, Verdict::Pass);
        assert_eq!(bench.written(), ["traceparent"], "{state:?}");
    }
    assert_eq!(counted(&mut bench), (1, 0, 3));
}

#[test]
fn after_its_end_it_is_as_if_there_was_none() {
    let rule = format!(
        r#""deadline": {{"limit_ms": 3000, "expires_at_ms": {}}}"#,
        WALL + 5_000
    );
    let mut bench = sidecar(&rule, "");
    assert_eq!(
        ask(&mut bench, (Side::Server, 4_999), "", &[]),
        (Verdict::Pass, member(3_000, 4_999))
    );
    assert_eq!(
        ask(&mut bench, (Side::Server, 4_999), "sloop=1.d0-0", &[]).0,
        Verdict::Late
    );
    for state in ["", "sloop=1.d0-0"] {
        let (verdict, _) = ask(&mut bench, (Side::Server, 5_000), state, &[]);
        assert_eq!(
            (verdict, bench.written()),
            (Verdict::Pass, vec!["traceparent"])
        );
    }
    assert_eq!(counted(&mut bench), (0, 1, 3));
}

#[test]
fn the_setting_stays_what_it_is_for_what_callers_say() {
    let late = "sloop=1.d0-0";
    for (rule, context, verdict, expected) in [
        (
            SHADOW,
            r#""deadlines": "enforce""#,
            Verdict::Late,
            (0, 1, 0),
        ),
        (THREE, CARRY, Verdict::Late, (0, 1, 0)),
        (SHADOW, CARRY, Verdict::Pass, (1, 0, 1)),
    ] {
        let mut bench = sidecar(rule, context);
        let (decided, _) = ask(&mut bench, (Side::Server, 0), late, &[]);
        assert_eq!(decided, verdict, "{rule} {context}");
        assert_eq!(counted(&mut bench), expected, "{rule} {context}");
    }
    // At the edge nobody is believed, and everybody gets the limit.
    let mut bench = sidecar(THREE, r#""member": "discard""#);
    assert_eq!(
        ask(&mut bench, (Side::Server, 0), late, &[]),
        (Verdict::Pass, member(3_000, 0))
    );
}

#[test]
fn an_outbound_scope_takes_off_what_the_application_spent() {
    let client = config(&scope("a", THREE)).replace("server", "client");
    let mut bench = Bench::new(&client);
    let inbound = member(2_000, 0).unwrap();
    let at = |bench: &mut Bench, millis| ask(bench, (Side::Client, millis), &inbound, &[]);
    assert_eq!(at(&mut bench, 500), (Verdict::Pass, member(1_500, 500)));
    assert_eq!(at(&mut bench, 2_000).0, Verdict::Late);
}

#[test]
fn the_clock_is_looked_at_while_there_is_a_deadline() {
    let quiet = |rule: &str| {
        let json = config(&scope("a", rule));
        let json = json.replace(r#""report": {"cluster": "c", "interval_ms": 1000}, "#, "");
        let mut bench = Bench::new(&json);
        bench.request("a", 200, 10);
        bench.plane.wake_at()
    };
    assert_eq!(quiet(""), None);
    assert_eq!(quiet(THREE), Some(at(60_000)), "stamps are of it, too");
    let ends = r#""deadline": {"limit_ms": 3000, "expires_at_ms": 9000000}"#;
    assert_eq!(quiet(ends), Some(at(60_000)));
}
