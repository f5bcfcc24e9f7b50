//! Calls into Envoy, and from it. The only folder with `unsafe`.
//!
//! Why not the SDK's calls: they panic on a status that they did not expect
//! and on header values that are no UTF-8, and a panic ends the VM of the whole
//! worker; they allocate for what can be static; and they cannot give a
//! response the details that access logs show. Its types, its start-up and its
//! hook that makes a panic visible in Envoy's log are used.
//!
//! Two calls come from WASI and are declared by hand, which works on
//! `wasm32-unknown-unknown`: the monotonic clock and the randomness.

#![expect(unsafe_code, reason = "the boundary to the host")]

mod arena;
mod body;
mod callbacks;
mod returned;

use core::time::Duration;

use proxy_wasm::types::{LogLevel, MapType, MetricType};
use sloop_model::{Time, WallTime};

pub(crate) use proxy_wasm::types::StreamType;

pub(crate) use arena::Callback;
pub(crate) use body::Body;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
}}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        size_max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    #[cfg(feature = "answers")]
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *const u8,
        data_size: usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_grpc_call(
        cluster: *const u8,
        cluster_size: usize,
        service: *const u8,
        service_size: usize,
        method: *const u8,
        method_size: usize,
        metadata: *const u8,
        metadata_size: usize,
        message: *const u8,
        message_size: usize,
        timeout_ms: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
    fn random_get(buffer: *mut u8, size: usize) -> u32;
}

/// The ABI's `WasmResult::Ok`, and WASI's `ESUCCESS`.
const OK: u32 = 0;
/// The ABI's `WasmResult::CasMismatch`.
const CAS_MISMATCH: u32 = 8;
/// WASI's numbers of clocks.
const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

/// A header map without headers, serialised: a count of zero.
const NO_HEADERS: [u8; 4] = [0; 4];

/// A call into Envoy that failed, with Envoy's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Envoy answered {status}")]
pub(crate) struct Failed {
    status: u32,
}

const fn checked(status: u32) -> Result<(), Failed> {
    if status == OK {
        Ok(())
    } else {
        Err(Failed { status })
    }
}

