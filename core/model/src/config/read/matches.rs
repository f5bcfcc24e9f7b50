//! Which requests a rule is about.

use crate::json::{Fields, FromJson, Reader};
use crate::{HeaderMatch, PathMatch, RequestMatch};

impl FromJson for RequestMatch {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let rule = Self {
            authority: fields.or_default("authority"),
            method: fields.or_default("method"),
            path: fields.optional("path"),
            headers: fields.or_default("headers"),
        };
        fields.end();
        rule
    }
}

impl FromJson for PathMatch {
    fn from_json(reader: Reader<'_>) -> Self {
        let wanted = "one of exact, prefix and template";
        let (which, text) = reader.variant(&["exact", "prefix", "template"], wanted);
        let text = String::from_json(text);
        match which {
            1 => Self::Prefix(text),
            2 => Self::Template(text),
            _ => Self::Exact(text),
        }
    }
}

impl FromJson for HeaderMatch {
    fn from_json(reader: Reader<'_>) -> Self {
        let mut fields = Fields::of(reader);
        let rule = Self {
            name: fields.required("name"),
            exact: fields.optional("exact"),
            prefix: fields.optional("prefix"),
        };
        fields.end();
        rule
    }
}
