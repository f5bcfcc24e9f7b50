//! Spans as OTLP: `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`.
//!
//! Field numbers: opentelemetry-proto 1.x, which is stable. Names: the
//! [HTTP](https://opentelemetry.io/docs/specs/semconv/http/http-spans/) and
//! [RPC](https://opentelemetry.io/docs/specs/semconv/rpc/rpc-spans/) conventions, in the version that
//! [`SCHEMA_URL`] names, so that readers of another version can translate them.
//!
//! Where we differ from the conventions:
//!
//! - no query, neither in `url.full` nor as `url.query`: it is where secrets are;
//! - `http.route` and the target in a span's name are our name of the route,
//!   which is low in cardinality but a template only if its giver made it one;
//!   the name of a client's span has it too;
//! - a client's span is one for all attempts, since a filter sees them as one;
//! - `rpc.method` is `_OTHER` only when the call was answered UNIMPLEMENTED: a
//!   proxy does not know which methods there are until somebody says.

use sloop_model::{Outcome, OwnVerdict, Side};

use super::Reasons;
use super::record::{Record, Text};
use super::request;
use crate::protobuf::{self, Value, Writer};

/// The version of the conventions whose names are used. It is the last in
/// which gRPC's status is `rpc.response.status_code`; they are a release candidate for RPC, stable for HTTP.
const SCHEMA_URL: &[u8] = b"https://opentelemetry.io/schemas/1.44.0";
/// Who measured.
const OURSELVES: &[u8] = b"sloop";
const VERSION: &[u8] = env!("CARGO_PKG_VERSION").as_bytes();

