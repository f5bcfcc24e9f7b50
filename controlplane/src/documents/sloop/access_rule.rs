//! The kind `AccessRule`: who may be whose sidecar, and report about what.

use sloop_controllers::{AccessRule, Pattern, SpiffeId};

use super::super::metadata::Metadata;
use super::super::reader::{At, Fields};

/// Patterns in one list.
const PATTERNS_MAX: usize = 256;

/// Reads a rule.
pub(super) fn read(document: &Fields<'_>, metadata: &Metadata<'_>) -> Option<AccessRule> {
    let spec = document.required("spec")?;
    let fields = spec.fields(&["identities", "services", "calls"])?;
    let identities = fields.required("identities");
    let identities = identities.and_then(|at| some(&at, read_identity));
    let services = fields.required("services");
    let services = services.and_then(|at| some(&at, read_pattern));
    let calls = fields.get("calls").map(|at| list(&at, read_pattern));
    if calls.is_none() {
        spec.sink().note(spec.spot().says(
            "has no `calls`, so whoever has one of these names may report as a caller of any service, under any node id: \
             open the breakers of all its callers, and spend budgets that are counted there",
        ));
    }
    Some(AccessRule {
        name: metadata.name.clone(),
        identities: identities?,
        services: services?,
        calls: calls.map_or(Some(None), |read| read.map(Some))?,
    })
}

/// A list that is about somebody.
fn some(at: &At<'_>, read: fn(&At<'_>) -> Option<Pattern>) -> Option<Vec<Pattern>> {
    let patterns = list(at, read)?;
    if patterns.is_empty() {
        at.refuse("is empty; it must have at least one item");
        return None;
    }
    Some(patterns)
}

fn list(at: &At<'_>, read: fn(&At<'_>) -> Option<Pattern>) -> Option<Vec<Pattern>> {
    let items = at.items(PATTERNS_MAX)?;
    // All complaints at once.
    let read: Vec<Option<Pattern>> = items.iter().map(read).collect();
    read.into_iter().collect()
}

fn read_pattern(at: &At<'_>) -> Option<Pattern> {
    at.accept(Pattern::try_from(at.text()?))
}

/// What no certificate can say would never fit; that is a slip.
fn read_identity(at: &At<'_>) -> Option<Pattern> {
    let pattern = read_pattern(at)?;
    match &pattern {
        Pattern::Exact(name) => {
            at.accept(
                SpiffeId::try_from(name.as_str()).map_err(|why| format!("is no name: {why}")),
            )?;
        }
        Pattern::Prefix(prefix) => {
            let scheme = "spiffe://";
            if !(prefix.starts_with(scheme) || scheme.starts_with(prefix.as_str())) {
                at.refuse("is no beginning of a name; names begin with spiffe://");
                return None;
            }
        }
    }
    Some(pattern)
}
