//! The paths of the HTTP API. All are `GET`, but for orders about experiments and documents.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, Query, State, rejection::QueryRejection};
use axum::http::{Uri, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::{
    Json, Router,
    routing::{MethodRouter, delete, get, post},
};
use serde::{Deserialize, Serialize, Serializer};
use sloop_controllers::{JourneyStatus, SloStatus};
use tokio::sync::{mpsc, oneshot, watch};

use super::alerts::{shown, without_secrets};
use super::api::{
    AlertShown, DecisionExplained, DecisionTaken, DenialStatus, Event, List, NodeStatus,
    PushStatus, ScopeStatus, SpendingStatus,
};
use super::documents;
use super::experiments;
use super::nodes::nodes;
use super::openapi;
use super::problem::{Refusal, only_problems};
use super::pushes::pushes;
use crate::ads::Hub;
use crate::alerts::Outbox;
use crate::clock;
use crate::documents::Plan;
use crate::engine::{Engine, Shown};
use crate::metrics::Telemetry;
use crate::serve::{Change, DocumentChange, DocumentOrder, Stored, Trouble, View};

/// What the HTTP API answers from. Clones are the same.
#[derive(Clone, Debug)]
pub struct Admin {
    telemetry: Arc<Telemetry>,
    pub(super) hub: Hub,
    /// Empty until the store and the documents are loaded.
    running: Arc<OnceLock<Loop>>,
}

/// The loop that knows, and where it shows metrics what they show.
#[derive(Debug)]
struct Loop {
    views: mpsc::Sender<View>,
    changes: mpsc::Sender<Change>,
    documents: mpsc::Sender<DocumentOrder>,
    shown: watch::Sender<Shown>,
    trouble: watch::Receiver<Option<Trouble>>,
    outbox: Arc<Mutex<Outbox>>,
}

impl Admin {
    /// Answers that nothing is loaded yet.
    #[must_use]
    pub fn loading(telemetry: Arc<Telemetry>, hub: Hub) -> Self {
        Self {
            telemetry,
            hub,
            running: Arc::default(),
        }
    }

    /// From now on asks the loop behind `views` and `changes`, whose metrics show what is in `shown`
    /// and whose store has `trouble`, whoever reads documents, and whoever tells people of alerts from the `outbox`.
    pub(crate) fn ready(
        &self,
        (views, changes, documents): (
            mpsc::Sender<View>,
            mpsc::Sender<Change>,
            mpsc::Sender<DocumentOrder>,
        ),
        shown: watch::Sender<Shown>,
        trouble: watch::Receiver<Option<Trouble>>,
        outbox: Arc<Mutex<Outbox>>,
    ) {
        // A second call would mean two loops; the first one stays.
        drop(self.running.set(Loop {
            views,
            changes,
            documents,
            shown,
            trouble,
            outbox,
        }));
    }

    /// What `look` sees of the engine.
    pub(super) async fn view<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let views = &self.running.get().ok_or(Refusal::Loading)?.views;
        let (answer, answered) = oneshot::channel();
        let view: View = Box::new(move |engine| drop(answer.send(look(engine))));
        if views.send(view).await.is_err() {
            return Err(Refusal::Stopping);
        }
        answered.await.or(Err(Refusal::Stopping))
    }

    /// What came of a change of the engine, and what says then whether it is stored.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<(T, oneshot::Receiver<Stored>), Refusal> {
        let changes = &self.running.get().ok_or(Refusal::Loading)?.changes;
        let (answer, answered) = oneshot::channel();
        let (stored, is_stored) = oneshot::channel();
        let change = Change {
            change: Box::new(move |engine| drop(answer.send(change(engine)))),
            stored,
        };
        if changes.send(change).await.is_err() {
            return Err(Refusal::Stopping);
        }
        let answer = answered.await.or(Err(Refusal::Stopping))?;
        Ok((answer, is_stored))
    }

    /// What came of a change of documents, or would come of it if `is_trial`. When it returns, it is in force.
    pub(super) async fn change_documents(
        &self,
        change: DocumentChange,
        is_trial: bool,
    ) -> Result<Plan, Refusal> {
        let documents = &self.running.get().ok_or(Refusal::Loading)?.documents;
        let (answer, answered) = oneshot::channel();
        let order = DocumentOrder {
            change,
            is_trial,
            answer,
        };
        if documents.send(order).await.is_err() {
            return Err(Refusal::Stopping);
        }
        let result = answered.await.or(Err(Refusal::Stopping))?;
        result.map_err(Refusal::Change)
    }

    pub(super) async fn list<T: Serialize + Send + 'static>(
        &self,
        look: impl FnOnce(&Engine) -> Vec<T> + Send + 'static,
    ) -> Answer<T> {
        let items = self.view(look).await?;
        Ok(Json(List {
            at_ms: clock::wall().as_millis(),
            items,
        }))
    }
}

