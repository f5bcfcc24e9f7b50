//! What is done for a connection, in its own task.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use hyper::rt::Executor;

use super::panics::Panic;

/// Something that goes on until it is over, or the connection is; or it panics.
pub(super) type Work = Pin<Box<dyn Future<Output = Result<(), Panic>> + Send>>;

/// Takes work for the task of one connection. Clones are of the same.
///
/// It is for what runs in that task already, as calls do: the task looks for new work when it was woken.
#[derive(Clone, Default)]
pub(crate) struct Beside {
    begun: Arc<Mutex<Vec<Work>>>,
}

impl Beside {
    /// Does `work` from now on.
    pub(crate) fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        // What panicked is dropped and never looked at again. What it shares with others is shared beyond this connection: they
        // would meet it as it was left also if the whole task had panicked, and take its locks also when they are poisoned.
        // hyper's side of the call is told of its end when it is dropped.
        let work: Work = Box::pin(AssertUnwindSafe(work).catch_unwind());
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.push(work);
    }

    /// Moves to `all` what was begun since the last time. Says whether that was something.
    pub(super) fn take(&self, all: &mut impl Extend<Work>) -> bool {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let is_some = !begun.is_empty();
        all.extend(begun.drain(..));
        is_some
    }
}

impl std::fmt::Debug for Beside {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Beside").finish_non_exhaustive()
    }
}

/// By which hyper has calls answered.
impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Beside {
    fn execute(&self, work: F) {
        self.run(work);
    }
}
