//! Why a node refused something, where its own words say nothing.
//!
//! Of a filter that does not begin Envoy says one sentence, whatever the reason: the module is not there, cannot be
//! compiled, is of another version, or its reader refuses the configuration. What we can find out ourselves is whether
//! our reader takes it, which is the same code as that of the module of this version.

use sloop_model::FilterConfig;
use sloop_xds::{Sent, Snapshot};

use crate::bootstrap::plugin;

/// What Envoy says, and the name of the filter.
const SAYS_NOTHING: &str = "Unable to create Wasm plugin";

/// `message`, with which a node refused `sent`, and what we can say about it. `offered` is what the node should have.
pub(super) fn explained(message: String, sent: &Sent, offered: Option<&Snapshot>) -> String {
    if !message.contains(SAYS_NOTHING) {
        return message;
    }
    let refused = sent.resources.iter();
    let mut refused = refused.filter(|(name, _)| message.contains(name.as_str()));
    let found = refused.find_map(|(name, version)| {
        let resource = offered?.of_type(&sent.type_url)?.get(name)?;
        (resource.version() == version).then(|| plugin::read(&resource.value()))?
    });
    match found {
        None => message,
        Some((module, json)) => match FilterConfig::parse(json.as_bytes()) {
            Ok(_) => format!(
                "{message}; our reader takes this configuration: is {module} on the node, and of this version?"
            ),
            Err(error) => format!("{message}; our reader refuses it, too: {error}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use sloop_model::Side;
    use sloop_xds::{Kind, Resource};

    use super::*;

    const ENVOYS: &str = "Unable to create Wasm plugin sloop-inbound";

    /// What is said of a refusal of the resource with this configuration of a filter, offered or not any more.
    fn said(message: &str, json: &str, is_offered: bool) -> String {
        let value = plugin::encoded(Side::Server, "/m.wasm", json.to_owned());
        let resource = Resource::new(Kind::EXTENSION, "sloop-inbound", &value);
        let sent = Sent {
            type_url: Kind::EXTENSION.to_owned(),
            version: resource.version().clone(),
            nonce: "1".to_owned(),
            resources: vec![("sloop-inbound".to_owned(), resource.version().clone())],
            removed: Vec::new(),
            is_heartbeat: false,
        };
        let builder = Snapshot::builder().manage(Kind::EXTENSION);
        let builder = if is_offered {
            builder.with(resource)
        } else {
            builder
        };
        explained(message.to_owned(), &sent, Some(&builder.build()))
    }

    #[test]
    fn where_envoy_says_nothing_our_own_reader_is_asked() {
        let good = r#"{"version":1,"service":"shop","side":"server"}"#;
        assert_eq!(
            said(ENVOYS, good, true),
            "Unable to create Wasm plugin sloop-inbound; our reader takes this configuration: \
             is /m.wasm on the node, and of this version?"
        );
        let bad = r#"{"version":1,"service":"shop","side":"sideways"}"#;
        let error = FilterConfig::parse(bad.as_bytes()).unwrap_err();
        assert_eq!(
            said(ENVOYS, bad, true),
            format!("{ENVOYS}; our reader refuses it, too: {error}")
        );
    }

    #[test]
    fn where_it_says_something_or_nothing_is_known_it_has_the_word() {
        let words = "Protobuf message (type envoy.config.cluster.v3.Cluster) has unknown fields";
        assert_eq!(said(words, "{}", true), words);
        assert_eq!(said(ENVOYS, "{}", false), ENVOYS);
        let other = "Unable to create Wasm plugin of-somebody-else";
        assert_eq!(said(other, "{}", true), other);
    }
}
