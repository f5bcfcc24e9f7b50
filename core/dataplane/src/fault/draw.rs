//! Draws that are the same for a trace at every hop.

use sloop_model::{Arm, ArmShares, Share};

use crate::context::TraceId;
use crate::random::{draw_of, mix};

/// The word of a trace under a mixed seed: uniform over all, the same everywhere.
///
/// Both halves of the id go through a finalizer of their own, so that ids of which only one half
/// varies, or that count up, spread as well as random ones.
const fn word_of(trace: TraceId, seeded: u64) -> u64 {
    mix(trace.low ^ mix(trace.high ^ seeded))
}

/// The arm of `trace` in the experiment with this `seed` and these `shares`.
#[must_use]
pub fn arm_of(trace: TraceId, seed: u64, shares: ArmShares) -> Arm {
    shares.arm(draw_of(word_of(trace, mix(seed))))
}

/// A word for another purpose than the one that `word` was drawn for, independent of it.
pub(super) const fn word_for(purpose: Purpose, word: u64) -> u64 {
    mix(word ^ purpose as u64)
}

/// What a word is drawn for, as numbers without a pattern (digits of pi, by SHA-2's custom of having nothing to choose).
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(super) enum Purpose {
    /// How long a delay is.
    Delay = 0x243f_6a88_85a3_08d3,
    /// Which bytes are changed, and how.
    Corruption = 0x1319_8a2e_0370_7344,
    /// Whether a delay that a request asks for is injected.
    AskedDelay = 0xa409_3822_299f_31d0,
    /// Whether an abort that a request asks for is injected.
    AskedAbort = 0x082e_fa98_ec4e_6c89,
    /// Whether a sidecar takes part.
    Sidecar = 0x4528_21e6_38d0_1377,
}

/// [`arm_of`] with everything computed that does not depend on the trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArmDraw {
    seeded: u64,
    fault: Below,
    fault_or_control: Below,
}

impl ArmDraw {
    pub(super) fn new(seed: u64, shares: ArmShares) -> Self {
        let either = u16::from(shares.fault()) + u16::from(shares.control());
        Self {
            seeded: mix(seed),
            fault: Below::share(shares.fault()),
            // The parts of a whole: never above it.
            fault_or_control: Below::share(Share::try_from(either).unwrap_or(Share::WHOLE)),
        }
    }

    pub(super) const fn word(&self, trace: TraceId) -> u64 {
        word_of(trace, self.seeded)
    }

    pub(super) fn arm(&self, word: u64) -> Arm {
        if !self.fault_or_control.includes(word) {
            Arm::Untouched
        } else if self.fault.includes(word) {
            Arm::Fault
        } else {
            Arm::Control
        }
    }
}

/// The words that a share includes, without the multiplication of 128 bits that [`draw_of`] takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Below {
    /// The last word that is included, if any is.
    last: Option<u64>,
}

impl Below {
    /// The words whose draw `share` includes: `word * 10_000 / 2^64 < share`, solved for the word.
    pub(super) fn share(share: Share) -> Self {
        // That is `share * 2^64 - 1` by ten thousand, in parts: to divide 128 bits takes more room than all of this file.
        const PART: u64 = u64::MAX / 10_000;
        const REST: u64 = u64::MAX % 10_000 + 1;
        let share = u64::from(u16::from(share));
        let rest = (share * REST).checked_sub(1);
        Self {
            last: rest.map(|rest| share * PART + rest / 10_000),
        }
    }

    pub(super) const fn includes(self, word: u64) -> bool {
        match self.last {
            Some(last) => word <= last,
            None => false,
        }
    }
}

/// The sidecar that decides, as far as faults want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sidecar {
    hash: Option<u64>,
    /// Of the version of its service.
    version: Option<u64>,
}

impl Sidecar {
    /// A sidecar that does not know its name: it takes part only in what is for all.
    pub const UNKNOWN: Self = Self {
        hash: None,
        version: None,
    };

    /// The sidecar with this node id, by its hash.
    #[must_use]
    pub fn named(node: &[u8]) -> Self {
        Self {
            hash: (!node.is_empty()).then(|| hash(node)),
            version: None,
        }
    }

    /// The same, of a service in this version; nothing is known of it when that is empty.
    #[must_use]
    pub fn of_version(self, version: &[u8]) -> Self {
        Self {
            version: (!version.is_empty()).then(|| hash(version)),
            ..self
        }
    }

    /// Whether it is of one of these `versions`; any is when there are none.
    #[must_use]
    pub fn is_of(self, versions: &[String]) -> bool {
        let own = |version: &String| self.version == Some(hash(version.as_bytes()));
        versions.is_empty() || versions.iter().any(own)
    }

    /// Whether it is among this `share` of sidecars, under `seed`.
    #[must_use]
    pub fn is_among(self, share: Share, seed: u64) -> bool {
        share == Share::WHOLE
            || self.hash.is_some_and(|hash| {
                let word = word_for(Purpose::Sidecar, hash ^ mix(seed));
                Below::share(share).includes(word)
            })
    }
}

/// FNV-1a in 64 bits (Fowler, Noll and Vo), with the published basis and prime.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
