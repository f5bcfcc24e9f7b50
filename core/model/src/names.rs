//! Names that people give to things. Copies of a name share its text: names are in every count and every decision.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// There is nothing in it.
    #[error("the name is empty")]
    Empty,
    /// It is longer than tables, metrics and log lines bear.
    #[error("the name has {given} bytes; it must have at most {max}", max = NAME_BYTES_MAX)]
    TooLong {
        /// Its length in bytes.
        given: usize,
    },
    /// It would break a line or a table.
    #[error("the name \"{}\" has a control character in it", given.escape_default())]
    Control {
        /// The name as given.
        given: String,
    },
}

/// Envoy's own limit for stat names' parts is far above; Kubernetes names end at 253, so nothing real is longer.
const NAME_BYTES_MAX: usize = 253;

pub(crate) fn checked(given: String) -> Result<String, InvalidName> {
    if given.is_empty() {
        Err(InvalidName::Empty)
    } else if given.len() > NAME_BYTES_MAX {
        Err(InvalidName::TooLong { given: given.len() })
    } else if given.chars().any(char::is_control) {
        Err(InvalidName::Control { given })
    } else {
        Ok(given)
    }
}

macro_rules! name {
    ($(#[$docs:meta])* $name:ident) => {
        $(#[$docs])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(
            feature = "schema",
            schemars(extend("minLength" = 1, "maxLength" = NAME_BYTES_MAX))
        )]
        #[cfg_attr(
            feature = "schema",
            schemars(extend("pattern" = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"))
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name that has been [`checked`], or that nobody will see.
            pub(crate) fn trusted(name: String) -> Self {
                Self(name.into())
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(given: String) -> Result<Self, InvalidName> {
                checked(given).map(Self::trusted)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidName;

            fn try_from(given: &str) -> Result<Self, InvalidName> {
                checked(given.to_owned()).map(Self::trusted)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Names a service: what requests are for, and what SLOs are about. 1 to 253 bytes.
    ServiceName
}
name! {
    /// Names a route of a service. 1 to 253 bytes.
    RouteName
}
name! {
    /// Names an SLO. 1 to 253 bytes.
    SloName
}

const UNKNOWN: &str = "unknown";

impl RouteName {
    /// The route of all requests that no rule claims, or that came after the table was full.
    #[must_use]
    pub fn other() -> Self {
        Self("other".into())
    }

    /// The route of requests that only ask whether a service is there, where they are set apart.
    #[must_use]
    pub fn health_checks() -> Self {
        Self("health-checks".into())
    }

    /// Stands for every route of a service, in policies: a filter's configuration names each.
    #[must_use]
    pub fn any() -> Self {
        // One text for all: it is in most policies of every step.
        static ANY: LazyLock<RouteName> = LazyLock::new(|| RouteName("*".into()));
        ANY.clone()
    }

    /// Whether it stands for every route.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.as_str() == "*"
    }
}

impl ServiceName {
    /// The service of outbound requests that no rule claims.
    #[must_use]
    pub fn unknown() -> Self {
        Self(UNKNOWN.into())
    }

    /// Whether it is that one.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.as_str() == UNKNOWN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_bounds() {
        assert_eq!(RouteName::try_from(""), Err(InvalidName::Empty));
        assert!(RouteName::try_from("a".repeat(253)).is_ok());
        assert!(RouteName::try_from("a".repeat(254)).is_err());
        assert!(RouteName::try_from("a\nb").is_err());
        assert!(RouteName::try_from("/presentations/*").is_ok());
    }
}
