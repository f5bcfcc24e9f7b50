//! Group commit: changes that come within a moment become durable in one transaction.
//!
//! While one batch is on its way to the disk the next one gathers, so a slow
//! disk makes batches larger, not queues longer. What a failed batch held is
//! written with the next one: it is counted in memory already.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::store::{Batch, Store, StoreError};

/// How long the first change of a batch waits for company. Sidecars report once
/// a second, so nobody notices, and a hundred of them cost one `fsync` each time.
const GATHER: Duration = Duration::from_millis(5);

/// How long to leave a store alone that failed.
const RETRY: Duration = Duration::from_millis(250);

/// Changes on their way to the store, each with what is to be done when it is durable.
#[derive(Debug)]
pub(super) struct Commits<T> {
    store: Arc<dyn Store>,
    batch: Batch,
    then: Vec<T>,
    due: Option<Instant>,
    running: Option<Running<T>>,
}

#[derive(Debug)]
struct Running<T> {
    batch: Arc<Batch>,
    then: Vec<T>,
    task: JoinHandle<(Result<(), StoreError>, Duration)>,
}

/// How a batch ended.
#[derive(Debug)]
pub(super) struct Ended<T> {
    /// What was to be done when it is durable.
    pub(super) then: Vec<T>,
    /// How long it took, when it is durable.
    pub(super) result: Result<Duration, CommitError>,
}

/// Why a batch is not durable.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    /// The store says so.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that wrote it is gone.
    #[error("the commit ended early")]
    Lost(#[from] tokio::task::JoinError),
}

