//! Whether a share is surely exceeded, in integers, and which one by the fleet.

use sloop_model::{Share, ShedRule};

use super::FleetReading;

/// Whether `bad` of `total` is surely a larger share than `limit`: three standard deviations above it.
///
/// The score test of a share, which is the lower end of Wilson's interval
/// (Wilson 1927) solved for the limit, in integers: with `p` for the limit it
/// asks for `(bad - p * total)^2 > 9 * p * (1 - p) * total`.
#[inline(never)]
pub(super) fn surely_exceeds(bad: u64, total: u64, limit: Share) -> bool {
    let limit = u128::from(u16::from(limit));
    let (bad, total) = (u128::from(bad.min(1 << 40)), u128::from(total.min(1 << 40)));
    let Some(excess) = (bad * 10_000).checked_sub(limit * total) else {
        return false;
    };
    9 * limit * (10_000 - limit) * total < excess * excess
}

/// The share of the fleet's requests that may be bad. They are so by one of our bounds, so the widest is what to hold them to.
#[inline(never)]
pub(super) fn fleet_max(rule: &ShedRule) -> Option<Share> {
    let slow = rule.slow().map(|(max, _)| max);
    slow.max(rule.limits().failed_max)
}

/// Whether the fleet surely misses the objective; nothing when that is not known.
pub(super) fn fleet_misses(rule: &ShedRule, fleet: Option<FleetReading>) -> Option<bool> {
    let fleet = fleet.filter(|fleet| 0 < fleet.requests)?;
    let bad = fleet.requests.saturating_sub(fleet.good);
    Some(surely_exceeds(bad, fleet.requests, fleet_max(rule)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sloop_model::ShareBounds;

    fn share(ten_thousandths: u16) -> Share {
        Share::try_from(ten_thousandths).unwrap()
    }

    #[test]
    fn one_bad_in_ten_is_no_proof_of_a_hundredth() {
        assert!(!surely_exceeds(0, 0, Share::NONE));
        assert!(!surely_exceeds(1, 10, share(100)));
        assert!(surely_exceeds(10, 100, share(100)));
        assert!(surely_exceeds(1, 10, Share::NONE));
        assert!(surely_exceeds(u64::MAX, u64::MAX, share(9_999)));
    }

    proptest! {
        /// The same decision as that of the breaker, whose bound is Wilson's.
        #[test]
        fn is_the_lower_end_of_wilsons_interval(total in 1u64..5_000, bad in 0u64..5_000, limit in 1u16..10_000) {
            let bad = bad.min(total);
            let low = ShareBounds::wilson(bad, total, 3.0).unwrap().low;
            let limit = share(limit);
            if 1e-9 < (low - limit.as_fraction()).abs() {
                prop_assert_eq!(surely_exceeds(bad, total, limit), limit.as_fraction() < low);
            }
        }
    }
}
