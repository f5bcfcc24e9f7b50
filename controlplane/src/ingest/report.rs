//! One report, read from the wire and checked.
//!
//! A filter sends a refused report again and again, so only what cannot come
//! from a filter is refused. A scope that makes no sense is left out, and
//! counted: the rest of the report is still true.

use sloop_controllers::{
    BreakerCause, BreakerChange, BreakerReading, BreakerState, ObjectiveCounts, Observation,
    ScopeCounts,
};
use sloop_model::{ObjectiveId, Outcome, RouteName, Scope, ServiceName, Side, SloName, WallTime};
use sloop_xds_protos::report::v1 as wire;

/// Scopes in one report: both filters of a sidecar at their limit, twice over.
pub const SCOPES_MAX: usize = 4 * sloop_model::FilterConfig::SCOPES_MAX;

/// Bytes of one report: [`SCOPES_MAX`] scopes of 1 KiB each, which is a full
/// latency histogram and a few objectives.
pub const BYTES_MAX: usize = SCOPES_MAX * 1_024;

/// Bytes of a node's id or cluster. Istio's ids have about 100.
const NODE_BYTES_MAX: usize = 1_024;

/// Changes of a breaker in one report, as the wire contract says.
const CHANGES_MAX: usize = 16;

/// Filters in one VM: one for each direction.
const FILTERS_MAX: usize = 2;

/// Pairs of a latency histogram: two significant digits over 64 bits have less.
const LATENCIES_MAX: usize = 8_192;

/// A report that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Envoy's node id.
    pub node: String,
    /// Envoy's node cluster.
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
    /// Configurations in force.
    pub filters: Vec<Applied>,
    /// Scopes that made no sense.
    pub scopes_dropped: u64,
}

/// A configuration that a filter says is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Which filter.
    pub side: Side,
    /// The configuration's number.
    pub generation: u64,
    /// Since when, by the sidecar's clock.
    pub at: WallTime,
}

/// Why a report cannot come from a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReport {
    /// The node has no name, or one that nothing real has.
    #[error("{field} has {given} bytes; it must have 1 to {max}", max = NODE_BYTES_MAX)]
    Name {
        /// Which of them.
        field: &'static str,
        /// Its length in bytes.
        given: usize,
    },
    /// Sequences begin with 1.
    #[error("sequence is 0; it must be at least 1")]
    Sequence,
    /// More than filters have.
    #[error("scopes has {given} entries; it may have at most {max}", max = SCOPES_MAX)]
    Scopes {
        /// As given.
        given: usize,
    },
}

impl TryFrom<wire::ReportRequest> for Report {
    type Error = InvalidReport;

