//! Comparing short texts.
//!
//! In Wasm the compiler's own comparison is a call that looks at one byte after
//! the other; names, paths and callers are compared on every request.

/// Whether both are the same.
#[inline]
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && agree(one, other)
}

/// Whether both are the same but for the case of ASCII letters. Nearly all that are were written alike, and are found so sooner.
#[inline]
pub(crate) fn is_same_in_any_case(one: &[u8], other: &[u8]) -> bool {
    is_same(one, other) || one.eq_ignore_ascii_case(other)
}

/// Whether `text` begins with `start`.
#[inline]
pub(crate) fn begins_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len())
        .is_some_and(|beginning| agree(beginning, start))
}

/// Whether two texts of the same length are the same: eight bytes at a time. The last eight, or four, may have been
/// looked at before, so that nothing is left over.
fn agree(one: &[u8], other: &[u8]) -> bool {
    if let (Some(last), Some(other_last)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        let (ones, others) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
        return last == other_last && ones.iter().zip(others).all(|(one, other)| one == other);
    }
    if let (Some(last), Some(other_last)) = (one.last_chunk::<4>(), other.last_chunk::<4>()) {
        return last == other_last && one.first_chunk::<4>() == other.first_chunk::<4>();
    }
    one.iter().zip(other).all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_are_the_same_when_their_bytes_are(
            one in prop::collection::vec(any::<u8>(), 0..30),
            at in 0usize..30,
            end in 0usize..30,
        ) {
            prop_assert!(is_same(&one, &one.clone()));
            let mut other = one.clone();
            if let Some(byte) = other.get_mut(at) {
                *byte ^= 1;
                prop_assert!(!is_same(&one, &other));
            }
            let start = &other[..end.min(other.len())];
            prop_assert_eq!(begins_with(&one, start), one.starts_with(start));
            prop_assert_eq!(begins_with(start, &one), start.starts_with(&one));
            prop_assert_eq!(is_same(start, &one), *start == *one);
            prop_assert!(is_same_in_any_case(&one.to_ascii_uppercase(), &one));
            let is_alike = is_same_in_any_case(&other.to_ascii_lowercase(), &one);
            prop_assert_eq!(is_alike, other.eq_ignore_ascii_case(&one));
        }
    }
}
