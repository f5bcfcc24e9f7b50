//! One connection, from its first byte to its last.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, Stream};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use super::beside::{Beside, Work};
use super::calls::Calls;
use super::panics::Panicked;
use super::pulse::{Part, Pulse};
use super::{Carrier, Services};
use crate::ads::AdsLimits;
use crate::door::Limit;
use crate::metrics::DoorMetrics;

/// Looks at what was woken in one turn: an answer is made and then written. Others want to be looked at, too.
const LOOKS_MAX: usize = 4;

/// Serves a connection until it ends. When `stopped` says so its client is told that no more calls are taken.
///
/// What the connection is made of is moved once, into a place of its own: a future would hold each place that it was moved through.
pub(super) fn carry<C: Carrier>(
    connection: C,
    services: Services,
    limits: AdsLimits,
    mut stopped: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + use<C> {
    let beside = Beside::default();
    let metrics = services.metrics.clone();
    let most = limits.calls_per_connection_max;
    let calls = Calls::new(services, connection.peer(), beside.clone(), most);
    let http2 = limits.http2(beside.clone());
    let mut connection = Box::pin(http2.serve_connection(TokioIo::new(connection), calls));
    let ends = Arc::new(AtomicBool::new(false));
    let says_so = Arc::clone(&ends);
    // Until the connection has ended: who told it to waits until nobody listens any more.
    let listens = stopped.clone();
    beside.run(async move {
        // Who would say it is gone when all is over.
        drop(stopped.wait_for(|stop| *stop).await.map(|_| ()));
        says_so.store(true, Ordering::Relaxed);
    });
    let mut work = FuturesUnordered::new();
    let pulse = Pulse::new();
    let (of_connection, of_work) = (pulse.waker(Part::Connection), pulse.waker(Part::Work));
    poll_fn(move |context| {
        let _listens = &listens;
        pulse.begin(context.waker());
        for _ in 0..LOOKS_MAX {
            let woken = pulse.take();
            if woken.is(Part::Work) {
                let mut context = Context::from_waker(&of_work);
                go_on(&beside, &mut work, metrics.as_ref(), &mut context);
            }
            if ends.swap(false, Ordering::Relaxed) {
                connection.as_mut().graceful_shutdown();
                of_connection.wake_by_ref();
            }
            if woken.is(Part::Connection) {
                let mut context = Context::from_waker(&of_connection);
                let ended = connection.as_mut().poll(&mut context);
                // Also when it is over: what is begun holds on to where it was begun, and would never go.
                let is_begun = beside.take(&mut work);
                if let Poll::Ready(ended) = ended {
                    note(&ended, metrics.as_ref());
                    return Poll::Ready(());
                }
                if is_begun {
                    let mut context = Context::from_waker(&of_work);
                    go_on(&beside, &mut work, metrics.as_ref(), &mut context);
                }
            }
            if pulse.rests() {
                return Poll::Pending;
            }
        }
        pulse.yields();
        Poll::Pending
    })
}

/// How a connection ended is its client's affair, which comes back; unless it did not say that it is there.
fn note(ended: &hyper::Result<()>, metrics: Option<&DoorMetrics>) {
    let is_gone = ended.as_ref().is_err_and(hyper::Error::is_timeout);
    if let Some(metrics) = metrics.filter(|_| is_gone) {
        metrics.hit(Limit::KeepAlive);
    }
}

/// Does what can be done of `work`, and of what is begun meanwhile.
fn go_on(
    beside: &Beside,
    work: &mut FuturesUnordered<Work>,
    metrics: Option<&DoorMetrics>,
    context: &mut Context<'_>,
) {
    beside.take(work);
    loop {
        while let Poll::Ready(Some(done)) = Pin::new(&mut *work).poll_next(context) {
            if let Err(panic) = done {
                Panicked::Call.note(&panic, metrics);
            }
        }
        if !beside.take(work) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use tokio::time::timeout;
    use tokio_stream::StreamExt as _;
    use tonic::body::Body;
    use tonic::server::NamedService;
    use tonic::service::Routes;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    /// Its calls never end, and hold a clone of it, which is counted.
    struct Holds(Arc<AtomicUsize>);

    impl Clone for Holds {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Ordering::Relaxed);
            Self(Arc::clone(&self.0))
        }
    }

    impl NamedService for Holds {
        const NAME: &'static str = "test.Holds";
    }

    impl tonic::codegen::Service<http::Request<Body>> for Holds {
        type Response = http::Response<Body>;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Request<Body>) -> Self::Future {
            let held = Arc::clone(&self.0);
            Box::pin(async move {
                let _held = held;
                pending().await
            })
        }
    }

    /// A HEADERS frame (RFC 9113, 6.2) whose fields are literals without an index (RFC 7541, 6.2.2).
    fn headers(stream: u8, fields: &[(&str, &str)]) -> Vec<u8> {
        let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        let field = |(name, value): &(&str, &str)| [vec![0], text(name), text(value)].concat();
        let block: Vec<u8> = fields.iter().flat_map(field).collect();
        let length = u8::try_from(block.len()).unwrap();
        let end_headers = 4;
        let head = [0, 0, length, 1, end_headers, 0, 0, 0, stream];
        [&head[..], &block].concat()
    }

    /// What a client begins with.
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    /// A SETTINGS frame that leaves all as it is.
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

    /// The first call of a connection, which goes on for ever.
    fn call() -> Vec<u8> {
        headers(
            1,
            &[
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/test.Holds/Call"),
                (":authority", "here"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
            ],
        )
    }

    /// Both ends of a connection, on which the client has written `bytes`.
    async fn connected(bytes: &[u8]) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(bytes).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (client, server)
    }

    /// Reads until a frame of this kind has come.
    async fn read_until(client: &mut TcpStream, kind: u8) {
        loop {
            let mut head = [0; 9];
            client.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            client.read_exact(&mut payload).await.unwrap();
            if head[3] == kind {
                return;
            }
        }
    }

    #[tokio::test]
    async fn who_serves_waits_for_connections_with_calls_under_way() {
        const GOAWAY: u8 = 7;
        let all = [PREFACE, &SETTINGS, &call()].concat();
        let (mut client, server) = connected(&all).await;
        let held = Arc::new(AtomicUsize::new(0));
        let services = Services::of(Routes::new(Holds(Arc::clone(&held))));
        let before = held.load(Ordering::Relaxed);
        let (stop, stopped) = oneshot::channel::<()>();
        let mut serving = tokio::spawn(async move {
            let connections = tokio_stream::iter([Ok(server)]).chain(tokio_stream::pending());
            let stop = stopped.map(|_| ());
            let limits = AdsLimits::default();
            services.serve(&limits, connections, stop).await;
        });
        let comes = async {
            while held.load(Ordering::Relaxed) == before {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, comes).await.expect("the call comes");
        stop.send(()).unwrap();
        let hears = read_until(&mut client, GOAWAY);
        timeout(SOON, hears).await.expect("the client is told");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!((&mut serving).now_or_never().is_none(), "the call goes on");
        drop(client);
        let served = timeout(SOON, serving).await;
        served.expect("the connection has ended").unwrap();
    }

    #[tokio::test]
    async fn a_call_that_came_with_the_end_of_its_connection_goes_with_it() {
        // hyper ends a connection that connects to somewhere with a body.
        let connect = headers(
            3,
            &[
                (":method", "CONNECT"),
                (":authority", "here"),
                ("content-length", "1"),
            ],
        );
        let all = [PREFACE, &SETTINGS, &call(), &connect].concat();
        let (_client, server) = connected(&all).await;
        let held = Arc::new(AtomicUsize::new(0));
        let services = Services::of(Routes::new(Holds(Arc::clone(&held))));
        let (_stop, stopped) = watch::channel(false);
        let before = held.load(Ordering::Relaxed);
        carry(server, services, AdsLimits::default(), stopped).await;
        assert!(before < held.load(Ordering::Relaxed), "the call did come");
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
