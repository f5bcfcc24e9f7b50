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
