//! Calls into Envoy. The only file with `unsafe`, and the only one that makes such calls.
//!
//! Why not those of the SDK: they panic on a status that they did not expect
//! and on header values that are no UTF-8, and a panic ends the VM of the whole
//! worker; they allocate for what can be static; and they cannot give a
//! response the details that access logs show. The one exception is the gRPC
//! call, whose answers the SDK dispatches only if it has made the call.
//!
//! Two calls come from WASI and are declared by hand, which works on
//! `wasm32-unknown-unknown`: the monotonic clock and the randomness.

#![expect(unsafe_code, reason = "the boundary to the host")]

use core::ptr::null_mut;
use core::time::Duration;

use proxy_wasm::hostcalls::dispatch_grpc_call;
use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;
use sloop_model::{Time, WallTime};

use crate::root::Root;

proxy_wasm::main! {{
    // Also installs the hook that makes a panic visible in Envoy's log.
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|context| -> Box<dyn RootContext> { Box::new(Root::new(context)) });
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
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
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
    fn proxy_set_effective_context(context: u32) -> u32;
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
/// The ABI's numbers of header maps, buffers and streams.
const REQUEST_HEADERS: u32 = 0;
const RESPONSE_HEADERS: u32 = 2;
const PLUGIN_CONFIGURATION: u32 = 7;
const HTTP_REQUEST: u32 = 0;
/// WASI's numbers of clocks.
const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

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
pub(crate) fn random() -> Result<[u64; 4], Failed> {
    let mut words = [0_u64; 4];
    // SAFETY: the host writes 32 bytes, the size of `words`, before the call returns.
    let status = unsafe { random_get(words.as_mut_ptr().cast(), size_of_val(&words)) };
    checked(status).map(|()| words)
}

/// Calls the current root context's `on_tick` every so many milliseconds; never if zero.
pub(crate) fn set_tick_period(millis: u32) -> Result<(), Failed> {
    // SAFETY: takes no pointers.
    checked(unsafe { proxy_set_tick_period_milliseconds(millis) })
}

/// The configuration that Envoy was given for the filter.
pub(crate) fn configuration() -> Result<Vec<u8>, Failed> {
    returned(|data, size| {
        // SAFETY: `returned` gives pointers that the host may write to.
        unsafe { proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, usize::MAX, data, size) }
    })
}

/// The headers of the request, as [`sloop_dataplane::HeaderMap`] reads them.
pub(crate) fn request_headers() -> Result<Vec<u8>, Failed> {
    returned(|data, size| {
        // SAFETY: `returned` gives pointers that the host may write to.
        unsafe { proxy_get_header_map_pairs(REQUEST_HEADERS, data, size) }
    })
}

/// Puts a request header in the place of all of that name.
pub(crate) fn replace_request_header(name: &str, value: &[u8]) -> Result<(), Failed> {
    replace_header(REQUEST_HEADERS, name, value)
}

/// Puts a response header in the place of all of that name.
pub(crate) fn replace_response_header(name: &str, value: &[u8]) -> Result<(), Failed> {
    replace_header(RESPONSE_HEADERS, name, value)
}

fn replace_header(map: u32, name: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: pointers and lengths describe `name` and `value`, which the host only reads.
    checked(unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// Removes a request header.
pub(crate) fn remove_request_header(name: &str) -> Result<(), Failed> {
    // SAFETY: pointer and length describe `name`, which the host only reads.
    checked(unsafe { proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len()) })
}

/// A property; its path's parts are separated by zero bytes. None when there is none such now.
pub(crate) fn property(path: &[u8]) -> Option<Vec<u8>> {
    returned(|data, size| {
        // SAFETY: pointer and length describe `path`, which the host only reads, and
        // `returned` gives pointers that the host may write to.
        unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }
    })
    .ok()
}

/// A property that is a number.
pub(crate) fn number(path: &[u8]) -> Option<u64> {
    let bytes = property(path)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Makes further calls concern the context of this number. Fails when it is gone.
pub(crate) fn set_effective_context(context: u32) -> Result<(), Failed> {
    // SAFETY: takes no pointers.
    checked(unsafe { proxy_set_effective_context(context) })
}

/// Lets the request of the effective context go on. It must be paused, or Envoy sends it twice.
pub(crate) fn resume_request() -> Result<(), Failed> {
    // SAFETY: takes no pointers.
    checked(unsafe { proxy_continue_stream(HTTP_REQUEST) })
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

/// Makes a call from the current root context, which hears the answer under the token that is returned.
pub(crate) fn call(call: GrpcCall<'_>) -> Result<u32, Failed> {
    let GrpcCall {
        cluster,
        service,
        method,
        message,
        timeout,
    } = call;
    dispatch_grpc_call(cluster, service, method, Vec::new(), Some(message), timeout).map_err(
        |status| Failed {
            status: status as u32,
        },
    )
}

/// The bytes that a host function returns through two pointers.
fn returned(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Failed> {
    let mut data = null_mut();
    let mut size = 0;
    checked(call(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the host got this memory from the SDK's `malloc`, which gives a boxed slice
    // of exactly the size asked for, filled it, and gave it to us.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}
