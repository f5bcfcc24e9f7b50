//! What filters did to requests on purpose: held back, answered, shed, denied.

use sloop_controllers::ShadowCounts;
use sloop_model::{Criticality, Share, Side};
use sloop_xds_protos::report::v1 as wire;

/// Deny rules in one report, as the wire contract says.
const DENIALS_MAX: usize = 256;

/// Bytes of the id of a deny rule, as its reader says.
const ID_BYTES_MAX: usize = 64;

/// What happened to the requests of one scope since the last report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Requests that a fault held back.
    pub delayed: u64,
    /// Requests that a fault ended.
    pub aborted: u64,
    /// What shedding did, where there is any.
    pub shed: Option<Shed>,
    /// Requests that a deny rule would have refused without its shadow mode.
    pub shadow_denied: u64,
    /// Among these: those that met every objective.
    pub shadow_denied_good: u64,
    /// What the retry budget did.
    pub retries: Retries,
}

/// What a retry budget did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    /// Retries refused.
    pub refused: u64,
    /// Retries that shadow mode would have refused.
    pub shadow: u64,
    /// Among these: those that met every objective.
    pub shadow_good: u64,
}

/// What shedding did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shed {
    /// The share of all requests that is being shed; none when nothing is.
    pub level: Option<Share>,
    /// Requests shed, by [`Criticality::index`].
    pub by_class: [u64; Criticality::ALL.len()],
    /// Requests that shadow mode would have shed.
    pub shadow: u64,
    /// Among these: those that met every objective.
    pub shadow_good: u64,
    /// Times that it was given up because it did not help.
    pub given_up: u64,
}

/// What one deny rule did since the last report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The filter that has the rule.
    pub side: Side,
    /// The rule.
    pub id: String,
    /// Requests refused.
    pub refused: u64,
    /// Requests that shadow mode would have refused.
    pub shadow_refused: u64,
    /// Requests that fitted and passed, because too many of their route had been refused already.
    pub over_share: u64,
}

impl Effects {
    /// What shadow mode would have kept out.
    pub(super) fn shadows(&self) -> ShadowCounts {
        let shed = self.shed.unwrap_or_default();
        ShadowCounts {
            shed: shed.shadow,
            shed_good: shed.shadow_good,
            denied: self.shadow_denied,
            denied_good: self.shadow_denied_good,
        }
    }

    /// The effects on one scope.
    pub(super) fn read(delta: &wire::ScopeDelta) -> Self {
        Self {
            delayed: delta.delayed,
            aborted: delta.aborted,
            shed: delta.shed.as_ref().map(Shed::read),
            shadow_denied: delta.shadow_denied,
            shadow_denied_good: delta.shadow_denied_good.min(delta.shadow_denied),
            retries: Retries {
                refused: delta.retries_refused,
                shadow: delta.shadow_retries_refused,
                shadow_good: delta
                    .shadow_retries_refused_good
                    .min(delta.shadow_retries_refused),
            },
        }
    }
}

impl Shed {
    fn read(delta: &wire::ShedDelta) -> Self {
        let mut by_class = [0; Criticality::ALL.len()];
        for (class, count) in by_class.iter_mut().zip(&delta.shed) {
            *class = *count;
        }
        let level = u16::try_from(delta.level).ok();
        Self {
            level: level
                .and_then(|level| Share::try_from(level).ok())
                .filter(|level| *level != Share::NONE),
            by_class,
            shadow: delta.shadow_shed,
            shadow_good: delta.shadow_shed_good.min(delta.shadow_shed),
            given_up: delta.given_up,
        }
    }
}

/// What deny rules did. Those that make no sense, and what is too much, are left out.
pub(super) fn denials(deltas: Vec<wire::DenyDelta>) -> Vec<Denied> {
    let read = |delta: wire::DenyDelta| {
        let side = match delta.side() {
            wire::Side::Server => Side::Server,
            wire::Side::Client => Side::Client,
            wire::Side::Unspecified => return None,
        };
        let is_id = (1..=ID_BYTES_MAX).contains(&delta.id.len());
        is_id.then_some(Denied {
            side,
            id: delta.id,
            refused: delta.refused,
            shadow_refused: delta.shadow_refused,
            over_share: delta.over_share,
        })
    };
    let deltas = deltas.into_iter().take(DENIALS_MAX);
    deltas.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_read_and_what_cannot_be_is_nothing() {
        let mut delta = wire::ScopeDelta {
            delayed: 3,
            aborted: 2,
            shed: Some(wire::ShedDelta {
                level: 2_500,
                shed: vec![7, 0, 1, 0, 9],
                shadow_shed: 4,
                shadow_shed_good: 5,
                given_up: 1,
            }),
            retries_refused: 6,
            shadow_retries_refused: 2,
            shadow_retries_refused_good: 3,
            ..wire::ScopeDelta::default()
        };
        let effects = Effects::read(&delta);
        let shed = effects.shed.unwrap();
        assert_eq!((effects.delayed, effects.aborted), (3, 2));
        let retries = effects.retries;
        assert_eq!((retries.refused, retries.shadow), (6, 2));
        assert_eq!(retries.shadow_good, 2, "no more than all");
        assert_eq!(shed.level, Share::try_from(2_500).ok());
        assert_eq!(shed.by_class, [7, 0, 1, 0], "a class that nobody knows");
        assert_eq!((shed.shadow, shed.shadow_good), (4, 4), "no more than all");
        for level in [0, 10_001, 70_000] {
            if let Some(shed) = &mut delta.shed {
                shed.level = level;
            }
            assert_eq!(Effects::read(&delta).shed.unwrap().level, None, "{level}");
        }
    }

    #[test]
    fn deny_rules_are_read_up_to_their_bound() {
        let delta = |id: &str, side: wire::Side| wire::DenyDelta {
            side: side.into(),
            id: id.to_owned(),
            refused: 1,
            ..wire::DenyDelta::default()
        };
        let read = denials(vec![
            delta("a", wire::Side::Server),
            delta("", wire::Side::Server),
            delta(&"x".repeat(65), wire::Side::Client),
            delta("b", wire::Side::Unspecified),
        ]);
        assert_eq!(read.len(), 1);
        let many = vec![delta("a", wire::Side::Client); 300];
        assert_eq!(denials(many).len(), 256);
    }
}
