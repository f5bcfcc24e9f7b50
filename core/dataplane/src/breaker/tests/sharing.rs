//! Several workers, one sidecar.

use super::pace::DERIVED_PACED;
use super::*;
use crate::breaker::board::{Board, Line, Page, Peers, ScopeKey};

const SCOPE: ScopeKey = ScopeKey(7);
/// How often workers look at the board.
const TICK: u64 = 100;

/// One worker.
struct Worker {
    vm: u64,
    breaker: Breaker,
    peers: Peers,
}

/// Workers and what they share.
struct Sidecar {
    workers: Vec<Worker>,
    board: Vec<u8>,
}

impl Sidecar {
    fn new(limits: BreakerLimits, workers: u64) -> Self {
        let worker = |vm| Worker {
            vm,
            breaker: Breaker::new(rule(limits), at(0)),
            peers: Peers::new(vm, at(0)),
        };
        Self {
            workers: (1..=workers).map(worker).collect(),
            board: Vec::new(),
        }
    }

    fn tick_of(&mut self, worker: usize, millis: u64) {
        let Worker { vm, breaker, peers } = &mut self.workers[worker];
        for heard in peers.hear(&Board::read(&self.board, at(millis)), at(millis)) {
            assert_eq!(heard.scope, SCOPE);
            breaker.hear(&heard, at(millis));
        }
        let lines = breaker
            .tell(at(millis))
            .map(|told| Line { scope: SCOPE, told });
        let page = Page {
            vm: *vm,
            at: at(millis),
            lines: lines.into_iter().collect(),
        };
        self.board = Board::read(&self.board, at(millis)).with(page);
    }

    fn tick(&mut self, millis: u64) {
        for worker in 0..self.workers.len() {
            self.tick_of(worker, millis);
        }
    }

    fn call(&mut self, worker: usize, outcome: Outcome, millis: u64) {
        let breaker = &mut self.workers[worker].breaker;
        if let Admit::Pass(ticket) = breaker.admit(0, at(millis)) {
            breaker.record(ticket, outcome, FAST, at(millis));
        }
    }

    fn fail(&mut self, worker: usize, times: u32, millis: u64) {
        for _ in 0..times {
            self.call(worker, Outcome::ServerError, millis);
        }
    }

    fn serve(&mut self, worker: usize, times: u32, millis: u64) {
        for _ in 0..times {
            self.call(worker, Outcome::Success, millis);
        }
    }

    fn states(&mut self, millis: u64) -> Vec<BreakerState> {
        let state = |worker: &mut Worker| worker.breaker.state(at(millis));
        self.workers.iter_mut().map(state).collect()
    }

    fn are_all(&mut self, state: BreakerState, millis: u64) -> bool {
        self.states(millis).iter().all(|one| *one == state)
    }

    fn seen(&mut self, worker: usize, millis: u64) -> u32 {
        self.workers[worker].breaker.seen(at(millis)).total
    }
}

/// Limits that want to be sure.
const SURE: fn() -> BreakerLimits = || BreakerLimits {
    calls_min: 10,
    sigmas_hundredths: 300,
    slow_max: None,
    slow_us: None,
    ..LIMITS()
};

impl Sidecar {
    fn pass(&mut self, worker: usize, times: u32, millis: u64) -> Vec<Ticket> {
        let breaker = &mut self.workers[worker].breaker;
        let pass = |_| match breaker.admit(0, at(millis)) {
            Admit::Pass(ticket) => Some(ticket),
            Admit::Refuse { .. } => None,
        };
        (0..times).filter_map(pass).collect()
    }

    fn failing(&mut self, worker: usize, tickets: Vec<Ticket>, millis: u64) {
        let breaker = &mut self.workers[worker].breaker;
        for ticket in tickets {
            breaker.record(ticket, Outcome::ServerError, FAST, at(millis));
        }
    }
}

#[test]
fn what_failures_of_another_overtook_may_turn_out_well() {
    let mut sidecar = Sidecar::new(SURE(), 2);
    // A burst that is spread over both; what fails first came to one of them.
    let others = [sidecar.pass(0, 40, 0), sidecar.pass(1, 40, 0)];
    let failing = sidecar.pass(0, 12, 0);
    sidecar.failing(0, failing, 1);
    sidecar.tick(6);
    sidecar.tick(12);
    assert!(sidecar.are_all(BreakerState::Closed, 12));
    assert_eq!(others.map(|tickets| tickets.len()), [40, 40]);
}

