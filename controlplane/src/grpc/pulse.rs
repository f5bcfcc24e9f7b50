//! Which part of a task was woken.
//!
//! A connection and what is done for its calls wake each other within one task all the time: an answer has something to
//! be written, and what was read has something to be done. By the waker of the task both would be looked at
//! again for each, in another turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

/// A part of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    /// The connection.
    Connection = 1,
    /// What is done for its calls.
    Work = 2,
}

/// The task looks by itself for what was woken before it goes to sleep.
const AWAKE: u8 = 4;

/// The parts that were woken, and the task.
#[derive(Debug)]
pub(super) struct Pulse {
    bits: AtomicU8,
    task: AtomicWaker,
}

/// The parts that were woken since it was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Woken(u8);

impl Woken {
    pub(super) const fn is(self, part: Part) -> bool {
        self.0 & part as u8 != 0
    }
}

impl Pulse {
    /// Both parts are to be looked at.
    pub(super) fn new() -> Arc<Self> {
        let both = Part::Connection as u8 | Part::Work as u8;
        Arc::new(Self {
            bits: AtomicU8::new(both),
            task: AtomicWaker::new(),
        })
    }

    /// Wakes a part.
    pub(super) fn waker(self: &Arc<Self>, part: Part) -> Waker {
        let pulse = Arc::clone(self);
        Waker::from(Arc::new(OfPart { pulse, part }))
    }

    /// A turn of the task, which `task` wakes, begins.
    pub(super) fn begin(&self, task: &Waker) {
        self.task.register(task);
        self.bits.fetch_or(AWAKE, Ordering::AcqRel);
    }

    /// What was woken since the last time.
    pub(super) fn take(&self) -> Woken {
        Woken(self.bits.swap(AWAKE, Ordering::AcqRel))
    }

    /// Whether nothing is woken, so that the turn is over: what is woken from now on wakes the task.
    pub(super) fn rests(&self) -> bool {
        let over = (Ordering::AcqRel, Ordering::Acquire);
        self.bits.compare_exchange(AWAKE, 0, over.0, over.1).is_ok()
    }

    /// The turn is over, although something is woken.
    pub(super) fn yields(&self) {
        self.bits.fetch_and(!AWAKE, Ordering::AcqRel);
        self.task.wake();
    }
}

struct OfPart {
    pulse: Arc<Pulse>,
    part: Part,
}

impl Wake for OfPart {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let before = self.pulse.bits.fetch_or(self.part as u8, Ordering::AcqRel);
        if before & AWAKE == 0 {
            self.pulse.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Counts how often the task was woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn both(woken: Woken) -> (bool, bool) {
        (woken.is(Part::Connection), woken.is(Part::Work))
    }

    #[test]
    fn what_is_woken_in_a_turn_is_found_in_it_and_what_comes_later_wakes_the_task() {
        let (pulse, task) = (Pulse::new(), Arc::new(Task::default()));
        let waker = Waker::from(Arc::clone(&task));
        let [connection, work] = [Part::Connection, Part::Work].map(|part| pulse.waker(part));
        let woken = || task.0.load(Ordering::Relaxed);
        pulse.begin(&waker);
        assert_eq!(both(pulse.take()), (true, true), "at first");
        work.wake_by_ref();
        assert!(!pulse.rests());
        assert_eq!(both(pulse.take()), (false, true));
        assert_eq!(woken(), 0);
        assert!(pulse.rests());
        connection.wake_by_ref();
        connection.wake();
        assert_eq!(woken(), 1, "once is enough");
        pulse.begin(&waker);
        assert_eq!(both(pulse.take()), (true, false));
        work.wake();
        pulse.yields();
        assert_eq!(woken(), 2);
        pulse.begin(&waker);
        assert_eq!(both(pulse.take()), (false, true), "nothing is lost");
    }
}
