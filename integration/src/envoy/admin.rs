//! Envoy's admin interface.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Envoy answers from its main thread, which compiles modules meanwhile.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    timeout(ANSWER_WITHIN, get_patiently(address, path))
        .await
        .with_context(|| format!("{address}{path} does not answer"))?
}

pub(super) async fn stats(address: SocketAddr, filter: &str) -> anyhow::Result<Vec<(String, u64)>> {
    let text = get(address, &format!("/stats?filter={filter}")).await?;
    // `name: value`; histograms and texts are left out.
    let numbers = text.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(": ")?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    Ok(numbers.collect())
}

async fn get_patiently(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let connection = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    let driver = tokio::spawn(connection);
    let request = http::Request::get(path)
        .header("host", address.to_string())
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    driver.abort();
    let text = String::from_utf8_lossy(&body).into_owned();
    if status != http::StatusCode::OK {
        bail!("{path} answers {status}: {text}");
    }
    Ok(text)
}