#[test]
fn a_burst_is_waited_for_in_the_worker_that_has_most_of_it() {
    let mut sidecar = Sidecar::new(SURE(), 2);
    let others = [sidecar.pass(0, 2, 0), sidecar.pass(1, 80, 0)];
    let failing = sidecar.pass(0, 30, 0);
    sidecar.tick(5);
    sidecar.tick(6);
    sidecar.failing(0, failing, 7);
    sidecar.tick(100);
    sidecar.tick(200);
    assert!(sidecar.are_all(BreakerState::Closed, 200));
    assert_eq!(others.map(|tickets| tickets.len()), [2, 80]);
}

#[test]
fn where_one_worker_has_all_nobody_waits_for_as_many_in_the_other() {
    let mut sidecar = Sidecar::new(SURE(), 2);
    // It counts, and leaves the decision to the first.
    sidecar.workers[1]
        .breaker
        .obey(BreakerMode::MetricsOnly, at(0));
    sidecar.serve(1, 1, 0);
    sidecar.tick(0);
    sidecar.tick(1);
    let mut hanging = Vec::new();
    for millis in (11..900).step_by(10) {
        if millis % 100 == 1 {
            sidecar.tick(millis);
        }
        sidecar.fail(0, 7, millis);
        hanging.extend(sidecar.pass(0, 3, millis));
    }
    assert_eq!(sidecar.states(900)[0], BreakerState::Open);
    assert!(hanging.len() < 89 * 3, "none was refused");
}

#[test]
fn workers_that_are_quiet_have_nothing_under_way() {
    // After half a minute the board does not have them any more.
    for fails_from in [3_000, 32_000, 45_000] {
        workers_are_quiet(fails_from);
    }
}

fn workers_are_quiet(fails_from: u64) {
    let mut sidecar = Sidecar::new(SURE(), 8);
    for millis in (0..=200).step_by(100) {
        for worker in 0..8 {
            sidecar.serve(worker, 10, millis);
        }
        sidecar.tick(millis);
    }
    // From now on one connection has it all, and those that have nothing to tell do not look at the board.
    let mut hanging = Vec::new();
    let end = fails_from + 2_000;
    for millis in (210..end).step_by(10) {
        if millis % 100 == 0 {
            sidecar.tick_of(0, millis);
        }
        if millis < fails_from {
            let ticket = sidecar.pass(0, 1, millis).remove(0);
            let breaker = &mut sidecar.workers[0].breaker;
            let quick = Duration::from_millis(9);
            breaker.record(ticket, Outcome::Success, quick, at(millis + 9));
        } else if millis % 20 == 0 {
            sidecar.fail(0, 1, millis);
        } else {
            hanging.extend(sidecar.pass(0, 1, millis));
        }
    }
    assert_eq!(sidecar.states(end)[0], BreakerState::Open, "{fails_from}");
    let passed = hanging.len();
    assert!(passed < 75, "{fails_from}: {passed} passed");
}

/// So seldom that only a sudden change can tell.
#[test]
fn a_sudden_outage_is_seen_where_the_other_workers_are_quiet() {
    // For how long, in seconds: known to the board, known to have been, and forgotten.
    for (workers, quiet) in [(2, 5), (4, 5), (2, 40), (2, 70)] {
        let mut sidecar = Sidecar::new(DERIVED_PACED(), workers);
        for worker in 1..sidecar.workers.len() {
            sidecar.serve(worker, 1, 0);
            sidecar.tick_of(worker, 5);
        }
        for millis in (200..quiet * 1_000).step_by(200) {
            sidecar.serve(0, 1, millis);
            sidecar.tick_of(0, millis + 100);
        }
        let mut failed = 0;
        for millis in (quiet * 1_000..).step_by(200).take(20) {
            if sidecar.states(millis)[0] == BreakerState::Closed {
                sidecar.fail(0, 1, millis);
                failed += 1;
            }
            sidecar.tick_of(0, millis + 100);
        }
        assert_eq!(failed, 10, "{workers} workers, {quiet} s");
    }
}

