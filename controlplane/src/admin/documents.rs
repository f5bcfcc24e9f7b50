//! `/v1/documents`: how files stand, and documents that are handed in.

use axum::Json;
use axum::extract::rejection::{QueryRejection, StringRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use serde::Deserialize;

use super::api::{DocumentChanged, DocumentFile, DocumentText, DocumentsChanged};
use super::problem::{Refusal, text_of};
use super::routes::{Admin, Answer};
use crate::clock;
use crate::documents::{Applied, DocumentId, Plan};
use crate::engine::Engine;
use crate::serve::DocumentChange;

/// Media type of a list of texts, each with a name: [`DocumentText`]. What is of any other type is one text.
pub const TEXTS_TYPE: &str = "application/vnd.sloop.documents+json";

/// What may be handed in at a time: what may be there, and room for names and JSON's escapes.
pub(super) const BYTES_MAX: usize = Applied::BYTES_MAX + (4 << 20);

pub(super) async fn documents(State(admin): State<Admin>) -> Answer<DocumentFile> {
    let connected = admin.hub.connected();
    let see = move |engine: &Engine| {
        let mut said = engine.chosen_by_nobody(&connected);
        let with_notes = |file: &DocumentFile| {
            let mut file = file.clone();
            let notes = said.remove(file.file.as_str());
            file.notes.extend(notes.into_iter().flatten());
            file
        };
        engine.files().iter().map(with_notes).collect()
    };
    admin.list(see).await
}

/// Whether it is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    /// Only say what it would do.
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// Hands in the documents of the body: all of them or none.
pub(super) async fn apply(
    State(admin): State<Admin>,
    trial: Result<Query<Trial>, QueryRejection>,
    headers: HeaderMap,
    body: Result<String, StringRejection>,
) -> Result<Json<DocumentsChanged>, Refusal> {
    let texts = texts(&headers, text_of(body, BYTES_MAX)?)?;
    change(&admin, DocumentChange::Apply(texts), trial).await
}

pub(super) async fn delete_one(
    State(admin): State<Admin>,
    Path((kind, name)): Path<(String, String)>,
    trial: Result<Query<Trial>, QueryRejection>,
) -> Result<Json<DocumentsChanged>, Refusal> {
    let id = DocumentId { kind, name };
    change(&admin, DocumentChange::Delete(id), trial).await
}

async fn change(
    admin: &Admin,
    change: DocumentChange,
    trial: Result<Query<Trial>, QueryRejection>,
) -> Result<Json<DocumentsChanged>, Refusal> {
    let Query(trial) = trial.map_err(|error| Refusal::Query(error.body_text()))?;
    let Plan { documents, notes } = admin.change_documents(change, trial.dry_run).await?;
    let changed = documents.into_iter().map(|planned| DocumentChanged {
        id: planned.id,
        became: planned.became,
    });
    Ok(Json(DocumentsChanged {
        at_ms: clock::wall().as_millis(),
        items: changed.collect(),
        notes,
    }))
}

/// The texts in `body`, by the media type that `headers` have.
pub(super) fn texts(headers: &HeaderMap, body: String) -> Result<Vec<(String, String)>, Refusal> {
    let is_list = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == TEXTS_TYPE);
    if !is_list {
        return Ok(vec![("request".to_owned(), body)]);
    }
    let texts: Vec<DocumentText> = serde_json::from_str(&body)
        .map_err(|error| Refusal::Query(format!("{TEXTS_TYPE}: {error}")))?;
    Ok(texts.into_iter().map(|it| (it.file, it.text)).collect())
}
