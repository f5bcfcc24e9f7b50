//! `sloop serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sloop_controllers::ConfigSettings;
use sloop_model::{ReportSettings, TraceSettings};
use sloop_xds::rollout::{LoadPace, RolloutPace};
use tokio::signal::unix::{SignalKind, signal};

use super::log::{self, LogForm};
use super::output::CliError;
use crate::ads::LoadSettings;
use crate::bootstrap::CONTROL_PLANE_CLUSTER;
use crate::door::TlsFiles;
use crate::limits::Limits;
use crate::metrics::OtlpSettings;
use crate::publish::PublishSettings;
use crate::serve::{ApiSettings, RecordSettings, ServeSettings, serve};

const EXAMPLE: &str = "Example:
  sloop serve --documents slos/ --store /var/lib/sloop/store --module /etc/sloop/sloop_filter.wasm

Changed documents take effect without a restart. SIGTERM ends it cleanly.";

/// Where measurements go (OpenTelemetry, Protocol Exporter).
const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// How the control plane is run.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct ServeArgs {
    /// Folder with OpenSLO and Sloop documents (.yaml, .yml, .json).
    #[arg(long, value_name = "DIR", env = "SLOOP_DOCUMENTS")]
    documents: PathBuf,
    /// Where sidecars find discovery (ADS) and the report service, both gRPC.
    #[arg(
        long,
        value_name = "ADDR",
        env = "SLOOP_LISTEN",
        default_value = "127.0.0.1:9901"
    )]
    listen: SocketAddr,
    /// Where people and tools find the HTTP API.
    #[arg(
        long,
        value_name = "ADDR",
        env = "SLOOP_ADMIN_LISTEN",
        default_value = "127.0.0.1:9902"
    )]
    admin: SocketAddr,
    /// File of the embedded store; created when it is not there.
    #[arg(long, value_name = "FILE", env = "SLOOP_STORE")]
    store: PathBuf,
    /// Path of the filter's module, as the sidecars see it. The same as in their bootstrap.
    #[arg(long, value_name = "PATH", env = "SLOOP_MODULE")]
    module: String,
    /// Time between the reports of a sidecar, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    report_interval: u32,
    /// Envoy cluster that leads to this control plane. The same as in the sidecars' bootstrap.
    #[arg(long, value_name = "NAME", default_value = CONTROL_PLANE_CLUSTER, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    report_cluster: String,
    /// Record all that is decided by in this file, for `sloop replay`; it is replaced.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// How large the record may be, in MiB; then it ends.
    #[arg(long, value_name = "MIB", default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    record_max: u64,
    /// Nodes of a group that try a change of documents first; with 0 all get it at once.
    #[arg(long, value_name = "NODES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    rollout_first: u32,
    /// Nodes of a group that try it then, in hundredths of all.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100))]
    rollout_share: u32,
    /// How long those that try it must be well before it goes on, in seconds; at least three times --report-interval.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    rollout_quiet: u32,
    /// Time between the load reports of an Envoy of a fleet while a change is on its way to nodes of its service, in
    /// milliseconds; ten times as long otherwise. Left out: a fifth of --rollout-quiet, 200 to 10000.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(200..=60_000))]
    load_interval: Option<u32>,
    /// Send metrics to a collector, too: OTLP over gRPC, as http://collector:4317. Left out: what
    /// OTEL_EXPORTER_OTLP_ENDPOINT says, if that can be used.
    #[arg(long, value_name = "URL", value_parser = collector)]
    otlp: Option<String>,
    /// Time between two times that they are sent, in seconds.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    otlp_interval: u64,
    /// How long sidecars keep what they were sent when they cannot reach a control plane, in seconds; then they go
    /// on with what is in their bootstrap. With 0 they keep it for ever.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=604_800))]
    policy_ttl: u32,
    /// Form of the log on standard error. What is logged: `SLOOP_LOG=debug`.
    #[arg(long, value_enum, default_value_t = LogForm::Text)]
    log: LogForm,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    api: ApiArgs,
    /// What everybody at the gRPC port may take, as streams=20000; README, Limits. May be repeated.
    #[arg(long, value_name = "NAME=NUMBER")]
    limit: Vec<String>,
}

