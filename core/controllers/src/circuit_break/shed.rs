//! Derives bounds of shedding from an objective: the one place where its numbers come from.
//!
//! # Level
//!
//! Shedding refuses some so that the others are served, so it may begin earlier
//! than a breaker, which refuses all. With target `T`, budget `b = 1 - T` and the
//! breaker's trip level ([`super::derive`]), an objective is taken as missed when
//! surely more than
//!
//! ```text
//! level = max(b, min(14.4 b, trip level / 2))
//! ```
//!
//! of the requests are slow, or fail.
//!
//! - **14.4 b** is the burn rate at which the SRE workbook (chapter 5) wakes a person.
//! - **Half the trip level**: where a breaker guards the scope too, shedding has
//!   room to work before the breaker opens.
//! - **At least b**: what the budget allows is no reason to refuse anything. So the level is rounded up to a whole
//!   ten-thousandth, the unit of the filter's shares, and never down to nothing.
//!
//! Numbers and worked examples, from 50 % to 99.999 %: `controlplane/DERIVATION.md`, which a test compares with this.
//!
//! # Bounds
//!
//! At most nine tenths are shed, and of `critical_plus` requests nothing: a person
//! who wants that writes a `LoadShedding`. One in a hundred of each class always
//! passes, to measure.
//!
//! # Mode
//!
//! An SLO that acts and judges latency sheds; else what it would have shed is counted, and
//! how much of that was good all the same. Lateness tells a queue from a defect: a queue makes all late, also what is
//! served. Where only failures are judged, nothing does but a trial, which refuses good answers for nothing
//! where the service fails for reasons of its own. Where no request says how much it matters
//! all are `critical`, and shedding takes from all alike. That helps all the same:
//! in an overload the queue makes every answer late. Where it does not, because the service is slow or
//! fails for reasons of its own, the filter gives it up within seconds. A `LoadShedding` on the scope replaces
//! it: with `mode: enforce` it acts without a threshold, too, with `mode: shadow` nothing is shed, and with bounds of its own these hold.

use core::time::Duration;

use sloop_model::{ClassShares, Judge, Mode, Share, ShedLimits, ShedRule, Target};

use super::derive::{SHORTEST, trip_level};
use crate::slo::{Indicator, ShedStatus};
use crate::words::{Length, Percent};

/// The workbook's fastest burn rate.
const BURN_MAX: f64 = 14.4;
/// The same in tenths.
const BURN_MAX_TENTHS: u128 = 144;
/// A ten-thousandth in the billionths that targets are in.
const SHARE_UNIT: u128 = Target::WHOLE as u128 / 10_000;
/// The most that derived shedding refuses; a breaker does the rest.
const SHARE_MAX: f64 = 0.9;
/// The share of each class that passes, to measure.
const FLOOR: f64 = 0.01;

/// The bounds that an objective implies, by outcomes; nothing when everything may be bad. What takes longer than `slow_us`
/// microseconds is bad.
pub(crate) fn shed_limits(target: Target, slow_us: Option<u64>) -> Option<ShedRule> {
    let level = level(target)?;
    let limits = ShedLimits {
        share_min: Share::NONE,
        share_max: Share::nearest(SHARE_MAX),
        floor: Share::nearest(FLOOR),
        slow_us,
        slow_max: slow_us.map(|_| level),
        failed_max: Some(level),
        in_flight_max: None,
        class_max: ClassShares {
            critical_plus: Share::NONE,
            ..ClassShares::WHOLE
        },
        judge: Judge::Outcomes,
    };
    // A threshold beyond what shedding can measure leaves the failures.
    let without_slow = ShedLimits {
        slow_us: None,
        slow_max: None,
        ..limits
    };
    ShedRule::try_from(limits)
        .or_else(|_| ShedRule::try_from(without_slow))
        .ok()
}

