//! What is kept of one VM of a sidecar.

use sloop_model::{FilterConfig, ObjectiveId, Scope, Side};

use super::Vm;
use crate::BreakerState;

impl Vm {
    /// Services that a sidecar asks: as many as a filter may have scopes.
    const ASKED_MAX: usize = FilterConfig::SCOPES_MAX;
    /// Many more breakers than the two filters of a sidecar can have scopes.
    pub(super) const BREAKERS_MAX: usize = 8 * FilterConfig::SCOPES_MAX;

    /// Learns that requests of `scope` ended here.
    pub(super) fn see(&mut self, scope: &Scope) {
        if scope.side == Side::Client
            && !self.asked.contains(&scope.service)
            && self.asked.len() < Self::ASKED_MAX
        {
            self.asked.insert(scope.service.clone());
        }
    }

    /// Learns that requests count for an objective here.
    pub(super) fn count(&mut self, id: &ObjectiveId) {
        if !self.objectives.contains(id) {
            self.objectives.insert(id.clone());
        }
    }

    /// A breaker is mentioned whenever its scope is: one that is not was withdrawn.
    pub(super) fn note_breaker(&mut self, scope: &Scope, state: Option<BreakerState>) {
        let Some(state) = state else {
            self.breakers.remove(scope);
            return;
        };
        if let Some(known) = self.breakers.get_mut(scope) {
            *known = state;
        } else if self.breakers.len() < Self::BREAKERS_MAX {
            self.breakers.insert(scope.clone(), state);
        }
    }
}
