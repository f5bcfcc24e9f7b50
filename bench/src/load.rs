//! The generator.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{HeaderMap, HeaderName, Method, Request};
use http_body_util::Full;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::quantile::{Quantile, quantile, record};
use crate::{Arrival, Arrivals, Ending, Pool};

/// One kind of request.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it is counted under.
    pub route: Arc<str>,
    /// Its method.
    pub method: Method,
    /// Its path and query, as sent.
    pub path: String,
    /// Its `Host` and whatever else goes with it.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// One request that ended.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Which call: an index into [`Load::calls`].
    pub call: usize,
    /// When it was meant to start, after the beginning of the load.
    pub at: Duration,
    /// From then to its end.
    pub latency: Duration,
    /// How it ended.
    pub ending: Ending,
    /// What its answer said in the header [`Load::note`].
    pub note: Option<String>,
}

/// How late the generator itself was: from the moment a request was meant to start to its being handed to a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Lateness {
    /// Of half of the requests at most, in microseconds.
    pub p50_us: u64,
    /// Of 99 % of the requests at most, in microseconds.
    pub p99_us: u64,
    /// At most, in microseconds.
    pub max_us: u64,
    /// Connections that were opened in all.
    pub connections: u64,
}

/// A load: what to send where and when.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where to.
    pub to: SocketAddr,
    /// Kinds of requests.
    pub calls: Arc<[Call]>,
    /// When, and which.
    pub arrivals: Arrivals,
    /// When to give up on a request, from the moment at which it was meant to start.
    pub timeout: Duration,
    /// A header of answers to keep.
    pub note: Option<HeaderName>,
}

impl Load {
    /// Starts every request at its time from `start` on, and returns when all have ended.
    ///
    /// `on_end` learns of each; it is called from many tasks and must be quick.
    /// Dropping the future ends the load.
    pub async fn run(
        &self,
        start: Instant,
        on_end: impl Fn(Exchange) + Send + Sync + 'static,
    ) -> Lateness {
        let shared = Arc::new(Shared {
            pool: Pool::new(self.to),
            calls: Arc::clone(&self.calls),
            timeout: self.timeout,
            note: self.note.clone(),
            late_us: Mutex::new(empty()),
            on_end,
        });
        let mut due = pace(start, self.arrivals.as_slice().to_vec());
        let mut running = JoinSet::new();
        while let Some(arrival) = due.recv().await {
            running.spawn(exchange(Arc::clone(&shared), start, arrival));
            while running.try_join_next().is_some() {}
        }
        while running.join_next().await.is_some() {}
        shared.lateness()
    }
}

struct Shared<F> {
    pool: Pool,
    calls: Arc<[Call]>,
    timeout: Duration,
    note: Option<HeaderName>,
    late_us: Mutex<Histogram<u64>>,
    on_end: F,
}

impl<F> Shared<F> {
    fn lateness(&self) -> Lateness {
        let late = self.late_us.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |share| quantile(&late, share).unwrap_or_default();
        Lateness {
            p50_us: at(Quantile::P50),
            p99_us: at(Quantile::P99),
            max_us: at(Quantile::MAX),
            connections: self.pool.opened(),
        }
    }
}

#[expect(clippy::expect_used, reason = "three digits are within 0..=5")]
fn empty() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are within 0..=5")
}

/// Hands each arrival over at its time.
///
/// A thread of its own sleeps, because the timer of the runtime has a
/// resolution of a millisecond and the system's has one of some 50 µs.
fn pace(start: Instant, arrivals: Vec<Arrival>) -> mpsc::UnboundedReceiver<Arrival> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for arrival in arrivals {
            let wait = (start + arrival.at).saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            if sender.send(arrival).is_err() {
                return;
            }
        }
    });
    receiver
}

async fn exchange<F>(shared: Arc<Shared<F>>, start: Instant, arrival: Arrival)
where
    F: Fn(Exchange) + Send + Sync,
{
    let Some(call) = shared.calls.get(arrival.call) else {
        return;
    };
    let meant = start + arrival.at;
    let late = Instant::now().saturating_duration_since(meant);
    record(
        &mut shared
            .late_us
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
        late,
    );
    let (ending, note) = send(&shared, call, meant).await;
    (shared.on_end)(Exchange {
        call: arrival.call,
        at: arrival.at,
        latency: meant.elapsed(),
        ending,
        note,
    });
}

async fn send<F>(shared: &Shared<F>, call: &Call, meant: Instant) -> (Ending, Option<String>) {
    let mut request = Request::new(Full::new(call.body.clone()));
    *request.method_mut() = call.method.clone();
    *request.headers_mut() = call.headers.clone();
    let Ok(uri) = call.path.parse() else {
        return (Ending::NotConnected, None);
    };
    *request.uri_mut() = uri;
    let give_up = tokio::time::Instant::from_std(meant + shared.timeout);
    match tokio::time::timeout_at(give_up, shared.pool.send(request)).await {
        Ok(Ok(answer)) => {
            let note = shared.note.as_ref().and_then(|name| {
                let value = answer.headers.get(name)?;
                Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
            });
            (Ending::Status(answer.status.as_u16()), note)
        }
        Ok(Err(failure)) => (Ending::from(&failure), None),
        Err(_elapsed) => (Ending::TimedOut, None),
    }
}
