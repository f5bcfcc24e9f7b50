//! What the gRPC port counts.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter, UpDownCounter};
use sloop_controllers::Denied;

use super::counter::counter_by;
use crate::door::Limit;
use crate::grpc::Panicked;

/// What connections measure.
#[derive(Clone, Debug)]
pub struct DoorMetrics {
    connections: UpDownCounter<i64>,
    port: &'static str,
    limits: Counter<u64>,
    reloads: Counter<u64>,
    expires: Gauge<i64>,
    token_reloads: Counter<u64>,
    denied: Counter<u64>,
    panics: Counter<u64>,
}

impl DoorMetrics {
    /// Creates the instruments, for the port that is called `port`.
    #[must_use]
    pub fn register(meter: &Meter, port: &'static str) -> Self {
        Self {
            port,
            connections: meter
                .i64_up_down_counter("connections")
                .with_description("Connections, by port.")
                .build(),
            limits: meter
                .u64_counter("limits_hit")
                .with_description("Times that somebody came up against a limit, by which.")
                .build(),
            reloads: counter_by(
                meter,
                (
                    "tls_reloads",
                    "Times that certificates changed, or could not be read any more, by whether they could be used.",
                ),
                "result",
                ["taken", "refused"],
            ),
            expires: meter
                .i64_gauge("tls_expires_timestamp")
                .with_unit("s")
                .with_description("When the first of the certificates that a port shows ends, and the last of the roots of its clients, since 1970.")
                .build(),
            token_reloads: counter_by(
                meter,
                (
                    "token_reloads",
                    "Times that the tokens of the HTTP API changed, or could not be read any more, by whether they could be used.",
                ),
                "result",
                ["taken", "refused"],
            ),
            denied: counter_by(
                meter,
                (
                    "access_denied",
                    "Times that somebody wanted what no AccessRule lets them, by what.",
                ),
                "what",
                ["service", "report", "api"],
            ),
            panics: counter_by(
                meter,
                (
                    "grpc_panics",
                    "Mistakes of ours that ended something on the gRPC port, by what.",
                ),
                "what",
                Panicked::ALL.map(Panicked::word),
            ),
        }
    }

    /// Somebody asked the HTTP API without showing what it wants.
    pub fn stranger(&self) {
        self.denied.add(1, &[KeyValue::new("what", "api")]);
    }

    /// Somebody wanted what they may not have.
    pub fn denied(&self, denied: &Denied) {
        let what = match denied {
            Denied::Service { .. } => "service",
            Denied::Report { .. } => "report",
        };
        self.denied.add(1, &[KeyValue::new("what", what)]);
    }

    /// Something ended by a mistake of ours.
    pub(crate) fn panicked(&self, what: Panicked) {
        self.panics.add(1, &[KeyValue::new("what", what.word())]);
    }

    /// Somebody came up against `limit`.
    pub fn hit(&self, limit: Limit) {
        self.hit_often(limit, 1);
    }

    /// Somebody came up against `limit` so many times.
    pub fn hit_often(&self, limit: Limit, times: u64) {
        let limit = KeyValue::new("limit", limit.word());
        self.limits.add(times, &[limit]);
    }

    /// A connection was let in.
    pub fn connected(&self) {
        self.connections.add(1, &[KeyValue::new("port", self.port)]);
    }

    /// A connection is gone.
    pub fn disconnected(&self) {
        self.connections
            .add(-1, &[KeyValue::new("port", self.port)]);
    }

    /// Certificates changed and are used.
    pub fn reloaded(&self) {
        self.reloads.add(1, &[KeyValue::new("result", "taken")]);
    }

    /// The first of the certificates that the port shows ends then, and the last of the roots of its clients, in seconds
    /// since 1970. What is not known stays as it was.
    pub fn certificates_end(&self, chain: Option<i64>, roots: Option<i64>) {
        for (what, end) in [("server", chain), ("clients", roots)] {
            let port = KeyValue::new("port", self.port);
            if let Some(end) = end {
                self.expires
                    .record(end, &[port, KeyValue::new("what", what)]);
            }
        }
    }

    /// Tokens changed and are used.
    pub fn tokens_reloaded(&self) {
        let taken = KeyValue::new("result", "taken");
        self.token_reloads.add(1, &[taken]);
    }

    /// Tokens changed and cannot be used, or cannot be read any more.
    pub fn tokens_refused(&self) {
        let refused = KeyValue::new("result", "refused");
        self.token_reloads.add(1, &[refused]);
    }

    /// Certificates changed and cannot be used, or cannot be read any more.
    pub fn reload_refused(&self) {
        self.reloads.add(1, &[KeyValue::new("result", "refused")]);
    }
}