/// What others counted is known up to two ticks late: that hides no outage.
#[test]
fn a_sudden_outage_of_all_workers_is_seen_before_they_told_of_it() {
    let mut sidecar = Sidecar::new(DERIVED_PACED(), 8);
    let mut opens = None;
    for (worker, millis) in (0..8).cycle().zip(0..6_000) {
        if millis < 5_000 {
            sidecar.serve(worker, 1, millis);
        } else {
            sidecar.fail(worker, 1, millis);
        }
        for (worker, phase) in (0..8).zip((0..).step_by(12)) {
            if millis % TICK == phase {
                sidecar.tick_of(worker, millis);
            }
        }
        if opens.is_none() && sidecar.states(millis).contains(&BreakerState::Open) {
            opens = Some(millis);
        }
    }
    assert!(opens.is_some_and(|millis| millis < 5_140), "{opens:?}");
}

/// As many last elsewhere as here, which nobody tells.
#[test]
fn sessions_that_last_in_all_workers_speak_for_the_service() {
    let mut sidecar = Sidecar::new(DERIVED_PACED(), 4);
    let mut lasting = Vec::new();
    for (number, millis) in (0..4_000).zip((0..).step_by(250)) {
        let worker = number % 4;
        if number / 4 % 10 % 3 == 2 {
            sidecar.fail(worker, 1, millis);
        } else {
            lasting.extend(sidecar.pass(worker, 1, millis));
        }
        sidecar.tick(millis + 100);
        assert!(sidecar.are_all(BreakerState::Closed, millis), "{number}");
    }
    assert_eq!(lasting.len(), 2_800, "three of ten fail");
}

/// One worker had a failure long ago, and of what fails elsewhere hears only.
#[test]
fn sessions_that_last_speak_for_the_service_also_where_only_others_see_failures() {
    let limits = BreakerLimits {
        calls_min: 20,
        failed_max: Share::try_from(2_000).unwrap(),
        ..SURE()
    };
    let mut sidecar = Sidecar::new(limits, 8);
    sidecar.fail(0, 1, 0);
    let mut lasting = Vec::new();
    let mut number = 0;
    for millis in (0..20 * 60_000).step_by(100) {
        if millis % 500 == 0 {
            for worker in 0..8 {
                number += 1;
                if worker != 0 && number % 101 == 0 {
                    sidecar.fail(worker, 1, millis);
                } else {
                    lasting.extend(sidecar.pass(worker, 1, millis));
                }
            }
        }
        sidecar.tick(millis);
        assert!(sidecar.are_all(BreakerState::Closed, millis), "{millis} ms");
    }
    assert!(18_000 < lasting.len(), "{}", lasting.len());
}

/// Most workers have been quiet for a while whenever a request fails, and still have their sessions.
#[test]
fn sessions_that_last_in_workers_that_are_seldom_asked_speak_for_the_service() {
    let limits = BreakerLimits {
        window_ms: Some(60_000),
        calls_min: 20,
        failed_max: Share::try_from(200).unwrap(),
        ..SURE()
    };
    let mut sidecar = Sidecar::new(limits, 8);
    let mut lasting = Vec::new();
    for number in 0..6_000 {
        let (worker, millis) = (number % 8, number as u64 * 1_250);
        let ticket = sidecar.pass(worker, 1, millis);
        sidecar.tick_of(worker, millis + 5);
        if number % 101 == 100 {
            sidecar.failing(worker, ticket, millis + 20);
        } else {
            lasting.extend(ticket);
        }
        sidecar.tick_of(worker, millis + 105);
        assert!(sidecar.are_all(BreakerState::Closed, millis), "{number}");
    }
    assert_eq!(lasting.len(), 5_941);
}

#[test]
fn of_what_the_others_have_not_told_yet_there_is_as_much_as_here() {
    let mut sidecar = Sidecar::new(SURE(), 2);
    // Both are known to each other, and nothing was under way.
    sidecar.serve(0, 1, 0);
    sidecar.serve(1, 1, 0);
    sidecar.tick(100);
    sidecar.tick(200);
    let others = [sidecar.pass(0, 20, 300), sidecar.pass(1, 40, 300)];
    let failing = sidecar.pass(0, 24, 300);
    sidecar.failing(0, failing, 301);
    assert!(sidecar.are_all(BreakerState::Closed, 301));
    assert_eq!(others.map(|tickets| tickets.len()), [20, 40]);
}

