//! Forgets what nobody reported on for 90 days.
//!
//! No window of hours reaches back to it, so but for quarters and years, which begin anew then, what an SLO says is the
//! same with it and without. But names are bounded, and those of services and SLOs that are long gone would take the room for good.

use core::time::Duration;
use std::collections::btree_map::Entry;

use sloop_model::{ObjectiveId, Scope};

use super::World;
use crate::Cell;

/// As long as counts are kept by the hour.
const KEPT: Duration = Duration::from_secs(90 * 86_400);
/// Objectives, and scopes, that are forgotten in an hour: all that there may be in nine days, with
/// at most about a third of a million entries of the store to delete at a time.
const FORGOTTEN_MAX: usize = 100;

impl World {
    /// Forgets objectives and scopes that are over, and says that they are no longer to be stored. Call it once an hour.
    pub(super) fn forget_old(&mut self) {
        let now = self.now;
        let series = self.series.iter();
        let over = series.filter(|(_, series)| series.is_over(now, KEPT));
        let over: Vec<ObjectiveId> = over.map(|(id, _)| id.clone()).take(FORGOTTEN_MAX).collect();
        for id in over {
            if let Some(series) = self.series.remove(&id) {
                self.gone.extend(series.keys(&id));
            }
        }
        let mut over: Vec<Scope> = Vec::new();
        for (scope, state) in &mut self.scopes {
            if state.totals.reported.as_millis() == 0 {
                // It was stored by a program that did not keep the time.
                state.totals.reported = now;
                state.is_changed = true;
            } else if over.len() < FORGOTTEN_MAX && KEPT < now.since(state.totals.reported) {
                over.push(scope.clone());
            }
        }
        for scope in over {
            self.forget_scope(&scope);
        }
    }

    fn forget_scope(&mut self, scope: &Scope) {
        if let Some(state) = self.scopes.remove(scope) {
            if let Entry::Occupied(mut by) = self.scopes_by.entry(state.reporter().to_owned()) {
                *by.get_mut() -= 1;
                if *by.get() == 0 {
                    by.remove();
                }
            }
            self.gone.push(Cell::Scope(Box::new(state.totals)).key());
        }
        if let Entry::Occupied(mut scopes) = self.scopes_of.entry(scope.service.clone()) {
            scopes.get_mut().remove(scope);
            if scopes.get().is_empty() {
                scopes.remove();
            }
        }
    }
}
