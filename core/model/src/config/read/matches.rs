//! Which requests a rule is about.

use crate::json::{Fields, FromJson, Json, Problem};
use crate::{HeaderMatch, PathMatch, RequestMatch};

impl FromJson for RequestMatch {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let rule = Self {
            authority: fields.or_default("authority")?,
            method: fields.or_default("method")?,
            path: fields.optional("path")?,
            headers: fields.or_default("headers")?,
        };
        fields.end()?;
        Ok(rule)
    }
}

impl FromJson for PathMatch {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let given = [
            fields.optional("exact")?.map(Self::Exact),
            fields.optional("prefix")?.map(Self::Prefix),
            fields.optional("template")?.map(Self::Template),
        ];
        fields.end()?;
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            (None | Some(_), _) => Err(json.is_not("one of exact, prefix and template")),
        }
    }
}

impl FromJson for HeaderMatch {
    fn from_json(json: &Json<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::of(json)?;
        let rule = Self {
            name: fields.required("name")?,
            exact: fields.optional("exact")?,
        };
        fields.end()?;
        Ok(rule)
    }
}