/// The good ones of all workers are known here, and of what hangs only what hangs here.
#[test]
fn an_order_opens_where_each_worker_left_its_part_of_what_is_slow_to_others() {
    let after = |hanging: u32| {
        let limits = BreakerLimits {
            slow_max: Some(Share::try_from(9_000).unwrap()),
            slow_us: Some(100_000),
            ..DERIVED()
        };
        let mut sidecar = Sidecar::new(limits, 4);
        for worker in 0..4 {
            let tickets = sidecar.pass(worker, hanging, 0);
            let breaker = &mut sidecar.workers[worker].breaker;
            for ticket in tickets {
                breaker.record_mildly(ticket, Outcome::Timeout, SLOW, at(0));
            }
            sidecar.serve(worker, 100, 0);
        }
        sidecar.tick(100);
        sidecar.tick(200);
        assert_eq!(sidecar.seen(0, 200), 400);
        for worker in 0..4 {
            sidecar.workers[worker].breaker.trip(at(200));
        }
        sidecar.states(200)
    };
    assert_eq!(after(3), [BreakerState::Closed; 4], "a few");
    assert_eq!(after(30), [BreakerState::Open; 4], "a quarter");
}

#[test]
fn what_each_saw_opens_all() {
    let mut sidecar = Sidecar::new(LIMITS(), 2);
    sidecar.fail(0, 2, 0);
    sidecar.fail(1, 2, 0);
    assert!(sidecar.are_all(BreakerState::Closed, 0));
    sidecar.tick(100);
    assert_eq!(
        sidecar.states(100),
        [BreakerState::Closed, BreakerState::Open]
    );
    sidecar.tick(200);
    assert!(sidecar.are_all(BreakerState::Open, 200));
    // Both wait for the same moment, whoever heard of it later.
    assert!(sidecar.are_all(BreakerState::Open, 1_099));
    assert!(sidecar.are_all(BreakerState::Probing, 1_100));
}

#[test]
fn what_was_read_is_not_counted_again() {
    let mut sidecar = Sidecar::new(LIMITS(), 2);
    sidecar.serve(0, 3, 0);
    for tick in 1..5 {
        sidecar.tick(tick * TICK);
        sidecar.tick_of(1, tick * TICK);
    }
    assert_eq!(sidecar.seen(1, 400), 3);
    sidecar.serve(0, 2, 450);
    sidecar.tick(500);
    assert_eq!(sidecar.seen(1, 500), 5);
    assert_eq!(sidecar.seen(0, 500), 5, "nor its own");
}

#[test]
fn a_lost_board_loses_nothing_that_was_read_and_heals() {
    let mut sidecar = Sidecar::new(LIMITS(), 2);
    sidecar.serve(0, 2, 0);
    sidecar.tick(100);
    sidecar.board.clear();
    sidecar.serve(0, 1, 150);
    sidecar.board = vec![1, 2, 3];
    sidecar.tick(200);
    assert_eq!(sidecar.seen(1, 200), 3);
}

#[test]
fn what_is_heard_is_at_most_two_ticks_old_and_ages_like_ones_own() {
    let mut sidecar = Sidecar::new(LIMITS(), 2);
    sidecar.tick(0);
    sidecar.serve(1, 3, 1);
    // The first looked just before the second wrote.
    sidecar.tick(100);
    assert_eq!(sidecar.seen(0, 100), 0);
    sidecar.tick(200);
    assert_eq!(sidecar.seen(0, 200), 3);
    // A window later it is forgotten, and stays so.
    sidecar.tick(1_200);
    assert_eq!(sidecar.seen(0, 1_200), 0);
}

#[test]
fn one_failed_probe_opens_all_for_longer() {
    let mut sidecar = Sidecar::new(LIMITS(), 2);
    sidecar.fail(0, 4, 0);
    sidecar.tick(100);
    // One probe each, of two.
    sidecar.serve(1, 1, 1_000);
    sidecar.fail(0, 1, 1_050);
    assert_eq!(
        sidecar.states(1_050),
        [BreakerState::Open, BreakerState::Ramping]
    );
    sidecar.tick(1_100);
    assert!(sidecar.are_all(BreakerState::Open, 3_049));
    assert!(sidecar.are_all(BreakerState::Probing, 3_050));
}

