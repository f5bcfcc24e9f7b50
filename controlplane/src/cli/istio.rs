//! `sloop istio`: what puts the filter into the sidecars of a service in Istio.

use std::io::Write;

use clap::Args;

use super::CliError;
use super::bootstrap::ClientTlsArgs;
use crate::bootstrap::{Address, IstioManifests, Label, RuntimeLayer};

const EXAMPLE: &str = "Example:
  kubectl -n shop create configmap sloop-filter --from-file=sloop_filter.wasm
  sloop istio --app payments --namespace shop --pod-annotations > patch.yaml
  kubectl -n shop patch deployment payments --patch-file patch.yaml
  kubectl -n shop rollout status deployment payments
  sloop istio --app payments --namespace shop | kubectl apply -f -
The EnvoyFilter comes last, when all pods with the label have the module: one without it gets no listener.
With --runtime in all calls, before the patch: pods wait for the ConfigMap.
  sloop istio --app payments --namespace shop --runtime --config-map | kubectl apply -f -

In documents the service is then called payments.shop, as Istio calls the sidecars' node cluster.
Spans go to a service of the mesh that takes OTLP over gRPC, by the name that Istio gives its cluster:
spans: {cluster: outbound|4317||otel-collector.observability.svc.cluster.local}.";

/// Print the manifests that put the filter into the sidecars of a service in Istio.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct IstioArgs {
    /// The pods' label `app`.
    #[arg(long, value_name = "NAME")]
    app: Label,
    /// Their namespace.
    #[arg(long, short, value_name = "NAME")]
    namespace: Label,
    /// Where the control plane listens (`sloop serve --listen`), as the sidecars see it.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "sloop.sloop-system.svc.cluster.local:9901"
    )]
    control_plane: Address,
    #[command(flatten)]
    tls: ClientTlsArgs,
    /// Print the patch that mounts the module into the proxy container, instead of the EnvoyFilter. It mounts no
    /// certificates: those of --tls-cert, --tls-key and --tls-ca are yours to mount.
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_key", "tls_ca"])]
    pod_annotations: bool,
    /// Let documents of the type `Runtime` reach the sidecars: add a ConfigMap for Istio's bootstrapOverride, and the
    /// annotation that names it. It takes pods that start with it.
    #[arg(long)]
    runtime: bool,
    /// Print the ConfigMap of --runtime alone, which is there before pods start with its annotation.
    #[arg(long, requires = "runtime", conflicts_with = "pod_annotations")]
    config_map: bool,
    /// The folder in the proxy container that the module is mounted in.
    #[arg(long, value_name = "FOLDER", default_value = "/etc/sloop")]
    folder: String,
    /// The module's file in it; `sloop_filter_answers.wasm` where faults touch answers.
    #[arg(long, value_name = "FILE", default_value = "sloop_filter.wasm")]
    module: String,
    /// Time between reports in milliseconds, until the control plane says otherwise.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    report_interval: u32,
}

pub(super) fn run(args: IstioArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let manifests = IstioManifests {
        app: args.app,
        namespace: args.namespace,
        tls: args.tls.of(&args.control_plane),
        control_plane: args.control_plane,
        folder: args.folder,
        module: args.module,
        report_interval_ms: args.report_interval,
    };
    let runtime = if args.runtime {
        RuntimeLayer::Added
    } else {
        RuntimeLayer::None
    };
    let text = if args.pod_annotations {
        manifests.pod_annotations(runtime)
    } else if args.config_map {
        manifests.bootstrap_override()
    } else {
        manifests
            .applied(runtime)
            .map_err(|error| CliError::Refused(error.to_string()))?
    };
    Ok(out.write_all(text.as_bytes())?)
}
