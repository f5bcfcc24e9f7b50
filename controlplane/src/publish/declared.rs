//! What operators declare for a cohort, in its snapshot.

use std::collections::BTreeSet;

use sloop_xds::fleet::{Trouble, is_structure};
use sloop_xds::{Kind, Resource, SnapshotBuilder};

/// What is declared for one cohort, as far as it fits together.
#[derive(Clone, Debug, Default)]
pub(super) struct Declared {
    /// `None` when nothing is: then the cohort's listeners and clusters are not managed here.
    resources: Option<Vec<Resource>>,
    /// Runtime layers that were there: their nodes have them until they are told otherwise.
    gone: BTreeSet<String>,
    troubles: Vec<String>,
}

impl Declared {
    /// What was declared when it was stored.
    pub(super) const fn restored(resources: Option<Vec<Resource>>, gone: BTreeSet<String>) -> Self {
        Self {
            resources,
            gone,
            troubles: Vec::new(),
        }
    }

    /// Takes what is declared from now on. What does not fit together changes nothing, and is
    /// returned when it is not what did not fit before.
    pub(super) fn take(
        &mut self,
        resources: Result<Option<Vec<&Resource>>, Vec<Trouble>>,
    ) -> Vec<String> {
        let resources = match resources {
            Ok(resources) => resources,
            Err(troubles) => {
                let troubles: Vec<String> = troubles.iter().map(ToString::to_string).collect();
                if troubles == self.troubles {
                    return Vec::new();
                }
                self.troubles.clone_from(&troubles);
                return troubles;
            }
        };
        self.troubles.clear();
        let before = std::mem::take(&mut self.resources);
        self.gone.extend(layers(before.iter().flatten()));
        for layer in layers(resources.iter().flatten().copied()) {
            self.gone.remove(&layer);
        }
        self.resources = resources.map(|it| it.into_iter().cloned().collect());
        Vec::new()
    }

    /// Adds it to a snapshot.
    pub(super) fn add_to(&self, mut builder: SnapshotBuilder) -> SnapshotBuilder {
        let resources = self.resources.iter().flatten();
        if resources.clone().any(|it| is_structure(it.type_url())) {
            // Full sets: also when the last one goes, that is said.
            builder = builder.manage(Kind::CLUSTER).manage(Kind::LISTENER);
            // An Envoy of a fleet asks for a layer, and waits to hear that there is none.
            builder = builder.manage(Kind::RUNTIME);
        }
        for layer in &self.gone {
            builder = builder.delete(Kind::RUNTIME, layer);
        }
        resources.fold(builder, |builder, one| builder.with(one.clone()))
    }

    /// Takes away the layers that `tried` has beyond it: nodes that tried them have them.
    pub(super) fn without(&self, tried: &Self, mut builder: SnapshotBuilder) -> SnapshotBuilder {
        let own: BTreeSet<String> = layers(self.resources().iter()).into_iter().collect();
        for layer in layers(tried.resources().iter()) {
            if !own.contains(&layer) {
                builder = builder.delete(Kind::RUNTIME, &layer);
            }
        }
        builder
    }

    /// What there is.
    pub(super) fn resources(&self) -> &[Resource] {
        self.resources.as_deref().unwrap_or_default()
    }

    /// Whether anything is declared.
    pub(super) const fn is_there(&self) -> bool {
        self.resources.is_some()
    }

    /// Layers that were there.
    pub(super) const fn gone(&self) -> &BTreeSet<String> {
        &self.gone
    }

    /// Whether the nodes get the same by both.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.resources == other.resources
    }
}

fn layers<'a>(resources: impl Iterator<Item = &'a Resource>) -> Vec<String> {
    resources
        .filter(|it| it.type_url() == Kind::RUNTIME)
        .map(|it| it.name().to_owned())
        .collect()
}
