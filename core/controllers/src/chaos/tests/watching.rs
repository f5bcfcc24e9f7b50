//! Where arms are counted, beside where faults are.

use std::collections::BTreeSet;

use super::*;

/// Of each rule of an experiment with a fault on checkout's route `cart`, watched on `watched`: its scope, and whether it injects.
fn rules(changes: serde_json::Value, watched: &[&str]) -> Vec<(String, bool)> {
    let mut changed =
        json!({"targets": [{"service": "checkout", "route": {"named": "cart"}, "side": "server"}]});
    for (field, value) in changes.as_object().unwrap() {
        changed[field] = value.clone();
    }
    let intent: ChaosIntent = serde_json::from_value(with(changed)).unwrap();
    let watched: BTreeSet<Scope> = watched.iter().map(|it| scope("checkout", it)).collect();
    let policies = targets::policies(intent.spec(), &watched, at(60));
    let rules = policies.iter().map(|policy| {
        let Rule::Fault(fault) = &policy.rule else {
            panic!("{policy:?}");
        };
        assert_eq!(fault.key(), ExperimentKey::of("aborts.1"));
        (policy.scope.to_string(), !fault.effect().is_nothing())
    });
    rules.collect()
}

fn told(rules: &[(&str, bool)]) -> Vec<(String, bool)> {
    let rules = rules.iter();
    rules
        .map(|(scope, injects)| ((*scope).to_owned(), *injects))
        .collect()
}

#[test]
fn all_routes_are_watched_where_the_fault_is_on_one() {
    let (cart, all) = ("checkout cart (server)", "checkout * (server)");
    let none = || json!({});
    assert_eq!(rules(none(), &["*"]), told(&[(cart, true), (all, false)]));
    let both = rules(none(), &["*", "cart", "order"]);
    assert_eq!(both, told(&[(cart, true), (all, false)]));
    let order = "checkout order (server)";
    let other = rules(none(), &["cart", "order"]);
    assert_eq!(other, told(&[(cart, true), (order, false)]));
    let everywhere =
        json!({"targets": [{"service": "checkout", "route": "any", "side": "server"}]});
    assert_eq!(rules(everywhere, &["*", "order"]), told(&[(all, true)]));
}

/// Who has met it could not be told from who has not.
#[test]
fn of_a_fault_for_some_requests_only_those_are_counted_on_its_target() {
    let fault = json!([{"id": "x", "share": 1_000, "abort_status": 503, "expires_at_ms": 0, "caller": ["shop"]}]);
    let some = json!({"faults": fault});
    assert_eq!(
        rules(some, &["*"]),
        told(&[("checkout cart (server)", true)])
    );
}

/// The plan takes the rate of all routes, so arms have requests of all.
#[test]
fn an_objective_on_all_routes_is_watched_on_all_where_the_fault_is_on_one() {
    let targets = json!([{"service": "checkout", "route": {"named": "cart"}, "side": "server"}]);
    let lab = Lab::of(&[with(
        json!({"targets": targets, "abort": {"burning": null}}),
    )])
    .begun();
    let observing = lab.step.policies.iter().filter(|policy| {
        let is_inert =
            |rule: &Rule| matches!(rule, Rule::Fault(fault) if fault.effect().is_nothing());
        policy.scope == scope("checkout", "*") && is_inert(&policy.rule)
    });
    assert_eq!(observing.count(), 1);
}
