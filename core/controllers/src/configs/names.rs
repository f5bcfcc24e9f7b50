//! Which routes filters know by name, and why they do not know the others.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use sloop_model::{RouteName, ServiceName, Side};

use crate::{RouteSelector, RouteSet};

/// The routes that sets name, by service; services with sets that name none are in it, too.
pub type RouteNames = BTreeMap<ServiceName, BTreeSet<RouteName>>;

/// Why no request is on a route that a document names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unnamed {
    /// There are sets of the service, and none of them names it.
    InSets,
    /// Callers do not know routes of a service that has no set.
    Outbound,
    /// The service has no set, and something holds on all of its routes.
    HeldOnAll,
}

impl Unnamed {
    /// Why `route`, as seen from `side`, is left out of configurations, where `named` are those that the service's sets
    /// name, if it has any; nothing when it is not. `is_held` says whether anything holds on all routes of the service, inbound.
    #[must_use]
    pub fn of(
        (route, side): (&RouteSelector, Side),
        named: Option<&BTreeSet<RouteName>>,
        is_held: bool,
    ) -> Option<Self> {
        let RouteSelector::Named(name) = route else {
            return None;
        };
        if *name == RouteName::other() || name.is_any() {
            return None;
        }
        match (named, side) {
            (Some(named), _) => (!named.contains(name)).then_some(Self::InSets),
            (None, Side::Client) => Some(Self::Outbound),
            (None, Side::Server) => is_held.then_some(Self::HeldOnAll),
        }
    }
}

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InSets => "where a service has a RouteSet, Envoy's own names are not used",
            Self::Outbound => "on the client side there are no other names",
            Self::HeldOnAll => {
                "where something holds on all routes of a service, Envoy's own names are not used"
            }
        })
    }
}

/// The names that `sets` give.
#[must_use]
pub fn route_names<'a>(sets: impl IntoIterator<Item = &'a RouteSet>) -> RouteNames {
    let mut names = RouteNames::new();
    for set in sets {
        let of_service = names.entry(set.service.clone()).or_default();
        of_service.extend(set.routes.iter().map(|route| route.name.clone()));
    }
    names
}
