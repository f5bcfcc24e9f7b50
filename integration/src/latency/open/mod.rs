//! What a filter adds to the latency of requests that come when they come.
//!
//! Open loop: a Poisson process per slice, latency from the intended start. As with processor
//! time, neighbouring slices are compared, one without the variant and one
//! with it, both over the same schedule; what is shown is the median of pairs.
//! Which percentiles can be told at all is what the second baseline is for.

mod check;
mod lanes;
mod result;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;

pub use check::Check;
pub use result::{OpenPair, OpenReport, OpenRow, Percentiles, Spread, Told};

use super::live::Live;
use super::variants::{AGAIN, BASELINE, Variant};
use lanes::{OpenLane, OpenLanes};

/// Requests a second: a third of what one worker takes, so that requests rarely wait for each other.
const RATE: f64 = 3_000.0;
/// Connections of each variant, as many as a few callers have.
const CONNECTIONS: usize = 16;
/// Requests of each variant before the first slice.
const WARM_UP: Duration = Duration::from_millis(400);

/// Ours that are measured in open loop too, when nothing else is said; the others' latency follows from their processor time.
const USUAL: [&str; 4] = ["naive", "lua", "native3", "sloop"];
/// The same for a short run.
const USUAL_QUICK: [&str; 2] = ["naive", "sloop"];

/// How latency is measured.
#[derive(
    Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct OpenSettings {
    /// Pairs of slices for each variant.
    pub rounds: usize,
    /// Requests a second.
    pub rate: f64,
    /// How long a slice is, in milliseconds.
    pub slice_ms: u64,
    /// Connections of each variant.
    pub connections: usize,
}

impl OpenSettings {
    /// So many pairs of slices of so many milliseconds.
    #[must_use]
    pub const fn new(rounds: usize, slice_ms: u64) -> Self {
        Self {
            rounds,
            rate: RATE,
            slice_ms,
            connections: CONNECTIONS,
        }
    }
}

/// Which of `variants` are measured in open loop: the baselines, the usual ones of ours, and whatever is not ours.
///
/// A variant that refuses is not: what it answers did not go where the baseline's did.
#[must_use]
pub fn usual(variants: &[Variant], ours: &[Variant], is_quick: bool) -> Vec<String> {
    let usual: &[&str] = if is_quick { &USUAL_QUICK } else { &USUAL };
    let is_wanted = |one: &&Variant| {
        let name = one.name.as_str();
        let is_base = name == BASELINE || name == AGAIN;
        let is_theirs = ours.iter().all(|own| own.name != name);
        one.status < 500 && (is_base || is_theirs || usual.contains(&name))
    };
    let wanted = variants.iter().filter(is_wanted);
    wanted.map(|one| one.name.clone()).collect()
}

/// Measures `variants`, the first of which is the baseline. What each was sent is the second answer, in the same order.
pub(super) fn measure(
    variants: Vec<(Variant, SocketAddr)>,
    request: &[u8],
    settings: OpenSettings,
    seed: u64,
    live: &mut Live,
) -> anyhow::Result<(OpenReport, Vec<u64>)> {
    let check = check::run().context("measuring a service whose delay is known")?;
    let lanes = variants
        .into_iter()
        .map(|(variant, to)| OpenLane::open(variant, to, request, settings))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut lanes = OpenLanes::new(lanes, settings, seed);
    lanes.warm_up(WARM_UP)?;
    for round in 0..settings.rounds {
        lanes.round()?;
        live.progress(round + 1, settings.rounds);
    }
    live.clear();
    let report = OpenReport::of(&lanes.lanes, settings, check);
    let report = report.context("too few rounds for an interval")?;
    Ok((report, lanes.lanes.iter().map(|lane| lane.sent).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(name: &str, status: u16) -> Variant {
        Variant {
            name: name.into(),
            about: String::new(),
            filters: String::new(),
            status,
            trace: super::super::Trace::Unknown,
            tracer: None,
            reports: false,
            vm: None,
        }
    }

    #[test]
    fn baselines_usual_ones_and_those_of_others_are_measured_but_nothing_that_refuses() {
        let ours: Vec<_> = [BASELINE, AGAIN, "raw", "lua", "sloop"]
            .into_iter()
            .map(|name| variant(name, 200))
            .chain([variant("sloop_refused", 503)])
            .collect();
        let mut all = ours.clone();
        all.extend([variant("mine", 200), variant("theirs_refused", 503)]);
        assert_eq!(
            usual(&all, &ours, false),
            [BASELINE, AGAIN, "lua", "sloop", "mine"]
        );
        assert_eq!(usual(&all, &ours, true), [BASELINE, AGAIN, "sloop", "mine"]);
    }
}
