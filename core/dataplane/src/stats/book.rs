//! Which statistics Envoy knows already, and what is to be added to them.

use std::collections::BTreeMap;

/// Statistics by the number that Envoy gave them, and what is to be added.
///
/// Once per tick: the plane writes differences into the book, the shell takes
/// them ([`StatsBook::take_deltas`]) and makes one call each, one more where a name is given.
#[derive(Debug, Default)]
pub struct StatsBook {
    /// Positions by a hash of the name; the names themselves would be the largest thing in the VM.
    known: BTreeMap<u64, u32>,
    /// Envoy's numbers by position.
    defined: Vec<Option<u32>>,
    deltas: Vec<StatDelta>,
    metrics_max: usize,
    over_cap: u64,
}

/// Something to add to a counter of Envoy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatDelta {
    /// Which, in the book.
    pub metric: u32,
    /// The name, if Envoy was not asked for it yet: define the counter, and say so by [`StatsBook::defined`].
    pub name: Option<String>,
    /// How much; never 0, which Envoy would refuse.
    pub by: u64,
}

/// Where a statistic is in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not looked up yet.
    Unknown,
    At(u32),
    /// There were too many.
    OverCap,
}

impl StatsBook {
    /// Puts the cap in force. What Envoy knows, it keeps.
    pub fn set_metrics_max(&mut self, metrics_max: u32) {
        self.metrics_max = usize::try_from(metrics_max).unwrap_or(usize::MAX);
    }

    /// Where the statistic with this name is.
    pub(crate) fn place(&mut self, name: &str) -> Place {
        let hash = hash_of(name);
        if let Some(at) = self.known.get(&hash) {
            return Place::At(*at);
        }
        if self.metrics_max <= self.defined.len() {
            self.over_cap += 1;
            return Place::OverCap;
        }
        let at = u32::try_from(self.defined.len()).unwrap_or(u32::MAX);
        self.defined.push(None);
        self.known.insert(hash, at);
        Place::At(at)
    }

    /// Notes that `by` is to be added.
    pub(crate) fn add(&mut self, metric: u32, by: u64, name: impl FnOnce() -> String) {
        let name = self.id(metric).is_none().then(name);
        self.deltas.push(StatDelta { metric, name, by });
    }

    /// Takes what is to be added now.
    pub fn take_deltas(&mut self) -> Vec<StatDelta> {
        core::mem::take(&mut self.deltas)
    }

    /// Envoy's number of a statistic, if it was asked for one.
    #[must_use]
    pub fn id(&self, metric: u32) -> Option<u32> {
        *self.defined.get(usize::try_from(metric).ok()?)?
    }

    /// Envoy knows the statistic by the number `id`.
    pub fn defined(&mut self, metric: u32, id: u32) {
        let at = usize::try_from(metric).unwrap_or(usize::MAX);
        if let Some(slot) = self.defined.get_mut(at) {
            *slot = Some(id);
        }
    }

    /// Statistics that found no room since this was last asked.
    pub(crate) const fn take_over_cap(&mut self) -> u64 {
        core::mem::replace(&mut self.over_cap, 0)
    }
}

/// FNV-1a of 64 bits ([RFC 9923](https://www.rfc-editor.org/rfc/rfc9923)): of 65,536 names two collide once in
/// ten billion times, and then their counts are shown together.
fn hash_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
