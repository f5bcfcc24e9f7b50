//! Asks all the time, pushes, and sees when a push is in force.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sloop_bench::closed::Closed;

use super::What;
use super::plane::{Plane, Statuses};
use crate::latency::lanes::request;

/// Between two questions: how finely a push is timed. Envoy's main thread runs meanwhile.
const EVERY: Duration = Duration::from_micros(200);
/// A push that is not in force by then never is.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(30);
/// Between two pushes, drawn from this range in milliseconds: the one before is acknowledged, and nothing falls into step.
const REST_MS: std::ops::Range<u64> = 30..60;
/// Questions while nothing is pushed.
const QUIET: usize = 300;

/// How long pushes took in milliseconds, and answers in nanoseconds, without pushes and during them.
type Times = (Vec<f64>, Vec<f64>, Vec<f64>);

/// The prober.
#[derive(Debug)]
pub(super) struct Prober {
    plane: Plane,
    addresses: [SocketAddr; 3],
    statuses: Statuses,
    request: Vec<u8>,
    random: SmallRng,
}

impl Prober {
    pub(super) fn new(plane: Plane, addresses: [SocketAddr; 3], seed: u64) -> Self {
        Self {
            plane,
            addresses,
            statuses: Statuses::default(),
            request: request(""),
            random: SmallRng::seed_from_u64(seed),
        }
    }

    /// Waits until each listener answers as the first snapshot says.
    pub(super) fn wait_until_all_answer(&mut self) -> anyhow::Result<()> {
        for what in What::ALL {
            let expected = self.status(what);
            let begun = Instant::now();
            // The third listener is not there at first.
            while Closed::connect(self.address(what), 1)
                .ok()
                .and_then(|mut it| it.ask(&self.request).ok())
                .is_none_or(|(status, _)| status != expected)
            {
                if IN_FORCE_WITHIN < begun.elapsed() {
                    bail!("the first {} is not in force", what.about());
                }
                std::thread::sleep(EVERY);
            }
        }
        Ok(())
    }

    /// Pushes `count` times.
    pub(super) fn pushes(&mut self, what: What, count: usize) -> anyhow::Result<Times> {
        let mut asker = Asker::connect(what, self.address(what), self.request.clone())?;
        let mut quiet_ns = Vec::new();
        for _ in 0..QUIET {
            quiet_ns.push(asker.ask()?.1);
            std::thread::sleep(EVERY);
        }
        let (mut all_ms, mut meanwhile_ns) = (Vec::new(), Vec::new());
        for _ in 0..count {
            std::thread::sleep(Duration::from_millis(self.random.random_range(REST_MS)));
            let expected = self.change(what);
            let begun = Instant::now();
            self.plane.publish(self.statuses, self.addresses)?;
            loop {
                let (status, took_ns) = asker.ask()?;
                meanwhile_ns.push(took_ns);
                if status == expected {
                    break;
                }
                if IN_FORCE_WITHIN < begun.elapsed() {
                    bail!("a push of {} is not in force", what.about());
                }
                std::thread::sleep(EVERY);
            }
            all_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        Ok((all_ms, quiet_ns, meanwhile_ns))
    }

    fn address(&self, what: What) -> SocketAddr {
        let [extension, routes, listener] = self.addresses;
        match what {
            What::Extension => extension,
            What::Routes => routes,
            What::Listener => listener,
        }
    }

    const fn status(&self, what: What) -> u16 {
        match what {
            What::Extension => self.statuses.extension,
            What::Routes => self.statuses.routes,
            What::Listener => self.statuses.listener,
        }
    }

    /// The other status of the two that take turns.
    const fn change(&mut self, what: What) -> u16 {
        let other = if self.status(what) == 503 { 504 } else { 503 };
        let status = match what {
            What::Extension => &mut self.statuses.extension,
            What::Routes => &mut self.statuses.routes,
            What::Listener => &mut self.statuses.listener,
        };
        *status = other;
        other
    }
}

/// One connection, or one for each question: a connection keeps the listener that it came to.
struct Asker {
    what: What,
    address: SocketAddr,
    request: Vec<u8>,
    closed: Closed,
}

impl Asker {
    fn connect(what: What, address: SocketAddr, request: Vec<u8>) -> anyhow::Result<Self> {
        Ok(Self {
            what,
            address,
            request,
            closed: Closed::connect(address, 1).context("connecting")?,
        })
    }

    /// The status of the answer, and how long it took in nanoseconds, without connecting.
    fn ask(&mut self) -> anyhow::Result<(u16, f64)> {
        if self.what == What::Listener {
            self.closed = Closed::connect(self.address, 1).context("connecting")?;
        }
        let begun = Instant::now();
        let (status, _) = self.closed.ask(&self.request)?;
        Ok((status, begun.elapsed().as_secs_f64() * 1e9))
    }
}
