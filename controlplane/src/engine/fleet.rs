//! What the filters say about themselves: configurations in force, states of breakers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sloop_controllers::{BreakerChange, BreakerReading, BreakerState};
use sloop_model::{FilterConfig, Module, Scope, Share, Side, WallTime};

use super::breakers::Breakers;
use crate::admin::api::{BreakerStatus, FilterInForce, Happened, ShedLevel};
use crate::ads::AcceptedBy;
use crate::ingest::{Applied, Report};

/// A VM that was quiet for this long is gone: filters report every interval, a minute at most,
/// even with nothing to count. Long, as one that is only cut off comes back and has lost nothing.
const GONE_AFTER: Duration = Duration::from_secs(600);

/// Filters report once a minute at the latest; what a VM ran that was quiet for longer says nothing of what its node
/// runs, where another one may have taken its place.
const RUNS_MAX: Duration = Duration::from_secs(64);

/// A closed breaker on a scope without traffic is not mentioned; after this long nobody misses it.
const BREAKER_KEPT: Duration = Duration::from_secs(60 * 60);

/// VMs kept: ten thousand sidecars of four workers.
const VMS_MAX: usize = 40_000;

/// So many make room at a time, so that not every newcomer costs a look at all.
const MAKE_ROOM: usize = VMS_MAX / 100;

/// Scopes of one VM of which breakers, and levels of shedding, are kept: many more than its two filters can have.
const SCOPES_MAX: usize = 8 * FilterConfig::SCOPES_MAX;

/// The Wasm VMs that report, by incarnation.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    vms: BTreeMap<u64, Vm>,
    /// The breakers of all of them, in numbers.
    counted: Breakers,
    /// How often some had to make room.
    crowded: u64,
}

#[derive(Clone, Debug)]
struct Vm {
    node: String,
    group: String,
    reported: WallTime,
    filters: BTreeMap<Side, Applied>,
    breakers: BTreeMap<Scope, Guard>,
    /// The share that is being shed on a scope, and when that was said.
    levels: BTreeMap<Scope, (Share, WallTime)>,
}

#[derive(Clone, Copy, Debug)]
struct Guard {
    state: BreakerState,
    since: Option<WallTime>,
    mentioned: WallTime,
}

/// Something that a report says happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When, by the sidecar's clock.
    pub at: WallTime,
    /// What.
    pub happened: Happened,
}

/// One node that reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// When the newest report of any of its VMs came.
    pub reported: WallTime,
    /// Configurations in force.
    pub filters: Vec<FilterInForce>,
}

impl Fleet {
    /// Takes in a report that came at `now`, and says what is new in it.
    pub fn take(&mut self, report: &Report, now: WallTime) -> Vec<Told> {
        if !self.vms.contains_key(&report.incarnation) && self.vms.len() >= VMS_MAX {
            self.make_room();
        }
        let vm = self.vms.entry(report.incarnation).or_insert_with(|| Vm {
            node: report.node.clone(),
            group: report.group.clone(),
            reported: now,
            filters: BTreeMap::new(),
            breakers: BTreeMap::new(),
            levels: BTreeMap::new(),
        });
        vm.reported = now;
        let mut told = vm.take_filters(report);
        vm.take_levels(report);
        for counts in &report.scopes {
            let scope = &counts.scope;
            let (before, after) = if let Some(reading) = &counts.breaker {
                told.extend(vm.changes(report.incarnation, scope, reading));
                vm.take_breaker(scope, reading)
            } else {
                // A breaker is mentioned whenever its scope is: this one was withdrawn.
                let guard = vm.breakers.remove(scope);
                (guard.map(|guard| guard.state), None)
            };
            self.counted.change(scope, before, after);
        }
        told
    }

    /// Drops the VMs that are gone at `now`, and breakers that were long not mentioned.
    ///
    /// The answer is how many are gone. Nothing tells a VM of its end, so none says that a report is its last:
    /// each took along what it had counted since.
    pub fn forget(&mut self, now: WallTime) -> usize {
        let before = self.vms.len();
        let counted = &mut self.counted;
        self.vms.retain(|_, vm| {
            let is_here = now.since(vm.reported) < GONE_AFTER;
            if !is_here {
                vm.leave(counted);
            }
            is_here
        });
        let gone = before - self.vms.len();
        for vm in self.vms.values_mut() {
            vm.breakers.retain(|scope, guard| {
                let is_kept = now.since(guard.mentioned) < BREAKER_KEPT;
                if !is_kept {
                    self.counted.change(scope, Some(guard.state), None);
                }
                is_kept
            });
            vm.levels
                .retain(|_, (_, said)| now.since(*said) < BREAKER_KEPT);
        }
        gone
    }

