use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as blocking;

use std::collections::BTreeSet;

use sloop_controllers::{ConfigSettings, NamedRoute, RouteSet};
use sloop_model::{RouteName, ServiceName, TraceSettings};
use sloop_xds_protos::report::v1 as wire;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::super::watch::Update;
use super::*;
use crate::ads::{self, AdsLimits, SimulatedNode};
use crate::ingest::Arrival;
use crate::metrics::{DocumentMetrics, IngestMetrics, PushMetrics, StepMetrics, Telemetry};
use crate::publish::PublishSettings;
use crate::store::{Batch, InMemory, StoreError};

/// A loop that keeps what it knows in `store`, and knows nothing yet.
pub(super) fn actor_on(store: Arc<dyn Store>) -> Actor {
    let settings = PublishSettings {
        config: ConfigSettings {
            report: None,
            trace: TraceSettings::default(),
        },
        module: "/sloop_filter.wasm".to_owned(),
        ttl: None,
    };
    let meter = Telemetry::begin().unwrap().meter();
    let meters = Meters {
        ingest: IngestMetrics::register(&meter),
        step: StepMetrics::register(&meter),
        push: PushMetrics::register(&meter),
        documents: DocumentMetrics::register(&meter),
    };
    let engine = Engine::restore(&*store).unwrap();
    let publisher = Publisher::restore(settings, &*store).unwrap();
    let hub = Hub::new(AdsLimits::default(), clock::wall);
    Actor::new(engine, publisher, store, hub, meters)
}

pub(super) fn checkout() -> Cohort {
    Cohort::of_service("checkout")
}

/// One route of `checkout`, with all below `prefix`.
pub(super) fn routes(prefix: &str) -> Documents {
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

/// Pushes what is due at `now`, and waits until it is stored and offered.
pub(super) async fn push(actor: &mut Actor, now: Instant) {
    actor.step(now);
    actor.push(now);
    loop {
        actor.commits.hurry(Instant::now());
        actor.start_commit(Instant::now());
        if actor.commits.is_idle() {
            return;
        }
        let ended = actor.commits.ended().await;
        actor.conclude(ended);
    }
}

/// A disk on which each commit takes until it is let go, once it hangs.
#[derive(Debug)]
struct Stuck {
    inside: InMemory,
    hangs: AtomicBool,
    begun: mpsc::UnboundedSender<()>,
    go: Mutex<blocking::Receiver<()>>,
}

impl Store for Stuck {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inside.get(key)
    }

    fn each(&self, prefix: &[u8], see: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.inside.each(prefix, see)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        if self.hangs.load(Ordering::SeqCst) {
            self.begun.send(()).unwrap();
            // Ends when the other end is dropped.
            self.go.lock().unwrap().recv().unwrap_err();
        }
        self.inside.commit(batch)
    }
}

impl Stuck {
    /// One that does not hang yet; what says that a commit began, and what lets all of them go when it is dropped.
    fn at_first() -> (Arc<Self>, mpsc::UnboundedReceiver<()>, blocking::Sender<()>) {
        let (begun, commits) = mpsc::unbounded_channel();
        let (go, gone) = blocking::channel();
        let store = Self {
            inside: InMemory::default(),
            hangs: AtomicBool::new(false),
            begun,
            go: Mutex::new(gone),
        };
        (Arc::new(store), commits, go)
    }
}

/// What a filter is answered.
type Answered = oneshot::Receiver<Result<wire::ReportResponse, tonic::Status>>;

/// A report of a filter.
fn arrival(sequence: u64) -> (Arrival, Answered) {
    let request = wire::ReportRequest {
        incarnation: 1,
        sequence,
        ..wire::ReportRequest::default()
    };
    let (answer, answered) = oneshot::channel();
    let report = request.try_into().unwrap();
    (Arrival { report, answer }, answered)
}

