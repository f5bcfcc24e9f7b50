//! Who may do what at the control plane.
//!
//! Whoever proves a name ([`SpiffeId`]) may do what [`AccessRule`]s say, and nothing else. What a
//! sidecar says about itself, its node id and its metadata, is never a reason: it only refines
//! what its name may have.

mod spiffe;

use core::fmt;

use sloop_model::{Scope, Side};

pub use spiffe::{InvalidSpiffeId, SpiffeId};

/// Lets workloads have the configuration of services, and report about them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccessRule {
    /// The document's name.
    pub name: String,
    /// Who: any of these names.
    pub identities: Vec<Pattern>,
    /// The services (Envoy's node cluster) whose sidecars they are. They get what is for these, and
    /// say what these were asked.
    pub services: Vec<Pattern>,
    /// The services that they may say they called. `None` stands for any.
    pub calls: Option<Vec<Pattern>>,
}

/// A text, or the beginning of texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// This text.
    Exact(String),
    /// Everything that begins so. Empty: everything.
    Prefix(String),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// It fits nothing.
    #[error("is empty; write * for anything")]
    Empty,
    /// A `*` somewhere else.
    #[error("is {given:?}; a * stands for anything, and only at the end")]
    Star {
        /// As given.
        given: String,
    },
}

/// What somebody wants and may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// To be a sidecar of another service.
    #[error("no AccessRule lets {identity} be a sidecar of {service:?}")]
    Service {
        /// Who.
        identity: SpiffeId,
        /// The service.
        service: String,
    },
    /// To report about another service.
    #[error("no AccessRule lets {identity} report about {service:?} as its {side}")]
    Report {
        /// Who.
        identity: SpiffeId,
        /// The service.
        service: String,
        /// As whom.
        side: Side,
    },
}

/// All rules together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    rules: Vec<AccessRule>,
}

impl Access {
    /// Access by these rules. Without any, nobody has it.
    #[must_use]
    pub const fn new(rules: Vec<AccessRule>) -> Self {
        Self { rules }
    }

    /// Whether nobody has access.
    #[must_use]
    pub const fn is_nobodys(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether `identity` may be a sidecar of `service`.
    ///
    /// # Errors
    ///
    /// When no rule says so.
    pub fn sidecar(&self, identity: &SpiffeId, service: &str) -> Result<(), Denied> {
        if self.of(identity).any(|rule| fits(&rule.services, service)) {
            return Ok(());
        }
        Err(Denied::Service {
            identity: identity.clone(),
            service: service.to_owned(),
        })
    }

    /// Whether `identity`, as a sidecar of `service`, may report about all of `scopes`: about requests to
    /// services as their sidecar, about requests of these to others as their caller, and about
    /// requests of which nobody knows where they went.
    ///
    /// # Errors
    ///
    /// The first thing that no rule lets it.
    pub fn report<'a>(
        &self,
        identity: &SpiffeId,
        service: &str,
        scopes: impl IntoIterator<Item = &'a Scope>,
    ) -> Result<(), Denied> {
        self.sidecar(identity, service)?;
        let rules: Vec<&AccessRule> = self.of(identity).collect();
        let is_allowed = |scope: &Scope| {
            let asked = scope.service.as_str();
            rules.iter().any(|rule| match scope.side {
                Side::Server => fits(&rule.services, asked),
                Side::Client => {
                    let calls = rule.calls.as_ref();
                    scope.service.is_unknown() || calls.is_none_or(|calls| fits(calls, asked))
                }
            })
        };
        match scopes.into_iter().find(|scope| !is_allowed(scope)) {
            None => Ok(()),
            Some(scope) => Err(Denied::Report {
                identity: identity.clone(),
                service: scope.service.as_str().to_owned(),
                side: scope.side,
            }),
        }
    }

    /// The rules that are about `identity`.
    fn of(&self, identity: &SpiffeId) -> impl Iterator<Item = &AccessRule> {
        let rules = self.rules.iter();
        rules.filter(|rule| fits(&rule.identities, identity.as_str()))
    }
}

impl Pattern {
    /// Whether `text` fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == text,
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
        }
    }
}

impl TryFrom<&str> for Pattern {
    type Error = InvalidPattern;

    fn try_from(given: &str) -> Result<Self, InvalidPattern> {
        let (text, is_prefix) = match given.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (given, false),
        };
        if text.contains('*') {
            return Err(InvalidPattern::Star {
                given: given.to_owned(),
            });
        }
        match (is_prefix, text) {
            (true, _) => Ok(Self::Prefix(text.to_owned())),
            (false, "") => Err(InvalidPattern::Empty),
            (false, _) => Ok(Self::Exact(text.to_owned())),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => formatter.write_str(text),
            Self::Prefix(text) => write!(formatter, "{text}*"),
        }
    }
}

fn fits(patterns: &[Pattern], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(text))
}

#[cfg(test)]
mod tests;
