//! A place for one thing, on its way from who makes it to who writes it.
//!
//! Both are in one task nearly always, and there is one such place for each stream: a channel would keep room for 32
//! things, more than a kilobyte, and count by what many could wait for.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// An empty place.
pub(super) fn slot<T>() -> (Giver<T>, Taker<T>) {
    let place = Arc::new(Place(Mutex::new(State {
        held: None,
        is_over: false,
        waits: None,
    })));
    (Giver(Arc::clone(&place)), Taker(place))
}

/// Puts something there, when there is nothing.
#[derive(Debug)]
pub(super) struct Giver<T>(Arc<Place<T>>);

/// Takes what is there.
#[derive(Debug)]
pub(super) struct Taker<T>(Arc<Place<T>>);

/// Nobody takes anything any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

#[derive(Debug)]
struct Place<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    held: Option<T>,
    /// Whether one of both is gone.
    is_over: bool,
    /// Who waits. Never both: one waits for what the other may do at once.
    waits: Option<Waker>,
}

impl<T> Place<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it, and wakes who waits for that.
    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let (changed, waits) = {
            let mut state = self.lock();
            (change(&mut state), state.waits.take())
        };
        if let Some(waker) = waits {
            waker.wake();
        }
        changed
    }
}

impl<T> State<T> {
    fn wait<R>(&mut self, context: &Context<'_>) -> Poll<R> {
        let waker = context.waker();
        if !self.waits.as_ref().is_some_and(|it| it.will_wake(waker)) {
            self.waits = Some(waker.clone());
        }
        Poll::Pending
    }
}

impl<T> Giver<T> {
    /// Whether there is room, and somebody who would take what is put there.
    pub(super) fn has_room(&self) -> bool {
        let state = self.0.lock();
        state.held.is_none() && !state.is_over
    }

    /// Waits until there is room. May be dropped and called again.
    pub(super) async fn room(&self) -> Result<(), Gone> {
        poll_fn(|context| {
            let mut state = self.0.lock();
            match (state.is_over, &state.held) {
                (true, _) => Poll::Ready(Err(Gone)),
                (false, None) => Poll::Ready(Ok(())),
                (false, Some(_)) => state.wait(context),
            }
        })
        .await
    }

    /// Puts `thing` there, where there is room. What is there goes before it; what nobody takes is dropped.
    pub(super) fn give(&self, thing: T) {
        let rest = self.0.change(|state| match (state.is_over, &state.held) {
            (false, None) => state.held.replace(thing),
            _ => Some(thing),
        });
        debug_assert!(rest.is_none() || self.0.lock().is_over, "there is no room");
    }
}

impl<T> Taker<T> {
    /// What is put there next; `None` when there will be nothing.
    pub(super) fn poll_take(&mut self, context: &Context<'_>) -> Poll<Option<T>> {
        let taken = {
            let mut state = self.0.lock();
            if state.held.is_none() {
                return match state.is_over {
                    true => Poll::Ready(None),
                    false => state.wait(context),
                };
            }
            drop(state);
            self.0.change(|state| state.held.take())
        };
        Poll::Ready(taken)
    }
}

impl<T> Drop for Giver<T> {
    fn drop(&mut self) {
        self.0.change(|state| state.is_over = true);
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        // What nobody takes is dropped when it is not locked.
        drop(self.0.change(|state| {
            state.is_over = true;
            state.held.take()
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use futures_util::FutureExt as _;

    use super::*;

    /// Counts how often a task was woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn task() -> (Waker, impl Fn() -> usize) {
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        (waker, move || task.0.load(Ordering::Relaxed))
    }

    #[test]
    fn there_is_room_for_one_and_who_waits_for_what_is_woken() {
        let (giver, mut taker) = slot();
        let (waker, woken) = task();
        let mut context = Context::from_waker(&waker);
        for round in 0..3 {
            assert!(taker.poll_take(&context).is_pending());
            assert!(giver.has_room());
            giver.give(round);
            assert_eq!(woken(), 2 * round + 1);
            assert!(!giver.has_room());
            {
                let mut room = pin!(giver.room());
                assert!(room.as_mut().poll(&mut context).is_pending());
                assert!(room.poll(&mut context).is_pending(), "asked again");
            }
            assert_eq!(taker.poll_take(&context), Poll::Ready(Some(round)));
            assert_eq!(woken(), 2 * round + 2);
            assert_eq!(giver.room().now_or_never(), Some(Ok(())));
        }
    }

    #[test]
    fn what_was_given_last_is_taken_although_who_gave_it_is_gone() {
        let (giver, mut taker) = slot();
        let (waker, woken) = task();
        let context = Context::from_waker(&waker);
        giver.give(1);
        drop(giver);
        assert_eq!(taker.poll_take(&context), Poll::Ready(Some(1)));
        assert_eq!(taker.poll_take(&context), Poll::Ready(None));
        assert_eq!(woken(), 0);
        let (giver, mut taker) = slot::<u8>();
        assert!(taker.poll_take(&context).is_pending());
        drop(giver);
        assert_eq!(woken(), 1, "that there will be nothing is told");
        assert_eq!(taker.poll_take(&context), Poll::Ready(None));
    }

    #[test]
    fn what_nobody_takes_any_more_is_dropped_and_who_waits_for_room_is_told() {
        let (giver, taker) = slot();
        let (waker, woken) = task();
        let thing = Arc::new(());
        giver.give(Arc::clone(&thing));
        let mut room = pin!(giver.room());
        let waits = room.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(waits.is_pending());
        drop(taker);
        assert_eq!((woken(), Arc::strong_count(&thing)), (1, 1));
        assert_eq!(room.now_or_never(), Some(Err(Gone)));
        assert!(!giver.has_room());
        giver.give(Arc::clone(&thing));
        assert_eq!(Arc::strong_count(&thing), 1);
    }
}
