//! Carries out explicit `LoadShedding` documents.
//!
//! What SLOs imply is derived beside their breakers, and acts where they do. A document
//! says that it shall act, or only count, or gives bounds of its own; or a retry budget, alone or beside bounds. The law that finds the
//! share is in the filter; here are its bounds and its end: the lease of
//! breakers, so it stops by itself when nobody renews it.

mod intent;

pub use intent::LoadSheddingIntent;

use sloop_model::{Mode, Policy, Rule, Scope};

use crate::lease::BREAKERS;
use crate::{Controller, Decision, Stage, World};

/// The controller.
#[derive(Clone, Copy, Debug)]
pub struct LoadShed;

impl Controller for LoadShed {
    type Intent = LoadSheddingIntent;
    type Memory = ();
    const KIND: &'static str = "load_shed";
    const STAGE: Stage = Stage::Protect;

    fn step(&self, intent: &LoadSheddingIntent, _memory: &mut (), world: &World) -> Decision {
        let scope = Scope {
            service: intent.service.clone(),
            route: intent.route.route_name(),
            side: intent.side,
        };
        let says = match (intent.limits, intent.retries) {
            (None, Some(_)) => None,
            (Some(_), _) => Some("within the bounds of the document"),
            (None, None) => Some("within the bounds that SLOs imply, and not where none does"),
        };
        let (load, retries) = match intent.mode {
            Mode::Enforce => ("is shed, the least critical first", "do not go on"),
            Mode::Shadow => (
                "would be shed and passes all the same",
                "go on all the same",
            ),
        };
        let shed = says.map(|_| Policy {
            scope: scope.clone(),
            rule: Rule::Shed {
                mode: intent.mode,
                limits: intent.limits,
                expires_at_ms: BREAKERS.ends_at(world.now()),
            },
        });
        let shedding =
            says.map(|bounds| format!("while {scope} misses its objective, load {load}, {bounds}"));
        let budgeted = intent.retries.map(|_| {
            format!(
                "while retries of {scope} are in vain, those beyond the document's budget {retries}"
            )
        });
        let because: Vec<_> = shedding.into_iter().chain(budgeted).collect();
        let budget = intent.retries.map(|limits| Policy {
            scope,
            rule: Rule::RetryBudget {
                mode: intent.mode,
                limits,
                expires_at_ms: BREAKERS.ends_at(world.now()),
            },
        });
        Decision {
            because: because.join("; "),
            policies: shed.into_iter().chain(budget).collect(),
            wake_at: Some(BREAKERS.renewed_at(world.now())),
            ..Decision::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use sloop_model::{RetryLimits, ServiceName, Share, Side, Target, WallTime};

    use super::*;
    use crate::RouteSelector;

    const NOW: WallTime = WallTime::from_millis(1_700_000_100_000);

    fn intent() -> LoadSheddingIntent {
        LoadSheddingIntent {
            name: "a".into(),
            service: ServiceName::try_from("payments").unwrap(),
            route: RouteSelector::Any,
            side: Side::Server,
            mode: Mode::Enforce,
            limits: None,
            retries: None,
        }
    }

    fn decide(intent: &LoadSheddingIntent) -> Decision {
        let mut world = World::default();
        world.begin_step(NOW);
        LoadShed.step(intent, &mut (), &world)
    }

    #[test]
    fn a_retry_budget_acts_as_the_document_does_and_alone_where_it_gives_no_bounds() {
        let limits = RetryLimits {
            share: Share::HUNDREDTH,
            least: 1,
        };
        let limits = limits.try_into().unwrap();
        let mut intent = intent();
        (intent.mode, intent.retries) = (Mode::Shadow, Some(limits));
        let decision = decide(&intent);
        let [budget] = &decision.policies[..] else {
            panic!("a retry budget alone: {decision:?}")
        };
        let because = &decision.because;
        assert!(because.contains("budget go on all the same"), "{because}");
        assert_eq!(
            budget.rule,
            Rule::RetryBudget {
                mode: Mode::Shadow,
                limits,
                expires_at_ms: BREAKERS.ends_at(NOW),
            }
        );
        intent.limits =
            crate::circuit_break::derived_shed_limits(Target::parse(0.99).unwrap(), None);
        let Decision {
            policies, because, ..
        } = decide(&intent);
        assert!(because.contains("within the bounds"), "{because}");
        assert!(because.contains("; while retries of"), "{because}");
        assert!(
            matches!(policies[..], [Policy { rule: Rule::Shed { .. }, .. }, ref other] if other == budget),
            "{policies:?}"
        );
    }

    #[test]
    fn it_holds_for_a_lease_and_is_renewed() {
        let decision = decide(&intent());
        let [
            Policy {
                rule:
                    Rule::Shed {
                        mode: Mode::Enforce,
                        limits: None,
                        expires_at_ms,
                    },
                ..
            },
        ] = &decision.policies[..]
        else {
            panic!("{decision:?}");
        };
        let wake_at = decision.wake_at.unwrap();
        assert!(NOW < wake_at && wake_at < *expires_at_ms);
        assert!(
            decision.because.contains("SLOs imply"),
            "{}",
            decision.because
        );
    }
}
