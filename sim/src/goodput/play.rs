//! A story with a rival in it, from beginning to end.

use core::time::Duration;
use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sloop_model::Criticality;

use super::balance::Balancer;
use super::guard::{Admitted, Attempt, Ended, Guard, PROXIES, Pass};
use super::measure::Bins;
use super::rival::Rival;
use super::service::{HOSTS, Host};
use super::story::{Story, arrivals};

/// Before a caller tries again, on average.
const BACK_OFF: Duration = Duration::from_millis(50);

/// A run.
#[derive(Debug)]
struct Play<'a> {
    story: &'a Story,
    now: Duration,
    random: SmallRng,
    events: BTreeMap<(Duration, u64), Event>,
    scheduled: u64,
    hosts: [Host; HOSTS],
    balancers: [Balancer; PROXIES],
    guard: Box<dyn Guard>,
    /// The arrival that is next.
    next: usize,
    /// When requests come.
    times: Vec<Duration>,
    came: usize,
    bins: Bins,
}

/// What a caller wants.
#[derive(Clone, Copy, Debug)]
struct Request {
    came_at: Duration,
    attempt: Attempt,
}

#[derive(Debug)]
enum Event {
    Arrive,
    /// With what was let through already, where retries are made behind the guard.
    Try(Request, Option<Pass>),
    End(Box<(Request, Pass, usize, Ended)>),
    EmptyCaches,
}

/// Plays `story` with `rival` in all proxies. The same seed has the same arrivals for all rivals.
pub(super) fn play(story: &Story, rival: Rival, seed: u64) -> Bins {
    let mut play = Play {
        story,
        now: Duration::ZERO,
        random: SmallRng::seed_from_u64(seed),
        events: BTreeMap::new(),
        scheduled: 0,
        hosts: core::array::from_fn(|_| Host::new()),
        balancers: core::array::from_fn(|_| Balancer::new(rival.ejects())),
        guard: rival.guard(seed),
        next: 0,
        times: arrivals(story, seed ^ 0xa11),
        came: 0,
        bins: Bins::new(story.length),
    };
    if let Some(second) = story.cold_at {
        play.at(Duration::from_secs_f64(second), Event::EmptyCaches);
    }
    let mut words = SmallRng::seed_from_u64(seed ^ 0x0c1a_55e5);
    play.await_next();
    // What is under way at the end is let go: its bins are in nobody's windows.
    while let Some(first) = play.events.first_key_value() {
        let at = first.0.0;
        if let Some(wakes_at) = play.guard.wakes_at().filter(|wakes_at| *wakes_at <= at) {
            play.guard.wake(wakes_at);
            continue;
        }
        if story.length <= at {
            break;
        }
        play.now = at;
        if let Some((_, event)) = play.events.pop_first() {
            play.happen(event, &mut words);
        }
    }
    play.bins
}

impl Play<'_> {
    fn happen(&mut self, event: Event, words: &mut SmallRng) {
        match event {
            Event::Arrive => {
                let request = self.request(words);
                self.bins.offered(request.came_at, request.attempt.class);
                self.attempt(request, None);
                self.await_next();
            }
            Event::Try(request, pass) => self.attempt(request, pass),
            Event::End(ended) => {
                let (request, pass, host, ended) = *ended;
                self.balancers[pass.proxy].end(host, ended.is_success(), self.now);
                if ended.is_success() {
                    let latency = self.now - request.came_at;
                    self.bins
                        .answered(request.came_at, request.attempt.class, latency);
                    self.guard.end(pass, ended, self.now);
                } else {
                    self.failed(request, pass, ended);
                }
            }
            Event::EmptyCaches => self.hosts.iter_mut().for_each(Host::empty_cache),
        }
    }

    fn request(&mut self, words: &mut SmallRng) -> Request {
        self.came += 1;
        Request {
            came_at: self.now,
            attempt: Attempt {
                number: 0,
                proxy: self.came % PROXIES,
                trace: words.random(),
                class: class(words),
            },
        }
    }

    fn attempt(&mut self, mut request: Request, passed: Option<Pass>) {
        request.attempt.number += 1;
        let attempt = request.attempt;
        let admitted = match passed {
            Some(pass) => Admitted::Passes(pass),
            None => self.guard.admit(&attempt, &mut self.random, self.now),
        };
        let mut pass = match admitted {
            Admitted::Passes(pass) => pass,
            // Envoy tries nothing again that a filter answered in its place.
            Admitted::Refused if self.guard.is_before_retries() => {
                return self.bins.refused(request.came_at);
            }
            Admitted::Refused => {
                self.bins.refused(request.came_at);
                return self.try_again(request, None);
            }
            Admitted::RefusedForGood => return self.bins.refused(request.came_at),
        };
        pass.attempts += 1;
        let Some(host) = self.balancers[attempt.proxy].pick(self.now) else {
            self.bins.refused(request.came_at);
            let ended = Ended {
                status: 503,
                latency: Duration::ZERO,
            };
            return self.failed(request, pass, ended);
        };
        let health = (self.story.health)(host, self.now.as_secs_f64());
        let served = self.hosts[host].serve(&health, &mut self.random, self.now);
        let gives_up = self.now + self.story.timeout;
        let (at, status) = if gives_up < served.at {
            (gives_up, 504)
        } else {
            (served.at, served.status)
        };
        let latency = at - self.now;
        let ended = Box::new((request, pass, host, Ended { status, latency }));
        self.at(at, Event::End(ended));
    }

    /// An attempt failed: the guard learns of it, or of the last one that is made behind it.
    fn failed(&mut self, request: Request, pass: Pass, ended: Ended) {
        if !self.guard.is_before_retries() {
            self.guard.end(pass, ended, self.now);
            self.try_again(request, None);
        } else if pass.is_final || self.story.attempts <= request.attempt.number {
            self.guard.end(pass, ended, self.now);
        } else {
            self.try_again(request, Some(pass));
        }
    }

    fn try_again(&mut self, request: Request, passed: Option<Pass>) {
        if request.attempt.number < self.story.attempts {
            let wait = BACK_OFF / 2 + BACK_OFF.mul_f64(self.random.random());
            self.at(self.now + wait, Event::Try(request, passed));
        }
    }

    fn await_next(&mut self) {
        if let Some(at) = self.times.get(self.next).copied() {
            self.next += 1;
            self.at(at, Event::Arrive);
        }
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }
}

/// How much a request matters: a tenth may be shed, two tenths almost, six are critical, one is more.
pub fn class(random: &mut SmallRng) -> Criticality {
    match random.random_range(0..10) {
        0 => Criticality::Sheddable,
        1..3 => Criticality::SheddablePlus,
        3..9 => Criticality::Critical,
        _ => Criticality::CriticalPlus,
    }
}
