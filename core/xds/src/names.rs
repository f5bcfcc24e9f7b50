//! Names that are kept because a client said them.

use std::collections::BTreeMap;

use crate::{TypeSnapshot, Version};

/// Names of one type, each with what is kept beside it, and how many bytes that is.
///
/// Whoever may keep how much is asked for each request that names something, so the bytes are counted when a name comes or goes. Those
/// of names that somebody else keeps anyway are looked up: of all names when that is another set, and then of those that come or go.
#[derive(Clone, Debug)]
pub(crate) struct Names<T = ()> {
    names: BTreeMap<String, T>,
    bytes: usize,
    /// What of that somebody else keeps anyway, as it was looked up last. Boxed: few clients keep so much that it is asked for.
    offered: Option<Box<Offered>>,
}

/// What is kept of names in a set of resources.
#[derive(Clone, Debug)]
struct Offered {
    /// The version of the set.
    version: Version,
    /// The bytes of names in it.
    bytes: usize,
    /// What came, went or changed since: names, with the bytes of each before and after.
    since: Vec<(String, usize, usize)>,
    /// The bytes of that.
    since_bytes: usize,
}

/// What may be kept of names that came, went or changed, as a part of what is kept of all: nobody counts it.
const SINCE_PART: usize = 8;

/// What is kept beside a name.
pub(crate) trait Beside {
    /// Its bytes.
    fn bytes(&self) -> usize;
}

impl Beside for () {
    fn bytes(&self) -> usize {
        0
    }
}

impl Beside for Version {
    fn bytes(&self) -> usize {
        self.as_str().len()
    }
}

/// Bytes of a name that is kept, with what keeps it and what is beside it.
fn kept_bytes(name: &str, beside: &impl Beside) -> usize {
    /// A text's own, its place in a map, and what the allocator adds.
    const PLACE: usize = 64;
    PLACE + name.len() + beside.bytes()
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            names: BTreeMap::new(),
            bytes: 0,
            offered: None,
        }
    }
}

impl<T: Beside> Names<T> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// What is beside a name.
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.names.get(name)
    }

    /// All of them, sorted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &String> {
        self.names.keys()
    }

    /// Keeps a name, with this beside it whatever that was.
    pub(crate) fn put(&mut self, name: &str, beside: T) {
        let after = kept_bytes(name, &beside);
        let before = match self.names.get_mut(name) {
            Some(known) => Some(std::mem::replace(known, beside)),
            None => self.names.insert(name.to_owned(), beside),
        };
        let before = before.map_or(0, |it| kept_bytes(name, &it));
        self.count(name, before, after);
    }

    /// A name takes other bytes than before.
    fn count(&mut self, name: &str, before: usize, after: usize) {
        self.bytes = self.bytes + after - before;
        let Some(offered) = self.offered.as_mut().filter(|_| before != after) else {
            return;
        };
        offered.since_bytes += kept_bytes(name, &());
        if offered.since_bytes <= self.bytes / SINCE_PART {
            offered.since.push((name.to_owned(), before, after));
        } else {
            // To look up all of them costs little beside what was said of so many.
            self.offered = None;
        }
    }

    /// Whether the name was there.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let Some(beside) = self.names.remove(name) else {
            return false;
        };
        self.count(name, kept_bytes(name, &beside), 0);
        true
    }

    pub(crate) fn retain(&mut self, stays: impl Fn(&str) -> bool) {
        self.offered = None;
        let bytes = &mut self.bytes;
        self.names.retain(|name, beside| {
            let stays = stays(name);
            if !stays {
                *bytes -= kept_bytes(name, beside);
            }
            stays
        });
    }

    /// Bytes of those that are not names of `offered`, which somebody else keeps anyway.
    pub(crate) fn bytes(&mut self, offered: Option<&TypeSnapshot>) -> usize {
        let Some(offered) = offered else {
            return self.bytes;
        };
        let version = offered.version();
        if self
            .offered
            .as_ref()
            .is_none_or(|it| it.version != *version)
        {
            self.offered = Some(Box::new(Offered {
                version: version.clone(),
                bytes: self.bytes_of(offered),
                since: Vec::new(),
                since_bytes: 0,
            }));
        }
        let of_offered = self.offered.as_mut().map_or(0, |it| it.count(offered));
        self.bytes.saturating_sub(of_offered)
    }

    /// Bytes of those that are names of `offered`. Whatever is less is gone through.
    fn bytes_of(&self, offered: &TypeSnapshot) -> usize {
        let bytes = |name: &str, beside: &T| kept_bytes(name, beside);
        if offered.len() < self.len() {
            let names = offered.resources().map(|it| it.name());
            let kept = names.filter_map(|name| Some(bytes(name, self.get(name)?)));
            return kept.sum();
        }
        let names = self.names.iter();
        let kept = names.filter(|(name, _)| offered.get(name).is_some());
        kept.map(|(name, beside)| bytes(name, beside)).sum()
    }
}

