//! The circuit breaker of resilience4j with its defaults.
//!
//! Source: its documentation, *CircuitBreaker*: the last 100 calls, judged when there are 100; opens at 50 % failures
//! (its slow calls are those of 60 s, which no caller here waits for); open for 60 s; then 10 calls are permitted, and
//! when all of them are back half of them decides. What was let through in an earlier state is counted in the present
//! one, as it does.

use core::time::Duration;
use std::collections::VecDeque;

use rand::rngs::SmallRng;

use super::super::guard::{Ended, Local};

const CALLS: usize = 100;
const PROBES: usize = 10;
const OPEN: Duration = Duration::from_secs(60);

/// One proxy's.
#[derive(Debug, Default)]
pub(in super::super) struct Resilience {
    state: State,
    /// Whether each of the last calls failed.
    calls: VecDeque<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Open(Duration),
    HalfOpen(usize),
}

impl Resilience {
    fn go(&mut self, state: State) {
        self.state = state;
        self.calls.clear();
    }
}

impl Local for Resilience {
    fn admit(&mut self, _: &mut SmallRng, now: Duration) -> Option<u64> {
        if let State::Open(until) = self.state
            && until <= now
        {
            self.go(State::HalfOpen(0));
        }
        match &mut self.state {
            State::Closed => Some(0),
            State::Open(_) => None,
            State::HalfOpen(admitted) => (*admitted < PROBES).then(|| {
                *admitted += 1;
                0
            }),
        }
    }

    fn end(&mut self, _: u64, ended: Ended, now: Duration) {
        let size = match self.state {
            State::Closed => CALLS,
            State::HalfOpen(_) => PROBES,
            State::Open(_) => return,
        };
        self.calls.push_back(!ended.is_success());
        if size < self.calls.len() {
            self.calls.pop_front();
        }
        if self.calls.len() < size {
            return;
        }
        let failed = self.calls.iter().filter(|failed| **failed).count();
        if size <= failed * 2 {
            self.go(State::Open(now + OPEN));
        } else if self.state != State::Closed {
            self.go(State::Closed);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn half_of_a_hundred_open_it_for_a_minute_and_ten_probes_close_it() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut breaker = Resilience::default();
        let end = |breaker: &mut Resilience, status, now| {
            let latency = Duration::ZERO;
            breaker.end(0, Ended { status, latency }, now);
        };
        for number in 0..100 {
            assert_eq!(breaker.admit(&mut random, Duration::ZERO), Some(0));
            end(
                &mut breaker,
                if number % 2 == 0 { 500 } else { 200 },
                Duration::ZERO,
            );
        }
        assert_eq!(breaker.admit(&mut random, OPEN / 2), None);
        for _ in 0..PROBES {
            assert_eq!(breaker.admit(&mut random, OPEN), Some(0));
        }
        assert_eq!(breaker.admit(&mut random, OPEN), None);
        for _ in 0..PROBES {
            end(&mut breaker, 200, OPEN);
        }
        assert_eq!(breaker.admit(&mut random, OPEN), Some(0));
    }
}