    /// The breakers on each scope, sorted by node.
    #[must_use]
    pub fn breakers(&self) -> BTreeMap<&Scope, Vec<BreakerStatus>> {
        let mut all: BTreeMap<&Scope, Vec<BreakerStatus>> = BTreeMap::new();
        for (incarnation, vm) in &self.vms {
            for (scope, guard) in &vm.breakers {
                all.entry(scope).or_default().push(BreakerStatus {
                    node: vm.node.clone(),
                    vm: name(*incarnation),
                    state: guard.state,
                    since_ms: guard.since.map(WallTime::as_millis),
                });
            }
        }
        for breakers in all.values_mut() {
            breakers.sort_by(|a, b| (&a.node, &a.vm).cmp(&(&b.node, &b.vm)));
        }
        all
    }

    /// How often VMs were forgotten to make room for others.
    pub(super) const fn crowded(&self) -> u64 {
        self.crowded
    }

    /// How many breakers are in each state on each scope.
    pub(super) const fn counted(&self) -> &Breakers {
        &self.counted
    }

    /// What is being shed on each scope by the last word of each VM, sorted by node; VMs that shed nothing are left out.
    #[must_use]
    pub fn shed_levels(&self) -> BTreeMap<&Scope, Vec<ShedLevel>> {
        let mut all: BTreeMap<&Scope, Vec<ShedLevel>> = BTreeMap::new();
        for (incarnation, vm) in &self.vms {
            for (scope, (level, _)) in &vm.levels {
                all.entry(scope).or_default().push(ShedLevel {
                    node: vm.node.clone(),
                    vm: name(*incarnation),
                    share: *level,
                });
            }
        }
        for levels in all.values_mut() {
            levels.sort_by(|a, b| (&a.node, &a.vm).cmp(&(&b.node, &b.vm)));
        }
        all
    }

    /// What the sidecars of each group run: the module that can do less, of those that their VMs named.
    #[must_use]
    pub fn modules(&self) -> BTreeMap<String, Module> {
        let mut all: BTreeMap<String, Module> = BTreeMap::new();
        for vm in self.vms.values() {
            let least = vm.filters.values().map(|applied| applied.module).min();
            let Some(module) = least else { continue };
            match all.get_mut(&vm.group) {
                Some(known) => *known = module.min(*known),
                None => drop(all.insert(vm.group.clone(), module)),
            }
        }
        all
    }

    /// The nodes that report, by group and id.
    #[must_use]
    pub fn reporters(&self) -> BTreeMap<(&str, &str), Reporter> {
        let mut all: BTreeMap<(&str, &str), Reporter> = BTreeMap::new();
        for (incarnation, vm) in &self.vms {
            let reporter = all.entry(vm.name()).or_insert_with(|| Reporter {
                reported: vm.reported,
                filters: Vec::new(),
            });
            reporter.reported = reporter.reported.max(vm.reported);
            reporter.filters.extend(vm.filters.values().map(|applied| {
                FilterInForce {
                    vm: name(*incarnation),
                    side: applied.side,
                    generation: applied.generation,
                    accepted: None,
                    applied_ms: applied.at.as_millis(),
                    module: applied.module,
                    version: applied
                        .version
                        .as_ref()
                        .map(|version| version.as_str().to_owned()),
                }
            }));
        }
        all
    }

    /// The groups of those that report.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<&str> {
        self.vms.values().map(|vm| vm.group.as_str()).collect()
    }

    /// How many nodes of each group that reports at `now` have a filter that runs with another configuration than its Envoy
    /// accepted last, as `accepted` says; of who accepted none it is not known.
    #[must_use]
    pub fn drifting(&self, accepted: &AcceptedBy, now: WallTime) -> BTreeMap<String, usize> {
        let drifts = |vm: &&Vm| {
            let of_group = accepted.get(&vm.group);
            let accepted = of_group.and_then(|nodes| nodes.get(&vm.node));
            vm.filters.values().any(|applied| {
                let accepted = accepted.and_then(|all| all.get(&applied.side));
                accepted.is_some_and(|accepted| *accepted != applied.generation)
            })
        };
        let vms = self.vms.values();
        let vms = vms.filter(|vm| now.since(vm.reported) < RUNS_MAX);
        let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for vm in vms {
            let nodes = groups.entry(&vm.group).or_default();
            if drifts(&vm) {
                nodes.insert(&vm.node);
            }
        }
        let groups = groups.into_iter();
        groups
            .map(|(group, nodes)| (group.to_owned(), nodes.len()))
            .collect()
    }

    /// Forgets the quietest VMs of the group that has most: whoever makes VMs up takes the room of its own.
    fn make_room(&mut self) {
        self.crowded = self.crowded.saturating_add(1);
        let mut groups: BTreeMap<&str, Vec<(WallTime, u64)>> = BTreeMap::new();
        for (incarnation, vm) in &self.vms {
            let of_group = groups.entry(&vm.group).or_default();
            of_group.push((vm.reported, *incarnation));
        }
        let mut largest = groups
            .into_values()
            .max_by_key(Vec::len)
            .unwrap_or_default();
        largest.sort_unstable();
        for (_, incarnation) in largest.into_iter().take(MAKE_ROOM) {
            if let Some(vm) = self.vms.remove(&incarnation) {
                vm.leave(&mut self.counted);
            }
        }
    }
}