/// `SPAN_KIND_SERVER`, `SPAN_KIND_CLIENT`, `STATUS_CODE_ERROR`.
const KIND_SERVER: u64 = 2;
const KIND_CLIENT: u64 = 3;
const CODE_ERROR: u64 = 2;
/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK` and `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`.
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// Whose spans they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resource<'a> {
    pub(super) side: Side,
    pub(super) service: &'a str,
    /// Envoy's name of itself; empty when it has none.
    pub(super) instance: &'a str,
}

/// A request that hands over `spans`.
pub(super) fn request<'a>(
    resource: Resource<'_>,
    spans: impl ExactSizeIterator<Item = &'a Record>,
) -> Vec<u8> {
    // Twice what most take, so that it rarely moves.
    let mut writer = Writer::with_capacity(512 * (1 + spans.len()));
    let resource_spans = writer.open(1);
    let described = writer.open(1);
    attribute(&mut writer, 1, "service.name", resource.service.as_bytes());
    if !resource.instance.is_empty() {
        let instance = resource.instance.as_bytes();
        attribute(&mut writer, 1, "service.instance.id", instance);
    }
    attribute(&mut writer, 1, "telemetry.sdk.name", OURSELVES);
    attribute(&mut writer, 1, "telemetry.sdk.language", b"rust");
    attribute(&mut writer, 1, "telemetry.sdk.version", VERSION);
    writer.close(described);
    let scope_spans = writer.open(2);
    let scope = writer.open(1);
    writer.bytes(1, OURSELVES);
    writer.bytes(2, VERSION);
    writer.close(scope);
    for record in spans {
        let span = writer.open(2);
        write(&mut writer, record, resource.side);
        writer.close(span);
    }
    writer.bytes(3, SCHEMA_URL);
    writer.close(scope_spans);
    writer.bytes(3, SCHEMA_URL);
    writer.close(resource_spans);
    writer.into_bytes()
}

/// How many spans a collector says that it did not take, in an `ExportTraceServiceResponse`.
pub(super) fn rejected(mut response: &[u8]) -> u64 {
    while let Some(field) = protobuf::next(&mut response) {
        let (1, Value::Bytes(mut partial_success)) = field else {
            continue;
        };
        while let Some(field) = protobuf::next(&mut partial_success) {
            if let (1, Value::Number(spans)) = field {
                // A number below zero is none.
                return i64::try_from(spans).map_or(0, |_| spans);
            }
        }
    }
    0
}

/// Whether the same spans may be sent again after this gRPC status.
///
/// The table in <https://opentelemetry.io/docs/specs/otlp/#failures>.
/// `RESOURCE_EXHAUSTED` would need details that the host does not pass on.
pub(super) const fn is_retryable(status: u32) -> bool {
    // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
    matches!(status, 1 | 4 | 10 | 11 | 14 | 15)
}

/// The fields of a span.
fn write(writer: &mut Writer, record: &Record, side: Side) {
    let mut trace = [0; 16];
    let (high, low) = trace.split_at_mut(8);
    high.copy_from_slice(&record.trace.high.to_be_bytes());
    low.copy_from_slice(&record.trace.low.to_be_bytes());
    writer.bytes(1, &trace);
    writer.bytes(2, &record.span.to_be_bytes());
    writer.bytes(3, record.text(Text::Tracestate));
    let mut flags = u32::from(record.flags) | KNOWS_REMOTE;
    if record.parent != 0 {
        writer.bytes(4, &record.parent.to_be_bytes());
        flags |= IS_REMOTE;
    }
    writer.fixed32(16, flags);
    let kind = match side {
        Side::Server => KIND_SERVER,
        Side::Client => KIND_CLIENT,
    };
    writer.number(6, kind);
    writer.fixed64(7, record.began);
    writer.fixed64(8, record.ended);
    if record.is_grpc {
        call(writer, record);
    } else {
        exchange(writer, record, side);
    }
    shared(writer, record);
    if is_error(record, side) {
        let mut decimal = [0; 5];
        let kind = error_type(record, &mut decimal);
        attribute(writer, 9, "error.type", kind);
        let status = writer.open(15);
        writer.number(3, CODE_ERROR);
        writer.close(status);
    }
}

/// Name and attributes of a gRPC call.
fn call(writer: &mut Writer, record: &Record) {
    let path = record.text(Text::Path);
    let method = path.strip_prefix(b"/").unwrap_or(path);
    attribute(writer, 9, "rpc.system.name", b"grpc");
    if method.is_empty() || record.grpc == Some(12) {
        writer.bytes(5, b"grpc");
        attribute(writer, 9, "rpc.method", b"_OTHER");
        if !method.is_empty() {
            attribute(writer, 9, "rpc.method_original", method);
        }
    } else {
        writer.bytes(5, method);
        attribute(writer, 9, "rpc.method", method);
    }
    if let Some(status) = record.grpc {
        let status = request::grpc_name(status).as_bytes();
        attribute(writer, 9, "rpc.response.status_code", status);
    }
}

/// Name and attributes of an HTTP exchange.
fn exchange(writer: &mut Writer, record: &Record, side: Side) {
    let route = route(record);
    let method = record.text(Text::Method);
    let known = request::known_method(method);
    let mut name = known.unwrap_or("HTTP").as_bytes().to_vec();
    if let Some(route) = route {
        name.push(b' ');
        name.extend_from_slice(route);
    }
    writer.bytes(5, &name);
    let told = known.unwrap_or("_OTHER").as_bytes();
    attribute(writer, 9, "http.request.method", told);
    if known.is_none() && !method.is_empty() {
        attribute(writer, 9, "http.request.method_original", method);
    }
    if let Some(status) = record.status {
        number(writer, "http.response.status_code", u64::from(status));
    }
    let (scheme, path) = (record.text(Text::Scheme), record.text(Text::Path));
    match side {
        Side::Server => {
            attribute(writer, 9, "url.scheme", scheme);
            attribute(writer, 9, "url.path", path);
            if let Some(route) = route {
                attribute(writer, 9, "http.route", route);
            }
            let agent = record.text(Text::UserAgent);
            if !agent.is_empty() {
                attribute(writer, 9, "user_agent.original", agent);
            }
        }
        Side::Client => {
            let mut url = scheme.to_vec();
            url.extend_from_slice(if scheme.is_empty() { b"//" } else { b"://" });
            url.extend_from_slice(record.text(Text::Authority));
            url.extend_from_slice(path);
            attribute(writer, 9, "url.full", &url);
        }
    }
    if !record.http_version.is_empty() {
        let version = record.http_version.as_bytes();
        attribute(writer, 9, "network.protocol.version", version);
    }
}

/// Attributes that all spans have: whom it was for, and what we know of it.
fn shared(writer: &mut Writer, record: &Record) {
    let scheme = record.text(Text::Scheme);
    let (host, port) = request::host_and_port(record.text(Text::Authority), scheme);
    if !host.is_empty() {
        attribute(writer, 9, "server.address", host);
        if let Some(port) = port {
            number(writer, "server.port", port);
        }
    }
    attribute(writer, 9, "sloop.service", record.text(Text::Service));
    attribute(writer, 9, "sloop.route", record.text(Text::Route));
    let verdict = verdict_name(record.verdict).as_bytes();
    attribute(writer, 9, "sloop.verdict", verdict);
    let outcome = record.outcome.name().as_bytes();
    attribute(writer, 9, "sloop.outcome", outcome);
    kept(writer, record);
}

/// `sloop.kept`: why there is this span, as a list.
fn kept(writer: &mut Writer, record: &Record) {
    let attribute = writer.open(9);
    writer.bytes(1, b"sloop.kept");
    let value = writer.open(2);
    let list = writer.open(5);
    let sampled = record.is_sampled.then_some("sampled");
    for name in sampled.into_iter().chain(record.reasons.names()) {
        let entry = writer.open(1);
        writer.bytes(1, name.as_bytes());
        writer.close(entry);
    }
    writer.close(list);
    writer.close(value);
    writer.close(attribute);
}

/// The route, unless it is the one of everything that has none.
fn route(record: &Record) -> Option<&[u8]> {
    let route = record.text(Text::Route);
    (route != b"other").then_some(route)
}

/// Whether the conventions call it an error; to a server, a caller's mistake is none, and to nobody a caller's change of mind.
fn is_error(record: &Record, side: Side) -> bool {
    let is_ours = record.verdict != OwnVerdict::Passed;
    match (side, record.grpc) {
        _ if is_ours => true,
        (Side::Server, Some(status)) => request::is_grpc_server_error(status),
        (Side::Client, Some(status)) => status != 0,
        _ if record.outcome == Outcome::ClientCancel => false,
        (Side::Server, None) => !record.outcome.is_served(),
        (Side::Client, None) => {
            !record.outcome.is_served() || record.outcome == Outcome::ClientError
        }
    }
}

/// What kind of error: the status that was answered, or our word where there was none or it does not tell.
fn error_type<'a>(record: &Record, decimal: &'a mut [u8; 5]) -> &'a [u8] {
    let is_passed = record.verdict == OwnVerdict::Passed;
    let is_answer = matches!(record.outcome, Outcome::ServerError | Outcome::ClientError);
    match (record.grpc, record.status) {
        (Some(status), _) if is_passed => request::grpc_name(status).as_bytes(),
        (None, Some(status)) if is_passed && is_answer => digits(status, decimal),
        (Some(_) | None, Some(_) | None) => record.outcome.name().as_bytes(),
    }
}

/// What the filter did, in a word.
const fn verdict_name(verdict: OwnVerdict) -> &'static str {
    match verdict {
        OwnVerdict::Passed => "passed",
        OwnVerdict::Refused => "refused",
        OwnVerdict::Faulted => "faulted",
        OwnVerdict::Shed => "shed",
        OwnVerdict::Blocked => "blocked",
        OwnVerdict::DeadlinePassed => "deadline_passed",
    }
}

/// The decimal digits of `number`.
fn digits(mut number: u16, decimal: &mut [u8; 5]) -> &[u8] {
    let mut used = 0;
    for place in decimal.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    decimal.get(5 - used..).unwrap_or_default()
}

/// An attribute that is a text.
#[inline(never)]
fn attribute(writer: &mut Writer, field: u32, key: &str, text: &[u8]) {
    let attribute = writer.open(field);
    writer.bytes(1, key.as_bytes());
    let value = writer.open(2);
    writer.bytes(1, text);
    writer.close(value);
    writer.close(attribute);
}

/// An attribute of a span that is a number.
#[inline(never)]
fn number(writer: &mut Writer, key: &str, number: u64) {
    let attribute = writer.open(9);
    writer.bytes(1, key.as_bytes());
    let value = writer.open(2);
    writer.number(3, number);
    writer.close(value);
    writer.close(attribute);
}

impl Reasons {
    /// Their words.
    fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [(Reasons, &str); 5] = [
            (Reasons::OBJECTIVE, "objective"),
            (Reasons::BREAKER, "breaker"),
            (Reasons::SHED, "shed"),
            (Reasons::FAULT, "fault"),
            (Reasons::MARKED, "marked"),
        ];
        NAMES
            .into_iter()
            .filter(move |(reason, _)| self.includes(*reason))
            .map(|(_, name)| name)
    }
}
