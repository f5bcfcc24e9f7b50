//! What the process counts about itself, in the Prometheus format on `/metrics`.
//!
//! Each component owns a struct of instruments that [`Telemetry`] hands it;
//! nothing is global. Labels are words of an enum or names from documents,
//! never nodes or anything from traffic.

mod door;
mod effects;
mod instruments;
mod observed;

pub use door::DoorMetrics;
pub use instruments::{AlertMetrics, DocumentMetrics, IngestMetrics, PushMetrics, StepMetrics};
pub use observed::{observe_nodes, observe_slos, rough_span, span};

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

/// Begins every name, so that our metrics are found in a shared Prometheus.
const PREFIX: &str = "sloop_controlplane";

/// Why metrics cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter refused to begin.
    #[error("the metrics exporter cannot begin")]
    Exporter(#[from] opentelemetry_sdk::error::OTelSdkError),
    /// What was measured cannot be written as text.
    #[error("metrics cannot be written")]
    Encode(#[from] prometheus::Error),
}

/// Collects what the components measure.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    provider: SdkMeterProvider,
}

impl Telemetry {
    /// An empty collection.
    ///
    /// # Errors
    ///
    /// When the exporter cannot begin.
    pub fn begin() -> Result<Self, TelemetryError> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .with_namespace(PREFIX)
            .scope_info_enabled(false)
            .without_target_info()
            .build()?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        Ok(Self { registry, provider })
    }

    /// Where components create their instruments.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.provider.meter("sloop")
    }

    /// Everything measured so far, in the text format of Prometheus.
    ///
    /// # Errors
    ///
    /// When something measured has no text.
    pub fn render(&self) -> Result<String, TelemetryError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}
