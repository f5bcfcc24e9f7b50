//! What cohorts are offered, for as long as there are nodes of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use sloop_xds::fleet::Cohort;
use sloop_xds::{Offer, Snapshot};
use tokio::sync::watch;
use tonic::Status;

use super::{Hub, lock};
use crate::door::Limit;

impl Hub {
    /// What the nodes of the service `group` (their Envoy's node cluster) should have from now on.
    ///
    /// As [`Hub::offer`], where no selector tells the nodes of a service apart.
    pub fn publish(&self, group: &str, snapshot: Arc<Snapshot>) {
        self.offer(&Cohort::of_service(group), Offer::to_all(snapshot));
    }

    /// What the nodes of `cohort` should have from now on.
    ///
    /// Returns at once; each stream sends the latest snapshot as soon as its
    /// client can take it. A cohort that is offered nothing is not answered.
    pub fn offer(&self, cohort: &Cohort, offer: Offer) {
        let of_cohort = lock(&self.shared.offers)
            .entry(cohort.clone())
            .or_default()
            .clone();
        of_cohort.send_if_modified(|current| {
            let differs = current.as_ref() != Some(&offer);
            *current = Some(offer);
            differs
        });
    }

    /// The cohorts of which nodes were seen and that are not forgotten. Changes when a new one comes.
    #[must_use]
    pub fn cohorts(&self) -> watch::Receiver<BTreeSet<Cohort>> {
        self.shared.seen.subscribe()
    }

    /// Whether no node of `cohort` is connected, nor about to be.
    #[must_use]
    pub fn is_deserted(&self, cohort: &Cohort) -> bool {
        let offers = lock(&self.shared.offers);
        offers
            .get(cohort)
            .is_none_or(|offer| offer.receiver_count() == 0)
    }

    /// Forgets what `cohort` is offered and how changes to it stand, unless there are nodes of it. Whether it did.
    ///
    /// A node that comes later is one of a cohort that is new.
    pub fn forget(&self, cohort: &Cohort) -> bool {
        // Whoever meets a cohort holds the lock until it is seen.
        let mut offers = lock(&self.shared.offers);
        if offers
            .get(cohort)
            .is_some_and(|offer| 0 < offer.receiver_count())
        {
            return false;
        }
        offers.remove(cohort);
        self.shared
            .seen
            .send_if_modified(|seen| seen.remove(cohort));
        lock(&self.shared.stages).remove(cohort);
        self.shared.loads.set(cohort, None);
        true
    }

    /// Notes that there are nodes of `cohort`. The answer is what they are offered.
    pub(in crate::ads) fn meet(
        &self,
        cohort: &Cohort,
    ) -> Result<watch::Receiver<Option<Offer>>, Status> {
        let shared = &self.shared;
        let mut offers = lock(&shared.offers);
        let (is_known, is_full) = {
            let (seen, max) = (shared.seen.borrow(), shared.limits.groups_max);
            let of_service = || {
                let all = seen.range(Cohort::of_service(&cohort.service)..);
                all.take_while(|one| one.service == cohort.service).count()
            };
            let is_full = || max <= seen.len() || share_of_one(max) <= of_service();
            let is_known = seen.contains(cohort);
            (is_known, !is_known && is_full())
        };
        if is_full {
            return Err(self.hit(Limit::Groups, "too many groups"));
        }
        let offer = offers.entry(cohort.clone()).or_default().subscribe();
        if !is_known {
            shared
                .seen
                .send_if_modified(|seen| seen.insert(cohort.clone()));
        }
        Ok(offer)
    }
}

/// How many groups one service may have: what its nodes say of themselves makes them, so they leave most to others.
fn share_of_one(groups_max: usize) -> usize {
    (groups_max / 4).max(1)
}

#[cfg(test)]
mod tests {
    use sloop_xds::fleet::Condition;

    use super::super::super::AdsLimits;
    use super::*;
    use crate::clock;

    #[test]
    fn a_cohort_is_forgotten_when_nobody_is_of_it_and_room_is_made_for_another() {
        let limits = AdsLimits {
            groups_max: 1,
            ..AdsLimits::default()
        };
        let hub = Hub::new(limits, clock::wall);
        let [one, other] = ["one", "other"].map(Cohort::of_service);
        let node = hub.meet(&one).unwrap();
        hub.publish("one", Arc::new(Snapshot::builder().build()));
        assert!(!hub.is_deserted(&one) && !hub.forget(&one), "one is there");
        assert!(hub.meet(&other).is_err(), "there is room for one");
        drop(node);
        assert!(hub.is_deserted(&one) && hub.forget(&one));
        assert!(hub.cohorts().borrow().is_empty() && hub.stages().is_empty());
        assert!(hub.meet(&other).is_ok());
        assert_eq!(lock(&hub.shared.offers).len(), 1, "nothing is left of it");
    }

    #[test]
    fn the_nodes_of_one_service_leave_groups_to_others() {
        let limits = AdsLimits {
            groups_max: 8,
            ..AdsLimits::default()
        };
        let hub = Hub::new(limits, clock::wall);
        let of = |zone: &str| Cohort {
            service: "edge".to_owned(),
            holds: BTreeSet::from([Condition::Zone(zone.to_owned())]),
        };
        let [_one, _two] = ["a", "b"].map(|zone| hub.meet(&of(zone)).unwrap());
        assert!(hub.meet(&of("c")).is_err(), "a quarter of all");
        assert!(hub.meet(&of("a")).is_ok(), "it is known");
        assert!(hub.meet(&Cohort::of_service("shop")).is_ok());
    }
}
