//! An Envoy with our filter before a service, a client that looks closely, and Envoy's own fault filter beside it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sloop_controlplane::clock;
use sloop_integration::envoy::{Envoy, Options};
use sloop_integration::ports;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt as _;

/// Longer than any answer takes.
const WITHIN: Duration = Duration::from_secs(20);
/// Time between the pieces of a body.
const PAUSE: Duration = Duration::from_millis(30);

/// A fault for all requests, for ten minutes.
pub(crate) fn fault(id: &str, what: &Value) -> Value {
    let expires_at = clock::wall().as_millis() + 600_000;
    let mut fault = json!({"id": id, "share": 10_000, "expires_at_ms": expires_at});
    let fields = fault.as_object_mut().unwrap();
    fields.extend(what.as_object().unwrap().clone());
    fault
}

/// A route for `/path` with a fault.
pub(crate) fn scope(path: &str, fault: &Value) -> Value {
    json!({
        "service": "shop", "route": path, "match": [{"path": {"exact": format!("/{path}")}}],
        "faults": [fault],
    })
}

pub(crate) struct Bench {
    envoy: Envoy,
    pub(crate) service: Service,
    ours: SocketAddr,
    theirs: SocketAddr,
    log: PathBuf,
    _files: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn start(module: &Path, scopes: &Value) -> Self {
        Self::start_with(module, scopes, "warning,wasm:info").await
    }

    /// With a line in Envoy's log for each call into the module.
    pub(crate) async fn start_traced(module: &Path, scopes: &Value) -> Self {
        Self::start_with(module, scopes, "warning,wasm:trace").await
    }

    async fn start_with(module: &Path, scopes: &Value, log_level: &str) -> Self {
        let service = Service::start().await;
        let [ours, theirs] = [(), ()].map(|()| ports::free_address().unwrap());
        let config = config(module, scopes, [ours, theirs, service.address]);
        let files = tempfile::tempdir().unwrap();
        let log = files.path().join("envoy.log");
        let options = Options {
            concurrency: 1,
            log: Some(log.clone()),
            log_level: log_level.to_owned(),
            ..Options::default()
        };
        let envoy = Envoy::start_with(&config.to_string(), options).await;
        Self {
            envoy: envoy.unwrap(),
            service,
            ours,
            theirs,
            log,
            _files: files,
        }
    }

    /// Asks through our filter.
    pub(crate) async fn ask(&self, question: Question) -> Answer {
        ask(self.ours, question).await
    }

    /// Asks for these paths one after the other over one connection, and returns every byte that comes.
    pub(crate) async fn ask_in_turn(&self, paths: &[&str]) -> String {
        let mut connection = TcpStream::connect(self.ours).await.unwrap();
        for (n, path) in paths.iter().enumerate() {
            let last = if n + 1 == paths.len() {
                "connection: close\r\n"
            } else {
                ""
            };
            let question = format!("GET {path} HTTP/1.1\r\nhost: shop\r\n{last}\r\n");
            connection.write_all(question.as_bytes()).await.unwrap();
        }
        let mut bytes = Vec::new();
        let reading = connection.read_to_end(&mut bytes);
        tokio::time::timeout(WITHIN, reading)
            .await
            .unwrap()
            .unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Asks through Envoy's own fault filter.
    pub(crate) async fn ask_envoys_own(&self, question: Question) -> Answer {
        ask(self.theirs, question).await
    }

    /// Asks, and goes away after a while.
    pub(crate) async fn leave(&self, path: &str, after: Duration) {
        let asking = self.ask(Question::get(path));
        assert!(
            tokio::time::timeout(after, asking).await.is_err(),
            "too early"
        );
    }

    /// No VM ended, and no call into Envoy failed.
    pub(crate) async fn is_sound(&self) {
        let reloads = self.envoy.stats("vm_reload").await.unwrap();
        assert!(reloads.iter().all(|(_, count)| *count == 0), "{reloads:?}");
        let log = std::fs::read_to_string(&self.log).unwrap();
        assert!(
            !log.contains("panicked") && !log.contains("[critical]"),
            "{log}"
        );
    }

    /// How often the module was ticked so far.
    pub(crate) fn ticks(&self) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.matches("proxy_on_tick(").count()
    }
}

fn config(module: &Path, scopes: &Value, addresses: [SocketAddr; 3]) -> Value {
    let [ours, theirs, service] = addresses;
    let plugin = json!({
        "version": 1, "service": "shop", "side": "server", "scopes": scopes,
        // Nobody hears it; but there is something to do each second.
        "report": {"cluster": "service", "interval_ms": 1_000},
    });
    let wasm = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": "sloop-inbound", "root_id": "sloop-inbound", "failure_policy": "FAIL_RELOAD",
            "vm_config": {
                "vm_id": "sloop", "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": module}},
            },
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue", "value": plugin.to_string(),
            },
        },
    });
    let fault = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "abort": {"header_abort": {}, "percentage": {"numerator": 100}},
        "delay": {"header_delay": {}, "percentage": {"numerator": 100}},
    });
    json!({
        "admin": {"address": socket("127.0.0.1:0".parse().unwrap())},
        "static_resources": {
            "listeners": [
                listener("ours", ours, &json!({"name": "sloop-inbound", "typed_config": wasm})),
                listener("theirs", theirs, &json!({"name": "envoy.filters.http.fault", "typed_config": fault})),
            ],
            "clusters": [{
                "name": "service", "type": "STATIC",
                "load_assignment": {"cluster_name": "service", "endpoints": [
                    {"lb_endpoints": [{"endpoint": {"address": socket(service)}}]},
                ]},
            }],
        },
    })
}