pub(super) type Answer<T> = Result<Json<List<T>>, Refusal>;

/// The API.
pub fn router(admin: Admin) -> Router {
    let routes = routes().into_iter();
    routes
        .fold(Router::new(), |router, (path, methods)| {
            router.route(path, methods)
        })
        .layer(DefaultBodyLimit::max(experiments::BYTES_MAX))
        .fallback(|uri: Uri| async move { Refusal::NoSuchPath(uri.path().to_owned()) })
        .layer(map_response(only_problems))
        .with_state(admin)
}

/// All paths and who answers; what they answer is in [`openapi`], which a test compares.
pub(super) fn routes() -> Vec<(&'static str, MethodRouter<Admin>)> {
    let documents_all = get(documents::documents)
        .post(documents::apply)
        .layer(DefaultBodyLimit::max(documents::BYTES_MAX));
    let experiments_all = get(experiments::experiments).post(experiments::run_documents);
    vec![
        ("/healthz", get(|| async { "ok\n" })),
        ("/readyz", get(ready)),
        ("/metrics", get(metrics)),
        ("/v1/openapi.json", get(openapi::serve)),
        ("/v1/slos", get(slos)),
        ("/v1/slos/{name}", get(slo)),
        ("/v1/slos/{name}/spending", get(spending)),
        ("/v1/scopes", get(scopes)),
        ("/v1/nodes", get(all_nodes)),
        ("/v1/pushes", get(all_pushes)),
        ("/v1/events", get(events)),
        ("/v1/alerts", get(alerts)),
        ("/v1/decisions", get(decisions)),
        ("/v1/denials", get(denials)),
        ("/v1/decisions/{id}", get(decision)),
        ("/v1/documents", documents_all),
        ("/v1/documents/{kind}/{name}", delete(documents::delete_one)),
        ("/v1/experiments", experiments_all),
        ("/v1/experiments/{name}", get(experiments::experiment)),
        ("/v1/experiments/{name}/run", post(experiments::run)),
        ("/v1/experiments/{name}/stop", post(experiments::stop)),
        ("/v1/journeys", get(journeys)),
    ]
}

/// Ready also while the store takes nothing: sidecars that come back find what they should have, and who
/// took it out of a balancer would take that from them, too.
async fn ready(State(admin): State<Admin>) -> Result<String, Refusal> {
    admin.view(|_| ()).await?;
    let running = admin.running.get().ok_or(Refusal::Loading)?;
    let trouble = running.trouble.borrow();
    Ok(match &*trouble {
        None => "ready\n".to_owned(),
        Some(Trouble { since, reason }) => format!(
            "ready, but for {} s nothing can be stored: {reason}\n",
            clock::wall().since(*since).as_secs()
        ),
    })
}

async fn metrics(State(admin): State<Admin>) -> Result<Response, Refusal> {
    // While it loads there are metrics, too, but none of SLOs and breakers.
    if let Some(running) = admin.running.get() {
        let accepted = admin.hub.accepted();
        let shown = admin.view(move |engine| engine.shown(&accepted)).await?;
        running.shown.send_replace(shown);
    }
    let text = admin
        .telemetry
        .render()
        .map_err(|error| Refusal::Metrics(error.to_string()))?;
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    Ok((kind, text).into_response())
}

/// A [`List`] of what metrics show, too.
#[derive(Serialize)]
struct Lent<T> {
    at_ms: u64,
    items: T,
}

/// SLOs, and what is to be said of some beside their notes. Only these are copied, one after the other.
struct Noted {
    slos: Arc<[SloStatus]>,
    notes: BTreeMap<usize, Vec<String>>,
}

impl Serialize for Noted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let noted = |(place, slo)| match self.notes.get(&place) {
            None => Cow::Borrowed(slo),
            Some(notes) => {
                let mut slo = SloStatus::clone(slo);
                slo.notes.extend_from_slice(notes);
                Cow::Owned(slo)
            }
        };
        serializer.collect_seq(self.slos.iter().enumerate().map(noted))
    }
}

