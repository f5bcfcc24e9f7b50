//! Whether the generator measures what it should: a service whose delay is known.

use std::time::Duration;

use anyhow::Context;
use sloop_bench::closed::Sink;
use sloop_bench::open::Open;
use sloop_bench::{Arrivals, Quantile, quantile};

/// What the service waits: long beside what the way to it takes, short beside a slice.
const DELAY: Duration = Duration::from_millis(3);
/// So few a second that none waits for another.
const RATE: f64 = 300.0;
const LASTING: Duration = Duration::from_millis(700);
const CONNECTIONS: usize = 16;
/// What the way to the service and back may take beside the delay: more than a busy machine needs for half of the requests.
const BESIDE_MAX_NS: u64 = 500_000;

/// What came out of measuring a known delay.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What the service waited, in nanoseconds.
    pub known_ns: u64,
    /// What the fastest request took.
    pub least_ns: u64,
    /// What half of the requests took at most.
    pub p50_ns: u64,
}

impl Check {
    /// Why the generator must not be believed; `None` when it may.
    #[must_use]
    pub fn refusal(self) -> Option<String> {
        let Self {
            known_ns,
            least_ns,
            p50_ns,
        } = self;
        // The histogram is exact to a thousandth.
        let is_too_early = least_ns < known_ns - known_ns / 1_000;
        let is_too_late = known_ns + BESIDE_MAX_NS < p50_ns;
        (is_too_early || is_too_late).then(|| {
            format!(
                "the generator finds {:.2} ms (at least {:.2} ms) where a service waits {:.2} ms: the machine is too busy to \
                 measure latency on. End what else runs here, and run it again",
                p50_ns as f64 / 1e6,
                least_ns as f64 / 1e6,
                known_ns as f64 / 1e6,
            )
        })
    }
}

/// Measures it.
pub(super) fn run() -> anyhow::Result<Check> {
    let sink = Sink::delaying(vec![DELAY])?;
    let request = b"GET / HTTP/1.1\r\nhost: check\r\n\r\n".to_vec();
    let mut open = Open::connect(sink.address(), CONNECTIONS, request, 200)?;
    let slice = open.run(&Arrivals::poisson(RATE, LASTING, &[1], 1)?)?;
    let half = quantile(&slice.latency, Quantile::P50);
    Ok(Check {
        known_ns: u64::try_from(DELAY.as_nanos())?,
        least_ns: slice.latency.min(),
        p50_ns: half.context("nothing was measured")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(least_ns: u64, p50_ns: u64) -> Check {
        Check {
            known_ns: 3_000_000,
            least_ns,
            p50_ns,
        }
    }

    #[test]
    fn a_generator_that_finds_less_or_far_more_than_there_is_is_not_believed() {
        assert_eq!(check(3_000_000, 3_500_000).refusal(), None);
        assert_eq!(check(2_997_000, 3_100_000).refusal(), None);
        assert!(check(2_996_999, 3_100_000).refusal().is_some());
        let refusal = check(3_000_000, 3_500_001).refusal().unwrap();
        assert!(refusal.contains("End what else runs here"), "{refusal}");
    }

    #[test]
    fn nothing_is_faster_than_the_service() {
        let check = run().unwrap();
        assert!(2_997_000 <= check.least_ns, "{check:?}");
        assert!(check.least_ns <= check.p50_ns, "{check:?}");
    }
}
