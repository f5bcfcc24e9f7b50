//! What counts and policies are about.

use serde::{Deserialize, Serialize};

use crate::{RouteName, ServiceName};

/// Where a request is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// By the sidecar of the service that is asked: inbound.
    Server,
    /// By the sidecar of the service that asks: outbound.
    Client,
}

/// One route of one service, seen from one side. Counts are kept and policies hold per scope.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The service that the requests are for.
    pub service: ServiceName,
    /// The route of that service.
    pub route: RouteName,
    /// Who looks.
    pub side: Side,
}

impl core::fmt::Display for Side {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::Server => "server",
            Self::Client => "client",
        })
    }
}

impl core::fmt::Display for Scope {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{} {} ({})", self.service, self.route, self.side)
    }
}