/// Lets `actor` take it.
fn report(actor: &mut Actor, sequence: u64) -> Answered {
    let (arrival, answered) = arrival(sequence);
    actor.take_arrivals(&mut vec![arrival]);
    answered
}

/// The ends of the loop's inputs that a test holds.
struct Held {
    arrivals: mpsc::Sender<Arrival>,
    views: mpsc::Sender<View>,
    stop: watch::Sender<bool>,
    _documents: mpsc::Sender<Update>,
    _ads: broadcast::Sender<Arc<ads::Event>>,
    _changes: mpsc::Sender<Change>,
    _cohorts: watch::Sender<BTreeSet<Cohort>>,
}

fn inputs() -> (Inputs, Held) {
    let (arrivals, arrived) = mpsc::channel(1);
    let (views, viewed) = mpsc::channel(1);
    let (documents, taken) = mpsc::channel(1);
    let (ads, heard) = broadcast::channel(1);
    let (changes, declared) = mpsc::channel(1);
    let (cohorts, seen) = watch::channel(BTreeSet::new());
    let (stop, stopped) = watch::channel(false);
    let inputs = Inputs {
        arrivals: arrived,
        views: viewed,
        documents: taken,
        ads: heard,
        changes: declared,
        cohorts: seen,
        stop: stopped,
    };
    let held = Held {
        arrivals,
        views,
        stop,
        _documents: documents,
        _ads: ads,
        _changes: changes,
        _cohorts: cohorts,
    };
    (inputs, held)
}

#[test]
fn steps_take_a_quarter_of_the_time_and_come_once_a_second_all_the_same() {
    let gap = |took_ms| step_gap(Duration::from_millis(took_ms)).as_millis();
    assert_eq!(
        [0, 25, 26, 87, 250, 900].map(gap),
        [100, 100, 104, 348, 1_000, 1_000]
    );
}

#[tokio::test]
async fn people_are_answered_while_the_disk_hangs_and_filters_when_it_does_not() {
    let (store, mut commits, go) = Stuck::at_first();
    let (inputs, held) = inputs();
    let actor = actor_on(Arc::clone(&store) as Arc<dyn Store>);
    store.hangs.store(true, Ordering::SeqCst);
    let running = tokio::spawn(actor.run(inputs));

    let (arrival, mut acknowledged) = arrival(1);
    held.arrivals.send(arrival).await.unwrap();
    commits.recv().await.unwrap();

    let (see, seen) = oneshot::channel();
    let view: View = Box::new(move |engine| see.send(engine.slos().len()).unwrap());
    held.views.send(view).await.unwrap();
    assert_eq!(seen.await, Ok(0), "the loop does not wait for the disk");
    assert!(
        acknowledged.try_recv().is_err(),
        "what is not durable is not acknowledged"
    );

    drop(go);
    acknowledged.await.unwrap().unwrap();
    held.stop.send_replace(true);
    running.await.unwrap();
}

#[tokio::test]
async fn what_nodes_accepted_is_known_although_it_was_not_heard() {
    let mut actor = actor_on(Arc::new(InMemory::default()) as Arc<dyn Store>);
    let node = SimulatedNode::connect(&actor.hub, "shop", "shop-1");
    actor.begin(Documents::default());
    actor.meet(BTreeSet::from([Cohort::of_service("shop")]));
    push(&mut actor, Instant::now() + Duration::from_secs(2)).await;
    node.accept();
    actor.step(Instant::now());
    assert!(actor.hub.accepted().is_empty(), "nobody heard of it");
    // So much happened at once that the loop missed some of it.
    let mut events = actor.hub.events();
    actor.hear_all(Err(RecvError::Lagged(1)), &mut events);
    actor.step(Instant::now());
    let accepted = actor.hub.accepted();
    let numbers: Vec<u64> = accepted["shop"]["shop-1"].values().copied().collect();
    assert_eq!(numbers, [1, 2]);
}

/// A disk that is full.
#[derive(Debug, Default)]
pub(super) struct Full {
    inside: InMemory,
    pub(super) is_full: AtomicBool,
}

