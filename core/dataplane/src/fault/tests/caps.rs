//! Faults never touch more requests at a time than they may.

use super::*;

/// How many of `tries` requests `rule` touches, all under way at once.
fn touched(rule: &FaultRule, tries: u32) -> u32 {
    let (mut active, mut total) = (Active::default(), ActiveTotal::default());
    for in_flight in 1..=tries {
        active.begin(rule, in_flight, &mut total);
    }
    assert_eq!(active.count(rule.key()), total.count());
    total.count()
}

#[test]
fn a_rule_touches_as_many_as_it_may() {
    assert_eq!(touched(&rule(r#"{"reset": true, "active_max": 5}"#), 60), 5);
    assert_eq!(touched(&rule(r#"{"reset": true}"#), 60), 60);
}

#[test]
fn a_rule_touches_no_larger_share_than_it_may() {
    let tenth = rule(r#"{"reset": true, "active_share_max": 1000}"#);
    assert_eq!(touched(&tenth, 100), 10);
    assert_eq!(touched(&tenth, 1), 1, "one may always be touched");
    assert_eq!(touched(&tenth, 19), 1);
}

#[test]
fn all_together_have_a_maximum() {
    assert_eq!(
        touched(&rule(r#"{"reset": true}"#), 5_000),
        ActiveTotal::MAX
    );
}

#[test]
fn an_end_makes_room_and_a_second_end_does_not() {
    let (mut active, mut total) = (Active::default(), ActiveTotal::default());
    let rule = rule(r#"{"reset": true, "active_max": 1}"#);
    assert!(active.begin(&rule, 1, &mut total));
    assert!(!active.begin(&rule, 2, &mut total));
    active.end(rule.key(), &mut total);
    active.end(rule.key(), &mut total);
    assert_eq!((active.count(rule.key()), total.count()), (0, 0));
    assert!(active.begin(&rule, 1, &mut total));
}

#[test]
fn experiments_under_way_have_a_maximum() {
    let (mut active, mut total) = (Active::default(), ActiveTotal::default());
    let rules: Vec<FaultRule> = (0..=Active::EXPERIMENTS_MAX)
        .map(|number| named(&format!("e{number}"), 1, r#"{"reset": true}"#))
        .collect();
    let begun = rules
        .iter()
        .filter(|rule| active.begin(rule, 100, &mut total));
    assert_eq!(begun.count(), Active::EXPERIMENTS_MAX);
    active.end(rules[0].key(), &mut total);
    assert!(active.begin(&rules[Active::EXPERIMENTS_MAX], 100, &mut total));
}
