//! The only place that reads a clock.

use std::time::{SystemTime, UNIX_EPOCH};

use sloop_model::WallTime;

/// The moment that machines agree on. The epoch itself where the machine's clock is before it.
#[must_use]
pub fn wall() -> WallTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    WallTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
