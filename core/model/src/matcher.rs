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
    /// The value, exactly. Any value where `prefix` is absent, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = RequestMatch::TEXT_BYTES_MAX)))]
    pub exact: Option<String>,
    /// The beginning of the value, byte by byte; instead of `exact`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = RequestMatch::TEXT_BYTES_MAX)))]
    pub prefix: Option<String>,
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
    /// Which of them was meant?
    #[error("a header has exact and prefix; it may have one of them")]
    HeaderValue,
}

impl RequestMatch {
    /// Values in one list: each may be compared on every request.
    pub const VALUES_MAX: usize = 32;
    /// Bytes of one text: longer than any path that a person writes.
    pub const TEXT_BYTES_MAX: usize = 1_024;

    /// Whether there is no condition.
    const fn is_empty(&self) -> bool {
        // To compare with the default would take the filter a comparison of every part.
        let Self {
            authority,
            method,
            path,
            headers,
        } = self;
        authority.is_empty() && method.is_empty() && path.is_none() && headers.is_empty()
    }

    /// Checks the conditions.
    ///
    /// # Errors
    ///
    /// When there is none, one can never hold, or a list or text is too long.
    pub fn check(&self) -> Result<(), InvalidMatch> {
        if self.is_empty() {
            return Err(InvalidMatch::Empty);
        }
        let mut longest = 0;
        for texts in [&self.authority, &self.method] {
            fits(texts)?;
            for text in texts {
                longest = text.len().max(longest);
            }
        }
        fits(&self.headers)?;
        for header in &self.headers {
            header.check()?;
            longest = header.name.len().max(header.value().len()).max(longest);
        }
        if let Some(path) = self.path.as_ref().map(PathMatch::text) {
            if path.as_bytes().first() != Some(&b'/') {
                return Err(InvalidMatch::Path {
                    given: path.to_owned(),
                });
            }
            longest = path.len().max(longest);
        }
        if Self::TEXT_BYTES_MAX < longest {
            return Err(InvalidMatch::TooLong { given: longest });
        }
        Ok(())
    }
}

/// Whether `list` is not too long.
const fn fits<T>(list: &[T]) -> Result<(), InvalidMatch> {
    if RequestMatch::VALUES_MAX < list.len() {
        return Err(InvalidMatch::TooMany { given: list.len() });
    }
    Ok(())
}

impl HeaderMatch {
    /// Whether its name can be one, and no more than one thing is said of its value.
    fn check(&self) -> Result<(), InvalidMatch> {
        if self.name.is_empty() || self.name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(InvalidMatch::HeaderName {
                given: self.name.clone(),
            });
        }
        if self.exact.is_some() && self.prefix.is_some() {
            return Err(InvalidMatch::HeaderValue);
        }
        Ok(())
    }

    /// What the value is, or begins with; empty when any will do.
    #[must_use]
    pub fn value(&self) -> &str {
        let value = self.exact.as_ref().or(self.prefix.as_ref());
        value.map_or("", String::as_str)
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
        let text = |length: usize| Some("a".repeat(length));
        for (name, exact, prefix, is_fine) in [
            ("x-a", None, None, true),
            ("X-A", None, None, false),
            ("", None, None, false),
            ("x-a", text(1_024), None, true),
            ("x-a", text(1_025), None, false),
            ("x-a", None, text(1_024), true),
            ("x-a", None, text(1_025), false),
            ("x-a", text(1), text(1), false),
        ] {
            let header = HeaderMatch {
                name: name.into(),
                exact,
                prefix,
            };
            let headers = RequestMatch {
                headers: vec![header],
                ..RequestMatch::default()
            };
            assert_eq!(headers.check().is_ok(), is_fine, "{headers:?}");
        }
    }
}
