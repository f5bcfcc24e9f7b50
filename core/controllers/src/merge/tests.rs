use sloop_model::{
    BreakerLimits, BreakerManner, DeadlineLimit, FaultWritten, Judge, Mode, RouteName, ServiceName,
    Share, Side, Target, WallTime,
};

use super::*;
use crate::{Decision, IntentId, Slo};

fn scope(route: &str) -> Scope {
    Scope {
        service: ServiceName::try_from("payments").unwrap(),
        route: RouteName::try_from(route).unwrap(),
        side: Side::Server,
    }
}

fn limits(target: f64) -> BreakerRule {
    crate::circuit_break::derived_limits(Target::parse(target).unwrap(), None).unwrap()
}

fn breaks(route: &str, mode: BreakerMode, target: f64) -> Policy {
    Policy {
        scope: scope(route),
        rule: Rule::Break {
            mode,
            limits: limits(target),
            expires_at_ms: WallTime::from_millis(9),
        },
    }
}

fn trips(route: &str, id: u64) -> Policy {
    Policy {
        scope: scope(route),
        rule: Rule::Trip(Trip {
            id,
            until_ms: WallTime::from_millis(9),
        }),
    }
}

fn decided(kind: &'static str, policies: &[Policy]) -> Decided {
    Decided {
        intent: IntentId(kind.to_owned()),
        stage: crate::Stage::Protect,
        kind,
        decision: Decision {
            policies: policies.to_vec(),
            ..Decision::default()
        },
    }
}

fn merged(decisions: &[Decided]) -> Vec<Policy> {
    merge(decisions).0
}

const SLO: &str = Slo::KIND;
const EXPLICIT: &str = CircuitBreak::KIND;

#[test]
fn the_stricter_breaker_holds() {
    let (strict, lenient) = (
        breaks("a", BreakerMode::Enforce, 0.999),
        breaks("a", BreakerMode::Enforce, 0.95),
    );
    let both = merged(&[decided(SLO, &[lenient]), decided(SLO, &[strict])]);
    let [
        Policy {
            rule: Rule::Break { limits, .. },
            ..
        },
    ] = &both[..]
    else {
        panic!("{both:?}");
    };
    assert_eq!(limits.limits().failed_max, Share::try_from(5_005).unwrap());
}

#[test]
fn what_only_watches_does_not_tighten_what_acts() {
    let acts = breaks("a", BreakerMode::Enforce, 0.9);
    let watches = [breaks("a", BreakerMode::Shadow, 0.999), trips("a", 7)];
    assert_eq!(
        merged(&[
            decided(SLO, &watches),
            decided(SLO, std::slice::from_ref(&acts))
        ]),
        [acts],
        "and its orders do not open it"
    );
    assert_eq!(
        merged(&[decided(SLO, &watches)]).len(),
        2,
        "alone it watches with its orders"
    );
}

#[test]
fn an_explicit_document_replaces_what_slos_imply() {
    let derived = breaks("a", BreakerMode::Enforce, 0.999);
    let explicit = breaks("a", BreakerMode::Shadow, 0.5);
    assert_eq!(
        merged(&[
            decided(SLO, std::slice::from_ref(&derived)),
            decided(EXPLICIT, std::slice::from_ref(&explicit))
        ]),
        [explicit]
    );
    let for_all = breaks("*", BreakerMode::Enforce, 0.5);
    let both = merged(&[
        decided(SLO, &[derived]),
        decided(EXPLICIT, std::slice::from_ref(&for_all)),
    ]);
    assert!(
        both.iter().all(|policy| policy.rule == for_all.rule),
        "{both:?}"
    );
}

#[test]
fn what_holds_on_all_routes_takes_part_on_each() {
    let all = breaks("*", BreakerMode::Enforce, 0.999);
    let one = breaks("a", BreakerMode::Shadow, 0.9);
    let both = merged(&[
        decided(SLO, std::slice::from_ref(&all)),
        decided(SLO, &[one]),
    ]);
    assert_eq!(both.len(), 2);
    assert!(
        both.iter().all(|policy| policy.rule == all.rule),
        "{both:?}"
    );
}

#[test]
fn what_a_person_forces_holds_and_obeys_no_order() {
    let derived = [breaks("a", BreakerMode::Enforce, 0.999), trips("a", 7)];
    for forced in [
        BreakerMode::ForcedOpen,
        BreakerMode::Disabled,
        BreakerMode::MetricsOnly,
    ] {
        let explicit = breaks("a", forced, 0.5);
        assert_eq!(
            merged(&[
                decided(SLO, &derived),
                decided(EXPLICIT, std::slice::from_ref(&explicit))
            ]),
            [explicit]
        );
    }
    let all = [
        BreakerMode::MetricsOnly,
        BreakerMode::Shadow,
        BreakerMode::Enforce,
        BreakerMode::Disabled,
        BreakerMode::ForcedOpen,
    ];
    for (index, mode) in all.into_iter().enumerate() {
        let documents = all[..=index]
            .iter()
            .map(|mode| decided(EXPLICIT, &[breaks("a", *mode, 0.5)]))
            .collect::<Vec<_>>();
        assert_eq!(merged(&documents), [breaks("a", mode, 0.5)]);
    }
}

