//! Which of a scope's objectives says for the whole fleet what its shedding judges.
//!
//! Sidecars that see too little to judge by go by what the fleet counted, against the level of their own rule. So it must be about what the
//! rule is about: what is bad for the objective must be bad by the rule. Whatever else is counted on the scope, with
//! a shorter threshold, with selectors that do not guard or about some requests only, says nothing of that.

use sloop_model::{Judge, Mode, Objective, ObjectiveId, Policy, RouteName, Rule, Scope, ShedRule};

/// The objective, among `policies`, which are sorted, that counts what shedding on `scope` judges: that with the shortest threshold if
/// there are several. Nothing when none does, or nothing is shed there: then outcomes say what was good.
#[must_use]
pub fn fleet_objective<'a>(scope: &Scope, policies: &'a [Policy]) -> Option<&'a ObjectiveId> {
    let around = Scope {
        route: RouteName::any(),
        ..scope.clone()
    };
    let on = |scope: &Scope| {
        let from = policies.partition_point(|policy| policy.scope < *scope);
        let rest = policies.get(from..).unwrap_or_default();
        let length = rest.partition_point(|policy| policy.scope == *scope);
        rest.get(..length).unwrap_or_default()
    };
    let all = || on(scope).iter().chain(on(&around));
    let rule = all().find_map(|policy| match &policy.rule {
        Rule::Shed { limits, .. } => limits.as_ref(),
        Rule::Break { .. }
        | Rule::Count(_)
        | Rule::Trip(_)
        | Rule::Fault(_)
        | Rule::Deny(_)
        | Rule::RetryBudget { .. }
        | Rule::Deadline { .. } => None,
    })?;
    let objectives = || {
        all().filter_map(|policy| match &policy.rule {
            Rule::Count(objective) => Some(&**objective),
            Rule::Break { .. }
            | Rule::Shed { .. }
            | Rule::Trip(_)
            | Rule::Fault(_)
            | Rule::Deny(_)
            | Rule::RetryBudget { .. }
            | Rule::Deadline { .. } => None,
        })
    };
    let acts = objectives().filter_map(|objective| objective.guards).min();
    objectives()
        .filter(|objective| speaks_for(objective, rule, acts))
        .min_by_key(|objective| {
            let slow_us = objective.slow_us();
            let comes_later = (slow_us.is_none(), objective.guards.is_none());
            (comes_later, slow_us, &objective.id)
        })
        .map(|objective| &objective.id)
}

/// Whether what is bad for `objective` is bad by `rule`, where those guard that say `acts`.
fn speaks_for(objective: &Objective, rule: &ShedRule, acts: Option<Mode>) -> bool {
    let slow_us = rule.limits().slow_us;
    let is_late_for_both = objective
        .slow_us()
        .is_none_or(|own| slow_us.is_some_and(|slow_us| slow_us <= own));
    let has_say = match (rule.limits().judge, objective.selects()) {
        (Judge::Outcomes | Judge::Both, false) => true,
        (Judge::Objectives | Judge::Both, true) => {
            objective.guards.is_some() && objective.guards == acts
        }
        (Judge::Outcomes, true) | (Judge::Objectives, false) => false,
    };
    objective.only.is_none() && is_late_for_both && has_say
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sloop_model::{ServiceName, Side};

    use super::*;

    /// Which of `objectives` speaks for shedding with `limits` on the route that they are on, or all are.
    fn speaks(limits: &Value, objectives: &[Value]) -> [Option<u32>; 2] {
        ["charge", "*"].map(|route| {
            let scope = |route| Scope {
                service: ServiceName::try_from("payments").unwrap(),
                route: RouteName::try_from(route).unwrap(),
                side: Side::Server,
            };
            let rule = |rule| Policy {
                scope: scope(route),
                rule: serde_json::from_value(rule).unwrap(),
            };
            let count = |(index, objective): (usize, &Value)| {
                let mut objective = objective.clone();
                objective["id"] = json!({"slo": "a", "index": index});
                rule(json!({"count": objective}))
            };
            let shed = json!({"mode": "enforce", "limits": limits, "expires_at_ms": 1});
            let mut policies: Vec<_> = objectives.iter().enumerate().map(count).collect();
            policies.push(rule(json!({"shed": shed})));
            policies.push(Policy {
                scope: scope("before"),
                rule: policies[0].rule.clone(),
            });
            policies.push(Policy {
                scope: scope("refund"),
                rule: policies[0].rule.clone(),
            });
            policies.sort();
            fleet_objective(&scope("charge"), &policies).map(|id| id.index)
        })
    }

    fn limits(judge: &str) -> Value {
        json!({"share_max": 9000, "slow_us": 250_000, "slow_max": 700, "failed_max": 144, "judge": judge})
    }

    #[test]
    fn it_is_about_what_the_rule_is_about() {
        let quick = |within_us| json!({"within_us": within_us});
        let missing = |guards: Value| json!({"bad": {"status": [[404, 404]]}, "guards": guards});
        let within = |within_us| json!({"bad": {"slower_than_us": within_us}, "guards": "enforce"});
        let outcomes = limits("outcomes");
        // What half of all miss is not what the rule judges.
        let all = [quick(50_000), json!({}), quick(1_000_000), quick(250_000)];
        assert_eq!(speaks(&outcomes, &all), [Some(3); 2]);
        assert_eq!(speaks(&outcomes, &all[..3]), [Some(2); 2]);
        assert_eq!(speaks(&outcomes, &all[..2]), [Some(1); 2]);
        assert_eq!(speaks(&outcomes, &all[..1]), [None; 2]);
        let some = json!({"within_us": 250_000, "only": {"method": ["POST"]}});
        assert_eq!(speaks(&outcomes, &[some]), [None; 2]);
        let failures = json!({"share_max": 9000, "failed_max": 144, "judge": "outcomes"});
        assert_eq!(speaks(&failures, &all), [Some(1); 2]);
        // Nor is what only counts, whatever it selects.
        for (judge, objectives, expected) in [
            (
                "outcomes",
                [missing(json!("enforce")), missing(Value::Null)],
                None,
            ),
            (
                "objectives",
                [missing(Value::Null), missing(json!("enforce"))],
                Some(1),
            ),
            (
                "objectives",
                [missing(json!("shadow")), missing(json!("enforce"))],
                Some(1),
            ),
            (
                "objectives",
                [missing(json!("shadow")), quick(250_000)],
                Some(0),
            ),
            ("objectives", [within(50_000), within(250_000)], Some(1)),
            ("both", [missing(json!("enforce")), quick(250_000)], Some(1)),
            ("both", [missing(Value::Null), quick(50_000)], None),
        ] {
            let speaks = speaks(&limits(judge), &objectives);
            assert_eq!(speaks, [expected; 2], "{judge} {objectives:?}");
        }
    }

    #[test]
    fn where_nothing_is_shed_none_does() {
        let scope = Scope {
            service: ServiceName::try_from("payments").unwrap(),
            route: RouteName::any(),
            side: Side::Server,
        };
        assert_eq!(fleet_objective(&scope, &[]), None);
    }
}
