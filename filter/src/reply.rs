//! Answers in place of the service's, so that callers, access logs and people can tell who spoke.

use sloop_dataplane::{Verdict, serialised};
use sloop_model::{FaultEnding, Side};

use crate::host::{self, LocalResponse, StreamType};
use crate::vm::Vm;

/// Says in a response which rule answered it.
const VERDICT: &str = "x-sloop-verdict";
/// gRPC's statuses: the deadline has passed; the call may not be made; try again later.
const DEADLINE_EXCEEDED: u8 = 4;
const PERMISSION_DENIED: u8 = 7;
const UNAVAILABLE: u8 = 14;

/// Does what the verdict asks for, if it asks for an answer.
pub(crate) fn give(vm: &mut Vm, verdict: Verdict, (side, is_grpc): (Side, bool)) {
    match verdict {
        Verdict::Pass | Verdict::Hold => {}
        Verdict::Refuse {
            retry_after_seconds,
        } => refuse(vm, retry_after_seconds, is_grpc),
        Verdict::Shed => shed(vm, is_grpc),
        Verdict::Late => late(vm, is_grpc),
        Verdict::Block { status, rule } => {
            let rule = vm.plane.denied_by(side, rule).unwrap_or_default();
            let details = format!("sloop_denied{{{rule}}}");
            block(vm, (status, &details), is_grpc);
        }
        Verdict::End(ending) => end(vm, ending),
    }
}

/// Answers 503 because the breaker is open.
fn refuse(vm: &mut Vm, retry_after_seconds: u64, is_grpc: bool) {
    let seconds = retry_after_seconds.to_string();
    let headers = serialised(&[("retry-after", seconds.as_bytes()), (VERDICT, b"refused")]);
    vm.count(host::send_local_response(LocalResponse {
        status: 503,
        details: "sloop_breaker_open",
        body: "sloop: the breaker is open",
        headers: &headers,
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

/// Ends a request as a fault. A gRPC request is answered with the gRPC status that belongs to an HTTP status.
pub(crate) fn end(vm: &mut Vm, ending: FaultEnding) {
    let (status, grpc_status) = match ending {
        FaultEnding::Abort { status } => (status, None),
        FaultEnding::AbortGrpc { status } => (200, u8::try_from(status).ok()),
        FaultEnding::Reset => {
            vm.count(host::close_stream(StreamType::HttpRequest));
            return;
        }
    };
    vm.count(host::send_local_response(LocalResponse {
        status,
        details: "sloop_fault_abort",
        body: "sloop: a fault was injected",
        headers: &serialised(&[(VERDICT, b"fault")]),
        grpc_status,
    }));
}
