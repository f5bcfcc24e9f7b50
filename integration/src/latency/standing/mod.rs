//! What a filter costs while nobody asks for anything: the start of its VM, and memory.
//!
//! Each number is that of an Envoy of its own, since a process starts once and
//! has one memory. They come in rounds, one of each kind after the other, so that what disturbs a
//! round disturbs all kinds. What a start takes is the least of all rounds: nothing makes it
//! shorter than it is. Memory is the median.

mod residents;
mod result;
mod run;
mod table;

use anyhow::bail;

pub use residents::Resident;
pub(super) use residents::residents;
pub use result::{Standing, StandingRow};
pub(super) use table::standing_table;

use super::live::Live;
use run::{Run, run};

#[cfg(test)]
pub(super) use result::tests::standing as invented;

/// Worker threads of the Envoys: what the second one adds is what a worker costs.
pub(super) const WORKERS: [u32; 2] = [1, 2];

/// Starts an Envoy for each of `residents`, the first of which is without a filter, with each number of routes and of workers,
/// `rounds` times.
///
/// # Errors
///
/// When an Envoy does not start, or does not answer what it is asked.
pub async fn standing(
    residents: &[Resident],
    rounds: usize,
    live: &mut Live,
) -> anyhow::Result<Standing> {
    if rounds == 0 || residents.is_empty() {
        bail!(
            "nothing to measure: {rounds} rounds of {} kinds",
            residents.len()
        );
    }
    live.say(&format!(
        "starting Envoys for start and memory: {rounds} rounds of {}",
        residents.iter().map(|one| one.filters.len()).sum::<usize>() * WORKERS.len()
    ));
    let mut runs: Vec<(usize, Run)> = Vec::new();
    for _ in 0..rounds {
        for (index, resident) in residents.iter().enumerate() {
            for (routes, filters) in &resident.filters {
                for workers in WORKERS {
                    runs.push((index, run(resident, (*routes, filters), workers).await?));
                }
            }
        }
    }
    Ok(Standing::of(residents, rounds, &runs))
}
