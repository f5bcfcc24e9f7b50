//! What the process counts about itself and how SLOs stand, in the Prometheus format on `/metrics`, and
//! over OTLP where somebody collects it.
//!
//! Each component owns a struct of instruments that [`Telemetry`] hands it;
//! nothing is global. Labels are words of an enum, names from documents, or services
//! and routes, of which there is a maximum; never nodes or anything from traffic.

mod breakers;
mod counter;
mod door;
mod effects;
mod instruments;
mod loads;
mod nodes;
mod observed;
mod push;

pub use breakers::observe_breakers;
pub use door::DoorMetrics;
pub use instruments::{AlertMetrics, DocumentMetrics, IngestMetrics, Intake, StepMetrics};
pub use loads::LoadMetrics;
pub use nodes::observe_nodes;
pub use observed::{observe_slos, rough_span, span};
pub use push::PushMetrics;

use std::time::Duration;

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{
    Instrument, InstrumentKind, PeriodicReader, SdkMeterProvider, Stream,
};
use prometheus::{Registry, TextEncoder};

/// Begins every name, so that our metrics are found among others. Prometheus writes `_` for the dots.
const PREFIX: &str = "sloop.controlplane.";

/// Sets of labels that a metric of objectives, scopes or groups may have: twenty thousand objectives with five pairs of windows each
/// have fewer.
const SERIES_MAX: usize = 110_000;
/// The same of burn rates, of which there are eleven for each objective.
const BURN_RATES_MAX: usize = 250_000;
/// The same of what the components count themselves, by a word or two.
const WORDS_MAX: usize = 1_000;

/// How long to wait for a collector: the process must end within two seconds, also while one hangs.
const OTLP_PATIENCE: Duration = Duration::from_secs(1);

/// Where measurements are sent, beside `/metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpSettings {
    /// The collector's address for gRPC, as `http://collector:4317`.
    pub endpoint: String,
    /// Time between two times that they are sent.
    pub interval: Duration,
}

/// Why metrics cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter refused to begin.
    #[error("the metrics exporter cannot begin")]
    Exporter(#[from] opentelemetry_sdk::error::OTelSdkError),
    /// Measurements cannot be sent to a collector.
    #[error("measurements cannot be sent to {endpoint}")]
    Otlp {
        /// The collector's address.
        endpoint: String,
        /// What is wrong with it.
        source: ExporterBuildError,
    },
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
    /// An empty collection that is only looked at.
    ///
    /// # Errors
    ///
    /// When the exporter cannot begin.
    pub fn begin() -> Result<Self, TelemetryError> {
        Self::sending(None)
    }

    /// An empty collection that is also sent to a collector, if there is one. To be called in the runtime that
    /// sends; a collector that is gone is tried again each time.
    ///
    /// # Errors
    ///
    /// When the exporter cannot begin.
    pub fn sending(otlp: Option<&OtlpSettings>) -> Result<Self, TelemetryError> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()?;
        let mut provider = SdkMeterProvider::builder()
            .with_reader(exporter)
            .with_view(named)
            .with_resource(Resource::builder().with_service_name("sloop").build());
        if let Some(otlp) = otlp {
            provider = provider.with_reader(reader(otlp)?);
        }
        Ok(Self {
            registry,
            provider: provider.build(),
        })
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

/// Says whose metric it is.
fn named(instrument: &Instrument) -> Option<Stream> {
    Stream::builder()
        .with_name(format!("{PREFIX}{}", instrument.name()))
        .with_cardinality_limit(series_max(instrument))
        .build()
        .ok()
}

/// How many sets of labels a metric may have; more are one, `otel_metric_overflow`. The library sets room aside for as many at once, of
/// which the few that there are take a page each: so no metric may have many more than it needs.
fn series_max(instrument: &Instrument) -> usize {
    match instrument.kind() {
        _ if instrument.name() == observed::BURN_RATE => BURN_RATES_MAX,
        InstrumentKind::ObservableCounter
        | InstrumentKind::ObservableUpDownCounter
        | InstrumentKind::ObservableGauge => SERIES_MAX,
        InstrumentKind::Counter
        | InstrumentKind::UpDownCounter
        | InstrumentKind::Histogram
        | InstrumentKind::Gauge => WORDS_MAX,
    }
}

fn reader(otlp: &OtlpSettings) -> Result<PeriodicReader<MetricExporter>, TelemetryError> {
    let exporter = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(&otlp.endpoint)
        .with_timeout(OTLP_PATIENCE)
        .build()
        .map_err(|source| TelemetryError::Otlp {
            endpoint: otlp.endpoint.clone(),
            source,
        })?;
    Ok(PeriodicReader::builder(exporter)
        .with_interval(otlp.interval)
        .build())
}

#[cfg(test)]
mod tests;
