//! How many breakers there are in each state, on each scope.
//!
//! Kept as reports come: counting them anew would be a look at each scope of each VM, which are
//! hundreds of thousands in a large mesh, whenever somebody asks for metrics.

use std::collections::BTreeMap;

use sloop_controllers::BreakerState;
use sloop_model::Scope;

/// All states.
const STATES: [BreakerState; 4] = [
    BreakerState::Closed,
    BreakerState::Open,
    BreakerState::Probing,
    BreakerState::Ramping,
];

/// Breakers by scope and state: one for each VM that has said something of its own. No more than there are breakers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Breakers {
    scopes: BTreeMap<Scope, [u32; STATES.len()]>,
}

/// The breakers of one scope in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerCounts {
    /// Where.
    pub scope: Scope,
    /// How many are in each state: one for each VM that has said something of its own.
    pub states: [(BreakerState, u32); STATES.len()],
    /// Requests that they refused since counting began.
    pub refused: u64,
    /// Requests that they would have refused in shadow mode.
    pub shadow_refused: u64,
}

impl Breakers {
    /// Notes that a breaker of `scope` went from one state to another; nothing stands for none.
    pub(super) fn change(
        &mut self,
        scope: &Scope,
        before: Option<BreakerState>,
        after: Option<BreakerState>,
    ) {
        // Nearly all of them, in nearly every report.
        if before == after {
            return;
        }
        if let Some(after) = after {
            let states = match self.scopes.get_mut(scope) {
                Some(states) => states,
                None => self.scopes.entry(scope.clone()).or_default(),
            };
            let count = of(states, after);
            *count = count.saturating_add(1);
        }
        if let Some(before) = before
            && let Some(states) = self.scopes.get_mut(scope)
        {
            let count = of(states, before);
            *count = count.saturating_sub(1);
            if states.iter().all(|count| *count == 0) {
                self.scopes.remove(scope);
            }
        }
    }

    /// Each scope with breakers and how many are in each state, in the order of scopes.
    pub(super) fn all(
        &self,
    ) -> impl Iterator<Item = (&Scope, [(BreakerState, u32); STATES.len()])> {
        let with_names = |counts: &[u32; STATES.len()]| {
            let mut counts = counts.iter();
            STATES.map(|state| (state, counts.next().copied().unwrap_or_default()))
        };
        let scopes = self.scopes.iter();
        scopes.map(move |(scope, counts)| (scope, with_names(counts)))
    }
}

const fn of(states: &mut [u32; STATES.len()], state: BreakerState) -> &mut u32 {
    let [closed, open, probing, ramping] = states;
    match state {
        BreakerState::Closed => closed,
        BreakerState::Open => open,
        BreakerState::Probing => probing,
        BreakerState::Ramping => ramping,
    }
}
