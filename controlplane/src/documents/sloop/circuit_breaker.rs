//! The kind `CircuitBreaker`: a breaker with limits of one's own choice.
//!
//! What a document leaves out is as SLOs imply it on the same requests, so that one who wants another value writes that
//! value alone. That is known when all documents are put together; until then what is written is
//! checked for itself, beside neighbours that any value gets on with.

use serde_json::{Map, Value as Json};
use sloop_controllers::{CircuitBreakerIntent, SloIntent, implied_breaker};
use sloop_model::{BreakerMode, BreakerRule, WallTime};

use super::super::metadata::Metadata;
use super::super::reader::{Fields, Sink, Spot};
use super::part::{self, Given, Part};
use super::{expiry, target};

/// What a breaker may do, as documents and the filter call it.
const MODES: &[(&str, BreakerMode)] = &[
    ("enforce", BreakerMode::Enforce),
    ("shadow", BreakerMode::Shadow),
    ("metrics_only", BreakerMode::MetricsOnly),
    ("disabled", BreakerMode::Disabled),
    ("forced_open", BreakerMode::ForcedOpen),
];

/// When it ends, in either way to say it. Modes that overrule a breaker need one.
const EXPIRY: [&str; 2] = ["expires_at", "expires_at_ms"];

const FIELDS: &[&str] = &[
    "service",
    "route",
    "side",
    "mode",
    "limits",
    "expires_at",
    "expires_at_ms",
];

/// Limits without which there is no breaker.
const REQUIRED: [&str; 5] = [
    "calls_min",
    "failed_max",
    "open_ms",
    "open_max_ms",
    "probes",
];

/// What says how long the window is. One in requests puts one in time out of force.
const WINDOWS: [&str; 2] = ["window_ms", "window_calls"];

/// A circuit breaker as it is written.
#[derive(Clone, Debug)]
pub(in crate::documents) struct DeclaredBreaker {
    /// The breaker, with limits of no meaning.
    intent: CircuitBreakerIntent,
    /// The limits that are written.
    own: Map<String, Json>,
    /// Where they are.
    spot: Spot,
}

/// Reads a circuit breaker, seen at `now`.
pub(super) fn read(
    document: &Fields<'_>,
    metadata: &Metadata<'_>,
    now: WallTime,
) -> Option<DeclaredBreaker> {
    let spec = document.required("spec")?;
    let fields = spec.fields(FIELDS)?;
    let target = target::read(&fields);
    let mode = fields.get("mode").map(|at| at.word(MODES));
    let is_forced = mode.flatten().is_some_and(BreakerMode::is_forced);
    let ends = is_forced || EXPIRY.iter().any(|name| fields.get(name).is_some());
    let expires_at = ends.then(|| expiry::read(&fields, now, "what SLOs imply holds"));
    let limits = fields.get("limits");
    let spot = limits
        .as_ref()
        .map_or_else(|| spec.spot().field("limits"), |at| at.spot().clone());
    let at = limits.as_ref().unwrap_or(&spec);
    let given = match &limits {
        Some(limits) => part::given(limits),
        None => Some(Given::default()),
    };
    let read = given.and_then(|given| {
        let own = given.fields().clone();
        let config = part::read(at, Part::Breaker, beside_any(given))?;
        Some((own, config.scopes.into_iter().next()?.breaker?.limits))
    });
    let target = target?;
    let mode = mode.unwrap_or(Some(BreakerMode::Enforce))?;
    // None after a complaint; no word about it is none.
    let expires_at = expires_at.map_or(Some(None), |read| read.map(Some))?;
    let (own, limits) = read?;
    let intent = CircuitBreakerIntent {
        name: metadata.name.clone(),
        service: target.service,
        route: target.route,
        side: target.side,
        mode,
        limits,
        expires_at,
    };
    Some(DeclaredBreaker { intent, own, spot })
}

/// The same with whatever is missing: values beside which every value of the others is right.
fn beside_any(given: Given) -> Given {
    let given = if WINDOWS.iter().any(|name| given.has(name)) {
        given
    } else {
        given.or("window_ms", 600_000)
    };
    let given = match (given.has("slow_max"), given.has("slow_us")) {
        (true, false) => given.or("slow_us", 1_000_000),
        (false, true) => given.or("slow_max", 5_000),
        (true, true) | (false, false) => given,
    };
    given
        .or("calls_min", 1)
        .or("failed_max", 5_000)
        .or("open_ms", 10)
        .or("open_max_ms", 600_000)
        .or("probes", 1)
}

impl DeclaredBreaker {
    /// The breaker, but for its limits.
    pub(in crate::documents) const fn intent(&self) -> &CircuitBreakerIntent {
        &self.intent
    }

    /// The breaker, with what `slos` imply for limits that are not written. `None` after complaints.
    pub(in crate::documents) fn beside(
        &self,
        slos: &[SloIntent],
        sink: &Sink,
    ) -> Option<CircuitBreakerIntent> {
        let intent = &self.intent;
        let implied = implied_breaker(slos, (&intent.service, &intent.route, intent.side));
        let mut fields = implied.map(written).unwrap_or_default();
        if self.own.contains_key("window_calls") {
            fields.remove("window_ms");
            fields.remove("window_buckets");
        }
        for (name, own) in self.own.clone() {
            match (fields.get_mut(&name), own) {
                // Of `manner`, too, what is written is meant alone.
                (Some(Json::Object(implied)), Json::Object(own)) => implied.extend(own),
                (_, own) => {
                    fields.insert(name, own);
                }
            }
        }
        let window =
            (!WINDOWS.iter().any(|name| fields.contains_key(*name))).then_some("window_ms");
        let missing = REQUIRED.iter().filter(|name| !fields.contains_key(**name));
        let missing: Vec<&str> = window.into_iter().chain(missing.copied()).collect();
        for name in &missing {
            let why = "is required where no SLO implies it";
            sink.refuse(self.spot.field(name).says(why));
        }
        if !missing.is_empty() {
            return None;
        }
        Some(CircuitBreakerIntent {
            limits: part::breaker(fields, &self.spot, sink)?,
            ..intent.clone()
        })
    }
}

/// Limits as a document has them.
fn written(rule: BreakerRule) -> Map<String, Json> {
    match serde_json::to_value(rule.limits()) {
        Ok(Json::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    }
}
