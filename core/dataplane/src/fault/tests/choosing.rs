//! Who meets a fault, and for how long.

use super::*;

const RESET: &str = r#"{"reset": true}"#;

#[test]
fn the_moment_of_expiry_is_too_late() {
    let until = |millis: u64| rule(&format!(r#"{{"reset": true, "expires_at_ms": {millis}}}"#));
    let rules = faults(&[until(100), until(101)]);
    let at = |millis| {
        rules
            .choose(&facts(1), || wall(millis))
            .hit()
            .map(|hit| hit.position)
    };
    assert_eq!(at(99), Some(0));
    assert_eq!(at(100), Some(1));
    assert_eq!(at(101), None);
}

#[test]
fn the_clock_is_not_asked_for_those_untouched() {
    let rules = faults(&[named("a", 0, RESET)]);
    let choice = rules.choose(&facts(1), || panic!("nothing was drawn"));
    assert!(choice.is_untouched());
}

#[test]
fn the_first_that_chooses_wins() {
    let rules = faults(&[named("a", 5_000, RESET), named("b", 10_000, RESET)]);
    let hits: Vec<_> = (1..100).map(|low| hit(&rules, &facts(low))).collect();
    assert!(hits.contains(&Some(0)) && hits.contains(&Some(1)) && !hits.contains(&None));
}

#[test]
fn only_the_named_callers_and_criticalities_meet_it() {
    let rules = faults(&[rule(
        r#"{"reset": true, "caller": ["shop", "cart"], "criticality": ["sheddable"]}"#,
    )]);
    let meets = |caller: &'static [u8], criticality| {
        let facts = Facts {
            caller,
            criticality,
            ..facts(1)
        };
        hit(&rules, &facts).is_some()
    };
    let low = Criticality::Sheddable;
    assert!(meets(b"shop", low) && meets(b"cart", low));
    assert!(!meets(b"web", low) && !meets(b"shop", Criticality::Critical));
    assert!(!meets(b"", low), "not known is not named");
}

#[test]
fn only_requests_that_match_meet_it() {
    let rules = faults(&[rule(
        r#"{"reset": true, "match": {"path": {"prefix": "/a"}, "headers": [{"name": "x-tenant", "exact": "t"}]}}"#,
    )]);
    let meets = |path: &[u8], tenant: &[u8]| {
        with_request(&[(":path", path), ("x-tenant", tenant)], |request| {
            let facts = Facts {
                request: Some(request),
                ..facts(1)
            };
            hit(&rules, &facts).is_some()
        })
    };
    assert!(meets(b"/a/b", b"t"));
    assert!(!meets(b"/b", b"t") && !meets(b"/a", b"u"));
    assert_eq!(
        hit(&rules, &facts(1)),
        None,
        "nothing is known of its headers"
    );
}

#[test]
fn a_share_of_sidecars_is_a_share() {
    let seed = |seed| {
        rule(&format!(
            r#"{{"reset": true, "sidecars": 1000, "seed": {seed}}}"#
        ))
    };
    let names: Vec<String> = (0..10_000)
        .map(|number| format!("sidecar~10.0.0.{number}"))
        .collect();
    let chosen = |rule: &FaultRule| -> Vec<bool> {
        let rules = std::slice::from_ref(rule);
        let is_in = |name: &String| !Faults::new(rules, Sidecar::named(name.as_bytes())).is_empty();
        names.iter().map(is_in).collect()
    };
    let (one, other) = (chosen(&seed(1)), chosen(&seed(2)));
    let count = |which: &[bool]| which.iter().filter(|is_in| **is_in).count();
    assert!((900..1_100).contains(&count(&one)), "{}", count(&one));
    let both = one.iter().zip(&other).filter(|(a, b)| **a && **b).count();
    assert!((50..150).contains(&both), "about 1 %: {both}");
    assert_eq!(one, chosen(&seed(1)), "the same sidecars again");
}

#[test]
fn a_sidecar_without_a_name_takes_part_in_what_is_for_all() {
    let some = rule(r#"{"reset": true, "sidecars": 9999}"#);
    let all = rule(RESET);
    for unknown in [Sidecar::UNKNOWN, Sidecar::named(b"")] {
        assert_eq!(
            Faults::new(&[some.clone(), all.clone()], unknown)
                .rules()
                .count(),
            1
        );
    }
}

#[test]
fn a_fault_for_versions_is_left_out_elsewhere() {
    let some = rule(r#"{"reset": true, "version": ["v2", "v3"]}"#);
    let takes = |sidecar| !Faults::new(std::slice::from_ref(&some), sidecar).is_empty();
    let named = Sidecar::named(b"payments-1");
    for (version, is_in) in [("v1", false), ("v2", true), ("v3", true), ("", false)] {
        assert_eq!(takes(named.of_version(version.as_bytes())), is_in);
    }
    assert!(!takes(Sidecar::UNKNOWN), "what is not known is not it");
    let all = rule(RESET);
    assert!(!Faults::new(&[all], Sidecar::UNKNOWN).is_empty());
}

#[test]
fn a_rule_that_does_nothing_does_not_stand_before_others() {
    let watch = named("w", 9_999, r#"{"control": 1}"#);
    let rules = faults(&[watch.clone(), named("b", 10_000, RESET)]);
    assert_eq!(hit(&rules, &facts(1)), Some(1));
    let alone = faults(&[watch]);
    let choice = alone.choose(&facts(1), || wall(1));
    assert_eq!(choice.hit(), None);
    let counted: Vec<_> = alone.counted(choice).collect();
    assert_eq!(counted, [(ExperimentKey::of("w"), Arm::Fault)]);
}

#[test]
fn sixteen_rules_fit() {
    let mut rules: Vec<FaultRule> = (0..16)
        .map(|number| named(&format!("c{number}"), 0, r#"{"control": 10000}"#))
        .collect();
    let all = faults(&rules);
    let choice = all.choose(&facts(1), || wall(1));
    assert_eq!(all.counted(choice).count(), 16);
    rules.push(rule(RESET));
    assert_eq!(
        hit(&faults(&rules), &facts(1)),
        None,
        "the seventeenth is left out"
    );
}

#[test]
fn an_injection_says_everything_that_happens() {
    let spoiled = faults(&[rule(
        r#"{"delay_ms": 7, "side_of_exchange": "response", "body": {"corrupt": 1},
            "headers": {"set": [["a", "b"]], "remove": ["c"]}}"#,
    )]);
    let hit = spoiled.choose(&facts(1), || wall(1)).hit().unwrap();
    let injection = spoiled.injection(hit, None).unwrap();
    assert_eq!(injection.on, ExchangeSide::Response);
    assert_eq!(injection.delay, Some(Duration::from_millis(7)));
    assert_eq!(
        (injection.headers.set.len(), injection.headers.remove.len()),
        (1, 1)
    );
    assert!(injection.body_plan().is_some());
    assert_eq!(injection.ending, None);
    let ended = faults(&[rule(r#"{"delay_ms": 7, "abort_grpc_status": 14}"#)]);
    let injection = ended.injection(hit, None).unwrap();
    assert_eq!(
        injection.ending,
        Some(FaultEnding::AbortGrpc { status: 14 })
    );
    assert!(injection.body_plan().is_none());
}