impl Offered {
    /// The bytes of names in the set, with what changed since they were counted.
    fn count(&mut self, offered: &TypeSnapshot) -> usize {
        self.since_bytes = 0;
        for (name, before, after) in std::mem::take(&mut self.since) {
            if offered.get(&name).is_some() {
                self.bytes = self.bytes + after - before;
            }
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Resource, Snapshot};

    #[derive(Clone, Debug)]
    enum Event {
        Put(u8, usize),
        Remove(u8),
        /// The names below go.
        Retain(u8),
        /// These (bits) are offered from now on.
        Offer(u8),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            3 => (0..8_u8, 0..9_usize).prop_map(|(name, length)| Event::Put(name, length)),
            2 => (0..8_u8).prop_map(Event::Remove),
            1 => (0..4_u8).prop_map(Event::Retain),
            1 => any::<u8>().prop_map(Event::Offer),
        ]
    }

    fn offered(bits: u8) -> Snapshot {
        let names = (0..8_u8).filter(|name| bits >> name & 1 == 1);
        let all = Snapshot::builder().manage("t");
        let all = names.fold(all, |all, name| {
            all.with(Resource::new("t", &name.to_string(), b"x"))
        });
        all.build()
    }

    /// A client says names that come and go, and never so much that it is asked for.
    #[test]
    fn of_what_came_and_went_no_more_is_kept_than_a_part() {
        let mut names = Names::default();
        (0..1_000).for_each(|name: i32| names.put(&name.to_string(), ()));
        names.bytes(offered(0).of_type("t"));
        for _ in 0..500 {
            let long = "n".repeat(2_048);
            names.put(&long, ());
            names.remove(&long);
            let since = names.offered.iter().flat_map(|it| &it.since);
            let since: usize = since.map(|(name, ..)| name.len()).sum();
            assert!(since <= names.bytes / SINCE_PART, "{since}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_those_of_the_names_that_are_kept(
            events in proptest::collection::vec(event(), 0..60),
        ) {
            let (mut names, mut now) = (Names::default(), offered(0));
            for event in events {
                match event {
                    Event::Put(name, length) => {
                        let version = Version::claimed(&"v".repeat(length));
                        names.put(&name.to_string(), version);
                    }
                    Event::Remove(name) => drop(names.remove(&name.to_string())),
                    Event::Retain(first) => names.retain(|it| first.to_string().as_str() <= it),
                    Event::Offer(bits) => now = offered(bits),
                }
                let of_type = now.of_type("t").unwrap();
                let bytes = |is_counted: &dyn Fn(&str) -> bool| {
                    let kept = names.names.iter().filter(|(name, _)| is_counted(name));
                    let kept = kept.map(|(name, version)| 64 + name.len() + version.as_str().len());
                    kept.sum::<usize>()
                };
                let (all, beyond) = (bytes(&|_| true), bytes(&|it| of_type.get(it).is_none()));
                prop_assert_eq!(names.bytes(None), all);
                prop_assert_eq!(names.bytes(Some(of_type)), beyond);
            }
        }
    }
}
