//! What operators declare for a cohort, in its snapshot.

use sloop_xds::fleet::{Trouble, is_structure};
use sloop_xds::{Kind, Resource, SnapshotBuilder};

/// What is declared for one cohort, as far as it fits together.
#[derive(Clone, Debug, Default)]
pub(super) struct Declared {
    /// `None` when nothing is: then the cohort's listeners and clusters are not managed here.
    resources: Option<Vec<Resource>>,
    /// Whether it never fitted together since the cohort is there: its nodes came from other cohorts, and keep what they had there.
    is_unknown: bool,
    troubles: Vec<String>,
}

impl Declared {
    /// What was declared when it was stored.
    pub(super) const fn restored(resources: Option<Vec<Resource>>) -> Self {
        Self {
            resources,
            is_unknown: false,
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
                self.is_unknown = self.resources.is_none();
                self.troubles.clone_from(&troubles);
                return troubles;
            }
        };
        self.troubles.clear();
        self.is_unknown = false;
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
        if !self.is_unknown {
            // An Envoy that asks for a layer waits to hear that there is none.
            builder = builder.manage(Kind::RUNTIME);
        }
        resources.fold(builder, |builder, one| builder.with(one.clone()))
    }

    /// What there is.
    pub(super) fn resources(&self) -> &[Resource] {
        self.resources.as_deref().unwrap_or_default()
    }

    /// Whether nothing can be said about it yet, not even that there is nothing.
    pub(super) const fn is_unknown(&self) -> bool {
        self.is_unknown
    }

    /// Whether anything is declared.
    pub(super) const fn is_there(&self) -> bool {
        self.resources.is_some()
    }

    /// Whether the nodes get the same by both.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.resources, self.is_unknown) == (&other.resources, other.is_unknown)
    }
}

#[cfg(test)]
mod tests {
    use sloop_xds::Snapshot;

    use super::*;

    fn snapshot(declared: &Declared) -> Snapshot {
        declared.add_to(Snapshot::builder()).build()
    }

    fn conflict() -> Vec<Trouble> {
        vec![Trouble::Twice {
            document: "b".to_owned(),
            type_url: Kind::RUNTIME.to_owned(),
            name: "fleet".to_owned(),
            other: "a".to_owned(),
        }]
    }

    #[test]
    fn nodes_of_a_new_cohort_keep_what_they_had_until_it_fits_together() {
        let mut new = Declared::default();
        assert_eq!(new.take(Err(conflict())).len(), 1);
        assert!(new.is_unknown() && snapshot(&new).of_type(Kind::RUNTIME).is_none());
        let layer = Resource::empty_layer("fleet");
        assert!(new.take(Ok(Some(vec![&layer]))).is_empty());
        assert!(
            !new.is_unknown()
                && snapshot(&new)
                    .of_type(Kind::RUNTIME)
                    .unwrap()
                    .get("fleet")
                    .is_some()
        );
        // What fitted once stays.
        assert_eq!(new.take(Err(conflict())).len(), 1);
        assert!(!new.is_unknown() && new.resources().len() == 1);
        assert!(new.take(Ok(None)).is_empty());
        assert!(
            snapshot(&new).of_type(Kind::RUNTIME).is_some(),
            "that there is none"
        );
    }

    #[test]
    fn that_nothing_is_known_is_another_thing_than_nothing() {
        let mut unknown = Declared::default();
        assert!(unknown.is_same(&Declared::default()));
        unknown.take(Err(conflict()));
        assert!(!unknown.is_same(&Declared::default()));
    }
}
