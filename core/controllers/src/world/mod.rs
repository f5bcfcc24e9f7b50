//! What is known, and since when.

mod alerts;
mod arms;
mod beginnings;
mod experiments;
mod forgetting;
mod gathering;
mod known;
mod lost;
mod orders;
mod scopes;
mod sidecars;
mod signal;
mod sliced;
mod sources;
mod spending;
mod stored;
mod surplus;
mod unnamed;
mod vm;

pub use arms::ArmBlock;
pub use lost::Lost;
pub use scopes::{ScopeTotals, Weighed};
pub use signal::{Signal, Speed};
pub use sources::Counted;
pub(crate) use {alerts::Told, arms::WantedArms, sliced::Cut};

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use sloop_model::{ObjectiveId, Scope, ServiceName, SloName, Trip, WallTime};

use crate::budget::{Fleet, Reading, SeenBy, Series, Slices, Slicing};
use crate::{BreakerState, Counts, Observed, SidecarReading, SpentBy};
use alerts::Alerts;
use arms::Blocks;
use experiments::Experiments;
use scopes::ScopeState;
use sliced::Sliced;
use sources::Sources;
use spending::AllSpending;

/// Everything that a controller may look at.
///
/// Once per step: [`World::begin_step`] and [`World::observe`], both any number of times, then
/// [`crate::Controllers::step`].
#[derive(Clone, Debug, Default)]
pub struct World {
    now: WallTime,
    signals: Vec<Signal>,
    /// Places in `signals` of those that the next step is to know of.
    lasting: Vec<usize>,
    /// The SLOs in `signals` that breakers are ordered to open for: each alert policy asks.
    protected: BTreeSet<SloName>,
    series: BTreeMap<ObjectiveId, Series>,
    sliced: Sliced,
    sources: Sources,
    known_routes: unnamed::Known,
    spending: AllSpending,
    /// Keys of what is stored and no longer wanted.
    gone: Vec<String>,
    scopes: BTreeMap<Scope, ScopeState>,
    /// The scopes of each service, so that a question about one does not look at all.
    scopes_of: BTreeMap<ServiceName, BTreeSet<Scope>>,
    /// How many scopes each service was the first to report on.
    scopes_by: BTreeMap<String, usize>,
    /// The scopes on which sidecars' breakers opened by themselves lately.
    opened: BTreeSet<Scope>,
    vms: BTreeMap<(String, u64), Vm>,
    lost: Lost,
    arms: Blocks,
    experiments: Experiments,
    alerts: Alerts,
    changing: BTreeSet<ServiceName>,
    /// What the breakers of scopes were told in the last step, as many as policies have; nothing before the first one.
    orders: Option<BTreeMap<Scope, Trip>>,
    /// As it was told.
    report_interval: Option<Duration>,
}

/// What is remembered of one VM of a sidecar.
#[derive(Clone, Debug, Default)]
struct Vm {
    at: WallTime,
    /// Those that it counts for.
    objectives: BTreeSet<ObjectiveId>,
    breakers: BTreeMap<Scope, BreakerState>,
    sidecar: SidecarReading,
    /// Services that it asked: its outbound filter counted requests to them.
    asked: BTreeSet<ServiceName>,
}

impl World {
    /// Objectives that are counted: four times as many as the largest mesh that we aim at has SLOs.
    pub const OBJECTIVES_MAX: usize = 20_000;
    /// Scopes that are counted: twice as many as the largest mesh that we aim at has.
    pub const SCOPES_MAX: usize = 40_000;
    /// Of these, scopes that sidecars of one service named first: whoever makes names up leaves room to others.
    pub const SCOPES_BY_SERVICE_MAX: usize = Self::SCOPES_MAX / 4;
    /// VMs that are remembered: two for each sidecar of such a mesh.
    pub const VMS_MAX: usize = 40_000;

    /// The most requests of one kind that one report is believed: more than any sidecar
    /// serves in a year. What is above is cut, so that one report cannot fill a sum for good.
    pub const COUNT_MAX: u64 = 1 << 40;

    /// A VM that said nothing for so long is gone: ten of the longest intervals of reports.
    const VM_MAX_AGE: Duration = Duration::from_secs(600);
    /// The longest interval of reports (`ReportSettings`); after a longer silence nobody knows the state of its breakers.
    const SILENCE_MAX: Duration = Duration::from_secs(60);
    /// So much later than its interval says a report may come: one was lost, or clocks differ.
    const REPORT_DELAY_MAX: Duration = Duration::from_secs(4);
    /// Clocks that are kept in step by NTP are slewed, not stepped, below this.
    const STEP_BACK_MIN: Duration = Duration::from_secs(5);

    /// Moves the clock and forgets the signals of the last step.
    pub fn begin_step(&mut self, now: WallTime) {
        let before = self.now;
        self.now = now;
        self.signals.clear();
        self.lasting.clear();
        self.protected.clear();
        if Self::STEP_BACK_MIN < before.since(now) {
            self.rewind();
        }
        if before.as_millis() / 60_000 != now.as_millis() / 60_000 {
            // Slices are whole minutes long.
            self.sliced.close(&self.series, now);
            self.forget_idle();
        }
        if before.as_millis() / 3_600_000 != now.as_millis() / 3_600_000 {
            self.forget_spending();
            self.forget_old();
        }
    }

