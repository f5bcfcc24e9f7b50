//! Who spent the budgets: what reports say about it, and what people see of it.

use std::time::Duration;

use sloop_controllers::{Counted, ObjectiveCounts, Spent, SpentBy, World};
use sloop_model::Dimension;

use super::Engine;
use crate::admin::api::SpendingStatus;
use crate::ingest::Report;

/// Adds to `world` whom `report`'s bad requests are due to, as far as an observation does not say.
pub(super) fn attribute<'a>(world: &mut World, report: &'a Report) {
    for (counts, details) in report.scopes.iter().zip(&report.details) {
        let counted = |objective: &'a ObjectiveCounts| Counted {
            objective: &objective.id,
            scope: &counts.scope,
            service: &report.group,
        };
        let mut applied = report.filters.iter();
        let side = counts.scope.side;
        let applied = applied.find(|applied| applied.side == side);
        if let Some(version) = applied.and_then(|applied| applied.version.as_ref()) {
            for objective in &counts.objectives {
                let bad = objective.total.saturating_sub(objective.good);
                let spender = (SpentBy::Version, version.as_str());
                world.attribute(counted(objective), spender, bad, report.to);
            }
        }
        for value in &details.values {
            for objective in &value.objectives {
                let bad = objective.total.saturating_sub(objective.good);
                let spender = (spent_by(value.dimension), value.value.as_str());
                world.attribute(counted(objective), spender, bad, report.to);
            }
        }
    }
}

const fn spent_by(dimension: Dimension) -> SpentBy {
    match dimension {
        Dimension::Caller => SpentBy::Caller,
        Dimension::Origin => SpentBy::Origin,
        Dimension::Journey => SpentBy::Journey,
    }
}

impl Engine {
    /// Who spent the budgets of an SLO's objectives in the last `length`, or in its own window
    /// when none is given; of more than [`Spent::KEPT`] it is not known. Nothing when there is no such SLO.
    #[must_use]
    pub fn spending(&self, slo: &str, length: Option<Duration>) -> Option<Vec<SpendingStatus>> {
        let now = self.world.now();
        let intents = self.controllers.intents::<sloop_controllers::Slo>();
        let mut intents = intents.map(|(_, intent)| intent);
        let intent = intents.find(|intent| intent.name.as_str() == slo)?;
        let length = length.unwrap_or_else(|| intent.so_far(now));
        let length = length.min(Spent::KEPT);
        let status = |index: u32| SpendingStatus {
            objective: index,
            window_ms: u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
            spent: self.world.spent(&intent.objective_id(index), length),
        };
        let indices = (0..).zip(&intent.objectives).map(|(index, _)| index);
        Some(indices.map(status).collect())
    }
}

#[cfg(test)]
mod tests {
    use sloop_controllers::ScopeCounts;
    use sloop_model::{
        DimensionValue, ObjectiveId, OutcomeClass, RouteName, Scope, ServiceName, Side, SloName,
        WallTime,
    };

    use super::*;
    use crate::ingest::{Applied, Details, ValueCounts};

    const NOW: WallTime = WallTime::from_millis(1_700_000_000_000);

    fn id() -> ObjectiveId {
        ObjectiveId {
            slo: SloName::try_from("pay").unwrap(),
            index: 0,
        }
    }

    fn objective(total: u64, good: u64) -> ObjectiveCounts {
        ObjectiveCounts {
            id: id(),
            total,
            good,
        }
    }

    fn value(text: &str) -> DimensionValue {
        DimensionValue::try_from(text.to_owned()).unwrap()
    }

    /// A sidecar of version 7: of ten requests three were bad, two of them of `shop`.
    fn report() -> Report {
        let by = |dimension, name, total, good| ValueCounts {
            dimension,
            value: value(name),
            classes: [0; OutcomeClass::ALL.len()],
            objectives: vec![objective(total, good)],
        };
        let counts = ScopeCounts {
            requests: 10,
            objectives: vec![objective(10, 7)],
            ..ScopeCounts::nothing(Scope {
                service: ServiceName::try_from("payments").unwrap(),
                route: RouteName::try_from("charge").unwrap(),
                side: Side::Server,
            })
        };
        Report {
            node: "payments-1".to_owned(),
            group: "payments".to_owned(),
            incarnation: 1,
            sequence: 1,
            from: NOW.before(Duration::from_secs(1)),
            to: NOW,
            scopes: vec![counts],
            details: vec![Details {
                values: vec![
                    by(Dimension::Caller, "shop", 5, 3),
                    by(Dimension::Caller, "admin", 3, 3),
                    by(Dimension::Journey, "checkout", 5, 2),
                ],
                ..Details::default()
            }],
            denials: Vec::new(),
            filters: vec![Applied {
                side: Side::Server,
                generation: 1,
                at: NOW,
                module: sloop_model::Module::Requests,
                version: Some(value("v7")),
            }],
            scopes_dropped: 0,
            trouble: crate::ingest::Trouble::default(),
        }
    }

    #[test]
    fn bad_requests_are_due_to_all_that_a_report_names() {
        let mut world = World::default();
        world.begin_step(NOW);
        let report = report();
        world.observe_kept(report.observed());
        attribute(&mut world, &report);
        let spent = world.spent(&id(), Duration::from_secs(60));
        let expected = [
            (SpentBy::Route, "charge", 3),
            (SpentBy::Sidecar, "payments-1", 3),
            (SpentBy::Version, "v7", 3),
            (SpentBy::Caller, "shop", 2),
            (SpentBy::Journey, "checkout", 3),
        ];
        let expected = expected.map(|(by, name, bad)| Spent {
            by,
            name: name.to_owned(),
            bad,
        });
        assert_eq!(spent, expected);
    }

    #[test]
    fn what_was_never_counted_is_not_attributed() {
        let mut world = World::default();
        world.begin_step(NOW);
        attribute(&mut world, &report());
        assert_eq!(world.spent(&id(), Duration::from_secs(60)), []);
    }
}
