//! `metricSource.spec` of type `sloop`: which requests, and how they ended.

mod names;

use std::collections::BTreeMap;

use sloop_controllers::RouteSelector;
use sloop_model::{DimensionValue, Flags, Outcome, Selector, ServiceName, Side, StatusRange};

use super::openslo::Source;
use super::reader::{At, Fields, Sink, quoted};
use super::sloop::{read_route, read_side};
use super::suggest;
use super::tree::Value;

/// The type that means this system.
pub(super) const TYPE: &str = "sloop";

/// The spec of a source, as written: what is left out, another part of the indicator or a default says.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    pub(super) service: Option<ServiceName>,
    pub(super) route: Option<RouteSelector>,
    pub(super) side: Option<Side>,
    /// HTTP methods, callers and origins; sorted, no duplicates.
    pub(super) method: Option<Vec<DimensionValue>>,
    pub(super) caller: Option<Vec<DimensionValue>>,
    pub(super) origin: Option<Vec<DimensionValue>>,
    /// How many microseconds the unit of a threshold has.
    pub(super) unit_us: Option<f64>,
    /// How they ended.
    pub(super) selector: Option<Selector>,
}

/// Whose source it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Ours.
    Sloop,
    /// Somebody else's, or nobody's that is known; in words.
    Elsewhere(String),
}

/// Finds out whose `source` is, given the types of all data sources by name.
pub(super) fn owner(source: &Source, types: &BTreeMap<&str, &str>, sink: &Sink) -> Owner {
    let named = source
        .reference
        .as_deref()
        .map(|name| (name, types.get(name)));
    match (named, source.kind.as_str()) {
        (None, TYPE) | (Some((_, None | Some(&TYPE))), TYPE) | (Some((_, Some(&TYPE))), "") => {
            Owner::Sloop
        }
        (Some((name, Some(kind))), given) if given == TYPE || **kind == *TYPE => {
            let spot = source.spot.field("type");
            sink.refuse(spot.says(format!(
                "is {}, but the DataSource {name} is of type {}",
                quoted(given),
                quoted(kind)
            )));
            Owner::Elsewhere(format!("the DataSource {name} is of another type"))
        }
        (Some((name, None)), "") => {
            let known: Vec<&str> = types.keys().copied().collect();
            let perhaps = suggest::perhaps(name, &known);
            let why = format!("there is no DataSource {name} in these documents{perhaps}");
            Owner::Elsewhere(why)
        }
        (Some((_, Some(kind))), "") => other(kind),
        (None, "") => Owner::Elsewhere("the metricSource has no type".to_owned()),
        (_, kind) => other(kind),
    }
}

fn other(kind: &str) -> Owner {
    let hint = suggest::perhaps(kind, &[TYPE]);
    Owner::Elsewhere(format!(
        "metrics of type {} are not read{hint}",
        quoted(kind)
    ))
}

/// Reads the spec of a source of type `sloop`.
pub(super) fn read(at: &At<'_>) -> Option<Requests> {
    let fields = at.fields(&[
        "service",
        "route",
        "side",
        "method",
        "caller",
        "origin",
        "unit",
        "status",
        "grpcStatus",
        "flags",
        "outcome",
        "slowerThan",
    ])?;
    let service = fields.get("service").map(|at| at.parse());
    let route = fields.get("route").map(|at| read_route(&at));
    let side = fields.get("side").map(|at| read_side(&at));
    let method = fields.get("method").map(|at| names::methods(&at));
    let caller = fields.get("caller").map(|at| names::callers(&at));
    let origin = fields.get("origin").map(|at| names::origins(&at));
    let unit_us = fields.get("unit").map(|at| read_unit(&at));
    let selector = read_selector(&fields);
    Some(Requests {
        service: service.unwrap_or_default(),
        route: route.unwrap_or_default(),
        side: side.unwrap_or_default(),
        method: method.unwrap_or_default(),
        caller: caller.unwrap_or_default(),
        origin: origin.unwrap_or_default(),
        unit_us: unit_us.unwrap_or_default(),
        selector,
    })
}

