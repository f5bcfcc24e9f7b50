//! The Wasm HTTP filter for Envoy.
