//! The parts that run until the end, and the one way in which they end.
//!
//! Whatever ends first, the loop goes on until all that it took in is durable: reports that it counted are not counted again, what
//! people asked for and were told holds, and what it sent is known by the next process. Reports that nobody took yet come again.

use std::io;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use super::{FAREWELL, ServeError};

/// All of them, as far as they have begun.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The loop.
    pub(super) running: Part<()>,
    pub(super) grpc: Part<()>,
    pub(super) http: Part<Result<(), io::Error>>,
    /// Looks at documents.
    pub(super) watching: Part<()>,
    /// Tells people.
    pub(super) alerting: Part<()>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Part<T>(Option<JoinHandle<T>>);

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> From<JoinHandle<T>> for Part<T> {
    fn from(begun: JoinHandle<T>) -> Self {
        Self(Some(begun))
    }
}

impl<T> Part<T> {
    /// Waits until it ends; forever when it has not begun, or was seen to end.
    async fn ended(&mut self) -> Result<T, JoinError> {
        let Some(part) = &mut self.0 else {
            return std::future::pending().await;
        };
        let ended = part.await;
        self.0 = None;
        ended
    }

    /// Waits for it until `farewell`, and ends it then. What it had is gone afterwards, however it ended, but not what it began
    /// beside itself: connections, which end with the process.
    async fn leave(self, farewell: Instant) {
        let Some(mut part) = self.0 else { return };
        if tokio::time::timeout_at(farewell, &mut part).await.is_err() {
            part.abort();
            drop(part.await);
        }
    }
}

impl Parts {
    /// Waits until a part ends by itself that never should, and says why it did.
    pub(super) async fn failed(&mut self) -> ServeError {
        let early = |part| ServeError::Early { part };
        tokio::select! {
            // Those that follow the loop end with it.
            biased;
            ended = self.running.ended() => ended.map_or_else(ServeError::Task, |()| early("loop")),
            ended = self.grpc.ended() => ended.map_or_else(ServeError::Task, |()| early("gRPC server")),
            ended = self.http.ended() => match ended {
                Ok(Ok(())) => early("HTTP server"),
                Ok(Err(error)) => ServeError::Http(error),
                Err(error) => ServeError::Task(error),
            },
            ended = self.watching.ended() => ended.map_or_else(ServeError::Task, |()| early("watch of documents")),
            ended = self.alerting.ended() => ended.map_or_else(ServeError::Task, |()| early("telling of alerts")),
        }
    }

    /// Ends all of them that have begun, the loop first and however long it takes.
    ///
    /// # Errors
    ///
    /// When the loop did not get to its end.
    pub(super) async fn end(self, stopping: &watch::Sender<bool>) -> Result<(), ServeError> {
        tracing::info!("stopping");
        stopping.send_replace(true);
        let ended = match self.running.0 {
            Some(running) => running.await,
            None => Ok(()),
        };
        // Streams of discovery never end by themselves.
        let farewell = Instant::now() + FAREWELL;
        self.grpc.leave(farewell).await;
        self.http.leave(farewell).await;
        // Nobody hears of documents any more, so watching ends by itself, with the store.
        let now = Instant::now();
        self.watching.leave(now + FAREWELL).await;
        self.alerting.leave(now).await;
        tracing::info!("stopped");
        Ok(ended?)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, pending};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn part<T: Send + 'static>(part: impl Future<Output = T> + Send + 'static) -> Part<T> {
        tokio::spawn(part).into()
    }

    /// Parts that go on for ever but for `changed`, the first of which to end is waited for. Returns why it did, and whether
    /// what was taken in is durable after the end.
    async fn ended(changed: impl FnOnce(&mut Parts)) -> (String, bool) {
        let (stopping, mut stopped) = watch::channel(false);
        let durable = Arc::new(AtomicBool::new(false));
        let is_durable = Arc::clone(&durable);
        let mut parts = Parts {
            running: part(async move {
                drop(stopped.wait_for(|stop| *stop).await.map(|_| ()));
                // The disk takes its time.
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
                is_durable.store(true, Ordering::Relaxed);
            }),
            grpc: part(pending()),
            http: part(pending()),
            watching: part(pending()),
            alerting: part(pending()),
        };
        changed(&mut parts);
        let failed = parts.failed().await;
        let ended = parts.end(&stopping).await;
        assert!(ended.is_ok(), "{ended:?}");
        (failed.to_string(), durable.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn whatever_ends_first_what_was_taken_in_becomes_durable() {
        let early = |part: &str| (format!("the {part} ended early"), true);
        let all = [
            ended(|parts| parts.grpc = part(async {})).await,
            ended(|parts| parts.http = part(async { Ok(()) })).await,
            ended(|parts| parts.http = part(async { Err(io::ErrorKind::Other.into()) })).await,
            ended(|parts| parts.grpc = part(async { panic!("on purpose") })).await,
            ended(|parts| parts.watching = part(async {})).await,
            ended(|parts| parts.alerting = part(async {})).await,
        ];
        let http = ("the HTTP server ended".to_owned(), true);
        let task = ("a task ended early".to_owned(), true);
        assert_eq!(
            all,
            [
                early("gRPC server"),
                early("HTTP server"),
                http,
                task,
                early("watch of documents"),
                early("telling of alerts"),
            ]
        );
    }

    #[tokio::test]
    async fn a_loop_that_does_not_get_to_its_end_is_said() {
        let (stopping, mut stopped) = watch::channel(false);
        let parts = Parts {
            running: part(async move {
                drop(stopped.wait_for(|stop| *stop).await.map(|_| ()));
                panic!("on purpose");
            }),
            ..Parts::default()
        };
        let ended = parts.end(&stopping).await;
        assert!(matches!(ended, Err(ServeError::Task(_))), "{ended:?}");
        let nothing = Parts::default().end(&stopping).await;
        assert!(nothing.is_ok(), "what has not begun need not end");
    }
}
