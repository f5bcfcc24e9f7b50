//! Users who ask without a pause.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sloop_integration::envoy::Caller;

/// Between requests that come on a connection each: ports are used up otherwise.
const PAUSE: Duration = Duration::from_millis(5);

/// Requests without a pause, until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    asking: tokio::task::JoinHandle<(usize, Vec<String>)>,
}

impl Load {
    pub fn start(caller: Caller, path: &'static str) -> Self {
        Self::asking(path, move || std::future::ready(caller.clone()))
    }

    /// Each on a connection of its own: what a listener has now decides, not what it had.
    pub fn anew(at: SocketAddr, path: &'static str) -> Self {
        Self::asking(path, move || async move {
            tokio::time::sleep(PAUSE).await;
            Caller::of(at)
        })
    }

    fn asking<F>(path: &'static str, caller: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Caller> + Send,
    {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let asking = tokio::spawn(async move {
            let (mut sent, mut failed) = (0, Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                sent += 1;
                match caller().await.get(path).await {
                    Ok(answer) if answer.status() == 200 => {}
                    Ok(answer) => failed.push(answer.status().to_string()),
                    Err(error) => failed.push(format!("{error:#}")),
                }
            }
            (sent, failed)
        });
        Self { stop, asking }
    }

    /// Ends it, and says how many were sent. Not one of them may have failed.
    pub async fn none_failed(self) -> usize {
        let (sent, failed) = self.ended().await;
        assert!(failed.is_empty(), "of {sent} failed {failed:?}");
        sent
    }

    /// Ends it. Says what became of the requests that failed.
    pub async fn failed(self) -> Vec<String> {
        self.ended().await.1
    }

    async fn ended(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let (sent, failed) = self.asking.await.unwrap();
        assert!(
            100 < sent,
            "only {sent} requests, of which failed {failed:?}"
        );
        (sent, failed)
    }
}
