//! Bodies, as much of them as Envoy shows in a callback.

use proxy_wasm::types::BufferType;
use sloop_model::ExchangeSide;

use super::{Callback, Failed, proxy_get_buffer_bytes};
#[cfg(feature = "answers")]
use super::{checked, proxy_set_buffer_bytes};

/// The visible part of a body, in its callback.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body(u32);

impl Body {
    /// That of this half of the exchange.
    pub(crate) const fn of(half: ExchangeSide) -> Self {
        Self(match half {
            ExchangeSide::Request => BufferType::HttpRequestBody as u32,
            ExchangeSide::Response => BufferType::HttpResponseBody as u32,
        })
    }

    /// Puts `bytes` in the place of the first `count` bytes.
    #[cfg(feature = "answers")]
    pub(crate) fn replace(self, count: usize, bytes: &[u8]) -> Result<(), Failed> {
        // SAFETY: pointer and length describe `bytes`, which the host only reads.
        checked(unsafe { proxy_set_buffer_bytes(self.0, 0, count, bytes.as_ptr(), bytes.len()) })
    }
}

impl Callback {
    /// The first `count` visible bytes of a body.
    pub(crate) fn body(&self, body: Body, count: usize) -> Result<&[u8], Failed> {
        self.returned(|data, size| {
            // SAFETY: `returned` gives pointers that the host may write to.
            unsafe { proxy_get_buffer_bytes(body.0, 0, count, data, size) }
        })
    }
}
