//! What decisions did: requests that were refused where they hold, by the means that they use.
//!
//! Counts are by scope and means, not by decision. Where two decisions refuse requests of one scope by the
//! same means, as two deny rules do, each has the counts of both, and says so.

use std::collections::{BTreeMap, BTreeSet};

use sloop_controllers::{Acted, Means, ScopeTotals, World};
use sloop_model::{Policy, Scope};

use crate::admin::api::{DecisionEffect, DecisionExplained};

/// Scopes of one decision whose effect is followed.
const SCOPES_MAX: usize = 64;

/// The scopes on which `policies` refuse requests, with what happened on them so far.
pub(super) fn effects(policies: &[Policy], world: &World) -> Vec<DecisionEffect> {
    let found = refusing(policies, world).take(SCOPES_MAX);
    found
        .map(|(totals, by)| DecisionEffect {
            scope: totals.scope.clone(),
            since_ms: world.now().as_millis(),
            until_ms: None,
            by,
            before: Acted::of(totals),
            acted: Acted::default(),
            shared_with: BTreeSet::new(),
        })
        .collect()
}

/// Brings the effects of a decision with these `policies` up to what `world` knows.
pub(super) fn follow(one: &mut DecisionExplained, policies: &[Policy], world: &World) {
    let since_ms = one.decision.at_ms;
    let known = one.effects.iter().enumerate();
    let known: BTreeMap<Scope, usize> = known
        .map(|(place, effect)| (effect.scope.clone(), place))
        .collect();
    for (totals, by) in refusing(policies, world) {
        let effect = known
            .get(&totals.scope)
            .and_then(|place| one.effects.get_mut(*place));
        if let Some(effect) = effect {
            if effect.by.is_empty() {
                // A store of before has only what breakers did: of the rest nobody knows since when.
                effect.before = Acted {
                    breakers: effect.before.breakers,
                    ..Acted::of(totals)
                };
            }
            effect.acted = Acted::of(totals).by(&by).since(effect.before);
            effect.by = by;
        } else if one.effects.len() < SCOPES_MAX {
            // All that were there when it was decided are known: of this one nobody had reported anything.
            one.effects.push(DecisionEffect {
                scope: totals.scope.clone(),
                since_ms,
                until_ms: None,
                acted: Acted::of(totals).by(&by),
                by,
                before: Acted::default(),
                shared_with: BTreeSet::new(),
            });
        }
    }
}

/// By what `policies` refuse requests of `scope`.
pub(super) fn refuses_by(policies: &[Policy], scope: &Scope) -> impl Iterator<Item = Means> {
    let covering = policies.iter().filter(|policy| {
        policy.scope.service == scope.service
            && policy.scope.side == scope.side
            && (policy.scope.route.is_any() || policy.scope.route == scope.route)
    });
    covering.filter_map(|policy| Means::of(&policy.rule))
}

/// Whether both are about the same scope, means and some of the same time; `other` is one that is over.
pub(super) fn is_shared(effect: &DecisionEffect, other: &DecisionEffect) -> bool {
    let Some(other_until) = other.until_ms else {
        return false;
    };
    effect.scope == other.scope
        && !effect.by.is_disjoint(&other.by)
        && effect.since_ms < other_until
        && effect.until_ms.is_none_or(|until| other.since_ms < until)
}

/// The scopes on which `policies` refuse requests, and by what.
fn refusing<'a>(
    policies: &'a [Policy],
    world: &'a World,
) -> impl Iterator<Item = (&'a ScopeTotals, BTreeSet<Means>)> {
    let refusing = policies.iter();
    let refusing = refusing.filter(|policy| Means::of(&policy.rule).is_some());
    let services: BTreeSet<_> = refusing.map(|it| &it.scope.service).collect();
    let scopes = services.into_iter().flat_map(|it| world.scopes_of(it));
    scopes.filter_map(|totals| {
        let by: BTreeSet<Means> = refuses_by(policies, &totals.scope).collect();
        (!by.is_empty()).then_some((totals, by))
    })
}
