//! The workers of a sidecar break as one.

use serde_json::{Value, json};
use sloop_integration::wasm_host::Vm;

use crate::language::{bare, beside, millis, paid, pay, push, reported, scope};

fn guarded(calls_min: u32) -> Value {
    pay(&json!({"breaker": {"limits": {
        "window_ms": 1_000, "calls_min": calls_min, "failed_max": 5_000,
        "open_ms": 5_000, "open_max_ms": 10_000, "probes": 1,
    }}}))
}

/// Two workers that have been at work for a while.
fn workers(calls_min: u32) -> [Vm; 2] {
    let one = bare();
    let other = beside(&one, 2);
    let mut workers = [one, other];
    for worker in &mut workers {
        push(worker, &guarded(calls_min));
    }
    pass(&mut workers, 300, 200);
    workers
}

/// Lets time pass, with a request in each worker every tenth of a second.
fn pass(workers: &mut [Vm; 2], time: u64, status: u16) {
    for _ in 0..time / 100 {
        for worker in &mut *workers {
            paid(worker, status);
            worker.advance(millis(100));
        }
    }
}

fn fail(worker: &mut Vm, times: u32) {
    for _ in 0..times {
        paid(worker, 500);
    }
}

fn is_open(worker: &mut Vm) -> bool {
    paid(worker, 200).times_sent() == 0
}

#[test]
fn one_that_opens_takes_the_other_along_within_two_ticks() {
    let mut workers = workers(20);
    fail(&mut workers[0], 40);
    assert!(is_open(&mut workers[0]) && !is_open(&mut workers[1]));
    pass(&mut workers, 200, 200);
    assert!(is_open(&mut workers[1]));
}

#[test]
fn what_neither_saw_enough_of_opens_both() {
    let mut workers = workers(30);
    for worker in &mut workers {
        fail(worker, 20);
        assert!(!is_open(worker));
    }
    pass(&mut workers, 300, 500);
    assert!(is_open(&mut workers[0]) && is_open(&mut workers[1]));
}

#[test]
fn nothing_counts_twice() {
    let mut workers = workers(40);
    fail(&mut workers[0], 15);
    // Were it heard again with each tick, it would be too much.
    pass(&mut workers, 900, 200);
    assert!(!is_open(&mut workers[0]) && !is_open(&mut workers[1]));
}

#[test]
fn a_contended_board_is_written_at_last() {
    let mut workers = workers(20);
    workers[0].contend(5);
    fail(&mut workers[0], 40);
    // No further request comes to it.
    workers[0].advance(millis(300));
    pass(&mut workers, 200, 200);
    assert!(is_open(&mut workers[1]));
    let trouble = reported(&mut workers[0]).trouble.unwrap();
    assert_eq!(trouble.boards_contended, 1);
}

#[test]
fn without_shared_data_each_breaks_alone() {
    let mut workers = workers(20);
    for worker in &mut workers {
        worker.forbid_shared_data();
    }
    fail(&mut workers[0], 40);
    pass(&mut workers, 300, 200);
    assert!(is_open(&mut workers[0]) && !is_open(&mut workers[1]));
    let report = reported(&mut workers[1]);
    assert!(scope(&report, "pay").is_some());
}
