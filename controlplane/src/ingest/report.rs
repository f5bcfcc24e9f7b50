//! One report, read from the wire and checked.
//!
//! A filter sends a refused report again and again, so only what cannot come
//! from a filter is refused. A scope that makes no sense or is too many is left
//! out, and counted: the rest of the report is still true. A sidecar that does
//! not say who it is counts, too, under the name [`UNNAMED`].

use sloop_controllers::{
    ArmCaller, ArmCounts, BreakerCause, BreakerChange, BreakerReading, BreakerState, FilterReading,
    ObjectiveCounts, Observed, ScopeCounts, SidecarReading,
};
use sloop_model::{
    Arm, DimensionValue, ExperimentKey, LatencyCounts, Module, ObjectiveId, Outcome, RouteName,
    Scope, ServiceName, Side, SloName, WallTime,
};
use sloop_xds_protos::report::v1 as wire;

use super::details::Details;
use super::effects::{Denied, Effects, denials};
use super::trouble::Trouble;

/// Scopes read from one report. Each of the two filters of a sidecar has at most
/// 1,024 configured scopes, as many that a change of configuration retired, 256
/// that it named itself and one for the rest: 4,610 together. What is beyond is
/// left out, and counted.
pub const SCOPES_MAX: usize = 8 * sloop_model::FilterConfig::SCOPES_MAX;

/// Stands for the id or the cluster of a node that has none.
pub const UNNAMED: &str = "unnamed";

/// Bytes kept of a node's id or cluster. Istio's ids have about 100.
const NODE_BYTES_MAX: usize = 1_024;

/// Changes of a breaker in one report, as the wire contract says.
const CHANGES_MAX: usize = 16;

/// Objectives of one scope; a configuration with more is refused by the filter.
const OBJECTIVES_MAX: usize = sloop_model::FilterConfig::OBJECTIVES_MAX;

/// Filters in one VM: one for each direction.
const FILTERS_MAX: usize = 2;

/// Pairs of an older filter's latency histogram: two significant digits over 64 bits have less.
const LATENCIES_MAX: usize = 8_192;

/// A report that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Envoy's node id; [`UNNAMED`] when it has none. All that have none are one
    /// node to everything that asks how many nodes saw something.
    pub node: String,
    /// Envoy's node cluster; [`UNNAMED`] when it has none.
    pub group: String,
    /// Which VM.
    pub incarnation: u64,
    /// Which of its reports, from 1.
    pub sequence: u64,
    /// The beginning of the interval that it is about, by the sidecar's clock.
    pub from: WallTime,
    /// Its end.
    pub to: WallTime,
    /// What was counted.
    pub scopes: Vec<ScopeCounts>,
    /// What else was counted: of each of `scopes`, in their order.
    pub details: Vec<Details>,
    /// Configurations in force.
    pub filters: Vec<Applied>,
    /// Scopes that made no sense or were too many.
    pub scopes_dropped: u64,
    /// What deny rules did; those that did nothing are not mentioned.
    pub denials: Vec<Denied>,
    /// What the filters count as trouble.
    pub trouble: Trouble,
}

/// A configuration that a filter says is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Which filter.
    pub side: Side,
    /// The configuration's number.
    pub generation: u64,
    /// Since when, by the sidecar's clock.
    pub at: WallTime,
    /// The version of the service that the sidecar belongs to, if it says so.
    pub version: Option<DimensionValue>,
    /// Which module it is; of filters that do not say the one that can do less.
    pub module: Module,
}

/// Why a report cannot come from a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReport {
    /// Sequences begin with 1.
    #[error("sequence is 0; it must be at least 1")]
    Sequence,
}

impl TryFrom<wire::ReportRequest> for Report {
    type Error = InvalidReport;

    fn try_from(request: wire::ReportRequest) -> Result<Self, InvalidReport> {
        if request.sequence == 0 {
            return Err(InvalidReport::Sequence);
        }
        let given = request.scopes.len();
        let (scopes, details): (Vec<ScopeCounts>, Vec<Details>) = request
            .scopes
            .into_iter()
            .take(SCOPES_MAX)
            .filter_map(counts)
            .unzip();
        Ok(Self {
            node: named(request.node),
            group: named(request.cluster),
            incarnation: request.incarnation,
            sequence: request.sequence,
            from: WallTime::from_millis(request.from_ms),
            to: WallTime::from_millis(request.to_ms),
            scopes_dropped: u64::try_from(given - scopes.len()).unwrap_or(u64::MAX),
            scopes,
            details,
            filters: request
                .filters
                .into_iter()
                .take(FILTERS_MAX)
                .filter_map(applied)
                .collect(),
            denials: denials(request.denials),
            trouble: request.trouble.map(Trouble::from).unwrap_or_default(),
        })
    }
}

