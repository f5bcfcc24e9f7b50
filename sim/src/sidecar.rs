//! One sidecar: the memory of one real Wasm VM, and the service behind it.

mod observe;

use core::ops::{Add, Sub};
use core::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;
use sloop_controllers::{BreakerCause, BreakerState, Observation};
use sloop_dataplane::retry::NO_RETRIES;
use sloop_dataplane::{
    Arrival, Begun, Claim, Ending, Exchange, HeaderMap, HeaderWrite, Plane, Request, Verdict,
};
use sloop_model::{Criticality, FaultEnding, FilterConfig, Flags, Side, Time, WallTime};

use super::{STUMBLE, Upstream, exponential};
use observe::observation;

/// What happened to requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Served by the service.
    pub served: u64,
    /// Failed by the service.
    pub failed: u64,
    /// Refused by a breaker.
    pub refused: u64,
    /// Answered as a fault.
    pub faulted: u64,
}

/// A change of a breaker, as reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub sidecar: usize,
    /// When, since the beginning.
    pub at: Duration,
    /// The state that it changed to.
    pub to: BreakerState,
    /// Why.
    pub cause: BreakerCause,
}

/// One sidecar.
#[derive(Debug)]
pub(super) struct Sidecar {
    name: String,
    side: Side,
    plane: Plane,
    pub(super) rate: f64,
    pub(super) upstream: Upstream,
    /// The status of what fails.
    pub(super) fails_with: u16,
    pub(super) tally: Tally,
    arrived: u32,
    /// Whether the newest request has the header over which services stumble.
    stumbles: bool,
    /// Whether the newest request may not be tried again.
    pub(super) is_final: bool,
    /// The wake-up that is already on its way.
    wakes_at: Option<Time>,
}

/// What a request says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    /// How much it matters.
    pub(super) class: Option<Criticality>,
    /// Which attempt of its caller's Envoy it is.
    pub(super) attempt: Option<u32>,
}

/// What became of a request that arrived.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is over.
    Now,
    /// The service answers later.
    Later {
        exchange: Exchange,
        ending: Ending,
        latency: Duration,
    },
}

impl Sidecar {
    pub(super) fn new(number: u32, rate: f64, [a, b, c, d]: [u64; 4]) -> Self {
        Self {
            name: format!("node-{number}"),
            side: Side::Server,
            plane: Plane::new([a, b, c, d, 0]),
            rate,
            upstream: Upstream {
                failing: 0.0,
                stumbling: 0.0,
                latency: Duration::from_millis(10),
            },
            fails_with: 500,
            tally: Tally::default(),
            arrived: 0,
            stumbles: false,
            is_final: false,
            wakes_at: None,
        }
    }

    /// The same, where requests go out.
    pub(super) fn of_caller(self) -> Self {
        Self {
            side: Side::Client,
            ..self
        }
    }

    pub(super) fn configure(&mut self, config: &FilterConfig, now: Time, wall: WallTime) {
        self.plane.sync(now, wall);
        self.plane.configure(config, now);
    }

    pub(super) fn arrive(&mut self, random: &mut SmallRng, now: Time, wall: WallTime) -> Answer {
        let (trace, span): (u128, u64) = (random.random(), random.random());
        let Some((exchange, verdict)) = self.begin((trace, span), Said::default(), (now, wall))
        else {
            return Answer::Now;
        };
        let status = match verdict {
            // The simulation has no clock for held requests: its faults abort.
            Verdict::Pass | Verdict::Hold => None,
            Verdict::Refuse { .. } => {
                self.tally.refused += 1;
                Some(503)
            }
            Verdict::Shed | Verdict::RefuseRetry | Verdict::Block { .. } | Verdict::Late => {
                self.tally.refused += 1;
                Some(503)
            }
            Verdict::End(ending) => {
                self.tally.faulted += 1;
                match ending {
                    FaultEnding::Abort { status } => Some(status),
                    FaultEnding::AbortGrpc { .. } => Some(200),
                    FaultEnding::Reset => Some(0),
                }
            }
        };
        if let Some(status) = status {
            let _ = self.plane.end(exchange, answered(status), now);
            return Answer::Now;
        }
        let mean = self.upstream.latency;
        let latency = mean / 2 + (mean / 2).mul_f64(exponential(random));
        let Upstream {
            failing, stumbling, ..
        } = self.upstream;
        let failing = if self.stumbles {
            failing + stumbling - failing * stumbling
        } else {
            failing
        };
        let ending = answered(if random.random_bool(failing) {
            self.fails_with
        } else {
            200
        });
        Answer::Later {
            exchange,
            ending,
            latency,
        }
    }

