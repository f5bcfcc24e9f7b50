use std::sync::Arc;

use sloop_controllers::{ConfigSettings, filter_config};
use sloop_model::{ServiceName, TraceSettings};
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

/// Whose sidecars must hear soon: nobody's, or those of the named services.
fn of(services: &[&str]) -> Hurried {
    Hurried::Of(services.iter().map(|it| (*it).to_owned()).collect())
}

#[test]
fn what_protects_is_urgent_and_its_renewal_is_not() {
    let scope = r#""scope": {"service": "checkout", "route": "*", "side": "server"}"#;
    let faults = |faults: &[(u32, u64)]| {
        let fault = |(share, ends): &(u32, u64)| {
            format!(
                r#"{{{scope}, "rule": {{"fault":
                    {{"id": "late", "share": {share}, "delay_ms": 5, "expires_at_ms": {ends}}}}}}}"#
            )
        };
        let all: Vec<_> = faults.iter().map(fault).collect();
        policies(&format!("[{}]", all.join(",")))
    };
    let is_hurried = |before: &[(u32, u64)], after: &[(u32, u64)]| {
        let hurried = hurried(&faults(before), &faults(after));
        assert!([of(&[]), of(&["checkout"])].contains(&hurried));
        hurried == of(&["checkout"])
    };
    assert!(is_hurried(&[], &[(100, 9)]), "a fault begins");
    assert!(!is_hurried(&[(100, 9)], &[(100, 99)]), "it is renewed");
    assert!(is_hurried(&[(100, 9)], &[(200, 9)]), "it is another");
    assert!(is_hurried(&[(100, 9)], &[]), "it ends");
    let two = [(100, 9), (100, 99)];
    assert!(is_hurried(&two, &[(100, 99)]), "one of two equal ones ends");
    assert!(!is_hurried(&two, &two));
    let trip = |id| {
        policies(&format!(
            r#"[{{{scope}, "rule": {{"trip": {{"id": {id}, "until_ms": 9}}}}}}]"#
        ))
    };
    assert_eq!(hurried(&trip(1), &trip(2)), of(&["checkout"]));
    assert_eq!(hurried(&trip(1), &trip(1)), of(&[]));
}

/// What a policy of each kind says, but for those that may wait.
const RULES: [&str; 7] = [
    r#""break": {"mode": "enforce", "expires_at_ms": 9, "limits": {"window_ms": 10000, "window_buckets": 10,
        "calls_min": 10, "failed_max": 5000, "open_ms": 500, "open_max_ms": 5000, "probes": 2}}"#,
    r#""trip": {"id": 7, "until_ms": 9}"#,
    r#""fault": {"id": "late", "share": 100, "delay_ms": 5, "expires_at_ms": 9}"#,
    r#""shed": {"mode": "enforce", "limits": {"share_max": 5000, "in_flight_max": 100}, "expires_at_ms": 9}"#,
    r#""deny": {"id": "out", "match": {"path": {"prefix": "/"}}, "share_max": 5000, "expires_at_ms": 9}"#,
    r#""deadline": {"mode": "enforce", "limit_ms": 500, "expires_at_ms": 9}"#,
    r#""retry_budget": {"mode": "enforce", "limits": {"share": 500, "least": 1}, "expires_at_ms": 9}"#,
];

#[test]
fn whoever_is_told_something_else_of_what_protects_is_hurried_and_few_others() {
    let sets = routes("/pay").route_sets;
    let settings = ConfigSettings {
        report: None,
        trace: TraceSettings::default(),
    };
    let is_told = |service: &str, before: &[Policy], after: &[Policy]| {
        let service = ServiceName::try_from(service).unwrap();
        let told = |policies: &[Policy]| {
            let on = |side| filter_config(&service, side, &sets, policies, &settings).config;
            [Side::Server, Side::Client].map(on)
        };
        told(before) != told(after)
    };
    let mut for_all = 0;
    for (rule, side) in RULES.iter().flat_map(|it| [(it, "server"), (it, "client")]) {
        for route in ["*", "pay"] {
            let scope =
                format!(r#"{{"service": "checkout", "route": "{route}", "side": "{side}"}}"#);
            // An order needs a breaker that obeys it.
            let guard = format!(r#"{{"scope": {scope}, "rule": {{{}}}}}"#, RULES[0]);
            let after = format!(r#"{{"scope": {scope}, "rule": {{{rule}}}}}"#);
            let (before, after) = match rule.contains("trip") {
                true => (
                    policies(&format!("[{guard}]")),
                    policies(&format!("[{guard}, {after}]")),
                ),
                false => (Vec::new(), policies(&format!("[{after}]"))),
            };
            for (before, after) in [(&before, &after), (&after, &before)] {
                let hurried = hurried(before, after);
                assert!(is_told("checkout", before, after), "{rule} {side}");
                assert!(hurried.includes(&checkout()));
                if is_told("cart", before, after) {
                    assert_eq!(hurried, Hurried::All, "{rule} {side}");
                    for_all += 1;
                } else {
                    assert_eq!(hurried, of(&["checkout"]), "{rule} {side}");
                }
            }
        }
    }
    // Outbound all of them, inbound deadlines; on two routes, as they begin and as they end.
    assert_eq!(for_all, (RULES.len() + 1) * 4);
}

#[tokio::test]
async fn what_is_urgent_for_one_service_hurries_nothing_that_is_declared_for_another() {
    let mut actor = actor(routes("/pay"));
    let cart = Cohort::of_service("cart");
    actor.meet(BTreeSet::from([cart.clone()]));
    actor.work();
    let now = Instant::now();
    for course in actor.cohorts.values_mut() {
        course.pace.done(now);
    }
    let due = |actor: &Actor, cohort: &Cohort| {
        let due = actor.cohorts[cohort].pace.due(now);
        due.map(|due| due - now)
    };
    actor.want_policies(&of(&["checkout"]));
    assert_eq!(due(&actor, &checkout()), Some(URGENT_GAP));
    assert_eq!(due(&actor, &cart), Some(PUSH_GAP));
    actor.want_policies(&of(&[]));
    assert_eq!(due(&actor, &checkout()), Some(URGENT_GAP), "still");
    actor.want_policies(&Hurried::All);
    assert_eq!(due(&actor, &cart), Some(URGENT_GAP));
}
