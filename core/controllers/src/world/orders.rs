//! Which breakers are told to open, whoever ordered it.

use sloop_model::{Policy, Rule, Scope, Trip};

use super::World;

impl World {
    /// Keeps which orders are among `policies`, those of a step, for the next one.
    pub(crate) fn note_orders(&mut self, policies: &[Policy]) {
        let orders = policies.iter().filter_map(|policy| match policy.rule {
            Rule::Trip(trip) => Some((policy.scope.clone(), trip)),
            Rule::Break { .. }
            | Rule::Count(_)
            | Rule::Fault(_)
            | Rule::Shed { .. }
            | Rule::Deny(_)
            | Rule::RetryBudget { .. }
            | Rule::Deadline { .. } => None,
        });
        self.orders = Some(orders.collect());
    }

    /// Whether there was a step, so that it is known what breakers were told.
    pub(crate) const fn are_orders_known(&self) -> bool {
        self.orders.is_some()
    }

    /// The order to the breakers of `scope` of the last step, also one that ran out.
    pub(crate) fn order_to(&self, scope: &Scope) -> Option<Trip> {
        self.orders.as_ref()?.get(scope).copied()
    }
}
