//! One client floods the gRPC port in every way while others are pushed to.
//!
//! What must hold is that everybody is pushed to, that memory is bounded at every moment, and that each flood
//! comes up against its limit. A few others and a few pushes under each show that, for some seconds, without a look at
//! the time. With `SLOOP_LONG` set there are many of both, which takes minutes and is worth something on a quiet machine
//! alone: then also pushes to the others take at most twice as long. That is asserted only of a program that was
//! optimised (`$SLOOP` below a folder `release`); of others the times are printed.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sloop_xds::Kind;
use sloop_xds_protos::envoy::envoy::config::core::v3::Node;
use sloop_xds_protos::envoy::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use sloop_xds_protos::envoy::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

use crate::secured::{CHECKOUT, Secured, hello};
use crate::support::{Home, Sloop, eventually, is_optimised, report};

/// How thoroughly it is looked at.
struct Extent {
    /// Sidecars that are pushed to.
    others: usize,
    /// Pushes under each flood; where they are timed, as many before and without any.
    pushes: u32,
    /// What the flood of one client may add to the process at any moment.
    memory_max: u64,
    is_timed: bool,
}

/// For some seconds each: a flood comes up against its limit at once.
const BRIEF: Extent = Extent {
    others: 20,
    pushes: 3,
    memory_max: 64 << 20,
    is_timed: false,
};
const LONG: Extent = Extent {
    others: 200,
    pushes: 20,
    memory_max: 512 << 20,
    is_timed: true,
};
/// What pushes may take longer than twice as long: the machine does other things, too.
const LATER_MS_MAX: u64 = 20;

fn extent() -> &'static Extent {
    match std::env::var_os("SLOOP_LONG") {
        Some(_) => &LONG,
        None => &BRIEF,
    }
}

const ADS: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const REPORT: &str = "/sloop.report.v1.ReportService/Report";

/// The routes of `checkout`, as many as there were pushes and one more.
fn routes(pushes: u32) -> String {
    let mut text = "apiVersion: sloop.dev/v1\nkind: RouteSet\nmetadata: {name: checkout}\nspec:\n  service: checkout\n  routes:\n".to_owned();
    for push in 0..=pushes % 64 {
        text +=
            &format!("  - {{name: r{pushes}-{push}, match: [{{path: {{prefix: /{push}}}}}]}}\n");
    }
    text
}

fn now_ms() -> u64 {
    sloop_controlplane::clock::wall().as_millis()
}

/// A sidecar that takes everything over, and says when something came.
async fn other(channel: Channel, number: usize, arrivals: mpsc::UnboundedSender<(usize, u64)>) {
    let (requests, requested) = mpsc::channel(16);
    let first = DeltaDiscoveryRequest {
        node: Some(Node {
            id: format!("checkout-{number}"),
            cluster: "checkout".into(),
            ..Node::default()
        }),
        type_url: Kind::EXTENSION.into(),
        resource_names_subscribe: vec!["sloop-inbound".into()],
        ..DeltaDiscoveryRequest::default()
    };
    requests.send(first).await.unwrap();
    let mut client = AggregatedDiscoveryServiceClient::new(channel);
    let stream = client.delta_aggregated_resources(ReceiverStream::new(requested));
    let mut stream = stream.await.unwrap().into_inner();
    while let Some(response) = stream.message().await.unwrap() {
        arrivals.send((number, now_ms())).ok();
        let accept = DeltaDiscoveryRequest {
            type_url: response.type_url,
            response_nonce: response.nonce,
            ..DeltaDiscoveryRequest::default()
        };
        requests.send(accept).await.unwrap();
    }
}

/// Those who are pushed to, and by what.
struct Fleet {
    /// They go before the program does.
    _others: JoinSet<()>,
    home: Home,
    sloop: Sloop,
    arrivals: mpsc::UnboundedReceiver<(usize, u64)>,
    others: usize,
    pushes: u32,
    /// What a client of TLS says first; empty without TLS.
    hello: Bytes,
    _files: Option<tempfile::TempDir>,
}

