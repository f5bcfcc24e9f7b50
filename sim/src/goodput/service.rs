//! The service: hosts with a limited number of workers, a queue before them, and caches.
//!
//! What it leaves out: a host does not notice that a caller gave up and serves it all the same, as most
//! do; and what a host is like is looked at when a request comes, not when a worker takes it.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BinaryHeap;

use rand::Rng;
use rand::rngs::SmallRng;

use crate::exponential;

/// Hosts of the service.
pub const HOSTS: usize = 3;
/// Requests that a host serves at a time.
const WORKERS: usize = 4;
/// How long a worker needs, on average; exponentially distributed. 1,200 requests per second in all.
const SERVICE: Duration = Duration::from_millis(10);
/// Requests that fit into a host, waiting and being served: one second of work. More are refused with 503.
const ROOM: usize = 400;
/// To hear that a host refuses, or is not there.
const ROUND_TRIP: Duration = Duration::from_millis(1);
/// With a cold cache a request takes this much longer, as a part of [`SERVICE`].
const COLD: f64 = 4.0;
/// Requests after which a host's cache holds most (all but 1/e) of what is asked for.
const WARMING: f64 = 1_000.0;

/// What a host is like at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Health {
    /// The share of requests that fail after they were served.
    pub failing: f64,
    /// A worker needs so many times as long.
    pub slowness: f64,
    /// What is added to each answer without keeping a worker: a slow disk or network.
    pub extra: Duration,
    /// Nobody listens.
    pub is_down: bool,
}

impl Health {
    /// As it should be.
    pub const WELL: Self = Self {
        failing: 0.0,
        slowness: 1.0,
        extra: Duration::ZERO,
        is_down: false,
    };
}

/// What becomes of a request that a host was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) at: Duration,
    pub(super) status: u16,
}

/// Requests per second that all hosts can serve `second` after their caches were emptied, if they are kept busy.
///
/// A host serves `s / (1 + c e^(-n/w))` per second with `s` when warm, [`COLD`] `c`, [`WARMING`] `w` and `n` requests since. So
/// `n + c w (1 - e^(-n/w)) = s t`, which is solved for `n` by halving.
pub(super) fn warming(second: f64) -> f64 {
    let warm = WORKERS as f64 / SERVICE.as_secs_f64();
    let busy = |n: f64| n + COLD * WARMING * (1.0 - (-n / WARMING).exp());
    let (mut low, mut high) = (0.0, (warm * second).max(0.0));
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if busy(middle) < warm * second {
            low = middle;
        } else {
            high = middle;
        }
    }
    HOSTS as f64 * warm / (1.0 + COLD * (-low / WARMING).exp())
}

/// One host.
#[derive(Debug)]
pub(super) struct Host {
    /// When each worker is free.
    workers: BinaryHeap<Reverse<Duration>>,
    /// When each request that is inside leaves.
    inside: BinaryHeap<Reverse<Duration>>,
    /// Requests since the cache was emptied, if it ever was.
    warmed: Option<f64>,
}

impl Host {
    pub(super) fn new() -> Self {
        Self {
            workers: (0..WORKERS).map(|_| Reverse(Duration::ZERO)).collect(),
            inside: BinaryHeap::new(),
            warmed: None,
        }
    }

    /// Starts again: nothing is cached.
    pub(super) const fn empty_cache(&mut self) {
        self.warmed = Some(0.0);
    }

    /// A request arrives.
    pub(super) fn serve(
        &mut self,
        health: &Health,
        random: &mut SmallRng,
        now: Duration,
    ) -> Served {
        while self.inside.peek().is_some_and(|Reverse(end)| *end <= now) {
            self.inside.pop();
        }
        if health.is_down || ROOM <= self.inside.len() {
            return Served {
                at: now + ROUND_TRIP,
                status: 503,
            };
        }
        let coldness = self.warmed.as_mut().map_or(0.0, |requests| {
            *requests += 1.0;
            COLD * (-*requests / WARMING).exp()
        });
        let needs = SERVICE.mul_f64(exponential(random) * health.slowness * (1.0 + coldness));
        let free = self.workers.pop().map_or(now, |Reverse(free)| free);
        let done = free.max(now) + needs;
        self.workers.push(Reverse(done));
        self.inside.push(Reverse(done));
        Served {
            at: done + health.extra + ROUND_TRIP,
            status: if random.random_bool(health.failing) {
                500
            } else {
                200
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn it_serves_what_its_workers_can_and_refuses_what_does_not_fit() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut host = Host::new();
        let served: Vec<_> = (0..ROOM + 1)
            .map(|_| host.serve(&Health::WELL, &mut random, Duration::ZERO))
            .collect();
        assert_eq!(served.iter().filter(|one| one.status == 503).count(), 1);
        let last = served.iter().map(|one| one.at).max();
        let second = Duration::from_millis(800)..Duration::from_millis(1_300);
        assert!(last.is_some_and(|last| second.contains(&last)), "{last:?}");
    }

    #[test]
    fn what_a_warming_service_can_grows_from_a_fifth_to_all() {
        let seconds = [0.0, 5.0, 12.5, 60.0].map(warming);
        assert!((seconds[0] - 240.0).abs() < 1.0, "{seconds:?}");
        assert!((300.0..450.0).contains(&seconds[1]), "{seconds:?}");
        // n = 1,720: 1 + 4 e^-1.72 = 1.716, and 1,720 + 4,000 (1 - 0.179) = 400 * 12.5.
        assert!((seconds[2] - 1_200.0 / 1.716).abs() < 5.0, "{seconds:?}");
        assert!((1_190.0..1_200.1).contains(&seconds[3]), "{seconds:?}");
    }

    #[test]
    fn a_cold_cache_warms() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut host = Host::new();
        host.empty_cache();
        let mut mean = |from: u64| {
            let took = (from..from + 1_000).map(|second| {
                let now = Duration::from_secs(second);
                host.serve(&Health::WELL, &mut random, now).at - now
            });
            took.sum::<Duration>() / 1_000
        };
        let (cold, _, _, warm) = (mean(0), mean(1_000), mean(2_000), mean(3_000));
        assert!(warm * 2 < cold, "{cold:?} {warm:?}");
    }
}
