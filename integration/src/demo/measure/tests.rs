use super::super::invented::{self, BEGAN_MS, FLEET_MS, LOCAL_MS, RELAXED_MS};
use super::super::observed::BreakerCause;
use super::super::promise::promises;
use super::*;

fn enforced() -> Observed {
    invented::run(Enforcement::Enforced)
}

#[test]
fn mitigation_counts_from_the_first_bad_answer() {
    let run = measure(&enforced());
    assert_eq!(run.troubles.len(), 3);
    for trouble in &run.troubles {
        assert_eq!(trouble.local_ms, Some(LOCAL_MS), "{}", trouble.name);
        assert_eq!(trouble.fleet_ms, Some(FLEET_MS), "{}", trouble.name);
        assert_eq!(trouble.relaxed_ms, Some(RELAXED_MS), "{}", trouble.name);
        assert_eq!(trouble.opened[0].node, "checkout-1");
        assert_eq!(trouble.opened[1].cause, BreakerCause::Fleet);
    }
}

#[test]
fn people_hear_of_trouble_after_the_first_bad_answer_or_know_already() {
    let mut observed = enforced();
    let known = |observed: &Observed| {
        let troubles = measure(observed).troubles.into_iter();
        troubles.map(|it| it.heard_ms).collect::<Vec<_>>()
    };
    assert_eq!(known(&observed), [Some(1_200), Some(0), Some(0)]);
    // The first alert is over before the second trouble.
    observed.heard[0].over_ms = Some(22_000);
    assert_eq!(known(&observed), [Some(1_200), Some(1_200), Some(0)]);
    observed.heard.clear();
    assert_eq!(known(&observed), [None; 3]);
    let run = measure(&observed);
    let broken = promises(&run, &run).into_iter().filter(|it| !it.kept);
    let broken: Vec<String> = broken.map(|it| it.what).collect();
    let hears = broken.iter().filter(|what| what.contains("hear"));
    assert_eq!(hears.count(), 4, "{broken:?}");
}

#[test]
fn a_caller_that_never_opened_means_no_fleet_wide_mitigation() {
    let mut observed = enforced();
    observed.changes.retain(|change| change.node != "edge-1");
    let run = measure(&observed);
    assert_eq!(run.troubles[0].local_ms, Some(LOCAL_MS));
    assert_eq!(run.troubles[0].fleet_ms, None);
    assert!(!promises(&run, &run)[1].kept);
}

#[test]
fn a_breaker_that_stays_open_has_not_relaxed() {
    let mut observed = enforced();
    observed
        .changes
        .retain(|change| change.to != BreakerState::Closed);
    assert_eq!(measure(&observed).troubles[0].relaxed_ms, None);
}

#[test]
fn all_requests_are_counted_once_and_goodput_is_per_second() {
    let observed = enforced();
    let run = measure(&observed);
    let total = u64::try_from(observed.seen.len()).unwrap();
    assert_eq!(run.whole.kinds.total(), total);
    assert_eq!(
        run.slices
            .iter()
            .map(|slice| slice.kinds.total())
            .sum::<u64>(),
        total
    );
    assert_eq!(
        run.routes
            .values()
            .map(|route| route.kinds.total())
            .sum::<u64>(),
        total
    );
    assert_eq!(run.in_trouble.lasting_ms, 18_000);
    assert!((60.0..90.0).contains(&run.in_trouble.goodput));
}

#[test]
fn refusing_with_a_reason_is_no_failure_of_sloop() {
    assert_eq!(measure(&enforced()).failed_by_sloop.len(), 0);
    let shadow = measure(&invented::run(Enforcement::Shadow));
    assert_eq!(shadow.failed_by_sloop.len(), 0);
}

#[test]
fn refusing_in_shadow_mode_is_a_failure_of_sloop() {
    let mut observed = invented::run(Enforcement::Shadow);
    observed.seen[0].answer = Some("degraded".to_owned());
    assert_eq!(measure(&observed).failed_by_sloop.len(), 1);
}

#[test]
fn refusing_while_all_is_well_is_a_failure_of_sloop() {
    let mut observed = enforced();
    observed.seen[0].answer = Some("refused".to_owned());
    let run = measure(&observed);
    assert_eq!(run.failed_by_sloop.len(), 1);
    assert!(promises(&run, &run).iter().any(|promise| !promise.kept));
}

#[test]
fn refusing_in_trouble_before_a_breaker_opens_is_none() {
    let mut observed = enforced();
    let mut seen = observed.seen.iter_mut();
    let seen = seen
        .find(|it| it.answer.as_deref() == Some("failed"))
        .unwrap();
    (seen.latency_us, seen.answer) = (6_000, Some("refused".to_owned()));
    assert_eq!(measure(&observed).failed_by_sloop.len(), 0);
}

#[test]
fn an_error_in_calm_is_a_failure_of_sloop() {
    let mut observed = enforced();
    observed.seen[0].ending = Ending::Status(500);
    observed.seen[0].answer = None;
    assert_eq!(measure(&observed).failed_by_sloop.len(), 1);
}

#[test]
fn two_breakers_of_a_sidecar_show_as_the_less_closed_one() {
    let mut observed = enforced();
    let change = |breaker: &str, at_ms, to| Change {
        node: "edge-1".to_owned(),
        breaker: breaker.to_owned(),
        at_ms: BEGAN_MS + at_ms,
        to,
        cause: BreakerCause::Time,
    };
    observed.changes = vec![
        change("a", 10, BreakerState::Open),
        change("b", 20, BreakerState::Open),
        change("a", 30, BreakerState::Closed),
        change("b", 40, BreakerState::Closed),
    ];
    let run = measure(&observed);
    let band = run.bands.iter().find(|band| band.node == "edge-1").unwrap();
    assert_eq!(
        band.states,
        [
            (0, BreakerState::Closed),
            (10, BreakerState::Open),
            (40, BreakerState::Closed)
        ]
    );
}

#[test]
fn a_run_in_which_nothing_was_seen_has_no_numbers_and_keeps_no_promise() {
    let mut observed = enforced();
    observed.seen.clear();
    observed.changes.clear();
    observed.episodes.clear();
    observed.effects.clear();
    let run = measure(&observed);
    assert_eq!(run.push_to_effect, Spread::default());
    assert!(!promises(&run, &run)[0].kept);
}
