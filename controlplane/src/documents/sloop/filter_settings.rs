//! The kind `FilterSettings`: what filters tell apart, trace, show and take for health checks, by service and side.

use sloop_controllers::FilterSettings;
use sloop_model::{FilterConfig, TraceOwner, TraceResponse};

use super::super::metadata::Metadata;
use super::super::reader::Fields;
use super::part::{self, Part};
use super::route_set;
use super::target::read_side;

/// Reads settings of filters.
pub(super) fn read(document: &Fields<'_>, metadata: &Metadata<'_>) -> Option<FilterSettings> {
    let spec = document.required("spec")?;
    let fields = spec.fields(&[
        "service",
        "side",
        "respond",
        "context",
        "spans",
        "dimensions",
        "stats",
        "health_checks",
    ])?;
    let service = fields.get("service").map(|at| at.parse());
    let side = fields.get("side").map(|at| read_side(&at));
    let respond = fields.get("respond").map(|at| {
        at.word(&[
            ("origin", TraceResponse::Origin),
            ("always", TraceResponse::Always),
            ("never", TraceResponse::Never),
        ])
    });
    let context = read_part(&fields, "context", Part::Context);
    let spans = read_part(&fields, "spans", Part::Spans);
    let dimensions = read_part(&fields, "dimensions", Part::Dimensions);
    let stats = read_part(&fields, "stats", Part::Stats);
    let health_checks = fields
        .get("health_checks")
        .map(|at| route_set::read_matches(&at));
    let context = context?;
    let settings = FilterSettings {
        name: metadata.name.clone(),
        service: service.map_or(Some(None), |read| read.map(Some))?,
        side: side.map_or(Some(None), |read| read.map(Some))?,
        respond: respond.map_or(Some(None), |read| read.map(Some))?,
        ignores_deadlines: context.is_some() && ignores_deadlines(&fields),
        context: context.map(|config| config.trace.context),
        spans: spans?.and_then(|config| config.spans),
        dimensions: dimensions?.and_then(|config| config.dimensions),
        stats: stats?.map(|config| config.stats),
        health_checks: health_checks.map_or(Some(None), |read| read.map(Some))?,
    };
    let owner = settings.context.as_ref().map(|context| context.owner);
    if let (Some(TraceOwner::Envoy), Some(at)) = (owner, fields.get("spans")) {
        at.refuse(
            "needs context.owner to be sloop; with envoy nobody is told the ids of these spans",
        );
        return None;
    }
    Some(settings)
}

/// Whether the context in `spec`, which can be read, says that deadlines are ignored, and not nothing about them.
fn ignores_deadlines(spec: &Fields<'_>) -> bool {
    let context = spec.get("context").and_then(|at| at.any_fields());
    let said = context.and_then(|fields| fields.get("deadlines"));
    said.and_then(|at| at.text()) == Some("ignore")
}

/// A configuration with the part in the field `name`; `Some(None)` when it is left out, `None` after a complaint.
#[expect(clippy::option_option, reason = "left out and wrong differ")]
fn read_part(fields: &Fields<'_>, name: &str, part: Part) -> Option<Option<FilterConfig>> {
    let Some(at) = fields.get(name) else {
        return Some(None);
    };
    part::read(&at, part, part::given(&at)?).map(Some)
}
