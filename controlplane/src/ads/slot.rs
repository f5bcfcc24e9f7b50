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
    use std::time::Duration;

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

    /// Polls for room once, by this waker.
    fn has_room_for(giver: &Giver<u32>, waker: &Waker) -> Poll<Result<(), Gone>> {
        pin!(giver.room()).poll(&mut Context::from_waker(waker))
    }

    #[test]
    fn who_asked_last_is_woken_whoever_asked_before() {
        let (giver, mut taker) = slot();
        let [(stale, stale_woken), (waker, woken)] = [task(), task()];
        // Who takes moves from one task to another.
        assert!(taker.poll_take(&Context::from_waker(&stale)).is_pending());
        assert!(taker.poll_take(&Context::from_waker(&waker)).is_pending());
        giver.give(1);
        assert_eq!((stale_woken(), woken()), (0, 1));
        // As does who gives, and who waits no longer is not woken for nothing twice.
        assert!(has_room_for(&giver, &stale).is_pending());
        assert!(has_room_for(&giver, &waker).is_pending());
        let context = Context::from_waker(&waker);
        assert_eq!(taker.poll_take(&context), Poll::Ready(Some(1)));
        assert_eq!((stale_woken(), woken()), (0, 2));
        assert_eq!(has_room_for(&giver, &waker), Poll::Ready(Ok(())));
        giver.give(2);
        assert_eq!((stale_woken(), woken()), (0, 2), "nobody waits");
    }

    #[test]
    fn who_waits_for_room_no_longer_keeps_nobody_from_waiting_for_more() {
        let (giver, mut taker) = slot();
        let [(of_giver, giver_woken), (of_taker, taker_woken)] = [task(), task()];
        giver.give(1);
        assert!(has_room_for(&giver, &of_giver).is_pending());
        // It does something else, and does not ask again before it gives.
        let context = Context::from_waker(&of_taker);
        assert_eq!(taker.poll_take(&context), Poll::Ready(Some(1)));
        assert_eq!((giver_woken(), taker_woken()), (1, 0));
        assert!(taker.poll_take(&context).is_pending());
        giver.give(2);
        assert_eq!((giver_woken(), taker_woken()), (1, 1));
        assert_eq!(taker.poll_take(&context), Poll::Ready(Some(2)));
        assert_eq!((giver_woken(), taker_woken()), (1, 1));
    }

    #[test]
    fn whoever_goes_while_the_other_waits_wakes_it() {
        let (waker, woken) = task();
        let context = Context::from_waker(&waker);
        // In both orders: one waits and the other goes, and one asks when the other is gone.
        let (giver, mut taker) = slot::<u32>();
        assert!(taker.poll_take(&context).is_pending());
        drop(giver);
        assert_eq!(woken(), 1);
        assert_eq!(taker.poll_take(&context), Poll::Ready(None));
        let (giver, taker) = slot();
        giver.give(1);
        assert!(has_room_for(&giver, &waker).is_pending());
        drop(taker);
        assert_eq!(woken(), 2);
        assert_eq!(has_room_for(&giver, &waker), Poll::Ready(Err(Gone)));
        let (giver, taker) = slot();
        drop(taker);
        assert_eq!(has_room_for(&giver, &waker), Poll::Ready(Err(Gone)));
        let (giver, mut taker) = slot::<u32>();
        drop(giver);
        assert_eq!(taker.poll_take(&context), Poll::Ready(None));
        assert_eq!(woken(), 2, "nobody waited");
    }

    /// Draws that need not be good (xorshift64, Marsaglia 2003).
    struct Draws(u64);

    impl Draws {
        fn one_in(&mut self, parts: u64) -> bool {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0.is_multiple_of(parts)
        }

        /// Lets others on now and then, so that the one is now ahead and now behind.
        async fn dally(&mut self) {
            match (self.one_in(4), self.one_in(8)) {
                (true, false) => tokio::task::yield_now().await,
                (true, true) => std::thread::yield_now(),
                (false, _) => {}
            }
        }
    }

    /// A lost wake-up leaves both waiting for ever.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_hand_over_is_missed_whatever_the_other_does_meanwhile() {
        const ROUNDS: u32 = 100_000;
        let (giver, mut taker) = slot();
        let gives = tokio::spawn(async move {
            let mut draws = Draws(0x5eed);
            for round in 0..ROUNDS {
                draws.dally().await;
                if draws.one_in(4) {
                    // As who looks at something else meanwhile, and comes back.
                    let _room = giver.room().now_or_never();
                    draws.dally().await;
                }
                giver.room().await.unwrap();
                giver.give(round);
            }
        });
        let takes = tokio::spawn(async move {
            let mut draws = Draws(0xfeed);
            for round in 0..ROUNDS {
                draws.dally().await;
                let taken = poll_fn(|context| taker.poll_take(context)).await;
                assert_eq!(taken, Some(round));
            }
            assert_eq!(poll_fn(|context| taker.poll_take(context)).await, None);
        });
        let both = async { (gives.await, takes.await) };
        let both = tokio::time::timeout(Duration::from_secs(60), both).await;
        let (gave, took) = both.expect("a wake-up was lost");
        gave.unwrap();
        took.unwrap();
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
