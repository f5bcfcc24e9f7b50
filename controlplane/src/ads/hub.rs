//! The door between the process and its nodes.

mod cohorts;
mod loads;
mod room;
#[cfg(test)]
mod simulated;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sloop_controllers::Access;
use sloop_model::WallTime;
use sloop_xds::fleet::{Cohort, Fleet};
use sloop_xds::rollout::Stage;
use sloop_xds::{Node, Offer, Verdict};
use tokio::sync::{broadcast, watch};
use tonic::Status;
use tonic::service::Routes;

use super::limits::AdsLimits;
use super::news::News;
use super::nodes::Nodes;
use super::place::Place;
use super::service::{self, AdsService, ExtensionService};
use super::standing::Standing;
use super::status::{Event, NodeStatus, Variant, What};
use crate::door::{Limit, Peer};
use crate::metrics::DoorMetrics;

use loads::Loads;
pub(super) use loads::Who;
pub use loads::{Counted, Load};
pub(super) use room::Room;
#[cfg(test)]
pub(crate) use simulated::SimulatedNode;

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
    /// Tells all streams that one of the three above has changed.
    common: watch::Sender<()>,
    offers: Mutex<BTreeMap<Cohort, watch::Sender<Option<Offer>>>>,
    seen: watch::Sender<BTreeSet<Cohort>>,
    stages: Mutex<BTreeMap<Cohort, Stage>>,
    nodes: Mutex<Nodes>,
    events: broadcast::Sender<Arc<Event>>,
    loads: Loads,
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
            common: watch::Sender::default(),
            offers: Mutex::default(),
            seen: watch::Sender::default(),
            stages: Mutex::default(),
            nodes: Mutex::default(),
            events: broadcast::Sender::new(EVENTS_MAX),
            loads: Loads::default(),
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

    /// The gRPC service, to be added to [`crate::grpc::Services`].
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
        self.shared.common.send_replace(());
    }

    /// Whether nodes are answered.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self.shared.is_open.borrow()
    }

    /// Says anew which nodes are a cohort. Nodes that are in another one then are sent what that is offered.
    pub fn set_fleet(&self, fleet: Arc<Fleet>) {
        let differs = self.shared.fleet.send_if_modified(|current| {
            let differs = *current != fleet;
            *current = fleet;
            differs
        });
        if differs {
            self.shared.common.send_replace(());
        }
    }

    /// Says anew who may be whose sidecar. Streams of nodes that may no longer are ended.
    pub fn set_access(&self, access: Arc<Access>) {
        let differs = self.shared.access.send_if_modified(|current| {
            let differs = *current != access;
            *current = access;
            differs
        });
        if differs {
            self.shared.common.send_replace(());
        }
    }

    /// Who may be whose sidecar, and report about what.
    #[must_use]
    pub fn access(&self) -> watch::Receiver<Arc<Access>> {
        self.shared.access.subscribe()
    }

    /// What happens on the streams from now on. A listener that is slow misses events and is told so.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.shared.events.subscribe()
    }

    pub(super) fn limits(&self) -> &AdsLimits {
        &self.shared.limits
    }

    pub(super) fn now(&self) -> WallTime {
        (self.shared.clock)()
    }

    /// Says that what all streams go by may have changed: whether they are answered, the fleet, or access.
    pub(super) fn common(&self) -> watch::Receiver<()> {
        self.shared.common.subscribe()
    }

    /// Makes room for a stream of discovery; it ends when the answer is dropped.
    pub(super) fn admit(&self, variant: Variant, peer: Option<Peer>) -> Result<Connection, Status> {
        Ok(Connection {
            room: self.begin(peer)?,
            variant,
            who: OnceLock::new(),
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

    fn lock_nodes(&self) -> MutexGuard<'_, Nodes> {
        lock(&self.shared.nodes)
    }
}

/// One stream's entry in the hub.
#[derive(Debug)]
pub(super) struct Connection {
    room: Room,
    variant: Variant,
    /// The node's id and group, once it has said so.
    who: OnceLock<(Arc<str>, Arc<str>)>,
}

impl Connection {
    /// Ends the connection that it is on, if that is known: its client does not read. Says whether nobody did so before.
    pub(super) fn end(&self) -> bool {
        self.room.end()
    }

    /// Makes room for names of the stream, `beyond` what each may keep.
    pub(super) fn keep_names(&self, beyond: usize) -> Result<(), Status> {
        self.room.keep_names(beyond)
    }

    /// Whether who is on the stream may be a sidecar of `service`, as things stand.
    pub(super) fn check(&self, service: &str) -> Result<(), Status> {
        self.room.check(service)
    }

    /// Learns who is on the stream. The answer says what the node should have.
    pub(super) fn introduce(&self, node: &Node) -> Result<Place, Status> {
        let hub = &self.room.hub;
        hub.limits().check(node, hub)?;
        self.check(&node.cluster)?;
        let place = Place::of(hub.clone(), node)?;
        let locality = node.locality.clone().unwrap_or_default();
        let status = NodeStatus {
            stream: self.room.stream,
            id: node.id.clone(),
            group: node.cluster.clone(),
            cohort: place.cohort().clone(),
            zone: [locality.region, locality.zone]
                .join("/")
                .trim_matches('/')
                .to_owned(),
            connected_since: hub.now(),
            variant: self.variant,
            types: BTreeMap::new(),
            accepted: BTreeMap::new(),
            standing: Standing::default(),
        };
        hub.lock_nodes().introduce(status);
        let who = (node.id.as_str().into(), node.cluster.as_str().into());
        // A stream is introduced once.
        drop(self.who.set(who));
        self.tell(What::Connected);
        Ok(place)
    }

    /// Notes `news`, and tells of it.
    pub(super) fn note(&self, news: News) {
        if news.is_empty() {
            return;
        }
        let Room { hub, stream, .. } = &self.room;
        let now = hub.now();
        let mut took = None;
        {
            let mut nodes = hub.lock_nodes();
            if let Some(cohort) = &news.cohort {
                nodes.move_over(*stream, cohort);
            }
            nodes.change(*stream, |node| took = news.write(node, now));
        }
        match news.settled {
            Some(Verdict::Acknowledged(sent)) => self.tell(What::Acknowledged { sent, took }),
            Some(Verdict::Refused { sent, message }) => self.tell(What::Refused { sent, message }),
            None => {
                if let Some(took) = took {
                    self.tell(What::InForce { took });
                }
            }
        }
    }

    /// Says what happened; who has not said who it is is not spoken of.
    fn tell(&self, what: What) {
        let Some((node, group)) = self.who.get() else {
            return;
        };
        let Room { hub, stream, .. } = &self.room;
        let event = Event {
            at: hub.now(),
            stream: *stream,
            node: Arc::clone(node),
            group: Arc::clone(group),
            what,
        };
        // Nobody has to listen.
        drop(hub.shared.events.send(Arc::new(event)));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Then its room is given back.
        self.tell(What::Gone);
    }
}

/// A holder that panicked left whole values behind: every change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
