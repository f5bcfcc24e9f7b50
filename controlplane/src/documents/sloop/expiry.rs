//! When something ends by itself: a moment for people, or milliseconds.

use jiff::Timestamp;
use sloop_model::WallTime;

use super::super::reader::{At, Fields, quoted};

/// Reads `expires_at` or `expires_at_ms`, one of which must be there: nothing that harms is forever. Seen
/// at `now`; `without` is what one that has passed leaves undone.
pub(super) fn read(fields: &Fields<'_>, now: WallTime, without: &str) -> Option<WallTime> {
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
        let note = format!("has passed; {without}");
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
