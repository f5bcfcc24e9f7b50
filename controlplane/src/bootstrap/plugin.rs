//! The filter as an Envoy plugin: one place for its settings.
//!
//! Envoy runs one VM for all plugins that agree on `vm_id`, on the code and on
//! the VM's own configuration (there is none). The filter keeps its counts in
//! the memory of that VM. Were a push to differ from the bootstrap in one of
//! these, Envoy would start another VM, and the counts would be lost.

use prost::Message;
use sloop_model::{FilterConfig, Side};
use sloop_xds::{Kind, Resource};
use sloop_xds_protos::envoy::envoy::config::core::v3::async_data_source::Specifier;
use sloop_xds_protos::envoy::envoy::config::core::v3::{
    AsyncDataSource, DataSource, TypedExtensionConfig, data_source,
};
use sloop_xds_protos::envoy::envoy::extensions::filters::http::wasm::v3::Wasm;
use sloop_xds_protos::envoy::envoy::extensions::wasm::v3::plugin_config::Vm;
use sloop_xds_protos::envoy::envoy::extensions::wasm::v3::{FailurePolicy, PluginConfig, VmConfig};
use sloop_xds_protos::envoy::google::protobuf::{Any, StringValue};

use super::text::{indented, quoted};

/// The type of the filter's configuration in Envoy.
pub const WASM_TYPE_URL: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// Both filters share one VM, and so one stream of reports.
const VM_ID: &str = "sloop";
/// The only engine that Envoy's releases contain.
const RUNTIME: &str = "envoy.wasm.runtime.v8";
const STRING_TYPE_URL: &str = "type.googleapis.com/google.protobuf.StringValue";

/// What the filter of one side is called: as an HTTP filter, as a resource, as a plugin and as its root id.
#[must_use]
pub const fn name(side: Side) -> &'static str {
    match side {
        Side::Server => "sloop-inbound",
        Side::Client => "sloop-outbound",
    }
}

/// The resource that configures the filter of `config.side`, for a [`sloop_xds::Snapshot`].
///
/// `module` is the path in the file system of Envoy, as in the bootstrap.
#[must_use]
pub fn resource(module: &str, config: &FilterConfig) -> Resource {
    let json = serde_json::to_string(config).unwrap_or_default();
    let value = encoded(config.side, module, json);
    Resource::new(Kind::EXTENSION, name(config.side), &value)
}

/// The message of such a resource.
pub(crate) fn encoded(side: Side, module: &str, json: String) -> Vec<u8> {
    let extension = TypedExtensionConfig {
        name: name(side).to_owned(),
        typed_config: Some(Any {
            type_url: WASM_TYPE_URL.to_owned(),
            value: wasm(side, module, json).encode_to_vec(),
        }),
    };
    extension.encode_to_vec()
}

/// The module and the configuration as JSON in such a message; nothing when it is another one.
pub(crate) fn read(message: &[u8]) -> Option<(String, String)> {
    let extension = TypedExtensionConfig::decode(message).ok()?;
    let any = extension.typed_config?;
    (any.type_url == WASM_TYPE_URL).then_some(())?;
    let config = Wasm::decode(any.value.as_slice()).ok()?.config?;
    let json = StringValue::decode(config.configuration?.value.as_slice()).ok()?;
    let Vm::VmConfig(vm) = config.vm?;
    let Specifier::Local(code) = vm.code?.specifier? else {
        return None;
    };
    let data_source::Specifier::Filename(module) = code.specifier? else {
        return None;
    };
    Some((module, json.value))
}

fn wasm(side: Side, module: &str, json: String) -> Wasm {
    let json = StringValue { value: json };
    let code = Specifier::Local(DataSource {
        specifier: Some(data_source::Specifier::Filename(module.to_owned())),
        ..DataSource::default()
    });
    Wasm {
        config: Some(PluginConfig {
            name: name(side).to_owned(),
            root_id: name(side).to_owned(),
            configuration: Some(Any {
                type_url: STRING_TYPE_URL.to_owned(),
                value: json.encode_to_vec(),
            }),
            failure_policy: FailurePolicy::FailReload.into(),
            vm: Some(Vm::VmConfig(VmConfig {
                vm_id: VM_ID.to_owned(),
                runtime: RUNTIME.to_owned(),
                code: Some(AsyncDataSource {
                    specifier: Some(code),
                }),
                ..VmConfig::default()
            })),
            ..PluginConfig::default()
        }),
    }
}

/// The same as YAML, for `default_config`.
pub(super) fn yaml(side: Side, module: &str, config: &FilterConfig) -> String {
    let name = name(side);
    let module = quoted(module);
    let json = serde_json::to_string_pretty(config).unwrap_or_default();
    let json = indented(6, &json);
    format!(
        "\"@type\": {WASM_TYPE_URL}
config:
  name: {name}
  root_id: {name}
  # A crash costs the request that caused it; then a fresh VM takes over.
  failure_policy: FAIL_RELOAD
  # Envoy shares one VM where all of this is equal, and keeps its memory over a push.
  vm_config:
    vm_id: {VM_ID}
    runtime: {RUNTIME}
    code:
      local:
        filename: {module}
  configuration:
    \"@type\": {STRING_TYPE_URL}
    value: |
{json}"
    )
}
