//! What a run is to do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_bench::closed::{CONNECTIONS, Protocol};

use super::config::Service;
use super::lanes::SLICE;
use super::open::OpenSettings;
use super::quiet::Priority;

/// How it was made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Pairs of slices for each variant.
    pub rounds: usize,
    /// Seconds for more pairs of those whose ratio is not sure enough by then; 0 for none.
    #[serde(default)]
    pub more_s: u64,
    /// Requests in a slice.
    pub slice: usize,
    /// Connections of each variant.
    pub connections: usize,
    /// What the order of slices was drawn from.
    pub seed: u64,
    /// What is spoken.
    pub protocol: Protocol,
    /// Whether it is spoken inside TLS.
    #[serde(default)]
    pub tls: bool,
    /// Who answers.
    pub service: Service,
    /// What was asked for; what there was is in `machine`.
    pub priority: Priority,
    /// How latency is measured; absent when it is not.
    pub open: Option<OpenSettings>,
    /// What else is measured.
    pub beside: Beside,
}

/// What is measured beside the variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// Pairs of slices for each point of what grows; 0 for none.
    pub growth_rounds: usize,
    /// How often Envoy is started for the first request of each variant, and for start and memory; 0 for never.
    pub starts: usize,
    /// Pushes of each kind; 0 for none.
    pub pushes: usize,
}

impl Settings {
    /// The settings of a run with so many `rounds`.
    #[must_use]
    pub const fn new(rounds: usize, seed: u64, priority: Priority) -> Self {
        Self {
            rounds,
            more_s: 0,
            slice: SLICE,
            connections: CONNECTIONS,
            seed,
            protocol: Protocol::Http1,
            tls: false,
            service: Service::Proxied,
            priority,
            open: None,
            beside: Beside {
                growth_rounds: 0,
                starts: 0,
                pushes: 0,
            },
        }
    }
}

impl Settings {
    /// What there is beyond the planned pairs, for people.
    #[must_use]
    pub const fn more(&self) -> &'static str {
        match self.more_s {
            0 => "",
            _ => ", more where a ratio was not sure",
        }
    }

    /// What is spoken and who answers, for people.
    #[must_use]
    pub fn spoken(&self) -> String {
        let protocol = match self.protocol {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        };
        let tls = if self.tls { " over TLS" } else { "" };
        let service = match self.service {
            Service::Proxied => "proxied",
            Service::Direct => "answered by Envoy",
        };
        format!("{protocol}{tls}, {service}")
    }
}
