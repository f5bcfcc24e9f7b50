//! What a resource cannot be without.

use crate::Kind;

/// A resource names another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The type of what it names.
    pub type_url: &'static str,
    /// Its name.
    pub name: String,
    /// The field, as `virtual_hosts[0].routes[0].route.cluster`.
    pub field: String,
}

impl Reference {
    /// What people call the type of what it names: `cluster`.
    #[must_use]
    pub fn what(&self) -> &'static str {
        word(self.type_url)
    }
}

/// What does not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// A node would get two resources of one type and name.
    #[error("{document}: the {what} {name:?} is in {other}, too", what = word(type_url))]
    Twice {
        /// The later document.
        document: String,
        /// The type.
        type_url: String,
        /// The name.
        name: String,
        /// The earlier document.
        other: String,
    },
    /// A node would get a resource that refers to one that it does not get.
    #[error("{document}: {field} leads to the {what} {name:?}, which is not there",
        field = reference.field, what = reference.what(), name = reference.name)]
    Missing {
        /// The document that refers.
        document: String,
        /// To what.
        reference: Reference,
    },
}

/// What people call a type of resources.
fn word(type_url: &str) -> &'static str {
    match type_url {
        Kind::CLUSTER => "cluster",
        Kind::ENDPOINTS => "load assignment",
        Kind::LISTENER => "listener",
        Kind::ROUTES => "route configuration",
        Kind::RUNTIME => "runtime layer",
        Kind::EXTENSION => "extension",
        _ => "resource",
    }
}
