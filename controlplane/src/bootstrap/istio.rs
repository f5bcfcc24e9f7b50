//! What puts the filter into the sidecars of one service in Istio.
//!
//! An `EnvoyFilter`, because only that can give the filter a source of configuration of
//! its own: policy is then pushed, and istiod keeps the aggregated stream. The Envoy
//! parts are those of [`Bootstrap`](super::Bootstrap), in other places.

use std::fmt;
use std::str::FromStr;

use sloop_model::{InvalidName, ReportSettings, ServiceName, Side};

use super::clusters::control_plane;
use super::listeners::counting;
use super::text::{indented, quoted};
use super::{Address, CONTROL_PLANE_CLUSTER, ClientTls, FLEET_LAYER, plugin, stream};
use crate::ads::Variant;

/// The longest label in Kubernetes, by RFC 1123.
const LABEL_BYTES_MAX: usize = 63;

/// The volume with the module, and its `ConfigMap` as the README of `envoy-configs/istio` makes it.
const VOLUME: &str = "sloop";
const CONFIG_MAP: &str = "sloop-filter";

/// The file that Istio's agent hands to Envoy beside the bootstrap of its own, by Istio's template of injected pods.
const OVERRIDE_FILE: &str = "custom_bootstrap.json";

/// A name as Kubernetes has them for apps and namespaces: a label by RFC 1123.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(String);

/// Why a text is no label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is no name in Kubernetes; it must have 1 to {LABEL_BYTES_MAX} small letters, digits and \
     hyphens, none of these at an end"
)]
pub struct InvalidLabel {
    /// As given.
    given: String,
}

impl FromStr for Label {
    type Err = InvalidLabel;

    fn from_str(given: &str) -> Result<Self, InvalidLabel> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_label = (1..=LABEL_BYTES_MAX).contains(&given.len())
            && given.bytes().all(|byte| is_plain(byte) || byte == b'-')
            && !given.starts_with('-')
            && !given.ends_with('-');
        if is_label {
            Ok(Self(given.to_owned()))
        } else {
            Err(InvalidLabel {
                given: given.to_owned(),
            })
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A service in Istio whose sidecars shall have the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IstioManifests {
    /// The pods' label `app`.
    pub app: Label,
    /// Their namespace.
    pub namespace: Label,
    /// Where the control plane takes discovery and reports.
    pub control_plane: Address,
    /// How the way there is secured, if it is.
    pub tls: Option<ClientTls>,
    /// The folder in the proxy container that the module is mounted in.
    pub folder: String,
    /// The module's file in it.
    pub module: String,
    /// Time between reports in milliseconds, 100 to 60,000.
    pub report_interval_ms: u32,
}

/// Whether documents of the type `Runtime` reach the sidecars, which Envoy only takes from its bootstrap on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeLayer {
    /// They do: what Istio starts Envoy with is added to, by [`IstioManifests::bootstrap_override`].
    Added,
    /// They do not.
    None,
}

impl IstioManifests {
    /// All that is for `kubectl apply`. Pods wait for the `ConfigMap`, if there is one, so it comes first.
    ///
    /// # Errors
    ///
    /// When the sidecars' cluster cannot be the name of a service.
    pub fn applied(&self, runtime: RuntimeLayer) -> Result<String, InvalidName> {
        let filter = self.envoy_filter()?;
        Ok(match runtime {
            RuntimeLayer::Added => [&self.bootstrap_override(), "---\n", &filter].concat(),
            RuntimeLayer::None => filter,
        })
    }

    /// The `EnvoyFilter`, for `kubectl apply`.
    ///
    /// # Errors
    ///
    /// When the sidecars' cluster cannot be the name of a service.
    pub fn envoy_filter(&self) -> Result<String, InvalidName> {
        let (app, namespace) = (&self.app, &self.namespace);
        let (quoted_app, quoted_namespace) = (quoted(&app.0), quoted(&namespace.0));
        let service = self.service()?;
        let head = format!(
            "# Sloop in the sidecars of one service. Istio's node cluster is `{service}` for the app
# `{app}` in the namespace `{namespace}`: that is the group whose configuration Sloop sends.
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata:
  name: sloop-{app}
  namespace: {quoted_namespace}
spec:
  workloadSelector:
    labels:
      app: {quoted_app}
  configPatches:
  # The way to the control plane.
  - applyTo: CLUSTER
    match:
      context: ANY
    patch:
      operation: ADD
      value:
"
        );
        let cluster = control_plane(&self.control_plane, self.tls.as_ref());
        Ok([
            head,
            indented(8, &as_mapping(&cluster)),
            self.patch(Side::Server, &service),
            self.patch(Side::Client, &service),
        ]
        .concat())
    }

