//! One filter's configuration as Envoy takes it: an ECDS resource around the JSON.

use prost::Message;
use sloop_model::Side;
use sloop_xds::{Kind, Resource};
use sloop_xds_protos::envoy::envoy::config::core::v3::{
    AsyncDataSource, DataSource, TypedExtensionConfig, async_data_source, data_source,
};
use sloop_xds_protos::envoy::envoy::extensions::filters::http::wasm::v3::Wasm;
use sloop_xds_protos::envoy::envoy::extensions::wasm::v3::{
    FailurePolicy, PluginConfig, VmConfig, plugin_config,
};
use sloop_xds_protos::envoy::google::protobuf::{Any, StringValue};

/// All filters of a worker share this VM, so that a push keeps what it has counted.
const VM_ID: &str = "sloop";

/// The engine that Envoy is built with.
const RUNTIME: &str = "envoy.wasm.runtime.v8";

/// The name of the filter on `side`, everywhere in Envoy.
#[must_use]
pub const fn filter_name(side: Side) -> &'static str {
    match side {
        Side::Server => "sloop-inbound",
        Side::Client => "sloop-outbound",
    }
}

/// The side of the filter that Envoy calls `name`.
#[must_use]
pub fn side_of(name: &str) -> Option<Side> {
    [Side::Server, Side::Client]
        .into_iter()
        .find(|side| filter_name(*side) == name)
}

/// The resource that configures the filter on `side` with `json`, run by the
/// module at `module`, a path on the sidecar's machine.
///
/// The module's path and the VM are the same in every push: a change of either
/// would start a VM that has counted nothing.
#[must_use]
pub fn resource(side: Side, module: &str, json: String) -> Resource {
    let name = filter_name(side);
    let code = AsyncDataSource {
        specifier: Some(async_data_source::Specifier::Local(DataSource {
            specifier: Some(data_source::Specifier::Filename(module.to_owned())),
            ..DataSource::default()
        })),
    };
    let plugin = PluginConfig {
        name: name.to_owned(),
        root_id: name.to_owned(),
        configuration: Some(any(
            "type.googleapis.com/google.protobuf.StringValue",
            &StringValue { value: json },
        )),
        failure_policy: FailurePolicy::FailReload.into(),
        vm: Some(plugin_config::Vm::VmConfig(VmConfig {
            vm_id: VM_ID.to_owned(),
            runtime: RUNTIME.to_owned(),
            code: Some(code),
            ..VmConfig::default()
        })),
        ..PluginConfig::default()
    };
    let extension = TypedExtensionConfig {
        name: name.to_owned(),
        typed_config: Some(any(
            "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            &Wasm {
                config: Some(plugin),
            },
        )),
    };
    Resource::new(Kind::EXTENSION, name, &extension.encode_to_vec())
}

fn any(type_url: &str, message: &impl Message) -> Any {
    Any {
        type_url: type_url.to_owned(),
        value: message.encode_to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_sides() {
        for side in [Side::Server, Side::Client] {
            assert_eq!(side_of(filter_name(side)), Some(side));
        }
        assert_eq!(side_of("other"), None);
    }

    #[test]
    fn equal_content_is_the_same_resource() {
        let make = |json: &str| resource(Side::Server, "/sloop.wasm", json.to_owned());
        assert_eq!(make("{}"), make("{}"));
        assert_ne!(make("{}").version(), make("{ }").version());
    }
}