    /// The moment to decide for.
    #[must_use]
    pub const fn now(&self) -> WallTime {
        self.now
    }

    /// As [`World::observe`], of a report that stays with who has it.
    pub fn observe_kept(&mut self, observation: Observed<'_>) {
        let ahead = observation.at.since(self.now);
        let seen_by = SeenBy {
            node: observation.node,
            service: &observation.sidecar.service,
            from: observation.from.min(observation.at).before(ahead),
            to: observation.at.before(ahead),
            heard: self.now,
            others_by: self.now.after(self.gathers()),
        };
        let name = (observation.node.to_owned(), observation.incarnation);
        let mut vm = self.vms.remove(&name).unwrap_or_default();
        for counts in observation.scopes {
            self.observe_scope(seen_by, counts);
            self.observe_arms(seen_by, counts);
            vm.see(&counts.scope);
            for objective in &counts.objectives {
                let seen = Counts {
                    total: objective.total.min(Self::COUNT_MAX),
                    good: objective.good.min(Self::COUNT_MAX),
                };
                if self.observe_objective(&objective.id, &counts.scope, seen_by, seen.held()) {
                    let at = seen_by.to;
                    let bad = seen.held().bad();
                    let route = counts.scope.route.as_str();
                    let counted = Counted {
                        objective: &objective.id,
                        scope: &counts.scope,
                        service: seen_by.service,
                    };
                    for spender in [(SpentBy::Route, route), (SpentBy::Sidecar, seen_by.node)] {
                        self.attribute(counted, spender, bad, at);
                    }
                    vm.count(&objective.id);
                }
            }
            let state = counts.breaker.as_ref().map(|it| it.state);
            vm.note_breaker(&counts.scope, state);
        }
        self.mark_known(&mut vm, &observation, seen_by);
        vm.at = vm.at.max(seen_by.to);
        if !observation.sidecar.says_nothing() {
            vm.sidecar = observation.sidecar;
        }
        if self.vms.len() < Self::VMS_MAX {
            self.vms.insert(name, vm);
        } else {
            self.lost.vms = self.lost.vms.saturating_add(1);
        }
    }

    /// What the world could not take in since it began.
    #[must_use]
    pub const fn lost(&self) -> Lost {
        self.lost
    }