    /// What Envoy is to have beside the bootstrap that Istio makes, as a `ConfigMap` for `kubectl apply`: a runtime layer
    /// that Sloop fills, and the way there. Envoy appends to lists, so the layer is the last and goes before all others.
    #[must_use]
    pub fn bootstrap_override(&self) -> String {
        let (app, name) = (&self.app, quoted(&self.override_name()));
        let namespace = quoted(&self.namespace.0);
        let stream = indented(10, &stream(Variant::Delta));
        let cluster = control_plane(&self.control_plane, self.tls.as_ref());
        let layers = format!(
            "layered_runtime:
  layers:
  - name: {FLEET_LAYER}
    rtds_layer:
      name: {FLEET_LAYER}
      rtds_config:
        resource_api_version: V3
        # Its own way to Sloop: istiod has the aggregated stream.
        api_config_source:
{stream}        # Envoy asks istiod for the rest when it has the layer, or after this.
        initial_fetch_timeout: 2s
static_resources:
  clusters:
"
        );
        [
            format!(
                "# Runtime numbers of Sloop in the sidecars of `{app}`: Envoy merges this with what Istio starts it with.
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  namespace: {namespace}
data:
  {OVERRIDE_FILE}: |
"
            ),
            indented(4, &layers),
            indented(6, &cluster),
        ]
        .concat()
    }

    fn override_name(&self) -> String {
        format!("sloop-{}-bootstrap", self.app)
    }

    /// What mounts the module into the proxy container, and names the [override](Self::bootstrap_override) if there is to
    /// be one; for `kubectl patch deployment --patch-file`.
    #[must_use]
    pub fn pod_annotations(&self, runtime: RuntimeLayer) -> String {
        let volume = serde_json::json!([{"name": VOLUME, "configMap": {"name": CONFIG_MAP}}]);
        let mount =
            serde_json::json!([{"name": VOLUME, "mountPath": self.folder, "readOnly": true}]);
        let mount = mount.to_string().replace('\'', "''");
        let named = match runtime {
            RuntimeLayer::Added => format!(
                "        sidecar.istio.io/bootstrapOverride: {}\n",
                quoted(&self.override_name())
            ),
            RuntimeLayer::None => String::new(),
        };
        format!(
            "# Mounts the module into the proxy container; for `kubectl patch deployment`.
spec:
  template:
    metadata:
      annotations:
        sidecar.istio.io/userVolume: '{volume}'
        sidecar.istio.io/userVolumeMount: '{mount}'
{named}"
        )
    }

    /// Istio's node cluster.
    fn service(&self) -> Result<ServiceName, InvalidName> {
        ServiceName::try_from(format!("{}.{}", self.app, self.namespace))
    }

    /// The filter of one side, and the requests that it is for.
    fn patch(&self, side: Side, service: &ServiceName) -> String {
        let (comment, context) = match side {
            Side::Server => ("Requests to the service.", "SIDECAR_INBOUND"),
            Side::Client => ("Requests of the service to others.", "SIDECAR_OUTBOUND"),
        };
        let report = ReportSettings {
            cluster: CONTROL_PLANE_CLUSTER.to_owned(),
            interval_ms: self.report_interval_ms,
        };
        let module = format!("{}/{}", self.folder, self.module);
        let plugin = plugin::yaml(side, &module, &counting(service, side, report));
        let plugin = indented(12, &plugin);
        let name = plugin::name(side);
        let stream = indented(14, &stream(Variant::Delta));
        format!(
            "  # {comment}
  - applyTo: HTTP_FILTER
    match:
      context: {context}
      listener:
        filterChain:
          filter:
            name: envoy.filters.network.http_connection_manager
            subFilter:
              name: envoy.filters.http.router
    patch:
      operation: INSERT_BEFORE
      value:
        name: {name}
        config_discovery:
          config_source:
            resource_api_version: V3
            # Its own way to Sloop: istiod has the aggregated stream.
            api_config_source:
{stream}            initial_fetch_timeout: 2s
          type_urls:
          - {wasm}
          # Serve with the configuration below until Sloop sends another.
          apply_default_config_without_warming: true
          default_config:
{plugin}",
            wasm = plugin::WASM_TYPE_URL,
        )
    }
}

/// An item of a list as what it is: its dash and two columns less.
fn as_mapping(item: &str) -> String {
    item.lines()
        .map(|line| format!("{}\n", line.get(2..).unwrap_or_default()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::tree;

    #[test]
    fn what_is_printed_is_yaml_whatever_the_names() {
        let manifests = IstioManifests {
            app: "no".parse().unwrap(),
            namespace: "a-1".parse().unwrap(),
            control_plane: "[::1]:9901".parse().unwrap(),
            tls: None,
            folder: "/a \"b' \"".to_owned(),
            module: "c.wasm".to_owned(),
            report_interval_ms: 1_000,
        };
        let filter = manifests.envoy_filter().unwrap();
        assert_eq!(tree::parse(&filter).unwrap().len(), 1, "{filter}");
        assert!(filter.contains("\"service\": \"no.a-1\""), "{filter}");
        for runtime in [RuntimeLayer::Added, RuntimeLayer::None] {
            assert!(tree::parse(&manifests.pod_annotations(runtime)).is_ok());
        }
        assert!(tree::parse(&manifests.bootstrap_override()).is_ok());
    }

    #[test]
    fn a_name_that_kubernetes_would_refuse_is_refused() {
        for wrong in ["", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(64)] {
            assert!(wrong.parse::<Label>().is_err(), "{wrong}");
        }
        assert_eq!("a-1".parse::<Label>().unwrap().to_string(), "a-1");
    }
}
