//! How long breakers stay in force without another word from the control plane.
//!
//! The end of a lease lies on a grid of wall time, so it is the same on every
//! step between two renewals, after a restart and on every replica: nothing is
//! pushed until it is renewed, and then all leases in one push. A push costs Envoy about 5 ms.

use core::time::Duration;

use sloop_model::WallTime;

/// Leases are renewed this often, and last at least as long and less than twice as long.
const RENEWAL: Duration = Duration::from_secs(15 * 60);

/// When a lease given at `now` ends: 15 to 30 minutes later.
pub(crate) fn ends_at(now: WallTime) -> WallTime {
    period(now).after(RENEWAL * 2)
}

/// When a lease given at `now` is renewed.
pub(crate) fn renewed_at(now: WallTime) -> WallTime {
    period(now).after(RENEWAL)
}

/// Whether no lease was renewed between the two moments.
pub(crate) fn is_same_period(one: WallTime, other: WallTime) -> bool {
    period(one) == period(other)
}

/// When the period of `now` began.
fn period(now: WallTime) -> WallTime {
    let renewal = RENEWAL.as_secs() * 1_000;
    WallTime::from_millis(now.as_millis() / renewal * renewal)
}
