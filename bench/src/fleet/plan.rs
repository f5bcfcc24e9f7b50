//! What a fleet is.

use std::net::SocketAddr;

use super::tls::Tls;

/// How a node speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// State of the world.
    Sotw,
    /// Incremental.
    Delta,
}

/// Which nodes there are, and what they ask for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the control plane listens.
    pub to: SocketAddr,
    /// How many.
    pub nodes: usize,
    /// How they speak, in turn.
    pub variants: Vec<Variant>,
    /// The service that they belong to.
    pub cluster: String,
    /// The type of what they ask for.
    pub type_url: String,
    /// Its names.
    pub names: Vec<String>,
    /// Bytes of what each says about itself, at least what its names take. Envoy's has 61,000.
    pub node_bytes: usize,
    /// How they prove who they are; without, connections are plain.
    pub tls: Option<Tls>,
}

/// How connections went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Connections that could not be opened.
    pub refused: u64,
    /// Connections and streams that the server ended.
    pub ended: u64,
}
