//! Configurations: refused with a reason, and the old one stays.

use serde_json::{Value, json};

use crate::language::{
    INBOUND, OUTBOUND, answering, bare, inbound, millis, paid, pay, push, reported, started,
};

#[test]
fn a_bad_configuration_is_refused_and_the_old_one_kept() {
    let mut vm = started(&pay(&json!({"faults": [{
        "id": "trial", "share": 10_000, "abort_status": 418, "expires_at_ms": u64::MAX,
    }]})));
    for bad in [
        "",
        "null",
        "{\"version\": 1}",
        "\u{0}\u{1}",
        r#"{"version": 2, "service": "shop", "side": "server"}"#,
        r#"{"version": 1, "service": "shop", "side": "server", "unknown": 1}"#,
    ] {
        assert!(!vm.configure(INBOUND, bad), "{bad:?}");
        let log = vm.take_log().join("\n");
        assert!(log.contains("configuration refused"), "{bad:?}: {log}");
    }
    assert_eq!(vm.roots(), 1);
    assert_eq!(paid(&mut vm, 200).reply().unwrap().status, 418);
    let trouble = reported(&mut vm).trouble.unwrap();
    assert_eq!(trouble.configs_refused, 6);
}

#[test]
fn a_refusal_names_the_field() {
    let mut vm = bare();
    let bad = pay(&json!({"breaker": {"limits": {
        "window_ms": 1_000, "calls_min": 5, "failed_max": 10_001,
        "open_ms": 1_000, "open_max_ms": 10_000, "probes": 1,
    }}}));
    assert!(!vm.configure(INBOUND, &bad.to_string()));
    let log = vm.take_log().join("\n");
    assert!(log.contains("scopes[0].breaker"), "{log}");
}

/// A configuration under which every request on the route is answered with `status`.
fn answered_with(status: u16) -> Value {
    pay(&json!({"faults": [{
        "id": "trial", "share": 10_000, "abort_status": status, "expires_at_ms": u64::MAX,
    }]}))
}

/// `configuration` with `value` in the place of `pointer`, as a newer control plane may send it.
fn newer(mut configuration: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    configuration.pointer_mut(parent).unwrap()[name] = value;
    configuration
}

#[test]
fn what_a_newer_control_plane_puts_below_optional_is_passed_over() {
    let mut vm = started(&answered_with(418));
    let more = json!({"scopes": [{"hedge": {"after_ms": 50}}], "version": 2, "a": [null, 1.5]});
    push(&mut vm, &newer(answered_with(451), "/optional", more));
    assert_eq!(paid(&mut vm, 200).reply().unwrap().status, 451);
}

#[test]
fn what_a_newer_control_plane_puts_elsewhere_is_refused_by_name_and_the_old_one_kept() {
    let mut vm = started(&answered_with(418));
    for (pointer, value, named) in [
        ("/hedge", json!(true), "has an unknown field \"hedge\""),
        (
            "/scopes/0/hedge",
            json!({"after_ms": 50}),
            "scopes[0]: has an unknown field \"hedge\"",
        ),
        (
            "/scopes/0/faults/0/weather",
            json!(1),
            "scopes[0].faults[0]: has an unknown field \"weather\"",
        ),
        (
            "/scopes/0/optional",
            json!({}),
            "scopes[0]: has an unknown field \"optional\"",
        ),
        (
            "/version",
            json!(2),
            "version: is 2; this filter reads version 1",
        ),
    ] {
        let newer = newer(answered_with(451), pointer, value).to_string();
        assert!(!vm.configure(INBOUND, &newer), "{pointer}");
        let log = vm.take_log().join("\n");
        assert!(log.contains(named), "{pointer}: {log}");
        assert_eq!(paid(&mut vm, 200).reply().unwrap().status, 418, "{pointer}");
    }
    assert_eq!(reported(&mut vm).trouble.unwrap().configs_refused, 5);
}

#[test]
fn what_the_first_control_plane_wrote_is_still_taken() {
    let mut vm = answering(&pay(&json!({})));
    for (root_id, configuration) in [
        (
            INBOUND,
            include_str!("../../../core/model/tests/data/first-routes.json"),
        ),
        (
            INBOUND,
            include_str!("../../../core/model/tests/data/first-objectives.json"),
        ),
        (
            OUTBOUND,
            include_str!("../../../core/model/tests/data/first-control-plane.json"),
        ),
    ] {
        let taken = vm.configure(root_id, configuration);
        assert!(taken, "{configuration}: {:?}", vm.take_log());
    }
}

#[test]
fn the_answer_to_a_configuration_depends_on_it_alone() {
    let good = pay(&json!({})).to_string();
    let mut vm = bare();
    for (configuration, taken) in [(&good, true), (&String::new(), false), (&good, true)] {
        assert_eq!(vm.configure(INBOUND, configuration), taken);
        assert_eq!(bare().configure(INBOUND, configuration), taken);
        vm.advance(millis(100));
    }
}

#[test]
fn pushes_leave_no_timers_and_contexts_behind() {
    let mut vm = started(&pay(&json!({})));
    paid(&mut vm, 200);
    for generation in 2..50 {
        let mut pushed = pay(&json!({}));
        pushed["generation"] = json!(generation);
        push(&mut vm, &pushed);
    }
    assert_eq!(vm.roots(), 1);
    reported(&mut vm);
}

#[test]
fn without_configuration_requests_pass() {
    let mut vm = bare();
    assert!(!vm.configure(INBOUND, "nonsense"));
    let mut vm = started(&inbound(&json!([])));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1);
}
