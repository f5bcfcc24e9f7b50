//! Which scope a request belongs to, by the `match` rules of the configuration.
//!
//! Rules are compiled when a configuration arrives and tried in their order.
//! Comparisons that fail fast (lengths, first bytes) come first, so that a few
//! hundred rules cost less than one value that the host returns.

mod path;

use sloop_model::{HeaderMatch, RequestMatch};

use crate::bytes::{begins_with, is_same, is_same_in_any_case};
use crate::headers::Request;
use path::Path;

/// A scope in the memory of one VM. Stays the same while any request of it is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScopeId(pub(crate) u32);

/// Rules in the order in which they claim requests.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<(Compiled, ScopeId)>,
    /// Whether any asks for an authority.
    asks_host: bool,
}

impl Rules {
    /// Adds a rule behind the others.
    pub(crate) fn push(&mut self, rule: &RequestMatch, scope: ScopeId) {
        self.asks_host |= !rule.authority.is_empty();
        self.rules.push((Compiled::new(rule), scope));
    }

    /// The scope of the first rule that fits.
    #[inline]
    pub(crate) fn find(&self, request: &Request<'_>) -> Option<ScopeId> {
        let host = if self.asks_host {
            without_port(request.authority)
        } else {
            b""
        };
        self.rules
            .iter()
            .find(|(rule, _)| rule.fits(request, host))
            .map(|(_, scope)| *scope)
    }
}

/// Conditions, ready to be compared.
#[derive(Debug)]
pub(crate) struct Compiled {
    authorities: Vec<Authority>,
    methods: Vec<Box<[u8]>>,
    path: Option<Path>,
    headers: Vec<Header>,
}

/// A header that must be there, with a value that begins so.
#[derive(Debug)]
struct Header {
    name: Box<[u8]>,
    /// Empty when any value will do.
    value: Box<[u8]>,
    /// Whether nothing may be behind that.
    is_whole: bool,
}

#[derive(Debug)]
enum Authority {
    Any(Box<[u8]>),
    WithPort(Box<[u8]>),
}

impl Compiled {
    pub(crate) fn new(rule: &RequestMatch) -> Self {
        let header = |header: &HeaderMatch| Header {
            name: boxed(&header.name),
            value: boxed(header.value()),
            is_whole: header.exact.is_some(),
        };
        Self {
            authorities: rule
                .authority
                .iter()
                .map(|text| Authority::new(text))
                .collect(),
            methods: rule.method.iter().map(|text| boxed(text)).collect(),
            path: rule.path.as_ref().map(Path::new),
            headers: rule.headers.iter().map(header).collect(),
        }
    }

    /// Whether it asks for an authority: only then `host` is looked at.
    pub(crate) const fn asks_host(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// Whether the request fits. `host` is its authority [`without_port`].
    pub(crate) fn fits(&self, request: &Request<'_>, host: &[u8]) -> bool {
        let authority = self.authorities.is_empty()
            || self.authorities.iter().any(|authority| match authority {
                Authority::Any(name) => is_same_in_any_case(name, host),
                Authority::WithPort(name) => is_same_in_any_case(name, request.authority),
            });
        let method = self.methods.is_empty()
            || self
                .methods
                .iter()
                .any(|method| is_same(method, request.method));
        authority
            && method
            && self
                .path
                .as_ref()
                .is_none_or(|path| path.fits(request.path))
            && self.headers.iter().all(|header| header.fits(request))
    }
}

impl Header {
    fn fits(&self, request: &Request<'_>) -> bool {
        request.headers.iter().any(|(name, value)| {
            is_same(&self.name, name)
                && begins_with(value, &self.value)
                && (!self.is_whole || self.value.len() == value.len())
        })
    }
}

impl Authority {
    fn new(text: &str) -> Self {
        if without_port(text.as_bytes()).len() == text.len() {
            Self::Any(boxed(text))
        } else {
            Self::WithPort(boxed(text))
        }
    }
}

/// `authority` up to its port. The colons inside the brackets of an IPv6 address belong to the host.
pub(crate) fn without_port(authority: &[u8]) -> &[u8] {
    let colon = authority
        .iter()
        .rposition(|byte| matches!(byte, b':' | b']'))
        .filter(|at| authority.get(*at) == Some(&b':'));
    colon
        .and_then(|at| authority.get(..at))
        .unwrap_or(authority)
}

fn boxed(text: &str) -> Box<[u8]> {
    text.as_bytes().into()
}

#[cfg(test)]
mod tests;
