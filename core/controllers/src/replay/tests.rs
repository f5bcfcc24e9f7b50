use core::time::Duration;

use sloop_model::{ObjectiveId, Outcome, SloName};

use super::*;
use crate::{ObjectiveCounts, ScopeCounts};

const BODY: &str = r#"{
    "name": "pay", "service": "payments", "mode": "actionable",
    "window": {"rolling": 2592000000}, "budgeting": "occurrences",
    "objectives": [{"target": 999000000, "source": {
        "service": "payments", "route": {"named": "charge"}, "side": "server", "indicator": {}
    }}]
}"#;

fn observation(now: WallTime, (total, bad): (u64, u64)) -> Observation {
    let mut outcomes = [0; Outcome::ALL.len()];
    outcomes[Outcome::Success.index()] = total - bad;
    outcomes[Outcome::ServerError.index()] = bad;
    let scope = r#"{"service": "payments", "route": "charge", "side": "server"}"#;
    Observation {
        node: "a".to_owned(),
        incarnation: 1,
        sidecar: crate::SidecarReading::default(),
        from: now.before(Duration::from_secs(1)),
        at: now,
        scopes: vec![ScopeCounts {
            requests: total,
            outcomes,
            objectives: vec![ObjectiveCounts {
                id: ObjectiveId {
                    slo: SloName::try_from("pay").unwrap(),
                    index: 0,
                },
                total,
                good: total - bad,
            }],
            ..ScopeCounts::nothing(serde_json::from_str(scope).unwrap())
        }],
    }
}

/// Half a minute with an outage, and a change of the documents.
fn record() -> Vec<Input> {
    let at = |second: u64| WallTime::from_millis(1_700_000_000_000 + second * 1_000);
    let put = |body: &str| Input::Put {
        id: IntentId("SLO/pay".to_owned()),
        kind: "slo".to_owned(),
        body: body.to_owned(),
    };
    let mut inputs = vec![Input::Restore(Vec::new()), put(BODY)];
    for second in 1..30 {
        let bad = if (10..15).contains(&second) { 50 } else { 0 };
        inputs.push(Input::Now(at(second)));
        inputs.push(Input::Observe(Box::new(observation(at(second), (50, bad)))));
        inputs.push(Input::Step(at(second)));
        if second == 20 {
            inputs.push(put(&BODY.replace("actionable", "shadow")));
        }
    }
    inputs.push(Input::Remove(IntentId("SLO/pay".to_owned())));
    inputs.push(Input::Step(at(31)));
    inputs
}

/// All that is decided when `inputs` happen, as text.
fn decided(inputs: impl IntoIterator<Item = Input>) -> Vec<String> {
    let mut brain = Brain::default();
    let steps = inputs
        .into_iter()
        .filter_map(|input| brain.take(input).unwrap());
    steps
        .map(|step| serde_json::to_string(&step).unwrap())
        .collect()
}

#[test]
fn the_same_inputs_give_the_same_decisions_byte_for_byte() {
    let first = decided(record());
    assert_eq!(first.len(), 30);
    assert!(
        first.iter().any(|step| step.contains("trip")),
        "it decides something"
    );
    assert_eq!(decided(record()), first);
}

#[test]
fn a_record_may_travel_as_text() {
    let lines: Vec<String> = record()
        .iter()
        .map(|input| serde_json::to_string(input).unwrap())
        .collect();
    let read = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    assert_eq!(decided(read), decided(record()));
}

#[test]
fn other_inputs_give_other_decisions() {
    let calm = record().into_iter().map(|input| match input {
        Input::Observe(seen) => Input::Observe(Box::new(observation(seen.at, (50, 0)))),
        other @ (Input::Restore(_)
        | Input::Put { .. }
        | Input::Remove(_)
        | Input::Now(_)
        | Input::Changing(_)
        | Input::Routes(_)
        | Input::ReportsEvery { .. }
        | Input::Step(_)) => other,
    });
    assert_ne!(decided(calm), decided(record()));
}

#[test]
fn a_bad_intent_is_refused_and_what_was_known_stays() {
    let mut brain = Brain::default();
    let bad = Input::Put {
        id: IntentId("SLO/pay".to_owned()),
        kind: "slo".to_owned(),
        body: "{}".to_owned(),
    };
    assert!(brain.take(bad).is_err());
    let step = brain.take(Input::Step(WallTime::from_millis(1))).unwrap();
    assert_eq!(step, Some(Step::default()));
}

#[test]
fn an_objective_counts_only_at_its_source_before_the_first_step_too() {
    let at = |second: u64| WallTime::from_millis(1_700_000_000_000 + second * 1_000);
    let mut brain = Brain::default();
    let mut elsewhere = observation(at(1), (50, 50));
    for counts in &mut elsewhere.scopes {
        counts.scope.service = ServiceName::try_from("shop").unwrap();
    }
    let put = Input::Put {
        id: IntentId("SLO/pay".to_owned()),
        kind: "slo".to_owned(),
        body: BODY.to_owned(),
    };
    for input in [put, Input::Now(at(1)), Input::Observe(Box::new(elsewhere))] {
        brain.take(input).unwrap();
    }
    assert_eq!(brain.world.lost().elsewhere, 50);
}
