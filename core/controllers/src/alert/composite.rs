//! A composite SLO, as a policy sees it: all of its objectives together.
//!
//! Its burn rate is that of [`crate::CompositeStatus`], and what of it is sure follows from what is sure of the objectives: they
//! surely burn it at least as fast as what each surely burns adds up to. That nobody reports is told of each objective, which says
//! which of them it is; of all together it would be the same news once more.

use core::time::Duration;

use super::memory::{AlertMemory, Watched};
use super::{AlertIntent, AlertKind};
use crate::slo::{Composite, Rate};
use crate::words::Length;
use crate::{Decision, Signal, World};

impl AlertIntent {
    /// Adds to `decision` what there is to tell of the composite. The answer is how it stands, in words; nothing where the
    /// policy is on no composite.
    pub(super) fn step_composite(
        &self,
        memory: &mut AlertMemory,
        decision: &mut Decision,
        world: &World,
    ) -> Option<String> {
        let Some(slo) = &self.composite else {
            memory.composite = None;
            return None;
        };
        let composite = Composite::new(slo, world)?;
        let now = world.now();
        let id = slo.composite_id();
        let told = |kind| world.told(&id, kind, &self.policy);
        let watched = memory
            .composite
            .get_or_insert_with(|| Watched::restored(told, now));
        let length = composite.at_least_a_slice(Duration::from_millis(self.lookback_ms));
        let rate = composite.rate(length);
        let level = composite.reachable(self.threshold);
        let is_below = rate.most.is_some_and(|most| most < level);
        // All of the time of all is known, and of none anything was bad, nor may come to be in a slice that is not over.
        let is_whole = |index: u32| {
            let reading = world.reading(&slo.objective_id(index), now.before(length));
            reading.is_some_and(|it| it.is_whole(length))
        };
        let mut members = (0..).zip(&slo.objectives);
        let is_clean = rate.burn == Some(0.0)
            && composite.is_settled(length)
            && members.all(|(index, _)| is_whole(index));
        let holds = self.compared(level < rate.least, is_below, is_clean);
        let summary = if composite.is_known(length) {
            self.burn_in_words(rate, length)
        } else {
            format!(
                "nobody reported on any objective in the last {}",
                Length(length)
            )
        };
        watched.breaching = watched.breaching.next(holds, self.after(), now);
        let state = (AlertKind::Breaching, watched.breaching);
        if let Some(alert) = self.alert(&id, state, &summary) {
            decision.signals.push(Signal::Alert(Box::new(alert)));
        }
        Some(summary)
    }

    fn burn_in_words(&self, rate: Rate, length: Duration) -> String {
        let most = match rate.most {
            Some(most) => format!("at most {most:.1}"),
            None => "not all objectives are known".to_owned(),
        };
        format!(
            "all objectives together burned {:.1} times what their budget allows in the last {} (surely at least {:.1}, {most}), against {} in the policy",
            rate.burn.unwrap_or_default(),
            Length(length),
            rate.least,
            self.threshold,
        )
    }
}
