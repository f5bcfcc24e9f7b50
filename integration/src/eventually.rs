//! Waiting for something to become true, instead of for a time to pass.

use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, sleep};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until `look` finds what it is looking for.
///
/// ```
/// # use std::time::Duration;
/// # use sloop_integration::eventually::eventually;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let mut looks = 0;
/// let found = eventually(Duration::from_secs(1), "the third look", async || {
///     looks += 1;
///     (looks == 3).then_some("found")
/// });
/// assert_eq!(found.await.unwrap(), "found");
/// # });
/// ```
///
/// # Errors
///
/// When it has not been found `within` the time; the message says `what` that is.
pub async fn eventually<T>(
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if within <= begun.elapsed() {
            bail!("did not happen within {within:?}: {what}");
        }
        sleep(LOOK_EVERY).await;
    }
}
