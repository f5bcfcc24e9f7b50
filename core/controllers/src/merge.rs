//! Settles what several controllers want on one scope.

use sloop_model::Policy;

use crate::Decided;

/// The policies that hold when all of `decisions` do, sorted, and what was left out, in words.
#[must_use]
pub fn merge(decisions: &[Decided]) -> (Vec<Policy>, Vec<String>) {
    let mut policies: Vec<Policy> = decisions
        .iter()
        .flat_map(|decided| decided.decision.policies.iter().cloned())
        .collect();
    policies.sort();
    policies.dedup();
    (policies, Vec::new())
}
