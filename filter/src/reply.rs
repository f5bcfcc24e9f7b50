//! Answers in place of the service's, so that callers, access logs and people can tell who spoke.

use sloop_dataplane::serialised;

use crate::host::{self, LocalResponse};
use crate::vm::Vm;

/// Says in a response which rule answered it.
const VERDICT: &str = "x-sloop-verdict";
/// gRPC's UNAVAILABLE: the call may be tried again.
const UNAVAILABLE: u8 = 14;

/// Answers 503 because the breaker is open.
pub(crate) fn refuse(vm: &mut Vm, retry_after_seconds: u64, is_grpc: bool) {
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

/// Answers `status` as a fault. To a gRPC request Envoy answers with the gRPC status that belongs to it.
pub(crate) fn abort(vm: &mut Vm, status: u16) {
    vm.count(host::send_local_response(LocalResponse {
        status,
        details: "sloop_fault_abort",
        body: "sloop: a fault was injected",
        headers: &serialised(&[(VERDICT, b"fault")]),
        grpc_status: None,
    }));
}
