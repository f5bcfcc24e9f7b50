//! A record of all that the control plane decided by, to decide it again.
//!
//! `sloop serve --record FILE` writes one, `sloop replay FILE` decides again and
//! compares. A record is lines of JSON, each a [`Line`]: the [`Input`]s in the
//! order in which they happened, and after each step the SHA-256 of what was
//! decided (the JSON of `sloop_controllers::Step`). What was decided otherwise
//! than at the step before is there in words, too.
//!
//! It holds names of services, routes and sidecars, and counts; nothing of requests.

mod replay;
mod writer;

pub use replay::{ReplayError, Replayed, replay};
pub use writer::Recorder;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sloop_controllers::{Input, Step};

/// The format that this program reads and writes.
pub const FORMAT: u32 = 1;

/// One line of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// The first line: the format.
    Record(u32),
    /// Something happened.
    Input(Input),
    /// What was decided at the last [`Input::Step`].
    Decided {
        /// SHA-256 of the JSON of all decisions and policies, in hexadecimal.
        sha256: String,
        /// Those that were new, in words.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        new: Vec<String>,
    },
    /// The record ends before the process did: there was no more room.
    Full,
}

/// The SHA-256 of what `step` decided, in hexadecimal.
#[must_use]
pub fn digest(step: &Step) -> String {
    // What cannot be written has no digest of its own; a map with such keys is not in it.
    let json = serde_json::to_vec(step).unwrap_or_default();
    let digest = Sha256::digest(&json);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
