//! How many files and connections this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The files that a process needs beside its connections.
const BESIDE: u64 = 200;

/// Not enough files may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{nodes} connections need {needed} open files; this process may have {allowed} (RLIMIT_NOFILE, `ulimit -Hn`)"
)]
pub struct TooFewFiles {
    /// What was asked for.
    pub nodes: usize,
    /// What that takes.
    pub needed: u64,
    /// What the hard limit is, which only root may raise.
    pub allowed: u64,
}

/// Raises this process's limit, and so that of what it starts, as far as `nodes` connections need.
///
/// # Errors
///
/// When the hard limit is below and this process may not raise that.
pub fn allow(nodes: usize) -> Result<(), TooFewFiles> {
    let needed = nodes as u64 + BESIDE;
    let limit = getrlimit(Resource::Nofile);
    // No limit is `None`.
    if limit.current.is_none_or(|current| needed <= current) {
        return Ok(());
    }
    let is_above = limit.maximum.is_some_and(|maximum| maximum < needed);
    let wanted = Rlimit {
        current: Some(needed),
        maximum: if is_above {
            Some(needed)
        } else {
            limit.maximum
        },
    };
    setrlimit(Resource::Nofile, wanted).map_err(|_refused| TooFewFiles {
        nodes,
        needed,
        allowed: limit.maximum.unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_said_with_both_numbers() {
        assert_eq!(allow(1), Ok(()));
        // More than `fs.nr_open` allows anybody.
        let error = allow(1 << 40).unwrap_err();
        assert_eq!(error.needed, (1 << 40) + BESIDE);
        let text = error.to_string();
        assert!(text.contains("RLIMIT_NOFILE") && text.contains(&error.allowed.to_string()));
    }
}
