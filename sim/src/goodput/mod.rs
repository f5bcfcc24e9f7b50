//! Overload and outage stories, judged by goodput: requests that met the objective, per second.
//!
//! Callers ask a service of three hosts with a limited number of workers each
//! ([`Story`] says what happens to it) through two proxies. What the proxies do
//! about it is a [`Rival`]: nothing, what Envoy and libraries have, or Sloop with the real data plane and
//! controllers. All see the same arrivals. Everything happens in virtual time, and the same seed gives the same run.
//!
//! Left out: what a proxy costs, connections, and the network but for a millisecond.

#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of hosts, proxies, classes and tenths of a second, all small"
)]

mod balance;
mod guard;
mod measure;
mod page;
mod play;
mod result;
mod rival;
mod rivals;
mod service;
mod sloop;
mod story;
mod table;

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Mutex;

pub use measure::{Bin, Bins, Measures, measure};
pub use page::html;
pub use play::class;
pub use result::{Played, Report, Row, Spread, Told, told};
pub use rival::Rival;
pub use service::{HOSTS, Health};
pub use sloop::derived;
pub use story::{Arrivals, CAPACITY, Story, arrivals, recorded, stories};
pub use table::{failures, table};

/// What a good answer takes at most, from when the request came, retries and all.
pub const OBJECTIVE: Duration = Duration::from_millis(250);

/// One run: what happened in each tenth of a second.
#[must_use]
pub fn play(story: &Story, rival: Rival, seed: u64) -> Bins {
    play::play(story, rival, seed)
}

/// Plays every story with every rival, once per seed, on as many threads as there are processors.
#[must_use]
pub fn tell(stories: &[Story], rivals: &[Rival], seeds: &[u64]) -> Report {
    let runs: Vec<_> = stories
        .iter()
        .flat_map(|story| rivals.iter().map(move |rival| (story, *rival)))
        .flat_map(|(story, rival)| seeds.iter().map(move |seed| (story, rival, *seed)))
        .collect();
    let played: Vec<Mutex<Option<Bins>>> = runs.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((run, place)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    runs.get(index).zip(played.get(index))
                } {
                    let (story, rival, seed) = *run;
                    let bins = play(story, rival, seed);
                    if let Ok(mut place) = place.lock() {
                        *place = Some(bins);
                    }
                }
            });
        }
    });
    let bins: Vec<Bins> = played
        .into_iter()
        .filter_map(|place| place.into_inner().ok().flatten())
        .collect();
    let each = bins.chunks(seeds.len().max(1));
    let rows: Vec<_> = each.collect();
    let all = stories
        .iter()
        .zip(rows.chunks(rivals.len().max(1)))
        .map(|(story, rows)| told(story, rivals, rows));
    Report::new(Played::InVirtualTime, seeds, all.collect())
}
