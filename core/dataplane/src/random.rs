//! Random numbers from one seed.
//!
//! xoshiro256** 1.0 (Blackman and Vigna, 2018, public domain): a few operations
//! per number, where asking the host costs as much as the whole filter. Not for
//! secrets; trace ids are none.

/// Numbers that look random, and are the same for the same seed.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// Numbers from `seed`. All zeros is replaced, because the generator would stay there.
    #[must_use]
    pub fn seeded(seed: [u64; 4]) -> Self {
        if seed == [0; 4] {
            // The fractional digits of the golden ratio, as good as any.
            return Self {
                state: [0x9e37_79b9_7f4a_7c15, 1, 2, 3],
            };
        }
        Self { state: seed }
    }

    /// The next number, uniform over all.
    #[inline]
    pub const fn word(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let word = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        word
    }

    /// The next number that is not zero.
    #[inline]
    pub const fn word_not_zero(&mut self) -> u64 {
        loop {
            let word = self.word();
            if word != 0 {
                return word;
            }
        }
    }

    /// A draw for [`sloop_model::Share::includes`], uniform over `0..10_000`.
    pub const fn draw(&mut self) -> u16 {
        draw_of(self.word())
    }
}

/// Maps `word`, uniform over all, to `0..10_000`, uniform up to one part in 10^15.
///
/// That is `word * 10_000 / 2^64`, in two halves: Wasm has no numbers of 128 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the product's upper half is below 10,000"
)]
pub(crate) const fn draw_of(word: u64) -> u16 {
    let low = (word & 0xffff_ffff) * 10_000;
    let high = (word >> 32) * 10_000;
    ((high + (low >> 32)) >> 32) as u16
}

/// Mixes the bits of `word` so that close inputs give unrelated outputs (SplitMix64's finalizer, Steele et al. 2014).
pub(crate) const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first outputs of the authors' C program for the state 1, 2, 3, 4.
    #[test]
    fn is_the_published_generator() {
        let mut random = Random::seeded([1, 2, 3, 4]);
        let words: Vec<u64> = (0..4).map(|_| random.word()).collect();
        assert_eq!(words, [11520, 0, 1_509_978_240, 1_215_971_899_390_074_240]);
    }

    #[test]
    fn no_seed_stands_still() {
        let mut random = Random::seeded([0; 4]);
        assert_ne!(random.word_not_zero(), random.word_not_zero());
    }

    proptest! {
        #[test]
        fn a_draw_is_the_upper_half_of_a_product(word in any::<u64>()) {
            prop_assert_eq!(u128::from(draw_of(word)), (u128::from(word) * 10_000) >> 64);
        }
    }

    #[test]
    fn draws_spread_over_their_range() {
        assert_eq!(draw_of(0), 0);
        assert_eq!(draw_of(u64::MAX), 9_999);
        let mut random = Random::seeded([7; 4]);
        let low = (0..10_000).filter(|_| random.draw() < 1_000).count();
        assert!((900..1_100).contains(&low), "{low}");
    }
}
