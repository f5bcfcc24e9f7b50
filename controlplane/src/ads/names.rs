//! The room that names take which clients said.

use std::collections::BTreeMap;

use sloop_controllers::SpiffeId;

use super::limits::AdsLimits;
use super::status::StreamId;
use crate::door::Limit;

/// Bytes that each stream may keep without asking: as a sidecar, or an Envoy with some hundred names, needs.
const FREE: usize = 64 << 10;

/// What streams keep of names and versions beyond [`FREE`].
#[derive(Debug, Default)]
pub(super) struct NamesRoom {
    by_stream: BTreeMap<StreamId, usize>,
    of_all: usize,
    by_identity: BTreeMap<SpiffeId, usize>,
}

impl NamesRoom {
    /// What of so many bytes has to be asked for.
    pub(super) const fn beyond_free(bytes: usize) -> usize {
        bytes.saturating_sub(FREE)
    }

    /// Notes that a stream of `identity` keeps `beyond` bytes, in place of what it did, if there is room within `limits`.
    pub(super) fn keep(
        &mut self,
        limits: &AdsLimits,
        (stream, identity): (StreamId, Option<&SpiffeId>),
        beyond: usize,
    ) -> Result<(), Limit> {
        let before = self.by_stream.get(&stream).copied().unwrap_or_default();
        let is_beyond = |sum: usize, max: usize| before < beyond && max < with(sum, before, beyond);
        let own = identity.and_then(|it| self.by_identity.get(it).copied());
        if identity.is_some() && is_beyond(own.unwrap_or_default(), limits.names_room_per_identity)
        {
            return Err(Limit::NamesRoomPerIdentity);
        }
        if is_beyond(self.of_all, limits.names_room) {
            return Err(Limit::NamesRoom);
        }
        self.put((stream, identity), beyond);
        Ok(())
    }

    /// Gives back what a stream of `identity` had.
    pub(super) fn leave(&mut self, stream: StreamId, identity: Option<&SpiffeId>) {
        self.put((stream, identity), 0);
    }

    fn put(&mut self, (stream, identity): (StreamId, Option<&SpiffeId>), beyond: usize) {
        let before = put(&mut self.by_stream, &stream, |_| beyond);
        self.of_all = with(self.of_all, before, beyond);
        if let Some(identity) = identity {
            put(&mut self.by_identity, identity, |own| {
                with(own, before, beyond)
            });
        }
    }
}

/// A sum with `beyond` in place of what was `before`.
const fn with(sum: usize, before: usize, beyond: usize) -> usize {
    sum.saturating_sub(before).saturating_add(beyond)
}

/// Puts what `instead` says in place of what there was, which is the answer.
fn put<K: Ord + Clone>(
    map: &mut BTreeMap<K, usize>,
    key: &K,
    instead: impl FnOnce(usize) -> usize,
) -> usize {
    let before = map.get(key).copied().unwrap_or_default();
    match instead(before) {
        0 => drop(map.remove(key)),
        bytes => drop(map.insert(key.clone(), bytes)),
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_much_leaves_room_to_others_and_gives_it_back() {
        let limits = AdsLimits {
            names_room: 100,
            names_room_per_identity: 60,
            ..AdsLimits::default()
        };
        let [one, other]: [SpiffeId; 2] =
            ["spiffe://mesh/one", "spiffe://mesh/other"].map(|it| SpiffeId::try_from(it).unwrap());
        let mut room = NamesRoom::default();
        assert_eq!(NamesRoom::beyond_free(FREE), 0);
        let beyond = NamesRoom::beyond_free(FREE + 40);
        assert_eq!(room.keep(&limits, (1, Some(&one)), beyond), Ok(()));
        let full = Err(Limit::NamesRoomPerIdentity);
        assert_eq!(room.keep(&limits, (2, Some(&one)), 21), full);
        assert_eq!(room.keep(&limits, (2, Some(&one)), 20), Ok(()));
        assert_eq!(room.keep(&limits, (3, Some(&other)), 40), Ok(()));
        // In the clear nobody knows whose it is.
        assert_eq!(room.keep(&limits, (4, None), 1), Err(Limit::NamesRoom));
        assert_eq!(room.keep(&limits, (1, Some(&one)), 39), Ok(()));
        assert_eq!(room.keep(&limits, (4, None), 1), Ok(()));
        for (stream, identity) in [
            (1, Some(&one)),
            (2, Some(&one)),
            (3, Some(&other)),
            (4, None),
        ] {
            assert_eq!(room.keep(&limits, (stream, identity), 0), Ok(()));
        }
        assert_eq!(format!("{room:?}"), format!("{:?}", NamesRoom::default()));
    }
}
