//! Which resources of one type a client asked for.

use crate::names::Names;
use crate::{Kind, TypeSnapshot};

/// Whether a first request without names asks for everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LegacyWildcard {
    /// As in Envoy, for listeners and clusters.
    #[default]
    Honoured,
    /// As with gRPC's clients, which always say what they want.
    Off,
}

/// The names that a client asked for, and whether it asked for everything.
///
/// States: *nothing said*; *wildcard by silence* (a first request without
/// names); *explicit* (any name was given, `*` among them). From explicit
/// there is no way back to silence: an empty list then means nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscription {
    wildcard: bool,
    names: Names,
    is_explicit: bool,
}

/// Asks for everything.
pub(crate) const WILDCARD: &str = "*";

impl Subscription {
    /// Whether resource `name` is asked for.
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        !self.wildcard && self.names.is_empty()
    }

    /// Whether everything is asked for.
    pub(crate) const fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// The names that are asked for one by one.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Bytes that are kept of names that are not in `offered`.
    pub(crate) fn bytes(&mut self, offered: Option<&TypeSnapshot>) -> usize {
        self.names.bytes(offered)
    }

    /// How many names it holds.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Takes the full list of a state-of-the-world request.
    pub(crate) fn replace(&mut self, names: &[String], kind: &Kind, legacy: LegacyWildcard) {
        if names.is_empty() && !self.is_explicit {
            self.wildcard = legacy == LegacyWildcard::Honoured && kind.is_full_set();
            return;
        }
        self.is_explicit = true;
        self.wildcard = names.iter().any(|name| name == WILDCARD);
        self.names = Names::default();
        for name in names.iter().filter(|name| *name != WILDCARD) {
            self.names.put(name, ());
        }
    }

    /// Takes the first delta request of a type when it names nothing.
    pub(crate) fn begin_silent(&mut self, kind: &Kind, legacy: LegacyWildcard) {
        self.wildcard = legacy == LegacyWildcard::Honoured && kind.is_full_set();
    }

    /// Adds a name or the wildcard.
    pub(crate) fn add(&mut self, name: &str) {
        self.is_explicit = true;
        if name == WILDCARD {
            self.wildcard = true;
        } else {
            self.names.put(name, ());
        }
    }

    /// Takes a name or the wildcard away. Whether it was there.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        if name == WILDCARD {
            core::mem::replace(&mut self.wildcard, false)
        } else {
            self.names.remove(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(requests: &[&[&str]], legacy: LegacyWildcard) -> Subscription {
        let mut subscription = Subscription::default();
        for names in requests {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            subscription.replace(&names, &Kind::of(Kind::CLUSTER), legacy);
        }
        subscription
    }

    /// The four steps of the specification ("How the client specifies what resources to return"), case 8.
    #[test]
    fn the_wildcard_goes_by_what_was_said_first() {
        let honoured = LegacyWildcard::Honoured;
        assert!(after(&[&[]], honoured).is_wildcard());
        assert!(after(&[&[], &["*", "a"]], honoured).is_wildcard());
        assert!(!after(&[&[], &["a"]], honoured).is_wildcard());
        assert!(after(&[&["a"], &["a", "*"]], honoured).is_wildcard());
        assert!(after(&[&["a"], &[]], honoured).is_empty());
        assert!(after(&[&["*"], &[]], honoured).is_empty());
    }

    /// Case 8.
    #[test]
    fn grpc_clients_that_name_nothing_get_nothing() {
        assert!(after(&[&[]], LegacyWildcard::Off).is_empty());
        assert!(after(&[&["*"]], LegacyWildcard::Off).is_wildcard());
    }
}
