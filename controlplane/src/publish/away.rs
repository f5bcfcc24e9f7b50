//! What cohorts have, as it is stored, and when that is forgotten.
//!
//! A cohort of which no node is connected keeps no configurations in memory, but
//! what its nodes had stays known for a while: they come back with it, and what is
//! declared since then goes to a few of them first. After that they are as new.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sloop_model::WallTime;
use sloop_xds::fleet::Cohort;

use super::basis::{self, Basis, StoredCohort};
use super::cohort::{Based, CohortState};
use super::numbers::Lane;
use super::{Publisher, SIDES};
use crate::store::Batch;

/// How long it is known what a cohort had: longer than an outage that people have to end.
pub(super) const AWAY_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Cohorts without nodes that are known, as many as there may be with nodes by default.
pub(super) const AWAY_COUNT_MAX: usize = 4_096;

impl Publisher {
    /// Notes at `now` that no node of `cohorts` is connected any more. Returns what is to be stored.
    pub fn leave(&mut self, cohorts: &[Cohort], now: WallTime) -> Batch {
        let mut batch = Batch::default();
        for cohort in cohorts {
            self.leave_one(cohort, now, &mut batch);
        }
        // Once for all of them: it looks at every cohort that there is.
        if !cohorts.is_empty() {
            self.drop_unused(None, &mut batch);
        }
        batch
    }

    fn leave_one(&mut self, cohort: &Cohort, now: WallTime, batch: &mut Batch) {
        let Some(state) = self.cohorts.remove(cohort) else {
            return;
        };
        let name = cohort.to_string();
        for side in SIDES {
            self.numbers.clear(&name, side, Lane::Trial, batch);
        }
        let service = &cohort.service;
        let mut others = self.cohorts.range(Cohort::of_service(service)..);
        if others.next().is_none_or(|(it, _)| it.service != *service) {
            for side in SIDES {
                self.left_out.remove(&(service.clone(), side));
            }
        }
        if let Some(mut stored) = self.stored_form(cohort, &state, batch) {
            stored.away_since_ms = Some(now);
            stored.put(batch);
            self.stored.insert(name, stored);
        }
    }

    /// Forgets at `now` what cohorts had that are without nodes for long, or are too many of them; those that
    /// left first go first. Returns what is to be stored.
    pub fn forget(&mut self, now: WallTime) -> Batch {
        let mut batch = Batch::default();
        let mut away = Vec::new();
        for (name, stored) in &mut self.stored {
            let since = match stored.away_since_ms {
                Some(since) => since,
                None => {
                    // They were there at the end of an earlier process.
                    stored.away_since_ms = Some(now);
                    stored.put(&mut batch);
                    now
                }
            };
            away.push((since, name.clone()));
        }
        away.sort();
        let too_many = away.len().saturating_sub(AWAY_COUNT_MAX);
        let is_over =
            |index: usize, since: WallTime| index < too_many || AWAY_MAX <= now.since(since);
        let over = away.into_iter().enumerate();
        for (_, (_, name)) in over.filter(|(index, (since, _))| is_over(*index, *since)) {
            self.stored.remove(&name);
            batch.delete(format!("{}{name}", basis::ROLLOUT));
            for (side, lane) in SIDES
                .into_iter()
                .flat_map(|side| [(side, Lane::All), (side, Lane::Trial)])
            {
                self.numbers.clear(&name, side, lane, &mut batch);
            }
        }
        self.drop_unused(None, &mut batch);
        batch
    }

    /// What `cohort` had when its nodes were last seen, by this process or an earlier one.
    pub(super) fn restored(&mut self, cohort: &Cohort, batch: &mut Batch) -> CohortState {
        let mut state = CohortState::default();
        let Some(mut stored) = self.stored.remove(&cohort.to_string()) else {
            return state;
        };
        let Some(basis) = self.bases.get(&stored.basis) else {
            return state;
        };
        if stored.away_since_ms.take().is_some() {
            stored.put(batch);
        }
        if **basis == *self.basis {
            self.basis = Arc::clone(basis);
        }
        state.declared = stored.declared();
        state.rejected = stored.rejected();
        state.stable = Some(Based {
            basis: Arc::clone(basis),
            declared: state.declared.clone(),
            revision: stored.revision(),
        });
        state
    }

    /// Stores what `cohort` has, and drops what nobody has any more.
    pub(super) fn put(&mut self, cohort: &Cohort, state: &CohortState, batch: &mut Batch) {
        if let Some(stored) = self.stored_form(cohort, state, batch) {
            stored.put(batch);
            let own = state.stable.as_ref().map(|it| &it.basis);
            self.drop_unused(own, batch);
        }
    }

    /// What `cohort` has, in the form for the store, where its basis is then.
    fn stored_form(
        &mut self,
        cohort: &Cohort,
        state: &CohortState,
        batch: &mut Batch,
    ) -> Option<StoredCohort> {
        let stable = state.stable.as_ref()?;
        let mut bases = self.bases.iter();
        let stored = bases.find(|(_, it)| Arc::ptr_eq(it, &stable.basis));
        let key = match stored {
            Some((key, _)) => key.clone(),
            None => {
                let key = stable.basis.key();
                crate::engine::put(batch, &format!("{}{key}", basis::BASIS), &*stable.basis);
                self.bases.insert(key.clone(), Arc::clone(&stable.basis));
                key
            }
        };
        let has = (&stable.revision, &stable.declared);
        let rejected = state.rejected.as_ref();
        Some(StoredCohort::new(cohort.to_string(), key, has, rejected))
    }

    /// Drops the bases that no cohort has any more, but for `own`, which is of one that is not in its place.
    fn drop_unused(&mut self, own: Option<&Arc<Basis>>, batch: &mut Batch) {
        if own.is_some() && self.bases.len() <= 1 {
            return;
        }
        let of_cohorts = self.cohorts.values().filter_map(|it| it.stable.as_ref());
        let used = own.into_iter().chain(of_cohorts.map(|it| &it.basis));
        let used: BTreeSet<*const Basis> = used.map(Arc::as_ptr).collect();
        let waiting: BTreeSet<&String> = self.stored.values().map(|it| &it.basis).collect();
        self.bases.retain(|key, basis| {
            let stays = waiting.contains(key) || used.contains(&Arc::as_ptr(basis));
            if !stays {
                batch.delete(format!("{}{key}", basis::BASIS));
            }
            stays
        });
    }
}
