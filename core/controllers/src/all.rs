//! The list of all controllers.

use crate::{Alert, Chaos, CircuitBreak, Controllers, DerivedBreak, FaultInjection, Slo};

impl Controllers {
    /// All controllers that there are, without intents.
    #[must_use]
    pub fn with_all() -> Self {
        Self::default()
            .with(Slo)
            .with(DerivedBreak)
            .with(CircuitBreak)
            .with(FaultInjection)
            .with(Alert)
            .with(Chaos)
    }
}
