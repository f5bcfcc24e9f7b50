//! Requests to an Envoy.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Longer than any answer that a test waits for.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Asks one address, over connections that it keeps.
#[derive(Clone, Debug)]
pub struct Caller {
    address: SocketAddr,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Caller {
    /// Asks `address`.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        Self {
            address,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Whom it asks.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `GET path`.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Response<Bytes>> {
        self.send(Request::get(self.uri(path))).await
    }

    /// `GET path` with a header, whose value may be any bytes.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn get_with(
        &self,
        path: &str,
        name: &str,
        value: &[u8],
    ) -> anyhow::Result<Response<Bytes>> {
        self.get_with_all(path, &[(name, value)]).await
    }

    /// `GET path` with these headers, whose values may be any bytes.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn get_with_all(
        &self,
        path: &str,
        headers: &[(&str, &[u8])],
    ) -> anyhow::Result<Response<Bytes>> {
        let request = Request::get(self.uri(path));
        let add = |request: http::request::Builder, (name, value): &(&str, &[u8])| {
            request.header(*name, *value)
        };
        self.send(headers.iter().fold(request, add)).await
    }

    /// The statuses of `count` requests for `path`, one after the other.
    ///
    /// # Errors
    ///
    /// When one is not answered.
    pub async fn statuses(&self, path: &str, count: usize) -> anyhow::Result<Vec<u16>> {
        let mut statuses = Vec::with_capacity(count);
        for _ in 0..count {
            statuses.push(self.get(path).await?.status().as_u16());
        }
        Ok(statuses)
    }

    fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn send(&self, request: http::request::Builder) -> anyhow::Result<Response<Bytes>> {
        let request = request.body(Empty::new())?;
        let exchange = async {
            let (head, body) = self.client.request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        tokio::time::timeout(ANSWER_WITHIN, exchange)
            .await
            .context("no answer")?
    }
}
