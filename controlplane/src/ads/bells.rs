//! What a stream waits for besides its client.
//!
//! A stream waits for the same things again and again, some times for each push, and to begin to wait takes
//! locks that all streams share. So it goes on waiting while it does something else, and what seldom changes rings
//! one bell together.

use sloop_xds::Offer;
use tokio::sync::watch;

/// The bells of one stream.
#[derive(Debug)]
pub(super) struct Bells {
    common: watch::Receiver<()>,
    offers: watch::Receiver<Option<Offer>>,
}

/// What may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rung {
    /// What all streams go by: whether they are answered, the fleet, or access.
    Common,
    /// What the node's cohort is offered.
    Offers,
}

impl Bells {
    pub(super) const fn of(
        common: watch::Receiver<()>,
        offers: watch::Receiver<Option<Offer>>,
    ) -> Self {
        Self { common, offers }
    }

    /// Waits until one rings that has not been heard. Gives itself back, to wait again.
    pub(super) async fn ring(mut self) -> (Rung, Self) {
        let rung = tokio::select! {
            Ok(()) = self.common.changed() => Rung::Common,
            Ok(()) = self.offers.changed() => Rung::Offers,
            // Both senders are gone with the hub.
            else => std::future::pending().await,
        };
        (rung, self)
    }

    /// The same, where the node's cohort is another one from now on, with other `offers`.
    pub(super) fn moved(self, offers: Option<watch::Receiver<Option<Offer>>>) -> Self {
        let offers = offers.unwrap_or(self.offers);
        Self { offers, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    /// What rings at once, and the bells.
    fn heard(bells: Bells) -> (Rung, Bells) {
        bells.ring().now_or_never().expect("one rings")
    }

    #[test]
    fn what_rang_while_nobody_waited_is_heard_once() {
        let (common, offers) = (watch::Sender::new(()), watch::Sender::new(None));
        let bells = Bells::of(common.subscribe(), offers.subscribe());
        common.send_replace(());
        let (rung, bells) = heard(bells);
        assert_eq!(rung, Rung::Common);
        offers.send_replace(None);
        offers.send_replace(None);
        let (rung, bells) = heard(bells);
        assert_eq!(rung, Rung::Offers);
        let mut ring = pin!(bells.ring());
        assert!(ring.as_mut().now_or_never().is_none(), "both were heard");
        common.send_replace(());
        assert!(ring.now_or_never().is_some());
    }

    #[test]
    fn who_moved_hears_of_the_other_offers_and_when_all_is_gone_of_nothing() {
        let (common, offers) = (watch::Sender::new(()), watch::Sender::new(None));
        let bells = Bells::of(common.subscribe(), offers.subscribe());
        let others = watch::Sender::new(None);
        let bells = bells.moved(Some(others.subscribe())).moved(None);
        offers.send_replace(None);
        others.send_replace(None);
        let (rung, bells) = heard(bells);
        assert_eq!(rung, Rung::Offers);
        offers.send_replace(None);
        drop((common, others));
        assert!(bells.ring().now_or_never().is_none());
    }
}
