//! Open-loop load over plain sockets, for latency to the microsecond.
//!
//! As [`crate::Load`], requests start when a schedule says so and their latency counts from
//! then. But each connection has a thread that blocks in `read`, and nothing is
//! between it and the kernel: no runtime, no timer wheel, no parser beyond where
//! an answer ends. That makes the floor lower and, what matters more, the same for
//! all that is compared.
//!
//! A request that finds no connection free waits for one, and its latency goes on meanwhile. How late
//! the generator itself was is in [`Slice::late`]; whoever reports looks at it.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::Arrivals;
use crate::closed::{Broken, Connection};

/// Between being asked and the first request, so that it is not late by being asked.
const LEAD: Duration = Duration::from_millis(2);

/// After the last request was sent: longer than any answer takes.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// What is longer counts as this long.
const LONGEST_NS: u64 = 60_000_000_000;

/// What one run of a schedule came to. Histograms are in nanoseconds, exact to three digits.
#[derive(Clone, Debug)]
pub struct Slice {
    /// From the intended start of each request to the last byte of its answer.
    pub latency: Histogram<u64>,
    /// From the intended start of each request to the moment at which the generator came to it.
    pub late: Histogram<u64>,
    /// Requests that found no connection free.
    pub waited: u64,
}

impl Default for Slice {
    fn default() -> Self {
        Self {
            latency: empty(),
            late: empty(),
            waited: 0,
        }
    }
}

impl Slice {
    /// Adds what another came to.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, so nothing can be out of them.
        self.latency.add(&other.latency).ok();
        self.late.add(&other.late).ok();
        self.waited += other.waited;
    }
}

/// Connections to one address, each with at most one request under way. Dropping it ends them.
#[derive(Debug)]
pub struct Open {
    shared: Arc<Shared>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    request: Vec<u8>,
    status: u16,
    writers: Vec<TcpStream>,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Connections without a request, the one that has been for longest first.
    idle: VecDeque<usize>,
    /// Requests without a connection, by when they were meant to start.
    waiting: VecDeque<Instant>,
    /// When the request of each connection was meant to start.
    under_way: Vec<Option<Instant>>,
    slice: Slice,
    broken: Option<Broken>,
}

impl Open {
    /// Opens `count` connections that will send `request` and expect answers with `status`.
    ///
    /// # Errors
    ///
    /// When one cannot be opened.
    pub fn connect(
        to: SocketAddr,
        count: usize,
        request: Vec<u8>,
        status: u16,
    ) -> std::io::Result<Self> {
        let connections = (0..count).map(|_| Connection::open(to));
        let connections: Vec<_> = connections.collect::<Result<_, _>>()?;
        let writers = connections.iter().map(Connection::writer);
        let shared = Arc::new(Shared {
            request,
            status,
            writers: writers.collect::<Result<_, _>>()?,
            state: Mutex::new(State {
                idle: (0..count).collect(),
                under_way: vec![None; count],
                ..State::default()
            }),
            ended: Condvar::new(),
        });
        let readers = connections.into_iter().enumerate();
        let readers = readers.map(|(index, connection)| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("reader {index}"))
                .spawn(move || shared.read_on(index, connection))
        });
        Ok(Self {
            readers: readers.collect::<Result<_, _>>()?,
            shared,
        })
    }

    /// Starts every request at its time, and returns when all were answered.
    ///
    /// # Errors
    ///
    /// When one was not, or with another status. The connections are useless then.
    pub fn run(&mut self, arrivals: &Arrivals) -> Result<Slice, Broken> {
        self.shared.state().slice = Slice::default();
        let start = Instant::now() + LEAD;
        for arrival in arrivals.as_slice() {
            let meant = start + arrival.at;
            let wait = meant.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            self.shared.start(meant)?;
        }
        self.shared.wait(arrivals.as_slice().len())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        for writer in &self.shared.writers {
            // One that is closed already has no reader any more.
            drop(writer.shutdown(Shutdown::Both));
        }
        for reader in self.readers.drain(..) {
            // It cannot crash.
            drop(reader.join());
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request that was meant to start then, or has it wait for a connection.
    fn start(&self, meant: Instant) -> Result<(), Broken> {
        let free = {
            let mut state = self.state();
            if let Some(broken) = state.broken.take() {
                return Err(broken);
            }
            record(&mut state.slice.late, meant.elapsed());
            let free = state.idle.pop_front();
            match free {
                Some(index) => state.carries(index, meant),
                None => {
                    state.slice.waited += 1;
                    state.waiting.push_back(meant);
                }
            }
            free
        };
        free.map_or(Ok(()), |index| self.write(index))
    }

    fn write(&self, index: usize) -> Result<(), Broken> {
        let mut writer = self.writers.get(index).ok_or(Broken::Closed)?;
        Ok(writer.write_all(&self.request)?)
    }

    /// Waits until `count` requests were answered, and takes what they came to.
    fn wait(&self, count: usize) -> Result<Slice, Broken> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let is_under_way =
            |state: &mut State| state.broken.is_none() && state.slice.latency.len() < count;
        let (mut state, waited) = self
            .ended
            .wait_timeout_while(self.state(), ANSWERS_WITHIN, is_under_way)
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(broken) = state.broken.take() {
            return Err(broken);
        }
        if waited.timed_out() {
            return Err(Broken::Closed);
        }
        Ok(std::mem::take(&mut state.slice))
    }

    /// Reads answers until the connection ends.
    fn read_on(&self, index: usize, mut connection: Connection) {
        loop {
            let read = connection.read().and_then(|answer| {
                let now = Instant::now();
                answer.expect(self.status)?;
                Ok(now)
            });
            let next = match read {
                Ok(now) => self.end(index, now),
                Err(broken) => return self.fail(broken),
            };
            if let Next::Write = next
                && let Err(broken) = self.write(index)
            {
                return self.fail(broken);
            }
        }
    }

    /// A connection has its answer; one that waits takes it over.
    fn end(&self, index: usize, now: Instant) -> Next {
        let mut state = self.state();
        if let Some(meant) = state.under_way.get_mut(index).and_then(Option::take) {
            record(
                &mut state.slice.latency,
                now.saturating_duration_since(meant),
            );
        }
        let next = match state.waiting.pop_front() {
            Some(meant) => {
                state.carries(index, meant);
                Next::Write
            }
            None => {
                state.idle.push_back(index);
                Next::Rest
            }
        };
        drop(state);
        self.ended.notify_one();
        next
    }

    fn fail(&self, broken: Broken) {
        self.state().broken.get_or_insert(broken);
        self.ended.notify_one();
    }
}

/// What a connection does after an answer.
enum Next {
    Write,
    Rest,
}

impl State {
    fn carries(&mut self, index: usize, meant: Instant) {
        if let Some(under_way) = self.under_way.get_mut(index) {
            *under_way = Some(meant);
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "the bounds are as the library wants them"
)]
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("1 < 2 x 1 < a minute, and three digits")
}

fn record(into: &mut Histogram<u64>, latency: Duration) {
    let ns = u64::try_from(latency.as_nanos()).unwrap_or(LONGEST_NS);
    into.saturating_record(ns.min(LONGEST_NS));
}

#[cfg(test)]
mod tests;
