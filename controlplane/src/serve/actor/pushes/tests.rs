use std::sync::Arc;

use sloop_model::ServiceName;
use sloop_xds::rollout::{Now, RolloutPace, Vms, Wanted as Rollout};
use sloop_xds::{Resource, Snapshot, Version};

use super::*;
use crate::engine::Documents;
use crate::serve::actor::tests::{actor_on, checkout, routes};
use crate::store::InMemory;

/// A loop that has taken `documents` in and met the sidecars of `checkout`.
fn actor(documents: Documents) -> Actor {
    let mut actor = actor_on(Arc::new(InMemory::default()));
    actor.begin(documents);
    actor.meet(BTreeSet::from([checkout()]));
    actor.work();
    actor
}

#[tokio::test]
async fn a_change_is_pushed_after_the_step_that_it_asks_for() {
    let mut actor = actor(routes("/pay"));
    let now = Instant::now();
    assert_eq!(actor.push_due(now), None, "pushed already");
    // As if the last push were long ago, and the last step not.
    actor.cohorts.get_mut(&checkout()).unwrap().pace = Pace::of(PUSH_GAP);
    actor.steps = Pace::of(PUSH_GAP);
    actor.steps.done(now);
    actor.take_documents(routes("/payments"));
    actor.push(now);
    assert!(
        actor.cohorts[&checkout()].pace.is_due(now),
        "not yet pushed"
    );
    assert_eq!(actor.push_due(now), None, "the step comes first");
    actor.step(now);
    assert_eq!(actor.push_due(now), Some(now));
    actor.push(now);
    assert!(!actor.cohorts[&checkout()].pace.is_due(now), "pushed");
}

#[tokio::test]
async fn controllers_learn_of_changes_that_are_on_their_way() {
    let mut actor = actor(routes("/pay"));
    actor.step(Instant::now());
    assert!(actor.engine.changing().is_empty());
    let snapshot = |content: &str| {
        let resource = Resource::new("t", "a", content.as_bytes());
        Arc::new(Snapshot::builder().with(resource).build())
    };
    let wanted = Rollout {
        at_once: snapshot("before"),
        whole: snapshot("after"),
        revision: Version::of([b"after".as_slice()]),
        vms: Vms::Stay,
    };
    let course = actor.cohorts.get_mut(&checkout()).unwrap();
    let (wall, time) = (clock::wall(), clock::monotonic());
    let now = Now { wall, time };
    course.rollout.want(wanted, &RolloutPace::default(), now);
    actor.step(Instant::now());
    let checkout = ServiceName::try_from("checkout").unwrap();
    assert_eq!(*actor.engine.changing(), BTreeSet::from([checkout]));
}

fn policies(json: &str) -> Vec<Policy> {
    serde_json::from_str(json).unwrap()
}

#[test]
fn what_protects_is_urgent_and_its_renewal_is_not() {
    let scope = r#""scope": {"service": "checkout", "route": "*", "side": "server"}"#;
    let fault = |share: u32, ends: u64| {
        policies(&format!(
            r#"[{{{scope}, "rule": {{"fault":
                {{"id": "late", "share": {share}, "delay_ms": 5, "expires_at_ms": {ends}}}}}}}]"#
        ))
    };
    assert!(is_urgent(&[], &fault(100, 9)), "a fault begins");
    assert!(!is_urgent(&fault(100, 9), &fault(100, 99)), "it is renewed");
    assert!(is_urgent(&fault(100, 9), &fault(200, 9)), "it is another");
    assert!(is_urgent(&fault(100, 9), &[]), "it ends");
    let trip = |id| {
        policies(&format!(
            r#"[{{{scope}, "rule": {{"trip": {{"id": {id}, "until_ms": 9}}}}}}]"#
        ))
    };
    assert!(is_urgent(&trip(1), &trip(2)));
}
