//! Quiet on a machine that others use too: what is measured runs first, and processors do not sleep.
//!
//! Neighbours interrupt a slice and leave cold caches; a virtual processor that has nothing to
//! do goes back to its host, and is woken late and cold. With real-time priority for the
//! parts, and a thread on each processor that spins when nobody else wants it, the same pairs scatter an
//! eighth as much. It takes rights that not everybody has; without them the method is
//! the same and needs more pairs.
//!
//! Policies are set by `chrt`, which every Linux distribution has: the system call is not in any library
//! that this workspace uses.

use std::io;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::thread::gettid;

use crate::cpus::{PinError, pin};
use crate::schedstat::{ThreadError, ids};

/// When the kernel lets a thread run (`man 7 sched`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Before all ordinary ones.
    RealTime,
    /// As most threads.
    Ordinary,
    /// When nobody else wants to.
    Idle,
}

/// Why a thread's policy is another.
#[derive(Debug, thiserror::Error)]
pub enum PriorityError {
    /// There is no `chrt`.
    #[error("cannot start `chrt`")]
    Missing(#[from] io::Error),
    /// The kernel does not allow it.
    #[error("this user may not set priorities: {said}")]
    Refused {
        /// What `chrt` says.
        said: String,
    },
    /// The thread is not on its processor.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The threads are not known.
    #[error(transparent)]
    Threads(#[from] ThreadError),
}

impl Policy {
    /// Sets the policy of a thread. Threads that it starts later have it too.
    ///
    /// # Errors
    ///
    /// When the kernel does not allow it.
    pub fn set(self, thread: u32) -> Result<(), PriorityError> {
        // Any real-time priority is above all ordinary ones.
        let (policy, priority) = match self {
            Self::RealTime => ("--fifo", "5"),
            Self::Ordinary => ("--other", "0"),
            Self::Idle => ("--idle", "0"),
        };
        let output = Command::new("chrt")
            .args([policy, "--pid", priority, &thread.to_string()])
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(PriorityError::Refused { said })
    }

    /// Sets the policy of all threads that a process has.
    ///
    /// # Errors
    ///
    /// When the kernel does not allow it.
    pub fn set_all(self, process: u32) -> Result<(), PriorityError> {
        ids(process)?.into_iter().try_for_each(|id| self.set(id))
    }
}

/// A thread on each of some processors that keeps it from sleeping. Dropping it ends them.
#[derive(Debug)]
pub struct Spinners {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Spinners {
    /// Begins to spin.
    ///
    /// # Errors
    ///
    /// When the threads may not be idle ones; then they do not spin.
    pub fn start(cpus: impl IntoIterator<Item = usize>) -> Result<Self, PriorityError> {
        let mut spinners = Self {
            is_over: Arc::new(AtomicBool::new(false)),
            threads: Vec::new(),
        };
        for cpu in cpus {
            let is_over = Arc::clone(&spinners.is_over);
            let (ready, is_ready) = std::sync::mpsc::channel();
            spinners.threads.push(std::thread::spawn(move || {
                let prepared = prepare(cpu);
                let may_spin = prepared.is_ok();
                // Who asked waits for it.
                drop(ready.send(prepared));
                while may_spin && !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }));
            is_ready
                .recv()
                .map_err(|_gone| io::Error::other("the thread crashed"))??;
        }
        Ok(spinners)
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It cannot crash.
            drop(thread.join());
        }
    }
}

/// Makes this thread an idle one on `cpu`.
fn prepare(cpu: usize) -> Result<(), PriorityError> {
    let own = gettid().as_raw_nonzero().get().unsigned_abs();
    Policy::Idle.set(own)?;
    pin(own, &[cpu])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_not_there_has_no_policy() {
        assert!(Policy::Ordinary.set(u32::MAX).is_err());
        assert!(Policy::Ordinary.set_all(u32::MAX).is_err());
    }

    #[test]
    fn spinners_end() {
        // The first processor that there is; being idle needs no rights.
        let shares = crate::cpus::Shares::of_this_machine();
        let cpu = shares.map_or(0, |shares| shares.measured);
        let spinners = Spinners::start([cpu]).unwrap();
        assert_eq!(spinners.threads.len(), 1);
        drop(spinners);
    }
}
