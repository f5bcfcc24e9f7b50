//! The kind `FaultInjection`: a fault on purpose, until it expires.

use jiff::Timestamp;
use sloop_controllers::FaultInjectionIntent;
use sloop_model::{FaultRule, FaultWritten, WallTime};

use super::super::metadata::Metadata;
use super::super::reader::{At, Fields, quoted};
use super::target::{self, read_share};

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

fn read_fault(at: &At<'_>, name: &str, now: WallTime) -> Option<FaultRule> {
    let fields = at.fields(&[
        "id",
        "seed",
        "share",
        "delay_ms",
        "abort_status",
        "expires_at",
        "expires_at_ms",
    ])?;
    let id = fields.get("id").map(|at| at.text());
    let seed = fields.get("seed").map(|at| at.whole());
    let share = fields.required("share").and_then(|at| read_share(&at));
    let delay_ms = fields.get("delay_ms").map(|at| at.whole());
    let abort_status = fields.get("abort_status").map(|at| at.whole());
    let expires_at_ms = read_expiry(&fields, now);
    let written = FaultWritten {
        id: id.unwrap_or(Some(name))?.to_owned(),
        seed: seed.unwrap_or(Some(0))?,
        share: share?,
        delay_ms: delay_ms.map_or(Some(None), |read| read.map(Some))?,
        abort_status: abort_status.map_or(Some(None), |read| read.map(Some))?,
        expires_at_ms: expires_at_ms?,
        ..FaultWritten::default()
    };
    match FaultRule::try_from(written) {
        Ok(rule) => Some(rule),
        Err(error) => {
            let field = error.field().and_then(|field| fields.get(field));
            field.as_ref().unwrap_or(at).refuse(error);
            None
        }
    }
}

/// No fault is forever: one of `expires_at` (for people) and `expires_at_ms` is required.
fn read_expiry(fields: &Fields<'_>, now: WallTime) -> Option<WallTime> {
    let (at, expiry) = match (fields.get("expires_at"), fields.get("expires_at_ms")) {
        (Some(at), None) => {
            let expiry = read_timestamp(&at)?;
            (at, expiry)
        }
        (None, Some(at)) => {
            let expiry = WallTime::from_millis(at.whole()?);
            (at, expiry)
        }
        (Some(_), Some(_)) => {
            let at = fields.at();
            at.refuse("has expires_at and expires_at_ms; give one of them");
            return None;
        }
        (None, None) => {
            fields.required("expires_at");
            return None;
        }
    };
    if expiry <= now {
        let note = "has passed; nothing is injected";
        at.sink().note(at.spot().says(note));
    }
    Some(expiry)
}

fn read_timestamp(at: &At<'_>) -> Option<WallTime> {
    let text = at.text()?;
    let parsed: Option<Timestamp> = text.parse().ok();
    let millis = parsed.and_then(|moment| u64::try_from(moment.as_millisecond()).ok());
    if millis.is_none() {
        at.refuse(format!(
            "is {}; it must be a moment as \"2026-01-31T12:30:00Z\"",
            quoted(text)
        ));
    }
    millis.map(WallTime::from_millis)
}
