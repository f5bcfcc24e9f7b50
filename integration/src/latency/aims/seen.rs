//! What a run says about the aims.

use sloop_bench::closed::Protocol;
use sloop_bench::paired::{self, Estimate, Pair};

use super::super::config::Service;
use super::super::instructions::Instructions;
use super::super::open::{OpenRow, Percentiles, Spread, Told};
use super::super::push::Pushed;
use super::super::result::{Report, Row};
use super::super::standing::Standing;
use super::super::variants::{NAIVE, RAW, SLOOP_ALL};

const LUA: &str = "lua";
const REFUSED: &str = "sloop_refused";
/// Sloop's configuration, pushed alone.
const PUSHED: &str = "ecds";
const LISTENER: &str = "lds";

/// What is known of one number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Found {
    /// The run did not measure it.
    #[default]
    Nothing,
    /// It did, but the noise is larger than what there could be: microseconds.
    Noise(f64),
    /// It did, but what it is a share of is not surely anything.
    NoReference,
    /// The median and its interval. Both ends are the median where nothing is known about its error.
    Told(Estimate),
}

/// Everything that there is an aim for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) of_naive: Found,
    pub(super) ratio: Found,
    pub(super) of_lua: Found,
    /// Thousands.
    pub(super) instructions: Found,
    pub(super) p50_of_naive: Found,
    pub(super) p99_of_naive: Found,
    pub(super) refused: Found,
    pub(super) memory_of_naive: Found,
    pub(super) start_of_naive: Found,
    /// Milliseconds.
    pub(super) push_p50: Found,
    /// Milliseconds, and of how many.
    pub(super) push_longest: Found,
    pub(super) pushes: usize,
    /// Milliseconds until a listener is in force, which is none of Sloop's.
    pub(super) listener_p50: Option<f64>,
    /// What `raw` adds as a share of what `naive` adds.
    pub(super) raw_of_naive: Option<Estimate>,
    /// What Sloop adds, over what `raw` adds.
    pub(super) of_raw: Option<Estimate>,
}

impl From<Option<Estimate>> for Found {
    fn from(estimate: Option<Estimate>) -> Self {
        estimate.map_or(Self::Nothing, Self::Told)
    }
}

impl Seen {
    /// `None` of a run without Sloop, or of other requests than those that the aims are of: proxied, HTTP/1.1, no TLS.
    pub(super) fn of(report: &Report) -> Option<Self> {
        let settings = report.settings;
        if settings.service != Service::Proxied
            || settings.protocol != Protocol::Http1
            || settings.tls
        {
            return None;
        }
        let find = |name: &str| report.variants.iter().find(|row| row.name == name);
        let sloop = find(SLOOP_ALL)?;
        let share = |other: &str| paired::share_of(&sloop.pairs, &find(other)?.pairs);
        let latency = |pick: fn(Percentiles) -> f64, told: fn(&Spread<Told>) -> Told| {
            latency(report, pick, told)
        };
        let pushes = report.push.iter().flat_map(|push| &push.pushed);
        let push = |name: &str| pushes.clone().find(|one| one.name == name);
        let pushed = push(PUSHED);
        Some(Self {
            of_naive: match (sloop.of_naive, find(NAIVE)) {
                (None, Some(_)) => Found::NoReference,
                (share, _) => share.into(),
            },
            ratio: Found::Told(sloop.ratio),
            of_lua: share(LUA).into(),
            instructions: Found::Nothing,
            p50_of_naive: latency(|all| all.p50, |told| told.p50),
            p99_of_naive: latency(|all| all.p99, |told| told.p99),
            refused: find(REFUSED).map(|row: &Row| row.ratio).into(),
            memory_of_naive: standing(report, memory).into(),
            start_of_naive: standing(report, start).into(),
            push_p50: pushed.and_then(pushed_p50).into(),
            push_longest: pushed.map(|one| exactly(one.most_ms)).into(),
            pushes: pushed.map_or(0, |one| one.all_ms.len()),
            listener_p50: push(LISTENER).map(|one| one.p50_ms),
            raw_of_naive: find(RAW).and_then(|row| row.of_naive),
            of_raw: share(RAW),
        })
    }

    /// `None` of counts without Sloop.
    pub(super) fn counted(counted: &Instructions) -> Option<Self> {
        let sloop = counted.variants.iter().find(|row| row.name == SLOOP_ALL)?;
        Some(Self {
            instructions: Found::Told(exactly(sloop.added / 1e3)),
            ..Self::default()
        })
    }
}

const fn exactly(value: f64) -> Estimate {
    Estimate {
        low: value,
        median: value,
        high: value,
    }
}

/// What Sloop adds to a percentile as a share of what `naive` adds.
fn latency(
    report: &Report,
    pick: fn(Percentiles) -> f64,
    told: fn(&Spread<Told>) -> Told,
) -> Found {
    let Some(open) = report.latency.as_ref().filter(|open| open.is_usable()) else {
        return Found::Nothing;
    };
    let find = |name: &str| open.variants.iter().find(|row| row.name == name);
    let (Some(sloop), Some(naive)) = (find(SLOOP_ALL), find(NAIVE)) else {
        return Found::Nothing;
    };
    let told = told(&open.told);
    if !told.is_told {
        return Found::Noise(told.resolution_ns / 1e3);
    }
    let pairs = |row: &OpenRow| -> Vec<Pair> {
        let pair = |pair: &super::super::OpenPair| Pair {
            baseline: pick(pair.baseline),
            variant: pick(pair.variant),
        };
        row.pairs.iter().map(pair).collect()
    };
    match paired::share_of(&pairs(sloop), &pairs(naive)) {
        Some(share) => Found::Told(share),
        None => Found::NoReference,
    }
}

fn standing(report: &Report, of: fn(&Standing) -> Option<f64>) -> Option<Estimate> {
    report.standing.as_ref().and_then(of).map(exactly)
}

fn memory(standing: &Standing) -> Option<f64> {
    let of = |name: &str| {
        let row = standing.variants.iter().find(|row| row.name == name);
        row.map(|row| row.memory_kb)
    };
    let naive = of(NAIVE).filter(|kb| 0.0 < *kb)?;
    Some(of(SLOOP_ALL)? / naive)
}

fn start(standing: &Standing) -> Option<f64> {
    let row = standing.variants.iter().find(|row| row.name == SLOOP_ALL)?;
    row.start_of_naive
}

/// With its interval, if there were pushes enough for one.
fn pushed_p50(pushed: &Pushed) -> Option<Estimate> {
    paired::estimate_of(&pushed.all_ms).or_else(|| Some(exactly(pushed.p50_ms)))
}
