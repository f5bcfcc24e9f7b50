//! Group commit: changes that come within a moment become durable in one transaction.
//!
//! While one batch is on its way to the disk the next one gathers, so a slow
//! disk makes batches larger, not queues longer. What a failed batch held is
//! written with the next one: it is counted in memory already. While the store
//! fails it is tried again and again, ever more seldom. One that hangs is
//! waited for, and what need not be durable first does not wait with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::store::{Batch, Store, StoreError};

/// How long the first change of a batch waits for company. Sidecars report once
/// a second, so nobody notices, and a hundred of them cost one `fsync` each time.
const GATHER: Duration = Duration::from_millis(5);

/// How long to leave a store alone that failed; twice as long each time that it fails again, up to [`RETRY_MAX`].
const RETRY: Duration = Duration::from_millis(250);

/// When a full disk has room again, it is noticed within that. To try reads the whole file, to open it anew.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// A batch that is on its way for so long hangs, as on a volume that stalled. A busy disk takes a tenth of that, and filters
/// wait for five seconds until they send a report again.
const HANGS_AFTER: Duration = Duration::from_secs(2);

/// Changes on their way to the store, each with what is to be done when it is durable.
#[derive(Debug)]
pub(super) struct Commits<T> {
    store: Arc<dyn Store>,
    batch: Batch,
    then: Vec<T>,
    due: Option<Instant>,
    running: Option<Running<T>>,
    /// How long the store is left alone, while it fails.
    retry: Option<Duration>,
}

#[derive(Debug)]
struct Running<T> {
    batch: Arc<Batch>,
    then: Vec<T>,
    begun: Instant,
    /// Whether it is known to hang.
    hangs: bool,
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
            retry: None,
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

    /// Lets [`Commits::due`] say when there is something to add, at the latest: as long as a batch is on its way, what changes
    /// is better where it is, as much of it changes again, than gathered here.
    pub(super) fn want(&mut self, now: Instant) {
        self.due.get_or_insert(now + GATHER);
    }

    /// Whether the last batch could not be written, or the one that is on its way hangs.
    pub(super) const fn is_failing(&self) -> bool {
        self.retry.is_some() || matches!(&self.running, Some(Running { hangs: true, .. }))
    }

    /// When to call [`Commits::finds_hanging`].
    pub(super) fn hangs_at(&self) -> Option<Instant> {
        let running = self.running.as_ref().filter(|it| !it.hangs)?;
        Some(running.begun + HANGS_AFTER)
    }

    /// Whether the batch that is on its way is found to hang, at `now` for the first time.
    pub(super) fn finds_hanging(&mut self, now: Instant) -> bool {
        let is_found = self.hangs_at().is_some_and(|at| at <= now);
        if let Some(running) = &mut self.running
            && is_found
        {
            running.hangs = true;
        }
        is_found
    }

    /// Takes what `is_out` says of all that is to be done when something is durable, in its order.
    pub(super) fn take_out(&mut self, mut is_out: impl FnMut(&T) -> bool) -> Vec<T> {
        let running = self.running.as_mut().map(|it| &mut it.then);
        let mut out = Vec::new();
        for then in running.into_iter().chain([&mut self.then]) {
            out.extend(then.extract_if(.., |it| is_out(it)));
        }
        out
    }

    /// Takes what is to be done when the batch that gathers is durable.
    pub(super) fn take_waiting(&mut self) -> Vec<T> {
        std::mem::take(&mut self.then)
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
        if self.batch.is_empty() && self.then.is_empty() {
            return;
        }
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
            begun: now,
            hangs: false,
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
            let retry = self.retry.map_or(RETRY, |last| RETRY_MAX.min(last * 2));
            self.retry = Some(retry);
            self.due = Some(Instant::now() + retry);
        } else {
            self.retry = None;
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
                return Err(StoreError::Failed {
                    path: "/full".into(),
                    source: Box::new(redb::Error::Io(full)),
                });
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
    async fn a_store_that_fails_is_tried_ever_more_seldom_and_soon_enough() {
        let store = Arc::new(Moody::default());
        let mut commits = Commits::to(Arc::clone(&store) as Arc<dyn Store>);
        store.fails.store(true, Ordering::SeqCst);
        commits.add(put("a", "1"), [1], Instant::now());
        let mut waits = Vec::new();
        for _ in 0..5 {
            let begun = commits.due().unwrap();
            commits.start(begun);
            assert!(commits.ended().await.result.is_err() && commits.is_failing());
            waits.push(commits.retry.unwrap().as_millis());
            assert!(commits.due().unwrap() <= Instant::now() + RETRY_MAX);
        }
        assert_eq!(waits, [250, 500, 1_000, 2_000, 2_000]);
        commits.add(Batch::new(), [2], Instant::now());
        assert_eq!(commits.take_waiting(), [2]);
        store.fails.store(false, Ordering::SeqCst);
        commits.start(commits.due().unwrap());
        assert!(commits.ended().await.result.is_ok() && !commits.is_failing());
        assert_eq!(store.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    }

    #[tokio::test]
    async fn a_batch_that_hangs_is_found_once_and_keeps_nothing_that_need_not_wait() {
        let store = Arc::new(Moody::default());
        let mut commits = Commits::to(Arc::clone(&store) as Arc<dyn Store>);
        let now = Instant::now();
        assert!(commits.hangs_at().is_none() && !commits.finds_hanging(now));
        commits.add(put("a", "1"), [1, 2], now);
        commits.hurry(now);
        commits.start(now);
        commits.add(put("b", "1"), [3, 4], now);
        let late = now + HANGS_AFTER;
        assert_eq!(commits.hangs_at(), Some(late));
        assert!(!commits.finds_hanging(late - Duration::from_millis(1)) && !commits.is_failing());
        assert!(commits.finds_hanging(late) && commits.is_failing());
        assert!(!commits.finds_hanging(late) && commits.hangs_at().is_none());
        assert_eq!(commits.take_out(|it| it % 2 == 0), [2, 4]);
        let ended = commits.ended().await;
        assert!(ended.result.is_ok() && !commits.is_failing());
        assert_eq!(ended.then, [1]);
        commits.start(late);
        assert_eq!(commits.ended().await.then, [3]);
        assert_eq!(store.list(b"").unwrap().len(), 2);
    }

    #[tokio::test]
    async fn nothing_to_write_costs_nothing() {
        let store = Arc::new(Moody::default());
        store.fails.store(true, Ordering::SeqCst);
        let mut commits: Commits<u8> = Commits::to(Arc::clone(&store) as Arc<dyn Store>);
        let now = Instant::now();
        commits.add(Batch::new(), [], now);
        assert!(commits.is_idle());
        commits.want(now);
        assert_eq!(commits.due(), Some(now + GATHER), "there may be something");
        commits.start(now + GATHER);
        assert!(commits.is_idle(), "there was nothing");
        commits.add(Batch::new(), [1], now);
        commits.start(now + GATHER);
        assert!(
            commits.ended().await.result.is_ok(),
            "a repeat is durable already"
        );
    }
}
