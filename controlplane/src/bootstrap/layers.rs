//! The numbers that Envoy looks up at run time.

/// The runtime layer that documents of the type `Runtime` fill.
pub const FLEET_LAYER: &str = "fleet";

/// How long Envoy waits for the layer before it serves. A control plane that is there says within that time what is in it,
/// also that nothing is; whether or not one is, requests need not wait for numbers, which are in force when they come.
const WAIT: &str = "0.5s";

/// The layers of an Envoy whose aggregated stream is ours.
pub(super) fn layers() -> String {
    format!(
        "layered_runtime:
  layers:
  # Numbers of documents.
  - name: {FLEET_LAYER}
    rtds_layer:
      name: {FLEET_LAYER}
      rtds_config:
        resource_api_version: V3
        ads: {{}}
        # Without a control plane it serves without them.
        initial_fetch_timeout: {WAIT}
  # What a person says to this Envoy itself goes first.
  - name: admin
    admin_layer: {{}}
"
    )
}
