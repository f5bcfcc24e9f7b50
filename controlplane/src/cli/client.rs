//! Asks a control plane over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::request::Builder;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

use super::credentials;
use super::output::CliError;
use super::table::printable;
use crate::admin::api::Problem;

/// A control plane that is there answers questions in milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A change of documents is checked together with all that there are, and stored: thousands of them
/// take seconds, more on a busy machine, and who gives up does not know whether it was made.
const PATIENCE_WITH_CHANGES: Duration = Duration::from_secs(120);

/// Media type of a body that speaks for itself.
const PLAIN: &str = "text/plain; charset=utf-8";

/// Fifty thousand scopes have about 25 MB.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The JSON at `path` of the control plane at `admin`, read as `T`.
pub(super) fn get<T: DeserializeOwned>(admin: &Uri, path: &str) -> Result<T, CliError> {
    send(admin, path, Method::GET, (PLAIN, String::new()))
}

/// What the control plane at `admin` answers to `body` at `path`, read as `T`.
pub(super) fn post<T: DeserializeOwned>(
    admin: &Uri,
    path: &str,
    body: String,
) -> Result<T, CliError> {
    send(admin, path, Method::POST, (PLAIN, body))
}

/// As [`post`], with a body of the media type `kind`.
pub(super) fn post_as<T: DeserializeOwned>(
    admin: &Uri,
    path: &str,
    (kind, body): (&'static str, String),
) -> Result<T, CliError> {
    send(admin, path, Method::POST, (kind, body))
}

/// What the control plane at `admin` answers when what is at `path` shall be deleted.
pub(super) fn delete<T: DeserializeOwned>(admin: &Uri, path: &str) -> Result<T, CliError> {
    send(admin, path, Method::DELETE, (PLAIN, String::new()))
}

fn send<T: DeserializeOwned>(
    admin: &Uri,
    path: &str,
    method: Method,
    (kind, body): (&'static str, String),
) -> Result<T, CliError> {
    let url = format!("{}{path}", admin.to_string().trim_end_matches('/'));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let patience = match method {
        Method::GET => PATIENCE,
        _ => PATIENCE_WITH_CHANGES,
    };
    let request = Request::builder().method(method).uri(&url);
    let request = request.header(header::CONTENT_TYPE, kind);
    let asked = async { tokio::time::timeout(patience, ask(request, body)).await };
    let (status, body) = runtime
        .block_on(asked)
        .map_err(Into::into)
        .flatten()
        .map_err(|source| CliError::Unreachable {
            url: url.clone(),
            source,
        })?;
    if !status.is_success() {
        let problem = serde_json::from_slice::<Problem>(&body);
        return Err(CliError::Refused(problem.map_or_else(
            |_| format!("{url} answers {status}"),
            |problem| {
                let lines = problem.detail.split('\n').map(printable);
                lines.collect::<Vec<_>>().join("\n")
            },
        )));
    }
    serde_json::from_slice(&body).map_err(|source| CliError::Unreadable { url, source })
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn ask(request: Builder, body: String) -> Result<(StatusCode, Bytes), AnyError> {
    let client = Client::builder(TokioExecutor::new()).build(credentials::connector()?);
    let mut request = request.body(Full::<Bytes>::from(body))?;
    if let Some(shown) = credentials::authorization() {
        request.headers_mut().insert(header::AUTHORIZATION, shown);
    }
    let response = client.request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    Ok((status, body.collect().await?.to_bytes()))
}

/// `name` as one segment of a path (RFC 3986, 3.3).
pub(super) fn segment(name: &str) -> String {
    let mut segment = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(segment("pay-1.x_~"), "pay-1.x_~");
        assert_eq!(segment("a/b é"), "a%2Fb%20%C3%A9");
    }

    #[test]
    fn nobody_there_is_said_with_the_address() {
        let nobody = Uri::from_static("http://127.0.0.1:1");
        let error = get::<serde_json::Value>(&nobody, "/v1/slos").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("no answer from http://127.0.0.1:1/v1/slos"),
            "{error}"
        );
    }
}
