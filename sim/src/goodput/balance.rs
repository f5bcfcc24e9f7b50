//! Which host a proxy sends a request to: round robin, and where asked for Envoy's outlier detection and circuit breakers.
//!
//! Source: Envoy's documentation of `OutlierDetection` and `CircuitBreakers` (API v3) and of load balancing's panic
//! threshold. Defaults but for `max_ejection_percent`, which is 100 so that it may eject at all among three hosts:
//! consecutive 5xx 5, sweep every 10 s, ejection 30 s times the number of ejections in a row, at most 300 s. Success
//! rate and failure percentage need five hosts by default, so they never decide here. A circuit breaker allows
//! 1,024 requests at a time. Left out: pending requests and connections, which HTTP/2 does not need, retries and jitter.

use core::time::Duration;

use super::service::HOSTS;

const CONSECUTIVE: u32 = 5;
const SWEEP: Duration = Duration::from_secs(10);
const EJECTION: Duration = Duration::from_secs(30);
const EJECTION_MAX: Duration = Duration::from_secs(300);
const REQUESTS_MAX: u32 = 1_024;

/// One proxy's view of the hosts.
#[derive(Debug)]
pub(super) struct Balancer {
    next: usize,
    hosts: [Seen; HOSTS],
    in_flight: u32,
    /// The next sweep; none without outlier detection and circuit breakers.
    sweep_at: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// 5xx in a row.
    failed: u32,
    /// Until when it is ejected, at least.
    ejected: Option<Duration>,
    ejections: u32,
}

impl Balancer {
    pub(super) fn new(ejects: bool) -> Self {
        Self {
            next: 0,
            hosts: [Seen::default(); HOSTS],
            in_flight: 0,
            sweep_at: ejects.then_some(SWEEP),
        }
    }

    /// The host for a request; none when there are too many under way.
    pub(super) fn pick(&mut self, now: Duration) -> Option<usize> {
        if let Some(at) = self.sweep_at {
            if REQUESTS_MAX <= self.in_flight {
                return None;
            }
            if at <= now {
                self.sweep(now);
            }
        }
        let healthy = self.hosts.iter().filter(|host| host.ejected.is_none());
        // Below half of the hosts Envoy panics, and asks them all.
        let panics = healthy.count() * 2 < HOSTS;
        let turn = (1..=HOSTS).map(|step| (self.next + step) % HOSTS);
        let picked = turn
            .clone()
            .find(|host| panics || self.hosts[*host].ejected.is_none())?;
        self.next = picked;
        self.in_flight += 1;
        Some(picked)
    }

    /// A host answered, or did not in time.
    pub(super) fn end(&mut self, host: usize, is_success: bool, now: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.sweep_at.is_none() {
            return;
        }
        let seen = &mut self.hosts[host];
        seen.failed = if is_success { 0 } else { seen.failed + 1 };
        if CONSECUTIVE <= seen.failed && seen.ejected.is_none() {
            seen.ejections += 1;
            seen.failed = 0;
            let length = (EJECTION * seen.ejections).min(EJECTION_MAX);
            seen.ejected = Some(now + length);
        }
    }

    /// Brings back whose time is over, and forgets an ejection of whom all was well with.
    fn sweep(&mut self, now: Duration) {
        self.sweep_at = Some(now + SWEEP);
        for host in &mut self.hosts {
            match host.ejected {
                Some(until) if until <= now => host.ejected = None,
                Some(_) => {}
                None => host.ejections = host.ejections.saturating_sub(1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn picked(balancer: &mut Balancer, now: Duration) -> [usize; HOSTS] {
        let mut counts = [0; HOSTS];
        for _ in 0..300 {
            counts[balancer.pick(now).unwrap()] += 1;
            balancer.in_flight = 0;
        }
        counts
    }

    #[test]
    fn five_failures_in_a_row_eject_a_host_until_a_sweep_after_its_time() {
        let mut balancer = Balancer::new(true);
        for _ in 0..4 {
            balancer.end(1, false, seconds(1));
        }
        assert_eq!(picked(&mut balancer, seconds(1)), [100; 3]);
        balancer.end(1, false, seconds(1));
        assert_eq!(picked(&mut balancer, seconds(30)), [150, 0, 150]);
        assert_eq!(picked(&mut balancer, seconds(41)), [100; 3]);
    }

    #[test]
    fn when_most_are_ejected_all_are_asked() {
        let mut balancer = Balancer::new(true);
        for host in [0, 1] {
            for _ in 0..5 {
                balancer.end(host, false, seconds(1));
            }
        }
        assert_eq!(picked(&mut balancer, seconds(2)), [100; 3]);
    }

    #[test]
    fn too_many_at_a_time_are_refused_only_where_asked_for() {
        let count = |ejects| {
            let mut balancer = Balancer::new(ejects);
            (0..2_000).filter_map(|_| balancer.pick(seconds(1))).count()
        };
        assert_eq!((count(true), count(false)), (1_024, 2_000));
    }
}
