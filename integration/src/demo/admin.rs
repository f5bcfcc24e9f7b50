//! Questions to the control plane, over its HTTP API.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use sloop_bench::Pool;
use sloop_controllers::{ExperimentStatus, SloStatus, Spent};
use sloop_controlplane::admin::api::{
    DecisionExplained, DecisionTaken, Event, List, NodeStatus, ScopeStatus, SpendingStatus,
};

/// It answers from memory, on a machine that may be busy.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Asks one HTTP server on the loopback interface for JSON.
#[derive(Debug)]
pub struct Client {
    pool: Pool,
    host: HeaderValue,
}

impl Client {
    /// Asks the one at `address`.
    ///
    /// # Errors
    ///
    /// Never, for an address can always be a host; the type says otherwise.
    pub fn new(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            pool: Pool::new(address),
            host: HeaderValue::try_from(address.to_string())?,
        })
    }

    /// Sends a request and reads the answer's body.
    ///
    /// # Errors
    ///
    /// When there is no answer in time, or it is not a success.
    pub async fn ask(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().with_context(|| path.to_owned())?;
        let headers = request.headers_mut();
        headers.insert(http::header::HOST, self.host.clone());
        let answer = tokio::time::timeout(ANSWER_WITHIN, self.pool.send(request))
            .await
            .with_context(|| format!("{path}: no answer within {ANSWER_WITHIN:?}"))?
            .with_context(|| path.to_owned())?;
        if !answer.status.is_success() {
            let text = String::from_utf8_lossy(&answer.body);
            bail!("{path} answers {}: {text}", answer.status);
        }
        Ok(answer.body)
    }

    /// What `GET path` answers.
    ///
    /// # Errors
    ///
    /// When it does not answer, or with something else.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let body = self.ask(Method::GET, path, Bytes::new()).await?;
        serde_json::from_slice(&body).with_context(|| format!("reading what {path} answers"))
    }
}

/// Asks the control plane.
#[derive(Debug)]
pub struct Admin(Client);

impl Admin {
    /// Asks the one whose HTTP API is at `address`.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn new(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self(Client::new(address)?))
    }

    /// Whether its store and documents are loaded.
    pub async fn is_ready(&self) -> bool {
        let answer = self.0.ask(Method::GET, "/readyz", Bytes::new()).await;
        answer.is_ok()
    }

    /// What happened after the event `since`, oldest first.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn events(&self, since: u64) -> anyhow::Result<Vec<Event>> {
        let list: List<Event> = self.0.get(&format!("/v1/events?since={since}")).await?;
        Ok(list.items)
    }

    /// All SLOs.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn slos(&self) -> anyhow::Result<Vec<SloStatus>> {
        let list: List<SloStatus> = self.0.get("/v1/slos").await?;
        Ok(list.items)
    }

    /// All scopes.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn scopes(&self) -> anyhow::Result<Vec<ScopeStatus>> {
        let list: List<ScopeStatus> = self.0.get("/v1/scopes").await?;
        Ok(list.items)
    }

    /// What was decided lately.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn decisions(&self) -> anyhow::Result<Vec<DecisionTaken>> {
        let list: List<DecisionTaken> = self.0.get("/v1/decisions").await?;
        Ok(list.items)
    }

    /// All about the decision with this number.
    ///
    /// # Errors
    ///
    /// When it does not answer, or there is none.
    pub async fn decision(&self, number: u64) -> anyhow::Result<DecisionExplained> {
        self.0.get(&format!("/v1/decisions/{number}")).await
    }

    /// Who spent the budget of the first objective of `slo` in the last `window`.
    ///
    /// # Errors
    ///
    /// When it does not answer, or there is no such SLO.
    pub async fn spent(&self, slo: &str, window: Duration) -> anyhow::Result<Vec<Spent>> {
        let seconds = window.as_secs();
        let path = format!("/v1/slos/{slo}/spending?window_s={seconds}");
        let list: List<SpendingStatus> = self.0.get(&path).await?;
        let first = list.items.into_iter().next();
        Ok(first.map_or_else(Vec::new, |objective| objective.spent))
    }

    /// The newest run of the experiment `name`.
    ///
    /// # Errors
    ///
    /// When it does not answer, or there is none.
    pub async fn experiment(&self, name: &str) -> anyhow::Result<ExperimentStatus> {
        self.0.get(&format!("/v1/experiments/{name}")).await
    }

    /// Orders something about experiments: posts `body` to `path`.
    ///
    /// # Errors
    ///
    /// When it does not answer, or refuses.
    pub async fn order(&self, path: &str, body: &str) -> anyhow::Result<()> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.0.ask(Method::POST, path, body).await.map(|_| ())
    }

    /// All nodes.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn nodes(&self) -> anyhow::Result<Vec<NodeStatus>> {
        let list: List<NodeStatus> = self.0.get("/v1/nodes").await?;
        Ok(list.items)
    }
}
