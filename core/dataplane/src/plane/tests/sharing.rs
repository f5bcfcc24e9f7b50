//! The workers of a sidecar behave as one.

use super::*;
use crate::breaker::BreakerState;

const BREAKER: &str = r#""breaker": {"limits": {"window_ms": 1000, "calls_min": 8, "failed_max": 5000,
    "open_ms": 1000, "open_max_ms": 4000, "probes": 1}}"#;

/// Two workers, and the board between them.
struct Sidecar {
    workers: [Bench; 2],
    board: Vec<u8>,
}

impl Sidecar {
    fn new() -> Self {
        let worker = |seed| {
            let mut bench = Bench::new(&config(""));
            bench.plane = Plane::new([seed; 5]);
            bench.plane.sync(at(0), WallTime::from_millis(WALL));
            bench.configure(&config(&scope("a", BREAKER)), 0);
            bench
        };
        Self {
            workers: [worker(1), worker(2)],
            board: Vec::new(),
        }
    }

    fn fail(&mut self, worker: usize, times: u32, millis: u64) {
        for _ in 0..times {
            self.workers[worker].request("a", 503, millis);
        }
    }

    /// Both have a request that is served every tenth of a second, until then.
    fn works(&mut self, millis: u64) {
        for millis in (0..=millis).step_by(100) {
            for worker in [0, 1] {
                self.tick(worker, millis);
                self.workers[worker].request("a", 200, millis);
            }
        }
    }

    fn tick(&mut self, worker: usize, millis: u64) {
        let plane = &mut self.workers[worker].plane;
        if plane.shares(at(millis))
            && let Some(board) = plane.exchange_board(&self.board, at(millis))
        {
            self.board = board;
        }
    }

    fn is_open(&mut self, worker: usize, millis: u64) -> bool {
        let verdict = self.workers[worker].request("a", 503, millis);
        matches!(verdict, Verdict::Refuse { .. })
    }
}

#[test]
fn what_neither_saw_enough_of_both_act_upon() {
    let mut sidecar = Sidecar::new();
    sidecar.works(100);
    // Eight requests are needed; each of the two saw five.
    sidecar.fail(0, 3, 210);
    sidecar.fail(1, 3, 210);
    sidecar.tick(0, 310);
    sidecar.tick(1, 311);
    assert!(sidecar.is_open(1, 312));
    // One that had nothing to do looks as soon as it has.
    assert!(!sidecar.is_open(0, 800));
    sidecar.tick(0, 805);
    assert!(sidecar.is_open(0, 806));
}

#[test]
fn what_was_counted_while_one_had_nothing_to_do_is_no_news() {
    let mut sidecar = Sidecar::new();
    sidecar.works(200);
    // An outage that only one of them sees, and that is long over.
    sidecar.fail(0, 8, 210);
    sidecar.tick(0, 310);
    assert!(sidecar.is_open(0, 310));
    sidecar.tick(0, 410);
    for turn in 90..100 {
        sidecar.workers[0].request("a", 200, turn * 100);
        sidecar.tick(0, turn * 100 + 99);
    }
    sidecar.workers[1].request("a", 200, 10_000);
    sidecar.tick(1, 10_100);
    assert!(!sidecar.is_open(1, 10_100));
}

#[test]
fn one_that_opens_takes_the_other_along_within_two_ticks() {
    let mut sidecar = Sidecar::new();
    sidecar.fail(1, 1, 0);
    sidecar.fail(0, 8, 0);
    assert!(sidecar.is_open(0, 1) && !sidecar.is_open(1, 1));
    sidecar.tick(0, 100);
    sidecar.tick(1, 101);
    assert!(sidecar.is_open(1, 102));
}

#[test]
fn nothing_counts_twice() {
    let mut sidecar = Sidecar::new();
    sidecar.fail(0, 4, 0);
    for turn in 1..8 {
        // The same board, read again and again; were it added each time, it would open.
        sidecar.workers[1].request("a", 200, turn * 100 - 50);
        sidecar.tick(0, turn * 100);
        sidecar.tick(1, turn * 100);
    }
    assert!(!sidecar.is_open(1, 800) && !sidecar.is_open(0, 800));
}

#[test]
fn who_always_came_too_late_tries_again_without_a_request() {
    let mut sidecar = Sidecar::new();
    sidecar.fail(0, 8, 0);
    let plane = &mut sidecar.workers[0].plane;
    assert!(plane.shares(at(100)));
    for _ in 0..3 {
        assert!(plane.exchange_board(b"", at(100)).is_some());
    }
    plane.board_contended(at(100));
    assert!(!plane.shares(at(199)) && plane.shares(at(200)));
    let delta = sidecar.workers[0].scopes(900).remove(0);
    assert_eq!(delta.breaker.unwrap().state, BreakerState::Open);
}

/// A service that hangs fails its requests long after they came, and perhaps no other comes.
#[test]
fn what_ends_after_the_last_look_is_told_without_another_request() {
    let mut sidecar = Sidecar::new();
    let begun: Vec<_> = (0..8).map(|_| sidecar.workers[0].begin("a", 0).0).collect();
    sidecar.fail(1, 1, 0);
    sidecar.tick(0, 100);
    sidecar.tick(1, 100);
    for exchange in begun {
        sidecar.workers[0].end(exchange, 503, 150);
    }
    sidecar.tick(0, 200);
    assert!(!sidecar.is_open(1, 201));
    sidecar.tick(1, 301);
    assert!(sidecar.is_open(1, 302));
}
