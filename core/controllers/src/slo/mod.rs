//! Measures SLOs: what is counted, how fast the budget burns, what is left.

mod intent;
mod status;

pub use intent::{
    BudgetingMethod, Indicator, SloIntent, SloMode, SloObjective, SloSource, SloWindow,
};
pub use status::{
    Acted, BudgetStatus, BurnStatus, ObjectiveStatus, PairStatus, SloStatus, TripStatus,
};

use crate::{Controller, Decision, Stage, World};

/// The controller.
#[derive(Clone, Copy, Debug)]
pub struct Slo;

impl Controller for Slo {
    type Intent = SloIntent;
    type Memory = ();
    const KIND: &'static str = "slo";
    const STAGE: Stage = Stage::Measure;

    fn step(&self, _intent: &SloIntent, _memory: &mut (), _world: &World) -> Decision {
        Decision::default()
    }
}
