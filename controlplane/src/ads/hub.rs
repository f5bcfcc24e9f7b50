//! The door between the process and its nodes.

mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sloop_controllers::Access;
use sloop_model::WallTime;
use sloop_xds::fleet::{Cohort, Fleet};
use sloop_xds::rollout::Stage;
use sloop_xds::{Node, Offer, Sent, Snapshot, Verdict};
use tokio::sync::{broadcast, watch};
use tonic::Status;
use tonic::service::Routes;

use super::limits::AdsLimits;
use super::nodes::Nodes;
use super::place::Place;
use super::service::{self, AdsService, ExtensionService};
use super::standing::Standing;
use super::status::{Event, NodeStatus, Refusal, StreamId, Variant, What, names_and_versions};
use crate::door::{Limit, Peer};
use crate::metrics::DoorMetrics;

/// Events that a listener may be behind before it misses some.
const EVENTS_MAX: usize = 4_096;

/// All streams of discovery and what they should send. Clones are the same hub.
#[derive(Clone, Debug)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: AdsLimits,
    metrics: OnceLock<DoorMetrics>,
    clock: fn() -> WallTime,
    is_open: watch::Sender<bool>,
    fleet: watch::Sender<Arc<Fleet>>,
    access: watch::Sender<Arc<Access>>,
    offers: Mutex<BTreeMap<Cohort, watch::Sender<Option<Offer>>>>,
    seen: watch::Sender<BTreeSet<Cohort>>,
    stages: Mutex<BTreeMap<Cohort, Stage>>,
    nodes: Mutex<Nodes>,
    events: broadcast::Sender<Event>,
}

impl Hub {
    /// A hub that answers nobody until [`Hub::open`]. `clock` dates what is reported.
    #[must_use]
    pub fn new(limits: AdsLimits, clock: fn() -> WallTime) -> Self {
        let shared = Shared {
            limits,
            metrics: OnceLock::new(),
            clock,
            is_open: watch::Sender::new(false),
            fleet: watch::Sender::default(),
            access: watch::Sender::default(),
            offers: Mutex::default(),
            seen: watch::Sender::default(),
            stages: Mutex::default(),
            nodes: Mutex::default(),
            events: broadcast::Sender::new(EVENTS_MAX),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Counts from now on by `metrics` who comes up against limits.
    pub fn count(&self, metrics: DoorMetrics) {
        // Whoever counts first goes on.
        drop(self.shared.metrics.set(metrics));
    }

    /// The gRPC service, to be added to the server that [`AdsLimits::server`] begins.
    #[must_use]
    pub fn service(&self) -> AdsService {
        AdsService::new(self.clone())
    }

    /// As [`Hub::service`], for Envoys that have another control plane on their aggregated stream.
    #[must_use]
    pub fn extension_service(&self) -> ExtensionService {
        ExtensionService::new(self.clone())
    }

    /// All services of discovery: the aggregated one, and one per type.
    #[must_use]
    pub fn routes(&self) -> Routes {
        service::routes(self)
    }

    /// Begins to answer. Call it when the store is loaded and the known groups are published.
    pub fn open(&self) {
        self.shared.is_open.send_replace(true);
    }

    /// Whether nodes are answered.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.shared.is_open.borrow()
    }

    /// What the nodes of the service `group` (their Envoy's node cluster) should have from now on.
    ///
    /// As [`Hub::offer`], where no selector tells the nodes of a service apart.
    pub fn publish(&self, group: &str, snapshot: Arc<Snapshot>) {
        self.offer(&Cohort::of_service(group), Offer::to_all(snapshot));
    }

    /// What the nodes of `cohort` should have from now on.
    ///
    /// Returns at once; each stream sends the latest snapshot as soon as its
    /// client can take it. A cohort that is offered nothing is not answered.
    pub fn offer(&self, cohort: &Cohort, offer: Offer) {
        self.offers(cohort).send_if_modified(|current| {
            let differs = current.as_ref() != Some(&offer);
            *current = Some(offer);
            differs
        });
    }

    /// Says anew which nodes are a cohort. Nodes that are in another one then are sent what that is offered.
    pub fn set_fleet(&self, fleet: Arc<Fleet>) {
        self.shared.fleet.send_if_modified(|current| {
            let differs = *current != fleet;
            *current = fleet;
            differs
        });
    }

    /// Says anew who may be whose sidecar. Streams of nodes that may no longer are ended.
    pub fn set_access(&self, access: Arc<Access>) {
        self.shared.access.send_if_modified(|current| {
            let differs = *current != access;
            *current = access;
            differs
        });
    }

    /// Who may be whose sidecar, and report about what.
    #[must_use]
    pub fn access(&self) -> watch::Receiver<Arc<Access>> {
        self.shared.access.subscribe()
    }

    /// The cohorts of which nodes were seen since the process began. Changes when a new one comes.
    #[must_use]
    pub fn cohorts(&self) -> watch::Receiver<BTreeSet<Cohort>> {
        self.shared.seen.subscribe()
    }

    /// The nodes that are connected, by stream.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeStatus> {
        self.lock_nodes().by_stream.values().cloned().collect()
    }

