//! How many files and connections the process may have open.
//!
//! Each sidecar has a connection or several, and each is an open file. The limit that a process begins with is 1,024
//! on most machines, for programs that cannot bear more (`select`); it may raise that by itself up to the hard limit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The store, listeners, and what the runtime has open.
const BESIDE: u64 = 200;

/// Raises the limit as far as it goes, and says it where that is less than `connections` need.
pub(super) fn allow(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let needed = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(BESIDE);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    // No limit is `None`.
    let allowed = getrlimit(Resource::Nofile).current;
    if let Some(allowed) = allowed.filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            needed,
            "fewer connections than the limit `connections` can be open: RLIMIT_NOFILE, `ulimit -Hn`"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_what_it_may_be_at_most() {
        allow(1);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