    fn try_from(request: wire::ReportRequest) -> Result<Self, InvalidReport> {
        for (field, text) in [("node", &request.node), ("cluster", &request.cluster)] {
            if !(1..=NODE_BYTES_MAX).contains(&text.len()) {
                return Err(InvalidReport::Name {
                    field,
                    given: text.len(),
                });
            }
        }
        if request.sequence == 0 {
            return Err(InvalidReport::Sequence);
        }
        let given = request.scopes.len();
        if given > SCOPES_MAX {
            return Err(InvalidReport::Scopes { given });
        }
        let scopes: Vec<ScopeCounts> = request.scopes.into_iter().filter_map(counts).collect();
        Ok(Self {
            node: request.node,
            group: request.cluster,
            incarnation: request.incarnation,
            sequence: request.sequence,
            from: WallTime::from_millis(request.from_ms),
            to: WallTime::from_millis(request.to_ms),
            scopes_dropped: u64::try_from(given - scopes.len()).unwrap_or(u64::MAX),
            scopes,
            filters: request
                .filters
                .into_iter()
                .take(FILTERS_MAX)
                .filter_map(applied)
                .collect(),
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
    pub fn observation(&self) -> Observation {
        Observation {
            node: self.node.clone(),
            incarnation: self.incarnation,
            from: self.from,
            at: self.to,
            scopes: self.scopes.clone(),
        }
    }
}

fn applied(status: wire::FilterStatus) -> Option<Applied> {
    Some(Applied {
        side: side(status.side())?,
        generation: status.generation,
        at: WallTime::from_millis(status.applied_at_ms),
    })
}

const fn side(side: wire::Side) -> Option<Side> {
    match side {
        wire::Side::Server => Some(Side::Server),
        wire::Side::Client => Some(Side::Client),
        wire::Side::Unspecified => None,
    }
}

fn counts(delta: wire::ScopeDelta) -> Option<ScopeCounts> {
    let side = side(delta.side())?;
    let breaker = delta.breaker.unwrap_or_default();
    // A newer filter may know outcomes that we do not: its requests still count.
    let mut outcomes = [0; Outcome::ALL.len()];
    for (slot, count) in outcomes.iter_mut().zip(&delta.outcomes) {
        *slot = *count;
    }
    Some(ScopeCounts {
        scope: Scope {
            service: ServiceName::try_from(delta.service).ok()?,
            route: RouteName::try_from(delta.route).ok()?,
            side,
        },
        requests: delta.requests,
        outcomes,
        objectives: delta
            .objectives
            .into_iter()
            .map(objective)
            .collect::<Option<_>>()?,
        refused: breaker.refused,
        shadow_refused: breaker.shadow_refused,
        shadow_refused_good: breaker.shadow_refused_good,
        breaker: reading(&breaker),
        latency: latencies(&delta.latency.unwrap_or_default().pairs)?,
    })
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

/// Undoes the differences: pairs of latency in microseconds and count, ascending.
fn latencies(pairs: &[u64]) -> Option<Vec<(u64, u64)>> {
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
mod tests {
    use super::*;

    fn request(scopes: Vec<wire::ScopeDelta>) -> wire::ReportRequest {
        wire::ReportRequest {
            node: "pod-1".to_owned(),
            cluster: "checkout".to_owned(),
            incarnation: 7,
            sequence: 1,
            scopes,
            ..wire::ReportRequest::default()
        }
    }

    fn delta() -> wire::ScopeDelta {
        wire::ScopeDelta {
            service: "checkout".to_owned(),
            route: "/pay".to_owned(),
            side: wire::Side::Server.into(),
            requests: 3,
            outcomes: vec![2, 0, 1],
            latency: Some(wire::Histogram {
                pairs: vec![100, 1, 50, 2],
            }),
            objectives: vec![wire::ObjectiveDelta {
                slo: "pay".to_owned(),
                objective: 0,
                total: 3,
                good: 2,
            }],
            ..wire::ScopeDelta::default()
        }
    }

    #[test]
    fn a_report_is_read_whole() {
        let report = Report::try_from(request(vec![delta()])).unwrap();
        let counts = &report.scopes[0];
        assert_eq!(counts.scope.to_string(), "checkout /pay (server)");
        assert_eq!(counts.outcomes.iter().sum::<u64>(), 3);
        assert_eq!(counts.latency, [(100, 1), (150, 2)]);
        assert_eq!(counts.breaker, None);
        assert!(report.is_news());
        assert_eq!(report.scopes_dropped, 0);
    }

    #[test]
    fn what_cannot_come_from_a_filter_is_refused() {
        let refusal = |change: fn(&mut wire::ReportRequest)| {
            let mut request = request(vec![]);
            change(&mut request);
            Report::try_from(request).unwrap_err().to_string()
        };
        assert_eq!(
            refusal(|request| request.node.clear()),
            "node has 0 bytes; it must have 1 to 1024"
        );
        assert_eq!(
            refusal(|request| request.cluster = "x".repeat(1_025)),
            "cluster has 1025 bytes; it must have 1 to 1024"
        );
        assert_eq!(
            refusal(|request| request.sequence = 0),
            "sequence is 0; it must be at least 1"
        );
        assert_eq!(
            refusal(|request| request.scopes = vec![wire::ScopeDelta::default(); SCOPES_MAX + 1]),
            "scopes has 4097 entries; it may have at most 4096"
        );
    }

    #[test]
    fn a_scope_that_makes_no_sense_is_left_out_and_counted() {
        let broken: [fn(&mut wire::ScopeDelta); 5] = [
            |delta| delta.side = 0,
            |delta| delta.route.clear(),
            |delta| delta.objectives[0].good = 4,
            |delta| delta.objectives[0].slo = "a\nb".to_owned(),
            |delta| delta.latency = Some(wire::Histogram { pairs: vec![1] }),
        ];
        for change in broken {
            let mut bad = delta();
            change(&mut bad);
            let report = Report::try_from(request(vec![bad, delta()])).unwrap();
            assert_eq!((report.scopes.len(), report.scopes_dropped), (1, 1));
        }
    }

    #[test]
    fn outcomes_of_a_newer_filter_do_no_harm() {
        let mut newer = delta();
        newer.outcomes = vec![1; 20];
        newer.requests = 20;
        let report = Report::try_from(request(vec![newer])).unwrap();
        assert_eq!(report.scopes[0].requests, 20);
    }
}
