//! The service behind a real Envoy: hosts with a limited number of workers and a queue, as in virtual time.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sloop_sim::goodput::{HOSTS, Health, Story};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::SERVED;
use super::live::{ROOM, SERVICE, WORKERS};
use crate::server::{Cut, Reply, serve};

/// Running hosts. Dropping them ends them.
#[derive(Debug)]
pub(super) struct Hosts {
    addresses: Vec<SocketAddr>,
    start: Arc<OnceLock<Instant>>,
    serving: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Host {
    number: usize,
    health: fn(usize, f64) -> Health,
    start: Arc<OnceLock<Instant>>,
    workers: Semaphore,
    inside: AtomicUsize,
    seed: u64,
    asked: AtomicUsize,
}

impl Hosts {
    pub(super) async fn start(story: &Story, seed: u64) -> anyhow::Result<Self> {
        let start = Arc::new(OnceLock::new());
        let mut hosts = Self {
            addresses: Vec::new(),
            start: Arc::clone(&start),
            serving: Vec::new(),
        };
        for number in 0..HOSTS {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            hosts.addresses.push(listener.local_addr()?);
            let host = Arc::new(Host {
                number,
                health: story.health,
                start: Arc::clone(&start),
                workers: Semaphore::new(WORKERS),
                inside: AtomicUsize::new(0),
                seed,
                asked: AtomicUsize::new(0),
            });
            hosts.serving.push(tokio::spawn(serve(listener, move |_| {
                let host = Arc::clone(&host);
                // Who gave up does not stop the work.
                let work = tokio::spawn(async move { host.answer().await });
                async move { work.await.unwrap_or(Err(Cut)) }
            })));
        }
        Ok(hosts)
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The story begins at `at`.
    pub(super) fn begin(&self, at: Instant) {
        self.start.set(at).ok();
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for serving in &self.serving {
            serving.abort();
        }
    }
}

impl Host {
    async fn answer(&self) -> Result<Reply, Cut> {
        let second = self
            .start
            .get()
            .map_or(0.0, |at| at.elapsed().as_secs_f64());
        let health = (self.health)(self.number, second);
        if health.is_down {
            return Err(Cut);
        }
        if ROOM <= self.inside.fetch_add(1, Ordering::Relaxed) {
            self.inside.fetch_sub(1, Ordering::Relaxed);
            return Ok(reply(StatusCode::SERVICE_UNAVAILABLE));
        }
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let mut random =
            SmallRng::seed_from_u64(self.seed ^ ((asked * HOSTS + self.number) as u64) << 8);
        let needs = SERVICE.mul_f64(-(1.0 - random.random::<f64>()).ln() * health.slowness);
        if let Ok(worker) = self.workers.acquire().await {
            tokio::time::sleep(needs).await;
            drop(worker);
        }
        self.inside.fetch_sub(1, Ordering::Relaxed);
        if health.extra != Duration::ZERO {
            tokio::time::sleep(health.extra).await;
        }
        Ok(reply(if random.random_bool(health.failing) {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::OK
        }))
    }
}

fn reply(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from_static(b"ok\n")));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(SERVED, http::HeaderValue::from_static("1"));
    reply
}