/// Writes to Envoy's log.
pub(crate) fn log(level: LogLevel, message: &str) {
    // SAFETY: the pointer and the length describe `message`, which the host only reads.
    // Nobody can be told that a log line was lost.
    let _ = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// The monotonic clock; its origin if there is none.
pub(crate) fn now() -> Time {
    Time::from_nanos(clock(MONOTONIC))
}

/// The wall clock; the epoch if there is none.
pub(crate) fn wall() -> WallTime {
    WallTime::from_millis(clock(REALTIME) / 1_000_000)
}

fn clock(which: u32) -> u64 {
    let mut nanos = 0;
    // SAFETY: the host writes eight bytes to `nanos` before the call returns.
    let status = unsafe { clock_time_get(which, 1, &raw mut nanos) };
    if status == OK { nanos } else { 0 }
}

/// Random words.
pub(crate) fn random() -> Result<[u64; 5], Failed> {
    let mut words = [0_u64; 5];
    // SAFETY: the host writes 40 bytes, the size of `words`, before the call returns.
    let status = unsafe { random_get(words.as_mut_ptr().cast(), size_of_val(&words)) };
    checked(status).map(|()| words)
}

/// Calls the current root context's `on_tick` every so many milliseconds; never if zero.
pub(crate) fn set_tick_period(millis: u32) -> Result<(), Failed> {
    // SAFETY: takes no pointers.
    checked(unsafe { proxy_set_tick_period_milliseconds(millis) })
}

/// Puts a request header in the place of all of that name.
pub(crate) fn replace_request_header(name: &str, value: &[u8]) -> Result<(), Failed> {
    replace_header(MapType::HttpRequestHeaders as u32, name, value)
}

/// Puts a response header in the place of all of that name.
#[cfg(feature = "answers")]
pub(crate) fn replace_response_header(name: &str, value: &[u8]) -> Result<(), Failed> {
    replace_header(MapType::HttpResponseHeaders as u32, name, value)
}

fn replace_header(map: u32, name: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: pointers and lengths describe `name` and `value`, which the host only reads.
    checked(unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// Removes a request header.
pub(crate) fn remove_request_header(name: &str) -> Result<(), Failed> {
    remove_header(MapType::HttpRequestHeaders as u32, name)
}

/// Removes a response header.
#[cfg(feature = "answers")]
pub(crate) fn remove_response_header(name: &str) -> Result<(), Failed> {
    remove_header(MapType::HttpResponseHeaders as u32, name)
}

fn remove_header(map: u32, name: &str) -> Result<(), Failed> {
    // SAFETY: pointer and length describe `name`, which the host only reads.
    checked(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

/// Makes further calls concern the context of this number. Fails when it is gone.
pub(crate) fn set_effective_context(context: u32) -> Result<(), Failed> {
    // SAFETY: takes no pointers.
    checked(unsafe { proxy_set_effective_context(context) })
}

/// Lets the request or the response of the effective context go on. It must be paused, or Envoy sends it twice.
pub(crate) fn resume(stream: StreamType) -> Result<(), Failed> {
    // SAFETY: takes no pointers.
    checked(unsafe { proxy_continue_stream(stream as u32) })
}

/// Ends the stream of the effective context without an answer.
pub(crate) fn close_stream(stream: StreamType) -> Result<(), Failed> {
    // SAFETY: takes no pointers.
    checked(unsafe { proxy_close_stream(stream as u32) })
}

/// Defines a counter, or finds the one of that name.
pub(crate) fn define_counter(name: &str) -> Result<u32, Failed> {
    let mut id = 0;
    // SAFETY: pointer and length describe `name`, which the host only reads, and the host
    // writes four bytes to `id` before the call returns.
    checked(unsafe {
        proxy_define_metric(
            MetricType::Counter as u32,
            name.as_ptr(),
            name.len(),
            &raw mut id,
        )
    })
    .map(|()| id)
}

/// Adds to a counter. `by` must not be zero, which Envoy refuses.
pub(crate) fn increment(id: u32, by: u64) -> Result<(), Failed> {
    let by = i64::try_from(by).unwrap_or(i64::MAX);
    // SAFETY: takes no pointers.
    checked(unsafe { proxy_increment_metric(id, by) })
}

/// Puts `value` under `key` into what the VMs of this sidecar share, if nobody did since `cas` was read. False if somebody
/// did. A `cas` of zero puts it there in any case.
pub(crate) fn share(key: &[u8], value: &[u8], cas: u32) -> Result<bool, Failed> {
    // SAFETY: pointers and lengths describe `key` and `value`, which the host only reads.
    let status =
        unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) };
    match status {
        CAS_MISMATCH => Ok(false),
        _ => checked(status).map(|()| true),
    }
}

/// An answer in place of the service's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalResponse<'a> {
    pub(crate) status: u16,
    /// For access logs: `%RESPONSE_CODE_DETAILS%`.
    pub(crate) details: &'a str,
    pub(crate) body: &'a str,
    /// As [`sloop_dataplane::serialised`] writes them.
    pub(crate) headers: &'a [u8],
    /// None: derived from the status, if the request is gRPC.
    pub(crate) grpc_status: Option<u8>,
}

/// Answers the request of the effective context.
pub(crate) fn send_local_response(response: LocalResponse<'_>) -> Result<(), Failed> {
    let LocalResponse {
        status,
        details,
        body,
        headers,
        grpc_status,
    } = response;
    // SAFETY: pointers and lengths describe the texts, which the host only reads.
    checked(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status.map_or(-1, i32::from),
        )
    })
}

/// A unary gRPC call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrpcCall<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    pub(crate) message: &'a [u8],
    pub(crate) timeout: Duration,
}

/// Makes a call from the root context that is in effect. [`crate::root::answered`] hears the
/// answer under the token that is returned.
pub(crate) fn call(call: GrpcCall<'_>) -> Result<u32, Failed> {
    let timeout_ms = u32::try_from(sloop_model::whole_millis(call.timeout)).unwrap_or(u32::MAX);
    let mut token = 0;
    // SAFETY: pointers and lengths describe texts that the host only reads, and the host
    // writes four bytes to `token` before the call returns.
    checked(unsafe {
        proxy_grpc_call(
            call.cluster.as_ptr(),
            call.cluster.len(),
            call.service.as_ptr(),
            call.service.len(),
            call.method.as_ptr(),
            call.method.len(),
            NO_HEADERS.as_ptr(),
            NO_HEADERS.len(),
            call.message.as_ptr(),
            call.message.len(),
            timeout_ms,
            &raw mut token,
        )
    })
    .map(|()| token)
}
