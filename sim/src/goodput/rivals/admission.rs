//! Envoy's filter `admission_control`.
//!
//! Source: its documentation (API v3), with all defaults: of the requests in the last 30 s a share
//! `((n - successes / 0.95) / (n + 1))^(1 / aggression)` is refused, with aggression 1, at most 80 %. What it refused
//! itself is not counted. A success is any status below 500. Simplified: the window moves in steps of a second.

use core::time::Duration;
use std::collections::VecDeque;

use rand::Rng;
use rand::rngs::SmallRng;

use super::super::guard::{Ended, Local};

const WINDOW_SECONDS: u64 = 30;
const THRESHOLD: f64 = 0.95;
const REFUSED_MAX: f64 = 0.8;

/// One proxy's.
#[derive(Debug, Default)]
pub(in super::super) struct AdmissionControl {
    /// (second, requests, successes).
    window: VecDeque<(u64, u64, u64)>,
    total: u64,
    good: u64,
}

impl AdmissionControl {
    fn forget(&mut self, now: Duration) {
        while let Some((second, total, good)) = self.window.front().copied()
            && second + WINDOW_SECONDS <= now.as_secs()
        {
            self.window.pop_front();
            self.total -= total;
            self.good -= good;
        }
    }

    fn refused_share(&self) -> f64 {
        let (total, good) = (self.total as f64, self.good as f64);
        ((total - good / THRESHOLD) / (total + 1.0)).clamp(0.0, REFUSED_MAX)
    }
}

impl Local for AdmissionControl {
    fn admit(&mut self, random: &mut SmallRng, now: Duration) -> Option<u64> {
        self.forget(now);
        (self.refused_share() <= random.random::<f64>()).then_some(0)
    }

    fn end(&mut self, _: u64, ended: Ended, now: Duration) {
        self.forget(now);
        let good = u64::from(ended.is_success());
        match self.window.back_mut() {
            Some(last) if last.0 == now.as_secs() => {
                last.1 += 1;
                last.2 += good;
            }
            Some(_) | None => self.window.push_back((now.as_secs(), 1, good)),
        }
        self.total += 1;
        self.good += good;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_refuses_what_is_missing_to_its_threshold() {
        let mut control = AdmissionControl::default();
        let end = |control: &mut AdmissionControl, status, second| {
            let ended = Ended {
                status,
                latency: Duration::ZERO,
            };
            control.end(0, ended, Duration::from_secs(second));
        };
        for _ in 0..950 {
            end(&mut control, 200, 1);
        }
        for _ in 0..50 {
            end(&mut control, 503, 1);
        }
        assert!(control.refused_share() < 1e-9);
        for _ in 0..900 {
            end(&mut control, 503, 2);
        }
        assert!((control.refused_share() - 900.0 / 1_901.0).abs() < 1e-9);
        control.forget(Duration::from_secs(32));
        assert!(control.refused_share() < 1e-9);
    }
}
