//! A fault of an experiment, as the filter's configuration has it.

use sloop_model::FaultRule;

use super::super::super::reader::At;
use super::super::part::{self, Part};

/// What is the experiment's: who a fault is, when it ends, and what it is compared with.
pub(in crate::documents) const NOT_HERE: &[&str] =
    &["id", "seed", "control", "expires_at", "expires_at_ms"];

/// Reads a fault.
pub(super) fn read(at: &At<'_>) -> Option<FaultRule> {
    let fields = at.any_fields()?;
    for name in NOT_HERE {
        if let Some(at) = fields.get(name) {
            at.refuse("is the experiment's; leave it out");
            return None;
        }
    }
    let given = part::given(at)?.with("id", "x").with("expires_at_ms", 0);
    let config = part::read(at, Part::Fault, given)?;
    let mut faults = config.scopes.into_iter().flat_map(|scope| scope.faults);
    faults.next()
}
