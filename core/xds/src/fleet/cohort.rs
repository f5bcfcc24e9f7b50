//! Nodes that get the same.

use core::fmt;
use std::collections::BTreeSet;

use super::Condition;
use super::text::Escaped;

/// Nodes of one service for which the same conditions hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cohort {
    /// The service that the nodes belong to: Envoy's node cluster.
    pub service: String,
    /// What holds for them, of all that any selector asks for.
    pub holds: BTreeSet<Condition>,
}

impl Cohort {
    /// The nodes of a service, when no selector asks for more.
    #[must_use]
    pub fn of_service(service: &str) -> Self {
        Self {
            service: service.to_owned(),
            holds: BTreeSet::new(),
        }
    }
}

/// As people see it, and as the store names it: `edge`, or `edge{zone=a,tier=gold}`. No two are written alike: what
/// could be read as one of the signs between has a `\` before it.
impl fmt::Display for Cohort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", Escaped(&self.service, "{},"))?;
        if self.holds.is_empty() {
            return Ok(());
        }
        let holds: Vec<String> = self.holds.iter().map(ToString::to_string).collect();
        write!(formatter, "{{{}}}", holds.join(","))
    }
}
