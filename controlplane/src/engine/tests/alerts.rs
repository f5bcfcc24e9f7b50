//! Who was told of an alert is told of its end, also by a process that began in between, and of what is done about it meanwhile.

use std::time::Instant;

use sloop_controllers::{
    Alert, AlertIntent, AlertKind, AlertReason, AlertState, AlertTarget, AlertWhen, Brain,
    Comparison,
};

use super::*;
use crate::alerts::{Ended, Outbox};

/// Fires when in the last minute surely more than two tenths of what may be bad was, at a target of 90 %.
fn policy() -> AlertIntent {
    AlertIntent {
        policy: "wake".to_owned(),
        slo: SloName::try_from("pay").unwrap(),
        service: ServiceName::try_from("checkout").unwrap(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        objectives: vec![(0, Target::parse(0.9).unwrap())],
        slices: Vec::new(),
        composite: None,
        severity: "page".to_owned(),
        op: Comparison::Gt,
        threshold: 2.0,
        lookback_ms: 60_000,
        after_ms: 0,
        when: AlertWhen {
            breaching: true,
            resolved: true,
            no_data: false,
        },
        acting: false,
        targets: vec![AlertTarget {
            name: "phone".to_owned(),
            url: "http://127.0.0.1:1/".to_owned(),
        }],
    }
}

/// A process with an SLO that nothing acts on, and an alert on it.
fn alerting() -> Process {
    alerting_on(SloMode::Monitored)
}

/// The same with an SLO in this mode.
fn alerting_on(mode: SloMode) -> Process {
    let mut process = Process::begin();
    let mut documents = documents(&[slo("pay", mode, 0.9)]);
    let body = serde_json::to_string(&policy()).unwrap();
    let id = IntentId("SLO/pay/alert/wake".to_owned());
    documents.intents.insert(id, (Alert::KIND, body));
    assert!(process.engine.set_documents(documents, NOW).is_empty());
    process
}

/// Lets `second` after [`NOW`] be decided, with so many of a hundred requests bad in the second before, and stores what is to
/// be stored. What people are told then: the state, whom, since when and until when, in milliseconds after [`NOW`].
fn told(
    process: &mut Process,
    second: u64,
    bad: Option<u64>,
) -> Option<(AlertState, usize, u64, Option<u64>)> {
    let now = NOW.after(SECOND * u32::try_from(second).unwrap());
    if let Some(bad) = bad {
        let mut report = report(7, second, 100, bad);
        report.from_ms = now.before(SECOND).as_millis();
        report.to_ms = now.as_millis();
        process.take_only(report, now);
    }
    process.engine.step(now);
    process.store.commit(&process.engine.changes()).unwrap();
    let alerts = process.engine.alerts();
    let after = |at: WallTime| at.since(NOW).as_millis().try_into().unwrap();
    alerts.first().map(|alert| {
        assert_eq!(alert.kind, AlertKind::Breaching);
        let (since, until) = (after(alert.since_ms), alert.until_ms.map(after));
        (alert.state, alert.targets.len(), since, until)
    })
}

#[test]
fn one_that_fired_before_a_restart_is_the_same_after_it_and_ends() {
    let mut process = alerting();
    assert_eq!(told(&mut process, 1, Some(0)), None);
    let firing = Some((AlertState::Firing, 1, 2_000, None));
    assert_eq!(told(&mut process, 2, Some(90)), firing);
    process.restart();
    assert_eq!(told(&mut process, 10, None), firing, "nothing came yet");
    process.restart();
    // So long that no window knows of what was bad.
    assert_eq!(told(&mut process, 600, None), firing, "nobody knows");
    assert_eq!(told(&mut process, 601, Some(0)), firing, "it may come back");
    let ended = (602..700)
        .map(|second| told(&mut process, second, Some(0)))
        .find(|now| *now != firing);
    let over = Some((AlertState::Resolved, 1, 2_000, Some(660_000)));
    assert_eq!(ended, Some(over));
}

#[test]
fn of_one_that_ended_just_before_a_restart_people_are_told_after_it() {
    let mut process = alerting();
    told(&mut process, 2, Some(90));
    for second in 3..=63 {
        told(&mut process, second, Some(0));
    }
    let over = told(&mut process, 140, Some(0));
    assert!(
        matches!(over, Some((AlertState::Resolved, 1, 2_000, _))),
        "{over:?}"
    );
    process.restart();
    assert_eq!(told(&mut process, 141, None), over);
    let quarter = 140 + 15 * 60;
    assert_eq!(told(&mut process, quarter, Some(0)), None, "they know");
    process.restart();
    assert_eq!(told(&mut process, quarter + 1, Some(0)), None);
    assert!(process.store.list(b"cell\nalert").unwrap().is_empty());
}

/// Declares the SLO, and no alert on it.
fn withdraw(process: &mut Process) {
    let documents = documents(&[slo("pay", SloMode::Monitored, 0.9)]);
    assert!(process.engine.set_documents(documents, NOW).is_empty());
}

#[test]
fn one_that_is_withdrawn_while_it_fires_is_over_and_stays_so() {
    let mut process = alerting();
    told(&mut process, 2, Some(90));
    withdraw(&mut process);
    let over = Some((AlertState::Resolved, 1, 2_000, Some(3_000)));
    assert_eq!(told(&mut process, 3, Some(90)), over);
    let alert = process.engine.alerts().remove(0);
    assert_eq!(alert.reason, Some(AlertReason::Withdrawn));
    process.restart();
    assert_eq!(told(&mut process, 4, Some(90)), over);
    assert_eq!(told(&mut process, 4 + 15 * 60, Some(90)), None, "they know");
    assert!(process.store.list(b"cell\nwithdrawn").unwrap().is_empty());
}

#[test]
fn also_when_its_document_went_while_nothing_ran() {
    let mut process = alerting();
    told(&mut process, 2, Some(90));
    process.engine = Engine::restore(&process.store).unwrap();
    withdraw(&mut process);
    let over = Some((AlertState::Resolved, 1, 2_000, Some(60_000)));
    assert_eq!(told(&mut process, 60, None), over);
}

#[test]
fn an_order_that_is_given_after_people_were_told_is_told_too() {
    let mut process = alerting_on(SloMode::Actionable);
    let (mut outbox, begin) = (Outbox::default(), Instant::now());
    let mut heard = Vec::new();
    for second in 1..=30 {
        // More than the policy allows and less than opens a breaker, then nearly all, then none.
        let bad = match second {
            ..6 => 30,
            6..9 => 95,
            _ => 0,
        };
        told(&mut process, second, Some(bad));
        let now = begin + Duration::from_secs(second);
        outbox.take(&process.engine.alerts(), now);
        for delivery in outbox.due(now) {
            outbox.ended(&delivery, Ended::Told, now);
            let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
            assert_eq!(body["status"], "firing");
            let acting = body["commonAnnotations"]["acting"].as_str().unwrap();
            heard.push((second, acting.contains("ordered to open")));
        }
    }
    assert!(
        matches!(heard[..], [(told, false), (ordered, true)] if told < 6 && (6..9).contains(&ordered)),
        "{heard:?}"
    );
    // It lasts ten seconds, and is told to be over when there is time for that again.
    let acting = process.engine.alerts().remove(0).acting.unwrap();
    assert!(
        acting.because.ends_with("; that order is over"),
        "{acting:?}"
    );
    assert!(outbox.wake_at().is_some());
}

#[test]
fn what_was_restored_is_decided_again_from_the_record() {
    let mut process = alerting();
    told(&mut process, 2, Some(90));
    process.restart();
    process.engine.begin_record(&process.store).unwrap();
    let mut brain = Brain::default();
    for line in process.engine.take_record() {
        if let Line::Input(input) = line {
            brain.take(input).unwrap();
        }
    }
    let body = serde_json::to_string(&policy()).unwrap();
    let id = IntentId("SLO/pay/alert/wake".to_owned());
    brain.controllers.put(&id, Alert::KIND, &body).unwrap();
    let now = NOW.after(SECOND * 10);
    let step = brain.take(Input::Step(now)).unwrap().unwrap();
    let alert = step.decisions.iter().flat_map(|one| &one.decision.signals);
    let alert = alert.filter_map(sloop_controllers::Signal::alert).next();
    assert_eq!(
        alert.map(|alert| alert.since_ms),
        Some(NOW.after(SECOND * 2))
    );
}
