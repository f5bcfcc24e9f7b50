//! Injects faults on purpose, and never while an SLO of the service burns.

mod intent;

pub use intent::FaultInjectionIntent;

use crate::{Controller, Decision, Stage, World};

/// The controller.
#[derive(Clone, Copy, Debug)]
pub struct FaultInjection;

impl Controller for FaultInjection {
    type Intent = FaultInjectionIntent;
    type Memory = ();
    const KIND: &'static str = "fault_injection";
    const STAGE: Stage = Stage::Change;

    fn step(&self, _intent: &FaultInjectionIntent, _memory: &mut (), _world: &World) -> Decision {
        Decision::default()
    }
}
