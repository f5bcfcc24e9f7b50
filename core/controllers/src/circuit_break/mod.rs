//! Guards scopes with breakers, and opens them all when the whole fleet sees trouble.

mod intent;

pub use intent::CircuitBreakerIntent;

use crate::{Controller, Decision, SloIntent, Stage, World};

/// Derives breakers from SLOs.
#[derive(Clone, Copy, Debug)]
pub struct DerivedBreak;

/// Carries out explicit `CircuitBreaker` documents.
#[derive(Clone, Copy, Debug)]
pub struct CircuitBreak;

impl Controller for DerivedBreak {
    type Intent = SloIntent;
    type Memory = ();
    const KIND: &'static str = "slo";
    const STAGE: Stage = Stage::Protect;

    fn step(&self, _intent: &SloIntent, _memory: &mut (), _world: &World) -> Decision {
        Decision::default()
    }
}

impl Controller for CircuitBreak {
    type Intent = CircuitBreakerIntent;
    type Memory = ();
    const KIND: &'static str = "circuit_break";
    const STAGE: Stage = Stage::Protect;

    fn step(&self, _intent: &CircuitBreakerIntent, _memory: &mut (), _world: &World) -> Decision {
        Decision::default()
    }
}
