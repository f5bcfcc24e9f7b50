//! Where a node belongs, and what it should have because of that.

use std::sync::Arc;
use std::time::Duration;

use sloop_xds::fleet::{Cohort, Fleet};
use sloop_xds::{Node, Offer, Snapshot};
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
            node: node.clone(),
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

    /// How often the node must hear that what it has still holds; `None` when it need not.
    pub(super) fn heartbeat_every(&self) -> Option<Duration> {
        let offer = self.offers.borrow();
        offer.as_ref()?.for_node(&self.node.id).heartbeat_every()
    }

    /// Waits until what the node should have may have changed.
    pub(super) async fn changed(&mut self) {
        tokio::select! {
            Ok(()) = self.fleet.changed() => self.move_over(),
            Ok(()) = self.offers.changed() => {}
            // Both senders are gone with the hub.
            else => std::future::pending().await,
        }
    }

    /// Finds the place anew. Where there are too many cohorts already, the node stays.
    fn move_over(&mut self) {
        let cohort = self.fleet.borrow_and_update().cohort(&self.node);
        if cohort == self.cohort {
            return;
        }
        match self.hub.meet(&cohort) {
            Ok(offers) => {
                self.offers = offers;
                self.cohort = cohort;
                self.has_moved = true;
            }
            Err(error) => tracing::warn!(%cohort, %error, "a node stays where it was"),
        }
    }
}
