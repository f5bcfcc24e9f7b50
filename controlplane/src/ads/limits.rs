//! What clients may take.

use std::time::Duration;

use hyper::server::conn::http2::Builder;
use hyper_util::rt::TokioTimer;
use sloop_xds::{Node, Scalars, StreamLimits};
use tonic::Status;

use super::hub::Hub;
use crate::door::Limit;
use crate::grpc::Beside;

/// Bounds on what clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdsLimits {
    /// Bytes of one request.
    pub request_bytes_max: usize,
    /// Streams at one time, of all clients.
    pub streams_max: usize,
    /// The same of all clients with one identity, which only TLS gives.
    pub streams_per_identity_max: usize,
    /// Streams that may begin at once, of all clients.
    pub new_streams_burst: u32,
    /// Streams that may begin per second for long, of all clients.
    pub new_streams_per_second: u32,
    /// Streams that may begin at once, of all clients with one identity; in the clear, of all from one address.
    pub new_streams_per_identity_burst: u32,
    /// The same per second for long.
    pub new_streams_per_identity_per_second: u32,
    /// Concurrent gRPC calls on one connection, of all services.
    pub calls_per_connection_max: u32,
    /// Groups that clients may name.
    pub groups_max: usize,
    /// Bytes of a node's id or cluster, or of one word on where it runs.
    pub node_bytes_max: usize,
    /// Bytes that are kept of a node's metadata.
    pub metadata_bytes_max: usize,
    /// Requests that one stream may send at once.
    pub requests_burst: u32,
    /// Requests per second that one stream may send for long.
    pub requests_per_second: u32,
    /// Bytes of one load report.
    pub load_bytes_max: usize,
    /// Clusters in one load report.
    pub load_clusters_max: usize,
    /// Requests per second that the load reports of a node may count.
    pub load_requests_per_second: u32,
    /// Bytes of names and versions that are kept for streams which named much that there is not, of all clients.
    pub names_room: usize,
    /// The same of all clients with one identity, which only TLS gives.
    pub names_room_per_identity: usize,
    /// What one stream may ask for.
    pub stream: StreamLimits,
    /// How long a client may leave a response unanswered, after which its connection ends, and a
    /// stream without a request.
    pub stall_max: Duration,
    /// Streams of one connection that were reset before they were begun; then it ends. What was
    /// begun counts among calls.
    pub resets_max: usize,
    /// Calls of one connection that we took back as they broke a rule of HTTP/2; then it ends.
    pub faulty_calls_max: usize,
    /// Bytes of one stream that may be on their way to us unread; four times as many of a connection.
    pub stream_window_bytes: u32,
    /// A client that says nothing is asked so often whether it is there.
    pub keep_alive_gap: Duration,
    /// How long its answer is waited for; then its connection ends.
    pub keep_alive_time_max: Duration,
}

impl Default for AdsLimits {
    fn default() -> Self {
        Self {
            // Envoy's first request has 61 KB, nearly all of it the list of its extensions.
            request_bytes_max: 256 * 1024,
            // Twice the fleet that a control plane is made for, where a sidecar has one; in Istio it has up to three. What a
            // stream takes is in `bench/README.md`.
            streams_max: 20_000,
            // Whoever has one certificate leaves as many to others.
            streams_per_identity_max: 10_000,
            // All that there may be come back at once when a process begins.
            new_streams_burst: 20_000,
            // Each takes up to 0.2 ms of a core with what Envoy asks first (`bench/README.md`): those that are there keep
            // more than half of it.
            new_streams_per_second: 2_000,
            // Whoever has one certificate or address leaves as many to others.
            new_streams_per_identity_burst: 10_000,
            new_streams_per_identity_per_second: 1_000,
            // A sidecar needs one for discovery and one per worker for reports.
            calls_per_connection_max: 64,
            groups_max: 4_096,
            // As long as Kubernetes' names get, and a namespace, with room.
            node_bytes_max: 1_024,
            // Several times what Istio's sidecars say in texts and numbers at the top, and half of what a stream may keep of names.
            metadata_bytes_max: 32 * 1024,
            // Envoy's own limiter sends 100 at once and then 10 per second.
            requests_burst: 200,
            requests_per_second: 20,
            // Envoy's node, which comes with each, and 50 bytes for each of so many clusters. A stream may hold as much of a
            // report that is not whole.
            load_bytes_max: 256 * 1024,
            load_clusters_max: 4_096,
            // As of a scope of a sidecar: many times what an Envoy passes on.
            load_requests_per_second: 1_000_000,
            // Many times what clients ask for in vain, and less than would hurt.
            names_room: 1 << 30,
            // Whoever has one certificate leaves as much to others.
            names_room_per_identity: 512 << 20,
            stream: StreamLimits::default(),
            // Envoy answers at once, or within 15 s where it waits for endpoints of clusters.
            stall_max: Duration::from_secs(60),
            // hyper's own default against floods of resets.
            resets_max: 20,
            // h2's own default.
            faulty_calls_max: 1_024,
            // Room for one large request, not a megabyte.
            stream_window_bytes: 64 * 1024,
            // A node that is gone without a word is noticed within 40 s.
            keep_alive_gap: Duration::from_secs(30),
            keep_alive_time_max: Duration::from_secs(10),
        }
    }
}

impl AdsLimits {
    /// How HTTP/2 is spoken within these bounds; `beside` answers the calls.
    pub(crate) fn http2(&self, beside: Beside) -> Builder<Beside> {
        let mut http2 = Builder::new(beside);
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.calls_per_connection_max)
            .max_pending_accept_reset_streams(self.resets_max)
            .max_local_error_reset_streams(self.faulty_calls_max)
            .initial_stream_window_size(self.stream_window_bytes)
            .initial_connection_window_size(self.stream_window_bytes.saturating_mul(4))
            .keep_alive_interval(self.keep_alive_gap)
            .keep_alive_timeout(self.keep_alive_time_max)
            // No client of gRPC looks at it.
            .auto_date_header(false);
        http2
    }

    /// Whether a node says who it is, in few enough bytes.
    pub(super) fn check(&self, node: &Node, hub: &Hub) -> Result<(), Status> {
        let check = |field: &str, given: usize, max: usize| {
            if max < given {
                let text = format!("{field} has {given} bytes; it may have at most {max}");
                return Err(hub.hit(Limit::NodeBytes, text));
            }
            Ok(())
        };
        let max = self.node_bytes_max;
        for (field, text) in [("node.id", &node.id), ("node.cluster", &node.cluster)] {
            if text.is_empty() {
                return Err(Status::invalid_argument(format!("{field} is empty")));
            }
            check(field, text.len(), max)?;
        }
        if let Some(at) = &node.locality {
            for text in [&at.region, &at.zone, &at.sub_zone] {
                check("a part of node.locality", text.len(), max)?;
            }
        }
        let metadata = node.metadata.as_ref().map_or(0, Scalars::bytes);
        check(
            "node.metadata, as it is kept,",
            metadata,
            self.metadata_bytes_max,
        )
    }
}