/// How the gRPC port is secured. All three or none; changed files are read again without a restart.
#[derive(Args, Debug)]
#[group(requires_all = ["tls_cert", "tls_key", "client_ca"])]
struct TlsArgs {
    /// Certificate of the gRPC port and those that lead to a root, PEM. Without, whoever reaches the port may do anything.
    #[arg(long, value_name = "FILE", env = "SLOOP_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", env = "SLOOP_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Roots of the certificates that sidecars must show, PEM. Each names its workload: spiffe://...
    #[arg(long, value_name = "FILE", env = "SLOOP_CLIENT_CA")]
    client_ca: Option<PathBuf>,
}

impl From<TlsArgs> for Option<TlsFiles> {
    fn from(args: TlsArgs) -> Self {
        Some(TlsFiles {
            cert: args.tls_cert?,
            key: args.tls_key?,
            client_ca: Some(args.client_ca?),
            is_certificate_optional: false,
        })
    }
}

/// Who is let in to the HTTP API. On the loopback interface everybody is, unless one of these says otherwise.
#[derive(Args, Debug)]
struct ApiArgs {
    /// File with tokens, one a line, of which the HTTP API wants one; changed ones hold without a restart.
    #[arg(long, value_name = "FILE", env = "SLOOP_ADMIN_TOKEN_FILE")]
    admin_token_file: Option<PathBuf>,
    /// Certificate of the HTTP API, which then is https, and those that lead to a root, PEM.
    #[arg(
        long,
        value_name = "FILE",
        env = "SLOOP_ADMIN_TLS_CERT",
        requires = "admin_tls_key"
    )]
    admin_tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(
        long,
        value_name = "FILE",
        env = "SLOOP_ADMIN_TLS_KEY",
        requires = "admin_tls_cert"
    )]
    admin_tls_key: Option<PathBuf>,
    /// Roots of certificates that are as good as a token, PEM.
    #[arg(
        long,
        value_name = "FILE",
        env = "SLOOP_ADMIN_CLIENT_CA",
        requires = "admin_tls_cert"
    )]
    admin_client_ca: Option<PathBuf>,
}

impl From<ApiArgs> for ApiSettings {
    fn from(args: ApiArgs) -> Self {
        let tls = args.admin_tls_cert.zip(args.admin_tls_key);
        Self {
            tls: tls.map(|(cert, key)| TlsFiles {
                cert,
                key,
                client_ca: args.admin_client_ca,
                // The guard lets nobody in who shows none, but to `/healthz` and `/readyz`, which probes ask.
                is_certificate_optional: true,
            }),
            token_file: args.admin_token_file,
        }
    }
}

impl ServeArgs {
    fn loads(&self, rollout: &RolloutPace) -> LoadSettings {
        let interval = self.load_interval.map(u64::from);
        let given = interval.map(Duration::from_millis).map(LoadPace::of);
        LoadSettings {
            pace: given.unwrap_or_else(|| LoadPace::fits(rollout.quiet)),
            cluster: self.report_cluster.clone(),
        }
    }

    /// How carefully changes go out: slowly enough for reports to tell of what they do.
    fn rollout(&self) -> Result<RolloutPace, CliError> {
        let count = |given: u32| usize::try_from(given).unwrap_or(usize::MAX);
        let pace = RolloutPace {
            first: count(self.rollout_first),
            share_percent: count(self.rollout_share),
            quiet: Duration::from_secs(self.rollout_quiet.into()),
        };
        let quiet_min = pace.quiet_min(Duration::from_millis(self.report_interval.into()));
        if quiet_min <= pace.quiet {
            return Ok(pace);
        }
        let whole = u64::from(0 < quiet_min.subsec_nanos());
        Err(CliError::Hasty {
            quiet: self.rollout_quiet,
            quiet_min: quiet_min.as_secs() + whole,
            interval_ms: self.report_interval,
        })
    }
}

impl TryFrom<ServeArgs> for ServeSettings {
    type Error = CliError;

