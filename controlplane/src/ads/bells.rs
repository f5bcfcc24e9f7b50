//! What a stream waits for besides its client.
//!
//! A stream waits for the same things again and again, some times for each push, and to begin to wait takes
//! locks that all streams share. So it goes on waiting for each while it does something else, and what seldom changes rings
//! one bell together.

use std::future::pending;

use tokio::sync::watch;

/// Waits until `bell` rings that was not heard, and gives it back, to wait again.
pub(super) async fn rings<T>(mut bell: watch::Receiver<T>) -> watch::Receiver<T> {
    if bell.changed().await.is_err() {
        // The sender is gone with the hub.
        pending::<()>().await;
    }
    bell
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn what_rang_while_nobody_waited_is_heard_once() {
        let rung = watch::Sender::new(());
        let bell = rung.subscribe();
        rung.send_replace(());
        rung.send_replace(());
        let bell = rings(bell).now_or_never().expect("it rang");
        let mut waits = pin!(rings(bell));
        assert!(waits.as_mut().now_or_never().is_none(), "that was heard");
        rung.send_replace(());
        assert!(waits.now_or_never().is_some());
    }

    #[test]
    fn when_all_is_gone_nothing_rings() {
        let rung = watch::Sender::new(());
        let mut waits = pin!(rings(rung.subscribe()));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(rung);
        assert!(waits.now_or_never().is_none());
    }
}
