//! The routes of a service, by name.

use serde::{Deserialize, Serialize};
use sloop_model::{Criticality, RequestMatch, RouteName, ServiceName};

/// Names the routes of one service. Several sets of one service are taken in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSet {
    /// The document's name.
    pub name: String,
    /// Whose routes these are.
    pub service: ServiceName,
    /// How callers address the service (`Host`). On the client side they are
    /// added to every match that has none; when empty, the service's name is.
    #[serde(default)]
    pub authorities: Vec<String>,
    /// The routes, tried in this order.
    pub routes: Vec<NamedRoute>,
}

/// One route: a name and which requests it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedRoute {
    /// Its name.
    pub name: RouteName,
    /// Which requests; any of them fits.
    #[serde(rename = "match")]
    pub matches: Vec<RequestMatch>,
    /// How much its requests matter, where they do not say so themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<Criticality>,
}

/// Which routes of a service are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteSelector {
    /// All of them, and what none of them claims.
    Any,
    /// This one.
    Named(RouteName),
}

impl RouteSelector {
    /// The name that stands for it in policies.
    #[must_use]
    pub fn route_name(&self) -> RouteName {
        match self {
            Self::Any => RouteName::any(),
            Self::Named(name) => name.clone(),
        }
    }

    /// Whether `route` is meant.
    #[must_use]
    pub fn covers(&self, route: &RouteName) -> bool {
        match self {
            Self::Any => true,
            Self::Named(name) => name == route,
        }
    }
}