    /// What happens on the streams from now on. A listener that is slow misses events and is told so.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    pub(super) fn limits(&self) -> &AdsLimits {
        &self.shared.limits
    }

    pub(super) fn now(&self) -> WallTime {
        (self.shared.clock)()
    }

    pub(super) fn gate(&self) -> watch::Receiver<bool> {
        self.shared.is_open.subscribe()
    }

    /// Makes room for a stream; it ends when the answer is dropped.
    pub(super) fn admit(&self, variant: Variant, peer: Option<Peer>) -> Result<Connection, Status> {
        let begun = self.lock_nodes().begin(&self.shared.limits, peer.as_ref());
        let stream = begun.map_err(|limit| self.hit(limit, "too many streams"))?;
        Ok(Connection {
            hub: self.clone(),
            stream,
            variant,
            peer,
        })
    }

    /// Counts that somebody came up against `limit`, and says so to them.
    pub(super) fn hit(&self, limit: Limit, message: impl Into<String>) -> Status {
        if let Some(metrics) = self.shared.metrics.get() {
            metrics.hit(limit);
        }
        Status::resource_exhausted(message)
    }

    pub(super) fn fleet(&self) -> watch::Receiver<Arc<Fleet>> {
        self.shared.fleet.subscribe()
    }

    /// Notes that there are nodes of `cohort`. The answer is what they are offered.
    pub(super) fn meet(&self, cohort: &Cohort) -> Result<watch::Receiver<Option<Offer>>, Status> {
        let shared = &self.shared;
        let is_known = shared.seen.borrow().contains(cohort);
        if !is_known && shared.limits.groups_max <= shared.seen.borrow().len() {
            return Err(self.hit(Limit::Groups, "too many groups"));
        }
        let offers = self.offers(cohort).subscribe();
        shared
            .seen
            .send_if_modified(|seen| seen.insert(cohort.clone()));
        Ok(offers)
    }

    fn offers(&self, cohort: &Cohort) -> watch::Sender<Option<Offer>> {
        let mut offers = lock(&self.shared.offers);
        offers.entry(cohort.clone()).or_default().clone()
    }

    fn lock_nodes(&self) -> MutexGuard<'_, Nodes> {
        lock(&self.shared.nodes)
    }
}

/// One stream's entry in the hub.
#[derive(Debug)]
pub(super) struct Connection {
    hub: Hub,
    stream: StreamId,
    variant: Variant,
    /// Who is on the other side, where that is known.
    peer: Option<Peer>,
}

impl Connection {
    /// Ends the connection that it is on, if that is known: its client does not read.
    pub(super) fn end(&self) {
        if let Some(peer) = &self.peer {
            peer.end();
        }
    }

    /// Whether who is on the stream may be a sidecar of `service`, as things stand.
    pub(super) fn check(&self, service: &str) -> Result<(), Status> {
        let Some(peer) = &self.peer else {
            return Ok(());
        };
        let access = Arc::clone(&self.hub.shared.access.borrow());
        peer.sidecar(&access, service)
    }

