//! Configurations: refused with a reason, and the old one stays.

use serde_json::json;

use crate::language::{INBOUND, bare, inbound, millis, paid, pay, push, reported, started};

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
