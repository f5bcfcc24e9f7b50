//! Resources that operators declare for whole fleets, and which node gets which.
//!
//! A [`Fleet`] is all that is declared. Nodes of one service for which the same
//! conditions hold, of those that any selector asks for, are a [`Cohort`]: they
//! get the same, so it is made and encoded once for all of them. What a cohort
//! gets is checked as a whole ([`Fleet::resources`]): a name is there once, and
//! what refers to something refers to something that is there.
//!
//! A cohort that no selector chooses is not managed, so that another control
//! plane may be.

mod cohort;
mod reference;
mod selector;
mod text;

use std::collections::{BTreeMap, BTreeSet};

pub use cohort::Cohort;
pub use reference::{Reference, Trouble};
pub use selector::{Condition, Selector};

use crate::{Kind, Node, Resource};

/// A resource that somebody declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The name of the document, unique among all.
    pub document: String,
    /// Which nodes get it.
    pub selector: Selector,
    /// What they get.
    pub resource: Resource,
    /// What it cannot be without, sorted, no duplicates.
    pub references: BTreeSet<Reference>,
}

impl Declared {
    /// Whether the nodes of `cohort` get it.
    #[must_use]
    pub fn is_for(&self, cohort: &Cohort) -> bool {
        self.selector.chooses(cohort)
    }
}

/// Everything that is declared, sorted by document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    declared: Vec<Declared>,
    /// What any selector asks for, except the service, which is part of every cohort.
    conditions: BTreeSet<Condition>,
}

/// Clusters that every node has from its bootstrap: the way to the control plane.
const BOOTSTRAP_CLUSTERS: [&str; 1] = ["sloop_xds"];

impl Fleet {
    /// Puts what is declared together.
    #[must_use]
    pub fn new(mut declared: Vec<Declared>) -> Self {
        declared.sort_by(|a, b| a.document.cmp(&b.document));
        let conditions = declared
            .iter()
            .flat_map(|one| one.selector.conditions())
            .cloned()
            .collect();
        Self {
            declared,
            conditions,
        }
    }

    /// Everything, sorted by document.
    #[must_use]
    pub fn declared(&self) -> &[Declared] {
        &self.declared
    }

    /// The cohort of a node.
    #[must_use]
    pub fn cohort(&self, node: &Node) -> Cohort {
        let holds = self.conditions.iter().filter(|it| it.holds_for(node));
        Cohort {
            service: node.cluster.clone(),
            holds: holds.cloned().collect(),
        }
    }

    /// What the nodes of `cohort` get: `None` when nothing is declared for them.
    ///
    /// # Errors
    ///
    /// Everything that does not fit together.
    pub fn resources(&self, cohort: &Cohort) -> Result<Option<Vec<&Resource>>, Vec<Trouble>> {
        let chosen: Vec<&Declared> = self
            .declared
            .iter()
            .filter(|one| one.is_for(cohort))
            .collect();
        let troubles: Vec<Trouble> = repeats(&chosen).chain(missing(&chosen)).collect();
        if !troubles.is_empty() {
            return Err(troubles);
        }
        let resources = chosen.into_iter().map(|one| &one.resource);
        let resources: Vec<&Resource> = resources.collect();
        Ok((!resources.is_empty()).then_some(resources))
    }

    /// References to what nobody declares for any node: mistakes, whatever nodes there are.
    #[must_use]
    pub fn dangling(&self) -> Vec<Trouble> {
        missing(&self.declared.iter().collect::<Vec<_>>()).collect()
    }
}

/// Whether resources of this type make up an Envoy's configuration, as against numbers that it looks up.
///
/// Clusters and listeners of a node are either all declared here or none of them.
#[must_use]
pub fn is_structure(type_url: &str) -> bool {
    type_url != Kind::RUNTIME
}

/// Names that are there twice.
fn repeats<'a>(chosen: &[&'a Declared]) -> impl Iterator<Item = Trouble> + use<'a> {
    let mut named: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for one in chosen {
        let resource = &one.resource;
        named
            .entry((resource.type_url(), resource.name()))
            .or_default()
            .push(&one.document);
    }
    named
        .into_iter()
        .filter_map(|((type_url, name), documents)| {
            let [first, second, ..] = documents.as_slice() else {
                return None;
            };
            Some(Trouble::Twice {
                document: (*second).to_owned(),
                type_url: type_url.to_owned(),
                name: name.to_owned(),
                other: (*first).to_owned(),
            })
        })
}

/// References that lead nowhere.
fn missing<'a>(chosen: &[&'a Declared]) -> impl Iterator<Item = Trouble> + use<'a> {
    let there: BTreeSet<(&str, &str)> = chosen
        .iter()
        .map(|one| (one.resource.type_url(), one.resource.name()))
        .chain(BOOTSTRAP_CLUSTERS.map(|name| (Kind::CLUSTER, name)))
        .collect();
    chosen
        .iter()
        .flat_map(|one| one.references.iter().map(move |to| (one, to)))
        .filter(move |(_, to)| !there.contains(&(to.type_url, to.name.as_str())))
        .map(|(one, to)| Trouble::Missing {
            document: one.document.clone(),
            reference: to.clone(),
        })
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests;
