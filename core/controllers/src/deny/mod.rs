//! Refuses requests because of what they are, as declared, until it expires.
//!
//! What is pushed ends with the lease of breakers, so a rule ends in every
//! filter at most half an hour after it last heard of it, and at its own expiry
//! at the latest.

mod intent;

pub use intent::DenyIntent;

use core::time::Duration;

use sloop_model::{Mode, Policy, Rule, Scope};

use crate::lease::BREAKERS;
use crate::words::{Length, Percent};
use crate::{Controller, Decision, Stage, World};

/// The controller.
#[derive(Clone, Copy, Debug)]
pub struct Deny;

impl Controller for Deny {
    type Intent = DenyIntent;
    type Memory = ();
    const KIND: &'static str = "deny";
    const STAGE: Stage = Stage::Protect;

    fn step(&self, intent: &DenyIntent, _memory: &mut (), world: &World) -> Decision {
        let now = world.now();
        let expires_at = intent.rule.expires_at();
        if expires_at <= now {
            return Decision {
                because: "the rule has expired".to_owned(),
                ..Decision::default()
            };
        }
        let acts = match intent.rule.mode() {
            Mode::Enforce => "refused",
            Mode::Shadow => "counted, and pass,",
        };
        let left = Duration::from_secs(expires_at.since(now).as_secs());
        let because = format!(
            "requests that fit are {acts} for {} more, up to {} of what a route receives",
            Length(left),
            Percent(intent.rule.share_max().as_fraction()),
        );
        Decision {
            policies: vec![Policy {
                scope: Scope {
                    service: intent.service.clone(),
                    route: intent.route.route_name(),
                    side: intent.side,
                },
                rule: Rule::Deny(intent.rule.clone().ending_by(BREAKERS.ends_at(now))),
            }],
            wake_at: Some(expires_at.min(BREAKERS.renewed_at(now))),
            because,
            ..Decision::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use sloop_model::{DenyRule, ServiceName, Side, WallTime};

    use super::*;
    use crate::RouteSelector;

    fn at(second: u64) -> WallTime {
        WallTime::from_millis(second * 1_000)
    }

    fn decided(second: u64) -> Decision {
        let rule = format!(
            r#"{{"id": "a", "caller": "batch", "expires_at_ms": {}}}"#,
            at(10_000).as_millis()
        );
        let rule: DenyRule = serde_json::from_str(&rule).unwrap();
        let intent = DenyIntent {
            name: "a".into(),
            service: ServiceName::try_from("payments").unwrap(),
            route: RouteSelector::Any,
            side: Side::Server,
            rule,
        };
        let mut world = World::default();
        world.begin_step(at(second));
        Deny.step(&intent, &mut (), &world)
    }

    /// When what is pushed at `second` ends.
    fn ends(second: u64) -> Option<WallTime> {
        match &decided(second).policies[..] {
            [
                Policy {
                    rule: Rule::Deny(rule),
                    ..
                },
            ] => Some(rule.expires_at()),
            [] => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_ends_with_its_lease_and_at_its_expiry_at_the_latest() {
        assert_eq!(ends(0), Some(at(1_800)));
        assert_eq!(ends(899), Some(at(1_800)), "nothing is pushed in between");
        assert_eq!(ends(900), Some(at(2_700)));
        assert_eq!(ends(9_999), Some(at(10_000)));
        assert_eq!(ends(10_000), None);
        assert_eq!(
            decided(9_900).wake_at,
            Some(at(9_900).after(Duration::from_secs(100)))
        );
        assert!(
            decided(0).because.contains("up to 50 %"),
            "{}",
            decided(0).because
        );
    }
}
