//! How many requests faults touch at a time.
//!
//! A request is touched from the moment at which a fault is injected until it
//! ends, as for `max_active_faults` of Envoy's own fault filter. That cap is for
//! the requests of all workers together, which Envoy counts in one gauge per
//! filter; these are for one VM, which is one worker: to know of the others
//! would take a call for each request that is touched. What a cap keeps out
//! passes, and is counted. It stays in its arm: caps are reached when much is under way, and without those requests
//! the arm would lack moments that its control arm has.

use sloop_model::{ExperimentKey, FaultRule};

/// All requests of a VM that faults touch.
#[derive(Debug, Default)]
pub struct ActiveTotal(u32);

/// The requests of one scope that faults touch, by experiment.
#[derive(Debug, Default)]
pub struct Active {
    touched: Vec<(ExperimentKey, u32)>,
}

impl ActiveTotal {
    /// Two thousand in one worker are an experiment, more are an outage. Twice as many as may be held back.
    pub const MAX: u32 = 2_048;

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.0
    }
}

impl Active {
    /// Experiments that touch requests of one scope: those in force, and those that are no more while requests of theirs are under way.
    pub const EXPERIMENTS_MAX: usize = 64;

    /// Whether `rule` may touch one more, of `in_flight` requests of the scope with this one. If so, call [`Active::end`] when it ends.
    pub fn begin(&mut self, rule: &FaultRule, in_flight: u32, total: &mut ActiveTotal) -> bool {
        let key = rule.key();
        let active = self.count(key);
        let is_over = ActiveTotal::MAX <= total.0
            || rule.active_max().is_some_and(|max| max <= active)
            // One may always be touched, or a scope with little traffic would have no faults.
            || rule.active_share_max().is_some_and(|share| {
                0 < active && share.exceeded_by(u64::from(active) + 1, in_flight.into())
            });
        if is_over {
            return false;
        }
        if let Some((_, count)) = self.touched.iter_mut().find(|(known, _)| *known == key) {
            *count += 1;
        } else if self.touched.len() < Self::EXPERIMENTS_MAX {
            self.touched.push((key, 1));
        } else {
            return false;
        }
        total.0 += 1;
        true
    }

    /// A request that `key` touched is over.
    pub fn end(&mut self, key: ExperimentKey, total: &mut ActiveTotal) {
        let Some(at) = self.touched.iter().position(|(known, _)| *known == key) else {
            return;
        };
        total.0 = total.0.saturating_sub(1);
        if let Some((_, count)) = self.touched.get_mut(at) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.touched.swap_remove(at);
            }
        }
    }

    /// How many requests `key` touches.
    #[must_use]
    pub fn count(&self, key: ExperimentKey) -> u32 {
        let found = self.touched.iter().find(|(known, _)| *known == key);
        found.map_or(0, |(_, count)| *count)
    }
}
