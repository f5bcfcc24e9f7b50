//! Answers in place of the service's, so that callers, access logs and people can tell who spoke.

use sloop_dataplane::{RefusalHeaders, Verdict, serialised};
use sloop_model::{ExchangeSide, FaultEnding, Side};

use crate::host::{self, LocalResponse, StreamType};
use crate::vm::Vm;

/// Says in a response which rule answered it.
const VERDICT: &str = "x-sloop-verdict";
/// gRPC's statuses: the deadline has passed; the call may not be made; try again later.
const DEADLINE_EXCEEDED: u8 = 4;
const PERMISSION_DENIED: u8 = 7;
const UNAVAILABLE: u8 = 14;

/// Does what the verdict asks for, if it asks for an answer.
pub(crate) fn give(vm: &mut Vm, verdict: Verdict, (context, side, is_grpc): (u32, Side, bool)) {
    match verdict {
        Verdict::Pass | Verdict::Hold => {}
        Verdict::Refuse {
            retry_after_seconds,
        } => refuse(vm, retry_after_seconds, is_grpc),
        Verdict::Shed => shed(vm, is_grpc),
        Verdict::RefuseRetry => refuse_retry(vm, is_grpc),
        Verdict::Late => late(vm, is_grpc),
        Verdict::Block { status, rule } => {
            let rule = vm.plane.denied_by(side, rule).unwrap_or_default();
            let details = format!("sloop_denied{{{rule}}}");
            block(vm, (status, &details), is_grpc);
        }
        Verdict::End(ending) => end(vm, ending, context, ExchangeSide::Request),
    }
}

/// Answers 503 because the breaker is open.
fn refuse(vm: &mut Vm, retry_after_seconds: u64, is_grpc: bool) {
    let headers = RefusalHeaders::new(retry_after_seconds);
    vm.count(host::send_local_response(LocalResponse {
        status: 503,
        details: "sloop_breaker_open",
        body: "sloop: the breaker is open",
        headers: headers.as_bytes(),
        grpc_status: is_grpc.then_some(UNAVAILABLE),
    }));
}

/// Answers 503 because there is more load than the service bears. The law looks again every tenth of a
/// second, so one second is enough to wait.
fn shed(vm: &mut Vm, is_grpc: bool) {
    vm.count(host::send_local_response(LocalResponse {
        status: 503,
        details: "sloop_shed",
        body: "sloop: shed, the service is overloaded",
        headers: &serialised(&[("retry-after", b"1"), (VERDICT, b"shed")]),
        grpc_status: is_grpc.then_some(UNAVAILABLE),
    }));
}

/// Answers 503 because retries do not help, so that whoever sent it does not try again: Envoy retries nothing that has
/// `x-envoy-ratelimited`, unless it is told to.
fn refuse_retry(vm: &mut Vm, is_grpc: bool) {
    vm.count(host::send_local_response(LocalResponse {
        status: 503,
        details: "sloop_retry_budget",
        body: "sloop: retries do not help",
        headers: &serialised(&[("x-envoy-ratelimited", b"true"), (VERDICT, b"retry")]),
        grpc_status: is_grpc.then_some(UNAVAILABLE),
    }));
}

/// Answers 504 because the deadline of the request has passed.
fn late(vm: &mut Vm, is_grpc: bool) {
    vm.count(host::send_local_response(LocalResponse {
        status: 504,
        details: "sloop_deadline_passed",
        body: "sloop: the deadline of the request has passed",
        headers: &serialised(&[(VERDICT, b"deadline_passed")]),
        grpc_status: is_grpc.then_some(DEADLINE_EXCEEDED),
    }));
}

/// Answers as a deny rule asks for.
fn block(vm: &mut Vm, (status, details): (u16, &str), is_grpc: bool) {
    vm.count(host::send_local_response(LocalResponse {
        status,
        details,
        body: "sloop: the request is denied",
        headers: &serialised(&[(VERDICT, b"blocked")]),
        grpc_status: is_grpc.then_some(PERMISSION_DENIED),
    }));
}

/// Ends an exchange as a fault, on this half. A gRPC request is answered with the gRPC status that belongs to an HTTP status.
pub(crate) fn end(vm: &mut Vm, ending: FaultEnding, context: u32, half: ExchangeSide) {
    let (status, grpc_status) = match ending {
        FaultEnding::Abort { status } => (status, None),
        FaultEnding::AbortGrpc { status } => (200, u8::try_from(status).ok()),
        FaultEnding::Reset => {
            vm.count(host::close_stream(stream(half)));
            return;
        }
    };
    let headers = fault_headers(vm, context, half);
    // Envoy would write the content of an answer that can have none, and its reader take that for the next answer.
    let body = match status {
        204 | 205 | 304 => "",
        _ => "sloop: a fault was injected",
    };
    vm.count(host::send_local_response(LocalResponse {
        status,
        details: "sloop_fault_abort",
        body,
        headers: &headers,
        grpc_status,
    }));
}

/// An answer on the request's half gets its `traceresponse` when it comes by as a response; one in place of a response does not.
#[cfg(feature = "answers")]
fn fault_headers(vm: &mut Vm, context: u32, half: ExchangeSide) -> Vec<u8> {
    match (half, vm.traceresponse(context)) {
        (ExchangeSide::Response, Some(header)) => {
            serialised(&[(VERDICT, b"fault"), ("traceresponse", &header)])
        }
        (ExchangeSide::Request | ExchangeSide::Response, _) => serialised(&[(VERDICT, b"fault")]),
    }
}

#[cfg(not(feature = "answers"))]
fn fault_headers(_vm: &mut Vm, _context: u32, _half: ExchangeSide) -> Vec<u8> {
    serialised(&[(VERDICT, b"fault")])
}

/// The host's word for a half of an exchange.
pub(crate) const fn stream(half: ExchangeSide) -> StreamType {
    match half {
        ExchangeSide::Request => StreamType::HttpRequest,
        ExchangeSide::Response => StreamType::HttpResponse,
    }
}