impl Vm {
    /// The group and the id of its node.
    fn name(&self) -> (&str, &str) {
        (&self.group, &self.node)
    }

    fn take_filters(&mut self, report: &Report) -> Vec<Told> {
        let mut told = Vec::new();
        for applied in &report.filters {
            let known = self.filters.insert(applied.side, applied.clone());
            if known.is_none_or(|known| known.generation != applied.generation) {
                told.push(Told {
                    at: applied.at,
                    happened: Happened::InForce {
                        node: self.node.clone(),
                        vm: name(report.incarnation),
                        side: applied.side,
                        generation: applied.generation,
                    },
                });
            }
        }
        told
    }

    fn take_levels(&mut self, report: &Report) {
        for (counts, details) in report.scopes.iter().zip(&report.details) {
            let level = details.effects.shed.and_then(|shed| shed.level);
            match level {
                Some(level) => put(&mut self.levels, &counts.scope, (level, self.reported)),
                None => drop(self.levels.remove(&counts.scope)),
            }
        }
    }

    /// Takes in the state of a breaker, if there is room. The answer is its state before and after.
    fn take_breaker(
        &mut self,
        scope: &Scope,
        reading: &BreakerReading,
    ) -> (Option<BreakerState>, Option<BreakerState>) {
        let changed = reading.changes.last().map(|change| change.at);
        let known = self.breakers.get(scope);
        if known.is_none() && SCOPES_MAX <= self.breakers.len() {
            return (None, None);
        }
        let (before, since) = known.map_or((None, None), |it| (Some(it.state), it.since));
        let guard = Guard {
            state: reading.state,
            since: changed.or(since),
            mentioned: self.reported,
        };
        put(&mut self.breakers, scope, guard);
        (before, Some(reading.state))
    }

    /// Takes its breakers out of those that are `counted`: it is gone.
    fn leave(&self, counted: &mut Breakers) {
        for (scope, guard) in &self.breakers {
            counted.change(scope, Some(guard.state), None);
        }
    }

    /// What a breaker did, as its VM tells.
    fn changes(&self, incarnation: u64, scope: &Scope, reading: &BreakerReading) -> Vec<Told> {
        let told = |change: &BreakerChange| Told {
            at: change.at,
            happened: Happened::Breaker {
                node: self.node.clone(),
                vm: name(incarnation),
                service: scope.service.clone(),
                route: scope.route.clone(),
                side: scope.side,
                to: change.to,
                cause: change.cause,
            },
        };
        reading.changes.iter().map(told).collect()
    }
}

/// Puts `value` in the place of what is known of `scope`, if there is room.
fn put<T>(all: &mut BTreeMap<Scope, T>, scope: &Scope, value: T) {
    if let Some(known) = all.get_mut(scope) {
        *known = value;
    } else if all.len() < SCOPES_MAX {
        all.insert(scope.clone(), value);
    }
}

/// How an incarnation is written.
fn name(incarnation: u64) -> String {
    format!("{incarnation:016x}")
}

#[cfg(test)]
mod tests {
    use sloop_controllers::ScopeCounts;
    use sloop_model::{RouteName, ServiceName};

    use sloop_xds_protos::report::v1 as wire;

    use super::*;
    use crate::ingest::Details;

    /// A report at `second` of a VM of `shop-1` in `group` that runs with `generation`.
    fn report(fleet: &mut Fleet, incarnation: u64, group: &str, generation: u64, second: u64) {
        let request = wire::ReportRequest {
            node: "shop-1".to_owned(),
            cluster: group.to_owned(),
            incarnation,
            sequence: 1,
            filters: vec![wire::FilterStatus {
                side: wire::Side::Server.into(),
                generation,
                ..wire::FilterStatus::default()
            }],
            ..wire::ReportRequest::default()
        };
        fleet.take(&request.try_into().unwrap(), at(second));
    }

