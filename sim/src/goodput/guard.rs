//! What stands between callers and the service.

use core::fmt::Debug;
use core::time::Duration;

use rand::rngs::SmallRng;
use sloop_dataplane::Exchange;
use sloop_model::Criticality;

/// Proxies that callers go through, each with as many of them.
pub(super) const PROXIES: usize = 2;

/// A request that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// 1 for the first. The caller's Envoy tries again, and says which one it is (`x-envoy-attempt-count`).
    pub(super) number: u32,
    pub(super) proxy: usize,
    pub(super) trace: u128,
    pub(super) class: Criticality,
}

/// How an attempt ended that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// 504 when the caller's patience was over.
    pub(super) status: u16,
    pub(super) latency: Duration,
}

impl Ended {
    pub(super) const fn is_success(&self) -> bool {
        self.status < 500
    }
}

/// What becomes of an attempt.
#[derive(Debug)]
pub(super) enum Admitted {
    /// It goes on.
    Passes(Pass),
    /// It does not, and the caller may try again.
    Refused,
    /// It does not, and the caller's Envoy does not try again (`x-envoy-ratelimited`).
    RefusedForGood,
}

/// Lets an attempt through, and knows it again when it ends.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) proxy: usize,
    /// What Sloop knows of it.
    pub(super) exchange: Option<Exchange>,
    /// What a guard that counts by generations knows of it.
    pub(super) generation: u64,
    /// Attempts that were made behind it, and whether there may be more.
    pub(super) attempts: u32,
    pub(super) is_final: bool,
}

impl Pass {
    pub(super) const fn through(proxy: usize) -> Self {
        Self {
            proxy,
            exchange: None,
            generation: 0,
            attempts: 0,
            is_final: false,
        }
    }
}

/// Decides about requests on all proxies.
pub(super) trait Guard: Debug {
    /// Whether an attempt may go on.
    fn admit(&mut self, attempt: &Attempt, random: &mut SmallRng, now: Duration) -> Admitted;

    /// Learns how it ended.
    fn end(&mut self, pass: Pass, ended: Ended, now: Duration);

    /// Whether callers' Envoys try again behind it, so that it meets a request once.
    fn is_before_retries(&self) -> bool {
        false
    }

    /// When it has something to do by itself.
    fn wakes_at(&self) -> Option<Duration> {
        None
    }

    /// Does what is due at `now`.
    fn wake(&mut self, now: Duration) {
        let _ = now;
    }
}

/// Decides on one proxy, and knows nothing of the others.
pub(super) trait Local: Debug {
    /// Whether a request may go on; if so, the generation that it belongs to.
    fn admit(&mut self, random: &mut SmallRng, now: Duration) -> Option<u64>;

    /// Learns how one ended.
    fn end(&mut self, generation: u64, ended: Ended, now: Duration);
}

/// One [`Local`] per proxy.
#[derive(Debug)]
pub(super) struct Each<L>(pub(super) [L; PROXIES]);

impl<L: Local> Guard for Each<L> {
    fn admit(&mut self, attempt: &Attempt, random: &mut SmallRng, now: Duration) -> Admitted {
        match self.0[attempt.proxy].admit(random, now) {
            Some(generation) => Admitted::Passes(Pass {
                generation,
                ..Pass::through(attempt.proxy)
            }),
            None => Admitted::Refused,
        }
    }

    fn end(&mut self, pass: Pass, ended: Ended, now: Duration) {
        self.0[pass.proxy].end(pass.generation, ended, now);
    }
}

/// Lets everything through.
#[derive(Debug)]
pub(super) struct Nothing;

impl Guard for Nothing {
    fn admit(&mut self, attempt: &Attempt, _: &mut SmallRng, _: Duration) -> Admitted {
        Admitted::Passes(Pass::through(attempt.proxy))
    }

    fn end(&mut self, _: Pass, _: Ended, _: Duration) {}
}
