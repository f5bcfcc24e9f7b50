//! What a worker knows of the others when it first looks at their board.

use super::*;

/// A breaker that opens at the tenth failure.
fn guarded() -> String {
    config(&scope(
        "a",
        r#""breaker": {"limits": {"window_ms": 10000, "calls_min": 10, "failed_max": 5000,
            "open_ms": 1000, "open_max_ms": 1000, "probes": 1}}"#,
    ))
}

/// A worker with a name of its own.
fn worker(seed: u64) -> Bench {
    let mut bench = Bench::new(&guarded());
    bench.plane = Plane::new([seed; 5]);
    bench.plane.sync(at(0), WallTime::from_millis(WALL));
    bench.configure(&guarded(), 0);
    bench
}

/// The board after a tick of `worker`.
fn tick(worker: &mut Bench, board: &[u8], millis: u64) -> Vec<u8> {
    assert!(worker.plane.shares(at(millis)), "it is due");
    let written = worker.plane.exchange_board(board, at(millis));
    written.unwrap_or_else(|| board.to_vec())
}

/// It had counted before the other one's first look at the board.
#[test]
fn what_another_counted_before_the_first_look_is_known() {
    let (mut one, mut other) = (worker(1), worker(2));
    for _ in 0..7 {
        assert_eq!(one.request("a", 503, 10), Verdict::Pass);
    }
    for _ in 0..2 {
        assert_eq!(other.request("a", 503, 60), Verdict::Pass);
    }
    let board = tick(&mut one, b"", 110);
    tick(&mut other, &board, 160);
    assert_eq!(other.request("a", 503, 200), Verdict::Pass, "the tenth");
    assert!(matches!(
        other.request("a", 503, 200),
        Verdict::Refuse { .. }
    ));
}

/// What is long over is not news to who begins.
#[test]
fn what_was_counted_before_a_worker_was_there_is_not_known() {
    let mut one = worker(1);
    for _ in 0..7 {
        assert_eq!(one.request("a", 503, 10), Verdict::Pass);
    }
    let board = tick(&mut one, b"", 110);
    let mut other = worker(2);
    other.plane = Plane::new([3; 5]);
    other.plane.sync(at(150), WallTime::from_millis(WALL + 150));
    other.configure(&guarded(), 150);
    assert_eq!(other.request("a", 503, 160), Verdict::Pass);
    tick(&mut other, &board, 260);
    for _ in 0..9 {
        assert_eq!(other.request("a", 503, 270), Verdict::Pass);
    }
    assert!(matches!(
        other.request("a", 503, 270),
        Verdict::Refuse { .. }
    ));
}
