//! What a group of clients should have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::{Resource, Version};

/// All resources of one group of clients, at one moment. Immutable; share it in an `Arc`.
///
/// A type that is not in it is not managed: requests for it are not answered
/// at all, and nothing of it is ever taken away. A type that is in it without
/// resources is managed and empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    types: BTreeMap<String, TypeSnapshot>,
    version: Version,
    ttl_min: Option<Duration>,
}

impl Snapshot {
    /// What all types contain together, as a hash. What is deleted does not matter.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.version
    }

    /// How often clients must hear that what they have still holds: a third of the shortest time to
    /// live, so that two may be lost. `None` when all of it holds for ever.
    #[must_use]
    pub fn heartbeat_every(&self) -> Option<Duration> {
        self.ttl_min.map(|ttl| ttl / 3)
    }

    /// The types that are managed, by type URL.
    pub fn types(&self) -> impl Iterator<Item = (&str, &TypeSnapshot)> {
        self.types
            .iter()
            .map(|(type_url, of_type)| (type_url.as_str(), of_type))
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self::builder().build()
    }
}

/// The resources of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeSnapshot {
    resources: BTreeMap<String, Resource>,
    deleted: BTreeSet<String>,
    version: Version,
}

impl Snapshot {
    /// Begins a snapshot.
    #[must_use]
    pub fn builder() -> SnapshotBuilder {
        SnapshotBuilder::default()
    }

    /// The resources of a type; `None` when it is not managed.
    #[must_use]
    pub fn of_type(&self, type_url: &str) -> Option<&TypeSnapshot> {
        self.types.get(type_url)
    }
}

impl TypeSnapshot {
    /// The resource of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Resource> {
        self.resources.get(name)
    }

    /// All resources, by name.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// How many resources there are.
    pub(crate) fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether someone deleted the resource, as against never having heard of it.
    #[must_use]
    pub fn is_deleted(&self, name: &str) -> bool {
        self.deleted.contains(name)
    }

    /// What the resources contain together, as a hash.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.version
    }
}

/// Collects resources for a [`Snapshot`].
#[derive(Clone, Debug, Default)]
pub struct SnapshotBuilder {
    types: BTreeMap<String, (BTreeMap<String, Resource>, BTreeSet<String>)>,
}

impl SnapshotBuilder {
    /// Adds a resource. Of two with one type and name the later stays.
    #[must_use]
    pub fn with(mut self, resource: Resource) -> Self {
        let (resources, deleted) = self.of_type(resource.type_url());
        deleted.remove(resource.name());
        resources.insert(resource.name().to_owned(), resource);
        self
    }

    /// Takes a resource away from every client that still has it.
    ///
    /// Needed for kinds whose responses are not full sets (see [`crate::Kind::is_full_set`]),
    /// for as long as a client may come back with the resource.
    #[must_use]
    pub fn delete(mut self, type_url: &str, name: &str) -> Self {
        let (resources, deleted) = self.of_type(type_url);
        resources.remove(name);
        deleted.insert(name.to_owned());
        self
    }

    /// Manages a type, even when no resource of it is added.
    #[must_use]
    pub fn manage(mut self, type_url: &str) -> Self {
        self.of_type(type_url);
        self
    }

    /// The snapshot.
    #[must_use]
    pub fn build(self) -> Snapshot {
        let types: BTreeMap<String, TypeSnapshot> = self
            .types
            .into_iter()
            .map(|(type_url, (resources, deleted))| {
                let version = Version::of_set(resources.values());
                let of_type = TypeSnapshot {
                    resources,
                    deleted,
                    version,
                };
                (type_url, of_type)
            })
            .collect();
        let version = Version::of(types.iter().flat_map(|(type_url, of_type)| {
            [type_url.as_bytes(), of_type.version.as_str().as_bytes()]
        }));
        let resources = types.values().flat_map(TypeSnapshot::resources);
        Snapshot {
            ttl_min: resources.filter_map(Resource::ttl).min(),
            types,
            version,
        }
    }

    fn of_type(&mut self, type_url: &str) -> &mut (BTreeMap<String, Resource>, BTreeSet<String>) {
        self.types.entry(type_url.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(names: &[&str]) -> Version {
        let snapshot = names
            .iter()
            .fold(Snapshot::builder().manage("t"), |builder, name| {
                builder.with(Resource::new("t", name, b"x"))
            })
            .build();
        snapshot.of_type("t").unwrap().version().clone()
    }

    #[test]
    fn the_order_of_adding_does_not_matter() {
        assert_eq!(version(&["a", "b"]), version(&["b", "a", "b"]));
        assert_ne!(version(&["a", "b"]), version(&["a", "c"]));
        assert_ne!(version(&["a"]), version(&[]));
    }

    #[test]
    fn what_is_added_after_a_deletion_is_there() {
        let snapshot = Snapshot::builder()
            .delete("t", "a")
            .with(Resource::new("t", "a", b"x"))
            .delete("t", "b")
            .build();
        let of_type = snapshot.of_type("t").unwrap();
        assert!(of_type.get("a").is_some() && !of_type.is_deleted("a"));
        assert!(of_type.is_deleted("b") && !of_type.is_deleted("c"));
        assert!(snapshot.of_type("u").is_none());
    }
}