    /// Learns who is on the stream. The answer says what the node should have.
    pub(super) fn introduce(&self, node: &Node) -> Result<Place, Status> {
        self.hub.limits().check(node, &self.hub)?;
        self.check(&node.cluster)?;
        let place = Place::of(self.hub.clone(), node)?;
        let locality = node.locality.clone().unwrap_or_default();
        let status = NodeStatus {
            stream: self.stream,
            id: node.id.clone(),
            group: node.cluster.clone(),
            cohort: place.cohort().clone(),
            zone: [locality.region, locality.zone]
                .join("/")
                .trim_matches('/')
                .to_owned(),
            connected_since: self.hub.now(),
            variant: self.variant,
            types: BTreeMap::new(),
            accepted: BTreeMap::new(),
            standing: Standing::default(),
        };
        self.hub.lock_nodes().by_stream.insert(self.stream, status);
        self.tell(What::Connected);
        Ok(place)
    }

    /// Notes what the node should have from now on, and with whom.
    pub(super) fn placed(&self, place: &Place) {
        let (snapshot, now) = (place.snapshot(), self.hub.now());
        self.change(|node| {
            node.cohort.clone_from(place.cohort());
            if let Some(snapshot) = snapshot {
                node.standing.wants(snapshot.version(), now);
            }
        });
    }

    /// Notes whether all of `snapshot` is in force.
    pub(super) fn stands(&self, snapshot: &Snapshot, is_in_force: bool) {
        let (version, now) = (snapshot.version(), self.hub.now());
        let mut took = None;
        self.change(|node| took = node.standing.stands(version, is_in_force, now));
        if let Some(took) = took {
            self.tell(What::InForce { took });
        }
    }

    /// Notes what was handed to the connection.
    pub(super) fn sent(&self, sent: &Sent) {
        let (version, now) = (sent.version.to_string(), self.hub.now());
        self.change(|node| {
            let of_type = node.types.entry(sent.type_url.clone()).or_default();
            of_type.sent = Some(version.clone());
            of_type.sent_at = Some(now);
            of_type.acknowledged_at = None;
        });
        self.tell(What::Sent {
            type_url: sent.type_url.clone(),
            version,
        });
    }

    /// Notes what the node said about a response.
    pub(super) fn settled(&self, verdict: Verdict) {
        match verdict {
            Verdict::Acknowledged(sent) => self.acknowledged(sent),
            Verdict::Refused { sent, message } => self.refused(sent, message),
        }
    }

    fn acknowledged(&self, sent: Sent) {
        let (version, now) = (sent.version.to_string(), self.hub.now());
        let resources = names_and_versions(&sent);
        self.change(|node| {
            let of_type = node.types.entry(sent.type_url.clone()).or_default();
            of_type.acknowledged = Some(version.clone());
            of_type.acknowledged_at = Some(now);
            of_type.is_refusing = false;
            of_type.resources.extend(resources.iter().cloned());
            of_type
                .resources
                .retain(|name, _| !sent.removed.contains(name));
        });
        self.tell(What::Acknowledged {
            type_url: sent.type_url,
            version,
            resources,
        });
    }

    fn refused(&self, sent: Sent, message: String) {
        let refusal = Refusal {
            version: sent.version.to_string(),
            message,
            at: self.hub.now(),
        };
        self.change(|node| {
            let of_type = node.types.entry(sent.type_url.clone()).or_default();
            of_type.refused = Some(refusal.clone());
            of_type.is_refusing = true;
        });
        self.tell(What::Refused {
            resources: names_and_versions(&sent),
            type_url: sent.type_url,
            version: refusal.version,
            message: refusal.message,
        });
    }

    fn change(&self, change: impl FnOnce(&mut NodeStatus)) {
        if let Some(node) = self.hub.lock_nodes().by_stream.get_mut(&self.stream) {
            change(node);
        }
    }

    fn tell(&self, what: What) {
        let nodes = self.hub.lock_nodes();
        let Some(node) = nodes.by_stream.get(&self.stream) else {
            return;
        };
        let event = Event {
            at: self.hub.now(),
            stream: self.stream,
            node: node.id.clone(),
            group: node.group.clone(),
            what,
        };
        drop(nodes);
        // Nobody has to listen.
        drop(self.hub.shared.events.send(event));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tell(What::Gone);
        self.hub.lock_nodes().end(self.stream, self.peer.as_ref());
    }
}

/// A holder that panicked left whole values behind: every change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
