//! The smallest filter there can be: what Envoy's host itself costs, below which no Wasm filter gets.
//!
//! It is entered twice for a request, for its headers and at its end, and returns.

use crate::handmade::Handmade;

const TRUE: i32 = 1;
const CONTINUE: i32 = 0;

/// The module.
pub(super) fn module() -> Vec<u8> {
    Handmade::new()
        .with("proxy_on_configure", 2, Some(TRUE))
        .with("proxy_on_request_headers", 3, Some(CONTINUE))
        .with("proxy_on_log", 1, None)
        .finish()
}