    /// What happened per scope since counting began, in the order of scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &ScopeTotals> {
        self.scopes.values().map(|state| &state.totals)
    }

    /// What happened on one scope since counting began; nothing when nobody reported on it.
    #[must_use]
    pub fn totals(&self, scope: &Scope) -> Option<&ScopeTotals> {
        Some(&self.scopes.get(scope)?.totals)
    }

    /// The states of a scope's breakers by sidecar, as last reported, of VMs that are there: a sidecar has one per VM.
    pub fn breakers(&self, scope: &Scope) -> impl Iterator<Item = (&str, BreakerState)> {
        self.vms
            .iter()
            .filter(|(_, vm)| self.now.since(vm.at) <= Self::SILENCE_MAX)
            .filter_map(move |((node, _), vm)| Some((node.as_str(), *vm.breakers.get(scope)?)))
    }

    /// How many sidecars' breakers on `scope` opened by what they saw themselves in the last
    /// `length`, at most half a minute. An order of the control plane does not count.
    #[must_use]
    pub fn opened_by_themselves(&self, scope: &Scope, length: Duration) -> usize {
        // In health this is asked of every scope, and none opened.
        if !self.opened.contains(scope) {
            return 0;
        }
        let state = self.scopes.get(scope);
        state.map_or(0, |state| state.opened(self.now, length))
    }

    /// What was counted for an objective in the last `length`, up to 90 days.
    ///
    /// `None` is "not known", never "none counted".
    #[must_use]
    pub fn counts(&self, objective: &ObjectiveId, length: Duration) -> Option<Counts> {
        Some(self.reading(objective, self.now.before(length))?.counts)
    }

    /// What entered the budget of an objective since the process began: it only grows.
    #[must_use]
    pub fn entered(&self, objective: &ObjectiveId) -> Counts {
        let series = self.series.get(objective);
        series.map_or_else(Counts::default, Series::entered)
    }

    /// Learns to the sidecars of which services a change of what is declared is on its way, until it is told again.
    pub fn set_changing(&mut self, services: BTreeSet<ServiceName>) {
        self.changing = services;
    }

    /// The services to the sidecars of which a change is on its way.
    #[must_use]
    pub const fn changing(&self) -> &BTreeSet<ServiceName> {
        &self.changing
    }

    /// The signals of this step so far.
    #[must_use]
    pub fn signals(&self) -> &[Signal] {
        &self.signals
    }

    /// Until when the newest report on an objective with these counts is fresh: its interval and
    /// [`Self::REPORT_DELAY_MAX`] after it. Long ago when there is none.
    pub(crate) fn fresh_until(series: Option<&Series>) -> WallTime {
        let reported = series.and_then(Series::reported);
        reported.map_or_else(WallTime::default, |(at, interval)| {
            at.after(interval.min(Self::SILENCE_MAX) + Self::REPORT_DELAY_MAX)
        })
    }

    /// What is known of an objective since `start`.
    pub(crate) fn reading(&self, objective: &ObjectiveId, start: WallTime) -> Option<Reading> {
        self.series.get(objective)?.since(self.now, start)
    }

    /// What the slices of an objective add up to; nothing when it is not cut so, or waits for it.
    pub(crate) fn slices(&self, objective: &ObjectiveId, slicing: Slicing) -> Option<&Slices> {
        self.sliced.get(objective, slicing)
    }

    /// Cuts the time of exactly the objectives in `wanted` into slices.
    pub(crate) fn cut(&mut self, wanted: &BTreeMap<ObjectiveId, Cut>) {
        self.sliced.cut(wanted, &self.series, self.now);
    }

    /// The scopes that an objective was lately counted on, and who saw what.
    pub(crate) fn fleets(&self, objective: &ObjectiveId) -> impl Iterator<Item = (&Scope, &Fleet)> {
        self.series
            .get(objective)
            .into_iter()
            .flat_map(|series| &series.fleets)
    }

    /// The scopes of a service, and who saw what of evidence and of what was served.
    pub(crate) fn service_fleets(
        &self,
        service: &ServiceName,
    ) -> impl Iterator<Item = (&Scope, &Fleet)> {
        self.states_of(service)
            .map(|(scope, state)| (scope, &state.fleet))
    }

    /// What happened since counting began on each scope of a service, in the order of scopes.
    pub fn scopes_of(&self, service: &ServiceName) -> impl Iterator<Item = &ScopeTotals> {
        self.states_of(service).map(|(_, state)| &state.totals)
    }

    fn states_of(&self, service: &ServiceName) -> impl Iterator<Item = (&Scope, &ScopeState)> {
        let scopes = self.scopes_of.get(service).into_iter().flatten();
        scopes.filter_map(|scope| Some((scope, self.scopes.get(scope)?)))
    }

    /// All counts of an objective.
    pub(crate) fn series(&self, objective: &ObjectiveId) -> Option<&Series> {
        self.series.get(objective)
    }

    /// Adds what a VM saw on a scope. False when there are too many objectives, or it does not count there.
    fn observe_objective(
        &mut self,
        id: &ObjectiveId,
        scope: &Scope,
        seen_by: SeenBy<'_>,
        seen: Counts,
    ) -> bool {
        let counted = Counted {
            objective: id,
            scope,
            service: seen_by.service,
        };
        if !self.sources.may_count(counted) {
            self.lost.elsewhere = self.lost.elsewhere.saturating_add(seen.total);
            self.sources.note(id, scope, seen.total, seen_by.to);
            return false;
        }
        let is_known = self.series.contains_key(id);
        // What no document wants may not take the room of what one will.
        let max = match self.sources.is_wanted(id) {
            true => Self::OBJECTIVES_MAX,
            false => Self::OBJECTIVES_MAX / 2,
        };
        if !is_known && max <= self.series.len() {
            self.lost.over_cap = self.lost.over_cap.saturating_add(seen.total);
            return false;
        }
        if !is_known {
            self.series.insert(id.clone(), Series::default());
        }
        let Some(series) = self.series.get_mut(id) else {
            return false;
        };
        if !series.add(seen_by.from, seen_by.to, seen) {
            self.lost.too_late = self.lost.too_late.saturating_add(seen.total);
        }
        series.add_to_fleet(scope, seen_by, seen);
        let late = self.sliced.add(id, (seen_by.from, seen_by.to), seen);
        self.lost.too_late_for_slices = self.lost.too_late_for_slices.saturating_add(late);
        true
    }

    fn rewind(&mut self) {
        for series in self.series.values_mut() {
            series.rewind(self.now);
        }
        self.sliced.rewind(self.now);
        for spending in self.spending.values_mut() {
            spending.rewind(self.now);
        }
        for state in self.scopes.values_mut() {
            state.rewind(self.now);
        }
        for vm in self.vms.values_mut() {
            vm.at = vm.at.min(self.now);
        }
    }

    fn forget_idle(&mut self) {
        let now = self.now;
        self.vms
            .retain(|_, vm| now.since(vm.at) <= Self::VM_MAX_AGE);
        for series in self.series.values_mut() {
            series.forget_idle(now);
        }
        for state in self.scopes.values_mut() {
            state.forget_idle(now);
        }
        let scopes = &self.scopes;
        self.opened
            .retain(|scope| scopes.get(scope).is_some_and(ScopeState::has_opened));
        self.arms.forget(now);
    }
}

#[cfg(test)]
mod tests;
