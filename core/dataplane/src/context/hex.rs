//! Hexadecimal digits, eight at a time.
//!
//! Eight digits are one 64-bit number, and all of them are tested and changed
//! in the same few operations: a `traceparent` has 52 of them, and is read and
//! written on every request.

/// A one in every byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// From the digit after nine, as digits go on, to the letter `a`.
const TO_LETTERS: u64 = (b'a' - b'0' - 10) as u64;

/// The eight lower-case digits of `number`.
///
/// Halves change places, then bytes, then nibbles: the first digit is in the lowest byte, as Wasm stores it.
#[inline]
pub(crate) const fn digits(number: u32) -> [u8; 8] {
    let mut spread = number as u64;
    spread = (spread >> 16 | spread << 32) & 0x0000_ffff_0000_ffff;
    spread = (spread >> 8 | spread << 16) & 0x00ff_00ff_00ff_00ff;
    spread = (spread >> 4 | spread << 8) & (0x0f * ONES);
    written(spread).to_le_bytes()
}

/// The digits of eight nibbles, one in each byte.
const fn written(nibbles: u64) -> u64 {
    // Six more than nine carries into the upper half of the byte.
    let letters = ((nibbles + 6 * ONES) >> 4) & ONES;
    nibbles + b'0' as u64 * ONES + letters * TO_LETTERS
}

/// The sixteen lower-case digits of `number`, as two halves.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves are what is wanted"
)]
pub(crate) const fn digits_long(number: u64) -> [[u8; 8]; 2] {
    [digits((number >> 32) as u32), digits(number as u32)]
}

/// The number that eight lower-case digits mean.
#[expect(clippy::cast_possible_truncation, reason = "it has 32 bits")]
pub(crate) const fn number(digits: [u8; 8]) -> Option<u32> {
    let (number, wrong) = decoded(digits);
    if wrong & WRONG == 0 {
        Some(number as u32)
    } else {
        None
    }
}

/// The number that eight lower-case digits mean, of 32 bits, and what has none of the [`WRONG`] bits if that is what they are.
///
/// What a digit is above `0`, or a letter above ten less than `a`, must be below 16, and ten or more if and only if
/// it is a letter: six more than that carries into the upper half of the byte. What borrows from its neighbour, or
/// carries into it, is wrong itself. Of two neighbours the first is worth more; a multiplication puts it above the second,
/// and likewise pairs and fours.
#[inline]
const fn decoded(digits: [u8; 8]) -> (u64, u64) {
    let word = u64::from_le_bytes(digits);
    let letters = word >> 6 & ONES;
    let nibbles = word.wrapping_sub(letters * TO_LETTERS + b'0' as u64 * ONES);
    let wrong = nibbles | (nibbles.wrapping_add(6 * ONES) ^ (letters << 4));
    let pairs = nibbles.wrapping_mul(1 << 12 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(1 << 24 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(1 << 48 | 1) >> 32, wrong)
}

/// The bits of which what is no digit has some.
pub(crate) const WRONG: u64 = 0xf0 * ONES;

/// The number that lower-case digits mean, one by one; at most 16 of them.
pub(crate) fn number_of(digits: &[u8]) -> Option<u64> {
    let add = |number, digit: &u8| Some(number << 4 | u64::from(self::digit(*digit)?));
    digits.iter().try_fold(0, add)
}

/// The lower-case digit of the lowest four bits of `value`.
pub(crate) fn lowest(value: u64) -> u8 {
    let digits = b"0123456789abcdef".iter();
    digits.copied().nth((value & 15) as usize).unwrap_or(b'0')
}

/// The number that sixteen lower-case digits mean.
#[inline(never)]
pub(crate) fn number_long(digits: &[u8; 16]) -> Option<u64> {
    let (number, wrong) = decoded_long(digits);
    (wrong & WRONG == 0).then_some(number)
}

/// The number that sixteen lower-case digits mean, and what has none of the [`WRONG`] bits if that is what they are: so
/// that several can be asked at once.
#[inline]
pub(crate) fn decoded_long(digits: &[u8; 16]) -> (u64, u64) {
    let ([high, low], _) = digits.as_chunks::<8>() else {
        return (0, WRONG);
    };
    let (high, low) = (decoded(*high), decoded(*low));
    (high.0 << 32 | low.0, high.1 | low.1)
}

/// The number that one to eight lower-case digits mean.
pub(crate) fn number_short(digits: &[u8]) -> Option<u32> {
    let mut padded = [b'0'; 8];
    let start = padded.len().checked_sub(digits.len())?;
    if digits.is_empty() {
        return None;
    }
    padded.get_mut(start..)?.copy_from_slice(digits);
    number(padded)
}

/// The number that two lower-case digits mean.
pub(crate) fn pair(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(digit);
    Some(high? << 4 | low?)
}

const fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_lower_case_digits_are_digits() {
        for byte in 0..=u8::MAX {
            let is_digit = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            for at in 0..8 {
                let mut digits = *b"09afc3e1";
                digits[at] = byte;
                assert_eq!(number(digits).is_some(), is_digit, "{byte} at {at}");
            }
            assert_eq!(pair([b'a', byte]).is_some(), is_digit);
            assert_eq!(pair([byte, b'0']).is_some(), is_digit);
        }
    }

    #[test]
    fn short_numbers_have_one_to_eight_digits() {
        assert_eq!(number_short(b""), None);
        assert_eq!(number_short(b"f"), Some(15));
        assert_eq!(number_short(b"ffffffff"), Some(u32::MAX));
        assert_eq!(number_short(b"0ffffffff"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_the_standard_library_writes(number_given in any::<u64>()) {
            let [high, low] = digits_long(number_given);
            let written = [high, low].concat();
            let expected = format!("{number_given:016x}");
            prop_assert_eq!(&written, expected.as_bytes());
            prop_assert_eq!(number_long(written.first_chunk().unwrap()), Some(number_given));
        }
    }
}