/// The same by `judge`.
pub(crate) fn judged_by(rule: ShedRule, judge: Judge) -> ShedRule {
    let limits = *rule.limits();
    ShedRule::try_from(ShedLimits { judge, ..limits }).unwrap_or(rule)
}

/// What shedding within `rule` does that is derived from an SLO of which `given` is wanted.
pub(crate) fn mode(given: Mode, rule: &ShedRule) -> Mode {
    rule.slow().map_or(Mode::Shadow, |_| given)
}

/// The rule that stands for both.
///
/// A rule has one threshold. Of two it is the shorter, with the level that goes with it: a queue makes all late, and what is late for the
/// other is late for it, too. A long tail that misses the other alone begins nothing; the fleet's counts still say that it burns.
pub(crate) fn earlier(one: ShedRule, other: ShedRule) -> ShedRule {
    let both = [one.limits(), other.limits()];
    let slow = both
        .into_iter()
        .filter_map(|limits| limits.slow_us.zip(limits.slow_max))
        .min();
    let failed_max = both.into_iter().filter_map(|limits| limits.failed_max);
    let limits = ShedLimits {
        slow_max: slow.map(|(_, level)| level),
        slow_us: slow.map(|(threshold, _)| threshold),
        failed_max: failed_max.min(),
        judge: one.limits().judge.and(other.limits().judge),
        ..*one.limits()
    };
    // Each number comes from a rule that was checked.
    ShedRule::try_from(limits).unwrap_or(one)
}

/// The share of bad requests from which an objective is taken as missed; nothing when everything may be bad.
pub(super) fn level(target: Target) -> Option<Share> {
    let trip = u128::from(u16::from(trip_level(target)?));
    // In billionths.
    let budget = target.allowed_bad_billionths(1);
    let burning = (budget * BURN_MAX_TENTHS).div_ceil(10 * SHARE_UNIT);
    let level = burning
        .min(trip.div_ceil(2))
        .max(budget.div_ceil(SHARE_UNIT));
    let level = Share::try_from(u16::try_from(level).ok()?).ok()?;
    (level != Share::WHOLE).then_some(level)
}

