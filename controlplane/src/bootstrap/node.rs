//! What an Envoy says of itself beside its name.

use std::collections::BTreeMap;

use sloop_xds::Locality;

use super::text::quoted;

/// Where it runs and what else selectors may ask for, below `node`; nothing where nothing is said.
pub(super) fn whereabouts(locality: &Locality, metadata: &BTreeMap<String, String>) -> String {
    let Locality {
        region,
        zone,
        sub_zone,
    } = locality;
    let parts = [("region", region), ("zone", zone), ("sub_zone", sub_zone)];
    let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
    let parts = parts.map(|(name, value)| format!("    {name}: {}\n", quoted(value)));
    let parts: String = parts.collect();
    let mut text = String::new();
    if !parts.is_empty() {
        text.push_str("  locality:\n");
        text.push_str(&parts);
    }
    if !metadata.is_empty() {
        text.push_str("  metadata:\n");
    }
    for (name, value) in metadata {
        text.push_str(&format!("    {}: {}\n", quoted(name), quoted(value)));
    }
    text
}
