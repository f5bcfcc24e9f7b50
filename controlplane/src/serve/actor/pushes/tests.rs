use sloop_controllers::{NamedRoute, RouteSet};
use sloop_model::{RouteName, ServiceName};

use super::*;
use crate::engine::Documents;
use crate::serve::actor::tests::actor_on;
use crate::store::InMemory;

/// A loop that has taken `documents` in and met the sidecars of `checkout`.
fn actor(documents: Documents) -> Actor {
    let mut actor = actor_on(Arc::new(InMemory::default()));
    actor.begin(documents);
    actor.meet(BTreeSet::from([checkout()]));
    actor.work();
    actor
}

fn checkout() -> Cohort {
    Cohort::of_service("checkout")
}

fn routes(prefix: &str) -> Documents {
    let path = format!(r#"[{{"path": {{"prefix": "{prefix}"}}}}]"#);
    Documents {
        route_sets: vec![RouteSet {
            name: "checkout".to_owned(),
            service: ServiceName::try_from("checkout").unwrap(),
            authorities: Vec::new(),
            routes: vec![NamedRoute {
                name: RouteName::try_from("pay").unwrap(),
                matches: serde_json::from_str(&path).unwrap(),
                criticality: None,
            }],
        }],
        ..Documents::default()
    }
}

#[tokio::test]
async fn a_change_is_pushed_after_the_step_that_it_asks_for() {
    let mut actor = actor(routes("/pay"));
    let now = Instant::now();
    assert_eq!(actor.push_due(now), None, "pushed already");
    // As if the last push were long ago, and the last step not.
    let quiet = Pace::of(PUSH_GAP);
    actor.cohorts.insert(checkout(), quiet);
    actor.steps = Pace::of(PUSH_GAP);
    actor.steps.done(now);
    actor.take_documents(routes("/payments"));
    actor.push(now);
    assert!(actor.cohorts[&checkout()].is_due(now), "not yet pushed");
    assert_eq!(actor.push_due(now), None, "the step comes first");
    actor.step(now);
    assert_eq!(actor.push_due(now), Some(now));
    actor.push(now);
    assert!(!actor.cohorts[&checkout()].is_due(now), "pushed");
}
