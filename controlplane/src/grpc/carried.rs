//! One connection, from its first byte to its last.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, Stream};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use super::beside::{Beside, Work};
use super::calls::Calls;
use super::pulse::{Part, Pulse};
use super::{Carrier, Services};
use crate::ads::AdsLimits;

/// Looks at what was woken in one turn: an answer is made and then written. Others want to be looked at, too.
const LOOKS_MAX: usize = 4;

/// Serves a connection until it ends. When `stopped` says so its client is told that no more calls are taken.
pub(super) async fn carry(
    connection: impl Carrier,
    services: Services,
    limits: AdsLimits,
    mut stopped: watch::Receiver<bool>,
) {
    let beside = Beside::default();
    let calls = Calls::new(services, connection.peer(), beside.clone());
    let http2 = limits.http2(beside.clone());
    let mut connection = pin!(http2.serve_connection(TokioIo::new(connection), calls));
    let ends = Arc::new(AtomicBool::new(false));
    let says_so = Arc::clone(&ends);
    beside.run(async move {
        // Who would say it is gone when all is over.
        drop(stopped.wait_for(|stop| *stop).await.map(|_| ()));
        says_so.store(true, Ordering::Relaxed);
    });
    let mut work = FuturesUnordered::new();
    let pulse = Pulse::new();
    let (of_connection, of_work) = (pulse.waker(Part::Connection), pulse.waker(Part::Work));
    poll_fn(|context| {
        pulse.begin(context.waker());
        for _ in 0..LOOKS_MAX {
            let woken = pulse.take();
            if woken.is(Part::Work) {
                go_on(&beside, &mut work, &mut Context::from_waker(&of_work));
            }
            if ends.swap(false, Ordering::Relaxed) {
                connection.as_mut().graceful_shutdown();
                of_connection.wake_by_ref();
            }
            if woken.is(Part::Connection) {
                let mut context = Context::from_waker(&of_connection);
                // How it ended is its client's affair: it comes back.
                if connection.as_mut().poll(&mut context).is_ready() {
                    return Poll::Ready(());
                }
                if beside.take(&mut work) {
                    go_on(&beside, &mut work, &mut Context::from_waker(&of_work));
                }
            }
            if pulse.rests() {
                return Poll::Pending;
            }
        }
        pulse.yields();
        Poll::Pending
    })
    .await;
}

/// Does what can be done of `work`, and of what is begun meanwhile.
fn go_on(beside: &Beside, work: &mut FuturesUnordered<Work>, context: &mut Context<'_>) {
    beside.take(work);
    loop {
        while let Poll::Ready(Some(())) = Pin::new(&mut *work).poll_next(context) {}
        if !beside.take(work) {
            return;
        }
    }
}
