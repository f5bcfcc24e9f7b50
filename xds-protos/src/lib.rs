//! Protobuf types: Envoy's, by the crate `envoy-types`, and our own reports.
//!
//! Without features this crate holds plain messages and builds for Wasm. The
//! feature `envoy` adds Envoy's messages, `grpc` the services.

#[cfg(feature = "envoy")]
pub use envoy_types::pb as envoy;

/// Reports from the filters to the control plane.
pub mod report {
    /// Version 1, the only one.
    #[expect(
        missing_docs,
        reason = "generated; the documentation is in report.proto"
    )]
    #[expect(
        clippy::missing_const_for_fn,
        clippy::derive_partial_eq_without_eq,
        reason = "generated"
    )]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/sloop.report.v1.rs"));
    }
}
