//! The headers of an answer that refuses, as the host reads them.
//!
//! While a breaker is open this is what all requests get, so it is written without asking for memory, from parts
//! that are put together when this is compiled.

/// `retry-after` in whole seconds, and `x-sloop-verdict: refused`.
#[derive(Clone, Copy, Debug)]
pub struct RefusalHeaders {
    bytes: [u8; BYTES],
    used: usize,
}

/// Two headers: the lengths of their names and values, and the first name. Behind it comes its value, of as many digits
/// as [`LENGTH`] says.
const HEAD: [u8; 32] = *b"\x02\0\0\0\x0b\0\0\0\0\0\0\0\x0f\0\0\0\x07\0\0\0retry-after\0";
/// Where the length of the first value is.
const LENGTH: usize = 8;
/// What comes behind the first value.
const TAIL: [u8; 25] = *b"\0x-sloop-verdict\0refused\0";
/// Digits of the largest number.
const DIGITS: usize = 20;
const BYTES: usize = HEAD.len() + DIGITS + TAIL.len();

impl RefusalHeaders {
    /// To be tried again after `seconds`.
    #[must_use]
    #[inline(never)]
    pub fn new(seconds: u64) -> Self {
        let mut digits = [b'0'; DIGITS];
        let mut first = DIGITS;
        let mut rest = seconds;
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            first -= 1;
            if rest == 0 {
                break;
            }
        }
        let digits = digits.get(first..).unwrap_or_default();
        let mut headers = Self {
            bytes: [0; BYTES],
            used: 0,
        };
        headers.put(&HEAD);
        headers.put(digits);
        headers.put(&TAIL);
        headers.bytes[LENGTH] = u8::try_from(digits.len()).unwrap_or(0);
        headers
    }

    #[inline(always)]
    fn put(&mut self, part: &[u8]) {
        let end = self.used + part.len();
        if let Some(place) = self.bytes.get_mut(self.used..end) {
            place.copy_from_slice(part);
            self.used = end;
        }
    }

    /// As [`serialised`](crate::serialised) writes them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serialised;
    use proptest::prelude::*;

    fn is_as_serialised(seconds: u64) -> bool {
        let text = seconds.to_string();
        let expected = serialised(&[
            ("retry-after", text.as_bytes()),
            ("x-sloop-verdict", b"refused"),
        ]);
        RefusalHeaders::new(seconds).as_bytes() == expected
    }

    #[test]
    fn the_shortest_and_the_longest_number_fit() {
        for seconds in [0, 1, 9, 10, 99, 100, u64::MAX] {
            assert!(is_as_serialised(seconds), "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn they_are_what_would_be_serialised(seconds in any::<u64>(), bits in 0..64) {
            prop_assert!(is_as_serialised(seconds >> bits));
        }
    }
}
