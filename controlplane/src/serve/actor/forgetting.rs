//! What is over, and forgotten.

use std::time::{Duration, Instant};

use sloop_xds::fleet::Cohort;

use super::Actor;
use crate::clock;

/// How often to look for what is over.
const FORGET_GAP: Duration = Duration::from_secs(60);

/// How long a cohort is kept as it is without a node: Envoys come back within half a minute, and who
/// moves a service takes minutes.
const DESERTED_MAX: Duration = Duration::from_secs(10 * 60);

impl Actor {
    /// Forgets what is over, when it is time to look.
    pub(super) fn forget(&mut self, now: Instant) {
        if now.duration_since(self.forgot) < FORGET_GAP {
            return;
        }
        self.forgot = now;
        let gone = self.engine.forget(clock::wall());
        self.meters.ingest.vms_gone(gone);
        self.acknowledgements.forget(self.hub.streams());
        self.forget_cohorts(now);
        self.commits.want(now);
    }

    /// Forgets cohorts that have had no node for long, with what they are pushed and how that stands.
    pub(super) fn forget_cohorts(&mut self, now: Instant) {
        let at = clock::wall();
        let mut over: Vec<Cohort> = Vec::new();
        for (cohort, course) in &mut self.cohorts {
            if !self.hub.is_deserted(cohort) {
                course.deserted_since = None;
            } else if DESERTED_MAX <= now.duration_since(*course.deserted_since.get_or_insert(now))
            {
                over.push(cohort.clone());
            }
        }
        let mut batch = self.publisher.forget(at);
        over.retain(|cohort| self.hub.forget(cohort));
        for cohort in &over {
            self.cohorts.remove(cohort);
            tracing::info!(%cohort, "no node of it was there for long; it is forgotten");
        }
        batch.then(self.publisher.leave(&over, at));
        self.commits.add(batch, [], now);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use sloop_controllers::{NamedRoute, RouteSet};
    use sloop_model::{RouteName, ServiceName};
    use sloop_xds::rollout::Stage;

    use super::super::tests::{actor_on, push};
    use super::*;
    use crate::engine::Documents;
    use crate::store::{InMemory, Store};

    fn documents(routes: &[&str]) -> Documents {
        let routes = routes.iter().map(|route| NamedRoute {
            name: RouteName::try_from(*route).unwrap(),
            matches: serde_json::from_str(r#"[{"path": {"exact": "/"}}]"#).unwrap(),
            criticality: None,
        });
        Documents {
            intents: BTreeMap::new(),
            route_sets: vec![RouteSet {
                name: "shop".to_owned(),
                service: ServiceName::try_from("shop").unwrap(),
                authorities: Vec::new(),
                routes: routes.collect(),
            }],
            ..Documents::default()
        }
    }

    #[tokio::test]
    async fn a_change_that_nobody_is_left_to_try_does_not_stay_under_way() {
        let mut actor = actor_on(Arc::new(InMemory::default()) as Arc<dyn Store>);
        let shop = Cohort::of_service("shop");
        actor.begin(documents(&["a"]));
        actor.meet(BTreeSet::from([shop.clone()]));
        let begun = Instant::now();
        push(&mut actor, begun + Duration::from_secs(2)).await;
        actor.take_documents(documents(&["b"]));
        push(&mut actor, begun + Duration::from_secs(4)).await;
        assert!(matches!(actor.hub.stages()[&shop], Stage::Trying { .. }));
        let now = Instant::now();
        actor.forget_cohorts(now);
        actor.forget_cohorts(now + DESERTED_MAX - Duration::from_secs(1));
        assert!(actor.look_due().is_some(), "somebody may come back");
        actor.forget_cohorts(now + DESERTED_MAX);
        assert!(actor.cohorts.is_empty() && actor.hub.stages().is_empty());
        assert!(actor.look_due().is_none());
    }
}
