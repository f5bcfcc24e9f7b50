//! What faults promise.

mod arms;
mod asking;
mod bodies;
mod caps;
mod choosing;
mod counting;
mod delays;

use super::*;
use crate::headers::{HeaderMap, serialised};
use sloop_model::{Criticality, FaultWritten, Share};

/// A fault called `a` for all requests until 100 ms, with `more` fields.
pub(super) fn rule(more: &str) -> FaultRule {
    named("a", 10_000, more)
}

/// A fault called `id` for a share of requests until 100 ms, with `more` fields.
pub(super) fn named(id: &str, share: u16, more: &str) -> FaultRule {
    let mut written: serde_json::Value = serde_json::from_str(more).unwrap();
    let fields = written.as_object_mut().unwrap();
    fields.insert("id".to_owned(), id.into());
    fields.insert("share".to_owned(), share.into());
    fields.entry("expires_at_ms").or_insert(100.into());
    let written: FaultWritten = serde_json::from_value(written).unwrap();
    written.try_into().unwrap()
}

pub(super) fn faults(rules: &[FaultRule]) -> Faults {
    Faults::new(rules, Sidecar::UNKNOWN)
}

pub(super) fn trace(low: u64) -> TraceId {
    TraceId { high: 0, low }
}

const NO_ARMS: &Arms = &Arms::NONE;

pub(super) fn facts(low: u64) -> Facts<'static> {
    Facts {
        trace: trace(low),
        request: None,
        caller: b"",
        criticality: Criticality::Critical,
        arms: NO_ARMS,
    }
}

pub(super) fn wall(millis: u64) -> WallTime {
    WallTime::from_millis(millis)
}

/// The position of the fault that meets the request of `facts` at 99 ms.
pub(super) fn hit(faults: &Faults, facts: &Facts<'_>) -> Option<usize> {
    faults
        .choose(facts, || wall(99))
        .hit()
        .map(|hit| hit.position)
}

/// A request with `headers`, handed to `with`.
pub(super) fn with_request<T>(
    headers: &[(&str, &[u8])],
    with: impl FnOnce(&Request<'_>) -> T,
) -> T {
    let bytes = serialised(headers);
    with(&Request::read(HeaderMap::new(&bytes)))
}
