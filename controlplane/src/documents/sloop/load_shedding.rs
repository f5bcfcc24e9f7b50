//! The kind `LoadShedding`: load is shed, within bounds of one's own or those that SLOs imply; and how many retries go on.

use sloop_controllers::LoadSheddingIntent;
use sloop_model::{Mode, RetryRule, ShedRule};

use super::super::metadata::Metadata;
use super::super::reader::{At, Fields};
use super::part::{self, Part};
use super::target;

/// Reads a load shedding.
pub(super) fn read(document: &Fields<'_>, metadata: &Metadata<'_>) -> Option<LoadSheddingIntent> {
    let spec = document.required("spec")?;
    let fields = spec.fields(&["service", "route", "side", "mode", "limits", "retries"])?;
    let target = target::read(&fields);
    let mode = fields
        .get("mode")
        .map(|at| at.word(&[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)]));
    let limits = fields.get("limits").map(|at| read_limits(&at));
    let retries = fields.get("retries").map(|at| read_retries(&at));
    let target = target?;
    Some(LoadSheddingIntent {
        name: metadata.name.clone(),
        service: target.service,
        route: target.route,
        side: target.side,
        mode: mode.unwrap_or(Some(Mode::Enforce))?,
        limits: limits.map_or(Some(None), |read| read.map(Some))?,
        retries: retries.map_or(Some(None), |read| read.map(Some))?,
    })
}

fn read_retries(at: &At<'_>) -> Option<RetryRule> {
    let config = part::read(at, Part::Retries, part::given(at)?)?;
    let mut scopes = config.scopes.into_iter();
    Some(scopes.next()?.retries?.limits)
}

fn read_limits(at: &At<'_>) -> Option<ShedRule> {
    let config = part::read(at, Part::Shed, part::given(at)?)?;
    let mut scopes = config.scopes.into_iter();
    Some(scopes.next()?.shed?.limits)
}
