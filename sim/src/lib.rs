//! A whole system in virtual time: traffic, sidecars with the real data plane,
//! reports that take a while, the real controllers, pushes that take a while.
//!
//! No sockets, no sleeping, no clock: an hour takes about a second, and the same
//! seed always gives the same run. What it leaves out: Envoy, the wire formats
//! and the store; the tests on real Envoys have those.

#![expect(
    clippy::expect_used,
    reason = "a harness: a scenario that makes no sense must fail at once"
)]

mod control;
pub mod goodput;
mod sidecar;
mod told;

use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sloop_controllers::Observation;
use sloop_dataplane::{Ending, Exchange};
use sloop_model::{FilterConfig, Time, WallTime};

use control::Control;
use sidecar::{Answer, Sidecar};
pub use sidecar::{Change, Tally};

/// The service that all sidecars belong to.
pub const SERVICE: &str = "payments";
/// Reports and pushes take this long, at least and at most.
const DELAY: core::ops::Range<Duration> = Duration::from_millis(2)..Duration::from_millis(50);
/// How often the control plane steps: as often as the process does when reports come in.
const STEP: Duration = Duration::from_millis(100);
/// Some moment; leases lie on a grid of wall time, so it is not a round one.
const BEGIN: WallTime = WallTime::from_millis(1_700_000_123_456);

/// What the service behind one sidecar does with requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Upstream {
    /// The share of requests that fail, `0.0..=1.0`.
    pub failing: f64,
    /// The share of requests with the header [`STUMBLE`] that fail besides, `0.0..=1.0`.
    pub stumbling: f64,
    /// The mean latency; it is exponentially distributed above half of it.
    pub latency: Duration,
}

/// The header over which services stumble: a fault that sets it has an effect that is known.
pub const STUMBLE: &str = "x-stumble";

/// The system.
#[derive(Debug)]
pub struct Sim {
    now: Duration,
    random: SmallRng,
    events: BTreeMap<(Duration, u64), Event>,
    scheduled: u64,
    sidecars: Vec<Sidecar>,
    control: Control,
    is_up: bool,
    is_reporting: bool,
}

#[derive(Debug)]
enum Event {
    Arrive {
        sidecar: usize,
    },
    End {
        sidecar: usize,
        exchange: Box<Exchange>,
        ending: Ending,
    },
    Wake {
        sidecar: usize,
    },
    Report {
        sidecar: usize,
        sequence: u64,
        observation: Box<Observation>,
    },
    Answer {
        sidecar: usize,
        sequence: u64,
        is_taken: bool,
    },
    Push {
        sidecar: usize,
        config: Rc<FilterConfig>,
    },
    Step,
}

