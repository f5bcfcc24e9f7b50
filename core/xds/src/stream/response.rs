//! What is sent, and what became of it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::resource::{field_len, put_field};
use crate::{Resource, Status, Version};

/// A response, ready to be written to the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// What it carries. Shared with who waits for an answer, and who is told of that.
    pub sent: Arc<Sent>,
    /// Its message, in pieces that follow each other.
    pub pieces: Vec<Bytes>,
}

/// What a response carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The type of the resources.
    pub type_url: String,
    /// The version of all resources of the type, as of the snapshot.
    pub version: Version,
    /// Names the response within its stream.
    pub nonce: String,
    /// Names and versions of the resources in it, sorted by name, no duplicates.
    pub resources: Vec<(String, Version)>,
    /// Names of resources that the client must drop. Empty in state of the world.
    pub removed: Vec<String>,
    /// Whether it only says that `resources` still hold.
    pub is_heartbeat: bool,
}

/// What a client said about a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in force.
    Acknowledged(Arc<Sent>),
    /// The client keeps what it had.
    Refused {
        /// What it refused.
        sent: Arc<Sent>,
        /// Why, in the client's words, at most [`Verdict::MESSAGE_BYTES_MAX`] bytes.
        message: String,
    },
}

impl Verdict {
    /// A line for people; a client decides how long its own is.
    pub const MESSAGE_BYTES_MAX: usize = 1_024;

    pub(crate) fn of(sent: Arc<Sent>, error: Option<Status>) -> Self {
        match error {
            None => Self::Acknowledged(sent),
            Some(error) => {
                let mut message = error.message;
                message.truncate(message.floor_char_boundary(Self::MESSAGE_BYTES_MAX));
                Self::Refused { sent, message }
            }
        }
    }
}

/// Tags of the fields that `DiscoveryResponse` and `DeltaDiscoveryResponse` number alike.
const VERSION: u32 = 1;
const TYPE_URL: u32 = 4;
const NONCE: u32 = 5;
/// `DeltaDiscoveryResponse.removed_resources`.
const REMOVED: u32 = 6;

impl Response {
    /// A state-of-the-world response.
    pub(crate) fn sotw(
        type_url: &str,
        version: &Version,
        nonce: String,
        with: &[&Resource],
    ) -> Self {
        let sent = Sent::new(type_url, version, nonce, with);
        let mut pieces = Vec::with_capacity(1 + with.len());
        pieces.push(head(&sent));
        pieces.extend(with.iter().map(|resource| resource.as_sotw_field()));
        Self::with(sent, pieces)
    }

    /// A delta response.
    pub(crate) fn delta(
        type_url: &str,
        version: &Version,
        nonce: String,
        with: &[&Resource],
        removed: Vec<String>,
    ) -> Self {
        let mut sent = Sent::new(type_url, version, nonce, with);
        sent.removed = removed;
        let mut pieces = Vec::with_capacity(1 + with.len());
        pieces.push(head(&sent));
        pieces.extend(with.iter().map(|resource| resource.as_delta_field()));
        Self::with(sent, pieces)
    }

    /// Says over state of the world that these still hold: for their time to live, or for ever.
    pub(crate) fn renewal(
        (type_url, version): (&str, &Version),
        nonce: String,
        with: &[&Resource],
        is_mortal: bool,
    ) -> Self {
        let mut sent = Sent::new(type_url, version, nonce, with);
        sent.is_heartbeat = true;
        let mut pieces = vec![head(&sent)];
        for resource in with {
            if is_mortal {
                pieces.extend(resource.as_sotw_renewal());
            } else {
                pieces.push(resource.as_sotw_field());
            }
        }
        Self::with(sent, pieces)
    }

    /// Says in delta that these versions still hold.
    pub(crate) fn heartbeat(
        (type_url, version): (&str, &Version),
        nonce: String,
        with: &[(&Resource, &Version)],
    ) -> Self {
        let mut sent = Sent::new(type_url, version, nonce, &[]);
        let hold = with.iter().copied();
        let hold = hold.map(|(resource, version)| (resource.name().to_owned(), version.clone()));
        sent.resources = hold.collect();
        sent.is_heartbeat = true;
        let mut pieces = vec![head(&sent)];
        let fields = with.iter().copied();
        pieces.extend(fields.filter_map(|(it, version)| it.as_delta_heartbeat(version)));
        Self::with(sent, pieces)
    }

    fn with(sent: Sent, pieces: Vec<Bytes>) -> Self {
        let sent = Arc::new(sent);
        Self { sent, pieces }
    }

    /// Bytes of the message.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }
}

impl Sent {
    fn new(type_url: &str, version: &Version, nonce: String, with: &[&Resource]) -> Self {
        let resources = with
            .iter()
            .map(|resource| (resource.name().to_owned(), resource.version().clone()));
        Self {
            type_url: type_url.to_owned(),
            version: version.clone(),
            nonce,
            resources: resources.collect(),
            removed: Vec::new(),
            is_heartbeat: false,
        }
    }

    /// The names of the resources in it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().map(|(name, _)| name.as_str())
    }

    /// The version of the resource of this name in it.
    pub(crate) fn version_of(&self, name: &str) -> Option<&Version> {
        let by_name = |(it, _): &(String, Version)| it.as_str().cmp(name);
        let at = self.resources.binary_search_by(by_name).ok()?;
        self.resources.get(at).map(|(_, version)| version)
    }
}

/// All of the message but the resources that it carries.
fn head(sent: &Sent) -> Bytes {
    let fields = [
        (VERSION, sent.version.as_str()),
        (TYPE_URL, sent.type_url.as_str()),
        (NONCE, sent.nonce.as_str()),
    ];
    let removed = sent.removed.iter().map(|name| (REMOVED, name.as_str()));
    let fields = fields.into_iter().chain(removed);
    let length = fields.clone().map(|(tag, text)| field_len(tag, text.len()));
    let mut head = BytesMut::with_capacity(length.sum());
    for (tag, text) in fields {
        put_field(tag, text.as_bytes(), &mut head);
    }
    head.freeze()
}
