//! Whether a share is surely exceeded.

use sloop_model::{Share, ShareBounds};

/// Whether `bad` of `total` is surely a larger share than `limit`.
///
/// "Surely" is the lower end of Wilson's interval ([`ShareBounds::wilson`]) at
/// `sigmas` hundredths of a standard deviation. At 0 it is the plain ratio,
/// compared without rounding.
pub(super) fn surely_exceeds(bad: u32, total: u32, limit: Share, sigmas: u16) -> bool {
    if total == 0 || !limit.exceeded_by(u64::from(bad), u64::from(total)) {
        return false;
    }
    if sigmas == 0 {
        return true;
    }
    ShareBounds::wilson(bad.into(), total.into(), f64::from(sigmas) / 100.0)
        .is_some_and(|bounds| limit.as_fraction() < bounds.low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(ten_thousandths: u16) -> Share {
        Share::try_from(ten_thousandths).unwrap()
    }

    #[test]
    fn without_doubt_it_is_the_plain_ratio() {
        assert!(!surely_exceeds(0, 0, Share::NONE, 0));
        assert!(!surely_exceeds(5, 10, share(5_000), 0));
        assert!(surely_exceeds(6, 10, share(5_000), 0));
    }

    #[test]
    fn one_failure_in_ten_is_no_proof_of_a_hundredth() {
        assert!(!surely_exceeds(1, 10, share(100), 300));
        assert!(surely_exceeds(100, 1_000, share(100), 300));
    }

    proptest! {
        #[test]
        fn more_failures_never_prove_less(total in 1u32..1_000, bad in 0u32..1_000, limit in 0u16..10_000, sigmas in 0u16..1_000) {
            let bad = bad.min(total - 1);
            let fewer = surely_exceeds(bad, total, share(limit), sigmas);
            prop_assert!(!fewer || surely_exceeds(bad + 1, total, share(limit), sigmas));
        }
    }
}