/// The same of failures and of what takes longer than so many milliseconds.
fn breaks_slow(route: &str, target: f64, slow_ms: u64) -> Policy {
    let target = Target::parse(target).unwrap();
    Policy {
        scope: scope(route),
        rule: Rule::Break {
            mode: BreakerMode::Enforce,
            limits: crate::circuit_break::derived_limits(target, Some(slow_ms * 1_000)).unwrap(),
            expires_at_ms: WallTime::from_millis(9),
        },
    }
}

#[test]
fn of_two_slos_the_shorter_threshold_is_judged() {
    let (quick, sure) = (breaks_slow("a", 0.99, 250), breaks_slow("a", 0.999, 1_000));
    let target = |target| Target::parse(target).unwrap();
    let shed = |target, slow_ms: u64| Policy {
        scope: scope("a"),
        rule: Rule::Shed {
            mode: Mode::Enforce,
            limits: crate::circuit_break::derived_shed_limits(target, Some(slow_ms * 1_000)),
            expires_at_ms: WallTime::from_millis(9),
        },
    };
    let (quick, sure) = (
        [quick, shed(target(0.99), 250)],
        [sure, shed(target(0.999), 1_000)],
    );
    for decisions in [[&quick, &sure], [&sure, &quick]] {
        let policies = merged(&decisions.map(|policies| decided(SLO, policies)));
        let slow_us = policies.iter().map(|policy| match policy.rule {
            Rule::Break { limits, .. } => limits.limits().slow_us,
            Rule::Shed { limits, .. } => limits.unwrap().limits().slow_us,
            Rule::Count(_)
            | Rule::Trip(_)
            | Rule::Fault(_)
            | Rule::Deny(_)
            | Rule::RetryBudget { .. }
            | Rule::Deadline { .. } => None,
        });
        assert_eq!(slow_us.collect::<Vec<_>>(), [Some(250_000); 2]);
    }
}

/// Whether an order that an SLO gives for what it implies, `derived`, opens the breaker that a document declares, on a route or on all.
fn is_opened(derived: Policy, explicit: Policy) -> bool {
    let route = derived.scope.route.to_string();
    let opened = ["*", &route].map(|on| {
        let explicit = Policy {
            scope: scope(on),
            ..explicit.clone()
        };
        let merged = merged(&[
            decided(SLO, &[derived.clone(), trips(&route, 7)]),
            decided(EXPLICIT, std::slice::from_ref(&explicit)),
        ]);
        merged.contains(&trips(&route, 7))
    });
    assert_eq!(opened[0], opened[1], "on all routes as on one");
    opened[0]
}

#[test]
fn what_bears_more_than_slos_imply_is_not_opened_by_their_orders() {
    let act = BreakerMode::Enforce;
    let derived = breaks("a", act, 0.999);
    assert!(!is_opened(derived.clone(), breaks("a", act, 0.5)));
    assert!(!is_opened(derived.clone(), breaks("a", act, 0.99)));
    assert!(is_opened(derived.clone(), breaks("a", act, 0.999)));
    assert!(is_opened(derived, breaks("a", act, 0.9999)));
    let quick = || breaks_slow("a", 0.99, 250);
    assert!(is_opened(quick(), quick()));
    assert!(is_opened(quick(), breaks_slow("a", 0.999, 100)));
    assert!(!is_opened(quick(), breaks_slow("a", 0.999, 251)));
    assert!(!is_opened(quick(), breaks("a", act, 0.999)));
    let own = [breaks("a", act, 0.5), trips("a", 8)];
    let all = [breaks("*", act, 0.999), trips("a", 9)];
    let policies = merged(&[decided(SLO, &all), decided(EXPLICIT, &own)]);
    assert!(policies.contains(&own[1]), "by its own: {policies:?}");
}

