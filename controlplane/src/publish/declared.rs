//! What operators declare for a cohort, in its snapshot.

use sloop_xds::fleet::{Trouble, is_structure};
use sloop_xds::{Kind, Resource, SnapshotBuilder};

/// What is declared for one cohort, as far as it fits together.
#[derive(Clone, Debug, Default)]
pub(super) struct Declared {
    /// `None` when nothing is: then the cohort's listeners and clusters are not managed here.
    resources: Option<Vec<Resource>>,
    troubles: Vec<String>,
}

impl Declared {
    /// What was declared when it was stored.
    pub(super) const fn restored(resources: Option<Vec<Resource>>) -> Self {
        Self {
            resources,
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
        self.resources = resources.map(|it| it.into_iter().cloned().collect());
        Vec::new()
    }

    /// Adds it to a snapshot, where it takes the place of what has the same name.
    pub(super) fn add_to(&self, mut builder: SnapshotBuilder) -> SnapshotBuilder {
        let resources = self.resources.iter().flatten();
        if resources.clone().any(|it| is_structure(it.type_url())) {
            // Full sets: also when the last one goes, that is said.
            builder = builder.manage(Kind::CLUSTER).manage(Kind::LISTENER);
        }
        // An Envoy that asks for a layer waits to hear that there is none.
        builder = builder.manage(Kind::RUNTIME);
        resources.fold(builder, |builder, one| builder.with(one.clone()))
    }

    /// What there is.
    pub(super) fn resources(&self) -> &[Resource] {
        self.resources.as_deref().unwrap_or_default()
    }

    /// Whether anything is declared.
    pub(super) const fn is_there(&self) -> bool {
        self.resources.is_some()
    }

    /// Whether the nodes get the same by both.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.resources == other.resources
    }
}
