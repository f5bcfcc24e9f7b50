//! Starts everything, and ends it.
//!
//! Order matters once: nobody is answered before the store and the documents
//! are loaded, because an answer that leaves something out takes it away from
//! sidecars that have it.

mod acknowledgements;
mod actor;
mod api;
mod commits;
mod files;
mod grpc;
mod kept;
mod orders;
mod parts;
mod watch;

pub(crate) use actor::Trouble;
pub use actor::{Change, Stored, View};
pub use api::ApiSettings;
pub use orders::{DocumentChange, DocumentOrder, NotChanged};

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::metrics::Meter;
use sloop_xds::rollout::RolloutPace;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinError;

use crate::admin::{Admin, TokenFileError};
use crate::ads::{Hub, LoadSettings};
use crate::alerts::{self, DeliverError, Deliverer};
use crate::door::{Door, TlsError, TlsFiles};
use crate::engine::{Documents, Engine, RestoreError};
use crate::ingest::{Reports, WAITING_MAX};
use crate::limits::Limits;
use crate::metrics::{
    AlertMetrics, DocumentMetrics, IngestMetrics, LoadMetrics, OtlpSettings, PushMetrics,
    StepMetrics, Telemetry, TelemetryError, observe_breakers, observe_nodes, observe_slos,
};
use crate::publish::{PublishSettings, Publisher};
use crate::record::Recorder;
use crate::store::{Redb, Store, StoreError};
use actor::{Actor, Inputs, Meters};
use parts::Parts;
use watch::Watched;

/// Connections that wait to be accepted, as far as the kernel allows.
const QUEUE_MAX: u32 = 65_535;

/// Looks at the engine that may wait.
const VIEWS_MAX: usize = 64;

/// How long connections may take to end: sidecars come back, and a service
/// manager that waits for us should not have to use force.
const FAREWELL: Duration = Duration::from_millis(500);

/// How to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeSettings {
    /// The folder with documents.
    pub documents: PathBuf,
    /// Where sidecars find discovery and the report service.
    pub listen: SocketAddr,
    /// Where people and tools find the HTTP API.
    pub admin: SocketAddr,
    /// The file of the store.
    pub store: PathBuf,
    /// What sidecars are told.
    pub publish: PublishSettings,
    /// Where to record what is decided by, if anywhere.
    pub record: Option<RecordSettings>,
    /// What connections to the gRPC port are secured with; without, anybody may do anything.
    pub tls: Option<TlsFiles>,
    /// What everybody there may take.
    pub limits: Limits,
    /// How the HTTP API is kept.
    pub api: ApiSettings,
    /// Where measurements are sent, if anywhere.
    pub otlp: Option<OtlpSettings>,
    /// How carefully changes of what is declared go out.
    pub rollout: RolloutPace,
    /// How Envoys report by whose filters nobody counts.
    pub loads: LoadSettings,
}

/// Where to record what is decided by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSettings {
    /// The file, which is replaced.
    pub file: PathBuf,
    /// How large it may be.
    pub bytes_max: u64,
}

