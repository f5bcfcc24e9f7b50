//! A service behind an Envoy: remembers what it was sent and answers as it is told.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sloop_model::Share;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Which requests fail is drawn, and is the same in every run.
const SEED: u64 = 42;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// The path and query.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
}

/// A running service. Dropping it ends it.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    status: StatusCode,
    /// The share of requests that are answered with 503 all the same.
    failing: Share,
    random: SmallRng,
    arrived: Vec<Arrived>,
}

impl Upstream {
    /// A service that answers 200.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("listening")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            status: StatusCode::OK,
            failing: Share::NONE,
            random: SmallRng::seed_from_u64(SEED),
            arrived: Vec::new(),
        }));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers with `status` from now on.
    pub fn answer(&self, status: StatusCode) {
        lock(&self.state).status = status;
    }

    /// Fails this share of requests from now on, each for itself.
    pub fn fail(&self, share: Share) {
        lock(&self.state).failing = share;
    }

    /// The requests that arrived since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Arrived> {
        std::mem::take(&mut lock(&self.state).arrived)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((connection, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = service_fn(move |request| {
            let answer = state_answer(&state, &request);
            async move { Ok::<_, Infallible>(answer) }
        });
        // A broken connection is the other side's business.
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(connection), service),
        );
    }
}

fn state_answer(state: &Mutex<State>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut state = lock(state);
    state.arrived.push(Arrived {
        path: request.uri().to_string(),
        headers: request.headers().clone(),
    });
    let mut response = Response::new(Full::new(Bytes::from_static(b"hello\n")));
    let draw = state.random.random_range(0..u16::from(Share::WHOLE));
    *response.status_mut() = if state.failing.includes(draw) {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        state.status
    };
    response
}

/// A panic elsewhere leaves whole values behind.
fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
