//! Whether sidecars can do what an experiment asks of them.
//!
//! A fault that no filter takes does nothing, and doing nothing looks like holding. So what can be known is asked
//! before a run and while it goes on; what cannot shows in how many requests met a fault
//! ([`FaultStatus::met`](super::FaultStatus::met)).

use std::collections::BTreeSet;

use sloop_model::{DimensionValue, FaultRule, Module, Side};

use super::intent::{ChaosSpec, ChaosTarget};
use super::targets::{chosen, rule_id};
use crate::{FilterReading, World};

/// Why a fault would not be injected on a target; nothing when all would be, as far as sidecars say.
pub(super) fn unable(spec: &ChaosSpec, world: &World) -> Option<String> {
    let targets = chosen(spec);
    let faults = spec.faults.iter().enumerate();
    faults
        .flat_map(|(index, fault)| targets.iter().map(move |target| (index, fault, target)))
        .find_map(|(index, fault, target)| {
            let why = module(fault, target, world).or_else(|| version(fault, target, world))?;
            let id = rule_id(spec, index);
            Some(format!(
                "fault {id} would do nothing on {}: {why}",
                target.scope()
            ))
        })
}

/// Why the module of the sidecars cannot do it: one that can do less would leave its share of the arm untouched. Sidecars that do not
/// meet the target's requests may run what they like.
fn module(fault: &FaultRule, target: &ChaosTarget, world: &World) -> Option<String> {
    let field = fault.effect().asks_for_answers()?;
    let mut sidecars = world.sidecars(&target.service, target.side).peekable();
    if sidecars.peek().is_none() {
        return Some(format!(
            "{field} takes sloop_filter_answers.wasm, and no sidecar has said yet what it runs"
        ));
    }
    let is_lean = |filter: &FilterReading| {
        filter.side == target.side
            && match filter.module {
                Module::Requests => true,
                Module::Answers => false,
            }
    };
    let (node, _) = sidecars.find(|(_, sidecar)| sidecar.filters.iter().any(is_lean))?;
    Some(format!(
        "{field} takes sloop_filter_answers.wasm, and sidecar {node} runs sloop_filter.wasm"
    ))
}

/// Why no sidecar is of a version that the fault is for.
fn version(fault: &FaultRule, target: &ChaosTarget, world: &World) -> Option<String> {
    let wanted = &fault.reach().versions;
    if wanted.is_empty() {
        return None;
    }
    let sidecars = world.sidecars(&target.service, target.side);
    let filters = sidecars.flat_map(|(_, sidecar)| &sidecar.filters);
    let here = filters.filter(|filter| filter.side == target.side);
    let known: BTreeSet<&DimensionValue> = here.filter_map(|one| one.version.as_ref()).collect();
    let is_there = |version: &String| known.iter().any(|known| known.as_str() == version);
    if wanted.iter().any(is_there) {
        return None;
    }
    let words = |all: Vec<&str>| all.join(", ");
    let there = match known.len() {
        0 => "none says its version".to_owned(),
        _ => format!(
            "there are {}",
            words(known.iter().map(|one| one.as_str()).collect())
        ),
    };
    let wanted = words(wanted.iter().map(String::as_str).collect());
    let whose = match target.side {
        Side::Server => "its sidecars",
        Side::Client => "the sidecars of its callers",
    };
    Some(format!("it is for version {wanted}; of {whose} {there}"))
}
