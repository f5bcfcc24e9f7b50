//! The only place that reads a clock.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sloop_model::{Time, WallTime};

/// The moment that machines agree on. The epoch itself where the machine's clock is before it.
#[must_use]
pub fn wall() -> WallTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    WallTime::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How long it is since somebody asked first, by a clock that nobody sets.
#[must_use]
pub fn monotonic() -> Time {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let since = ORIGIN.elapsed().as_nanos();
    Time::from_nanos(u64::try_from(since).unwrap_or(u64::MAX))
}
