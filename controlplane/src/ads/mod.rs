//! Aggregated discovery: what every node should have, pushed to it.
//!
//! [`Hub`] is the door for the rest of the process: publish a snapshot per
//! group of nodes, see who is connected and what they made of it. The protocol
//! itself is `sloop_xds`; here are its connections. Messages are written from
//! bytes that all streams share, so a resource is encoded once, however many
//! nodes take it.
//!
//! Nothing is answered before [`Hub::open`]: a control plane that speaks before
//! its store is loaded takes away what it does not know yet.

mod allowance;
mod beginnings;
mod bells;
mod grpc;
mod heartbeats;
mod hub;
mod limits;
mod loads;
mod names;
mod news;
mod nodes;
mod place;
mod reason;
mod run;
mod service;
mod slot;
mod standing;
mod status;
mod talk;
mod unanswered;

pub(crate) use allowance::Allowance;
pub(crate) use grpc::Responses;
#[cfg(test)]
pub(crate) use hub::SimulatedNode;
pub use hub::{Counted, Hub, Load};
pub use limits::AdsLimits;
pub use loads::{LoadService, LoadSettings};
pub use service::{
    AdsService, Aggregated, Clusters, DiscoveryService, Endpoints, ExtensionService, Extensions,
    Listeners, RouteTables, RuntimeLayers, Which,
};
pub use standing::Standing;
pub use status::{AcceptedBy, Event, NodeStatus, Refusal, StreamId, TypeStatus, Variant, What};
