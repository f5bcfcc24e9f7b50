//! The publishing half of the loop: which cohorts there are, and what each should have.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sloop_model::{BreakerMode, Mode, Policy, RetryRule, Rule, Scope, ShedRule, Side, WallTime};
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

    /// Wants pushes to all cohorts, and soon to those that are `hurried`: another's faults are no reason why what is
    /// declared for this one goes out in many parts.
    pub(super) fn want_policies(&mut self, hurried: &Hurried) {
        for (cohort, course) in &mut self.cohorts {
            if hurried.includes(cohort) {
                course.pace.want_urgently();
            } else {
                course.pace.want();
            }
        }
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

/// Whose sidecars are told something else of what must not wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hurried {
    /// Those of these services.
    Of(BTreeSet<String>),
    /// Those of all.
    All,
}

impl Hurried {
    fn includes(&self, cohort: &Cohort) -> bool {
        match self {
            Self::Of(services) => services.contains(&cohort.service),
            Self::All => true,
        }
    }
}

/// Who must hear soon of what protects or harms, when `after` holds instead of `before`, both sorted: where more changed than
/// how long it lasts or when a breaker opens, which controllers may fit anew with every step.
pub(super) fn hurried(before: &[Policy], after: &[Policy]) -> Hurried {
    let changed = difference(&lasting(before), &lasting(after));
    if changed.iter().any(Lasting::is_for_all) {
        return Hurried::All;
    }
    let services = changed.iter().map(|it| it.scope.service.to_string());
    Hurried::Of(services.collect())
}

/// What a policy does, without what may change by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lasting<'a> {
    scope: &'a Scope,
    effect: Effect,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    Break(BreakerMode),
    Shed(Mode, Option<ShedRule>),
    RetryBudget(Mode, RetryRule),
    Rule(Rule),
}

impl Lasting<'_> {
    /// Whether filters of other services are told of it, too. Outbound every filter knows the routes of all services, and
    /// where a deadline is given anywhere, all pass it on.
    fn is_for_all(&self) -> bool {
        match (self.scope.side, &self.effect) {
            (Side::Client, _) => true,
            (Side::Server, Effect::Break(_) | Effect::Shed(..) | Effect::RetryBudget(..)) => false,
            (Side::Server, Effect::Rule(rule)) => match rule {
                Rule::Fault(_) | Rule::Deny(_) | Rule::Trip(_) => false,
                Rule::Deadline { .. }
                | Rule::Break { .. }
                | Rule::Shed { .. }
                | Rule::RetryBudget { .. }
                | Rule::Count(_) => true,
            },
        }
    }
}

impl Effect {
    /// What `policy` does; nothing of one that may wait.
    fn of(policy: &Policy) -> Option<Self> {
        let end = WallTime::default();
        match &policy.rule {
            // What objectives count goes to a few nodes first.
            Rule::Count(_) => None,
            Rule::Break { mode, .. } => Some(Self::Break(*mode)),
            Rule::Shed { mode, limits, .. } => Some(Self::Shed(*mode, *limits)),
            Rule::RetryBudget { mode, limits, .. } => Some(Self::RetryBudget(*mode, *limits)),
            Rule::Fault(fault) => Some(Self::Rule(Rule::Fault(fault.clone().ending_by(end)))),
            Rule::Deny(deny) => Some(Self::Rule(Rule::Deny(deny.clone().ending_by(end)))),
            Rule::Deadline { mode, limit_ms, .. } => Some(Self::Rule(Rule::Deadline {
                mode: *mode,
                limit_ms: *limit_ms,
                expires_at_ms: end,
            })),
            Rule::Trip(_) => Some(Self::Rule(policy.rule.clone())),
        }
    }
}

/// What policies that must not wait do, sorted.
fn lasting(policies: &[Policy]) -> Vec<Lasting<'_>> {
    let each = policies.iter().map(|it| (&it.scope, Effect::of(it)));
    let lasting = each.filter_map(|(scope, effect)| {
        let effect = effect?;
        Some(Lasting { scope, effect })
    });
    let mut all: Vec<_> = lasting.collect();
    // By scopes they are in order as they come.
    all.sort();
    all
}

/// What is in one of the two, and not in the other; what is there twice, also where it is there once in the other. Both are sorted.
fn difference<'a>(before: &[Lasting<'a>], after: &[Lasting<'a>]) -> Vec<Lasting<'a>> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let mut changed = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some(was), Some(is)) => was.cmp(is),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return changed,
        };
        match order {
            Ordering::Less => changed.extend(before.next().cloned()),
            Ordering::Greater => changed.extend(after.next().cloned()),
            Ordering::Equal => {
                before.next();
                after.next();
            }
        }
    }
}

#[cfg(test)]
mod tests;
