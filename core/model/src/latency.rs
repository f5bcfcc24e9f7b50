//! Latencies in buckets: how wide they are, and how their counts travel.
//!
//! Log-linear: 32 buckets of equal width in each octave, beginning where a
//! bucket is one microsecond wide. The layout is that of an HDR histogram with 5
//! bits, so each bucket is a whole number of buckets of any finer one, and moving
//! counts into a histogram of 2 or 3 significant digits loses nothing.
//!
//! | latency | width | [`LatencyBucket::middle_us`] is off by at most |
//! |---|---|---|
//! | 0 to 63 us | 1 us | 0 |
//! | 64 us to 60 s | 1/32 of the octave's beginning | 1/64 = 1.56 % |
//! | above 60 s | counted as 60 s | anything |
//!
//! Below 64 us a proxy's clock tells nothing, but those 64 buckets are cheaper
//! than a rule of their own. One minute is above what callers wait for.
//!
//! # On the wire
//!
//! For each bucket that has counts, ascending, one variable-length number
//! (base 128, low bits first, as in protobuf): the low 3 bits are the step from the
//! bucket before, less one, the rest is the count less one. A step of 8 or more
//! has 7 in these bits, and what is beyond 8 follows as a number of its own. So a
//! neighbour with up to 16 counts is one byte. The step to the first bucket is
//! from -1. Anybody may decode it, so [`LatencyCounts`] holds only what a histogram
//! can have written: buckets that exist, and sums within 64 bits per bucket.

/// A range of latencies that are counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LatencyBucket(u16);

/// 32 buckets per octave: half of one is 1.56 %.
const BITS: u32 = 5;

impl LatencyBucket {
    /// Longer latencies count as this, in microseconds: one minute.
    pub const HIGHEST_US: u64 = 60_000_000;
    /// How many there are: 64 up to 64 us, then 32 per octave up to [`Self::HIGHEST_US`].
    pub const COUNT: usize = Self::of(Self::HIGHEST_US).index() + 1;

    /// The bucket of a latency in microseconds.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the highest latency is in bucket 697"
    )]
    #[inline]
    pub const fn of(latency_us: u64) -> Self {
        // At most 26 bits, so that Wasm works with 32.
        let held = if latency_us < Self::HIGHEST_US {
            latency_us as u32
        } else {
            Self::HIGHEST_US as u32
        };
        let shift = (held | (1 << BITS)).ilog2() - BITS;
        Self(((shift << BITS) + (held >> shift)) as u16)
    }

    /// The bucket at a position, if there is one.
    #[must_use]
    pub fn at(index: usize) -> Option<Self> {
        (index < Self::COUNT).then_some(Self(u16::try_from(index).ok()?))
    }

    /// Its position, `0..COUNT`.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The shortest latency in it, in microseconds.
    #[must_use]
    pub const fn lowest_us(self) -> u64 {
        let shift = self.shift();
        ((self.0 as u64) - ((shift as u64) << BITS)) << shift
    }

    /// The longest latency in it, in microseconds. Of the last one this is above [`Self::HIGHEST_US`].
    #[must_use]
    pub const fn highest_us(self) -> u64 {
        self.lowest_us() + (1 << self.shift()) - 1
    }

    /// What stands for all of it, in microseconds: at most 1/64 away from any latency in it.
    #[must_use]
    pub const fn middle_us(self) -> u64 {
        self.lowest_us() + (1_u64 << self.shift()) / 2
    }

    const fn shift(self) -> u32 {
        ((self.0 >> BITS) as u32).saturating_sub(1)
    }
}

/// How often latencies were in which bucket, in the form in which it travels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyCounts {
    bytes: Vec<u8>,
}

/// Why bytes are not counts of latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLatencies {
    /// A number is cut off, or has more than 64 bits.
    #[error("latencies: no number at byte {at}")]
    Number {
        /// Where it begins.
        at: usize,
    },
    /// Beyond the last bucket.
    #[error("latencies: bucket {given} does not exist; there are {count}", count = LatencyBucket::COUNT)]
    Bucket {
        /// Its position.
        given: u64,
    },
}

/// A step that the low bits of a count cannot hold.
const STEP_LONG: u64 = 7;

impl LatencyCounts {
    /// The counts of buckets that ascend. Those without counts are left out.
    #[must_use]
    pub fn of(counts: impl IntoIterator<Item = (LatencyBucket, u64)>) -> Self {
        let mut bytes = Vec::new();
        let mut next = 0;
        for (bucket, count) in counts {
            // A count of 61 bits is more than requests there can be.
            let (index, Some(more)) = (u64::from(bucket.0), count.min(1 << 60).checked_sub(1))
            else {
                continue;
            };
            let step = index.saturating_sub(next);
            put(&mut bytes, more << 3 | step.min(STEP_LONG));
            if STEP_LONG <= step {
                put(&mut bytes, step - STEP_LONG);
            }
            next = index + 1;
        }
        Self { bytes }
    }

    /// Buckets, ascending, and their counts, at least 1 each.
    pub fn iter(&self) -> impl Iterator<Item = (LatencyBucket, u64)> {
        Reader::new(&self.bytes).map_while(Result::ok)
    }

    /// The bytes that travel.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing was counted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl TryFrom<Vec<u8>> for LatencyCounts {
    type Error = InvalidLatencies;

    fn try_from(bytes: Vec<u8>) -> Result<Self, InvalidLatencies> {
        Reader::new(&bytes).try_for_each(|one| one.map(drop))?;
        Ok(Self { bytes })
    }
}

/// Reads counts from bytes that may be anything.
struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
    next: u64,
}

impl<'a> Reader<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            length: bytes.len(),
            next: 0,
        }
    }

    fn number(&mut self) -> Result<u64, InvalidLatencies> {
        let at = self.length - self.rest.len();
        take(&mut self.rest).ok_or(InvalidLatencies::Number { at })
    }

    fn one(&mut self) -> Result<(LatencyBucket, u64), InvalidLatencies> {
        let first = self.number()?;
        let mut step = first & STEP_LONG;
        if step == STEP_LONG {
            step = step.saturating_add(self.number()?);
        }
        let given = self.next.saturating_add(step);
        let bucket = usize::try_from(given).ok().and_then(LatencyBucket::at);
        let bucket = bucket.ok_or(InvalidLatencies::Bucket { given })?;
        self.next = given + 1;
        Ok((bucket, (first >> 3) + 1))
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<(LatencyBucket, u64), InvalidLatencies>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.rest.is_empty()).then(|| self.one())
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while 0x7f < number {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7f) as u8);
}

/// Takes a number off the front. None when it is cut off or does not fit.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && 1 < part {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests;
