//! Errors as `application/problem+json` (RFC 9457).

use axum::extract::rejection::StringRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::api::Problem;
use crate::causes::whole;
use crate::documents::{NotPlanned, Remark};
use crate::engine::NotAsked;
use crate::serve::NotChanged;

/// Media type of every error.
const PROBLEM_TYPE: &str = "application/problem+json";

/// Longer than any sentence of the library.
const DETAIL_BYTES_MAX: usize = 4 << 10;

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
    #[error("{}", lines(.0))]
    Documents(Vec<Remark>),
    /// What was handed in to be run are other documents, or none.
    #[error("only documents of kind ChaosExperiment can be run, and there must be one")]
    NoExperiment,
    /// Documents cannot be changed like this.
    #[error("{}", whole(.0))]
    Change(NotChanged),
    /// A request has more bytes than it may.
    #[error("the body has more than {max} bytes; at most so many are taken here")]
    TooLarge {
        /// The bound.
        max: usize,
    },
    /// An experiment cannot be run or stopped.
    #[error("{0}")]
    Experiment(NotAsked),
    /// Whoever asks showed no token, and a certificate is not wanted or not enough.
    #[error("show a token, as `Authorization: Bearer TOKEN`; sloop does with --token-file")]
    NoToken,
    /// Whoever asks showed neither a token nor a certificate.
    #[error(
        "show a token, as `Authorization: Bearer TOKEN`, or a client's certificate; sloop does with --token-file or --admin-identity"
    )]
    Nothing,
    /// Whoever asks showed a token that lets nobody in.
    #[error(
        "the token that was shown is none of those that are taken, or not any more; sloop shows the first in --token-file"
    )]
    WrongToken,
    /// Only certificates are taken, and whoever asks showed none.
    #[error(
        "show a client's certificate that --admin-client-ca of the control plane trusts; sloop does with --admin-identity"
    )]
    NoCertificate,
    /// Pages in a browser need a token, and here none is known.
    #[error(
        "the request has Origin: a page in a browser asks, and none may, as the API asks for no token (--admin-token-file)"
    )]
    Page,
    /// Everybody is let in, but not by pages of names that lead here.
    #[error(
        "{0:?} is no name of this machine's own; ask 127.0.0.1 or localhost, or have the API ask for tokens (--admin-token-file)"
    )]
    OtherHost(String),
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
    fn status(&self) -> StatusCode {
        match self {
            Self::NoSuch { .. } | Self::NoSuchPath(_) => StatusCode::NOT_FOUND,
            Self::Query(_) => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::Nothing | Self::WrongToken => StatusCode::UNAUTHORIZED,
            // A 401 says how to do better in a header, which has no word for this (RFC 9110, 15.5.2).
            Self::NoCertificate | Self::Page => StatusCode::FORBIDDEN,
            Self::OtherHost(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Documents(_) | Self::NoExperiment => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Change(NotChanged::Store(error)) if error.is_full() => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            Self::Change(NotChanged::Store(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Change(NotChanged::Planned(error)) => match error {
                NotPlanned::Wrong(_) | NotPlanned::Nothing | NotPlanned::TooMany { .. } => {
                    StatusCode::UNPROCESSABLE_ENTITY
                }
                NotPlanned::Unknown(_) => StatusCode::NOT_FOUND,
                NotPlanned::InFile { .. } => StatusCode::CONFLICT,
            },
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Experiment(NotAsked::Unknown(_)) => StatusCode::NOT_FOUND,
            Self::Experiment(_) => StatusCode::CONFLICT,
            Self::Loading | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Metrics(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

fn lines(remarks: &[Remark]) -> String {
    let remarks: Vec<String> = remarks.iter().map(ToString::to_string).collect();
    remarks.join("\n")
}

/// The text of a body, of which at most `max` bytes were read.
pub(super) fn text_of(
    body: Result<String, StringRejection>,
    max: usize,
) -> Result<String, Refusal> {
    body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Refusal::TooLarge { max }
        } else {
            Refusal::Query(rejection.body_text())
        }
    })
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let detail = self.to_string();
        let status = self.status();
        let problems = if let Self::Documents(remarks)
        | Self::Change(NotChanged::Planned(NotPlanned::Wrong(remarks))) = self
        {
            remarks
        } else {
            Vec::new()
        };
        respond(status, detail, problems)
    }
}

fn respond(status: StatusCode, detail: String, problems: Vec<Remark>) -> Response {
    let problem = Problem {
        title: status.canonical_reason().unwrap_or("error").to_owned(),
        status: status.as_u16(),
        detail,
        problems,
    };
    let kind = HeaderValue::from_static(PROBLEM_TYPE);
    let mut response = (status, axum::Json(problem)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Makes a problem of an error that the library answered by itself: a method that a path does not
/// have, a path that is no text.
pub(super) async fn only_problems(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_problem = kind.is_some_and(|kind| kind == PROBLEM_TYPE);
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, DETAIL_BYTES_MAX).await;
    let text = text.map_or_else(
        |_| String::new(),
        |text| String::from_utf8_lossy(&text).into_owned(),
    );
    let detail = if text.is_empty() {
        status.canonical_reason().unwrap_or("error").to_owned()
    } else {
        text
    };
    let mut problem = respond(status, detail, Vec::new());
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, allow.clone());
    }
    problem
}
