//! The stories, short and with a small service: 300 requests per second in all.

use std::time::Duration;

use sloop_sim::goodput::{Arrivals, HOSTS, Health, Story};

/// Requests that a host serves at a time.
pub(super) const WORKERS: usize = 2;
/// How long a worker needs, on average.
pub(super) const SERVICE: Duration = Duration::from_millis(20);
/// Requests that fit into a host: one second of work.
pub(super) const ROOM: usize = 100;
/// Requests per second that healthy hosts serve together.
const CAPACITY: f64 = 300.0;
/// A usual load: 57 % of that.
const USUAL: f64 = 170.0;
/// From when to when there is trouble, in seconds.
const TROUBLE: (f64, f64) = (5.0, 20.0);

/// The five most telling ones.
#[must_use]
pub fn stories() -> Vec<Story> {
    vec![
        Story {
            name: "overload",
            about: "twice what the service can, from one moment to the next, for 15 s",
            arrivals: Arrivals::Rate(|second| {
                if is_in_trouble(second) {
                    2.0 * CAPACITY
                } else {
                    USUAL
                }
            }),
            ..calm()
        },
        Story {
            name: "partial outage",
            about: "30 % fail for 15 s, whatever the load",
            health: |_, second| Health {
                failing: if is_in_trouble(second) { 0.3 } else { 0.0 },
                ..Health::WELL
            },
            attainable: |second| {
                if is_in_trouble(second) {
                    0.7 * USUAL
                } else {
                    CAPACITY
                }
            },
            ..calm()
        },
        Story {
            name: "grey failure",
            about: "one of three hosts is ten times slower for 15 s, and answers after callers gave up",
            health: |host, second| Health {
                slowness: if host == 1 && is_in_trouble(second) {
                    10.0
                } else {
                    1.0
                },
                ..Health::WELL
            },
            attainable: |second| {
                let hosts = if is_in_trouble(second) {
                    HOSTS - 1
                } else {
                    HOSTS
                };
                CAPACITY * hosts as f64 / HOSTS as f64
            },
            ..calm()
        },
        Story {
            name: "outage",
            about: "all connections are cut for 15 s",
            health: |_, second| down(is_in_trouble(second)),
            attainable: |second| if is_in_trouble(second) { 0.0 } else { CAPACITY },
            ..calm()
        },
        Story {
            name: "flapping",
            about: "down for 2.5 s and up for 2.5 s, for 15 s",
            health: |_, second| down(is_flapped(second)),
            attainable: |second| if is_flapped(second) { 0.0 } else { CAPACITY },
            ..calm()
        },
    ]
}

/// A story without trouble, to make others of.
fn calm() -> Story {
    Story {
        name: "health",
        about: "",
        length: Duration::from_secs(28),
        trouble: TROUBLE,
        arrivals: Arrivals::Rate(|_| USUAL),
        attempts: 1,
        timeout: Duration::from_secs(1),
        health: |_, _| Health::WELL,
        cold_at: None,
        attainable: |_| CAPACITY,
    }
}

fn is_in_trouble(second: f64) -> bool {
    (TROUBLE.0..TROUBLE.1).contains(&second)
}

fn is_flapped(second: f64) -> bool {
    is_in_trouble(second) && second % 5.0 < 2.5
}

const fn down(is_down: bool) -> Health {
    Health {
        is_down,
        ..Health::WELL
    }
}
