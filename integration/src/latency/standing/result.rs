//! What starts and memory come to.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::variants::NAIVE;
use super::WORKERS;
use super::residents::Resident;
use super::run::Run;

/// What filters cost while nobody asks for anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Envoys of each kind.
    pub rounds: usize,
    /// Each kind, the one without a filter first.
    pub variants: Vec<StandingRow>,
}

/// One kind of Envoy. Without a filter, whole numbers; else what the filter adds to these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StandingRow {
    /// Its name.
    pub name: String,
    /// Processor time of Envoy's main thread until it is ready, in milliseconds: the least of all rounds.
    pub start_main_ms: f64,
    /// The same of all threads.
    pub start_ms: f64,
    /// What the start of the main thread adds as a share of what `naive`'s adds.
    pub start_of_naive: Option<f64>,
    /// Memory with one worker and one route, in kilobytes: the median of all rounds.
    pub memory_kb: f64,
    /// What another worker adds.
    pub worker_kb: f64,
    /// What another route adds in one worker; absent where routes are not told apart.
    pub route_kb: Option<f64>,
}

impl Standing {
    pub(super) fn of(residents: &[Resident], rounds: usize, runs: &[(usize, Run)]) -> Self {
        let kinds: Vec<Kind> = (0..residents.len())
            .map(|index| Kind::of(index, runs))
            .collect();
        let none = kinds.first().copied().unwrap_or_default();
        let rows = residents.iter().zip(&kinds).enumerate();
        let mut variants: Vec<StandingRow> = rows
            .map(|(index, (resident, kind))| {
                let base = if index == 0 { Kind::default() } else { none };
                StandingRow {
                    name: resident.name.clone(),
                    start_main_ms: kind.start_main_ms - base.start_main_ms,
                    start_ms: kind.start_ms - base.start_ms,
                    start_of_naive: None,
                    memory_kb: kind.memory_kb - base.memory_kb,
                    worker_kb: kind.worker_kb - base.worker_kb,
                    route_kb: kind.route_kb,
                }
            })
            .collect();
        let naive = variants.iter().find(|row| row.name == NAIVE);
        if let Some(naive) = naive.map(|row| row.start_main_ms).filter(|ms| 0.0 < *ms) {
            for row in variants.iter_mut().skip(1) {
                row.start_of_naive = Some(row.start_main_ms / naive);
            }
        }
        Self { rounds, variants }
    }
}

/// What was seen of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    start_main_ms: f64,
    start_ms: f64,
    memory_kb: f64,
    worker_kb: f64,
    route_kb: Option<f64>,
}

impl Kind {
    fn of(index: usize, runs: &[(usize, Run)]) -> Self {
        let own: Vec<&Run> = runs
            .iter()
            .filter(|(other, _)| *other == index)
            .map(|(_, run)| run)
            .collect();
        let [few, more] = WORKERS;
        let routes = own.iter().map(|run| run.routes);
        let (one, most) = (routes.clone().min(), routes.max());
        let memory = |workers, routes| {
            let with = own
                .iter()
                .filter(|run| run.workers == workers && Some(run.routes) == routes);
            median_kb(with.map(|run| run.bytes).collect())
        };
        let least = |time: fn(&Run) -> Duration| {
            let with = own
                .iter()
                .filter(|run| run.workers == few && Some(run.routes) == one);
            let least = with.map(|run| time(run)).min().unwrap_or_default();
            least.as_secs_f64() * 1e3
        };
        let memory_kb = memory(few, one);
        let more_routes = most.zip(one).map_or(0, |(most, one)| most - one);
        Self {
            start_main_ms: least(|run| run.start_main),
            start_ms: least(|run| run.start),
            memory_kb,
            worker_kb: (memory(more, one) - memory_kb) / f64::from(more - few),
            route_kb: (0 < more_routes)
                .then(|| (memory(few, most) - memory_kb) / more_routes as f64),
        }
    }
}

fn median_kb(mut bytes: Vec<u64>) -> f64 {
    bytes.sort_unstable();
    let middle = bytes.get(bytes.len() / 2).copied().unwrap_or(0);
    middle as f64 / 1e3
}

#[cfg(test)]
pub(in crate::latency) mod tests {
    use super::*;

    /// Two kinds, the second of which starts for 20 ms more in the main thread, and has 5 MB more, 1 MB per
    /// worker and 4 kB per route.
    pub(in crate::latency) fn standing() -> Standing {
        let kind = |name: &str, routes: &[usize]| Resident {
            name: name.to_owned(),
            filters: routes
                .iter()
                .map(|routes| (*routes, String::new()))
                .collect(),
            reports: false,
        };
        let residents = [kind("none", &[1]), kind(NAIVE, &[1, 101])];
        let mut runs = Vec::new();
        for round in 0..3 {
            for (index, resident) in residents.iter().enumerate() {
                for (routes, _) in &resident.filters {
                    for workers in WORKERS {
                        runs.push((index, seen(index, *routes, workers, round)));
                    }
                }
            }
        }
        Standing::of(&residents, 3, &runs)
    }

    fn seen(index: usize, routes: usize, workers: u32, round: u64) -> Run {
        let kind = u64::try_from(index).unwrap();
        let more = u64::from(workers) - 1;
        let routes_more = u64::try_from(routes).unwrap() - 1;
        Run {
            routes,
            workers,
            start_main: Duration::from_millis(50 + 20 * kind + 7 * round),
            start: Duration::from_millis(60 + 40 * kind + 9 * round),
            bytes: 14_000_000
                + 5_000_000 * kind
                + (200_000 + 1_000_000 * kind) * more
                + 4_000 * routes_more * u64::from(workers),
        }
    }

    #[test]
    fn a_filter_is_seen_by_what_it_adds() {
        let standing = standing();
        let [none, naive] = &*standing.variants else {
            panic!("{standing:?}");
        };
        assert_eq!((none.start_main_ms, none.memory_kb), (50.0, 14_000.0));
        assert_eq!((none.worker_kb, none.route_kb), (200.0, None));
        assert_eq!(none.start_of_naive, None);
        assert_eq!((naive.start_main_ms, naive.start_ms), (20.0, 40.0));
        assert_eq!((naive.memory_kb, naive.worker_kb), (5_000.0, 1_000.0));
        assert_eq!(
            (naive.route_kb, naive.start_of_naive),
            (Some(4.0), Some(1.0))
        );
    }
}