    /// A request of `trace`, with a span of its own, and with what it says of itself.
    pub(super) fn begin(
        &mut self,
        (trace, span): (u128, u64),
        said: Said,
        (now, wall): (Time, WallTime),
    ) -> Option<(Exchange, Verdict)> {
        self.plane.sync(now, wall);
        self.arrived = self.arrived.wrapping_add(1);
        let headers = get("/pay", &format!("00-{trace:032x}-{span:016x}-03"), said);
        let request = Request::read(HeaderMap::new(&headers));
        let arrival = Arrival {
            request: &request,
            context: self.arrived,
            joined: None,
            now,
        };
        let Claim::Scope(scope) = self.plane.claim(self.side, &request) else {
            return None;
        };
        let (stumbles, is_final) = (&mut self.stumbles, &mut self.is_final);
        (*stumbles, *is_final) = (false, false);
        let begun = self
            .plane
            .begin(self.side, scope, &arrival, |write| match write {
                HeaderWrite::Set(name, _) => {
                    *stumbles |= name == STUMBLE;
                    *is_final |= name == NO_RETRIES.0;
                }
                HeaderWrite::Remove(_) => {}
            });
        let Begun {
            exchange, verdict, ..
        } = begun?;
        Some((exchange, verdict))
    }

    /// A request is over, whoever answered it.
    pub(super) fn finish(&mut self, exchange: Exchange, status: u16, now: Time) {
        let _ = self.plane.end(exchange, answered(status), now);
    }

    /// As [`Self::finish`], after so many attempts that the Envoy of this sidecar made.
    pub(super) fn finish_tried(
        &mut self,
        mut exchange: Exchange,
        (status, attempts): (u16, u32),
        now: Time,
    ) {
        let mut ending = answered(status);
        if 500 <= status {
            ending.flags.0 |= Flags::RETRIED_OUT.0;
        }
        if self.plane.asks_attempts(&exchange, &ending) {
            exchange.attempted(attempts);
        }
        let _ = self.plane.end(exchange, ending, now);
    }

    pub(super) fn end(&mut self, exchange: Exchange, ending: Ending, now: Time) {
        if ending.status == Some(200) {
            self.tally.served += 1;
        } else {
            self.tally.failed += 1;
        }
        let _ = self.plane.end(exchange, ending, now);
    }

    /// The report that is due, with its sequence.
    pub(super) fn wake(&mut self, now: Time) -> Option<(u64, Observation)> {
        self.wakes_at = None;
        if self.plane.shares(now) {
            // A sidecar here has one worker, alone on its board.
            let _ = self.plane.exchange_board(b"", now);
        }
        let report = self.plane.report(1, now)?;
        Some((report.sequence, observation(&self.name, report)))
    }

    pub(super) fn answer(&mut self, sequence: u64, is_taken: bool, now: Time) {
        if is_taken {
            self.plane.acknowledge(sequence);
        } else {
            self.plane.lose(sequence, now);
        }
    }

    /// When to be woken, if no wake-up that early is on its way.
    pub(super) fn wants_wake(&mut self) -> Option<Time> {
        let wanted = self.plane.wake_at()?;
        let is_late = self.wakes_at.is_none_or(|at| wanted < at);
        is_late.then(|| {
            self.wakes_at = Some(wanted);
            wanted
        })
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            served: self.served + other.served,
            failed: self.failed + other.failed,
            refused: self.refused + other.refused,
            faulted: self.faulted + other.faulted,
        }
    }
}

impl Sub for Tally {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            served: self.served - other.served,
            failed: self.failed - other.failed,
            refused: self.refused - other.refused,
            faulted: self.faulted - other.faulted,
        }
    }
}

/// The header map of a request, as the host serialises it.
fn get(path: &str, traceparent: &str, said: Said) -> Vec<u8> {
    let mut headers: Vec<(&str, &[u8])> = vec![
        (":method", b"GET"),
        (":authority", super::SERVICE.as_bytes()),
        (":path", path.as_bytes()),
        ("traceparent", traceparent.as_bytes()),
    ];
    let class = said
        .class
        .map(|class| format!("sloop=1.c{}", class.index()));
    if let Some(class) = &class {
        headers.push(("tracestate", class.as_bytes()));
    }
    let attempt = said.attempt.map(|attempt| attempt.to_string());
    if let Some(attempt) = &attempt {
        headers.push(("x-envoy-attempt-count", attempt.as_bytes()));
    }
    sloop_dataplane::serialised(&headers)
}

fn answered(status: u16) -> Ending {
    // Envoy itself answers for a service that does not in time, and says so.
    let flags = match status {
        504 => Flags::named("UT"),
        _ => None,
    };
    Ending {
        status: Some(status),
        flags: flags.unwrap_or_default(),
        grpc: None,
    }
}
