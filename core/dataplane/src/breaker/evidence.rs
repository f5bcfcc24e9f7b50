//! Whether a share is surely exceeded.

use sloop_model::Share;

/// Whether `bad` of `total` is surely a larger share than `limit`.
///
/// "Surely" is the lower end of Wilson's score interval (Wilson 1927, "Probable
/// inference, the law of succession, and statistical inference") at `sigmas`
/// hundredths of a standard deviation. At 0 it is the plain ratio, compared
/// without rounding.
pub(super) fn surely_exceeds(bad: u32, total: u32, limit: Share, sigmas: u16) -> bool {
    if total == 0 || !limit.exceeded_by(u64::from(bad), u64::from(total)) {
        return false;
    }
    if sigmas == 0 {
        return true;
    }
    let z = f64::from(sigmas) / 100.0;
    let n = f64::from(total);
    let ratio = f64::from(bad) / n;
    let square = z * z;
    let middle = ratio + square / (2.0 * n);
    let spread = z * (ratio * (1.0 - ratio) / n + square / (4.0 * n * n)).sqrt();
    let lower = (middle - spread) / (1.0 + square / n);
    limit.as_fraction() < lower
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

    /// Values of the interval for 1 of 10 and 5 of 10 at 1.96 sigmas: 0.0179 and 0.2366.
    #[test]
    fn the_lower_end_is_wilsons() {
        assert!(surely_exceeds(1, 10, share(178), 196));
        assert!(!surely_exceeds(1, 10, share(180), 196));
        assert!(surely_exceeds(5, 10, share(2_365), 196));
        assert!(!surely_exceeds(5, 10, share(2_367), 196));
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
