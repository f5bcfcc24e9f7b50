//! Which requests belong to a route.

use serde::{Deserialize, Serialize};

/// Conditions on a request; all that are given must hold.
///
/// Shape: at least one condition; at most [`RequestMatch::VALUES_MAX`] values in each list.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "Conditions on a request, at least one; all that are given must hold.")
)]
#[serde(deny_unknown_fields)]
pub struct RequestMatch {
    /// Authorities (`Host`), any of which fits. One without a port fits any port. Compared without case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Self::VALUES_MAX)))]
    #[cfg_attr(feature = "schema", schemars(inner(length(max = Self::TEXT_BYTES_MAX))))]
    pub authority: Vec<String>,
    /// Methods, any of which fits. Compared with case, as HTTP says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Self::VALUES_MAX)))]
    #[cfg_attr(feature = "schema", schemars(inner(length(max = Self::TEXT_BYTES_MAX))))]
    pub method: Vec<String>,
    /// The path without its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// Headers, all of which must fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Self::VALUES_MAX)))]
    pub headers: Vec<HeaderMatch>,
}

/// A condition on the path. The query (`?` and after) does not take part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PathMatch {
    /// The whole path.
    Exact(
        #[cfg_attr(feature = "schema", schemars(length(max = RequestMatch::TEXT_BYTES_MAX)))]
        #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/")))]
        String,
    ),
    /// Its beginning, byte by byte.
    Prefix(
        #[cfg_attr(feature = "schema", schemars(length(max = RequestMatch::TEXT_BYTES_MAX)))]
        #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/")))]
        String,
    ),
    /// Segments, of which `{anything}` fits one that is not empty: `/users/{id}/orders`.
    Template(
        #[cfg_attr(feature = "schema", schemars(length(max = RequestMatch::TEXT_BYTES_MAX)))]
        #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/")))]
        String,
    ),
}

/// A condition on a header. Several lines of one header are tried one by one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    /// The name, in lower case.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = RequestMatch::TEXT_BYTES_MAX)))]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[^A-Z]+$")))]
    pub name: String,
    /// The value, exactly; any value when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = RequestMatch::TEXT_BYTES_MAX)))]
    pub exact: Option<String>,
}

/// Why a match cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMatch {
    /// It would claim everything; leave `match` out instead.
    #[error("the match has no condition; give at least one")]
    Empty,
    /// Too long a list for a hot path.
    #[error("{given} values in one list; there may be at most {max}", max = RequestMatch::VALUES_MAX)]
    TooMany {
        /// As given.
        given: usize,
    },
    /// Too long a text for a hot path.
    #[error("a text of {given} bytes; it may have at most {max}", max = RequestMatch::TEXT_BYTES_MAX)]
    TooLong {
        /// As given.
        given: usize,
    },
    /// Paths begin with a slash.
    #[error("path \"{}\"; it must begin with a slash", given.escape_default())]
    Path {
        /// As given.
        given: String,
    },
    /// Header names come from Envoy in lower case, so this one would never fit.
    #[error("header name \"{}\"; it must be lower case and not empty", given.escape_default())]
    HeaderName {
        /// As given.
        given: String,
    },
}

impl RequestMatch {
    /// Values in one list: each may be compared on every request.
    pub const VALUES_MAX: usize = 32;
    /// Bytes of one text: longer than any path that a person writes.
    pub const TEXT_BYTES_MAX: usize = 1_024;

    /// Checks the conditions.
    ///
    /// # Errors
    ///
    /// When there is none, one can never hold, or a list or text is too long.
    pub fn check(&self) -> Result<(), InvalidMatch> {
        if *self == Self::default() {
            return Err(InvalidMatch::Empty);
        }
        for given in [self.authority.len(), self.method.len(), self.headers.len()] {
            if Self::VALUES_MAX < given {
                return Err(InvalidMatch::TooMany { given });
            }
        }
        for header in &self.headers {
            if header.name.is_empty() || header.name.chars().any(|c| c.is_ascii_uppercase()) {
                return Err(InvalidMatch::HeaderName {
                    given: header.name.clone(),
                });
            }
        }
        let path = self.path.as_ref().map(PathMatch::text);
        if let Some(path) = path.filter(|path| !path.starts_with('/')) {
            return Err(InvalidMatch::Path {
                given: path.to_owned(),
            });
        }
        let texts = self.authority.iter().chain(&self.method);
        let headers = self
            .headers
            .iter()
            .flat_map(|header| [Some(&header.name), header.exact.as_ref()])
            .flatten();
        match texts
            .chain(headers)
            .map(String::len)
            .chain(path.map(str::len))
            .find(|length| Self::TEXT_BYTES_MAX < *length)
        {
            Some(given) => Err(InvalidMatch::TooLong { given }),
            None => Ok(()),
        }
    }
}

impl PathMatch {
    /// The path or pattern as written.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) | Self::Template(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_that_can_never_hold_is_refused() {
        let path = |text: &str| RequestMatch {
            path: Some(PathMatch::Prefix(text.into())),
            ..RequestMatch::default()
        };
        assert_eq!(RequestMatch::default().check(), Err(InvalidMatch::Empty));
        assert!(path("/a").check().is_ok());
        assert!(path("a").check().is_err());
        assert!(path(&format!("/{}", "a".repeat(1_024))).check().is_err());
        let header = RequestMatch {
            headers: vec![HeaderMatch {
                name: "X-A".into(),
                exact: None,
            }],
            ..RequestMatch::default()
        };
        assert!(header.check().is_err());
    }
}
