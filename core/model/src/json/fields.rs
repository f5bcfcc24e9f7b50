//! The fields of an object.

use std::borrow::Cow;

use super::error::InvalidJson;
use super::{FromJson, Json, Reader};

/// An object whose fields are asked for one by one. What nobody asked for is an error.
pub(crate) struct Fields<'r> {
    reader: Reader<'r>,
    members: &'r [(Cow<'r, str>, Json<'r>)],
    known: Vec<&'static str>,
}

impl<'r> Fields<'r> {
    /// The fields of the value, which must be an object.
    pub(crate) fn of(reader: Reader<'r>) -> Self {
        let members = if let Json::Object(members) = reader.json() {
            &**members
        } else {
            reader.wants("an object");
            &[]
        };
        Self {
            reader,
            members,
            known: Vec::new(),
        }
    }

    /// A field that must be there.
    pub(crate) fn required<T: FromJson>(&mut self, name: &'static str) -> T {
        T::from_json(self.must(name))
    }

    /// A field that may be missing, or null.
    pub(crate) fn optional<T: FromJson>(&mut self, name: &'static str) -> Option<T> {
        let found = self.find(name)?;
        if matches!(found.json(), Json::Null) {
            return None;
        }
        Some(T::from_json(found))
    }

    /// A field with a default.
    pub(crate) fn or_default<T: FromJson + Default>(&mut self, name: &'static str) -> T {
        self.or(name, T::default())
    }

    /// A field that is `default` when it is missing.
    pub(crate) fn or<T: FromJson>(&mut self, name: &'static str, default: T) -> T {
        match self.find(name) {
            Some(found) => T::from_json(found),
            None => default,
        }
    }

    #[inline(never)]
    fn must(&mut self, name: &'static str) -> Reader<'_> {
        match self.member(name) {
            Some(json) => self.reader.field(name, json),
            None => {
                self.reader.refuse(InvalidJson::Missing { name });
                self.reader.nothing()
            }
        }
    }

    #[inline(never)]
    fn find(&mut self, name: &'static str) -> Option<Reader<'_>> {
        let json = self.member(name)?;
        Some(self.reader.field(name, json))
    }

    fn member(&mut self, name: &'static str) -> Option<&'r Json<'r>> {
        self.known.push(name);
        let mut found = self.members.iter().filter(|(other, _)| other == name);
        let first = found.next();
        if found.next().is_some() {
            let name = name.to_owned();
            self.reader.refuse(InvalidJson::Twice { name });
        }
        first.map(|(_, json)| json)
    }

    /// Checks that every field was asked for.
    #[inline(never)]
    pub(crate) fn end(self) {
        let known = |name: &str| self.known.contains(&name);
        if let Some((name, _)) = self.members.iter().find(|(name, _)| !known(name)) {
            self.reader.refuse(InvalidJson::Unknown {
                name: name.clone().into_owned(),
                known: self.known,
            });
        }
    }
}
