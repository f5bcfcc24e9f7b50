//! One client's stream.
//!
//! A stream is driven from outside: [`Stream::take`] for each request,
//! [`Stream::next`] until it says `None` whenever a request came, the snapshot
//! changed or the connection can take another message. It never queues
//! responses: what is sent is computed from the latest snapshot at the moment
//! of sending, so a slow reader costs no memory and gets only the latest state.

mod delta;
mod order;
mod refused;
mod response;
mod sotw;

pub use delta::DeltaStream;
pub use response::{Response, Sent, Verdict};
pub use sotw::SotwStream;

use crate::{Node, Snapshot};

/// One client's stream, of either variant.
pub trait Stream {
    /// What the client sends.
    type Request: prost::Message + Default + 'static;

    /// Who sends it, if it says so.
    fn node(request: &Self::Request) -> Option<&Node>;

    /// The type that it is about.
    fn type_url(request: &mut Self::Request) -> &mut String;

    /// A request on a stream that carries one type only, where it may leave out which.
    ///
    /// # Errors
    ///
    /// When it names another type.
    fn confined(mut request: Self::Request, only: &str) -> Result<Self::Request, Violation> {
        let type_url = Self::type_url(&mut request);
        if type_url.is_empty() {
            only.clone_into(type_url);
        }
        if type_url != only {
            return Err(Violation::OtherType {
                given: type_url.clone(),
                only: only.to_owned(),
            });
        }
        Ok(request)
    }

    /// Takes one request. Says what it acknowledged or refused, if anything.
    ///
    /// # Errors
    ///
    /// When the request breaks the protocol or a limit: the stream must end then.
    fn take(&mut self, request: Self::Request) -> Result<Option<Verdict>, Violation>;

    /// The next response that is due, if any; it counts as sent from then on.
    fn next(&mut self, snapshot: &Snapshot) -> Option<Response>;

    /// Whether [`Stream::next`] may have a response: `false` is sure.
    fn may_owe(&self, snapshot: &Snapshot) -> bool;

    /// It is time to say that what the client has still holds, where that has a time to live.
    fn beat(&mut self);

    /// Whether a request says names: what [`Stream::names_bytes`] counts does not grow by others.
    fn says_names(request: &Self::Request) -> bool;

    /// Bytes that are kept of names, and of versions with them, that are not in `offered`, with what keeps each: only the client
    /// can have said them, and says how many there are.
    fn names_bytes(&mut self, offered: Option<&Snapshot>) -> usize;

    /// Whether the client runs with all that it asked for of `snapshot`, as far as it has said.
    fn is_in_force(&self, snapshot: &Snapshot) -> bool;

    /// Whether the client refused something of a type that it asks for by name and that is in `snapshot` by that name, as that or
    /// otherwise; or has not answered yet what it was sent of the type.
    fn refuses(&self, type_url: &str, snapshot: &Snapshot) -> bool;
}

/// How much one stream may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Types of resources.
    pub types_max: usize,
    /// Names per type.
    pub names_max: usize,
    /// Bytes of one name or version.
    pub name_bytes_max: usize,
}

impl Default for StreamLimits {
    /// Twice the types that Envoy knows; names for a large cluster set; names as long as URLs get.
    fn default() -> Self {
        Self {
            types_max: 32,
            names_max: 16_384,
            name_bytes_max: 2_048,
        }
    }
}

/// Why a stream must end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// An aggregated stream carries many types, so each request must name its own.
    #[error("type_url is empty; it must name the type of the resources")]
    TypeUrlMissing,
    /// A stream of one type carries no other.
    #[error("type_url is {given:?}; this service is for {only:?}")]
    OtherType {
        /// As given.
        given: String,
        /// The one.
        only: String,
    },
    /// Too many types.
    #[error("{given} types on one stream; there may be at most {max}")]
    TooManyTypes {
        /// With this request.
        given: usize,
        /// The bound.
        max: usize,
    },
    /// Too many names.
    #[error("{given} names of {type_url}; there may be at most {max}")]
    TooManyNames {
        /// The type.
        type_url: String,
        /// With this request.
        given: usize,
        /// The bound.
        max: usize,
    },
    /// A name or version too long.
    #[error("a name of {given} bytes; it may have at most {max}")]
    NameTooLong {
        /// As given.
        given: usize,
        /// The bound.
        max: usize,
    },
}

impl StreamLimits {
    fn check_type(&self, type_url: &str, known: usize, is_new: bool) -> Result<(), Violation> {
        if type_url.is_empty() {
            return Err(Violation::TypeUrlMissing);
        }
        self.check_names([type_url])?;
        let given = known + usize::from(is_new);
        if self.types_max < given {
            return Err(Violation::TooManyTypes {
                given,
                max: self.types_max,
            });
        }
        Ok(())
    }

    fn check_count(&self, type_url: &str, given: usize) -> Result<(), Violation> {
        if self.names_max < given {
            return Err(Violation::TooManyNames {
                type_url: type_url.to_owned(),
                given,
                max: self.names_max,
            });
        }
        Ok(())
    }

    fn check_names<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), Violation> {
        match names
            .into_iter()
            .map(str::len)
            .find(|length| self.name_bytes_max < *length)
        {
            Some(given) => Err(Violation::NameTooLong {
                given,
                max: self.name_bytes_max,
            }),
            None => Ok(()),
        }
    }
}

/// Draws nonces: unique within a stream, which is all that they must be.
#[derive(Debug, Default)]
struct Nonces {
    last: u64,
}

impl Nonces {
    fn draw(&mut self) -> String {
        self.last = self.last.saturating_add(1);
        self.last.to_string()
    }
}

#[cfg(test)]
mod tests;
