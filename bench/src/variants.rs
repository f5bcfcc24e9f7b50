//! What is compared: configurations in `bench/variants/`, as text.
//!
//! `naive` and `empty` are configurations of `bench/fixtures/naive`; what has no
//! text here is only a module.

/// Sloop with everything on, and nothing that happens calls for any of it.
pub const SLOOP: &str = include_str!("../variants/sloop.json");

/// Sloop with nothing configured: it traces and counts.
pub const SLOOP_PLAIN: &str = include_str!("../variants/sloop_plain.json");

/// Sloop that answers every request itself.
pub const SLOOP_REFUSED: &str = include_str!("../variants/sloop_refused.json");

/// Envoy's own filters for what Sloop does, a list in YAML.
pub const NATIVE: &str = include_str!("../variants/native3.yaml");

/// Envoy's own filter that answers every request itself, a list in YAML.
pub const NATIVE_REFUSED: &str = include_str!("../variants/native_refused.yaml");

/// The job of the naive filter in Lua, a list in YAML.
pub const LUA: &str = include_str!("../variants/lua.yaml");