#[test]
fn an_opening_is_obeyed_once() {
    let mut sidecar = Sidecar::new(
        BreakerLimits {
            ramp_ms: 0,
            ..LIMITS()
        },
        2,
    );
    sidecar.fail(0, 4, 0);
    sidecar.tick(100);
    sidecar.serve(1, 1, 1_000);
    sidecar.tick(1_000);
    assert_eq!(
        sidecar.states(1_000),
        [BreakerState::Probing, BreakerState::Closed]
    );
    sidecar.workers[1].breaker.reset(at(1_000));
    sidecar.tick(1_001);
    assert_eq!(sidecar.states(1_001)[1], BreakerState::Closed);
}

#[test]
fn a_newcomer_learns_what_is_open_and_not_what_was_counted() {
    let mut sidecar = Sidecar::new(LIMITS(), 2);
    sidecar.serve(0, 3, 0);
    sidecar.tick(100);
    sidecar.workers[1].vm = 9;
    sidecar.workers[1].breaker = Breaker::new(rule(LIMITS()), at(150));
    sidecar.workers[1].peers = Peers::new(9, at(150));
    sidecar.tick(200);
    assert_eq!(sidecar.seen(1, 200), 0);
    sidecar.serve(0, 1, 250);
    sidecar.tick(300);
    assert_eq!(sidecar.seen(1, 300), 1);
    sidecar.fail(0, 5, 350);
    sidecar.workers[1].breaker = Breaker::new(rule(LIMITS()), at(360));
    sidecar.tick(400);
    assert!(sidecar.are_all(BreakerState::Open, 400));
}

#[test]
fn the_dead_are_forgotten_and_probes_are_not_kept_for_them() {
    let mut sidecar = Sidecar::new(LIMITS(), 2);
    sidecar.fail(0, 4, 0);
    sidecar.tick(100);
    assert_eq!(sidecar.states(1_000), [BreakerState::Probing; 2]);
    let passes = |sidecar: &mut Sidecar, millis| {
        let breaker = &mut sidecar.workers[0].breaker;
        let pass = || matches!(breaker.admit(0, at(millis)), Admit::Pass(_));
        std::iter::repeat_with(pass)
            .take(10)
            .filter(|pass| *pass)
            .count()
    };
    assert_eq!(
        passes(&mut sidecar, 1_000),
        1 + 1,
        "not yet heard of the other"
    );
    sidecar.tick(1_100);
    sidecar.fail(1, 1, 1_100);
    sidecar.tick(1_200);
    sidecar.tick(1_300);
    assert_eq!(passes(&mut sidecar, 3_100), 1, "half of two");
    let alone = |millis, sidecar: &mut Sidecar| {
        sidecar.workers[0].breaker.trip(at(millis));
        sidecar.tick_of(0, millis);
    };
    alone(40_000, &mut sidecar);
    assert_eq!(passes(&mut sidecar, 50_000), 2);
}

#[test]
fn quiet_scopes_leave_the_board_and_come_back() {
    let mut sidecar = Sidecar::new(LIMITS(), 2);
    sidecar.serve(0, 3, 0);
    sidecar.tick(100);
    let full = sidecar.board.len();
    for tick in 2..400 {
        sidecar.tick(tick * TICK);
    }
    assert!(sidecar.board.len() < full);
    sidecar.serve(0, 2, 40_000);
    sidecar.tick(40_100);
    assert_eq!(sidecar.seen(1, 40_100), 2);
}

#[test]
fn the_last_requests_are_those_of_all_workers() {
    let mut sidecar = Sidecar::new(
        BreakerLimits {
            window_ms: None,
            window_calls: Some(10),
            ..LIMITS()
        },
        2,
    );
    sidecar.serve(0, 10, 0);
    sidecar.serve(1, 10, 0);
    sidecar.tick(100);
    sidecar.fail(0, 3, 150);
    sidecar.fail(1, 3, 150);
    assert!(sidecar.are_all(BreakerState::Closed, 150));
    sidecar.tick(200);
    sidecar.tick(300);
    assert!(sidecar.are_all(BreakerState::Open, 300));
}

