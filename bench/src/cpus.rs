//! Which processors threads run on.

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schedstat::{ThreadError, ids};

/// How the processors are shared between what is measured and the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// The one of the thread that is measured.
    pub measured: usize,
    /// Those of everything else.
    pub rest: Vec<usize>,
}

/// Why threads were not put on their processors.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The kernel refuses.
    #[error("cannot put thread {thread} on its processors")]
    Refused {
        /// The thread.
        thread: u32,
        /// What the kernel says.
        source: Errno,
    },
    /// The threads are not known.
    #[error(transparent)]
    Threads(#[from] ThreadError),
}

impl Shares {
    /// The last of the processors that this thread may use for what is measured: the first ones
    /// serve most interrupts. `None` where it may use only one.
    #[must_use]
    pub fn of_this_machine() -> Option<Self> {
        let allowed = sched_getaffinity(None).ok()?;
        Self::of((0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)))
    }

    fn of(allowed: impl Iterator<Item = usize>) -> Option<Self> {
        let mut rest: Vec<usize> = allowed.collect();
        let measured = rest.pop()?;
        (!rest.is_empty()).then_some(Self { measured, rest })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = usize> {
        self.rest.iter().copied().chain([self.measured])
    }

    /// Puts the thread `measured` of `process` on its own processor, and all others of it on the rest.
    ///
    /// Threads that they start later go where their parents are.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn pin(&self, process: u32, measured: Option<u32>) -> Result<(), PinError> {
        for thread in ids(process)? {
            if Some(thread) == measured {
                pin(thread, &[self.measured])?;
            } else {
                pin(thread, &self.rest)?;
            }
        }
        Ok(())
    }
}

pub(crate) fn pin(thread: u32, cpus: &[usize]) -> Result<(), PinError> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    // Zero would be this thread; there is no thread with that id.
    let id = i32::try_from(thread).ok().and_then(Pid::from_raw);
    match sched_setaffinity(id, &set) {
        // It has ended since it was listed.
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(source) => Err(PinError::Refused { thread, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_has_the_last_processor_alone() {
        let shares = Shares::of([0, 2, 5].into_iter()).unwrap();
        assert_eq!((shares.measured, shares.rest), (5, vec![0, 2]));
        assert_eq!(Shares::of([3].into_iter()), None);
        assert_eq!(Shares::of(std::iter::empty()), None);
    }
}