/// Why the control plane cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is in the store cannot be used.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The record cannot be begun.
    #[error("the record {} cannot be written", file.display())]
    Record {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// There are no documents to read.
    #[error("{} is not a folder; --documents names the folder with the documents", folder.display())]
    Documents {
        /// The folder as given.
        folder: PathBuf,
    },
    /// Nobody can be told of alerts.
    #[error("alerts cannot be delivered")]
    Alerts(#[from] DeliverError),
    /// Metrics cannot be had.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// A port cannot be secured.
    #[error("a port cannot be secured")]
    Tls(#[from] TlsError),
    /// Everybody could ask and order.
    #[error(
        "the HTTP API on {address} would let everybody in; give it --admin-token-file, or --admin-client-ca with --admin-tls-cert and --admin-tls-key"
    )]
    Exposed {
        /// Where it would listen.
        address: SocketAddr,
    },
    /// There are no tokens.
    #[error("nobody can be let in to the HTTP API")]
    Tokens(#[from] TokenFileError),
    /// The HTTP server ended.
    #[error("the HTTP server ended")]
    Http(#[source] std::io::Error),
    /// A part of the process ended that never should.
    #[error("the {part} ended early")]
    Early {
        /// Which.
        part: &'static str,
    },
    /// The same, and because of a mistake of ours.
    #[error("a task ended early")]
    Task(#[from] JoinError),
}

/// What is read before anybody is answered.
struct Loaded {
    store: Arc<dyn Store>,
    engine: Engine,
    publisher: Publisher,
    watched: Watched,
    documents: Documents,
    recorder: Option<Recorder>,
}

/// What is there before that.
struct Begun {
    since: Instant,
    telemetry: Arc<Telemetry>,
    hub: Hub,
    door: Door,
    admin: Admin,
    deliverer: Deliverer,
    /// Where people and tools find the HTTP API.
    http_at: String,
    stopped: latest::Receiver<bool>,
}

/// Runs the control plane until `stop` ends, also while it still loads.
///
/// # Errors
///
/// When it cannot begin, or a part of it fails for good; then too everything that was taken in is durable.
pub async fn serve(
    settings: ServeSettings,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let mut stop = pin!(stop);
    let (stopping, stopped) = latest::channel(false);
    let mut parts = Parts::default();
    let begun = begin(&settings, &mut parts, stopped).await?;
    let loaded = tokio::select! {
        biased;
        () = &mut stop => Ok(None),
        error = parts.failed() => Err(error),
        loaded = load(&settings) => loaded.map(Some),
    };
    let ended = match loaded {
        Ok(Some(loaded)) => {
            begun.go_on(&settings, loaded, &mut parts);
            tokio::select! {
                () = stop => Ok(()),
                error = parts.failed() => Err(error),
            }
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    // That the loop did not get to its end says more than what was seen to end first.
    parts.end(&stopping).await.and(ended)
}

/// Listens, and lets people ask whether it is ready.
async fn begin(
    settings: &ServeSettings,
    parts: &mut Parts,
    stopped: latest::Receiver<bool>,
) -> Result<Begun, ServeError> {
    let since = Instant::now();
    let telemetry = Arc::new(Telemetry::sending(settings.otlp.as_ref())?);
    let limits = settings.limits;
    files::allow(limits.door.connections_max);
    let hub = Hub::new(limits.ads, crate::clock::wall);
    let deliverer = Deliverer::of_machine()?;

    let http = listen(settings.admin)?;
    let grpc = listen(settings.listen)?;
    let http_at = address(&http);
    let door = grpc::keep(grpc, settings, &telemetry.meter())?;
    hub.count(door.metrics.clone());
    let http = api::keep(http, settings, &telemetry.meter())?;
    let admin = Admin::loading(Arc::clone(&telemetry), hub.clone());
    parts.http = tokio::spawn(api::serve(http, admin.clone(), stopped.clone())).into();
    Ok(Begun {
        since,
        telemetry,
        hub,
        door,
        admin,
        deliverer,
        http_at,
        stopped,
    })
}

impl Begun {
    /// Begins everything else with what was `loaded`, and answers everybody.
    fn go_on(self, settings: &ServeSettings, loaded: Loaded, parts: &mut Parts) {
        let (hub, door, stopped) = (self.hub, self.door, self.stopped);
        let meter = self.telemetry.meter();
        let ingest = IngestMetrics::register(&meter);
        let meters = meters(&meter, &ingest);
        let (store, publisher) = (loaded.store, loaded.publisher);
        let mut actor = Actor::new(loaded.engine, publisher, store, hub.clone(), meters);
        actor.record(loaded.recorder);
        actor.pace(settings.rollout);
        actor.bound(settings.limits.reports, door.metrics.clone());
        actor.begin(loaded.documents);
        let (shown, trouble) = (actor.shown(), actor.trouble());
        observe_nodes(&meter, &hub, shown.subscribe());
        observe_slos(&meter, &shown.subscribe());
        observe_breakers(&meter, shown.subscribe());
        let outbox = Arc::default();
        parts.alerting = tokio::spawn(alerts::run(
            actor.alerts(),
            self.deliverer,
            AlertMetrics::register(&meter),
            Arc::clone(&outbox),
        ))
        .into();

        let (arrivals, arrived) = mpsc::channel(WAITING_MAX);
        let (views, viewed) = mpsc::channel(VIEWS_MAX);
        let (orders, ordered) = mpsc::channel(VIEWS_MAX);
        let (changes, changed) = mpsc::channel(1);
        let inputs = Inputs {
            arrivals: arrived,
            views: viewed,
            changes: ordered,
            documents: changed,
            ads: hub.events(),
            cohorts: hub.cohorts(),
            stop: stopped.clone(),
        };
        let (documents, handed_in) = mpsc::channel(VIEWS_MAX);
        parts.watching = tokio::spawn(loaded.watched.run(changes, handed_in)).into();
        parts.running = tokio::spawn(actor.run(inputs)).into();
        hub.open();
        let grpc_at = address(&door.listener);
        let counted = (settings.limits.reports, door.metrics.clone());
        let reports = Reports::service(arrivals, hub.access(), ingest, counted);
        let loads = hub.load_service(settings.loads.clone(), LoadMetrics::register(&meter));
        let services = (hub, loads, reports);
        parts.grpc = tokio::spawn(grpc::serve(door, settings.limits.ads, services, stopped)).into();
        let asked = (views, orders, documents);
        self.admin.ready(asked, shown, trouble, outbox);
        tracing::info!(
            grpc = %grpc_at, http = %self.http_at, store = %settings.store.display(),
            took_ms = self.since.elapsed().as_millis(), "ready"
        );
    }
}

/// What the loop measures by.
fn meters(meter: &Meter, ingest: &IngestMetrics) -> Meters {
    Meters {
        ingest: ingest.clone(),
        step: StepMetrics::register(meter),
        push: PushMetrics::register(meter),
        documents: DocumentMetrics::register(meter),
    }
}

async fn load(settings: &ServeSettings) -> Result<Loaded, ServeError> {
    let settings = settings.clone();
    let load = move || {
        if !settings.documents.is_dir() {
            return Err(ServeError::Documents {
                folder: settings.documents,
            });
        }
        let store: Arc<dyn Store> = Arc::new(Redb::open(&settings.store)?);
        let mut engine = Engine::restore(&*store)?;
        let recorder = match settings.record {
            Some(record) => {
                engine.begin_record(&*store)?;
                Some(begin_record(record)?)
            }
            None => None,
        };
        if let Some(report) = &settings.publish.config.report {
            engine.set_report_interval(report.interval_ms);
        }
        let publisher = Publisher::restore(settings.publish, &*store)?;
        let (watched, documents) = Watched::begin(settings.documents, Arc::clone(&store))?;
        grpc::advise(settings.tls.as_ref(), &documents.access);
        Ok(Loaded {
            store,
            engine,
            publisher,
            watched,
            documents,
            recorder,
        })
    };
    tokio::task::spawn_blocking(load).await?
}

fn begin_record(settings: RecordSettings) -> Result<Recorder, ServeError> {
    Recorder::begin(&settings.file, settings.bytes_max).map_err(|source| ServeError::Record {
        file: settings.file,
        source,
    })
}

fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    bind(address).map_err(|source| ServeError::Listen { address, source })
}

/// A fleet that comes back at one moment waits in the queue of what is to be accepted. Who finds it full hears nothing,
/// and tries again after seconds; so it is as long as the kernel lets it be (`net.core.somaxconn`).
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // As `TcpListener::bind` does: who starts again does not wait for connections of before to end.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE_MAX)
}

fn address(listener: &TcpListener) -> String {
    listener
        .local_addr()
        .map_or_else(|_| "unknown".to_owned(), |address| address.to_string())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use sloop_controllers::ConfigSettings;
    use sloop_model::TraceSettings;

    use super::*;

    fn settings(documents: PathBuf) -> ServeSettings {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        ServeSettings {
            store: documents.join("store"),
            documents,
            listen: anywhere,
            admin: anywhere,
            publish: PublishSettings {
                config: ConfigSettings {
                    report: None,
                    trace: TraceSettings::default(),
                },
                module: "/sloop_filter.wasm".to_owned(),
                ttl: None,
            },
            record: None,
            tls: None,
            limits: Limits::default(),
            api: ApiSettings::default(),
            otlp: None,
            rollout: RolloutPace::default(),
            loads: LoadSettings::default(),
        }
    }

    #[tokio::test]
    async fn who_asks_it_to_end_need_not_wait_until_it_has_loaded() {
        let nowhere = settings(PathBuf::from("/nowhere"));
        let error = serve(nowhere.clone(), std::future::pending()).await;
        assert!(matches!(error, Err(ServeError::Documents { .. })));
        serve(nowhere, async {}).await.unwrap();
    }
}
