//! Configurations and snapshots of one cohort: for all of its nodes, and for those that try something.

use std::sync::Arc;

use sloop_model::{FilterConfig, ServiceName, Side, WallTime};
use sloop_xds::fleet::Cohort;
use sloop_xds::rollout::{Vms, Wanted as Step};

use super::basis::Basis;
use super::cohort::{Based, CohortState, Made};
use super::numbers::Lane;
use super::{Prepared, Publisher, Pushed, SIDES, Wanted, digest};

/// One cohort whose snapshots are being made.
pub(super) struct Making<'a> {
    pub(super) cohort: String,
    pub(super) service: ServiceName,
    pub(super) wanted: Wanted<'a>,
    pub(super) now: WallTime,
}

impl Publisher {
    /// Both snapshots: what all nodes get, and what some try.
    pub(super) fn step(
        &mut self,
        making: &Making<'_>,
        state: &mut CohortState,
        trial: Option<Based>,
        prepared: &mut Prepared,
    ) -> Option<Step> {
        let stable = state.stable.clone()?;
        let rejected = state.rejected.as_ref().map(|rejected| &rejected.revision);
        let is_tried = trial
            .as_ref()
            .filter(|change| rejected != Some(&change.revision));
        self.make(making, state, (&stable.basis, Lane::All), prepared);
        if let Some(change) = is_tried {
            self.make(making, state, (&change.basis, Lane::Trial), prepared);
        } else {
            for side in SIDES {
                state.made.remove(&(Lane::Trial, side));
                let cohort = &making.cohort;
                self.numbers
                    .clear(cohort, side, Lane::Trial, &mut prepared.batch);
            }
        }
        let snapshot = |based: &Based, lane| {
            let builder = state.filters(lane);
            let builder = match making.wanted.fleet {
                Some(_) if !based.declared.is_unknown() => self.layers.add_to(builder),
                // Which of them are gone is not known.
                _ => builder,
            };
            Arc::new(based.declared.add_to(builder).build())
        };
        let at_once = snapshot(&stable, Lane::All);
        let whole = match is_tried {
            Some(change) => snapshot(change, Lane::Trial),
            None => Arc::clone(&at_once),
        };
        let begins = |change: &&Based| change.basis.module() != stable.basis.module();
        let vms = match trial.as_ref().filter(begins) {
            Some(_) => Vms::Begin,
            None => Vms::Stay,
        };
        let revision = trial.as_ref().unwrap_or(&stable).revision.clone();
        if let Some(change) = trial {
            state.try_out(change);
        }
        Some(Step {
            at_once,
            whole,
            revision,
            vms,
        })
    }

    /// Makes the configurations of one lane.
    fn make(
        &mut self,
        making: &Making<'_>,
        state: &mut CohortState,
        (basis, lane): (&Basis, Lane),
        prepared: &mut Prepared,
    ) {
        for side in SIDES {
            let made = basis.configure(&making.service, side, making.wanted.policies);
            let made = made.fitting(making.wanted.module);
            // What all nodes have was said when it was declared.
            if lane == Lane::Trial || Arc::as_ptr(&self.basis) == std::ptr::from_ref(basis) {
                self.say_left_out(making.service.as_str(), side, made.left_out, prepared);
            }
            self.make_side(making, state, (basis, lane, made.config), prepared);
        }
    }

    fn say_left_out(
        &mut self,
        group: &str,
        side: Side,
        left_out: Vec<String>,
        prepared: &mut Prepared,
    ) {
        let said = self.left_out.entry((group.to_owned(), side)).or_default();
        let new = left_out.iter().filter(|one| !said.contains(one));
        prepared.left_out.extend(new.map(|one| (side, one.clone())));
        *said = left_out;
    }

    fn make_side(
        &mut self,
        making: &Making<'_>,
        state: &mut CohortState,
        (basis, lane, mut config): (&Basis, Lane, FilterConfig),
        prepared: &mut Prepared,
    ) {
        let side = config.side;
        let json = match check(&config) {
            Ok(json) => json,
            Err(reason) => {
                // All nodes keep what they have; those that try something get that, too.
                state.made.remove(&(Lane::Trial, side));
                return prepared.withheld.push((side, reason));
            }
        };
        let hash = digest(&[basis.around().as_bytes(), b"\n", &json].concat());
        let group = making.service.as_str();
        let (whose, place) = ((group, making.cohort.as_str()), (side, lane));
        config.generation = self.numbers.number(whose, place, hash, &mut prepared.batch);
        let generation = config.generation;
        let is_current = |made: &Made| made.generation == generation;
        if state.made.get(&(lane, side)).is_some_and(is_current) {
            return;
        }
        let made = match self.known(state, group, side, generation) {
            Some(made) => made,
            None => {
                let resource = basis.encode(&config);
                let pushed = Pushed {
                    side,
                    generation,
                    at: making.now,
                };
                self.remember(resource.version().as_str(), pushed);
                prepared.changed.push(pushed);
                Made {
                    generation,
                    resource,
                }
            }
        };
        state.made.insert((lane, side), made);
    }

    /// The configuration with this number, where any cohort of the group has it.
    fn known(&self, state: &CohortState, group: &str, side: Side, generation: u64) -> Option<Made> {
        let others = self
            .cohorts
            .range(Cohort::of_service(group)..)
            .take_while(|(cohort, _)| cohort.service == group)
            .map(|(_, state)| state);
        let mut made = others.chain([state]).flat_map(|state| &state.made);
        let found = made.find(|((_, of), made)| *of == side && made.generation == generation);
        found.map(|(_, made)| made.clone())
    }
}

/// `config` as JSON, when the filter would take it: its own reader says so.
fn check(config: &FilterConfig) -> Result<Vec<u8>, String> {
    let json = serde_json::to_vec(config).map_err(|error| error.to_string())?;
    match FilterConfig::parse(&json) {
        Ok(_) => Ok(json),
        Err(error) => Err(error.to_string()),
    }
}
