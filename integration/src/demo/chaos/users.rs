//! Users who order, and remember each order by its trace.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sloop_bench::{Arrivals, Call, Ending, Load};
use sloop_dataplane::TraceId;

/// A proper answer within this time is good; as the SLO of `edge` says.
const WITHIN: Duration = Duration::from_secs(1);
/// Longer than `edge` waits for anybody.
const USER_WAITS: Duration = Duration::from_secs(7);

/// One order.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Its trace.
    pub trace: TraceId,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Whether it failed or took longer than a second.
    pub is_bad: bool,
    /// Whether it failed.
    pub has_failed: bool,
}

/// Users who order, and what became of their orders.
#[derive(Debug)]
pub struct Users {
    load: Load,
    traces: Arc<[TraceId]>,
    asked: Orders,
}

/// What became of orders, also while more are sent.
#[derive(Clone, Debug, Default)]
pub struct Orders(Arc<Mutex<Vec<Asked>>>);

impl Orders {
    /// All orders that ended since the last call.
    #[must_use]
    pub fn taken(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Users {
    /// Users at `entry`, `rate` a second for `lasting`, whose traces are drawn from `seed`.
    ///
    /// # Errors
    ///
    /// When arrivals cannot be drawn.
    pub fn new(entry: SocketAddr, rate: f64, lasting: Duration, seed: u64) -> anyhow::Result<Self> {
        let drawn = Arrivals::poisson(rate, lasting, &[1], seed)?;
        let mut random = SmallRng::seed_from_u64(seed);
        let mut calls = Vec::new();
        let mut traces = Vec::new();
        for number in 0..drawn.as_slice().len() {
            let trace = TraceId {
                high: random.random(),
                low: random.random(),
            };
            calls.push(order(number, trace, random.random())?);
            traces.push(trace);
        }
        Ok(Self {
            load: Load {
                to: entry,
                calls: calls.into(),
                arrivals: Arrivals::at(drawn.as_slice().iter().map(|arrival| arrival.at)),
                timeout: USER_WAITS,
                note: None,
            },
            traces: traces.into(),
            asked: Orders::default(),
        })
    }

    /// Where orders are kept as they end.
    #[must_use]
    pub fn asked(&self) -> Orders {
        self.asked.clone()
    }

    /// Sends orders from `start` on. Dropping the future ends it.
    pub async fn run(&self, start: Instant) {
        let elapsed = start.elapsed();
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let began = since.saturating_sub(elapsed);
        let (traces, asked) = (Arc::clone(&self.traces), self.asked.clone());
        self.load
            .run(start, move |exchange| {
                let Some(trace) = traces.get(exchange.call) else {
                    return;
                };
                let at = began + exchange.at;
                let has_failed = exchange.ending != Ending::Status(200);
                let one = Asked {
                    trace: *trace,
                    at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
                    is_bad: has_failed || WITHIN < exchange.latency,
                    has_failed,
                };
                let mut asked = asked.0.lock().unwrap_or_else(PoisonError::into_inner);
                asked.push(one);
            })
            .await;
    }
}

fn order(number: usize, trace: TraceId, span: u64) -> anyhow::Result<Call> {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::HOST, HeaderValue::from_static("edge"));
    let key = format!("order-{number}");
    headers.insert("idempotency-key", HeaderValue::try_from(key)?);
    let parent = format!(
        "00-{:016x}{:016x}-{:016x}-03",
        trace.high,
        trace.low,
        span.max(1)
    );
    headers.insert("traceparent", HeaderValue::try_from(parent)?);
    Ok(Call {
        route: Arc::from("order"),
        method: Method::POST,
        path: "/checkout".to_owned(),
        headers,
        body: Bytes::new(),
    })
}