    const fn at(second: u64) -> WallTime {
        WallTime::from_millis(second * 1_000)
    }

    /// That `shop-1` of each group accepted such a number.
    fn accepted(all: &[(&str, u64)]) -> AcceptedBy {
        let of_group = |(group, generation): &(&str, u64)| {
            let sides = BTreeMap::from([(Side::Server, *generation)]);
            let nodes = BTreeMap::from([("shop-1".to_owned(), sides)]);
            ((*group).to_owned(), nodes)
        };
        all.iter().map(of_group).collect()
    }

    #[test]
    fn a_vm_that_is_gone_says_nothing_of_what_its_node_runs() {
        let mut fleet = Fleet::default();
        report(&mut fleet, 1, "shop", 6, 100);
        let drifting =
            |fleet: &Fleet, second| fleet.drifting(&accepted(&[("shop", 7)]), at(second))["shop"];
        assert_eq!(drifting(&fleet, 100), 1);
        // Its Envoy crashed; another took its place and name.
        report(&mut fleet, 2, "shop", 7, 102);
        assert_eq!(drifting(&fleet, 163), 1, "it may still be there");
        assert_eq!(drifting(&fleet, 164), 0);
        report(&mut fleet, 1, "shop", 6, 165);
        assert_eq!(drifting(&fleet, 165), 1, "it was there all the time");
    }

    #[test]
    fn each_vm_that_ends_is_counted_once_and_one_that_was_cut_off_is_not() {
        let mut fleet = Fleet::default();
        for incarnation in 1..=3 {
            report(&mut fleet, incarnation, "shop", 6, 100);
        }
        // A new module: two VMs take the place of the first two. The third was only cut off.
        for incarnation in [4, 5] {
            report(&mut fleet, incarnation, "shop", 7, 101);
        }
        assert_eq!(fleet.forget(at(699)), 0, "any of them may come back");
        for incarnation in 3..=5 {
            report(&mut fleet, incarnation, "shop", 7, 699);
        }
        assert_eq!(fleet.forget(at(700)), 2);
        assert_eq!(fleet.forget(at(701)), 0, "once");
        assert_eq!(fleet.forget(at(1_299)), 3, "the whole Envoy ended");
    }

    #[test]
    fn nodes_of_two_groups_that_have_one_name_are_two() {
        let mut fleet = Fleet::default();
        report(&mut fleet, 1, "shop", 7, 1);
        report(&mut fleet, 2, "cart", 3, 1);
        let drifting = |all: &[(&str, u64)]| {
            let drifting = fleet.drifting(&accepted(all), at(1));
            assert_eq!(drifting.len(), 2);
            ["shop", "cart"].map(|group| drifting[group])
        };
        assert_eq!(drifting(&[("shop", 7), ("cart", 3)]), [0, 0]);
        assert_eq!(
            drifting(&[("shop", 3)]),
            [1, 0],
            "of the other it is not known"
        );
        assert_eq!(drifting(&[("shop", 3), ("cart", 7)]), [1, 1]);
        assert_eq!(
            fleet.drifting(&accepted(&[]), at(100)),
            BTreeMap::new(),
            "they are gone"
        );
        let names: Vec<_> = fleet.reporters().into_keys().collect();
        assert_eq!(names, [("cart", "shop-1"), ("shop", "shop-1")]);
    }

    fn scope(route: &str) -> Scope {
        Scope {
            service: ServiceName::try_from("payments").unwrap(),
            route: RouteName::try_from(route).unwrap(),
            side: Side::Server,
        }
    }

    /// A report at `second` of a VM with a breaker on each of these routes; nothing where one was withdrawn.
    fn guards(
        fleet: &mut Fleet,
        incarnation: u64,
        breakers: &[(&str, Option<BreakerState>)],
        second: u64,
    ) {
        let scopes = breakers.iter().map(|(route, state)| ScopeCounts {
            breaker: state.map(|state| BreakerReading {
                state,
                changes: Vec::new(),
            }),
            ..ScopeCounts::nothing(scope(route))
        });
        let request = wire::ReportRequest {
            incarnation,
            sequence: 1,
            ..wire::ReportRequest::default()
        };
        let mut report = Report::try_from(request).unwrap();
        report.scopes = scopes.collect();
        report.details = vec![Details::default(); report.scopes.len()];
        fleet.take(&report, at(second));
    }

