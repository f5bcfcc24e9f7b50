//! Answers of the shop's services.

use bytes::Bytes;
use http::{HeaderName, Response, StatusCode};
use http_body_util::Full;

use crate::server::Reply;

/// What kind of answer a user got: `full`, `degraded`, `refused`, `failed` or `busy`.
pub const ANSWER_HEADER: HeaderName = HeaderName::from_static("x-shop-answer");

/// A plain answer of the kind `kind`.
pub(super) fn reply(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(text.into()));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(ANSWER_HEADER, http::HeaderValue::from_static(kind));
    reply
}

/// A JSON answer.
pub(super) fn json(value: &impl serde::Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(text) => reply(StatusCode::OK, "full", text),
        Err(error) => reply(
            StatusCode::INTERNAL_SERVER_ERROR,
            "failed",
            error.to_string(),
        ),
    }
}

/// The answer to a path that the service does not have.
pub(super) fn not_found() -> Reply {
    reply(StatusCode::NOT_FOUND, "failed", "not found\n")
}
