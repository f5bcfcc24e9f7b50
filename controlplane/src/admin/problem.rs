//! Errors as `application/problem+json` (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::api::Problem;
use crate::engine::NotAsked;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// There is nothing of this name.
    #[error("there is no {kind} {name:?}")]
    NoSuch {
        /// The kind of thing.
        kind: &'static str,
        /// As asked for.
        name: String,
    },
    /// Nothing is at this path.
    #[error("there is nothing at {0:?}; see controlplane/README.md for the paths")]
    NoSuchPath(String),
    /// A query parameter makes no sense.
    #[error("{0}")]
    Query(String),
    /// Documents that were handed in are wrong.
    #[error("{0}")]
    Documents(String),
    /// An experiment cannot be run or stopped.
    #[error("{0}")]
    Experiment(NotAsked),
    /// Whoever asks did not show what is wanted.
    #[error("show a token, as `Authorization: Bearer TOKEN`; sloop does with --token-file")]
    Stranger,
    /// The store and the documents are not loaded yet.
    #[error("the store and the documents are not loaded yet")]
    Loading,
    /// The process is about to end.
    #[error("the control plane is stopping")]
    Stopping,
    /// Metrics cannot be written.
    #[error("metrics cannot be written: {0}")]
    Metrics(String),
}

impl Refusal {
    const fn status(&self) -> StatusCode {
        match self {
            Self::NoSuch { .. } | Self::NoSuchPath(_) => StatusCode::NOT_FOUND,
            Self::Query(_) => StatusCode::BAD_REQUEST,
            Self::Stranger => StatusCode::UNAUTHORIZED,
            Self::Documents(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Experiment(NotAsked::Unknown(_)) => StatusCode::NOT_FOUND,
            Self::Experiment(_) => StatusCode::CONFLICT,
            Self::Loading | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Metrics(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let problem = Problem {
            title: status.canonical_reason().unwrap_or("error").to_owned(),
            status: status.as_u16(),
            detail: self.to_string(),
        };
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (status, axum::Json(problem)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
