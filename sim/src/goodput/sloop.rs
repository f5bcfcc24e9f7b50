//! Sloop: the real data plane in each proxy, and the real controllers beside them.
//!
//! Declared is an SLO that acts, [`TARGET_BILLIONTHS`] answered within [`super::OBJECTIVE`], and nothing else. All
//! numbers are derived from it.

use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use sloop_controllers::Observation;
use sloop_dataplane::Verdict;
use sloop_model::{FilterConfig, Side, Time, WallTime};

use super::guard::{Admitted, Attempt, Ended, Guard, PROXIES, Pass};
use crate::control::Control;
use crate::sidecar::{Said, Sidecar};
use crate::{BEGIN, DELAY, SERVICE, STEP};

/// 99 %, as an SLO about latency often has it.
const TARGET_BILLIONTHS: u32 = 990_000_000;

/// The proxies' filters and the control plane.
#[derive(Debug)]
pub(super) struct Sloop {
    proxies: Vec<Sidecar>,
    control: Control,
    events: BTreeMap<(Duration, u64), Event>,
    scheduled: u64,
    random: SmallRng,
}

#[derive(Debug)]
enum Event {
    Wake(usize),
    Report(usize, u64, Box<Observation>),
    Answer(usize, u64),
    Push(usize, Rc<FilterConfig>),
    Step,
}

impl Sloop {
    pub(super) fn new(seed: u64, control: Control) -> Self {
        let mut random = SmallRng::seed_from_u64(seed ^ 0x0051_000b);
        let proxies = (0..PROXIES)
            .zip(0..)
            .map(|(_, number)| Sidecar::new(number, 0.0, random.random()))
            .map(|sidecar| match control.side() {
                Side::Server => sidecar,
                Side::Client => sidecar.of_caller(),
            })
            .collect();
        let mut sloop = Self {
            proxies,
            control,
            events: BTreeMap::new(),
            scheduled: 0,
            random,
        };
        sloop.at(Duration::ZERO, Event::Step);
        sloop
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }

    /// Over the network.
    fn send(&mut self, now: Duration, event: Event) {
        let delay = self.random.random_range(DELAY);
        self.at(now + delay, event);
    }

    fn happen(&mut self, event: Event, now: Duration) {
        match event {
            Event::Wake(proxy) => {
                if let Some((sequence, report)) = self.proxies[proxy].wake(time(now)) {
                    self.send(now, Event::Report(proxy, sequence, Box::new(report)));
                }
            }
            Event::Report(proxy, sequence, report) => {
                self.control.receive(*report, proxy, now, wall(now));
                self.send(now, Event::Answer(proxy, sequence));
            }
            Event::Answer(proxy, sequence) => {
                self.proxies[proxy].answer(sequence, true, time(now));
            }
            Event::Push(proxy, config) => {
                self.proxies[proxy].configure(&config, time(now), wall(now));
            }
            Event::Step => {
                if let Some(config) = self.control.step(wall(now)) {
                    for proxy in 0..PROXIES {
                        self.send(now, Event::Push(proxy, Rc::clone(&config)));
                    }
                }
                self.at(now + STEP, Event::Step);
            }
        }
        for proxy in 0..PROXIES {
            self.wake_in_time(proxy, now);
        }
    }

    fn wake_in_time(&mut self, proxy: usize, now: Duration) {
        if let Some(at) = self.proxies[proxy].wants_wake() {
            let at = Duration::from_nanos(at.as_nanos()).max(now);
            self.at(at, Event::Wake(proxy));
        }
    }
}

impl Guard for Sloop {
    fn admit(&mut self, attempt: &Attempt, random: &mut SmallRng, now: Duration) -> Admitted {
        let said = Said {
            class: Some(attempt.class),
            attempt: (!self.is_before_retries()).then_some(attempt.number),
        };
        let proxy = &mut self.proxies[attempt.proxy];
        let ids = (attempt.trace, random.random());
        let begun = proxy.begin(ids, said, (time(now), wall(now)));
        let pass = Pass::through(attempt.proxy);
        let Some((exchange, verdict)) = begun else {
            return Admitted::Passes(pass);
        };
        let admitted = match verdict {
            Verdict::Pass | Verdict::Hold => Admitted::Passes(Pass {
                exchange: Some(exchange),
                is_final: proxy.is_final,
                ..pass
            }),
            Verdict::RefuseRetry => {
                proxy.finish(exchange, 503, time(now));
                Admitted::RefusedForGood
            }
            Verdict::Refuse { .. }
            | Verdict::Shed
            | Verdict::Block { .. }
            | Verdict::Late
            | Verdict::End(_) => {
                proxy.finish(exchange, 503, time(now));
                Admitted::Refused
            }
        };
        self.wake_in_time(attempt.proxy, now);
        admitted
    }

    fn end(&mut self, pass: Pass, ended: Ended, now: Duration) {
        if let Some(exchange) = pass.exchange {
            let proxy = &mut self.proxies[pass.proxy];
            match self.control.side() {
                Side::Server => proxy.finish(exchange, ended.status, time(now)),
                Side::Client => {
                    proxy.finish_tried(exchange, (ended.status, pass.attempts), time(now));
                }
            }
            self.wake_in_time(pass.proxy, now);
        }
    }

    fn is_before_retries(&self) -> bool {
        self.control.side() == Side::Client
    }

    fn wakes_at(&self) -> Option<Duration> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    fn wake(&mut self, now: Duration) {
        while let Some(first) = self.events.first_entry()
            && first.key().0 <= now
        {
            let event = first.remove();
            self.happen(event, now);
        }
    }
}

/// What the controllers have a filter do that starts at `now`.
#[must_use]
pub fn derived(now: WallTime) -> Option<FilterConfig> {
    declared()
        .step(now)
        .map(|config| FilterConfig::clone(&config))
}

/// An SLO that acts where requests come in.
pub(super) fn declared() -> Control {
    declared_by(Side::Server)
}

/// A retry budget at the callers, as such an SLO there implies.
pub(super) fn budget() -> Control {
    let mut control = Control::on(Side::Client);
    let document = json!({
        "name": "pay", "service": SERVICE, "route": "any", "side": "client",
        "retries": {"share": 1_440, "least": 3},
    });
    control.declare("LoadShedding/pay", "load_shed", &document.to_string());
    control
}

/// An SLO that acts on this side.
pub(super) fn declared_by(side: Side) -> Control {
    let mut control = Control::on(side);
    let slo = json!({
        "name": "pay",
        "service": SERVICE,
        "mode": "actionable",
        "window": {"rolling": 2_592_000_000_u64},
        "budgeting": "occurrences",
        "objectives": [{
            "target": TARGET_BILLIONTHS,
            "source": {
                "service": SERVICE, "route": "any", "side": side,
                "indicator": {"within_us": super::OBJECTIVE.as_micros()},
            },
        }],
    });
    control.declare("SLO/pay", "slo", &slo.to_string());
    control
}

fn time(now: Duration) -> Time {
    Time::default().after(now)
}

fn wall(now: Duration) -> WallTime {
    BEGIN.after(now)
}
