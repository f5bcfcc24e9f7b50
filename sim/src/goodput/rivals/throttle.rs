//! Client-side throttling of the SRE book.
//!
//! Source: "Site Reliability Engineering", chapter 21, *Handling Overload*: over two minutes a client refuses with the
//! chance `max(0, (requests - K accepts) / (requests + 1))`, K = 2; its own refusals are requests too. A request is
//! accepted when the service answered it in time with less than 500. Simplified: the window moves in steps of a second.

use core::time::Duration;
use std::collections::VecDeque;

use rand::Rng;
use rand::rngs::SmallRng;

use super::super::guard::{Ended, Local};

const WINDOW_SECONDS: u64 = 120;
const K: f64 = 2.0;

/// One proxy's.
#[derive(Debug, Default)]
pub(in super::super) struct Throttle {
    /// (second, requests, accepts).
    window: VecDeque<(u64, u64, u64)>,
    requests: u64,
    accepts: u64,
}

impl Throttle {
    fn add(&mut self, requests: u64, accepts: u64, now: Duration) {
        while let Some((second, requests, accepts)) = self.window.front().copied()
            && second + WINDOW_SECONDS <= now.as_secs()
        {
            self.window.pop_front();
            self.requests -= requests;
            self.accepts -= accepts;
        }
        match self.window.back_mut() {
            Some(last) if last.0 == now.as_secs() => {
                last.1 += requests;
                last.2 += accepts;
            }
            Some(_) | None => self.window.push_back((now.as_secs(), requests, accepts)),
        }
        self.requests += requests;
        self.accepts += accepts;
    }
}

impl Local for Throttle {
    fn admit(&mut self, random: &mut SmallRng, now: Duration) -> Option<u64> {
        let (requests, accepts) = (self.requests as f64, self.accepts as f64);
        let refused = (requests - K * accepts) / (requests + 1.0);
        // Counted before it is sent.
        self.add(1, 0, now);
        (refused <= random.random::<f64>()).then_some(0)
    }

    fn end(&mut self, _: u64, ended: Ended, now: Duration) {
        self.add(0, u64::from(ended.is_success()), now);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn it_lets_twice_as_many_through_as_are_accepted() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut throttle = Throttle::default();
        let mut passed = 0;
        for number in 0..100_000_u64 {
            let now = Duration::from_millis(number);
            if throttle.admit(&mut random, now).is_some() {
                passed += 1;
                // The service accepts one of ten that come.
                if number % 10 == 0 {
                    let latency = Duration::ZERO;
                    let status = 200;
                    throttle.end(0, Ended { status, latency }, now);
                }
            }
        }
        assert!(passed < 100_000 / 2, "{passed}");
    }
}
