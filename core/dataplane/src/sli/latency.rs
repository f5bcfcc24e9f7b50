//! Latencies as a histogram with a known error.

use core::time::Duration;

use hdrhistogram::Histogram;

/// One microsecond is below anything that a proxy can tell apart.
const LOWEST_US: u64 = 1;
/// One minute is above what callers wait for. Longer counts as this.
const HIGHEST_US: u64 = 60_000_000;
/// Two digits are an error of at most 1 %, and 10 KiB; three are 70 KiB per scope and worker.
const DIGITS: u8 = 2;

/// A histogram of latencies. Takes memory from the first latency on.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    histogram: Option<Histogram<u32>>,
}

impl Latency {
    /// Adds one latency.
    pub(crate) fn record(&mut self, latency: Duration) {
        if let Some(histogram) = self.histogram() {
            let micros = u64::try_from(latency.as_micros()).unwrap_or(HIGHEST_US);
            histogram.saturating_record(micros.clamp(LOWEST_US, HIGHEST_US));
        }
    }

    /// Adds what another one recorded.
    pub(crate) fn fold(&mut self, other: &Self) {
        if let Some(other) = &other.histogram
            && let Some(histogram) = self.histogram()
        {
            // Both have the same bounds, so everything fits.
            let _ = histogram.add(other);
        }
    }

    fn histogram(&mut self) -> Option<&mut Histogram<u32>> {
        if self.histogram.is_none() {
            self.histogram = Histogram::new_with_bounds(LOWEST_US, HIGHEST_US, DIGITS).ok();
        }
        self.histogram.as_mut()
    }

    /// Takes what was recorded: the lowest microsecond that counts as the same, ascending, and how often.
    pub(crate) fn take(&mut self) -> Vec<(u64, u64)> {
        let Some(histogram) = &mut self.histogram else {
            return Vec::new();
        };
        let taken = histogram
            .iter_recorded()
            .map(|step| {
                let lowest = histogram.lowest_equivalent(step.value_iterated_to());
                (lowest, u64::from(step.count_at_value()))
            })
            .collect();
        histogram.reset();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(micros: &[u64]) -> Vec<(u64, u64)> {
        let mut latency = Latency::default();
        for one in micros {
            latency.record(Duration::from_micros(*one));
        }
        latency.take()
    }

    #[test]
    fn the_ends_of_the_range_hold() {
        assert_eq!(taken(&[0, 1]), [(1, 2)]);
        let longest = taken(&[60_000_000, u64::MAX]);
        assert_eq!(longest.len(), 1);
        assert_eq!(longest[0].1, 2);
    }

    #[test]
    fn taking_leaves_nothing() {
        let mut latency = Latency::default();
        latency.record(Duration::from_millis(1));
        assert_eq!(latency.take().len(), 1);
        assert_eq!(latency.take(), []);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_error_is_at_most_a_hundredth(
            micros in prop::collection::vec(1u64..60_000_000, 1..100),
        ) {
            let taken = taken(&micros);
            let count: u64 = taken.iter().map(|(_, count)| count).sum();
            prop_assert_eq!(count, micros.len() as u64);
            prop_assert!(taken.windows(2).all(|pair| pair[0].0 < pair[1].0));
            let mut sorted = micros;
            sorted.sort_unstable();
            let mut values = taken.iter().flat_map(|(value, count)| {
                std::iter::repeat_n(*value, usize::try_from(*count).unwrap())
            });
            for exact in sorted {
                let value = values.next().unwrap();
                prop_assert!(value <= exact && exact - value <= exact / 64, "{value} {exact}");
            }
        }
    }
}
