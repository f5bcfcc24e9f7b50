//! Which services, requests and sidecars an experiment chooses, by its seed.

use std::collections::BTreeSet;

use sloop_model::{
    ExperimentKey, FaultRule, FaultWritten, Policy, Reach, RouteName, Rule, Scope, ServiceName,
    WallTime,
};

use super::intent::{ChaosSpec, ChaosTarget};

/// The targets that take part: all of the services that the seed chooses. The same seed chooses the same.
pub(super) fn chosen(spec: &ChaosSpec) -> Vec<&ChaosTarget> {
    let mut services: Vec<&ServiceName> =
        spec.targets.iter().map(|target| &target.service).collect();
    services.sort_by_key(|service| (draw(spec.seed, service), *service));
    services.dedup();
    let count = spec.choose.map_or(services.len(), usize::from);
    services.truncate(count);
    let takes_part = |target: &&ChaosTarget| services.contains(&&target.service);
    spec.targets.iter().filter(takes_part).collect()
}

/// The id of the rule of the fault at `index`.
pub(super) fn rule_id(spec: &ChaosSpec, index: usize) -> String {
    format!("{}.{}", spec.name, index + 1)
}

/// The key under which the arms of the fault at `index` are counted.
pub(super) fn key(spec: &ChaosSpec, index: usize) -> ExperimentKey {
    ExperimentKey::of(&rule_id(spec, index))
}

/// The seed of the fault at `index`: faults draw independently of each other.
pub(super) fn seed(spec: &ChaosSpec, index: usize) -> u64 {
    mixed(spec.seed.wrapping_add(u64::try_from(index).unwrap_or(0)))
}

/// Whether a fault is for all requests of its arm on its targets.
pub(super) fn meets_all(fault: &FaultRule) -> bool {
    *fault.reach() == Reach::default()
}

/// What the filters do until `expires_at`: inject on the targets, and count the same arms on the
/// scopes `watched`, where requests of the same traces are judged.
///
/// A hypothesis about all routes of a service is judged on all, also where the fault is on one: there both rules are of one experiment,
/// and a filter counts a request once for it. But for a fault that meets only some requests of its arm it is then the
/// matching ones that count: who has met it would not be known from who has not.
pub(super) fn policies(
    spec: &ChaosSpec,
    watched: &BTreeSet<Scope>,
    expires_at: WallTime,
) -> Vec<Policy> {
    let injected = widest(chosen(spec).into_iter().map(ChaosTarget::scope).collect());
    let observed = |fault: &FaultRule| {
        let overlaps = |scope: &Scope| {
            let is_same =
                |other: &&Scope| other.service == scope.service && other.side == scope.side;
            let mut others = injected.iter().filter(is_same);
            others.any(|other| {
                other.route == scope.route
                    || other.route.is_any()
                    || (scope.route.is_any() && !meets_all(fault))
            })
        };
        let scopes = watched.iter().filter(|scope| !overlaps(scope));
        widest(scopes.cloned().collect())
    };
    let mut policies = Vec::new();
    for (index, fault) in spec.faults.iter().enumerate() {
        let arms = FaultWritten {
            id: rule_id(spec, index),
            seed: seed(spec, index),
            share: fault.share(),
            control: spec.control,
            expires_at_ms: expires_at,
            ..FaultWritten::default()
        };
        let injecting = FaultWritten {
            id: arms.id.clone(),
            seed: arms.seed,
            control: arms.control,
            expires_at_ms: expires_at,
            ..fault.clone().into()
        };
        let observed = observed(fault);
        for (scopes, written) in [(&injected, injecting), (&observed, arms)] {
            // Both were checked as part of the experiment, so both make a rule.
            let Ok(rule) = FaultRule::try_from(written) else {
                continue;
            };
            policies.extend(scopes.iter().map(|scope| Policy {
                scope: scope.clone(),
                rule: Rule::Fault(rule.clone()),
            }));
        }
    }
    policies
}

impl ChaosTarget {
    /// Whether requests of `scope` may meet the faults.
    pub(super) fn includes(&self, scope: &Scope) -> bool {
        let own = self.scope();
        own.service == scope.service
            && own.side == scope.side
            && (own.route.is_any() || own.route == scope.route)
    }

    /// The scope that the faults are on.
    pub(super) fn scope(&self) -> Scope {
        Scope {
            service: self.service.clone(),
            route: self.route.route_name(),
            side: self.side,
        }
    }
}

/// Without scopes that another one includes: a request must not be counted twice.
fn widest(mut scopes: BTreeSet<Scope>) -> BTreeSet<Scope> {
    let all = scopes.clone();
    scopes.retain(|scope| {
        scope.route.is_any()
            || !all.contains(&Scope {
                route: RouteName::any(),
                ..scope.clone()
            })
    });
    scopes
}

fn draw(seed: u64, service: &ServiceName) -> u64 {
    let key = ExperimentKey::of(service.as_str());
    mixed(mixed(seed) ^ u64::from(key.bits()))
}

/// The finalizer of splitmix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", 2014).
const fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
