//! JSON, taken apart.

use std::borrow::Cow;

use super::parse::{self, InvalidSyntax};

/// Any JSON. Members keep their order, and what is there twice stays there twice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(u64),
    /// Below zero, or with a fraction.
    OtherNumber(f64),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Vec<(Cow<'a, str>, Self)>),
}

impl<'a> Json<'a> {
    /// Takes a text apart.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, InvalidSyntax> {
        parse::parse(text)
    }

    /// What kind of value it is, in words.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::OtherNumber(_) => "a number with a fraction or below zero",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}