impl<T: Send + 'static> Commits<T> {
    pub(super) const fn to(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            batch: Batch::new(),
            then: Vec::new(),
            due: None,
            running: None,
        }
    }

    /// Adds changes, and what is to be done when they are durable. An empty batch with
    /// something to be done is written, too: it waits for what was written before it.
    pub(super) fn add(&mut self, batch: Batch, then: impl IntoIterator<Item = T>, now: Instant) {
        self.batch.then(batch);
        self.then.extend(then);
        if !(self.batch.is_empty() && self.then.is_empty()) {
            self.due.get_or_insert(now + GATHER);
        }
    }

    /// Adds what was to be done after a batch that failed, before what has gathered since:
    /// what is older is done first.
    pub(super) fn again(&mut self, then: Vec<T>, now: Instant) {
        if then.is_empty() {
            return;
        }
        self.then.splice(..0, then);
        self.due.get_or_insert(now + GATHER);
    }

    /// Lets what was added wait for company no longer.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.due = self.due.map(|_| now);
    }

    /// When to call [`Commits::start`].
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.running.is_none())
    }

    /// Begins to write what has gathered, when it is time.
    pub(super) fn start(&mut self, now: Instant) {
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        self.due = None;
        let batch = Arc::new(std::mem::take(&mut self.batch));
        let store = Arc::clone(&self.store);
        let writes = Arc::clone(&batch);
        let task = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let result = if writes.is_empty() {
                Ok(())
            } else {
                store.commit(&writes)
            };
            (result, begun.elapsed())
        });
        self.running = Some(Running {
            batch,
            then: std::mem::take(&mut self.then),
            task,
        });
    }

    /// Waits for the batch that is on its way; forever when there is none.
    pub(super) async fn ended(&mut self) -> Ended<T> {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        let ended = (&mut running.task).await;
        let (batch, then) = match self.running.take() {
            Some(running) => (running.batch, running.then),
            None => return std::future::pending().await,
        };
        let result = match ended {
            Ok((Ok(()), took)) => Ok(took),
            Ok((Err(error), _)) => Err(error.into()),
            Err(error) => Err(error.into()),
        };
        if result.is_err() {
            let newer = std::mem::replace(&mut self.batch, Arc::unwrap_or_clone(batch));
            self.batch.then(newer);
            self.due = Some(Instant::now() + RETRY);
        }
        Ended { then, result }
    }

    /// Whether nothing is on its way and nothing waits.
    pub(super) const fn is_idle(&self) -> bool {
        self.running.is_none() && self.due.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::store::InMemory;

    /// A store that fails when it is told to.
    #[derive(Debug, Default)]
    struct Moody {
        inside: InMemory,
        fails: AtomicBool,
    }

    impl Store for Moody {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.inside.get(key)
        }

        fn each(&self, prefix: &[u8], see: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
            self.inside.each(prefix, see)
        }

        fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
            if self.fails.load(Ordering::SeqCst) {
                let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
                return Err(StoreError::Failed(Box::new(redb::Error::Io(full))));
            }
            self.inside.commit(batch)
        }
    }

    fn put(key: &str, value: &str) -> Batch {
        let mut batch = Batch::default();
        batch.put(key, value);
        batch
    }

    #[tokio::test]
    async fn what_gathers_is_written_together() {
        let store = Arc::new(Moody::default());
        let mut commits = Commits::to(Arc::clone(&store) as Arc<dyn Store>);
        let now = Instant::now();
        commits.add(put("a", "1"), [1], now);
        commits.start(now);
        assert_eq!(commits.due(), Some(now + GATHER), "it waits for company");
        commits.add(put("b", "1"), [2], now + GATHER / 2);
        commits.start(now + GATHER);
        let ended = commits.ended().await;
        assert_eq!(ended.then, [1, 2]);
        assert!(ended.result.is_ok() && commits.is_idle());
        assert_eq!(store.list(b"").unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_failed_batch_is_written_with_the_next_and_the_newer_counts() {
        let store = Arc::new(Moody::default());
        let mut commits = Commits::to(Arc::clone(&store) as Arc<dyn Store>);
        let now = Instant::now();
        store.fails.store(true, Ordering::SeqCst);
        commits.add(put("a", "older"), [1], now);
        commits.add(put("b", "1"), [], now);
        commits.hurry(now);
        commits.start(now);
        commits.add(put("a", "newer"), [2], now);
        let ended = commits.ended().await;
        assert!(ended.result.is_err());
        assert_eq!(ended.then, [1]);
        assert!(!commits.is_idle());
        store.fails.store(false, Ordering::SeqCst);
        commits.start(now + RETRY * 100);
        let ended = commits.ended().await;
        assert!(ended.result.is_ok());
        assert_eq!(ended.then, [2]);
        assert_eq!(store.get(b"a").unwrap().as_deref(), Some(&b"newer"[..]));
        assert_eq!(store.get(b"b").unwrap().as_deref(), Some(&b"1"[..]));
    }

    #[tokio::test]
    async fn what_follows_a_failed_batch_is_done_before_what_is_newer() {
        let store = Arc::new(Moody::default());
        let mut commits = Commits::to(Arc::clone(&store) as Arc<dyn Store>);
        let now = Instant::now();
        store.fails.store(true, Ordering::SeqCst);
        commits.add(put("a", "older"), [1, 2], now);
        commits.hurry(now);
        commits.start(now);
        commits.add(put("a", "newer"), [3], now);
        let failed = commits.ended().await;
        assert!(failed.result.is_err());
        commits.again(failed.then, now);
        store.fails.store(false, Ordering::SeqCst);
        commits.start(now + RETRY * 100);
        let ended = commits.ended().await;
        assert!(ended.result.is_ok());
        assert_eq!(ended.then, [1, 2, 3], "the newest publish is the last");
    }

    #[tokio::test]
    async fn nothing_to_write_costs_nothing() {
        let store = Arc::new(Moody::default());
        store.fails.store(true, Ordering::SeqCst);
        let mut commits: Commits<u8> = Commits::to(Arc::clone(&store) as Arc<dyn Store>);
        let now = Instant::now();
        commits.add(Batch::new(), [], now);
        assert!(commits.is_idle());
        commits.add(Batch::new(), [1], now);
        commits.start(now + GATHER);
        assert!(
            commits.ended().await.result.is_ok(),
            "a repeat is durable already"
        );
    }
}