/// Of two documents on a scope one knows more of failures and one of what is slow.
#[test]
fn what_a_document_orders_because_of_failures_holds_however_slow_another_lets_requests_be() {
    let declares = |failed_max: u16, slow_ms: u64, slow_max: u16| {
        let share = |hundredths| Some(Share::try_from(hundredths).unwrap());
        let limits = BreakerLimits {
            failed_max: share(failed_max).unwrap(),
            slow_us: Some(slow_ms * 1_000),
            slow_max: share(slow_max),
            ..*limits(0.999).limits()
        };
        Policy {
            scope: scope("a"),
            rule: Rule::Break {
                mode: BreakerMode::Enforce,
                limits: limits.try_into().unwrap(),
                expires_at_ms: WallTime::from_millis(9),
            },
        }
    };
    let (failures, slowness) = (declares(2_000, 1_000, 5_000), declares(6_000, 100, 9_000));
    let orders = [failures, trips("a", 7)];
    let of_failures = merged(&[decided(EXPLICIT, &orders), decided(EXPLICIT, &[slowness])]);
    assert!(of_failures.contains(&orders[1]), "{of_failures:?}");
}

#[test]
fn what_judges_otherwise_is_opened_by_its_own_orders_alone() {
    let [plain, asking] = [Judge::Outcomes, Judge::Objectives].map(|judge| {
        let rule = limits(0.999);
        let limits = *rule.limits();
        let manner = BreakerManner {
            judge,
            ..limits.manner
        };
        Policy {
            scope: scope("a"),
            rule: Rule::Break {
                mode: BreakerMode::Enforce,
                limits: BreakerLimits { manner, ..limits }.try_into().unwrap(),
                expires_at_ms: WallTime::from_millis(9),
            },
        }
    });
    assert!(!is_opened(asking.clone(), plain.clone()));
    assert!(!is_opened(plain.clone(), asking.clone()));
    assert!(is_opened(asking.clone(), asking));
    assert!(is_opened(plain.clone(), plain));
}

fn sheds(route: &str, mode: Mode, target: Option<f64>) -> Policy {
    let limits = target.map(|target| {
        let target = Target::parse(target).unwrap();
        crate::circuit_break::derived_shed_limits(target, None).unwrap()
    });
    Policy {
        scope: scope(route),
        rule: Rule::Shed {
            mode,
            limits,
            expires_at_ms: WallTime::from_millis(9),
        },
    }
}

#[test]
fn a_document_makes_derived_shedding_act_within_its_bounds() {
    const SHED: &str = LoadShed::KIND;
    let implied = [
        sheds("a", Mode::Shadow, Some(0.999)),
        sheds("*", Mode::Shadow, Some(0.9)),
    ];
    let document = [sheds("*", Mode::Enforce, None)];
    let decisions = [decided(SLO, &implied), decided(SHED, &document)];
    let (policies, left_out) = merge(&decisions);
    assert_eq!(left_out, [""; 0]);
    assert_eq!(
        policies,
        [
            sheds("*", Mode::Enforce, Some(0.9)),
            sheds("a", Mode::Enforce, Some(0.999))
        ],
        "of two that imply some the earlier"
    );
    let own = [sheds("a", Mode::Shadow, Some(0.5))];
    let policies = merged(&[decided(SLO, &implied), decided(SHED, &own)]);
    assert_eq!(policies[1], own[0], "its own bounds, and it only watches");

    let (policies, left_out) = merge(&[decided(SHED, &document)]);
    assert_eq!(policies, []);
    assert!(left_out[0].contains("give limits"), "{left_out:?}");
}

fn deadline(route: &str, mode: Mode, limit_ms: u32) -> Policy {
    Policy {
        scope: scope(route),
        rule: Rule::Deadline {
            mode,
            limit_ms: DeadlineLimit::try_from(limit_ms).unwrap(),
            expires_at_ms: WallTime::from_millis(9),
        },
    }
}

fn budget(route: &str, mode: Mode, target: f64) -> Policy {
    let target = Target::parse(target).unwrap();
    Policy {
        scope: scope(route),
        rule: Rule::RetryBudget {
            mode,
            limits: crate::circuit_break::derived_retry_limits(target).unwrap(),
            expires_at_ms: WallTime::from_millis(9),
        },
    }
}

#[test]
fn the_more_patient_of_two_deadlines_holds_and_one_that_acts_before_one_that_watches() {
    let (act, watch) = (Mode::Enforce, Mode::Shadow);
    for (route, wanted, holds) in [
        ("a", [(act, 3_000), (act, 5_000)], (act, 5_000)),
        ("a", [(watch, 3_000), (watch, 5_000)], (watch, 5_000)),
        ("a", [(act, 3_000), (watch, 5_000)], (act, 3_000)),
        ("a", [(watch, 3_000), (act, 5_000)], (act, 5_000)),
        ("*", [(act, 3_000), (act, 3_000)], (act, 3_000)),
    ] {
        let [one, other] =
            wanted.map(|(mode, limit)| decided(SLO, &[deadline(route, mode, limit)]));
        let expected = [deadline(route, holds.0, holds.1)];
        assert_eq!(merged(&[one.clone(), other.clone()]), expected);
        assert_eq!(merged(&[other, one]), expected, "in any order");
    }
}

