//! The fields of an object.

use std::borrow::Cow;

use super::error::InvalidJson;
use super::{FromJson, Json, Problem};

/// An object whose fields are asked for one by one. What nobody asked for is an error.
pub(crate) struct Fields<'j, 'a> {
    members: &'j [(Cow<'a, str>, Json<'a>)],
    known: Vec<&'static str>,
}

impl<'j, 'a> Fields<'j, 'a> {
    /// The fields of `json`, which must be an object.
    pub(crate) fn of(json: &'j Json<'a>) -> Result<Self, Problem> {
        Ok(Self {
            members: json.members()?,
            known: Vec::new(),
        })
    }

    /// A field that must be there.
    pub(crate) fn required<T: FromJson>(&mut self, name: &'static str) -> Result<T, Problem> {
        match self.find(name)? {
            Some(json) => T::from_json(json).map_err(|problem| problem.in_field(name)),
            None => Err(InvalidJson::Missing { name }.into()),
        }
    }

    /// A field that may be missing, or null.
    pub(crate) fn optional<T: FromJson>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, Problem> {
        match self.find(name)? {
            Some(Json::Null) | None => Ok(None),
            Some(json) => {
                let read = T::from_json(json).map_err(|problem| problem.in_field(name));
                read.map(Some)
            }
        }
    }

    /// A field with a default.
    pub(crate) fn or_default<T: FromJson + Default>(
        &mut self,
        name: &'static str,
    ) -> Result<T, Problem> {
        self.or(name, T::default())
    }

    /// A field that is `default` when it is missing.
    pub(crate) fn or<T: FromJson>(&mut self, name: &'static str, default: T) -> Result<T, Problem> {
        match self.find(name)? {
            Some(json) => T::from_json(json).map_err(|problem| problem.in_field(name)),
            None => Ok(default),
        }
    }

    /// The field as it is, if it is there.
    pub(crate) fn find(&mut self, name: &'static str) -> Result<Option<&'j Json<'a>>, Problem> {
        self.known.push(name);
        let mut found = self.members.iter().filter(|(other, _)| other == name);
        let first = found.next();
        if found.next().is_some() {
            return Err(InvalidJson::Twice {
                name: name.to_owned(),
            }
            .into());
        }
        Ok(first.map(|(_, json)| json))
    }

    /// Checks that every field was asked for.
    pub(crate) fn end(self) -> Result<(), Problem> {
        let known = |name: &str| self.known.contains(&name);
        match self.members.iter().find(|(name, _)| !known(name)) {
            None => Ok(()),
            Some((name, _)) => Err(InvalidJson::Unknown {
                name: name.clone().into_owned(),
                known: self.known,
            }
            .into()),
        }
    }
}