    /// The same as is kept, counted anew.
    fn counted_anew(fleet: &Fleet) -> Breakers {
        let mut counted = Breakers::default();
        for (scope, guard) in fleet.vms.values().flat_map(|vm| &vm.breakers) {
            counted.change(scope, None, Some(guard.state));
        }
        counted
    }

    #[test]
    fn breakers_are_counted_by_state_whatever_becomes_of_them_and_of_their_vms() {
        use BreakerState::{Closed, Open, Probing};
        let mut fleet = Fleet::default();
        let of = |fleet: &Fleet, route: &str| {
            let wanted = scope(route);
            let mut all = fleet.counted().all();
            let found = all.find(|(scope, _)| **scope == wanted);
            found.map(|(_, states)| states.map(|(_, count)| count))
        };
        guards(
            &mut fleet,
            1,
            &[("pay", Some(Closed)), ("cart", Some(Closed))],
            0,
        );
        guards(&mut fleet, 2, &[("pay", Some(Closed))], 1);
        assert_eq!(of(&fleet, "pay"), Some([2, 0, 0, 0]));
        guards(&mut fleet, 2, &[("pay", Some(Open))], 2);
        guards(&mut fleet, 2, &[("pay", Some(Open))], 3);
        assert_eq!(
            of(&fleet, "pay"),
            Some([1, 1, 0, 0]),
            "once, however often it is said"
        );
        guards(&mut fleet, 2, &[("pay", Some(Probing))], 4);
        assert_eq!(of(&fleet, "pay"), Some([1, 0, 1, 0]));
        guards(&mut fleet, 2, &[("pay", None)], 5);
        assert_eq!(of(&fleet, "pay"), Some([1, 0, 0, 0]), "withdrawn");
        assert_eq!(fleet.counted, counted_anew(&fleet));
        // The second goes on without the first.
        guards(&mut fleet, 2, &[("pay", Some(Open))], 599);
        fleet.forget(at(600));
        assert_eq!(of(&fleet, "pay"), Some([0, 1, 0, 0]));
        assert_eq!(of(&fleet, "cart"), None, "nobody has one there");
        assert_eq!(fleet.counted, counted_anew(&fleet));
        for second in (1_100..5_000).step_by(500) {
            guards(&mut fleet, 2, &[], second);
            fleet.forget(at(second));
        }
        assert_eq!(
            fleet.counted,
            Breakers::default(),
            "not mentioned for an hour"
        );
        guards(&mut fleet, 2, &[("pay", Some(Open))], 5_000);
        fleet.make_room();
        assert_eq!(fleet.counted, Breakers::default());
    }

    #[test]
    fn who_makes_vms_up_takes_the_room_of_its_own() {
        let mut fleet = Fleet::default();
        let mut report = |group: &str, incarnation: u64, second: u64| {
            let request = wire::ReportRequest {
                incarnation,
                sequence: 1,
                ..wire::ReportRequest::default()
            };
            let mut report = Report::try_from(request).unwrap();
            group.clone_into(&mut report.group);
            fleet.take(&report, at(second));
            fleet.vms.len()
        };
        for incarnation in 1..=5 {
            report("quiet", incarnation, 0);
        }
        let made_up = 2 * VMS_MAX as u64;
        for incarnation in 0..made_up {
            assert!(report("loud", 10 + incarnation, 1 + incarnation) <= VMS_MAX);
        }
        let of = |group: &str| fleet.vms.values().filter(|vm| vm.group == group).count();
        assert_eq!(of("quiet"), 5);
        assert!(VMS_MAX - MAKE_ROOM <= of("loud") + 5);
        assert!(fleet.vms.contains_key(&(9 + made_up)), "the newest");
        // Five were there before.
        let beyond = (made_up + 5) - VMS_MAX as u64;
        assert_eq!(fleet.crowded(), beyond.div_ceil(MAKE_ROOM as u64));
    }

    #[test]
    fn what_is_kept_of_a_vm_is_bounded_and_stays_current() {
        let scope = |route: usize| scope(&format!("r{route}"));
        let mut all = BTreeMap::new();
        for route in 0..SCOPES_MAX + 5 {
            put(&mut all, &scope(route), 1);
        }
        put(&mut all, &scope(0), 2);
        assert_eq!((all.len(), all[&scope(0)]), (SCOPES_MAX, 2));
        assert!(!all.contains_key(&scope(SCOPES_MAX)));
    }
}