#[test]
fn what_others_counted_in_a_minute_is_not_the_last_requests() {
    let limits = BreakerLimits {
        window_ms: None,
        window_calls: Some(10),
        failed_max: Share::try_from(3_000).unwrap(),
        ..LIMITS()
    };
    let mut sidecar = Sidecar::new(limits, 2);
    sidecar.serve(0, 10, 0);
    sidecar.serve(1, 10, 0);
    sidecar.tick(100);
    // One opens, and is well again, while the other has nothing to do.
    sidecar.fail(0, 4, 1_000);
    sidecar.serve(0, 2, 2_000);
    sidecar.serve(0, 7, 4_000);
    sidecar.tick_of(0, 4_100);
    assert_eq!(sidecar.states(4_100), [BreakerState::Closed; 2]);
    sidecar.tick_of(1, 30_000);
    assert!(sidecar.are_all(BreakerState::Closed, 30_000));
}

#[test]
fn two_that_open_at_once_wait_for_the_later_one() {
    let mut sidecar = Sidecar::new(LIMITS(), 3);
    sidecar.fail(0, 4, 0);
    sidecar.fail(1, 4, 50);
    for tick in 1..3 {
        sidecar.tick(tick * TICK);
    }
    assert!(sidecar.are_all(BreakerState::Open, 1_049));
    assert!(sidecar.are_all(BreakerState::Probing, 1_050));
}

#[test]
fn those_that_do_not_decide_do_not_follow() {
    for mode in [BreakerMode::MetricsOnly, BreakerMode::Disabled] {
        let mut sidecar = Sidecar::new(LIMITS(), 2);
        sidecar.workers[1].breaker.obey(mode, at(0));
        sidecar.fail(0, 4, 0);
        sidecar.tick(100);
        assert_eq!(
            sidecar.states(100),
            [BreakerState::Open, BreakerState::Closed],
            "{mode:?}"
        );
    }
}

#[test]
fn nobodys_word_keeps_it_open_longer_than_its_limits() {
    let mut breaker = Breaker::new(rule(LIMITS()), at(0));
    let opening = Opening {
        at: at(0),
        until: at(u64::MAX / 1_000_000),
        attempts: u32::MAX,
        cause: Cause::Failures,
    };
    let heard = Heard {
        scope: SCOPE,
        tally: Tally::default(),
        opening: Some(opening),
        workers: u32::MAX,
        over: Duration::ZERO,
        elsewhere: board::Elsewhere::NOTHING,
    };
    breaker.hear(&heard, at(10));
    assert_eq!(breaker.state(at(3_999)), BreakerState::Open);
    breaker.hear(&heard, at(3_999));
    assert_eq!(breaker.state(at(4_000)), BreakerState::Probing);
    assert!(matches!(breaker.admit(0, at(4_000)), Admit::Pass(_)));
}

/// When a breaker that sees everything opens, and when the first and the last of `workers` do.
fn openings(
    limits: BreakerLimits,
    workers: u8,
    requests: &[(usize, bool)],
) -> (Option<u64>, Option<u64>, Option<u64>) {
    let mut sidecar = Sidecar::new(limits, workers.into());
    let mut single = Bench::new(limits);
    let (mut alone, mut first, mut last) = (None, None, None);
    for (at_request, (worker, is_failed)) in requests.iter().enumerate() {
        // One every 5 ms, so twenty between ticks.
        let millis = at_request as u64 * 5;
        if millis.is_multiple_of(TICK) {
            sidecar.tick(millis);
        }
        let outcome = if *is_failed {
            Outcome::ServerError
        } else {
            Outcome::Success
        };
        if alone.is_none() {
            single.call(outcome, FAST, millis);
        }
        sidecar.call(worker % usize::from(workers), outcome, millis);
        let is_open = |state: &BreakerState| *state == BreakerState::Open;
        let open = sidecar
            .states(millis)
            .iter()
            .filter(|state| is_open(state))
            .count();
        if alone.is_none() && single.state(millis) == BreakerState::Open {
            alone = Some(millis);
        }
        if first.is_none() && 0 < open {
            first = Some(millis);
        }
        if last.is_none() && open == usize::from(workers) {
            last = Some(millis);
        }
    }
    (alone, first, last)
}

