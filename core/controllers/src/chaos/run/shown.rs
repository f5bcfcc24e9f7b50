//! A run as people see it.

use core::time::Duration;

use sloop_model::WallTime;

use super::super::comparison::Comparison;
use super::super::intent::ChaosSpec;
use super::super::stats::{ALPHA, discoveries};
use super::super::status::{ExperimentStatus, ExperimentVerdict, FaultStatus, RouteEffect};
use super::super::suggest::suggestions;
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
                self.is_held(one).then_some(ExperimentVerdict::Held)
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
                    met: self.met.get(index).copied().unwrap_or_default(),
                })
                .collect(),
            plan: self.plan,
            comparisons: comparisons.collect(),
            budgets: self.budgets.clone(),
            routes: self.routes(),
            events: self.events.clone(),
            suggestions: if has_run {
                let now = self.shadows_now(spec, world);
                suggestions(&self.shadows, &now, &self.budgets, &self.scopes)
            } else {
                Vec::new()
            },
        }
    }

    /// The routes that are surely harmed.
    fn routes(&self) -> Vec<RouteEffect> {
        let all = self.comparisons.iter();
        let all = all.flat_map(|one| one.harmed_now().map(move |route| (one, route)));
        let all: Vec<_> = all.collect();
        let logs: Vec<f64> = all.iter().map(|(_, (.., log))| *log).collect();
        let found = all.into_iter().zip(discoveries(&logs, ALPHA));
        found
            .filter(|(_, is_found)| *is_found)
            .map(|((one, (scope, evidence, _)), _)| RouteEffect {
                fault: one.fault,
                scope: scope.to_owned(),
                objective: one.objective.clone(),
                effect: evidence.effect().unwrap_or_default(),
            })
            .collect()
    }

    /// The effects so far, in words.
    pub(super) fn progress(&self, spec: &ChaosSpec, now: WallTime) -> String {
        let all = self.comparisons.iter();
        let effects = all.map(|one| effect(spec, one, now));
        effects.collect::<Vec<_>>().join("; ")
    }

    /// What it showed, in words: of several comparisons those that made the verdict, and how many say something else.
    pub(super) fn outcome(
        &self,
        spec: &ChaosSpec,
        verdict: ExperimentVerdict,
        now: WallTime,
    ) -> String {
        let broken = self.broken();
        let of = |one: &Comparison, is_broken: bool| match (is_broken, self.is_held(one)) {
            (true, _) => ExperimentVerdict::Broken,
            (false, true) => ExperimentVerdict::Held,
            (false, false) => ExperimentVerdict::Inconclusive,
        };
        let all = self.comparisons.iter().zip(broken);
        let verdicts: Vec<_> = all.map(|(one, broken)| (one, of(one, broken))).collect();
        let those = verdicts.iter().filter(|(_, said)| *said == verdict);
        let mut parts: Vec<String> = those.map(|(one, _)| effect(spec, one, now)).collect();
        for (other, words) in [
            (ExperimentVerdict::Broken, "more broken"),
            (ExperimentVerdict::Held, "more held"),
            (ExperimentVerdict::Inconclusive, "more unsure"),
        ] {
            let count = verdicts.iter().filter(|(_, said)| *said == other).count();
            if other != verdict && 0 < count {
                parts.push(format!("{count} {words}"));
            }
        }
        parts.extend(self.doubts(spec));
        if verdict == ExperimentVerdict::Inconclusive {
            parts.push(format!("faults ended: {}", self.ended_for));
        }
        let word = match verdict {
            ExperimentVerdict::Held => "held",
            ExperimentVerdict::Broken => "broken",
            ExperimentVerdict::Inconclusive => "inconclusive",
        };
        format!("{word}: {}", parts.join("; "))
    }

    /// Why nothing can be held, although the arms may be alike.
    fn doubts(&self, spec: &ChaosSpec) -> Vec<String> {
        let idle = self.met.iter().enumerate().filter(|(_, met)| **met == 0);
        let idle = idle.map(|(index, _)| {
            format!(
                "no request met fault {} on its targets",
                rule_id(spec, index)
            )
        });
        let contaminated = self.comparisons.iter().filter(|one| one.is_contaminated());
        let contaminated = contaminated.filter_map(|one| {
            let worse = Percent(one.contamination()?);
            Some(format!(
                "in the control arm of fault {} {worse} more of SLO {} is bad than was before",
                rule_id(spec, one.fault),
                one.objective.slo
            ))
        });
        idle.chain(contaminated).collect()
    }
}

/// What a fault does to an objective, in words.
fn effect(spec: &ChaosSpec, one: &Comparison, now: WallTime) -> String {
    let status = one.status(None, |_| now);
    let (fault, slo) = (rule_id(spec, one.fault), &one.objective.slo);
    let tolerance = Percent(status.tolerance);
    match status.effect {
        None => {
            format!("nothing is known yet of fault {fault} and SLO {slo} (tolerated {tolerance})")
        }
        Some(effect) => format!(
            "fault {fault} makes {} more of SLO {slo} bad (surely {} to {}; tolerated {tolerance})",
            Percent(effect),
            Percent(status.interval.low),
            Percent(status.interval.high),
        ),
    }
}