#[test]
fn a_deadline_on_all_routes_takes_part_in_that_of_each() {
    let all = [
        deadline("*", Mode::Enforce, 4_000),
        deadline("a", Mode::Enforce, 3_000),
        deadline("b", Mode::Enforce, 5_000),
        deadline("c", Mode::Shadow, 5_000),
    ];
    let expected = [
        deadline("*", Mode::Enforce, 4_000),
        deadline("a", Mode::Enforce, 4_000),
        deadline("b", Mode::Enforce, 5_000),
        deadline("c", Mode::Enforce, 4_000),
    ];
    assert_eq!(merged(&[decided(SLO, &all)]), expected);
}

#[test]
fn of_retry_budgets_the_enforced_and_then_the_least_holds() {
    let strict = decided(SLO, &[budget("a", Mode::Enforce, 0.999)]);
    let wide = decided(SLO, &[budget("a", Mode::Enforce, 0.95)]);
    let around = decided(SLO, &[budget("*", Mode::Enforce, 0.99)]);
    let shadow = decided(SLO, &[budget("a", Mode::Shadow, 0.999)]);
    let held = |decisions: &[Decided]| {
        let own = merged(decisions);
        own.into_iter().find(|policy| policy.scope == scope("a"))
    };
    let both = held(&[strict.clone(), wide.clone()]);
    assert_eq!(both, Some(budget("a", Mode::Enforce, 0.999)));
    let around = held(&[around, wide.clone()]);
    assert_eq!(around, Some(budget("a", Mode::Enforce, 0.99)));
    let watched = held(&[shadow, wide]);
    assert_eq!(watched, Some(budget("a", Mode::Enforce, 0.95)));
    const SHED: &str = LoadShed::KIND;
    for route in ["a", "*"] {
        let document = decided(SHED, &[budget(route, Mode::Shadow, 0.95)]);
        let declared = held(&[document, strict.clone()]);
        assert_eq!(declared, Some(budget("a", Mode::Shadow, 0.95)), "{route}");
    }
}

#[test]
fn an_slo_that_only_watches_has_no_say_beside_one_that_acts() {
    let (acts, watches) = (
        [sheds("a", Mode::Enforce, Some(0.9))],
        [sheds("a", Mode::Shadow, Some(0.999))],
    );
    for decisions in [[&acts, &watches], [&watches, &acts]] {
        let decisions = decisions.map(|policies| decided(SLO, policies));
        assert_eq!(merged(&decisions), acts);
    }
    let around = [sheds("*", Mode::Shadow, Some(0.999))];
    let policies = merged(&[decided(SLO, &acts), decided(SLO, &around)]);
    assert!(policies.contains(&acts[0]), "{policies:?}");
}

#[test]
fn a_document_in_shadow_keeps_what_slos_imply_from_acting() {
    const SHED: &str = LoadShed::KIND;
    let implied = [sheds("a", Mode::Enforce, Some(0.9))];
    for route in ["a", "*"] {
        let document = [sheds(route, Mode::Shadow, None)];
        let decisions = [decided(SLO, &implied), decided(SHED, &document)];
        let (policies, _) = merge(&decisions);
        assert_eq!(policies, [sheds("a", Mode::Shadow, Some(0.9))], "{route}");
    }
}

#[test]
fn the_highest_order_holds() {
    let one = [breaks("a", BreakerMode::Enforce, 0.9), trips("a", 7)];
    let other = [breaks("a", BreakerMode::Enforce, 0.9), trips("a", 9)];
    let both = merged(&[decided(SLO, &one), decided(SLO, &other)]);
    assert_eq!(both, other);
}

#[test]
fn faults_beyond_the_cap_are_said() {
    let fault = |number: usize| Policy {
        scope: scope("a"),
        rule: Rule::Fault(
            FaultWritten {
                id: format!("f{number:02}"),
                share: Share::WHOLE,
                delay_ms: Some(1),
                expires_at_ms: WallTime::from_millis(9),
                ..FaultWritten::default()
            }
            .try_into()
            .unwrap(),
        ),
    };
    let max = FilterConfig::FAULTS_MAX;
    let all: Vec<Policy> = (0..=max).map(fault).collect();
    let (policies, left_out) = merge(&[decided("fault_injection", &all)]);
    assert_eq!(policies, all[..max]);
    assert_eq!(
        left_out,
        ["fault f16 on payments a (server): a scope may have 16 faults"]
    );
}
