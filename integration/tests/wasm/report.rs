//! Reports: durable before they are forgotten, and never counted twice.

use serde_json::json;

use crate::language::{
    bare_with, millis, next_report, paid, pay, push, reported, requests, started,
};

#[test]
fn nothing_is_reported_before_the_first_request() {
    let mut vm = started(&pay(&json!({})));
    vm.advance(millis(10_000));
    assert!(vm.calls().is_empty());
}

#[test]
fn the_same_report_is_repeated_until_it_is_acknowledged() {
    let mut vm = started(&pay(&json!({})));
    paid(&mut vm, 200);
    let (call, first) = next_report(&mut vm);
    vm.fail(&call, 14);
    paid(&mut vm, 200);
    let again = reported(&mut vm);
    assert_eq!(again, first, "counts of the meantime wait for the next one");
    let next = reported(&mut vm);
    assert_eq!(next.incarnation, first.incarnation);
    assert_eq!((first.sequence, next.sequence), (1, 2));
    assert_eq!(requests(&next, "pay"), 1);
    assert_eq!(next.trouble.unwrap_or_default().reports_repeated, 1);
}

#[test]
fn while_a_report_is_under_way_no_other_is_sent() {
    let mut vm = started(&pay(&json!({})));
    paid(&mut vm, 200);
    next_report(&mut vm);
    paid(&mut vm, 200);
    vm.advance(millis(4_000));
    assert_eq!(vm.calls().len(), 1);
}

#[test]
fn a_push_while_a_report_is_under_way_loses_and_doubles_nothing() {
    let mut vm = started(&pay(&json!({})));
    paid(&mut vm, 200);
    let (_, first) = next_report(&mut vm);
    // Envoy ends the old root context, and with it the call.
    push(&mut vm, &pay(&json!({})));
    assert!(vm.calls().is_empty());
    let again = reported(&mut vm);
    assert_eq!(again.sequence, first.sequence);
    assert_eq!(requests(&again, "pay"), 1);
    paid(&mut vm, 200);
    let next = reported(&mut vm);
    assert_eq!((next.sequence, requests(&next, "pay")), (2, 1));
}

#[test]
fn a_cluster_that_is_not_there_costs_no_counts() {
    let mut configuration = pay(&json!({}));
    configuration["report"] = json!({"cluster": "gone"});
    let mut vm = started(&configuration);
    vm.remove_cluster("gone");
    paid(&mut vm, 200);
    vm.advance(millis(5_000));
    push(&mut vm, &pay(&json!({})));
    let report = reported(&mut vm);
    assert_eq!(requests(&report, "pay"), 1);
}

#[test]
fn two_vms_have_two_names() {
    let incarnation = |seed| {
        let mut vm = bare_with(seed);
        push(&mut vm, &pay(&json!({})));
        paid(&mut vm, 200);
        reported(&mut vm).incarnation
    };
    assert_ne!(incarnation(1), incarnation(2));
}
