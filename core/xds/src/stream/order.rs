//! What waits for what, between the types of one stream.
//!
//! Envoy takes routes to clusters that it does not have, lets go of clusters
//! that routes still lead to, and answers 503 on both. So whoever serves it
//! makes before it breaks: clusters and then, when they are accepted, what
//! refers to them; and what does not refer to them any more before clusters go.
//!
//! Types that the client did not ask for, or that are not managed, hold up
//! nothing. A refusal does: what a client refused it may not have. So it does until something is accepted by the name, or the
//! name is one that the client does not ask for any more or that is not there for it any more. What came with it is not held up for
//! longer than that: it is tried again ([`Refused`](super::refused::Refused)) also while what is gone must still stay.

use std::collections::BTreeMap;

use crate::{Kind, Snapshot, TypeSnapshot};

/// How a client stands with one type.
pub(super) trait Standing {
    /// Whether something that it should have is not in force: not sent, not answered, or refused.
    fn is_behind(&self, kind: &Kind, of_type: &TypeSnapshot) -> bool;

    /// Whether it refused something that it should have of that name, or has not said.
    fn refuses(&self, of_type: &TypeSnapshot) -> bool;

    /// Whether it has something that it should not have.
    fn has_surplus(&self, kind: &Kind, of_type: &TypeSnapshot) -> bool;
}

impl<S: Standing> Standing for Box<S> {
    fn is_behind(&self, kind: &Kind, of_type: &TypeSnapshot) -> bool {
        S::is_behind(self, kind, of_type)
    }

    fn refuses(&self, of_type: &TypeSnapshot) -> bool {
        S::refuses(self, of_type)
    }

    fn has_surplus(&self, kind: &Kind, of_type: &TypeSnapshot) -> bool {
        S::has_surplus(self, kind, of_type)
    }
}

/// Whether resources of `kind` must wait until what they may refer to is in force.
pub(super) fn must_wait<S: Standing>(
    kind: &Kind,
    types: &BTreeMap<Kind, S>,
    snapshot: &Snapshot,
) -> bool {
    standing(kind.follows(), types, snapshot).any(|(kind, it, now)| it.is_behind(kind, now))
}

/// Whether nothing refers to resources of `kind` any more that are not in the snapshot.
pub(super) fn may_remove<S: Standing>(
    kind: &Kind,
    types: &BTreeMap<Kind, S>,
    snapshot: &Snapshot,
) -> bool {
    !standing(kind.outlives(), types, snapshot)
        .any(|(kind, it, now)| it.is_behind(kind, now) || it.has_surplus(kind, now))
}

/// Whether a client has all that it asked for of `snapshot`, has said so, and has nothing else.
pub(super) fn is_in_force<S: Standing>(types: &BTreeMap<Kind, S>, snapshot: &Snapshot) -> bool {
    types
        .iter()
        .filter_map(|(kind, it)| Some((kind, it, snapshot.of_type(kind.type_url())?)))
        .all(|(kind, it, now)| !it.is_behind(kind, now) && !it.has_surplus(kind, now))
}

/// Whether a client refused, or may yet, something of a type that `snapshot` has for it by that name.
pub(super) fn refuses<S: Standing>(
    type_url: &str,
    types: &BTreeMap<Kind, S>,
    snapshot: &Snapshot,
) -> bool {
    let of_client = types.get(&Kind::of(type_url));
    let of_client = of_client.zip(snapshot.of_type(type_url));
    of_client.is_some_and(|(it, now)| it.refuses(now))
}

/// How the client stands with the types among `urls` that it asked for and that are managed.
fn standing<'a, S>(
    urls: &'static [&'static str],
    types: &'a BTreeMap<Kind, S>,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = (&'a Kind, &'a S, &'a TypeSnapshot)> {
    types
        .iter()
        .filter(move |_| !urls.is_empty())
        .filter(|(kind, _)| urls.contains(&kind.type_url()))
        .filter_map(|(kind, it)| Some((kind, it, snapshot.of_type(kind.type_url())?)))
}
