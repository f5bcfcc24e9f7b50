//! The publishing half of the loop: which cohorts there are, and what each should have.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sloop_model::{BreakerMode, Mode, Policy, RetryRule, Rule, Scope, ShedRule, WallTime};
use sloop_xds::fleet::Cohort;

use super::Actor;
use super::durable::Publish;
use super::rollouts::Course;
use crate::admin::api::Happened;
use crate::clock;
use crate::engine::Pace;
use crate::publish::Wanted;

/// Pushes to one cohort are at least this far apart. Each costs Envoy's main
/// thread 5 ms and a kilobyte that it never gives back.
const PUSH_GAP: Duration = Duration::from_secs(1);

/// The same for what protects or harms: it waits for no more than the steps that decide about it.
const URGENT_GAP: Duration = Duration::from_millis(100);

/// Things left out of one push that are said: nobody reads more.
const LEFT_OUT_MAX: usize = 32;

impl Actor {
    /// Notes cohorts; those that are new are pushed to at once.
    pub(super) fn meet(&mut self, seen: BTreeSet<Cohort>) {
        for cohort in seen {
            if self.cohorts.contains_key(&cohort) {
                continue;
            }
            let mut pace = Pace::with_urgent(PUSH_GAP, URGENT_GAP);
            pace.want();
            let rejected = self.publisher.rejected(&cohort);
            self.cohorts.insert(cohort, Course::new(pace, rejected));
        }
    }

    pub(super) fn want_pushes(&mut self) {
        self.cohorts.values_mut().for_each(|it| it.pace.want());
    }

    pub(super) fn want_urgent_pushes(&mut self) {
        let courses = self.cohorts.values_mut();
        courses.for_each(|it| it.pace.want_urgently());
    }

    /// When the next push is due. None is while a step is wanted: what brought that
    /// about would be pushed in two parts, the second one [`PUSH_GAP`] later.
    pub(super) fn push_due(&self, now: Instant) -> Option<Instant> {
        if self.steps.due(now).is_some() {
            return None;
        }
        let courses = self.cohorts.values();
        courses.filter_map(|it| it.pace.due(now)).min()
    }

    /// Pushes to the cohorts that are due.
    pub(super) fn push(&mut self, now: Instant) {
        if self.push_due(now).is_none_or(|due| now < due) {
            return;
        }
        let due: Vec<Cohort> = self
            .cohorts
            .iter()
            .filter(|(_, course)| course.pace.is_due(now))
            .map(|(cohort, _)| cohort.clone())
            .collect();
        self.publisher.base_on(
            self.engine.route_sets(),
            self.engine.filter_settings(),
            &self.policies,
        );
        for cohort in due {
            let changed = self.prepare(&cohort, now);
            if let Some(course) = self.cohorts.get_mut(&cohort) {
                if changed {
                    course.pace.done(now);
                } else {
                    course.pace.give_up();
                }
            }
        }
    }

    /// Makes what `cohort` should have and sends it on its way. Returns whether anything changed.
    fn prepare(&mut self, cohort: &Cohort, now: Instant) -> bool {
        let wanted = Wanted {
            policies: &self.policies,
            fleet: self.fleet.as_deref(),
            module: self
                .modules
                .get(&cohort.service)
                .copied()
                .unwrap_or_default(),
        };
        let at = clock::wall();
        let prepared = match self.publisher.prepare(cohort, wanted, at) {
            Ok(prepared) => prepared,
            Err(error) => {
                tracing::warn!(%cohort, %error, "no service can have this name");
                return false;
            }
        };
        for reason in prepared.troubles {
            tracing::error!(%cohort, reason, "what is declared is not pushed");
            self.meters.push.withheld(None);
            let group = cohort.to_string();
            self.engine
                .tell(at, at, Happened::HeldBack { group, reason });
        }
        for (side, reason) in prepared.withheld {
            tracing::error!(%cohort, %side, reason, "a configuration is not pushed");
            self.meters.push.withheld(Some(side));
            let group = cohort.service.clone();
            self.engine.tell(
                at,
                at,
                Happened::Withheld {
                    group,
                    side,
                    reason,
                },
            );
        }
        for (side, what) in prepared.left_out.into_iter().take(LEFT_OUT_MAX) {
            tracing::info!(%cohort, %side, what, "not in the configuration");
            let group = cohort.service.clone();
            self.engine
                .tell(at, at, Happened::LeftOut { group, side, what });
        }
        let Some(step) = prepared.step else {
            self.commits.add(prepared.batch, [], now);
            return false;
        };
        let publish = Publish {
            cohort: cohort.clone(),
            step: Box::new(step),
            changed: prepared.changed,
        };
        self.publish_after(prepared.batch, publish, now);
        true
    }

    pub(super) fn publish(&mut self, publish: Publish) {
        let Publish {
            cohort,
            step,
            changed,
        } = publish;
        let now = clock::wall();
        self.go(&cohort, *step, now);
        for pushed in changed {
            self.meters.push.pushed(pushed.side);
            let happened = Happened::Push {
                group: cohort.service.clone(),
                side: pushed.side,
                generation: pushed.generation,
            };
            self.engine.tell(pushed.at, now, happened);
        }
    }
}

/// Whether what protects or harms changed: more than how long it lasts or when a breaker opens, which
/// controllers may fit anew with every step.
pub(super) fn is_urgent(before: &[Policy], after: &[Policy]) -> bool {
    lasting(before) != lasting(after)
}

/// What a policy does, without what may change by itself.
#[derive(PartialEq, Eq)]
enum Lasting {
    Break(BreakerMode),
    Shed(Mode, Option<ShedRule>),
    RetryBudget(Mode, RetryRule),
    Rule(Rule),
}

/// What policies that must not wait do, in their order, which is that of scopes and kinds first.
fn lasting(policies: &[Policy]) -> Vec<(&Scope, Lasting)> {
    let end = WallTime::default();
    let lasting = |policy: &Policy| match &policy.rule {
        // What objectives count goes to a few nodes first.
        Rule::Count(_) => None,
        Rule::Break { mode, .. } => Some(Lasting::Break(*mode)),
        Rule::Shed { mode, limits, .. } => Some(Lasting::Shed(*mode, *limits)),
        Rule::RetryBudget { mode, limits, .. } => Some(Lasting::RetryBudget(*mode, *limits)),
        Rule::Fault(fault) => Some(Lasting::Rule(Rule::Fault(fault.clone().ending_by(end)))),
        Rule::Deny(deny) => Some(Lasting::Rule(Rule::Deny(deny.clone().ending_by(end)))),
        Rule::Deadline { mode, limit_ms, .. } => Some(Lasting::Rule(Rule::Deadline {
            mode: *mode,
            limit_ms: *limit_ms,
            expires_at_ms: end,
        })),
        Rule::Trip(_) => Some(Lasting::Rule(policy.rule.clone())),
    };
    let policies = policies.iter();
    policies
        .filter_map(|policy| Some((&policy.scope, lasting(policy)?)))
        .collect()
}

#[cfg(test)]
mod tests;
