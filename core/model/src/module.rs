//! Which of the two modules of the filter a sidecar runs.

use serde::{Deserialize, Serialize};

/// A module of the filter, by what it can touch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Module {
    /// `sloop_filter.wasm`: requests alone. What a sidecar runs that has not said it.
    #[default]
    Requests,
    /// `sloop_filter_answers.wasm`: responses and bodies, too.
    Answers,
}
