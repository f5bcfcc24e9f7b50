//! Where a node belongs, and what it should have because of that.

use std::sync::Arc;

use sloop_xds::fleet::{Cohort, Fleet};
use sloop_xds::{Node, Offer, Scalars, Snapshot};
use tokio::sync::watch;
use tonic::Status;

use super::hub::Hub;

/// A node's place in the fleet. It may change while the node is connected.
#[derive(Debug)]
pub(super) struct Place {
    hub: Hub,
    node: Node,
    cohort: Cohort,
    fleet: watch::Receiver<Arc<Fleet>>,
    offers: watch::Receiver<Option<Offer>>,
    has_moved: bool,
}

impl Place {
    /// Finds the place of a node.
    pub(super) fn of(hub: Hub, node: &Node) -> Result<Self, Status> {
        let mut fleet = hub.fleet();
        let cohort = fleet.borrow_and_update().cohort(node);
        Ok(Self {
            offers: hub.meet(&cohort)?,
            node: kept(node),
            hub,
            cohort,
            fleet,
            has_moved: false,
        })
    }

    pub(super) fn service(&self) -> &str {
        &self.node.cluster
    }

    pub(super) const fn cohort(&self) -> &Cohort {
        &self.cohort
    }

    /// Whom the node belongs to, once when that is others than before.
    pub(super) fn take_moved(&mut self) -> Option<Cohort> {
        std::mem::take(&mut self.has_moved).then(|| self.cohort.clone())
    }

    /// What the node should have, if that is known.
    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let offer = self.offers.borrow();
        Some(Arc::clone(offer.as_ref()?.for_node(&self.node.id)))
    }

    /// Says when the node's cohort is offered something else.
    pub(super) fn offers(&self) -> watch::Receiver<Option<Offer>> {
        self.offers.clone()
    }

    /// Finds the place anew when the fleet is another one. The answer is what the node's cohort is offered, when that is
    /// another one, too. Where there are too many cohorts already, the node stays.
    pub(super) fn find(&mut self) -> Option<watch::Receiver<Option<Offer>>> {
        if !self.fleet.has_changed().unwrap_or(false) {
            return None;
        }
        let cohort = self.fleet.borrow_and_update().cohort(&self.node);
        if cohort == self.cohort {
            return None;
        }
        match self.hub.meet(&cohort) {
            Ok(offers) => {
                self.offers = offers;
                self.cohort = cohort;
                self.has_moved = true;
                Some(self.offers.clone())
            }
            Err(error) => {
                tracing::warn!(%cohort, %error, "a node stays where it was");
                None
            }
        }
    }
}

/// What is kept of a node for as long as it is connected: nothing that only takes room.
fn kept(node: &Node) -> Node {
    let metadata = node.metadata.as_ref();
    Node {
        id: node.id.clone(),
        cluster: node.cluster.clone(),
        metadata: metadata.map(Scalars::with_values),
        locality: node.locality.clone(),
        user_agent_name: String::new(),
    }
}
