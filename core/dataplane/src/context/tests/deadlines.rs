//! Deadlines along a chain of sidecars.

use super::*;
use proptest::prelude::*;

const ENFORCE: &str = r#"{"deadlines": "enforce"}"#;

/// What is left, in milliseconds, according to the headers.
fn left(sent: &Headers) -> Option<u32> {
    let list = lines(sent, "tracestate").concat();
    let value = list.strip_prefix("sloop=")?;
    Some(Said::parse(value.as_bytes())?.deadline?.left_ms)
}

#[test]
fn each_hop_passes_on_what_is_left() {
    let mut first = Sidecar::new(ENFORCE);
    let given = headers(&[PARENT, ("grpc-timeout", "1S")]);
    let mut inbound = first.pass(Side::Server, &given, at(0), |_| {});
    assert_eq!(left(&inbound), Some(1_000));
    // The application takes 300 ms, and does not forward the header.
    inbound.retain(|(name, _)| name != "grpc-timeout");
    let outbound = first.pass(Side::Client, &inbound, at(300), |_| {});
    assert_eq!(left(&outbound), Some(700));
    // The next machine's clock is a minute ahead, which takes nothing.
    let mut second = Sidecar::new(ENFORCE);
    let inbound = second.pass(Side::Server, &outbound, at(60_300), |_| {});
    assert_eq!(left(&inbound), Some(700));
    let outbound = second.pass(Side::Client, &inbound, at(60_999), |_| {});
    assert_eq!(
        (left(&outbound), second.timeliness),
        (Some(1), Timeliness::InTime)
    );
    let outbound = second.pass(Side::Client, &inbound, at(61_000), |_| {});
    assert_eq!(
        (left(&outbound), second.timeliness),
        (Some(0), Timeliness::Late)
    );
    // Whoever gets it nevertheless refuses it, too.
    second.pass(Side::Server, &outbound, at(0), |_| {});
    assert_eq!(second.timeliness, Timeliness::Late);
}

#[test]
fn a_shorter_timeout_on_the_way_counts_from_there() {
    let mut sidecar = Sidecar::new(ENFORCE);
    let given = headers(&[PARENT, ("x-envoy-expected-rq-timeout-ms", "15000")]);
    let mut inbound = sidecar.pass(Side::Server, &given, at(0), |_| {});
    assert_eq!(left(&inbound), Some(15_000));
    inbound.push(("grpc-timeout".into(), b"50m".to_vec()));
    assert_eq!(
        left(&sidecar.pass(Side::Client, &inbound, at(10), |_| {})),
        Some(50)
    );
}

#[test]
fn carried_deadlines_refuse_nothing() {
    let mut sidecar = Sidecar::new(r#"{"deadlines": "carry"}"#);
    let given = headers(&[PARENT, ("tracestate", "sloop=1.d0-0")]);
    sidecar.pass(Side::Server, &given, at(0), |_| {});
    assert_eq!(sidecar.timeliness, Timeliness::LateButPasses);
}

#[test]
fn ignored_deadlines_cost_nothing_and_are_passed_on() {
    let mut sidecar = Sidecar::new("{}");
    let given = headers(&[
        PARENT,
        ("tracestate", "sloop=1.d0-0"),
        ("grpc-timeout", "1S"),
    ]);
    let sent = sidecar.pass(Side::Server, &given, at(0), |_| {});
    assert_eq!(
        (sidecar.timeliness, sidecar.rewrite),
        (Timeliness::InTime, Rewrite::Keep)
    );
    assert_eq!(left(&sent), Some(0));
}

#[test]
fn without_a_deadline_nobody_is_late() {
    let mut sidecar = Sidecar::new(ENFORCE);
    sidecar.pass(Side::Server, &headers(&[PARENT]), at(0), |_| {});
    assert_eq!(
        (sidecar.timeliness, sidecar.rewrite),
        (Timeliness::InTime, Rewrite::Keep)
    );
}

#[test]
fn at_the_edge_only_the_callers_own_timeout_counts() {
    let mut sidecar = Sidecar::new(r#"{"deadlines": "enforce", "member": "discard"}"#);
    let given = headers(&[
        PARENT,
        ("tracestate", "sloop=1.d0-0"),
        ("grpc-timeout", "1S"),
    ]);
    let sent = sidecar.pass(Side::Server, &given, at(0), |_| {});
    assert_eq!(
        (left(&sent), sidecar.timeliness),
        (Some(1_000), Timeliness::InTime)
    );
}

proptest! {
    #[test]
    fn a_rule_decides_the_same_whatever_the_setting_is(
        said in prop::option::of(0_u32..20_000), spent in 0_u64..20_000, timeout in prop::option::of(1_u32..20_000),
        limit in 1_u32..20_000, is_client in any::<bool>(),
    ) {
        let side = if is_client { Side::Client } else { Side::Server };
        let state = said.map_or_else(String::new, |left_ms| {
            let Deadline { stamp, .. } = Deadline::new(left_ms, at(0));
            format!("sloop=1.d{left_ms:x}-{stamp:x}")
        });
        let timeout = timeout.map_or_else(String::new, |millis| format!("{millis}m"));
        let bytes = serialised(&[
            (PARENT.0, PARENT.1.as_bytes()),
            ("tracestate", state.as_bytes()),
            ("grpc-timeout", timeout.as_bytes()),
        ]);
        let request = Request::read(HeaderMap::new(&bytes));
        let rule = |mode| DeadlineConfig {
            mode,
            expires_at_ms: None,
            limit_ms: limit.try_into().unwrap(),
        };
        let modes = [DeadlineMode::Ignore, DeadlineMode::Carry, DeadlineMode::Enforce];
        let read = |deadlines, rule: Option<DeadlineConfig>| {
            let settings = ContextSettings { deadlines, ..ContextSettings::default() };
            let reading = Reading { settings: &settings, side, wall: at(spent) };
            let mut context = Context::read(&request, reading, None, &mut Random::seeded([1, 2, 3, 4]));
            if let Some(rule) = rule {
                context.limit(&request, rule, (side, at(spent)));
            }
            (context.said.deadline, context.timeliness())
        };
        let [one, two, three] = modes.map(|mode| read(mode, Some(rule(Mode::Enforce))));
        prop_assert!(one == two && two == three, "{one:?} {two:?} {three:?}");
        prop_assert!(one.0.is_some_and(|deadline| deadline.left_ms <= limit));
        // In shadow nothing is said that would not be said without the rule, and nothing more is refused.
        for mode in modes {
            let (without, shadow) = (read(mode, None), read(mode, Some(rule(Mode::Shadow))));
            prop_assert_eq!(without.0, shadow.0);
            prop_assert_eq!(without.1 == Timeliness::Late, shadow.1 == Timeliness::Late);
            prop_assert_eq!(shadow.1 == Timeliness::InTime, one.1 == Timeliness::InTime);
        }
    }
}
