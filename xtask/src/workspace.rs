//! Where things are in this repository.

use std::path::{Path, PathBuf};

/// The folder of the repository.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where tasks put what they make: always here, wherever cargo is told to build.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// The module that sidecars load.
pub(crate) fn module() -> PathBuf {
    target().join("sloop_filter.wasm")
}

/// The module for sidecars that also touch answers.
pub(crate) fn answers_module() -> PathBuf {
    target().join("sloop_filter_answers.wasm")
}

/// What tests need beyond what the demo does: the real Envoy, a host for the module, and the schema of configurations.
pub(crate) const TEST_FEATURES: &str =
    "sloop-integration/envoy,sloop-integration/wasm-host,sloop-model/schema";
