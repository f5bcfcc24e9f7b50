//! The kind `DenyRule`: requests are refused because of what they are, until it expires.

use sloop_controllers::DenyIntent;
use sloop_model::{DenyRule, WallTime};

use super::super::metadata::Metadata;
use super::super::reader::{At, Fields};
use super::part::{self, Part};
use super::{expiry, target};

/// Reads a deny rule, seen at `now`.
pub(super) fn read(
    document: &Fields<'_>,
    metadata: &Metadata<'_>,
    now: WallTime,
) -> Option<DenyIntent> {
    let spec = document.required("spec")?;
    let fields = spec.fields(&["service", "route", "side", "rule"])?;
    let target = target::read(&fields);
    let rule = fields.required("rule");
    let rule = rule.and_then(|at| read_rule(&at, &metadata.name, now))?;
    let target = target?;
    Some(DenyIntent {
        name: metadata.name.clone(),
        service: target.service,
        route: target.route,
        side: target.side,
        rule,
    })
}

/// Reads a rule as the filter knows it; its id is `name` when it has none.
fn read_rule(at: &At<'_>, name: &str, now: WallTime) -> Option<DenyRule> {
    let expires_at = expiry::read(&at.any_fields()?, now, "nothing is refused");
    // Whatever is wrong with it has been said.
    let millis = expires_at.unwrap_or_default().as_millis();
    let given = part::given(at)?
        .without("expires_at")
        .with("expires_at_ms", millis)
        .or("id", name);
    let config = part::read(at, Part::Deny, given)?;
    expires_at.and(config.deny.into_iter().next())
}
