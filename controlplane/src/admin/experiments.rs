//! `/v1/experiments`: runs of experiments, and orders to run and to stop.

use axum::Json;
use axum::extract::rejection::{QueryRejection, StringRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_controllers::{ChaosIntent, ExperimentStatus};
use sloop_model::WallTime;
use tokio::sync::oneshot;

use super::api::List;
use super::documents::{Trial, texts};
use super::problem::{Refusal, text_of};
use super::routes::{Admin, Answer};
use crate::clock;
use crate::documents;
use crate::engine::{Engine, NotAsked, Order};
use crate::serve::Stored;

/// Answer to `POST /v1/experiments` and `POST /v1/experiments/{name}/run`: with the name, the moment finds the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskedFor {
    /// The experiment.
    pub name: String,
    /// When it was asked for.
    pub due_at: WallTime,
    /// Whether that is stored. It holds all the same; while the store takes nothing a kill forgets it.
    #[serde(default = "yes")]
    pub stored: bool,
}

/// Who does not say answers before it is stored.
const fn yes() -> bool {
    true
}

/// Documents in one request: an experiment and its faults, many times over.
pub(super) const BYTES_MAX: usize = 256 << 10;

pub(super) async fn experiments(State(admin): State<Admin>) -> Answer<ExperimentStatus> {
    admin.list(Engine::experiments).await
}

/// Which run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// When it was due; the newest when absent.
    due_at: Option<WallTime>,
}

pub(super) async fn experiment(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<ExperimentStatus>, Refusal> {
    let Query(Which { due_at }) = which.map_err(|error| Refusal::Query(error.body_text()))?;
    let asked = name.clone();
    let find = move |engine: &Engine| engine.experiment(&asked, due_at);
    let found = admin.view(find).await?;
    found.map(Json).ok_or(Refusal::NoSuch {
        kind: "run of an experiment",
        name,
    })
}

type Accepted = Result<(StatusCode, Json<List<AskedFor>>), Refusal>;

/// Runs or tries the experiments in the body at once: all of them or none.
pub(super) async fn run_documents(
    State(admin): State<Admin>,
    trial: Result<Query<Trial>, QueryRejection>,
    headers: HeaderMap,
    body: Result<String, StringRejection>,
) -> Accepted {
    let order = order(trial)?;
    let texts = texts(&headers, text_of(body, BYTES_MAX)?)?;
    let now = clock::wall();
    let intents = read(&texts, now)?;
    let names = intents.iter().map(|intent| intent.spec().name.clone());
    let names: Vec<String> = names.collect();
    let run = move |engine: &mut Engine| engine.run_experiments(intents, order, now);
    let (asked, stored) = admin.change(run).await?;
    let asked = asked.map(|due_at| names.into_iter().zip(due_at).collect());
    accepted((asked, stored), order, now).await
}

pub(super) async fn run(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    trial: Result<Query<Trial>, QueryRejection>,
) -> Accepted {
    let order = order(trial)?;
    let now = clock::wall();
    let asked = name.clone();
    let run = move |engine: &mut Engine| engine.run_declared_experiment(&asked, order, now);
    let (asked, stored) = admin.change(run).await?;
    let asked = asked.map(|due_at| vec![(name, due_at)]);
    accepted((asked, stored), order, now).await
}

pub(super) async fn stop(State(admin): State<Admin>, Path(name): Path<String>) -> Accepted {
    let now = clock::wall();
    let asked = name.clone();
    let stop = move |engine: &mut Engine| engine.stop_experiment(&asked, now);
    let (stopped, stored) = admin.change(stop).await?;
    let stopped = stopped.map(|()| vec![(name, now)]);
    accepted((stopped, stored), Order::Run, now).await
}

fn order(trial: Result<Query<Trial>, QueryRejection>) -> Result<Order, Refusal> {
    let Query(trial) = trial.map_err(|error| Refusal::Query(error.body_text()))?;
    Ok(if trial.dry_run {
        Order::Try
    } else {
        Order::Run
    })
}

/// What was asked for, by name, and when.
type Asked = Result<Vec<(String, WallTime)>, NotAsked>;

/// Waits until what was asked for is stored, or cannot be.
async fn accepted(
    (asked, is_stored): (Asked, oneshot::Receiver<Stored>),
    order: Order,
    now: WallTime,
) -> Accepted {
    let asked = asked.map_err(Refusal::Experiment)?;
    let stored = match order {
        Order::Run => is_stored.await.or(Err(Refusal::Stopping))? == Stored::Durable,
        Order::Try => true,
    };
    let asked_for = |(name, due_at)| AskedFor {
        name,
        due_at,
        stored,
    };
    let items = asked.into_iter().map(asked_for).collect();
    let at_ms = now.as_millis();
    Ok((StatusCode::ACCEPTED, Json(List { at_ms, items })))
}

/// The experiments in `texts`, which must have nothing else.
fn read(texts: &[(String, String)], now: WallTime) -> Result<Vec<ChaosIntent>, Refusal> {
    let loaded = documents::read_texts(texts, now);
    if !loaded.problems.is_empty() {
        return Err(Refusal::Documents(loaded.problems));
    }
    let of_chaos = loaded.intents.iter().map(|(_, kind, body)| {
        (*kind == "chaos")
            .then(|| serde_json::from_str(body).ok())
            .flatten()
    });
    match of_chaos.collect::<Option<Vec<ChaosIntent>>>() {
        Some(intents) if !intents.is_empty() && loaded.route_sets.is_empty() => Ok(intents),
        Some(_) | None => Err(Refusal::NoExperiment),
    }
}
