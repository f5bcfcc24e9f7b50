use std::sync::atomic::Ordering;

use sloop_xds::rollout::Stage;

use super::*;
use crate::ads::SimulatedNode;
use crate::serve::actor::tests::{Full, actor_on, checkout, commit, push, routes};

/// How many nodes try a change.
fn trying(actor: &mut Actor) -> usize {
    actor.look(&checkout(), clock::wall());
    match actor.cohorts[&checkout()].rollout.stage() {
        Stage::Trying { nodes, .. } => nodes.len(),
        Stage::Settled | Stage::RolledBack(_) => 0,
    }
}

#[tokio::test]
async fn while_reports_are_refused_a_change_stays_with_who_tries_it() {
    let store = Arc::new(Full::default());
    let mut actor = actor_on(Arc::clone(&store) as Arc<_>);
    actor.pace(RolloutPace {
        first: 1,
        share_percent: 100,
        quiet: Duration::ZERO,
    });
    let [first, second] = ["checkout-1", "checkout-2"];
    let [first, _second] =
        [first, second].map(|id| SimulatedNode::connect(&actor.hub, "checkout", id));
    actor.begin(routes("/pay"));
    actor.meet(BTreeSet::from([checkout()]));
    let now = Instant::now() + Duration::from_secs(2);
    push(&mut actor, now).await;

    store.is_full.store(true, Ordering::SeqCst);
    actor.take_documents(routes("/payments"));
    let later = now + Duration::from_secs(2);
    actor.step(later);
    actor.push(later);
    commit(&mut actor).await;
    first.accept();
    assert_eq!([(); 3].map(|()| trying(&mut actor)), [1; 3]);

    store.is_full.store(false, Ordering::SeqCst);
    commit(&mut actor).await;
    let now = Instant::now();
    assert!(!actor.hears(now) && actor.hears(now + Duration::from_secs(2)));
    assert_eq!(
        trying(&mut actor),
        1,
        "what it did meanwhile is not known yet"
    );
    actor.hears_from = now;
    assert_eq!(trying(&mut actor), 2);
}