impl Sim {
    /// A system with one sidecar per entry of `rates` (requests per second), and nothing declared.
    #[must_use]
    pub fn new(seed: u64, rates: &[f64]) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let sidecars = rates
            .iter()
            .zip(0..)
            .map(|(rate, number)| Sidecar::new(number, *rate, random.random()))
            .collect();
        let mut sim = Self {
            now: Duration::ZERO,
            random,
            events: BTreeMap::new(),
            scheduled: 0,
            sidecars,
            control: Control::default(),
            is_up: true,
            is_reporting: true,
        };
        for sidecar in 0..sim.sidecars.len() {
            sim.next_arrival(sidecar);
        }
        sim.after(Duration::ZERO, Event::Step);
        sim
    }

    /// Declares an intent, as JSON.
    ///
    /// # Panics
    ///
    /// When no controller takes it.
    #[must_use]
    pub fn intent(mut self, id: &str, kind: &str, body: &serde_json::Value) -> Self {
        self.control.declare(id, kind, &body.to_string());
        self
    }

    /// Changes what all upstreams do.
    pub fn upstreams(&mut self, upstream: Upstream) {
        for sidecar in &mut self.sidecars {
            sidecar.upstream = upstream;
        }
    }

    /// Changes with which status requests fail that do, 500 at first.
    pub fn fails_with(&mut self, status: u16) {
        for sidecar in &mut self.sidecars {
            sidecar.fails_with = status;
        }
    }

    /// Changes what one upstream does.
    ///
    /// # Panics
    ///
    /// When there is no such sidecar.
    pub fn upstream(&mut self, sidecar: usize, upstream: Upstream) {
        self.sidecars
            .get_mut(sidecar)
            .expect("the scenario names a sidecar that there is")
            .upstream = upstream;
    }

    /// Changes how many requests per second come to each sidecar, from its next one on.
    pub fn rates(&mut self, rate: f64) {
        for sidecar in &mut self.sidecars {
            sidecar.rate = rate;
        }
    }

    /// Kills the control plane, or starts it with nothing but its store.
    pub fn control_plane(&mut self, is_up: bool) {
        if is_up && !self.is_up {
            self.control.restart();
            self.after(Duration::ZERO, Event::Step);
        }
        self.is_up = is_up;
    }

    /// Lets reports be lost on their way, or arrive again.
    pub const fn reporting(&mut self, is_reporting: bool) {
        self.is_reporting = is_reporting;
    }

    /// Runs for `length`, and returns what happened to the requests that ended in it.
    pub fn run(&mut self, length: Duration) -> Tally {
        let before = self.total();
        let end = self.now + length;
        while let Some(entry) = self.events.first_entry() {
            let (at, _) = *entry.key();
            if end < at {
                break;
            }
            let event = entry.remove();
            self.now = at;
            self.happen(event);
        }
        self.now = end;
        self.total() - before
    }

    fn happen(&mut self, event: Event) {
        let (time, wall) = (self.time(), self.wall());
        match event {
            Event::Arrive { sidecar } => self.arrive(sidecar),
            Event::End {
                sidecar,
                exchange,
                ending,
            } => {
                if let Some(one) = self.sidecars.get_mut(sidecar) {
                    one.end(*exchange, ending, time);
                }
                self.wake_in_time(sidecar);
            }
            Event::Wake { sidecar } => self.wake(sidecar),
            Event::Report {
                sidecar,
                sequence,
                observation,
            } => {
                let is_taken = self.is_up && self.is_reporting;
                if is_taken {
                    self.control.receive(*observation, sidecar, self.now, wall);
                }
                let delay = self.random.random_range(DELAY);
                self.after(
                    delay,
                    Event::Answer {
                        sidecar,
                        sequence,
                        is_taken,
                    },
                );
            }
            Event::Answer {
                sidecar,
                sequence,
                is_taken,
            } => {
                if let Some(one) = self.sidecars.get_mut(sidecar) {
                    one.answer(sequence, is_taken, time);
                }
                self.wake_in_time(sidecar);
            }
            Event::Push { sidecar, config } => {
                if let Some(one) = self.sidecars.get_mut(sidecar) {
                    one.configure(&config, time, wall);
                }
                self.wake_in_time(sidecar);
            }
            Event::Step => self.step(wall),
        }
    }

    fn step(&mut self, wall: WallTime) {
        if !self.is_up {
            return;
        }
        if let Some(config) = self.control.step(wall) {
            for sidecar in 0..self.sidecars.len() {
                let delay = self.random.random_range(DELAY);
                let config = Rc::clone(&config);
                self.after(delay, Event::Push { sidecar, config });
            }
        }
        self.after(STEP, Event::Step);
    }

    fn arrive(&mut self, sidecar: usize) {
        let (time, wall) = (self.time(), self.wall());
        if let Some(one) = self.sidecars.get_mut(sidecar)
            && let Answer::Later {
                exchange,
                ending,
                latency,
            } = one.arrive(&mut self.random, time, wall)
        {
            let exchange = Box::new(exchange);
            self.after(
                latency,
                Event::End {
                    sidecar,
                    exchange,
                    ending,
                },
            );
        }
        self.wake_in_time(sidecar);
        self.next_arrival(sidecar);
    }

    fn wake(&mut self, sidecar: usize) {
        let time = self.time();
        let report = self
            .sidecars
            .get_mut(sidecar)
            .and_then(|one| one.wake(time));
        if let Some((sequence, observation)) = report {
            let delay = self.random.random_range(DELAY);
            let observation = Box::new(observation);
            self.after(
                delay,
                Event::Report {
                    sidecar,
                    sequence,
                    observation,
                },
            );
        }
        self.wake_in_time(sidecar);
    }

    /// Arrivals are a Poisson process: nobody waits for anybody.
    fn next_arrival(&mut self, sidecar: usize) {
        let rate = self.sidecars.get(sidecar).map_or(0.0, |one| one.rate);
        if 0.0 < rate {
            let wait = exponential(&mut self.random) / rate;
            self.after(Duration::from_secs_f64(wait), Event::Arrive { sidecar });
        }
    }

    /// Makes sure that the sidecar is woken when it wants to.
    fn wake_in_time(&mut self, sidecar: usize) {
        let now = self.now;
        let wanted = self.sidecars.get_mut(sidecar).and_then(Sidecar::wants_wake);
        if let Some(at) = wanted {
            let wait = Duration::from_nanos(at.as_nanos()).saturating_sub(now);
            self.after(wait, Event::Wake { sidecar });
        }
    }

    fn after(&mut self, wait: Duration, event: Event) {
        self.scheduled += 1;
        self.events.insert((self.now + wait, self.scheduled), event);
    }

    fn time(&self) -> Time {
        Time::default().after(self.now)
    }

    fn wall(&self) -> WallTime {
        BEGIN.after(self.now)
    }
}

/// A draw from the exponential distribution with mean 1.
fn exponential(random: &mut SmallRng) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}
