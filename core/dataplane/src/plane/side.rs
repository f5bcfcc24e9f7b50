//! The scopes of one side, and how requests find theirs.

mod rules;

use sloop_model::{
    B3Output, ContextSettings, DimensionSettings, FaultRule, FilterConfig, ReportSettings,
    RouteName, ServiceName, Side, StatsSettings, Time, TraceOwner, TraceResponse, WallTime,
};

use super::clock::Clock;
use super::entry::{Adopting, Entry, Origin};
use super::exchange::Arrival;
use crate::deny::{DenyCounts, DenyRules};
use crate::fault::FaultName;
use crate::headers::{Request, Wanted};
use crate::report::{FilterStatus, ScopeDelta, Trouble};
use crate::scope::{Rules, ScopeId};
use crate::sli::{self, Seen, Slots};
use crate::sorted::SortedMap;
use crate::span::Spans;
use crate::stats::StatsBook;

/// What one filter of the VM knows. Empty until it is configured.
#[derive(Debug)]
pub(super) struct SideState {
    side: Side,
    entries: Vec<Option<Entry>>,
    /// Of all scopes that are remembered.
    index: SortedMap<(ServiceName, RouteName), ScopeId>,
    rules: Rules,
    named: usize,
    other: Option<ScopeId>,
    /// The service of requests that no rule claims.
    service: ServiceName,
    pub(super) route_names: bool,
    pub(super) respond: TraceResponse,
    pub(super) context: ContextSettings,
    pub(super) deny: DenyRules,
    /// What rules that are no more did, and nobody took yet.
    denied: Vec<(Box<str>, DenyCounts)>,
    pub(super) spans: Option<Box<Spans>>,
    pub(super) report: Option<ReportSettings>,
    pub(super) dimensions: Option<DimensionSettings>,
    /// The headers that they ask for.
    pub(super) wanted: Wanted,
    pub(super) stats: StatsSettings,
    /// Whether anything of the configuration goes by the wall clock.
    pub(super) expires: bool,
    pub(super) status: Option<FilterStatus>,
}

