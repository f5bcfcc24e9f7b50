//! Envoy's filter `adaptive_concurrency` with its gradient controller.
//!
//! Source: its documentation (API v3): defaults, and of what has none the values of its example (the limit is updated
//! every 0.1 s, the lowest round trip is measured every 60 s). Every update `limit = gradient limit + headroom`, where
//! the gradient is the lowest round trip plus a quarter over the sampled median, held within 0.5 and 2, and the
//! headroom is the root of the limit. To measure the lowest round trip, only 3 requests may be under way until 50
//! came back; also when the limit was 3 for five updates. Simplified: no jitter; updates happen with requests; a
//! window without a sample changes nothing.

use core::time::Duration;

use rand::rngs::SmallRng;

use super::super::guard::{Ended, Local};

const UPDATE: Duration = Duration::from_millis(100);
const MEASURE: Duration = Duration::from_secs(60);
const MEASURED: usize = 50;
const LIMIT_MIN: f64 = 3.0;
const LIMIT_MAX: f64 = 1_000.0;
const BUFFER: f64 = 0.25;
const AT_MIN_MAX: u32 = 5;

/// One proxy's.
#[derive(Debug)]
pub(in super::super) struct Gradient {
    limit: f64,
    in_flight: u32,
    /// The lowest round trip; none while it is measured.
    lowest: Option<Duration>,
    samples: Vec<Duration>,
    update_at: Duration,
    measure_at: Duration,
    /// Updates in a row with the smallest limit.
    at_min: u32,
}

impl Default for Gradient {
    fn default() -> Self {
        Self {
            limit: LIMIT_MIN,
            in_flight: 0,
            lowest: None,
            samples: Vec::new(),
            update_at: UPDATE,
            measure_at: MEASURE,
            at_min: 0,
        }
    }
}

impl Gradient {
    fn advance(&mut self, now: Duration) {
        let Some(lowest) = self.lowest else {
            if MEASURED <= self.samples.len() {
                self.lowest = median(&mut self.samples);
                (self.update_at, self.measure_at) = (now + UPDATE, now + MEASURE);
                self.at_min = 0;
            }
            return;
        };
        if self.measure_at <= now || AT_MIN_MAX <= self.at_min {
            self.lowest = None;
            self.limit = LIMIT_MIN;
            self.samples.clear();
            return;
        }
        if now < self.update_at {
            return;
        }
        self.update_at = now + UPDATE;
        if let Some(sampled) = median(&mut self.samples) {
            let allowed = lowest.as_secs_f64() * (1.0 + BUFFER);
            let gradient = (allowed / sampled.as_secs_f64().max(1e-6)).clamp(0.5, 2.0);
            let limit = self.limit * gradient;
            self.limit = (limit + limit.sqrt()).clamp(LIMIT_MIN, LIMIT_MAX);
            let is_at_min = self.limit <= LIMIT_MIN;
            self.at_min = if is_at_min { self.at_min + 1 } else { 0 };
        }
    }
}

/// The median of `samples`, which are forgotten.
fn median(samples: &mut Vec<Duration>) -> Option<Duration> {
    samples.sort_unstable();
    let median = samples.get(samples.len() / 2).copied();
    samples.clear();
    median
}

impl Local for Gradient {
    fn admit(&mut self, _: &mut SmallRng, now: Duration) -> Option<u64> {
        self.advance(now);
        (f64::from(self.in_flight) < self.limit.floor()).then(|| {
            self.in_flight += 1;
            0
        })
    }

    fn end(&mut self, _: u64, ended: Ended, now: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.samples.push(ended.latency);
        self.advance(now);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn it_measures_with_three_then_opens_up_and_closes_when_answers_are_late() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut gradient = Gradient::default();
        let mut now = Duration::ZERO;
        let mut go = |gradient: &mut Gradient, latency, count: u32| {
            for _ in 0..count {
                now += Duration::from_millis(10);
                if gradient.admit(&mut random, now).is_some() {
                    let status = 200;
                    gradient.end(0, Ended { status, latency }, now);
                }
            }
        };
        go(&mut gradient, Duration::from_millis(10), 49);
        assert_eq!(gradient.lowest, None);
        go(&mut gradient, Duration::from_millis(10), 500);
        assert_eq!(gradient.lowest, Some(Duration::from_millis(10)));
        assert!(20.0 < gradient.limit, "{}", gradient.limit);
        go(&mut gradient, Duration::from_millis(100), 150);
        assert!(gradient.limit < 6.0, "{}", gradient.limit);
    }
}