async fn slos(State(admin): State<Admin>) -> Result<Response, Refusal> {
    // Of thousands there are tens of megabytes, and a copy would be as many again, made by the loop.
    let connected = admin.hub.connected();
    let see = move |engine: &Engine| (Arc::clone(engine.slos()), engine.absent(&connected, None));
    let (slos, absent) = admin.view(see).await?;
    let notes = absent.notes();
    let list = Lent {
        at_ms: clock::wall().as_millis(),
        items: Noted { slos, notes },
    };
    Ok(Json(list).into_response())
}

async fn slo(
    State(admin): State<Admin>,
    Path(name): Path<String>,
) -> Result<Json<SloStatus>, Refusal> {
    let asked = name.clone();
    let connected = admin.hub.connected();
    let find = move |engine: &Engine| {
        let mut slos = engine.slos().iter();
        let place = slos.position(|slo| slo.name.as_str() == asked)?;
        let slo = engine.slos().get(place)?.clone();
        Some((slo, engine.absent(&connected, Some(place))))
    };
    let found = admin.view(find).await?;
    let (mut slo, absent) = found.ok_or(Refusal::NoSuch { kind: "SLO", name })?;
    slo.notes.extend(absent.notes().into_values().flatten());
    Ok(Json(slo))
}

/// Which time is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    /// The last so many seconds; the SLO's own window when left out.
    #[serde(default)]
    window_s: Option<u64>,
}

async fn spending(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    window: Result<Query<Window>, QueryRejection>,
) -> Answer<SpendingStatus> {
    let Query(Window { window_s }) = window.map_err(|error| Refusal::Query(error.body_text()))?;
    let asked = name.clone();
    let length = window_s.map(Duration::from_secs);
    let find = move |engine: &Engine| engine.spending(&asked, length);
    let items = admin.view(find).await?;
    let items = items.ok_or(Refusal::NoSuch { kind: "SLO", name })?;
    Ok(Json(List {
        at_ms: clock::wall().as_millis(),
        items,
    }))
}

async fn scopes(State(admin): State<Admin>) -> Answer<ScopeStatus> {
    admin.list(|engine| engine.scopes(clock::wall())).await
}

async fn denials(State(admin): State<Admin>) -> Answer<DenialStatus> {
    admin.list(Engine::denials).await
}

async fn journeys(State(admin): State<Admin>) -> Answer<JourneyStatus> {
    admin.list(Engine::journeys).await
}

async fn all_nodes(State(admin): State<Admin>) -> Answer<NodeStatus> {
    let streams = admin.hub.nodes();
    admin.list(move |engine| nodes(engine, streams)).await
}

async fn all_pushes(State(admin): State<Admin>) -> Answer<PushStatus> {
    // Nothing is answered before all is loaded; and nothing of this is work for the loop.
    admin.view(|_| ()).await?;
    let items = pushes(&admin.hub);
    admin.list(move |_| items).await
}

/// What to leave out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    /// Events up to this one.
    #[serde(default)]
    since: u64,
}

async fn events(
    State(admin): State<Admin>,
    since: Result<Query<Since>, QueryRejection>,
) -> Answer<Event> {
    let Query(Since { since }) = since.map_err(|error| Refusal::Query(error.body_text()))?;
    admin.list(move |engine| engine.events(since)).await
}

async fn alerts(State(admin): State<Admin>) -> Answer<AlertShown> {
    let alerts = admin.view(Engine::alerts).await?;
    let running = admin.running.get().ok_or(Refusal::Loading)?;
    let outbox = running.outbox.lock();
    let items = shown(alerts, &outbox.unwrap_or_else(PoisonError::into_inner));
    Ok(Json(List {
        at_ms: clock::wall().as_millis(),
        items,
    }))
}

async fn decisions(State(admin): State<Admin>) -> Answer<DecisionTaken> {
    admin.list(Engine::decisions).await
}

async fn decision(
    State(admin): State<Admin>,
    Path(name): Path<String>,
) -> Result<Json<DecisionExplained>, Refusal> {
    let number: Option<u64> = name.parse().ok();
    let found = match number {
        Some(number) => admin.view(move |engine| engine.explain(number)).await?,
        None => None,
    };
    let found = found.map(|mut decision| {
        without_secrets(&mut decision.signals);
        decision
    });
    let kind = "decision";
    found.map(Json).ok_or(Refusal::NoSuch { kind, name })
}