const ARGS: [&str; 4] = ["--limit", "stall_ms=2000", "--rollout-first", "0"];

impl Fleet {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(more: &[&str]) -> Self {
        let home = Home::new();
        home.write("routes.yaml", &routes(0));
        let sloop = home.start_with(&[&ARGS, more].concat());
        let endpoint = Endpoint::from_shared(format!("http://{}", sloop.grpc)).unwrap();
        let channels = (0..extent().others).map(|_| endpoint.connect_lazy());
        Self::of((home, sloop), channels.collect(), Bytes::new()).await
    }

    /// All of them over TLS.
    async fn secured() -> Self {
        let secured = Secured::start_with(&ARGS);
        secured.home.write("routes.yaml", &routes(0));
        let shown = secured
            .authority
            .write(secured.files.path(), "checkout", &[CHECKOUT]);
        let channels: Vec<Channel> = (0..extent().others)
            .map(|_| secured.channel(&secured.authority, &shown))
            .collect();
        let Secured {
            files,
            authority,
            sloop,
            home,
        } = secured;
        let hello = Bytes::from(hello(&authority));
        let mut fleet = Self::of((home, sloop), channels, hello).await;
        fleet._files = Some(files);
        fleet
    }

    async fn of((home, sloop): (Home, Sloop), channels: Vec<Channel>, hello: Bytes) -> Self {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let count = channels.len();
        let mut others = JoinSet::new();
        for (number, channel) in channels.into_iter().enumerate() {
            others.spawn(other(channel, number, sender.clone()));
        }
        let mut fleet = Self {
            home,
            sloop,
            arrivals,
            others: count,
            pushes: 0,
            hello,
            _others: others,
            _files: None,
        };
        fleet.all_have_it().await;
        fleet
    }

    /// When each of the others was sent something.
    async fn all_have_it(&mut self) -> Vec<u64> {
        let mut at = vec![None; self.others];
        while at.iter().any(Option::is_none) {
            let arrival = tokio::time::timeout(Duration::from_secs(60), self.arrivals.recv());
            let (number, ms) = arrival.await.expect("everybody is pushed to").unwrap();
            at[number].get_or_insert(ms);
        }
        at.into_iter().flatten().collect()
    }

    /// Times from pushes to their arrival in milliseconds, sorted.
    async fn push(&mut self, pushes: u32) -> Vec<u64> {
        let mut took = Vec::new();
        for _ in 0..pushes {
            self.pushes += 1;
            self.home.write("routes.yaml", &routes(self.pushes));
            let arrived = self.all_have_it().await;
            let events = self.sloop.items("/v1/events").await;
            let mut pushes = events.iter().rev();
            let newest = pushes.find(|it| it["kind"] == "push" && it["side"] == "server");
            let pushed = newest.unwrap()["at_ms"].as_u64().unwrap();
            took.extend(arrived.iter().map(|ms| ms.saturating_sub(pushed)));
        }
        took.sort_unstable();
        took
    }

    /// Begins to look for the most memory that the program has at any moment (proc(5), `clear_refs`). Where that may not
    /// be done it goes on from its start, which is no less.
    fn look_at_memory(&self) {
        drop(fs::write(
            format!("/proc/{}/clear_refs", self.sloop.id()),
            "5",
        ));
    }