fn listener(name: &str, address: SocketAddr, filter: &Value) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    });
    json!({
        "name": name,
        "address": socket(address),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": name,
                "route_config": {"virtual_hosts": [{
                    "name": "all", "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "service"}}],
                }]},
                "http_filters": [filter, router],
            },
        }]}],
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

/// What is asked.
pub(crate) struct Question {
    request: http::request::Builder,
    body: Vec<u8>,
    is_in_pieces: bool,
}

impl Question {
    pub(crate) fn get(path: &str) -> Self {
        Self {
            request: Request::get(path).header("host", "shop"),
            body: Vec::new(),
            is_in_pieces: false,
        }
    }

    pub(crate) fn post(path: &str, body: &[u8]) -> Self {
        Self {
            request: Request::post(path).header("host", "shop"),
            body: body.to_vec(),
            is_in_pieces: false,
        }
    }

    /// With the body in three pieces, one after the other.
    pub(crate) const fn in_pieces(mut self) -> Self {
        self.is_in_pieces = true;
        self
    }

    pub(crate) fn headers(mut self, headers: &[(&str, &str)]) -> Self {
        for (name, value) in headers {
            self.request = self.request.header(*name, *value);
        }
        self
    }

    pub(crate) fn grpc(self) -> Self {
        self.headers(&[("content-type", "application/grpc"), ("te", "trailers")])
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// None when the connection ended without one.
    pub(crate) status: Option<u16>,
    headers: HeaderMap,
    pub(crate) headers_after: Duration,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as its framing says.
    pub(crate) is_whole: bool,
    pub(crate) whole_after: Duration,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

async fn ask(address: SocketAddr, question: Question) -> Answer {
    tokio::time::timeout(WITHIN, ask_patiently(address, question))
        .await
        .expect("an answer or an end")
}

async fn ask_patiently(address: SocketAddr, question: Question) -> Answer {
    let connection = TcpStream::connect(address).await.unwrap();
    connection.set_nodelay(true).unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(connection))
            .await
            .unwrap();
    // It ends with the connection.
    let driver = tokio::spawn(connection);
    let body = if question.is_in_pieces {
        pieces(question.body)
    } else {
        whole(question.body)
    };
    let begun = Instant::now();
    let answer = sender.send_request(question.request.body(body).unwrap());
    let mut seen = Answer {
        status: None,
        headers: HeaderMap::new(),
        headers_after: Duration::ZERO,
        body: Vec::new(),
        is_whole: false,
        whole_after: Duration::ZERO,
    };
    if let Ok(answer) = answer.await {
        seen.headers_after = begun.elapsed();
        seen.status = Some(answer.status().as_u16());
        seen.headers = answer.headers().clone();
        let mut body = answer.into_body();
        seen.is_whole = loop {
            match body.frame().await {
                None => break true,
                Some(Err(_)) => break false,
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    seen.body.extend(data);
                }
            }
        };
    }
    seen.whole_after = begun.elapsed();
    driver.abort();
    seen
}

type Body = BoxBody<Bytes, Infallible>;

fn whole(body: Vec<u8>) -> Body {
    Full::new(Bytes::from(body)).boxed()
}

/// Three pieces, each a while after the other.
fn pieces(body: Vec<u8>) -> Body {
    let size = body.len().div_ceil(3).max(1);
    let chunks: Vec<Bytes> = body.chunks(size).map(Bytes::copy_from_slice).collect();
    let frames = tokio_stream::iter(chunks).then(|chunk| async {
        tokio::time::sleep(PAUSE).await;
        Ok(Frame::data(chunk))
    });
    StreamBody::new(
        Box::pin(frames) as std::pin::Pin<Box<dyn tokio_stream::Stream<Item = _> + Send + Sync>>
    )
    .boxed()
}

/// Remembers the bodies that it was sent whole, by path, and answers 200 with 3,000 bytes.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    arrived: Arrived,
    accepting: tokio::task::JoinHandle<()>,
}

type Arrived = Arc<Mutex<BTreeMap<String, Vec<Vec<u8>>>>>;

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let arrived = Arrived::default();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&arrived)));
        Self {
            address,
            arrived,
            accepting,
        }
    }

    /// The bodies that arrived for a path since the last call.
    pub(crate) fn take(&self, path: &str) -> Vec<Vec<u8>> {
        self.arrived
            .lock()
            .unwrap()
            .remove(path)
            .unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, arrived: Arrived) {
    while let Ok((connection, _)) = listener.accept().await {
        let arrived = Arc::clone(&arrived);
        let service = service_fn(move |request| {
            let arrived = Arc::clone(&arrived);
            async move { answer(request, &arrived).await }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(connection), service),
        );
    }
}

async fn answer(
    request: Request<Incoming>,
    arrived: &Arrived,
) -> Result<Response<Body>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    arrived
        .lock()
        .unwrap()
        .entry(head.uri.path().to_owned())
        .or_default()
        .push(body.to_vec());
    let answer: Vec<u8> = (0..250).cycle().take(3_000).collect();
    let body = match head.uri.query() {
        Some("pieces") => pieces(answer),
        _ => whole(answer),
    };
    Ok(Response::builder().header("x-old", "1").body(body).unwrap())
}