    fn try_from(args: ServeArgs) -> Result<Self, CliError> {
        let mut limits = Limits::default();
        for given in &args.limit {
            limits.set(given).map_err(CliError::Limit)?;
        }
        let rollout = args.rollout()?;
        let loads = args.loads(&rollout);
        Ok(Self {
            documents: args.documents,
            listen: args.listen,
            admin: args.admin,
            store: args.store,
            publish: PublishSettings {
                config: ConfigSettings {
                    report: Some(ReportSettings {
                        cluster: args.report_cluster,
                        interval_ms: args.report_interval,
                    }),
                    trace: TraceSettings::default(),
                },
                module: args.module,
                ttl: (0 < args.policy_ttl).then(|| Duration::from_secs(args.policy_ttl.into())),
            },
            record: args.record.map(|file| RecordSettings {
                file,
                bytes_max: args.record_max << 20,
            }),
            tls: args.tls.into(),
            limits,
            api: args.api.into(),
            otlp: args.otlp.map(|endpoint| OtlpSettings {
                endpoint,
                interval: Duration::from_secs(args.otlp_interval),
            }),
            rollout,
            loads,
        })
    }
}

fn collector(given: &str) -> Result<String, String> {
    let uri: http::Uri = given
        .parse()
        .map_err(|error: http::uri::InvalidUri| error.to_string())?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(_)) => Ok(given.to_owned()),
        _ => Err("write http://HOST:PORT; put what speaks TLS in front of it".to_owned()),
    }
}

/// Where the environment says that measurements go. What cannot be used is said, and nothing is sent: the variable may
/// be meant for others, and it is as OpenTelemetry has it for variables that make no sense.
fn collector_of_environment(given: Option<&str>) -> Option<String> {
    let given = given.filter(|given| !given.is_empty())?;
    match collector(given) {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            tracing::warn!(
                error,
                "{COLLECTOR} cannot be used, so metrics are sent nowhere"
            );
            None
        }
    }
}

pub(super) fn run(mut args: ServeArgs) -> Result<(), CliError> {
    log::begin(args.log)?;
    if args.otlp.is_none() {
        let given = std::env::var_os(COLLECTOR);
        let given = given.as_ref().map(|given| given.to_string_lossy());
        args.otlp = collector_of_environment(given.as_deref());
    }
    let settings = args.try_into()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Runtime)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Runtime)?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        Ok(serve(settings, stop).await?)
    });
    // A thread that still reads documents must not hold up the end.
    runtime.shutdown_background();
    ended
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        serve: ServeArgs,
    }

    /// What is wrong with these flags; empty when nothing is.
    fn wrong(flags: &str) -> String {
        let required = "sloop --documents d --store s --module m";
        let given = required.split(' ').chain(flags.split(' '));
        let args = Program::try_parse_from(given).unwrap().serve;
        let settings = ServeSettings::try_from(args);
        settings.err().map(|it| it.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_environment_does_not_keep_it_from_beginning() {
        assert_eq!(collector_of_environment(None), None);
        for unusable in ["", "https://collector:4317", "collector:4317", "a b"] {
            assert_eq!(collector_of_environment(Some(unusable)), None);
        }
        let usable = "http://collector:4317";
        let sent = collector_of_environment(Some(usable));
        assert_eq!(sent.as_deref(), Some(usable));
    }

    #[test]
    fn a_change_does_not_go_on_before_reports_can_tell_of_it() {
        assert_eq!(
            wrong("--report-interval 3334"),
            "--rollout-quiet is 10 s, --report-interval 3334 ms; the first must be at least three times the second, \
             so 11 s, or else changes go on before reports can tell of them (with --rollout-first 0 none is tried)"
        );
        assert!(wrong("--rollout-quiet 2").contains(", so 3 s, "));
        assert!(wrong("--rollout-quiet 0 --report-interval 100").contains(", so 1 s, "));
        for fits in [
            "--report-interval 3333",
            "--rollout-quiet 3",
            "--rollout-quiet 180 --report-interval 60000",
            "--rollout-quiet 0 --rollout-first 0",
        ] {
            assert_eq!(wrong(fits), "", "{fits}");
        }
    }
}
