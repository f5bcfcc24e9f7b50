//! Runtime layers that nodes may have numbers in.
//!
//! A layer whose document is gone is sent without numbers, in both variants: its
//! nodes take those of before back, and say so. Which nodes have it is not known:
//! what told a cohort apart may be gone with the document, and an Envoy may come
//! back after days. So whatever was ever declared is known by name, for all cohorts
//! and over a restart, and a node is sent what it asks for by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_xds::fleet::Fleet;
use sloop_xds::{Kind, Resource, SnapshotBuilder};

use super::basis::StoredCohort;
use crate::engine::{RestoreError, put};
use crate::store::{Batch, Store};

/// Where layers are stored, by name.
const LAYER: &str = "layer\n";

/// Layers that are known: an Envoy has one of ours, whose name is in its bootstrap, and people try a few others. Of more,
/// those are forgotten that came first and are not declared.
pub(super) const LAYERS_MAX: usize = 64;

/// A layer, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredLayer {
    name: String,
    /// How many there had been, with it.
    number: u64,
}

/// All layers that are known.
#[derive(Debug, Default)]
pub(super) struct Layers {
    by_name: BTreeMap<String, Layer>,
    /// Those of stores of before, where they are with cohorts.
    to_store: Vec<String>,
}

#[derive(Debug)]
struct Layer {
    number: u64,
    /// What nodes get while it is not declared.
    empty: Resource,
}

impl Layers {
    /// Knows the layers of an earlier process, also of one that kept them with `cohorts`.
    pub(super) fn restore(
        store: &dyn Store,
        cohorts: &[StoredCohort],
    ) -> Result<Self, RestoreError> {
        let mut layers = Self::default();
        for one in crate::engine::read::<StoredLayer>(store, LAYER)? {
            layers.insert(&one.name, one.number);
        }
        for name in cohorts.iter().flat_map(StoredCohort::layers) {
            if layers.add(name) {
                layers.to_store.push(name.to_owned());
            }
        }
        Ok(layers)
    }

    /// Takes in what is declared.
    pub(super) fn take(&mut self, fleet: &Fleet, batch: &mut Batch) {
        for name in declared(fleet) {
            if self.add(name) {
                self.to_store.push(name.to_owned());
            }
        }
        for name in std::mem::take(&mut self.to_store) {
            if let Some(layer) = self.by_name.get(&name) {
                let number = layer.number;
                put(
                    batch,
                    &format!("{LAYER}{name}"),
                    &StoredLayer { name, number },
                );
            }
        }
        while LAYERS_MAX < self.by_name.len() && self.forget_one(fleet, batch) {}
    }

    /// Adds all of them to a snapshot, without numbers.
    pub(super) fn add_to(&self, builder: SnapshotBuilder) -> SnapshotBuilder {
        let layers = self.by_name.values();
        layers.fold(builder, |builder, layer| builder.with(layer.empty.clone()))
    }

    /// Forgets the one that came first, of those that are not declared. Whether there was one.
    fn forget_one(&mut self, fleet: &Fleet, batch: &mut Batch) -> bool {
        let is_declared = |wanted: &str| declared(fleet).any(|name| name == wanted);
        let known = self.by_name.iter();
        let first = known
            .filter(|(name, _)| !is_declared(name))
            .min_by_key(|(_, layer)| layer.number)
            .map(|(name, _)| name.clone());
        let Some(first) = first else {
            return false;
        };
        batch.delete(format!("{LAYER}{first}"));
        self.by_name.remove(&first);
        true
    }

    /// Whether the layer was not known.
    fn add(&mut self, name: &str) -> bool {
        if self.by_name.contains_key(name) {
            return false;
        }
        let newest = self.by_name.values().map(|layer| layer.number).max();
        self.insert(name, newest.unwrap_or_default().saturating_add(1));
        true
    }

    fn insert(&mut self, name: &str, number: u64) {
        let empty = Resource::empty_layer(name);
        self.by_name
            .insert(name.to_owned(), Layer { number, empty });
    }
}

fn declared(fleet: &Fleet) -> impl Iterator<Item = &str> {
    let resources = fleet.declared().iter().map(|one| &one.resource);
    resources
        .filter(|it| it.type_url() == Kind::RUNTIME)
        .map(Resource::name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sloop_xds::fleet::{Declared, Selector};

    use super::*;
    use crate::store::InMemory;

    fn fleet(names: &[&str]) -> Fleet {
        let declared = names.iter().map(|name| Declared {
            document: format!("EnvoyResource/{name}"),
            selector: Selector::default(),
            resource: Resource::new(Kind::RUNTIME, name, b"1"),
            references: BTreeSet::new(),
        });
        Fleet::new(declared.collect())
    }

    fn take(layers: &mut Layers, names: &[&str], store: &InMemory) {
        let mut batch = Batch::default();
        layers.take(&fleet(names), &mut batch);
        store.commit(&batch).unwrap();
    }

    fn known(layers: &Layers) -> Vec<&str> {
        layers.by_name.keys().map(String::as_str).collect()
    }

    #[test]
    fn what_was_declared_is_known_also_after_a_restart_and_stored_once() {
        let store = InMemory::default();
        let mut layers = Layers::default();
        take(&mut layers, &["b", "a"], &store);
        take(&mut layers, &["a"], &store);
        let mut batch = Batch::default();
        layers.take(&fleet(&["a"]), &mut batch);
        assert!(batch.is_empty(), "nothing new");
        let mut layers = Layers::restore(&store, &[]).unwrap();
        assert_eq!(known(&layers), ["a", "b"]);
        take(&mut layers, &["c"], &store);
        let layers = Layers::restore(&store, &[]).unwrap();
        assert_eq!(known(&layers), ["a", "b", "c"]);
    }

    #[test]
    fn of_too_many_those_are_forgotten_that_came_first_and_are_not_declared() {
        let store = InMemory::default();
        let mut layers = Layers::default();
        take(&mut layers, &["stays"], &store);
        for number in 0..LAYERS_MAX {
            take(&mut layers, &["stays", &format!("{number:03}")], &store);
        }
        for layers in [layers, Layers::restore(&store, &[]).unwrap()] {
            let known = known(&layers);
            assert_eq!(known.len(), LAYERS_MAX);
            assert!(!known.contains(&"000") && known.contains(&"001") && known.contains(&"stays"));
        }
        let mut layers = Layers::restore(&store, &[]).unwrap();
        let many: Vec<String> = (0..=LAYERS_MAX).map(|it| format!("many-{it}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        take(&mut layers, &many, &store);
        assert_eq!(known(&layers).len(), many.len(), "none that is declared");
    }
}
