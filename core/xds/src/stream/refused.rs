//! What a client refused, and with what.
//!
//! Of what came in one response it is not known which was bad, nor what of it the client took all the same. As long as
//! all of it is as it was, none of it is sent again. When something of it is over (another is sent by its name, it is not
//! there any more, or the client does not want it any more), that may have been what was bad, and the rest is tried again:
//! once, and in a response of its own, so that what is bad still takes nothing down that changed meanwhile.

use std::collections::BTreeMap;

use crate::{Resource, TypeSnapshot, Version};

/// What one client refused of one type, by name, and was not sent again since.
#[derive(Debug, Default)]
pub(super) struct Refused {
    names: BTreeMap<String, One>,
    /// The responses that it came in.
    responses: BTreeMap<u64, Rest>,
}

/// One resource that was refused.
#[derive(Debug)]
struct One {
    version: Version,
    /// The response that it came in.
    came_in: u64,
}

/// What is left of a response that was refused.
#[derive(Debug, Default)]
struct Rest {
    /// How many resources, at least one.
    len: usize,
    /// Whether it is not all: then it is tried again.
    is_part: bool,
}

impl Refused {
    /// Hears that a response with these was refused.
    pub(super) fn add(&mut self, resources: impl IntoIterator<Item = (String, Version)>) {
        let last = self.responses.last_key_value();
        let came_in = last.map_or(0, |(last, _)| last.saturating_add(1));
        for (name, version) in resources {
            self.remove(&name);
            self.names.insert(name, One { version, came_in });
            self.responses.entry(came_in).or_default().len += 1;
        }
    }

    /// It is over with this name; what came with it is tried again.
    pub(super) fn remove(&mut self, name: &str) {
        let Some(one) = self.names.remove(name) else {
            return;
        };
        if let Some(rest) = self.responses.get_mut(&one.came_in) {
            rest.is_part = true;
            rest.len = rest.len.saturating_sub(1);
            if rest.len == 0 {
                self.responses.remove(&one.came_in);
            }
        }
    }

    /// It is over with all names but those that stay.
    pub(super) fn retain(&mut self, stays: impl Fn(&str) -> bool) {
        let gone: Vec<String> = self.names().filter(|it| !stays(it)).cloned().collect();
        gone.iter().for_each(|name| self.remove(name));
    }

    /// It is over with all that is not there any more. Says with what.
    pub(super) fn take_lost(&mut self, of_type: Option<&TypeSnapshot>) -> Vec<String> {
        let lost: Vec<String> = self.lost(of_type).cloned().collect();
        lost.iter().for_each(|name| self.remove(name));
        lost
    }

    /// Whether something is not there any more.
    pub(super) fn has_lost(&self, of_type: Option<&TypeSnapshot>) -> bool {
        self.lost(of_type).next().is_some()
    }

    fn lost(&self, of_type: Option<&TypeSnapshot>) -> impl Iterator<Item = &String> {
        let is_there = move |name: &str| of_type.is_some_and(|it| it.get(name).is_some());
        self.names().filter(move |name| !is_there(name))
    }

    /// Nothing is refused any more.
    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.responses.clear();
    }

    /// The names, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.keys()
    }

    /// Whether something by this name is.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Whether the client refused it and was sent nothing else by its name since.
    pub(super) fn includes(&self, resource: &Resource) -> bool {
        let one = self.names.get(resource.name());
        one.is_some_and(|it| it.version == *resource.version())
    }

    /// Whether that is to be tried again, as it is.
    pub(super) fn is_tried_again(&self, resource: &Resource) -> bool {
        let one = self.names.get(resource.name());
        let one = one.filter(|it| it.version == *resource.version());
        let rest = one.and_then(|it| self.responses.get(&it.came_in));
        rest.is_some_and(|it| it.is_part)
    }
}
