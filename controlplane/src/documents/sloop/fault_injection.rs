//! The kind `FaultInjection`: a fault on purpose, until it expires.

use sloop_controllers::FaultInjectionIntent;
use sloop_model::{FaultRule, WallTime};

use super::super::metadata::Metadata;
use super::super::reader::{At, Fields};
use super::part::{self, Part};
use super::{expiry, target};

/// Reads a fault injection, seen at `now`.
pub(super) fn read(
    document: &Fields<'_>,
    metadata: &Metadata<'_>,
    now: WallTime,
) -> Option<FaultInjectionIntent> {
    let spec = document.required("spec")?;
    let fields = spec.fields(&["service", "route", "side", "fault"])?;
    let target = target::read(&fields);
    let fault = fields.required("fault");
    let fault = fault.and_then(|at| read_fault(&at, &metadata.name, now))?;
    let target = target?;
    Some(FaultInjectionIntent {
        name: metadata.name.clone(),
        service: target.service,
        route: target.route,
        side: target.side,
        fault,
    })
}

/// Reads a fault as the filter knows it; its id is `name` when it has none.
fn read_fault(at: &At<'_>, name: &str, now: WallTime) -> Option<FaultRule> {
    let expires_at = expiry::read(&at.any_fields()?, now, "nothing is injected");
    // Whatever is wrong with it has been said.
    let millis = expires_at.unwrap_or_default().as_millis();
    let given = part::given(at)?
        .without("expires_at")
        .with("expires_at_ms", millis)
        .or("id", name);
    let config = part::read(at, Part::Fault, given)?;
    let mut faults = config.scopes.into_iter().flat_map(|scope| scope.faults);
    expires_at.and(faults.next())
}
