//! Which statistics Envoy knows already, and what is to be added to them.

/// Statistics by the number that Envoy gave them, and what is to be added.
///
/// Once per tick: the plane writes differences into the book, the shell takes
/// them ([`StatsBook::take_deltas`]) and makes one call each, one more where a name is given.
#[derive(Debug, Default)]
pub struct StatsBook {
    known: Known,
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
    /// There were too many, under this cap.
    OverCap(usize),
}

impl StatsBook {
    /// Puts the cap in force. What Envoy knows, it keeps.
    pub fn set_metrics_max(&mut self, metrics_max: u32) {
        self.metrics_max = usize::try_from(metrics_max).unwrap_or(usize::MAX);
    }

    /// Where the statistic with this name is.
    pub(crate) fn place(&mut self, name: &str) -> Place {
        let hash = hash_of(name);
        if let Some(at) = self.known.position(hash) {
            return Place::At(at);
        }
        if self.metrics_max <= self.defined.len() {
            self.over_cap += 1;
            return Place::OverCap(self.metrics_max);
        }
        let at = u32::try_from(self.defined.len()).unwrap_or(u32::MAX);
        self.defined.push(None);
        self.known.push(hash);
        Place::At(at)
    }

    /// Whether a statistic at `place` is to be looked up: it never was, or the cap that kept it out was raised.
    pub(crate) const fn may_have_room(&self, place: Place) -> bool {
        match place {
            Place::Unknown => true,
            Place::At(_) => false,
            Place::OverCap(max) => max < self.metrics_max,
        }
    }

    /// Notes that `by` is to be added.
    pub(crate) fn add(&mut self, metric: u32, by: u64, name: impl FnOnce() -> String) {
        let name = self.id(metric).is_none().then(name);
        self.deltas.push(StatDelta { metric, name, by });
    }

    /// Whether there is something to be added.
    pub(crate) const fn has_deltas(&self) -> bool {
        !self.deltas.is_empty()
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

/// Positions by a hash of the name; the names themselves would be the largest thing in the VM.
///
/// Shape: a power of two of places, at most half of them taken. A position is at the lowest bits of its hash or
/// behind, without a gap.
#[derive(Debug, Default)]
struct Known {
    /// By position.
    hashes: Vec<u64>,
    /// One more than the position, 0 for none.
    places: Vec<u32>,
}

impl Known {
    /// Places at first.
    const FIRST: usize = 64;

    fn position(&self, hash: u64) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let position = self.places.get(at)?.checked_sub(1)?;
            if self.hashes.get(usize::try_from(position).ok()?) == Some(&hash) {
                return Some(position);
            }
            at = self.behind(at);
        }
    }

    /// Gives the next position to `hash`, which is new.
    fn push(&mut self, hash: u64) {
        self.hashes.push(hash);
        let first = if self.places.len() < 2 * self.hashes.len() {
            let places = (2 * self.places.len()).max(Self::FIRST);
            self.places.clear();
            self.places.resize(places, 0);
            0
        } else {
            self.hashes.len() - 1
        };
        for position in first..self.hashes.len() {
            self.put(position);
        }
    }

    fn put(&mut self, position: usize) {
        let Some(hash) = self.hashes.get(position) else {
            return;
        };
        let mut at = self.home(*hash);
        // There is a gap, as half of them are.
        while self.places.get(at).is_some_and(|place| *place != 0) {
            at = self.behind(at);
        }
        if let Some(place) = self.places.get_mut(at) {
            *place = u32::try_from(position + 1).unwrap_or(u32::MAX);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lowest bits are what is wanted"
    )]
    const fn home(&self, hash: u64) -> usize {
        hash as usize & self.places.len().wrapping_sub(1)
    }

    const fn behind(&self, at: usize) -> usize {
        (at + 1) & self.places.len().wrapping_sub(1)
    }
}

/// FNV-1a of 64 bits ([RFC 9923](https://www.rfc-editor.org/rfc/rfc9923)): of 65,536 names two collide once in
/// ten billion times, and then their counts are shown together.
fn hash_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