impl Report {
    /// Whether somebody should look at once: something failed, or a breaker moved.
    #[must_use]
    pub fn is_news(&self) -> bool {
        self.scopes.iter().any(|counts| {
            let moved = counts
                .breaker
                .as_ref()
                .is_some_and(|breaker| !breaker.changes.is_empty());
            let failed = counts
                .objectives
                .iter()
                .any(|objective| objective.good < objective.total);
            moved || failed
        })
    }

    /// What it says about the world.
    #[must_use]
    pub fn observed(&self) -> Observed<'_> {
        let reading = |applied: &Applied| FilterReading {
            side: applied.side,
            module: applied.module,
            version: applied.version.clone(),
            is_configured: applied.generation != 0,
        };
        Observed {
            node: &self.node,
            incarnation: self.incarnation,
            from: self.from,
            at: self.to,
            scopes: &self.scopes,
            sidecar: SidecarReading {
                service: self.group.clone(),
                filters: self.filters.iter().map(reading).collect(),
            },
        }
    }
}

/// The name of a node or group, of a length that can be kept.
fn named(mut name: String) -> String {
    name.truncate(name.floor_char_boundary(NODE_BYTES_MAX));
    if name.is_empty() {
        name.push_str(UNNAMED);
    }
    name
}

fn applied(status: wire::FilterStatus) -> Option<Applied> {
    Some(Applied {
        side: side(status.side())?,
        generation: status.generation,
        at: WallTime::from_millis(status.applied_at_ms),
        module: match status.module() {
            wire::Module::Answers => Module::Answers,
            wire::Module::Requests | wire::Module::Unspecified => Module::Requests,
        },
        version: DimensionValue::try_from(status.version).ok(),
    })
}

const fn side(side: wire::Side) -> Option<Side> {
    match side {
        wire::Side::Server => Some(Side::Server),
        wire::Side::Client => Some(Side::Client),
        wire::Side::Unspecified => None,
    }
}

fn counts(delta: wire::ScopeDelta) -> Option<(ScopeCounts, Details)> {
    let side = side(delta.side())?;
    let effects = Effects::read(&delta);
    let breaker = delta.breaker.unwrap_or_default();
    let latency = latencies(delta.latency_buckets, delta.latency)?;
    let objectives: Vec<ObjectiveCounts> = delta
        .objectives
        .into_iter()
        .take(OBJECTIVES_MAX)
        .map(objective)
        .collect::<Option<_>>()?;
    let arms = delta.arms.into_iter().take(ScopeCounts::ARMS_MAX);
    let arms = arms.filter_map(arm_counts).collect();
    let details = Details::read(delta.retries, effects, delta.dimensions, &objectives)?;
    let counts = ScopeCounts {
        scope: Scope {
            service: ServiceName::try_from(delta.service).ok()?,
            route: RouteName::try_from(delta.route).ok()?,
            side,
        },
        requests: delta.requests,
        outcomes: outcomes(&delta.outcomes),
        objectives,
        refused: breaker.refused,
        shadow_refused: breaker.shadow_refused,
        shadow_refused_good: breaker.shadow_refused_good,
        breaker: reading(&breaker),
        latency,
        arms,
        shadows: effects.shadows(),
    };
    Some((counts, details))
}

/// A newer filter may know outcomes that we do not: its requests still count.
fn outcomes(counts: &[u64]) -> [u64; Outcome::ALL.len()] {
    let mut outcomes = [0; Outcome::ALL.len()];
    for (slot, count) in outcomes.iter_mut().zip(counts) {
        *slot = *count;
    }
    outcomes
}

fn objective(delta: wire::ObjectiveDelta) -> Option<ObjectiveCounts> {
    let id = ObjectiveId {
        slo: SloName::try_from(delta.slo).ok()?,
        index: delta.objective,
    };
    (delta.good <= delta.total).then_some(ObjectiveCounts {
        id,
        total: delta.total,
        good: delta.good,
    })
}

