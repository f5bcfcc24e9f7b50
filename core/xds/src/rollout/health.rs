//! Whether nodes are well.

use sloop_model::ShareBounds;

/// What was counted of a node since the control plane first heard of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Wasm VMs that began after the others of their Envoy. One that crashed begins anew.
    pub vms: u64,
    /// Requests that ended and say something about the service.
    pub requests: u64,
    /// Those that the service did not serve.
    pub failed: u64,
}

/// What is known of a node, by who counted it. Both see the same requests, so neither is added to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// What its filters count.
    pub filters: Health,
    /// What its Envoy counts, filters or not.
    pub envoy: Health,
}

impl Counts {
    /// What was counted since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            filters: self.filters.since(earlier.filters),
            envoy: self.envoy.since(earlier.envoy),
        }
    }

    /// What both counted.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            filters: self.filters.plus(other.filters),
            envoy: self.envoy.plus(other.envoy),
        }
    }
}

/// Three standard deviations: of a thousand changes without effect, one is taken back.
const SIGMAS: f64 = 3.0;

/// Failures that are always borne, as a share of all requests: a handful must not stop a change.
const BORNE: f64 = 0.01;

/// Of fewer requests no share says anything: one failure among two is above any bound.
const REQUESTS_MIN: u64 = 20;

impl Health {
    /// What was counted since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            vms: self.vms.saturating_sub(earlier.vms),
            requests: self.requests.saturating_sub(earlier.requests),
            failed: self.failed.saturating_sub(earlier.failed),
        }
    }

    /// What both counted.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            vms: self.vms.saturating_add(other.vms),
            requests: self.requests.saturating_add(other.requests),
            failed: self.failed.saturating_add(other.failed),
        }
    }

    /// Whether there were enough requests for a share of them to mean something.
    pub(super) const fn says_something(&self) -> bool {
        REQUESTS_MIN <= self.requests
    }

    /// Whether clearly more failed than of `other`. Where one says nothing, nothing is clear.
    pub(super) fn is_worse_than(self, other: Self) -> bool {
        if !(self.says_something() && other.says_something()) {
            return false;
        }
        let bounds = |it: Self| ShareBounds::wilson(it.failed, it.requests, SIGMAS);
        bounds(self)
            .zip(bounds(other))
            .is_some_and(|(own, other)| other.high.max(BORNE) < own.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(failed: u64, requests: u64) -> Health {
        Health {
            vms: 0,
            requests,
            failed,
        }
    }

    #[test]
    fn only_what_is_clear_counts() {
        assert!(of(50, 100).is_worse_than(of(1, 1_000)));
        assert!(!of(1, 2).is_worse_than(of(0, 1_000)), "two requests");
        assert!(!of(50, 100).is_worse_than(of(500, 1_000)), "as elsewhere");
        assert!(!of(0, 0).is_worse_than(of(0, 1_000)), "no traffic");
        assert!(
            !of(99, 99).is_worse_than(of(0, 9)),
            "nothing to compare with"
        );
        assert!(
            !of(9, 1_000).is_worse_than(of(0, 100_000)),
            "below one in a hundred"
        );
        assert!(of(20, 20).is_worse_than(of(0, 20)), "the fewest");
        assert!(!of(19, 19).is_worse_than(of(0, 20)), "fewer");
    }
}