    /// The most bytes of memory that it had since.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.sloop.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: u64 = line.unwrap().trim_end_matches("kB").trim().parse().unwrap();
        kib << 10
    }

    /// Floods it, until the answer is ended.
    fn flood(&self, flood: Flood) -> Flooding {
        let done = Arc::<AtomicU64>::default();
        let (at, hello) = (self.sloop.grpc, self.hello.clone());
        let one = flood.run(at, hello, Arc::clone(&done));
        Flooding {
            begun: Instant::now(),
            done,
            one: tokio::spawn(one),
        }
    }

    /// Waits until a limit that is for this flood was hit more often than `before`.
    async fn holds_up(&self, flood: Flood, before: f64) {
        eventually("it comes up against a limit", async || {
            (before < self.hits_of(flood).await).then_some(())
        })
        .await;
    }

    /// How often the limits were hit that are for this flood.
    async fn hits_of(&self, flood: Flood) -> f64 {
        let mut sum = 0.0;
        for limit in flood.limits() {
            sum += self.hits(limit).await;
        }
        sum
    }

    async fn hits(&self, limit: &str) -> f64 {
        let name = format!("sloop_controlplane_limits_hit_total{{limit=\"{limit}\"}}");
        self.sloop.metric(&name).await.unwrap_or_default()
    }
}

/// How the one client floods.
#[derive(Clone, Copy, Debug)]
enum Flood {
    /// Ten thousand reports a second over one connection.
    Calls,
    /// Requests of discovery as fast as they go.
    Requests,
    /// Reports of eight megabytes.
    Oversized,
    /// Connections that say nothing, and halves of reports.
    HalfOpen,
    /// The first words of a handshake, sixty times a second, and nothing after the server has signed.
    HalfSecured,
    /// Calls that are taken back at once.
    Resets,
    /// Streams that are never read.
    SlowReads,
    /// Streams from many addresses, each over as soon as it is answered.
    Streams,
}

/// A connection and the task that drives it.
async fn raw(at: SocketAddr, window: u32) -> Option<h2::client::SendRequest<Bytes>> {
    over(TcpStream::connect(at).await.ok()?, window).await
}

async fn over(stream: TcpStream, window: u32) -> Option<h2::client::SendRequest<Bytes>> {
    let mut builder = h2::client::Builder::new();
    let (sender, connection) = builder
        .initial_window_size(window)
        .handshake(stream)
        .await
        .ok()?;
    tokio::spawn(async move { drop(connection.await) });
    sender.ready().await.ok()
}

fn call(path: &str) -> http::Request<()> {
    let request = http::Request::post(format!("http://sloop{path}"));
    let request = request.header("content-type", "application/grpc");
    request.header("te", "trailers").body(()).unwrap()
}

fn message(message: &impl prost::Message) -> Bytes {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    Bytes::from([&[0][..], &length, &bytes].concat())
}

fn asks(number: u64) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: Some(Node {
            id: format!("flood-{number}"),
            cluster: "checkout".into(),
            ..Node::default()
        }),
        type_url: Kind::EXTENSION.into(),
        resource_names_subscribe: vec!["sloop-inbound".into()],
        ..DeltaDiscoveryRequest::default()
    }
}