fn read_unit(at: &At<'_>) -> Option<f64> {
    at.word(&[("s", 1e6), ("ms", 1e3), ("us", 1.0)])
}

fn read_selector(fields: &Fields<'_>) -> Option<Selector> {
    let lists = |name: &str| fields.get(name).and_then(|at| at.items(64));
    let selector = Selector {
        status: all(lists("status"), read_status),
        grpc_status: all(lists("grpcStatus"), read_grpc_status),
        outcome: all(lists("outcome"), |at| {
            at.word(&Outcome::ALL.map(|outcome| (outcome.name(), outcome)))
        }),
        flags: all(lists("flags"), read_flag)
            .into_iter()
            .fold(0, |flags, flag| flags | flag),
        slower_than_us: fields.get("slowerThan").and_then(|at| read_length(&at)),
    };
    let conditions = ["status", "grpcStatus", "outcome", "flags", "slowerThan"];
    if !conditions.iter().any(|name| fields.get(name).is_some()) {
        return None;
    }
    if fields.at().sink().is_clean() {
        fields.at().accept(selector.check())?;
    }
    Some(selector)
}

fn all<'a, T>(items: Option<Vec<At<'a>>>, read: impl Fn(&At<'a>) -> Option<T>) -> Vec<T> {
    items.iter().flatten().filter_map(read).collect()
}

/// A status (`404`), a class (`5xx`) or a range (`500-504`).
fn read_status(at: &At<'_>) -> Option<StatusRange> {
    let range = match &at.node().value {
        Value::Integer(status) => u16::try_from(*status).ok().map(|status| (status, status)),
        Value::Text(text) => range(text),
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
    };
    let Some(range) = range else {
        at.refuse("must be an HTTP status as 404, a class as \"5xx\" or a range as \"500-504\"");
        return None;
    };
    at.accept(StatusRange::try_from(range))
}

fn range(text: &str) -> Option<(u16, u16)> {
    if let Some(class) = text.strip_suffix("xx") {
        let hundreds = class.parse::<u16>().ok()?.checked_mul(100)?;
        return Some((hundreds, hundreds.checked_add(99)?));
    }
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
}

/// gRPC's statuses by number (<https://grpc.github.io/grpc/core/md_doc_statuscodes.html>).
pub(super) const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

fn read_grpc_status(at: &At<'_>) -> Option<u8> {
    if let Value::Integer(number) = at.node().value {
        let status = u8::try_from(number).ok().filter(|status| *status <= 16);
        if status.is_none() {
            at.refuse(format!("is {number}; it must be from 0 to 16"));
        }
        return status;
    }
    let named: Vec<(&str, u8)> = GRPC.into_iter().zip(0..).collect();
    at.word(&named)
}

fn read_flag(at: &At<'_>) -> Option<u64> {
    let named: Vec<(&str, u64)> = Flags::NAMES
        .iter()
        .map(|(name, bit)| (*name, 1 << bit))
        .collect();
    at.word(&named)
}

/// A length of time as `250ms`, in microseconds.
fn read_length(at: &At<'_>) -> Option<u64> {
    let text = at.text()?;
    let split = text.find(|letter: char| !letter.is_ascii_digit());
    let (digits, unit) = text.split_at_checked(split.unwrap_or(text.len()))?;
    let factor = match unit {
        "us" => Some(1),
        "ms" => Some(1_000),
        "s" => Some(1_000_000),
        _ => None,
    };
    let length = factor.and_then(|factor| digits.parse::<u64>().ok()?.checked_mul(factor));
    if length.is_none() {
        at.refuse(format!(
            "is {}; it must be a whole number with us, ms or s, as \"250ms\"",
            quoted(text)
        ));
    }
    length
}
