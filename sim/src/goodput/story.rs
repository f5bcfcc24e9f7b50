//! What happens to the service, and what it is asked.

use core::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::service::{Health, warming};
use crate::exponential;

/// Requests per second that healthy hosts serve together.
pub const CAPACITY: f64 = 1_200.0;
/// A usual load.
const USUAL: f64 = 700.0;

/// One story.
#[derive(Clone, Debug)]
pub struct Story {
    /// In a few words, for tables.
    pub name: &'static str,
    /// What happens, in a sentence.
    pub about: &'static str,
    /// How long it goes.
    pub length: Duration,
    /// From when to when there is trouble, in seconds.
    pub trouble: (f64, f64),
    /// When requests come.
    pub arrivals: Arrivals,
    /// How often a caller tries, in all.
    pub attempts: u32,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// What a host is like, by its number, at a second.
    pub health: fn(usize, f64) -> Health,
    /// The second at which all caches are empty.
    pub cold_at: Option<f64>,
    /// Requests per second that whoever knew everything would have served in time, if as many came; by the second.
    pub attainable: fn(f64) -> f64,
}

/// When requests come.
#[derive(Clone, Debug)]
pub enum Arrivals {
    /// So many per second, by the second; each by itself (Poisson).
    Rate(fn(f64) -> f64),
    /// At these times.
    Recorded(Vec<Duration>),
}

const WELL: fn(usize, f64) -> Health = |_, _| Health::WELL;

fn within(second: f64, from: f64, to: f64) -> bool {
    (from..to).contains(&second)
}

/// A story without trouble, to make others of.
const fn calm(name: &'static str, about: &'static str) -> Story {
    Story {
        name,
        about,
        length: Duration::from_secs(90),
        trouble: (20.0, 60.0),
        arrivals: Arrivals::Rate(|_| USUAL),
        attempts: 1,
        timeout: Duration::from_secs(1),
        health: WELL,
        cold_at: None,
        attainable: |_| CAPACITY,
    }
}

/// All of them but the one that is made of a recording.
#[must_use]
pub fn stories() -> Vec<Story> {
    let mut all = vec![health(), overload(), retry_storm(), partial_outage()];
    all.extend([grey_failure(), late_host(), outage(), flapping(), diurnal()]);
    all
}

fn health() -> Story {
    Story {
        length: Duration::from_secs(180),
        trouble: (180.0, 180.0),
        health: |_, _| Health {
            failing: 0.002,
            ..Health::WELL
        },
        ..calm(
            "health",
            "three minutes at 58 % of the capacity; 2 of 1,000 fail",
        )
    }
}

fn overload() -> Story {
    Story {
        arrivals: Arrivals::Rate(|second| {
            if within(second, 20.0, 60.0) {
                2.0 * CAPACITY
            } else {
                USUAL
            }
        }),
        ..calm(
            "overload",
            "twice what the service can, from one moment to the next, for 40 s",
        )
    }
}

fn retry_storm() -> Story {
    Story {
        trouble: (20.0, 80.0),
        length: Duration::from_secs(110),
        arrivals: Arrivals::Rate(|second| if second < 80.0 { 950.0 } else { 300.0 }),
        attempts: 3,
        timeout: Duration::from_millis(500),
        health: |_, second| Health {
            slowness: if within(second, 20.0, 23.0) { 4.0 } else { 1.0 },
            ..Health::WELL
        },
        attainable: |second| {
            if within(second, 20.0, 23.0) {
                CAPACITY / 4.0
            } else {
                CAPACITY
            }
        },
        ..calm(
            "retry storm",
            "slow for 3 s at 79 % of the capacity, then well again; callers try three times, and so keep it overloaded",
        )
    }
}

fn partial_outage() -> Story {
    Story {
        health: |_, second| Health {
            failing: if within(second, 20.0, 60.0) { 0.3 } else { 0.0 },
            ..Health::WELL
        },
        attainable: |second| {
            if within(second, 20.0, 60.0) {
                0.7 * USUAL
            } else {
                CAPACITY
            }
        },
        ..calm("partial outage", "30 % fail for 40 s, whatever the load")
    }
}

