//! What people and tools see of the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use sloop_controllers::{
    Acting, AlertStatus, FilterSettings, IntentId, Lost, RouteSet, ScopeTotals, Signal, SloStatus,
    Stage,
};
use sloop_model::{Module, Outcome, Policy, Rule, WallTime};

use super::effects::Effected;
use super::{Engine, Reporter};
use crate::admin::api::{
    DecisionExplained, DecisionTaken, DenialStatus, DocumentFile, Event, ScopeStatus,
};

/// How often something found no room, of what has bounds that nobody sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crowded {
    /// Reports of workers of which nothing is remembered, and times that others were forgotten for one.
    pub workers: u64,
    /// Times that something was counted of a node that is not judged by it.
    pub nodes: u64,
}

impl Engine {
    /// The moment of the last step or report.
    #[must_use]
    pub const fn now(&self) -> WallTime {
        self.world.now()
    }

    /// What could not be counted since the process began.
    #[must_use]
    pub const fn lost(&self) -> Lost {
        self.world.lost()
    }

    /// What found no room since the process began.
    #[must_use]
    pub const fn crowded(&self) -> Crowded {
        Crowded {
            workers: self.lost().vms.saturating_add(self.fleet.crowded()),
            nodes: self.healths.crowded(),
        }
    }

    /// How each SLO stands, with what was decided at the last step, in the order of intents: as
    /// it was when somebody looked first after that step.
    #[must_use]
    pub fn slos(&self) -> &Arc<[SloStatus]> {
        self.slos.get_or_init(|| {
            let statuses = self.controllers.slo_statuses(&self.world, &self.step);
            Arc::from(statuses)
        })
    }

    /// Which alerts there were at the last step, with what is done about them, and which were withdrawn lately.
    #[must_use]
    pub fn alerts(&self) -> Vec<AlertStatus> {
        let decisions = self.step.decisions.iter();
        let signals = decisions.flat_map(|decided| &decided.decision.signals);
        let alerts = signals.filter_map(Signal::alert);
        let alerts = alerts.map(|alert| AlertStatus {
            acting: self.acting(&IntentId(format!("SLO/{}", alert.objective.slo))),
            ..alert.clone()
        });
        alerts.chain(self.world.withdrawn_alerts()).collect()
    }

    /// What is done to protect the SLO of this intent.
    fn acting(&self, slo: &IntentId) -> Option<Acting> {
        let (decision, because, policies) = self.decisions.in_force(Stage::Protect, slo)?;
        let mut because = because.to_owned();
        // It stays in the policies until their lease is renewed, as to take it away would change nothing.
        if are_orders_over(policies, self.world.now()) {
            because.push_str("; that order is over");
        }
        Some(Acting { decision, because })
    }

    /// What happened on each scope, in the order of scopes.
    #[must_use]
    pub fn scopes(&self, now: WallTime) -> Vec<ScopeStatus> {
        let mut breakers = self.fleet.breakers();
        let mut levels = self.fleet.shed_levels();
        let status = |totals: &ScopeTotals| {
            let recent = self.recent.get(&totals.scope);
            let effected = recent.map(|recent| &recent.effected);
            let (shadow_denied, shadow_denied_good) =
                effected.map_or((0, 0), Effected::shadow_denied);
            ScopeStatus {
                service: totals.scope.service.clone(),
                route: totals.scope.route.clone(),
                side: totals.scope.side,
                requests: totals.requests,
                outcomes: outcomes(totals),
                refused: totals.refused,
                shadow_refused: totals.shadow_refused,
                shadow_refused_good: totals.shadow_refused_good,
                latency: recent.and_then(|recent| recent.latency(now)),
                breakers: breakers.remove(&totals.scope).unwrap_or_default(),
                retries: recent.map_or(0, |recent| recent.values.retries()),
                values: recent.map_or_else(Vec::new, |recent| recent.values.status()),
                faults: effected.and_then(Effected::faults),
                shed: effected.and_then(Effected::shed),
                shed_levels: levels.remove(&totals.scope).unwrap_or_default(),
                shadow_denied,
                shadow_denied_good,
                retry_budget: effected.and_then(Effected::retries),
                arms: effected.map_or_else(Vec::new, |it| it.arms(&self.experiments)),
                reported_ms: recent.map(|recent| recent.reported.as_millis()),
            }
        };
        self.world.scopes().map(status).collect()
    }

    /// What the sidecars of each group run: the module that can do less, of those that their VMs named.
    #[must_use]
    pub fn modules(&self) -> BTreeMap<String, Module> {
        self.fleet.modules()
    }

    /// What deny rules did.
    #[must_use]
    pub fn denials(&self) -> Vec<DenialStatus> {
        self.denials.status()
    }

    /// The nodes that report, by group and id.
    #[must_use]
    pub fn reporters(&self) -> BTreeMap<(&str, &str), Reporter> {
        self.fleet.reporters()
    }

    /// What happened after the event with the number `since`.
    #[must_use]
    pub fn events(&self, since: u64) -> Vec<Event> {
        self.events.after(since).cloned().collect()
    }

    /// What was decided lately.
    #[must_use]
    pub fn decisions(&self) -> Vec<DecisionTaken> {
        self.decisions.all()
    }

    /// Takes the stage and the kind of who made each decision since the last call; of the first thousand.
    #[must_use]
    pub fn take_decided(&mut self) -> Vec<(Stage, &'static str)> {
        self.decisions.take_uncounted()
    }

    /// All about the decision with this number; nothing when it is not kept.
    #[must_use]
    pub fn explain(&self, decision: u64) -> Option<DecisionExplained> {
        self.decisions.explain(decision, &self.world)
    }

    /// What filters are told beside policies.
    #[must_use]
    pub fn filter_settings(&self) -> &[FilterSettings] {
        &self.documents.filter_settings
    }

    /// The routes that documents name.
    #[must_use]
    pub fn route_sets(&self) -> &[RouteSet] {
        &self.documents.route_sets
    }

    /// How the files stand.
    #[must_use]
    pub fn files(&self) -> &[DocumentFile] {
        &self.documents.files
    }
}

fn outcomes(totals: &ScopeTotals) -> BTreeMap<String, u64> {
    Outcome::ALL
        .iter()
        .zip(totals.outcomes)
        .filter(|(_, count)| *count > 0)
        .map(|(outcome, count)| (outcome.name().to_owned(), count))
        .collect()
}

/// Whether all orders to breakers among `policies` have run out at `now`; not where there are none.
fn are_orders_over(policies: &[Policy], now: WallTime) -> bool {
    let ends = policies.iter().filter_map(|policy| match &policy.rule {
        Rule::Trip(trip) => Some(trip.until_ms),
        Rule::Count(_)
        | Rule::Break { .. }
        | Rule::Shed { .. }
        | Rule::Deny(_)
        | Rule::RetryBudget { .. }
        | Rule::Deadline { .. }
        | Rule::Fault(_) => None,
    });
    ends.max().is_some_and(|until| until <= now)
}
