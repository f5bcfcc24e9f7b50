//! Counts and latencies per route and per slice of time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::quantile::{Quantile, quantile, record};
use crate::{Ending, Exchange};

/// What happened on one route, or in one slice of time.
#[derive(Clone, Debug)]
pub struct Cell {
    endings: BTreeMap<Ending, u64>,
    latency_us: Histogram<u64>,
}

impl Default for Cell {
    #[expect(clippy::expect_used, reason = "two digits are within 0..=5")]
    fn default() -> Self {
        Self {
            endings: BTreeMap::new(),
            latency_us: Histogram::new(2).expect("two digits are within 0..=5"),
        }
    }
}

impl Cell {
    /// Adds one request.
    pub fn record(&mut self, ending: Ending, latency: Duration) {
        *self.endings.entry(ending).or_default() += 1;
        record(&mut self.latency_us, latency);
    }

    /// Requests that ended, by how they did.
    #[must_use]
    pub const fn endings(&self) -> &BTreeMap<Ending, u64> {
        &self.endings
    }

    /// Requests that ended.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.latency_us.len()
    }

    /// Latency from the intended start, of all requests however they ended, within 1 %.
    #[must_use]
    pub fn latency(&self, at: Quantile) -> Option<Duration> {
        quantile(&self.latency_us, at).map(Duration::from_micros)
    }
}

/// Counts and latencies per route and per slice of time, by the intended start.
#[derive(Clone, Debug)]
pub struct Recorder {
    slice: Duration,
    cells: BTreeMap<(Arc<str>, usize), Cell>,
    routes: BTreeMap<Arc<str>, Cell>,
    slices: Vec<Cell>,
}

impl Recorder {
    /// Slices in all; what is later goes to the last. An hour in quarters of a second.
    pub const SLICES_MAX: usize = 14_400;

    /// A recorder with slices of `slice`, at least a millisecond long.
    #[must_use]
    pub fn new(slice: Duration) -> Self {
        Self {
            slice: slice.max(Duration::from_millis(1)),
            cells: BTreeMap::new(),
            routes: BTreeMap::new(),
            slices: Vec::new(),
        }
    }

    /// Adds one request to its route and its slice.
    pub fn record(&mut self, route: &Arc<str>, exchange: &Exchange) {
        let index = exchange.at.as_nanos() / self.slice.as_nanos();
        let index = usize::try_from(index)
            .unwrap_or(usize::MAX)
            .min(Self::SLICES_MAX - 1);
        if self.slices.len() <= index {
            self.slices.resize_with(index + 1, Cell::default);
        }
        let of_both = self.cells.entry((Arc::clone(route), index)).or_default();
        let of_route = self.routes.entry(Arc::clone(route)).or_default();
        for cell in [of_both, of_route]
            .into_iter()
            .chain(self.slices.get_mut(index))
        {
            cell.record(exchange.ending, exchange.latency);
        }
    }

    /// How long a slice is.
    #[must_use]
    pub const fn slice(&self) -> Duration {
        self.slice
    }

    /// All routes.
    pub fn routes(&self) -> impl Iterator<Item = (&str, &Cell)> {
        self.routes.iter().map(|(route, cell)| (&**route, cell))
    }

    /// All slices over all routes, from the beginning.
    #[must_use]
    pub fn slices(&self) -> &[Cell] {
        &self.slices
    }

    /// What happened on `route` in slice `index`.
    #[must_use]
    pub fn cell(&self, route: &Arc<str>, index: usize) -> Option<&Cell> {
        self.cells.get(&(Arc::clone(route), index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: Duration = Duration::from_millis(250);

    /// Records (at, latency, status), times in milliseconds.
    fn recorded(exchanges: &[(u64, u64, u16)]) -> Recorder {
        let mut recorder = Recorder::new(SLICE);
        for (at, latency, status) in exchanges {
            let exchange = Exchange {
                call: 0,
                at: Duration::from_millis(*at),
                latency: Duration::from_millis(*latency),
                ending: Ending::Status(*status),
                note: None,
            };
            recorder.record(&"a".into(), &exchange);
        }
        recorder
    }

    #[test]
    fn a_request_belongs_to_the_slice_in_which_it_was_meant_to_start() {
        let recorder = recorded(&[(249, 5_000, 200), (250, 1, 200), (250, 1, 500)]);
        let totals: Vec<u64> = recorder.slices().iter().map(Cell::total).collect();
        assert_eq!(totals, [1, 2]);
        let second = recorder.cell(&"a".into(), 1).unwrap();
        assert_eq!(second.endings()[&Ending::Status(500)], 1);
        assert!(recorder.cell(&"b".into(), 1).is_none());
    }

    #[test]
    fn latencies_are_known_within_a_percent() {
        let recorder = recorded(&[(0, 100, 200), (0, 900, 200)]);
        let (_, cell) = recorder.routes().next().unwrap();
        let p99 = cell.latency(Quantile::P99).unwrap();
        assert!((900..=909).contains(&p99.as_millis()), "{p99:?}");
    }

    #[test]
    fn what_is_too_late_goes_to_the_last_slice() {
        let recorder = recorded(&[(u64::MAX / 2, 1, 200)]);
        assert_eq!(recorder.slices().len(), Recorder::SLICES_MAX);
        assert_eq!(recorder.slices().last().unwrap().total(), 1);
    }

    #[test]
    fn a_slice_without_requests_has_no_latency() {
        let recorder = recorded(&[(600, 1, 200)]);
        assert_eq!(recorder.slices()[0].latency(Quantile::P50), None);
    }
}
