//! Counts that no sidecar can have, and what becomes of them.
//!
//! Counts are added up for 90 days, and who may report for a service is believed. One report with a count beyond
//! everything, of a broken or hostile sidecar, would fill the counters of its service for good. What cannot be is left out, and the rest of the report counts. It is a bound on one report (a minute's worth at least), so that
//! counters stay within reason: who goes on to lie within it is believed, for the services that it may report about.

use sloop_controllers::{ArmCounts, ObjectiveCounts, ScopeCounts};

use super::details::Details;
use super::report::Report;
use super::trouble::Trouble;

impl Report {
    /// Leaves out scopes, deny rules and trouble with a count above `max`. Returns how many that were.
    pub fn leave_out_above(&mut self, max: u64) -> u64 {
        let before = self.scopes.len() + self.denials.len();
        let can_be = |counts: &ScopeCounts, details: &Details| {
            all_of_scope(counts).all(|it| it <= max) && all_of_details(details).all(|it| it <= max)
        };
        let mut all = self.scopes.iter().zip(&self.details);
        // As all but always; nothing is moved then.
        if !all.all(|(counts, details)| can_be(counts, details)) {
            let scopes = std::mem::take(&mut self.scopes);
            let details = std::mem::take(&mut self.details);
            (self.scopes, self.details) = scopes
                .into_iter()
                .zip(details)
                .filter(|(counts, details)| can_be(counts, details))
                .unzip();
        }
        self.denials.retain(|denied| {
            let counts = [denied.refused, denied.shadow_refused, denied.over_share];
            counts.iter().all(|count| *count <= max)
        });
        let mut left_out = before - self.scopes.len() - self.denials.len();
        if self.trouble.kinds().iter().any(|(_, count)| max < *count) {
            self.trouble = Trouble::default();
            left_out += 1;
        }
        u64::try_from(left_out).unwrap_or(u64::MAX)
    }
}

/// All counts of a scope that are not parts of others among them.
fn all_of_scope(counts: &ScopeCounts) -> impl Iterator<Item = u64> {
    let shadows = counts.shadows;
    let alone = [
        counts.requests,
        total(&counts.outcomes),
        counts.refused,
        counts.shadow_refused,
        counts.shadow_refused_good,
        total(counts.latency.iter().map(|(_, count)| count)),
        shadows.shed,
        shadows.denied,
    ];
    let objectives = all_of_objectives(&counts.objectives);
    let arms = counts.arms.iter().flat_map(all_of_arm);
    alone.into_iter().chain(objectives).chain(arms)
}

fn all_of_arm(arm: &ArmCounts) -> impl Iterator<Item = u64> {
    let alone = [
        arm.requests,
        total(&arm.outcomes),
        total(arm.latency.iter().map(|(_, count)| count)),
        arm.retries,
    ];
    let objectives = all_of_objectives(&arm.objectives);
    let callers = arm.callers.iter().flat_map(|caller| &caller.objectives);
    let callers = callers.map(|(total, _)| *total);
    alone.into_iter().chain(objectives).chain(callers)
}

/// Those that met it are among all of them, as every reader sees to.
fn all_of_objectives(objectives: &[ObjectiveCounts]) -> impl Iterator<Item = u64> {
    objectives.iter().map(|objective| objective.total)
}

/// What is counted per value for an objective is among what the scope has of it.
fn all_of_details(details: &Details) -> impl Iterator<Item = u64> {
    let effects = &details.effects;
    let shed = effects.shed.unwrap_or_default();
    let alone = [
        details.retries,
        effects.delayed,
        effects.aborted,
        total(&shed.by_class),
        shed.given_up,
        effects.retries.refused,
        effects.retries.shadow,
    ];
    let values = details.values.iter().map(|value| total(&value.classes));
    alone.into_iter().chain(values)
}

fn total<'a>(counts: impl IntoIterator<Item = &'a u64>) -> u64 {
    counts.into_iter().copied().fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use sloop_xds_protos::report::v1 as wire;

    use super::*;

    const MAX: u64 = 1_000;

    /// A scope with these requests, all good.
    fn scope(requests: u64) -> wire::ScopeDelta {
        wire::ScopeDelta {
            service: "checkout".to_owned(),
            route: "pay".to_owned(),
            side: wire::Side::Server.into(),
            requests,
            outcomes: vec![requests],
            objectives: vec![wire::ObjectiveDelta {
                slo: "pay".to_owned(),
                objective: 0,
                total: requests,
                good: requests,
            }],
            ..wire::ScopeDelta::default()
        }
    }

    /// What is left of these scopes, and how many were left out.
    fn left(scopes: Vec<wire::ScopeDelta>) -> (Report, u64) {
        let request = wire::ReportRequest {
            sequence: 1,
            scopes,
            ..wire::ReportRequest::default()
        };
        let mut report = Report::try_from(request).unwrap();
        let left_out = report.leave_out_above(MAX);
        assert_eq!(report.scopes.len(), report.details.len());
        (report, left_out)
    }

    #[test]
    fn what_can_be_counts_beside_what_cannot() {
        let (report, left_out) = left(vec![scope(u64::MAX), scope(MAX), scope(MAX + 1), scope(3)]);
        let requests: Vec<u64> = report.scopes.iter().map(|it| it.requests).collect();
        assert_eq!((requests, left_out), (vec![MAX, 3], 2));
        assert_eq!(left(vec![]).1, 0);
    }

    #[test]
    fn wherever_the_count_is_that_cannot_be() {
        let above = MAX + 1;
        let mut all = vec![scope(1); 11];
        all[0].outcomes = vec![MAX, 1];
        all[1].objectives[0].total = above;
        all[2].retries = above;
        all[3].delayed = above;
        all[4].aborted = u64::MAX;
        all[5].breaker = Some(wire::BreakerDelta {
            refused: above,
            ..wire::BreakerDelta::default()
        });
        all[6].shed = Some(wire::ShedDelta {
            shed: vec![u64::MAX, u64::MAX],
            ..wire::ShedDelta::default()
        });
        all[7].arms = vec![wire::ArmDelta {
            arm: wire::Arm::Fault.into(),
            requests: above,
            ..wire::ArmDelta::default()
        }];
        all[8].dimensions = vec![wire::DimensionDelta {
            dimension: wire::Dimension::Caller.into(),
            value: "cart".to_owned(),
            classes: vec![above],
            ..wire::DimensionDelta::default()
        }];
        all[9].retries_refused = above;
        all[10].shadow_retries_refused = above;
        for (place, one) in all.into_iter().enumerate() {
            assert_eq!(left(vec![one, scope(1)]).1, 1, "{place}");
        }
    }

    #[test]
    fn denials_and_trouble_have_the_same_bound() {
        let request = wire::ReportRequest {
            sequence: 1,
            denials: vec![
                wire::DenyDelta {
                    id: "a".to_owned(),
                    side: wire::Side::Server.into(),
                    refused: MAX + 1,
                    ..wire::DenyDelta::default()
                },
                wire::DenyDelta {
                    id: "b".to_owned(),
                    side: wire::Side::Server.into(),
                    refused: MAX,
                    ..wire::DenyDelta::default()
                },
            ],
            trouble: Some(wire::Trouble {
                ends_unseen: u64::MAX,
                ..wire::Trouble::default()
            }),
            ..wire::ReportRequest::default()
        };
        let mut report = Report::try_from(request).unwrap();
        assert_eq!(report.leave_out_above(MAX), 2);
        assert_eq!(report.denials.len(), 1);
        assert_eq!(report.denials[0].id, "b");
        assert_eq!(report.trouble, Trouble::default());
    }
}