/// None where it makes no sense: the rest of the scope counts all the same.
fn arm_counts(delta: wire::ArmDelta) -> Option<ArmCounts> {
    let arm = match delta.arm() {
        wire::Arm::Fault => Arm::Fault,
        wire::Arm::Control => Arm::Control,
        wire::Arm::Unspecified => return None,
    };
    Some(ArmCounts {
        experiment: ExperimentKey::from_bits(delta.experiment),
        arm,
        requests: delta.requests,
        outcomes: outcomes(&delta.outcomes),
        objectives: delta
            .objectives
            .into_iter()
            .take(OBJECTIVES_MAX)
            .map(objective)
            .collect::<Option<_>>()?,
        latency: latencies(delta.latency_buckets, None)?,
        retries: delta.retries,
        callers: delta
            .callers
            .into_iter()
            .take(ArmCounts::CALLERS_MAX)
            .map(arm_caller)
            .collect::<Option<_>>()?,
    })
}

fn arm_caller(delta: wire::ArmCaller) -> Option<ArmCaller> {
    let pairs = delta.objectives.chunks(2).take(OBJECTIVES_MAX);
    let pairs = pairs.map(|pair| match pair {
        [total, good] => (*total, *good),
        // Trailing zeros are left out.
        [total, ..] => (*total, 0),
        [] => (0, 0),
    });
    let objectives: Vec<(u64, u64)> = pairs.collect();
    let is_sound = |(total, good): &(u64, u64)| good <= total;
    objectives.iter().all(is_sound).then_some(())?;
    Some(ArmCaller {
        caller: DimensionValue::try_from(delta.value).ok()?,
        objectives,
    })
}

/// None where no breaker guards the scope.
fn reading(delta: &wire::BreakerDelta) -> Option<BreakerReading> {
    Some(BreakerReading {
        state: state(delta.state())?,
        changes: delta
            .changes
            .iter()
            .take(CHANGES_MAX)
            .filter_map(change)
            .collect(),
    })
}

fn change(change: &wire::BreakerChange) -> Option<BreakerChange> {
    Some(BreakerChange {
        to: state(change.to())?,
        at: WallTime::from_millis(change.at_ms),
        cause: match change.cause() {
            wire::BreakerCause::Failures => BreakerCause::Failures,
            wire::BreakerCause::Slowness => BreakerCause::Slowness,
            wire::BreakerCause::Fleet => BreakerCause::Fleet,
            wire::BreakerCause::Recovered => BreakerCause::Recovered,
            wire::BreakerCause::Time => BreakerCause::Time,
            wire::BreakerCause::Unspecified => return None,
        },
    })
}

const fn state(state: wire::BreakerState) -> Option<BreakerState> {
    match state {
        wire::BreakerState::Closed => Some(BreakerState::Closed),
        wire::BreakerState::Open => Some(BreakerState::Open),
        wire::BreakerState::Probing => Some(BreakerState::Probing),
        wire::BreakerState::Ramping => Some(BreakerState::Ramping),
        wire::BreakerState::Unspecified => None,
    }
}

/// Latencies in microseconds and their counts, ascending. The middle of a bucket stands for
/// all of it: at most 1.6 % off, and moved into a histogram of two digits or more it stays in that bucket.
fn latencies(buckets: Vec<u8>, older: Option<wire::Histogram>) -> Option<Vec<(u64, u64)>> {
    if buckets.is_empty() {
        return pairs(&older.unwrap_or_default().pairs);
    }
    let counts = LatencyCounts::try_from(buckets).ok()?;
    let counts = counts.iter();
    Some(
        counts
            .map(|(bucket, count)| (bucket.middle_us(), count))
            .collect(),
    )
}

/// Undoes the differences in what an older filter sends.
fn pairs(pairs: &[u64]) -> Option<Vec<(u64, u64)>> {
    if !pairs.len().is_multiple_of(2) || pairs.len() / 2 > LATENCIES_MAX {
        return None;
    }
    let mut at = 0_u64;
    pairs
        .chunks_exact(2)
        .map(|pair| match pair {
            [step, count] => {
                at = at.checked_add(*step)?;
                Some((at, *count))
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
