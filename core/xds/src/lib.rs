//! The xDS protocol as a state machine: snapshots, versions, subscriptions.
//!
//! Pure: requests and [`Snapshot`]s go in, [`Response`]s come out. Begin with
//! [`Stream`], which is one client's stream in either variant:
//! [`SotwStream`] (state of the world) and [`DeltaStream`] (incremental). It
//! holds for any type URL; what differs between types is in [`Kind`].
//!
//! The rules are those of Envoy's [xDS protocol], and three of our own:
//! - At most one response per type and stream is not yet acknowledged. What
//!   becomes true meanwhile waits behind it, and only the latest is sent, so
//!   that a refusal always belongs to the version that caused it.
//! - A resource that is merely absent is not taken away from a client, except
//!   of the kinds whose responses are full sets. It takes an explicit
//!   [`SnapshotBuilder::delete`]: a control plane that forgot must not take
//!   down what it configured.
//! - Between the types of one stream, make before break: what refers to clusters
//!   follows them, and clusters go when nothing refers to them any more.
//!
//! The cases that hold, and the tests of each, are in the `README.md` of this crate.
//!
//! Left out: resource locators, and authorisation.
//!
//! [xDS protocol]: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol

pub mod fleet;
mod kind;
mod names;
mod offer;
mod resource;
pub mod rollout;
mod snapshot;
mod stream;
mod subscription;
mod wire;

pub use kind::Kind;
pub use offer::Offer;
pub use resource::{Resource, Version};
pub use snapshot::{Snapshot, SnapshotBuilder, TypeSnapshot};
pub use stream::{
    DeltaStream, Response, Sent, SotwStream, Stream, StreamLimits, Verdict, Violation,
};
pub use subscription::LegacyWildcard;
pub use wire::{DeltaDiscoveryRequest, DiscoveryRequest, Locality, Node, Scalar, Scalars, Status};