fn grey_failure() -> Story {
    Story {
        health: |host, second| Health {
            slowness: if host == 1 && within(second, 20.0, 60.0) {
                10.0
            } else {
                1.0
            },
            ..Health::WELL
        },
        ..calm(
            "grey failure",
            "one of three hosts is ten times slower for 40 s, and answers after callers gave up",
        )
    }
}

fn late_host() -> Story {
    Story {
        health: |host, second| Health {
            extra: Duration::from_millis(if host == 1 && within(second, 20.0, 60.0) {
                400
            } else {
                0
            }),
            ..Health::WELL
        },
        ..calm(
            "late host",
            "one of three hosts answers 400 ms later for 40 s: too late, but before callers give up",
        )
    }
}

fn outage() -> Story {
    Story {
        trouble: (20.0, 40.0),
        attempts: 2,
        health: |_, second| Health {
            is_down: within(second, 20.0, 40.0),
            ..Health::WELL
        },
        cold_at: Some(40.0),
        attainable: |second| {
            if within(second, 20.0, 40.0) {
                0.0
            } else if second < 40.0 {
                CAPACITY
            } else {
                warming(second - 40.0)
            }
        },
        ..calm(
            "outage, cold cache",
            "nobody listens for 20 s; then the caches are empty and each request takes up to five times as long; callers try twice",
        )
    }
}

fn flapping() -> Story {
    Story {
        trouble: (20.0, 80.0),
        length: Duration::from_secs(110),
        health: |_, second| Health {
            is_down: is_flapped(second),
            ..Health::WELL
        },
        attainable: |second| {
            if is_flapped(second) { 0.0 } else { CAPACITY }
        },
        ..calm("flapping", "down for 5 s and up for 5 s, for a minute")
    }
}

fn is_flapped(second: f64) -> bool {
    within(second, 20.0, 80.0) && second % 10.0 < 5.0
}

fn diurnal() -> Story {
    Story {
        length: Duration::from_secs(160),
        trouble: (43.0, 117.0),
        arrivals: Arrivals::Rate(|second| {
            let day = (second / 160.0 * core::f64::consts::TAU).cos();
            1_100.0 - 800.0 * day
        }),
        ..calm(
            "diurnal ramp",
            "from 300 requests per second up to 1,900 and back, slowly: above what the service can for nearly half of the time",
        )
    }
}

/// The times at which requests come. The same seed gives the same times.
#[must_use]
pub fn arrivals(story: &Story, seed: u64) -> Vec<Duration> {
    let rate = match &story.arrivals {
        Arrivals::Rate(rate) => rate,
        Arrivals::Recorded(times) => return times.clone(),
    };
    let mut random = SmallRng::seed_from_u64(seed);
    let mut times = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        let rate = rate(at.as_secs_f64()).max(1e-3);
        at += Duration::from_secs_f64(exponential(&mut random) / rate);
        if story.length <= at {
            return times;
        }
        times.push(at);
    }
}

/// The story of a recording: `arrivals` are its times in seconds.
///
/// It is played ten times as fast, and each arrival stands for `times` requests at the same moment; what comes
/// between is left out when nothing does for a second.
#[must_use]
pub fn recorded(arrivals: &[f64], times: usize) -> Story {
    let mut at = 20.0;
    let mut before = None;
    let mut times_of = Vec::new();
    for arrival in arrivals {
        let gap = before.map_or(0.0, |before| arrival - before) / SPEED;
        at += gap.clamp(0.0, 1.0);
        before = Some(*arrival);
        times_of.extend((0..times).map(|_| Duration::from_secs_f64(at)));
    }
    Story {
        length: Duration::from_secs_f64(at + 2.0),
        trouble: (20.0, at),
        arrivals: Arrivals::Recorded(times_of),
        ..calm(
            "recorded bursts",
            "arrivals of a language model's service, ten times as fast, each for several requests; bursts beyond what the service can",
        )
    }
}

/// How much faster than it was recorded.
const SPEED: f64 = 10.0;
