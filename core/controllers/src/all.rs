//! The list of all controllers.

use crate::{
    Alert, Chaos, CircuitBreak, Controllers, Deny, DerivedBreak, FaultInjection, LoadShed, Slo,
};

impl Controllers {
    /// All controllers that there are, without intents.
    #[must_use]
    pub fn with_all() -> Self {
        Self::default()
            .with(Slo)
            .with(DerivedBreak)
            .with(CircuitBreak)
            .with(LoadShed)
            .with(Deny)
            .with(FaultInjection)
            .with(Alert)
            .with(Chaos)
    }
}
