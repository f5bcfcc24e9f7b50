//! Which versions came, and when the nodes had them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One version, and when each node heard it first.
#[derive(Clone, Debug)]
struct Version {
    name: String,
    /// How many nodes have it now.
    nodes: usize,
    /// Since the Unix epoch, in the order in which they came.
    at: Vec<Duration>,
}

/// All versions that came, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Versions {
    all: Vec<Version>,
}

/// Names a version among those that came: the greater, the newer.
pub(super) type Age = usize;

impl Versions {
    /// A node that had `before` hears `name` at `at`. What it has from now on.
    ///
    /// A version is as new as the first node's that heard it, so one that overtakes another on the
    /// way to a second node does not turn them round.
    pub(super) fn hear(&mut self, name: &str, before: Option<Age>, at: Duration) -> Age {
        let known = self.all.iter().rposition(|version| version.name == name);
        let age = known.unwrap_or(self.all.len());
        if known.is_none() {
            self.all.push(Version {
                name: name.to_owned(),
                nodes: 0,
                at: Vec::new(),
            });
        }
        if before == Some(age) {
            return age;
        }
        if let Some(version) = before.and_then(|age| self.all.get_mut(age)) {
            version.nodes -= 1;
        }
        if let Some(version) = self.all.get_mut(age) {
            version.nodes += 1;
            version.at.push(at);
        }
        age
    }

    /// The newest.
    pub(super) fn newest(&self) -> Option<Age> {
        self.all.len().checked_sub(1)
    }

    /// How many nodes have this version now.
    pub(super) fn nodes(&self, age: Age) -> usize {
        self.all.get(age).map_or(0, |version| version.nodes)
    }

    /// When nodes heard this version.
    pub(super) fn at(&self, age: Age) -> &[Duration] {
        self.all.get(age).map_or(&[], |version| &version.at)
    }

    /// What nodes heard and have stays; when, is forgotten.
    pub(super) fn forget(&mut self) {
        for version in &mut self.all {
            version.at = Vec::new();
        }
    }
}

/// Since the Unix epoch, as processes on one machine agree on it.
#[must_use]
pub fn now() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_secs(1);

    #[test]
    fn the_newest_is_what_was_heard_first_by_anybody() {
        let mut versions = Versions::default();
        let one = versions.hear("one", None, AT);
        let two = versions.hear("two", Some(one), AT);
        assert_eq!(versions.newest(), Some(two));
        assert_eq!(versions.hear("one", None, AT), one, "overtaken on the way");
        assert_eq!(versions.newest(), Some(two));
        assert_eq!((versions.nodes(one), versions.nodes(two)), (1, 1));
    }

    #[test]
    fn a_node_counts_once_for_each_version() {
        let mut versions = Versions::default();
        let one = versions.hear("one", None, AT);
        assert_eq!(versions.hear("one", Some(one), AT), one);
        assert_eq!((versions.nodes(one), versions.at(one).len()), (1, 1));
        versions.forget();
        assert_eq!((versions.nodes(one), versions.at(one).len()), (1, 0));
        assert_eq!(versions.nodes(7), 0);
    }
}
