//! What is derived judges as the objective counts.

use sloop_model::{Judge, Selector};

use super::*;

fn selecting(slower_than_us: Option<u64>) -> Indicator {
    let bad = Selector {
        outcome: vec![Outcome::Timeout],
        slower_than_us,
        ..Selector::default()
    };
    Indicator {
        bad: Some(bad),
        ..Indicator::default()
    }
}

/// Whether a fleet that is answered with 503 alone, whose breakers went into this state lately, is ordered to open by a document
/// for a breaker that judges by `judge`.
fn is_ordered(judge: Judge, state: BreakerState) -> bool {
    let rule = derive::limits(Target::parse(0.999).unwrap(), None).unwrap();
    let intent = CircuitBreakerIntent {
        name: "a".into(),
        service: scope().service,
        route: RouteSelector::Named(scope().route),
        side: Side::Server,
        mode: BreakerMode::Enforce,
        limits: derive::judged_by(rule, judge),
        expires_at: None,
    };
    let mut world = knowing(&["a", "b"]);
    let mut memory = Orders::default();
    (1..=5).any(|second| {
        world.begin_step(at(second));
        for node in ["a", "b"] {
            let mut seen = saw(node, second, (60, 60));
            // An SLO that takes it for good.
            seen.scopes[0].objectives[0].good = 60;
            seen.scopes[0].breaker = Some(BreakerReading {
                state: BreakerState::Closed,
                changes: vec![BreakerChange {
                    to: state,
                    at: at(second),
                    cause: BreakerCause::Failures,
                }],
            });
            world.observe(seen);
        }
        let decision = CircuitBreak.step(&intent, &mut memory, &world);
        trip(&decision).is_some()
    })
}

#[test]
fn what_a_document_has_judged_by_objectives_is_not_ordered_to_open_by_outcomes() {
    let [closed, open] = [BreakerState::Closed, BreakerState::Open];
    assert!(!is_ordered(Judge::Objectives, closed));
    assert!(is_ordered(Judge::Outcomes, closed));
    assert!(is_ordered(Judge::Both, closed));
    assert!(is_ordered(Judge::Objectives, open), "who asked them opened");
}

/// The breaker and the shedding that an SLO about `indicator` implies.
fn implied(indicator: Indicator) -> (BreakerRule, ShedRule) {
    let mut intent = slo(SloMode::Actionable, 0.999);
    for objective in &mut intent.objectives {
        let source = objective.source.as_mut().unwrap();
        source.indicator = indicator.clone();
    }
    let decision = DerivedBreak.step(&intent, &mut Orders::default(), &of_one_sidecar());
    let mut rules = decision.policies.iter().map(|policy| &policy.rule);
    let breaker = rules.clone().find_map(|rule| {
        if let Rule::Break { limits, .. } = rule {
            Some(*limits)
        } else {
            None
        }
    });
    let shed = rules.find_map(|rule| {
        if let Rule::Shed { limits, .. } = rule {
            *limits
        } else {
            None
        }
    });
    (breaker.unwrap(), shed.unwrap())
}

/// By what both judge, and what is slow to them.
fn judged(indicator: Indicator) -> (Judge, Option<u64>) {
    let (breaker, shed) = implied(indicator);
    let (breaker, shed) = (breaker.limits(), shed.limits());
    assert_eq!(breaker.manner.judge, shed.judge);
    assert_eq!(breaker.slow_us, shed.slow_us);
    (shed.judge, shed.slow_us)
}

#[test]
fn an_slo_that_selects_is_judged_by_objectives_and_another_by_outcomes() {
    let within = Indicator {
        within_us: Some(250_000),
        ..Indicator::default()
    };
    assert_eq!(judged(Indicator::default()), (Judge::Outcomes, None));
    assert_eq!(judged(within.clone()), (Judge::Outcomes, Some(250_000)));
    assert_eq!(judged(selecting(None)), (Judge::Objectives, None));
    let total = Indicator {
        total: Some(Selector::default()),
        ..within
    };
    assert_eq!(judged(total), (Judge::Objectives, Some(250_000)));
}

#[test]
fn what_is_bad_for_its_slowness_is_slow() {
    let slow = selecting(Some(100_000));
    assert_eq!(judged(slow.clone()), (Judge::Objectives, Some(100_000)));
    let both = Indicator {
        within_us: Some(50_000),
        ..slow
    };
    assert_eq!(judged(both), (Judge::Objectives, Some(50_000)));
}

#[test]
fn two_slos_of_both_kinds_are_judged_by_both() {
    let (plain, plain_shed) = implied(Indicator::default());
    let (selecting, selecting_shed) = implied(selecting(None));
    for (one, other) in [(plain, selecting), (selecting, plain)] {
        assert_eq!(stricter(one, other).limits().manner.judge, Judge::Both);
    }
    let both = earlier(plain_shed, selecting_shed).limits().judge;
    assert_eq!(both, Judge::Both);
    let same = stricter(selecting, selecting).limits().manner.judge;
    assert_eq!(same, Judge::Objectives);
}

#[test]
fn only_objectives_that_something_is_derived_from_guard() {
    let target = |fraction| Target::parse(fraction).unwrap();
    let guard =
        |mode: SloMode, fraction| guards(mode.protection(), target(fraction), &selecting(None));
    assert_eq!(guard(SloMode::Monitored, 0.99), None);
    assert_eq!(guard(SloMode::Shadow, 0.99), Some(Mode::Shadow));
    assert_eq!(guard(SloMode::Actionable, 0.99), Some(Mode::Enforce));
    assert_eq!(
        guard(SloMode::Actionable, 0.0),
        None,
        "everything may be bad"
    );
    let plain = guards(Some(Mode::Enforce), target(0.99), &Indicator::default());
    assert_eq!(plain, None, "outcomes say as much");
}

#[test]
fn an_slo_on_some_requests_of_a_route_counts_and_protects_none() {
    let mut intent = slo(SloMode::Actionable, 0.99);
    let source = intent.objectives[0].source.as_mut().unwrap();
    source.indicator = Indicator {
        only: serde_json::from_str(r#"{"caller": ["web"]}"#).unwrap(),
        ..selecting(Some(100_000))
    };
    let world = of_one_sidecar();
    let decision = DerivedBreak.step(&intent, &mut Orders::default(), &world);
    assert_eq!(decision.policies, []);
    let because = decision.because;
    assert!(
        because.contains("some requests of a route only"),
        "{because}"
    );
    let counted = Slo.step(&intent, &mut crate::SloMemory::default(), &world);
    let [
        Policy {
            rule: Rule::Count(objective),
            ..
        },
    ] = counted.policies.as_slice()
    else {
        panic!("{:?}", counted.policies);
    };
    assert!(objective.only.is_some());
    assert_eq!(objective.guards, None);
}

#[test]
fn people_read_by_what_it_judges() {
    let words = trip_status(Target::parse(0.9).unwrap(), &selecting(Some(100_000)));
    let words = words.unwrap().derivation;
    let expected =
        "more than 55 % were bad as the objective counts them or were slower than 100 ms";
    assert!(words.contains(expected), "{words}");
}
