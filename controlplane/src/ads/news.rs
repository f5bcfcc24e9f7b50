//! What happened on a stream between two looks at it: noted in one go, since thousands do after a push.

use std::sync::Arc;
use std::time::Duration;

use sloop_model::WallTime;
use sloop_xds::fleet::Cohort;
use sloop_xds::{Sent, Verdict, Version};

use super::status::NodeStatus;

/// What happened.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Whom the node belongs to, when that may be others than before.
    pub(super) cohort: Option<Cohort>,
    /// What the node should have, when that may be something else than before.
    pub(super) wanted: Option<Version>,
    /// What the node said about a response.
    pub(super) settled: Option<Verdict>,
    /// Types of which the node let go of all that it refused, or that it should not have any more.
    pub(super) let_go: Vec<String>,
    /// What was handed to the connection.
    pub(super) sent: Option<Arc<Sent>>,
    /// Whether all of what the node should have is in force, and what that is.
    pub(super) stands: Option<(Version, bool)>,
}

impl News {
    /// Whether nothing happened.
    pub(super) const fn is_empty(&self) -> bool {
        self.let_go.is_empty()
            && matches!(
                self,
                Self {
                    cohort: None,
                    wanted: None,
                    settled: None,
                    sent: None,
                    stands: None,
                    ..
                }
            )
    }

    /// Writes it down, but for the cohort, at `now`. Says how long it took until all was in force, once.
    pub(super) fn write(&self, node: &mut NodeStatus, now: WallTime) -> Option<Duration> {
        if let Some(version) = &self.wanted {
            node.standing.wants(version, now);
        }
        if let Some(verdict) = &self.settled {
            node.has_settled(verdict, now);
        }
        for type_url in &self.let_go {
            node.has_let_go(type_url);
        }
        if let Some(sent) = &self.sent {
            node.was_sent(sent, now);
        }
        let (version, is_in_force) = self.stands.as_ref()?;
        node.standing.stands(version, *is_in_force, now)
    }
}