impl SideState {
    /// Routes that only Envoy names: each costs up to 5 KiB per worker, and no person reads more of them.
    pub(super) const NAMED_MAX: usize = 256;
    /// Scopes that went out of the configuration with counts that nobody took yet.
    pub(super) const RETIRED_MAX: usize = 1_024;

    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            entries: Vec::new(),
            index: SortedMap::new(),
            rules: Rules::default(),
            named: 0,
            other: None,
            service: ServiceName::unknown(),
            route_names: false,
            respond: TraceResponse::default(),
            context: ContextSettings::default(),
            deny: DenyRules::default(),
            denied: Vec::new(),
            spans: None,
            report: None,
            dimensions: None,
            wanted: Wanted::default(),
            stats: StatsSettings::default(),
            expires: false,
            status: None,
        }
    }

    /// Puts `config` in force. Scopes that it still has keep their state and counts.
    pub(super) fn configure(
        &mut self,
        config: &FilterConfig,
        adopting: Adopting,
        trouble: &mut Trouble,
    ) {
        let wall = adopting.clock.wall(adopting.now);
        let service = match self.side {
            Side::Server => config.service.clone(),
            Side::Client => ServiceName::unknown(),
        };
        self.retire(config.route_names && service == self.service);
        self.service = service;
        self.route_names = config.route_names;
        self.respond = config.trace.respond.unwrap_or_default();
        self.context.clone_from(&config.trace.context);
        if self.context.owner == TraceOwner::Envoy {
            // No span of anybody has our ids, and where a trace begins Envoy gives it another one.
            (self.respond, self.context.b3) = (TraceResponse::Never, B3Output::None);
        }
        self.report.clone_from(&config.report);
        self.dimensions.clone_from(&config.dimensions);
        let bounds_retries =
            self.side == Side::Server && config.scopes.iter().any(|scope| scope.retries.is_some());
        self.wanted = sli::wanted(config.dimensions.as_ref(), bounds_retries);
        self.stats = config.stats;
        self.expires = rules::expires(config);
        self.status = Some(FilterStatus {
            side: self.side,
            generation: config.generation,
            applied_at: wall,
            version: None,
        });
        let other = self.enter(self.service.clone(), RouteName::other(), Origin::Other);
        self.other = Some(other);
        self.adopt_spans(config, trouble);
        self.take_denials();
        self.deny = DenyRules::default();
        self.adopt_deny(&config.deny, None, adopting);
        self.rules = Rules::default();
        for scope in &config.scopes {
            let id = self.enter(
                scope.service.clone(),
                scope.route.clone(),
                Origin::Configured,
            );
            for rule in &scope.matches {
                self.rules.push(rule, id);
            }
            if let Some(entry) = self.entry(id) {
                entry.adopt(Some(scope), adopting);
            }
            self.adopt_deny(&scope.deny, Some(id), adopting);
        }
        for entry in self.entries.iter_mut().flatten() {
            if entry.origin != Origin::Configured {
                entry.adopt(None, adopting);
            }
        }
        self.count_named();
    }

    /// The scope of the first rule that claims the request.
    pub(super) fn find(&self, request: &Request<'_>) -> Option<ScopeId> {
        self.rules.find(request)
    }

    /// The scope of what nothing else claims. None before the first configuration.
    pub(super) const fn other(&self) -> Option<ScopeId> {
        self.other
    }

    /// The scope of the route that Envoy calls `name`, which may be new.
    pub(super) fn named(&mut self, name: &[u8], trouble: &mut Trouble) -> Option<ScopeId> {
        if let Some(id) = self.find_named(name) {
            return Some(id);
        }
        let route = core::str::from_utf8(name)
            .ok()
            .and_then(|name| RouteName::try_from(name).ok());
        let Some(route) = route else {
            return self.other;
        };
        if Self::NAMED_MAX <= self.named {
            trouble.routes_over_cap += 1;
            return self.other;
        }
        let id = self.enter(self.service.clone(), route, Origin::Named);
        self.named += 1;
        Some(id)
    }

    pub(super) fn entry(&mut self, id: ScopeId) -> Option<&mut Entry> {
        let at = usize::try_from(id.0).ok()?;
        self.entries.get_mut(at)?.as_mut()
    }

    /// Whether attempts beyond the first are counted.
    pub(super) fn counts_attempts(&self) -> bool {
        self.dimensions
            .as_ref()
            .is_some_and(|settings| settings.attempts)
    }

    /// Where a request counts besides its scope.
    pub(super) fn slots(&mut self, id: ScopeId, seen: &Seen<'_>, trouble: &mut Trouble) -> Slots {
        let at = usize::try_from(id.0).unwrap_or(usize::MAX);
        match (&self.dimensions, self.entries.get_mut(at)) {
            (Some(settings), Some(Some(entry))) => {
                entry
                    .counts
                    .slots(settings, seen, &mut trouble.values_over_cap)
            }
            (Some(_) | None, _) => Slots::default(),
        }
    }

    /// Shows what was not shown yet as statistics.
    pub(super) fn show(&mut self, book: &mut StatsBook) {
        for entry in self.entries.iter_mut().flatten() {
            let scope = entry.scope(self.side);
            entry.counts.show(&scope, book);
        }
    }

    /// As which side it reads the stamp of a request's deadline. Where Envoy's tracer writes headers after it, a request
    /// goes out with the stamp that came in, of another machine's clock; what it is joined to was stamped here.
    pub(super) const fn stamped(&self, arrival: &Arrival<'_>) -> Side {
        match (self.context.owner, arrival.joined) {
            (TraceOwner::Envoy, None) => Side::Server,
            (TraceOwner::Envoy, Some(_)) | (TraceOwner::Sloop, _) => self.side,
        }
    }

    /// Whether a breaker changed its state since the last report.
    pub(super) fn has_changed(&self) -> bool {
        let mut entries = self.entries.iter().flatten();
        entries.any(|entry| entry.guard.has_changed())
    }

    /// Until when a fault holds on a scope: it may have been renewed since a request met it. Nothing when it is no more.
    pub(super) fn fault_until(&self, scope: ScopeId, name: FaultName) -> Option<WallTime> {
        let at = usize::try_from(scope.0).ok()?;
        let entry = self.entries.get(at)?.as_ref()?;
        entry.policy.faults.named(name).map(FaultRule::expires_at)
    }

    /// Takes what is to be reported, sorted by service and route.
    pub(super) fn take(&mut self, now: Time, clock: &Clock) -> Vec<ScopeDelta> {
        let mut taken = Vec::new();
        for (_, id) in self.index.iter() {
            let at = usize::try_from(id.0).unwrap_or(usize::MAX);
            if let Some(Some(entry)) = self.entries.get_mut(at) {
                taken.extend(entry.take(self.side, now, clock));
            }
        }
        taken
    }

    /// Forgets scopes that have no reason left; if too many still have counts, counts those as `other`.
    pub(super) fn sweep(&mut self, now: Time, trouble: &mut Trouble) {
        let retired = |entry: &Entry| entry.origin == Origin::Retired;
        let count = self.entries.iter().flatten().filter(|e| retired(e)).count();
        let mut excess = count.saturating_sub(Self::RETIRED_MAX);
        let mut folded = Vec::new();
        for slot in &mut self.entries {
            let Some(entry) = slot.as_mut().filter(|entry| retired(entry)) else {
                continue;
            };
            let is_excess = 0 < excess && entry.in_flight == 0;
            if !is_excess && !entry.is_spent(now) {
                continue;
            }
            excess = excess.saturating_sub(1);
            if let Some(entry) = slot.take() {
                self.index.remove(&(entry.service, entry.route));
                folded.push(entry.counts);
            }
        }
        if let Some(other) = self.other.and_then(|id| self.entry(id)) {
            for counts in folded {
                trouble.routes_over_cap += counts.requests;
                other.counts.fold(&counts);
            }
        }
    }

    /// Takes all scopes out of force, but those that Envoy named if `keep_named`.
    fn retire(&mut self, keep_named: bool) {
        for entry in self.entries.iter_mut().flatten() {
            if !(keep_named && entry.origin == Origin::Named) {
                entry.origin = Origin::Retired;
            }
        }
    }

    /// The scope of this name, remembered because of `origin`.
    fn enter(&mut self, service: ServiceName, route: RouteName, origin: Origin) -> ScopeId {
        let key = (service, route);
        let id = self.index.get(&key).copied().unwrap_or_else(|| {
            let free = self.entries.iter().position(Option::is_none);
            let at = free.unwrap_or(self.entries.len());
            let entry = Entry::new(key.0.clone(), key.1.clone());
            match self.entries.get_mut(at) {
                Some(slot) => *slot = Some(entry),
                None => self.entries.push(Some(entry)),
            }
            // The caps on configured, named and retired scopes keep this far below the bound.
            let id = ScopeId(u32::try_from(at).unwrap_or(u32::MAX));
            self.index.insert(key, id);
            id
        });
        if let Some(entry) = self.entry(id) {
            entry.origin = origin;
        }
        id
    }

    /// The scope in force of the route that Envoy calls `name`.
    fn find_named(&self, name: &[u8]) -> Option<ScopeId> {
        let id = *self.index.get_by(|(service, route)| {
            let order = route.as_str().as_bytes().cmp(name);
            service.cmp(&self.service).then(order)
        })?;
        let at = usize::try_from(id.0).ok()?;
        let entry = self.entries.get(at)?.as_ref()?;
        (entry.origin != Origin::Retired).then_some(id)
    }

    /// Counts the scopes that are there because Envoy named them.
    fn count_named(&mut self) {
        let entries = self.entries.iter().flatten();
        self.named = entries
            .filter(|entry| entry.origin == Origin::Named)
            .count();
    }
}

#[cfg(test)]
impl SideState {
    /// How many scopes are remembered.
    pub(super) fn len(&self) -> usize {
        self.entries.iter().flatten().count()
    }
}
