//! What Envoy returns: bytes in the arena, borrowed from the callback.

use core::ptr::null_mut;
use core::slice;

use proxy_wasm::types::{BufferType, MapType};

use super::{
    Callback, Failed, checked, proxy_get_buffer_bytes, proxy_get_header_map_pairs,
    proxy_get_header_map_value, proxy_get_property, proxy_get_shared_data,
};

/// What Envoy returns. It is there until the callback returns.
impl Callback {
    /// The configuration that Envoy was given for the filter.
    pub(crate) fn configuration(&self) -> Result<&[u8], Failed> {
        const WHICH: u32 = BufferType::PluginConfiguration as u32;
        self.returned(|data, size| {
            // SAFETY: `returned` gives pointers that the host may write to.
            unsafe { proxy_get_buffer_bytes(WHICH, 0, usize::MAX, data, size) }
        })
    }

    /// The headers of the request, as [`sloop_dataplane::HeaderMap`] reads them.
    pub(crate) fn request_headers(&self) -> Result<&[u8], Failed> {
        const WHICH: u32 = MapType::HttpRequestHeaders as u32;
        self.returned(|data, size| {
            // SAFETY: `returned` gives pointers that the host may write to.
            unsafe { proxy_get_header_map_pairs(WHICH, data, size) }
        })
    }

    /// The first header of this name of the answer, when it is logged; none when there was none.
    pub(crate) fn response_header(&self, name: &[u8]) -> Option<&[u8]> {
        const WHICH: u32 = MapType::HttpResponseHeaders as u32;
        self.returned(|data, size| {
            // SAFETY: pointer and length describe `name`, which the host only reads, and
            // `returned` gives pointers that the host may write to.
            unsafe { proxy_get_header_map_value(WHICH, name.as_ptr(), name.len(), data, size) }
        })
        .ok()
    }

    /// The status of the answer, when it is logged; none when there was none. A header costs a little less than the property.
    pub(crate) fn response_status(&self) -> Option<u16> {
        let [first, second, third] = self.response_header(b":status")? else {
            return None;
        };
        let digit = |digit: &u8| u16::from(digit.wrapping_sub(b'0'));
        let (first, second, third) = (digit(first), digit(second), digit(third));
        let are_digits = first < 10 && second < 10 && third < 10;
        are_digits.then_some(first * 100 + second * 10 + third)
    }

    /// A property; its path's parts are separated by zero bytes. None when there is none such now.
    pub(crate) fn property(&self, path: &[u8]) -> Option<&[u8]> {
        self.returned(|data, size| {
            // SAFETY: pointer and length describe `path`, which the host only reads, and
            // `returned` gives pointers that the host may write to.
            unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }
        })
        .ok()
    }

    /// A property that is a number.
    pub(crate) fn number(&self, path: &[u8]) -> Option<u64> {
        let bytes = self.property(path)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The beginning, at most `size` bytes, of the answer to a gRPC call.
    pub(crate) fn grpc_answer(&self, size: usize) -> &[u8] {
        const WHICH: u32 = BufferType::GrpcReceiveBuffer as u32;
        self.returned(|data, size_of| {
            // SAFETY: `returned` gives pointers that the host may write to.
            unsafe { proxy_get_buffer_bytes(WHICH, 0, size, data, size_of) }
        })
        .unwrap_or_default()
    }

    /// What the VMs of this sidecar share under `key`, and its number for [`share`]. Nothing, and zero, when there is none.
    pub(crate) fn shared(&self, key: &[u8]) -> (&[u8], u32) {
        let mut cas = 0;
        let bytes = self.returned(|data, size| {
            // SAFETY: pointer and length describe `key`, which the host only reads, `returned`
            // gives pointers that the host may write to, and it writes four bytes to `cas`.
            unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas) }
        });
        (bytes.unwrap_or_default(), cas)
    }

    /// The bytes that a host function returns through two pointers.
    pub(super) fn returned(
        &self,
        call: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
    ) -> Result<&[u8], Failed> {
        let mut data = null_mut();
        let mut size = 0;
        checked(call(&raw mut data, &raw mut size))?;
        if data.is_null() {
            return Ok(&[]);
        }
        // SAFETY: the host was given this memory by `arena::allocate` during this call,
        // filled `size` bytes of it, and it stays as it is until the next `Callback` is made,
        // which cannot be before this one's callback has returned.
        Ok(unsafe { slice::from_raw_parts(data, size) })
    }
}
