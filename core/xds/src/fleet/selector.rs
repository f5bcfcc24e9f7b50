//! Which nodes get a resource.

use core::fmt;

use super::Cohort;
use super::text::Escaped;
use crate::Node;

/// Something that holds for a node or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// The node's id is this, or begins with what comes before a final `*`.
    Id(String),
    /// Its metadata has this scalar under this name, at the top.
    Metadata(String, String),
    /// It is in this region.
    Region(String),
    /// It is in this zone.
    Zone(String),
    /// It is in this part of a zone.
    SubZone(String),
}

impl Condition {
    /// Whether it holds for `node`.
    #[must_use]
    pub fn holds_for(&self, node: &Node) -> bool {
        let locality = || node.locality.as_ref();
        match self {
            Self::Id(id) => match id.strip_suffix('*') {
                Some(begin) => node.id.starts_with(begin),
                None => node.id == *id,
            },
            Self::Metadata(name, value) => node.scalar(name).is_some_and(|it| it == *value),
            Self::Region(region) => locality().is_some_and(|it| it.region == *region),
            Self::Zone(zone) => locality().is_some_and(|it| it.zone == *zone),
            Self::SubZone(sub_zone) => locality().is_some_and(|it| it.sub_zone == *sub_zone),
        }
    }
}

/// As it stands in the name of a [`Cohort`].
impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = match self {
            Self::Id(id) => ("id", id),
            Self::Metadata(name, value) => {
                if is_of_something_else(name) {
                    formatter.write_str(METADATA)?;
                }
                (name.as_str(), value)
            }
            Self::Region(region) => ("region", region),
            Self::Zone(zone) => ("zone", zone),
            Self::SubZone(sub_zone) => ("sub_zone", sub_zone),
        };
        let (name, value) = (Escaped(name, "{},="), Escaped(value, "{},"));
        write!(formatter, "{name}={value}")
    }
}

/// What metadata are called that have the name of something else.
const METADATA: &str = "metadata.";

fn is_of_something_else(name: &str) -> bool {
    ["id", "region", "zone", "sub_zone"].contains(&name) || name.starts_with(METADATA)
}

/// Chooses nodes. What is empty asks for nothing; an empty selector chooses all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Services (Envoy's node cluster), any of them.
    pub clusters: Vec<String>,
    /// Conditions on the id, any of them.
    pub ids: Vec<Condition>,
    /// Conditions on metadata and locality, all of them.
    pub all: Vec<Condition>,
}

impl Selector {
    /// What it asks for, beside the service.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.ids.iter().chain(&self.all)
    }

    /// Whether it chooses the nodes of `cohort`.
    pub(super) fn chooses(&self, cohort: &Cohort) -> bool {
        let is_any = |list: &[Condition]| list.iter().any(|it| cohort.holds.contains(it));
        (self.clusters.is_empty() || self.clusters.contains(&cohort.service))
            && (self.ids.is_empty() || is_any(&self.ids))
            && self.all.iter().all(|it| cohort.holds.contains(it))
    }
}
