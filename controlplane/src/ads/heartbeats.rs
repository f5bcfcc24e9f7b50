//! When a client should hear that what it has still holds.

use std::time::Duration;

use tokio::time::Instant;

/// When the last heartbeat was. Begins with one: a client that came back may have waited long already.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    last: Option<Instant>,
}

impl Heartbeats {
    /// Waits until the next one is due; for ever when there are none. May be dropped and called again.
    pub(super) async fn due(&mut self, every: Option<Duration>) {
        let Some(every) = every else {
            return std::future::pending().await;
        };
        if let Some(last) = self.last {
            tokio::time::sleep_until(last + every).await;
        }
        self.last = Some(Instant::now());
    }
}
