//! A run as people see it.

use core::time::Duration;

use sloop_model::WallTime;

use super::super::intent::ChaosSpec;
use super::super::stats::{ALPHA, discoveries};
use super::super::status::{ExperimentStatus, ExperimentVerdict, FaultStatus, RouteEffect};
use super::super::targets::{chosen, rule_id, seed};
use super::{Run, point_ms};
use crate::World;
use crate::words::Percent;

impl Run {
    /// All that people see of it.
    pub(in super::super) fn status(&self, spec: &ChaosSpec, world: &World) -> ExperimentStatus {
        let broken = self.broken();
        let started_at = self.started_at.unwrap_or(self.begun_at);
        let width = point_ms(spec);
        let point_at =
            |point: u64| started_at.after(Duration::from_millis(point.saturating_mul(width)));
        let comparisons = self.comparisons.iter().zip(broken).map(|(one, is_broken)| {
            let verdict = if is_broken {
                Some(ExperimentVerdict::Broken)
            } else {
                one.is_held().then_some(ExperimentVerdict::Held)
            };
            one.status(verdict, point_at)
        });
        let has_run = self.started_at.is_some();
        ExperimentStatus {
            name: spec.name.clone(),
            due_at: self.due_at,
            phase: self.phase,
            verdict: self.verdict,
            because: self.because.clone(),
            started_at: self.started_at,
            ended_at: self.ended_at,
            lasting_ms: spec.lasting_ms,
            seed: spec.seed,
            targets: chosen(spec)
                .into_iter()
                .map(|target| target.scope().to_string())
                .collect(),
            faults: (0..)
                .zip(&spec.faults)
                .map(|(index, fault)| FaultStatus {
                    id: rule_id(spec, index),
                    seed: seed(spec, index),
                    share: fault.share(),
                    control: spec.control,
                })
                .collect(),
            plan: self.plan,
            comparisons: comparisons.collect(),
            budgets: self.budgets.clone(),
            routes: self.routes(),
            events: self.events.clone(),
            suggestions: if has_run {
                self.suggestions(spec, world)
            } else {
                Vec::new()
            },
        }
    }

    /// The routes that are surely affected.
    fn routes(&self) -> Vec<RouteEffect> {
        let all: Vec<_> = self
            .comparisons
            .iter()
            .flat_map(|one| {
                one.routes
                    .iter()
                    .map(move |(scope, route)| (one, scope, route))
            })
            .collect();
        let logs: Vec<f64> = all
            .iter()
            .map(|(.., route)| route.evidence.above.best())
            .collect();
        let found = all.into_iter().zip(discoveries(&logs, ALPHA));
        found
            .filter(|(_, is_found)| *is_found)
            .map(|((one, scope, route), _)| RouteEffect {
                fault: one.fault,
                scope: scope.clone(),
                objective: one.objective.clone(),
                effect: route.evidence.effect().unwrap_or_default(),
            })
            .collect()
    }

    /// The effects so far, in words.
    pub(super) fn progress(&self, now: WallTime) -> String {
        let effects = self.comparisons.iter().map(|one| {
            let status = one.status(None, |_| now);
            let effect = status.effect.map_or_else(
                || "not known".to_owned(),
                |effect| Percent(effect).to_string(),
            );
            format!(
                "fault {} makes {effect} more of SLO {} bad (surely {} to {}; at most {} may be)",
                one.fault + 1,
                one.objective.slo,
                Percent(status.interval.low),
                Percent(status.interval.high),
                Percent(status.tolerance),
            )
        });
        effects.collect::<Vec<_>>().join("; ")
    }

    fn suggestions(&self, spec: &ChaosSpec, world: &World) -> Vec<String> {
        let mut suggestions = Vec::new();
        for (scope, refused, good) in self.shadows(spec, world) {
            let before = self.shadow.iter().find(|(known, ..)| *known == scope);
            let (refused, good) = before.map_or((refused, good), |(_, then, then_good)| {
                (
                    refused.saturating_sub(*then),
                    good.saturating_sub(*then_good),
                )
            });
            if good < refused.saturating_sub(good) {
                suggestions.push(format!(
                    "the breaker on {scope} is in shadow mode; it would have refused {refused} requests, {} of which were bad all the same",
                    refused - good
                ));
            }
        }
        suggestions
    }
}
