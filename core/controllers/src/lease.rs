//! How long what can do harm stays in force without another word from the control plane.
//!
//! The end of a lease lies on a grid of wall time, so it is the same on every
//! step between two renewals, after a restart and on every replica: nothing is
//! pushed until it is renewed, and then all leases in one push. A push costs Envoy about 5 ms.

use core::time::Duration;

use sloop_model::WallTime;

/// Leases of one length, which are renewed together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    /// Leases are renewed this often, and last at least as long and at most twice as long.
    renewal: Duration,
}

/// Breakers protect: they last through a longer absence of the control plane, and cost few pushes.
pub(crate) const BREAKERS: Lease = Lease {
    renewal: Duration::from_secs(15 * 60),
};

/// Faults harm on purpose, and without the control plane nobody pauses them when an SLO burns.
/// A minute spans a restart of it, and costs a push per minute while a fault is in force.
pub(crate) const FAULTS: Lease = Lease {
    renewal: Duration::from_secs(60),
};

/// Experiments harm more, and their verdict is worth nothing without the control plane: at most 4 s without it.
/// A push every two seconds costs a sidecar's main thread 0.3 % of its time, while an experiment runs.
pub(crate) const EXPERIMENTS: Lease = Lease {
    renewal: Duration::from_secs(2),
};

impl Lease {
    /// When a lease given at `now` ends: one to two renewals later.
    pub(crate) fn ends_at(self, now: WallTime) -> WallTime {
        self.period(now).after(self.renewal * 2)
    }

    /// When a lease given at `now` is renewed.
    pub(crate) fn renewed_at(self, now: WallTime) -> WallTime {
        self.period(now).after(self.renewal)
    }

    /// Whether no lease was renewed between the two moments.
    pub(crate) fn is_same_period(self, one: WallTime, other: WallTime) -> bool {
        self.period(one) == self.period(other)
    }

    /// When the period of `now` began.
    fn period(self, now: WallTime) -> WallTime {
        let renewal = self.renewal.as_secs() * 1_000;
        WallTime::from_millis(now.as_millis() / renewal * renewal)
    }
}