/// The level for people, where what is derived may do what is `given`; nothing when everything may be bad.
pub(crate) fn shed_status(
    given: Mode,
    target: Target,
    indicator: &Indicator,
) -> Option<ShedStatus> {
    let rule = shed_limits(target, indicator.slow_us())?;
    let level = level(target)?;
    let budget = target.budget_fraction();
    let burning = Percent(budget * BURN_MAX);
    let half = Percent(trip_level(target)?.as_fraction() / 2.0);
    let (slow, shortest) = rule
        .limits()
        .slow_us
        .map_or_else(Default::default, |slow_us| {
            let within = Length(Duration::from_micros(slow_us));
            (format!("take longer than {within} or "), SHORTEST)
        });
    let (does, why) = match mode(given, &rule) {
        Mode::Enforce => ("load is shed", ""),
        Mode::Shadow if rule.limits().slow_us.is_none() => (
            "it is only counted what would be shed",
            ", as failures alone do not tell whether fewer requests would help",
        ),
        Mode::Shadow => ("it is only counted what would be shed", ""),
    };
    Some(ShedStatus {
        level: level.as_fraction(),
        derivation: format!(
            "target {} leaves {} to be bad; 14.4 times that is {burning}, half of what opens a breaker is {half}, and of what may be bad nothing is shed; \
             so {does} while surely more than {} {slow}fail, {} of all at most, the least critical first{why}{shortest}",
            Percent(target.as_fraction()),
            Percent(budget),
            Percent(level.as_fraction()),
            Percent(SHARE_MAX),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(fraction: f64) -> Target {
        Target::parse(fraction).unwrap()
    }

    #[test]
    fn a_level_is_rounded_up_and_never_to_nothing() {
        for (fraction, expected) in [
            (0.999_999_999, 1),
            (0.999_999, 1),
            (0.999_99, 2),
            (0.999_9, 15),
            (0.999, 144),
            (0.99, 1_440),
            (0.95, 2_625),
            (0.5, 5_000),
        ] {
            let rule = shed_limits(target(fraction), Some(250_000)).unwrap();
            let expected = Share::try_from(expected).ok();
            assert_eq!(rule.limits().slow_max, expected, "{fraction}");
            assert_eq!(rule.limits().failed_max, expected, "{fraction}");
        }
        assert_eq!(shed_limits(target(0.0), None), None);
    }

    #[test]
    fn what_the_budget_allows_is_never_shed() {
        let near = (1..2_000).map(|budget| Target::WHOLE - budget);
        let far = (1..1_000).map(|number| number * 1_000_000);
        for billionths in near.chain(far) {
            let target = Target::try_from(billionths).unwrap();
            let level = level(target).map_or(1.0, Share::as_fraction);
            assert!(target.budget_fraction() <= level, "{billionths}");
        }
    }

    #[test]
    fn it_begins_before_the_breaker_opens() {
        for billionths in (1..1_000).map(|number| number * 1_000_000) {
            let target = Target::try_from(billionths).unwrap();
            let (Some(rule), Some(trip)) = (shed_limits(target, None), trip_level(target)) else {
                continue;
            };
            assert!(rule.limits().failed_max.unwrap() <= trip, "{billionths}");
        }
    }

    #[test]
    fn what_matters_most_is_never_shed_and_thresholds_out_of_reach_are_left_out() {
        let rule = shed_limits(target(0.99), Some(90_000_000)).unwrap();
        assert_eq!(rule.slow(), None);
        assert!(rule.limits().failed_max.is_some());
        assert_eq!(rule.limits().class_max.critical_plus, Share::NONE);
    }

    #[test]
    fn the_earlier_of_two_begins_for_both() {
        let available = shed_limits(target(0.999), None).unwrap();
        let quick = shed_limits(target(0.99), Some(100_000)).unwrap();
        let both = earlier(quick, available);
        assert_eq!(both.limits().failed_max, Share::try_from(144).ok());
        assert_eq!(both.limits().slow_us, Some(100_000));
        assert_eq!(earlier(available, quick), both);
    }

    #[test]
    fn of_two_thresholds_the_shorter_is_judged_with_its_own_level() {
        let quick = shed_limits(target(0.99), Some(250_000)).unwrap();
        let sure = shed_limits(target(0.999), Some(1_000_000)).unwrap();
        for both in [earlier(quick, sure), earlier(sure, quick)] {
            assert_eq!(both.limits().slow_us, Some(250_000));
            assert_eq!(both.limits().slow_max, quick.limits().slow_max);
            assert_eq!(both.limits().failed_max, sure.limits().failed_max);
        }
        let surer = shed_limits(target(0.999), Some(250_000)).unwrap();
        for both in [earlier(quick, surer), earlier(surer, quick)] {
            assert_eq!(both, surer, "of equal thresholds the lower level");
        }
    }

    #[test]
    fn people_read_where_the_level_comes_from() {
        let says = |given, within_us| {
            let indicator = Indicator {
                within_us,
                ..Indicator::default()
            };
            shed_status(given, target(0.999), &indicator)
                .unwrap()
                .derivation
        };
        let quick = says(Mode::Enforce, Some(250_000));
        let part = "so load is shed while surely more than 1.44 % take longer than 250 ms or fail, 90 % of all";
        assert!(quick.contains(part), "{quick}");
        let failures = says(Mode::Enforce, None);
        let part = "only counted what would be shed while surely more than 1.44 % fail,";
        assert!(failures.contains(part), "{failures}");
        assert!(
            failures.contains("failures alone do not tell"),
            "{failures}"
        );
        let watched = says(Mode::Shadow, Some(250_000));
        assert!(watched.contains("only counted"), "{watched}");
        assert!(!watched.contains("failures alone"), "{watched}");
    }
}
