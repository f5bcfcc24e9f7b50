//! Protobuf types: Envoy's, by the crate `envoy-types`, and our own reports.
//!
//! Without features this crate holds plain messages and builds for Wasm. The
//! feature `envoy` adds Envoy's messages, `grpc` the services, `descriptors`
//! what Envoy's messages look like.

#[cfg(feature = "envoy")]
pub use envoy_types::pb as envoy;

/// What Envoy's messages look like: an encoded `google.protobuf.FileDescriptorSet`, without comments.
#[cfg(feature = "descriptors")]
pub const ENVOY_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/envoy.bin"));

/// Reports from the filters to the control plane.
pub mod report {
    /// Version 1, the only one. The documentation is in `report.proto`.
    #[allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::all,
        clippy::allow_attributes_without_reason,
        clippy::use_self,
        reason = "generated, and which of these it meets depends on the features"
    )]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/sloop.report.v1.rs"));
    }
}