proptest! {
    /// However the traffic of an outage falls on the workers, one opens at the latest a tick after one
    /// that sees everything would, and all of them a tick after that; and none opens earlier.
    #[test]
    fn workers_open_within_a_tick_of_one_that_sees_everything(
        workers in prop::sample::select(&[2u8, 4][..]),
        by_calls in any::<bool>(),
        well in prop::collection::vec(any::<usize>(), 50..150),
        ill in prop::collection::vec(any::<usize>(), 200..250),
    ) {
        let window_calls = by_calls.then_some(60);
        let limits = BreakerLimits {
            window_ms: (!by_calls).then_some(1_000),
            window_calls,
            calls_min: 20,
            open_ms: 4_000,
            ..LIMITS()
        };
        let well = well.iter().map(|worker| (*worker, false));
        let ill = ill.iter().map(|worker| (*worker, true));
        let requests: Vec<(usize, bool)> = well.chain(ill).collect();
        let (alone, first, last) = openings(limits, workers, &requests);
        let (alone, first, last) = (alone.unwrap(), first.unwrap(), last.unwrap());
        prop_assert!(first <= alone + TICK, "alone {alone}, first {first}");
        prop_assert!(last <= alone + 2 * TICK, "alone {alone}, last {last}");
    }

    /// Whatever is lost, repeated or late, nobody ever hears of more than there was.
    #[test]
    fn nothing_is_ever_counted_twice(
        events in prop::collection::vec((0usize..4, 0u8..6, 0u64..400), 1..200),
    ) {
        let limits = BreakerLimits { window_ms: Some(600_000), calls_min: 1_000_000, ..LIMITS() };
        let mut sidecar = Sidecar::new(limits, 4);
        let (mut all, mut now) = (0, 0);
        let mut old = Vec::new();
        for (worker, event, wait) in events {
            now += wait;
            match event {
                0 | 1 => {
                    sidecar.fail(worker, 1, now);
                    all += 1;
                }
                2 | 3 => sidecar.tick_of(worker, now),
                4 => old = sidecar.board.clone(),
                5 => sidecar.board = core::mem::take(&mut old),
                _ => unreachable!("there are six"),
            }
            for worker in 0..4 {
                let seen = sidecar.seen(worker, now);
                prop_assert!(seen <= all, "{seen} of {all}");
            }
        }
        // And when everybody had two ticks, everybody knows everything.
        sidecar.tick(now + 1);
        sidecar.tick(now + 2);
        for worker in 0..4 {
            prop_assert_eq!(sidecar.seen(worker, now + 2), all);
        }
    }
}

/// Two workers whose breakers come back at the pace of the traffic, and are open until 100 ms.
fn paced() -> Sidecar {
    let limits = BreakerLimits {
        open_ms: 100,
        probes: 1,
        manner: BreakerManner {
            pace: sloop_model::Pace::Traffic,
            ..BreakerManner::default()
        },
        ..LIMITS()
    };
    let mut sidecar = Sidecar::new(limits, 2);
    sidecar.fail(0, 4, 0);
    sidecar.tick(0);
    assert!(sidecar.are_all(BreakerState::Open, 0));
    sidecar
}

#[test]
fn who_was_served_since_does_not_follow_an_earlier_opening() {
    let mut sidecar = paced();
    sidecar.fail(1, 1, 100);
    sidecar.serve(0, 1, 150);
    sidecar.tick(160);
    sidecar.tick(170);
    let [mine, others] = sidecar.states(170)[..] else {
        panic!("there are two");
    };
    assert_eq!(mine, BreakerState::Ramping);
    assert_eq!(others, BreakerState::Open);
    // What failed after it was served is news.
    sidecar.fail(1, 1, 300);
    sidecar.tick(310);
    sidecar.tick(320);
    assert!(sidecar.are_all(BreakerState::Open, 320));
}

#[test]
fn the_attempts_in_vain_of_others_are_nobodys_news() {
    let mut sidecar = paced();
    sidecar.fail(1, 1, 100);
    sidecar.tick(110);
    sidecar.tick(120);
    assert!(sidecar.are_all(BreakerState::Open, 120));
    for worker in &mut sidecar.workers {
        assert_eq!(worker.breaker.take_changes().len(), 1, "it opened once");
    }
}
