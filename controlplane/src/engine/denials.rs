//! What deny rules did, per service: since this process began, for people to look at, not stored.

use std::collections::BTreeMap;

use sloop_model::Side;

use crate::admin::api::DenialStatus;
use crate::ingest::Denied;

/// Rules of which totals are kept; what later ones do is added up under [`OTHER`].
const RULES_MAX: usize = 10_000;

/// Stands for rules beyond the cap.
const OTHER: &str = "other";

/// Totals by group, side and rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Denials(BTreeMap<(String, Side, String), Totals>);

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    refused: u64,
    shadow_refused: u64,
    over_share: u64,
}

impl Denials {
    /// Takes in what the rules of a sidecar of `group` did.
    pub(super) fn add(&mut self, group: &str, denials: &[Denied]) {
        for denied in denials {
            let mut key = (group.to_owned(), denied.side, denied.id.clone());
            if RULES_MAX <= self.0.len() && !self.0.contains_key(&key) {
                OTHER.clone_into(&mut key.0);
                OTHER.clone_into(&mut key.2);
            }
            let totals = self.0.entry(key).or_default();
            for (sum, more) in [
                (&mut totals.refused, denied.refused),
                (&mut totals.shadow_refused, denied.shadow_refused),
                (&mut totals.over_share, denied.over_share),
            ] {
                *sum = sum.saturating_add(more);
            }
        }
    }

    /// What people see, sorted by group, side and rule.
    pub(super) fn status(&self) -> Vec<DenialStatus> {
        let all = self.0.iter();
        all.map(|((group, side, id), totals)| DenialStatus {
            group: group.clone(),
            side: *side,
            id: id.clone(),
            refused: totals.refused,
            shadow_refused: totals.shadow_refused,
            over_share: totals.over_share,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(id: String) -> Denied {
        Denied {
            side: Side::Server,
            id,
            refused: 2,
            shadow_refused: 0,
            over_share: 1,
        }
    }

    #[test]
    fn rules_add_up_and_those_beyond_the_cap_are_one() {
        let mut denials = Denials::default();
        for number in 0..RULES_MAX + 5 {
            denials.add("shop", &[denied(format!("r{number}"))]);
        }
        denials.add("shop", &[denied("r0".to_owned())]);
        let status = denials.status();
        assert_eq!(status.len(), RULES_MAX + 1);
        let of = |id: &str| {
            let found = status.iter().find(|one| one.id == id).unwrap();
            (found.group.as_str(), found.refused, found.over_share)
        };
        assert_eq!(of("r0"), ("shop", 4, 2));
        assert_eq!(of(OTHER), (OTHER, 10, 5));
    }
}