impl Flood {
    /// Floods `at`, over one connection after the other.
    async fn run(self, at: SocketAddr, hello: Bytes, done: Arc<AtomicU64>) {
        loop {
            let once = async {
                match self {
                    Self::Calls => calls(at, &done).await,
                    Self::Requests => requests(at, &done).await,
                    Self::Oversized => oversized(at, &done).await,
                    Self::HalfOpen => half_open(at, &done).await,
                    Self::HalfSecured => half_secured(at, &hello, &done).await,
                    Self::Resets => resets(at, &done).await,
                    Self::SlowReads => slow_reads(at, &done).await,
                    Self::Streams => streams(at, &done).await,
                }
            };
            drop(tokio::time::timeout(Duration::from_secs(10), once).await);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The limits of which it comes up against one.
    const fn limits(self) -> &'static [&'static str] {
        match self {
            Self::Calls => &["calls"],
            Self::Requests => &["requests"],
            Self::Oversized => &["report_bytes"],
            Self::HalfOpen | Self::HalfSecured => &["handshake_time"],
            Self::Resets => &["resets", "calls"],
            Self::SlowReads => &["stall", "calls"],
            Self::Streams => &["new_streams"],
        }
    }
}

async fn calls(at: SocketAddr, done: &AtomicU64) -> Option<()> {
    let mut sender = raw(at, 65_535).await?;
    let body = message(&report(1, 1, 1, 0));
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    loop {
        tick.tick().await;
        for _ in 0..10 {
            sender = sender.ready().await.ok()?;
            let (answer, mut stream) = sender.send_request(call(REPORT), false).ok()?;
            stream.send_data(body.clone(), true).ok()?;
            tokio::spawn(async move { drop(answer.await) });
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn requests(at: SocketAddr, done: &AtomicU64) -> Option<()> {
    let mut sender = raw(at, 65_535).await?;
    let (_answer, mut stream) = sender.send_request(call(ADS), false).ok()?;
    let body = message(&asks(0));
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    loop {
        tick.tick().await;
        for _ in 0..10 {
            stream.send_data(body.clone(), false).ok()?;
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn oversized(at: SocketAddr, done: &AtomicU64) -> Option<()> {
    let mut sender = raw(at, 65_535).await?;
    loop {
        sender = sender.ready().await.ok()?;
        let (answer, mut stream) = sender.send_request(call(REPORT), false).ok()?;
        let length = (8_u32 << 20).to_be_bytes();
        let head = Bytes::from([&[0][..], &length, &[0; 64 << 10]].concat());
        stream.send_data(head, false).ok()?;
        drop(answer.await);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

async fn half_open(at: SocketAddr, done: &AtomicU64) -> Option<()> {
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(at).await.ok()?);
        done.fetch_add(1, Ordering::Relaxed);
    }
    let mut sender = raw(at, 65_535).await?;
    let mut halves = Vec::new();
    for _ in 0..60 {
        sender = sender.ready().await.ok()?;
        let (answer, mut stream) = sender.send_request(call(REPORT), false).ok()?;
        let length = (1_u32 << 20).to_be_bytes();
        stream
            .send_data(Bytes::from([&[0][..], &length, &[0]].concat()), false)
            .ok()?;
        halves.push((answer, stream));
    }
    // Longer than they are waited for.
    tokio::time::sleep(Duration::from_secs(6)).await;
    Some(())
}

async fn half_secured(at: SocketAddr, hello: &[u8], done: &AtomicU64) -> Option<()> {
    let mut silent = Vec::new();
    // Longer than each is waited for.
    for _ in 0..9 {
        for _ in 0..60 {
            let mut stream = TcpStream::connect(at).await.ok()?;
            stream.write_all(hello).await.ok()?;
            silent.push(stream);
            done.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Some(())
}

async fn resets(at: SocketAddr, done: &AtomicU64) -> Option<()> {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    let path = u8::try_from(ADS.len()).unwrap();
    let headers = [&[0x83, 0x86, 0x04, path], ADS.as_bytes(), &[0x01, 1, b'a']].concat();
    for stream in (1..2_000).step_by(2) {
        bytes.extend(frame(1, 4, stream, &headers));
        bytes.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
        done.fetch_add(1, Ordering::Relaxed);
    }
    let mut stream = TcpStream::connect(at).await.ok()?;
    stream.write_all(&bytes).await.ok()?;
    let mut end = [0; 4_096];
    while !matches!(stream.read(&mut end).await, Ok(0) | Err(_)) {}
    Some(())
}

async fn slow_reads(at: SocketAddr, done: &AtomicU64) -> Option<()> {
    let mut sender = raw(at, 0).await?;
    let mut unread = Vec::new();
    for number in 0..60 {
        sender = sender.ready().await.ok()?;
        let (answer, mut stream) = sender.send_request(call(ADS), false).ok()?;
        stream.send_data(message(&asks(number)), false).ok()?;
        unread.push((answer, stream));
        done.fetch_add(1, Ordering::Relaxed);
    }
    // Until the connection ends.
    while sender.clone().ready().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Some(())
}

/// From so many addresses at a time.
const ADDRESSES: u8 = 100;

async fn streams(at: SocketAddr, done: &Arc<AtomicU64>) -> Option<()> {
    let mut clients = JoinSet::new();
    for host in 1..=ADDRESSES {
        clients.spawn(streams_from(host, at, Arc::clone(done)));
    }
    while clients.join_next().await.is_some() {}
    Some(())
}

async fn streams_from(host: u8, at: SocketAddr, done: Arc<AtomicU64>) -> Option<()> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind(([127, 0, 1, host], 0).into()).ok()?;
    let mut sender = over(socket.connect(at).await.ok()?, 65_535).await?;
    loop {
        sender = sender.ready().await.ok()?;
        let (answer, mut stream) = sender.send_request(call(ADS), false).ok()?;
        stream.send_data(message(&asks(host.into())), true).ok()?;
        drop(answer.await.ok()?);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// A flood that is going on.
struct Flooding {
    begun: Instant,
    done: Arc<AtomicU64>,
    one: JoinHandle<()>,
}

impl Flooding {
    /// Attempts per second.
    fn rate(&self) -> u64 {
        self.done.load(Ordering::Relaxed) / self.begun.elapsed().as_secs().max(1)
    }

    /// Hangs up, whatever it waits for.
    async fn end(self) {
        self.one.abort();
        assert!(self.one.await.unwrap_err().is_cancelled());
    }
}

fn percentile(sorted: &[u64], hundredths: usize) -> u64 {
    sorted[(sorted.len() - 1) * hundredths / 100]
}

/// One flood after the other against `fleet`, each of which must not disturb the others.
async fn withstands(mut fleet: Fleet, floods: &[Flood]) {
    let extent = extent();
    let mut p99_max = None;
    println!(
        "| flood | attempts per second | push p50, p99 to the others | most memory |\n|---|---|---|---|"
    );
    let row = |name: &str, rate: u64, took: &[u64], memory: u64| {
        let (p50, p99) = (percentile(took, 50), percentile(took, 99));
        println!(
            "| {name} | {rate} | {p50} ms, {p99} ms | {} MiB |",
            memory >> 20
        );
    };
    fleet.look_at_memory();
    let mut before = fleet.memory();
    if extent.is_timed {
        fleet.push(extent.pushes).await;
        fleet.look_at_memory();
        let alone = fleet.push(extent.pushes).await;
        before = fleet.memory();
        row("none", 0, &alone, before);
        p99_max = is_optimised().then(|| 2 * percentile(&alone, 99) + LATER_MS_MAX);
    }
    for flood in floods {
        fleet.look_at_memory();
        let hits = fleet.hits_of(*flood).await;
        let flooding = fleet.flood(*flood);
        // Fails unless all of them are sent each.
        let took = fleet.push(extent.pushes).await;
        fleet.holds_up(*flood, hits).await;
        let (memory, rate) = (fleet.memory(), flooding.rate());
        flooding.end().await;
        row(&format!("{flood:?}"), rate, &took, memory);
        let is_bounded = memory < before + extent.memory_max;
        assert!(is_bounded, "{flood:?}: {memory} bytes after {before}");
        let p99 = percentile(&took, 99);
        let is_in_time = p99_max.is_none_or(|max| p99 <= max);
        assert!(is_in_time, "{flood:?}: p99 {p99} ms, at most {p99_max:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_are_pushed_to_whatever_one_client_does() {
    let floods = [
        Flood::Calls,
        Flood::Requests,
        Flood::Oversized,
        Flood::HalfOpen,
        Flood::Resets,
        Flood::SlowReads,
    ];
    withstands(Fleet::start().await, &floods).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_are_pushed_to_over_tls_while_one_client_falls_silent() {
    withstands(Fleet::secured().await, &[Flood::HalfSecured]).await;
}

/// They may begin less than by default, so that it is soon over also where little is attempted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_are_pushed_to_while_many_addresses_open_streams() {
    let less = ["new_streams_burst=400", "new_streams_per_second=200"];
    let less = less.map(|limit| ["--limit", limit]).concat();
    let fleet = Fleet::start_with(&less).await;
    withstands(fleet, &[Flood::Streams]).await;
}
