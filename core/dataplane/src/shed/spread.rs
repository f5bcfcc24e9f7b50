//! From the share of all requests to a share of each class, and the draw that tells who is in it.

use sloop_model::{Criticality, Share, ShedRule};

use super::smooth::Smooth;
use crate::context::TraceId;
use crate::random::{draw_of, mix};

const WHOLE: u64 = 10_000;

/// The share of each class to shed, so that together it is `level` of all, the least critical first.
///
/// `mix` is how many requests of each class came lately. A class is touched
/// only when everything below it is shed as far as the rule allows. A class of
/// which none came is shed like one that is too small to matter: as far as
/// allowed when anything is left to shed, so that the order holds for its first
/// request too. Less than `level` is shed when the classes do not allow more,
/// and while none came of any class: then `level` is that of the least critical
/// one that may be shed.
pub(super) fn spread(
    level: Share,
    rule: &ShedRule,
    mix: [Smooth; Criticality::ALL.len()],
) -> [Share; Criticality::ALL.len()] {
    let total: u64 = mix.iter().map(|class| class.scaled()).sum();
    // Requests to shed, in 256ths of a ten-thousandth of one.
    let mut left = total * u64::from(u16::from(level));
    let mut shares = [Share::NONE; Criticality::ALL.len()];
    if total == 0 {
        let classes = Criticality::ALL.iter().zip(&mut shares);
        let mut sheddable = classes.map(|(class, share)| (rule.class_max(*class), share));
        if let Some((max, share)) = sheddable.find(|(max, _)| *max != Share::NONE) {
            *share = level.min(max);
        }
        return shares;
    }
    for ((class, count), share) in Criticality::ALL.iter().zip(mix).zip(&mut shares) {
        // What nothing is left for stays untouched; so does all above it.
        if left == 0 {
            break;
        }
        let max = rule.class_max(*class);
        let can = count.scaled() * u64::from(u16::from(max));
        if can < left {
            left -= can;
            *share = max;
        } else {
            let part = left.checked_div(count.scaled()).unwrap_or(WHOLE);
            *share = u16::try_from(part)
                .ok()
                .and_then(|part| Share::try_from(part).ok())
                .map_or(max, |part| part.min(max));
            left = 0;
        }
    }
    shares
}

/// The draw of `trace`, uniform over `0..10_000`: the same at every hop, unrelated to that of any fault.
#[must_use]
pub const fn draw(trace: TraceId) -> u16 {
    // Any constant but the seeds of faults, which are mixed in another order.
    const SEED: u64 = 0x736c_6f6f_702e_7368;
    draw_of(mix(trace.high ^ mix(trace.low ^ mix(SEED))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sloop_model::{ClassShares, Judge, ShedLimits};

    fn share(ten_thousandths: u16) -> Share {
        Share::try_from(ten_thousandths).unwrap()
    }

    fn rule(floor: u16, class_max: ClassShares) -> ShedRule {
        ShedRule::try_from(ShedLimits {
            share_min: Share::NONE,
            share_max: Share::WHOLE,
            floor: share(floor),
            slow_us: None,
            slow_max: None,
            failed_max: Some(Share::NONE),
            in_flight_max: None,
            class_max,
            judge: Judge::Outcomes,
        })
        .unwrap()
    }

    fn shares(level: u16, rule: &ShedRule, counts: [u64; 4]) -> [u16; 4] {
        let mix = counts.map(|count| {
            let mut smooth = Smooth::default();
            smooth.learn(count);
            smooth
        });
        spread(share(level), rule, mix).map(u16::from)
    }

    #[test]
    fn the_lowest_class_goes_first() {
        let rule = rule(100, ClassShares::WHOLE);
        for (level, counts, expected) in [
            (0, [10, 10, 10, 10], [0, 0, 0, 0]),
            (1_000, [10, 10, 10, 10], [4_000, 0, 0, 0]),
            (2_475, [10, 10, 10, 10], [9_900, 0, 0, 0]),
            (3_000, [10, 10, 10, 10], [9_900, 2_100, 0, 0]),
            (10_000, [10, 10, 10, 10], [9_900; 4]),
            // What does not come is shed before what does.
            (1_000, [0, 0, 100, 0], [9_900, 9_900, 1_000, 0]),
            // Nothing is known of the classes yet.
            (1_000, [0, 0, 0, 0], [1_000, 0, 0, 0]),
            (10_000, [0, 0, 0, 0], [9_900, 0, 0, 0]),
        ] {
            assert_eq!(shares(level, &rule, counts), expected, "{level} {counts:?}");
        }
    }

    #[test]
    fn a_class_that_may_not_be_shed_is_passed_over() {
        let spared = ClassShares {
            sheddable: Share::NONE,
            critical_plus: Share::NONE,
            ..ClassShares::WHOLE
        };
        let rule = rule(100, spared);
        assert_eq!(shares(9_000, &rule, [10; 4]), [0, 9_900, 9_900, 0]);
        assert_eq!(shares(9_000, &rule, [0; 4]), [0, 9_000, 0, 0]);
    }

    proptest! {
        #[test]
        fn never_more_than_asked_for_and_never_a_higher_class_first(
            level in 0u16..=10_000,
            counts in prop::array::uniform4(0u64..10_000),
            floor in 10u16..=10_000,
        ) {
            let rule = rule(floor, ClassShares::WHOLE);
            let most = 10_000 - floor;
            let shares = shares(level, &rule, counts);
            let total: u64 = counts.iter().sum();
            let shed: u64 = counts.iter().zip(shares).map(|(count, share)| count * u64::from(share)).sum();
            prop_assert!(shed <= total * u64::from(level), "{shares:?}");
            for pair in shares.windows(2) {
                prop_assert!(pair[1] == 0 || pair[0] == most, "{shares:?}");
            }
            prop_assert!(shares.iter().all(|share| *share <= most));
            // All that is asked for, up to rounding, as far as the floor allows.
            let asked = (total * u64::from(level)).min(total * u64::from(most));
            prop_assert!(asked <= shed + counts.iter().max().unwrap(), "{shed} {asked}");
        }
    }
}