impl Store for Full {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inside.get(key)
    }

    fn each(&self, prefix: &[u8], see: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.inside.each(prefix, see)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(StoreError::Failed {
                path: "/full".into(),
                source: Box::new(redb::Error::Io(std::io::ErrorKind::StorageFull.into())),
            });
        }
        self.inside.commit(batch)
    }
}

/// Lets the batch that has gathered be written, as far as it can be.
pub(super) async fn commit(actor: &mut Actor) {
    let due = actor.commits.due().unwrap();
    actor.start_commit(due);
    let ended = actor.commits.ended().await;
    actor.conclude(ended);
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_taken_and_pushes_do_not_wait() {
    let store = Arc::new(Full::default());
    let mut actor = actor_on(Arc::clone(&store) as Arc<dyn Store>);
    let trouble = actor.trouble();
    store.is_full.store(true, Ordering::SeqCst);
    let answered = report(&mut actor, 1);
    actor.begin(Documents::default());
    actor.meet(BTreeSet::from([Cohort::of_service("shop")]));
    let node = SimulatedNode::connect(&actor.hub, "shop", "shop-1");
    let pushed = |actor: &Actor| actor.hub.stages().len();
    let now = Instant::now() + Duration::from_secs(2);
    actor.step(now);
    actor.push(now);
    assert_eq!(pushed(&actor), 0, "that it fails is not known yet");
    commit(&mut actor).await;
    assert_eq!(pushed(&actor), 1);
    let refused = answered.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(refused.message().starts_with("the store /full failed: "));
    assert!(trouble.borrow().is_some());

    let mut answered = report(&mut actor, 1);
    assert!(answered.try_recv().unwrap().is_err(), "at once");
    actor.meet(BTreeSet::from([Cohort::of_service("till")]));
    let later = now + Duration::from_secs(2);
    actor.step(later);
    actor.push(later);
    assert_eq!(pushed(&actor), 2, "at once");
    assert!(actor.commits.take_waiting().is_empty(), "nothing grows");
    drop(node);

    store.is_full.store(false, Ordering::SeqCst);
    commit(&mut actor).await;
    assert!(trouble.borrow().is_none());
    let answered = report(&mut actor, 1);
    commit(&mut actor).await;
    assert!(answered.await.unwrap().is_ok());
}

#[tokio::test]
async fn while_a_commit_hangs_nothing_is_taken_and_pushes_do_not_wait() {
    let (store, mut commits, go) = Stuck::at_first();
    let mut actor = actor_on(Arc::clone(&store) as Arc<dyn Store>);
    let trouble = actor.trouble();
    let pushed = |actor: &Actor| actor.hub.stages().len();
    let _node = SimulatedNode::connect(&actor.hub, "shop", "shop-1");
    let gone = |actor: &mut Actor| {
        let is_gone =
            |after: &After| matches!(after, After::Answer(answer, _) if answer.is_closed());
        actor.commits.take_out(is_gone).len()
    };
    actor.begin(Documents::default());
    push(&mut actor, Instant::now()).await;

    store.hangs.store(true, Ordering::SeqCst);
    let mut on_its_way = report(&mut actor, 1);
    let begun = actor.commits.due().unwrap();
    actor.start_commit(begun);
    commits.recv().await.unwrap();
    let mut waits = report(&mut actor, 2);
    drop(report(&mut actor, 3));
    actor.meet(BTreeSet::from([Cohort::of_service("shop")]));
    let now = begun + Duration::from_secs(1);
    actor.step(now);
    actor.push(now);
    actor.look_at_commit(now);
    assert_eq!(pushed(&actor), 0, "it may be done in a moment");
    assert!(trouble.borrow().is_none() && now < actor.due(now));

    let now = begun + Duration::from_secs(2);
    assert!(actor.due(begun) <= now);
    actor.look_at_commit(now);
    assert_eq!(pushed(&actor), 1);
    assert_eq!(gone(&mut actor), 0, "who gave up takes no room");
    let refused = report(&mut actor, 3).try_recv().unwrap().unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(refused.message().starts_with("the store has not written "));
    actor.meet(BTreeSet::from([Cohort::of_service("till")]));
    let later = now + Duration::from_secs(2);
    actor.step(later);
    actor.push(later);
    assert_eq!(pushed(&actor), 2, "at once");
    assert!(on_its_way.try_recv().is_err() && waits.try_recv().is_err());

    drop(go);
    let ended = actor.commits.ended().await;
    actor.conclude(ended);
    assert!(trouble.borrow().is_none());
    assert!(on_its_way.try_recv().unwrap().is_ok());
    assert!(waits.try_recv().is_err(), "it is not durable yet");
    let again = report(&mut actor, 3);
    store.hangs.store(false, Ordering::SeqCst);
    commit(&mut actor).await;
    assert!(waits.await.unwrap().is_ok() && again.await.unwrap().is_ok());
}

/// Asks for nothing; whether that is stored.
fn ask(actor: &mut Actor) -> oneshot::Receiver<Stored> {
    let (stored, is_stored) = oneshot::channel();
    actor.change(Change {
        change: Box::new(|_| ()),
        stored,
    });
    is_stored
}

#[tokio::test]
async fn who_asks_for_a_change_hears_of_it_when_it_is_durable() {
    let (store, mut commits, go) = Stuck::at_first();
    let mut actor = actor_on(Arc::clone(&store) as Arc<dyn Store>);
    store.hangs.store(true, Ordering::SeqCst);
    drop(report(&mut actor, 1));
    let mut asked = ask(&mut actor);
    let begun = actor.commits.due().unwrap();
    actor.start_commit(begun);
    commits.recv().await.unwrap();
    assert!(asked.try_recv().is_err(), "it is on its way");
    let mut waits = ask(&mut actor);
    actor.look_at_commit(begun + Duration::from_secs(2));
    assert_eq!(asked.await, Ok(Stored::NotYet), "the store hangs");
    assert_eq!(waits.try_recv(), Ok(Stored::NotYet));
    assert_eq!(ask(&mut actor).try_recv(), Ok(Stored::NotYet), "at once");
    drop(go);
    let ended = actor.commits.ended().await;
    actor.conclude(ended);
    store.hangs.store(false, Ordering::SeqCst);
    let mut asked = ask(&mut actor);
    assert!(asked.try_recv().is_err());
    commit(&mut actor).await;
    assert_eq!(asked.await, Ok(Stored::Durable));

    let store = Arc::new(Full::default());
    let mut actor = actor_on(Arc::clone(&store) as Arc<dyn Store>);
    store.is_full.store(true, Ordering::SeqCst);
    drop(report(&mut actor, 1));
    let asked = ask(&mut actor);
    commit(&mut actor).await;
    assert_eq!(asked.await, Ok(Stored::NotYet), "the store is full");
}

#[tokio::test]
async fn a_store_that_hangs_does_not_hold_up_the_end_and_nothing_is_acknowledged() {
    let (store, mut commits, go) = Stuck::at_first();
    let mut actor = actor_on(Arc::clone(&store) as Arc<dyn Store>);
    store.hangs.store(true, Ordering::SeqCst);
    let on_its_way = report(&mut actor, 1);
    let begun = actor.commits.due().unwrap();
    actor.start_commit(begun);
    commits.recv().await.unwrap();
    let waits = report(&mut actor, 2);
    let asked = ask(&mut actor);
    let within = Duration::from_millis(50);
    let ended = tokio::time::timeout(ENDS_AT_LAST, actor.finish(within)).await;
    assert!(ended.is_ok());
    assert!(on_its_way.await.is_err() && waits.await.is_err() && asked.await.is_err());
    drop(go);
}

/// Much longer than it takes.
const ENDS_AT_LAST: Duration = Duration::from_secs(60);
