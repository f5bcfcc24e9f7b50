//! Derives a breaker from an objective: the one place where its numbers come from.
//!
//! # Trip level
//!
//! With target `T` and budget `b = 1 - T`, a breaker opens when surely (see
//! *confidence*) more than
//!
//! ```text
//! level = (1 + b) / 2
//! ```
//!
//! of the requests are bad: half way from what may be bad to everything.
//!
//! A breaker refuses *every* request, so opening turns a share `p` of bad requests
//! into 1 for as long as it is open. It spares callers `p` of their waits in vain,
//! and takes `1 - p` good answers from them: below a half it takes more than it
//! gives. Where a third of the requests fail, or one of three hosts is slow,
//! callers are served best by passing on (the stories of `cargo xtask bench goodput`
//! have the numbers); what a queue makes slow is served best by shedding
//! ([`super::shed`]), and a breaker waits while that is tried. Smaller trouble burns
//! and is said, but is not broken; who wants less writes a `CircuitBreaker`.
//!
//! A latency objective gives a slow level in the same way: more than `level` of
//! the requests slower than its threshold. Its failed level is the same, since a
//! failure is never good.
//!
//! # What is bad
//!
//! A breaker judges what the objective counts. One that selects nothing (`Indicator::judge`) counts what outcomes say: what
//! was not served is bad. Else the rule says [`Judge::Objectives`], and the filter asks the objectives that guard the scope
//! ([`guards`]): a 503 that `bad` does not name opens nothing then, and a 429 that it names does. What is bad for its time alone
//! (`within_us`, and `slowerThan` of `bad`) stays slowness, against which shedding is tried first. Several SLOs on a scope are
//! judged together ([`stricter`]): bad is what is bad for any of them. What the filter answered itself, and what callers gave up
//! before it was slow, is never counted, whatever an objective says.
//!
//! # Confidence
//!
//! "Surely" is the lower end of Wilson's interval at three standard deviations,
//! so one failure in ten requests opens nothing. The fewest requests that can
//! open it are those that all fail: `n` such that `n` of `n` surely exceed the
//! level, and that chance alone gives `level^n` at most 1.35 times in a thousand.
//! At 0.50 that is 10 (`0.5^9 = 0.0020`), at 0.55 it is 12, at 0.75 it is 28.
//!
//! # Times
//!
//! - Window 1 s: at 20 requests per second a total outage is sure after 10
//!   failures, half a second. A longer window would hold more of the good past
//!   and be slower. Sidecars with less traffic are opened by the fleet's order
//!   ([`super::orders`]).
//! - The way back goes at the pace of the traffic ([`sloop_model::Pace::Traffic`]). What a refused request
//!   costs is a good answer, with the chance that the service gives one; what a request costs that is let through is
//!   a share of what the service needs to come back. While it is down the first is nothing, so all that limits attempts is the second: one
//!   request in twenty. Then what waiting takes from a service that is back is twenty requests, at
//!   any rate and after an outage of any length. A wait in time has no such bound: half a second is ten
//!   requests of one sidecar and a thousand of another.
//! - Open for 50 ms at least, so that where twenty requests come in a moment the attempts of a sidecar are 20 per
//!   second at most, and twice as long after each ramp that failed; for half a second at most (twice as long each time until then), so that where hardly any come, two per second may try.
//! - One probe at a time: whether more would have been served is what the ramp finds out, and as many
//!   are lost in an attempt in which none is answered.
//! - Ramp over half a second, or as fast as the service answers in time: two may be under way, and one more with each such
//!   answer. A service that is well is back at its full load within five of its own round trips; one that is overwhelmed by what
//!   comes back answers late, and is sent no more meanwhile. If it fails, ten requests open the breaker again.
//!
//! How often it may open follows from these: 50 ms apart at least, so twenty times a second at most, and never before ten more
//! answers were surely bad (a property of `core/dataplane/src/breaker/tests/pace.rs`). A service that fails and is back
//! several times a second has it open as often. That is harmless: each time costs what finding out costs, twenty requests or 50 ms of
//! them and the ramp, which is less than what fails meanwhile; failed attempts are nobody's news; and the fleet orders six times a minute at most.
//!
//! Numbers and worked examples, from 50 % to 99.999 %: `controlplane/DERIVATION.md`, which a test compares with this.

use sloop_model::{
    BreakerLimits, BreakerManner, BreakerRule, Judge, LateOutcomes, LostProbes, Mode, Pace,
    ProbeVerdict, Share, Target, Threshold, Wake,
};

use crate::budget::{SIGMAS, surely_above};
use crate::slo::{Indicator, TripStatus};
use crate::words::{Length, Percent};

/// Judging by more would take longer than a window at any rate; only targets below 1 % need so many.
const CALLS_MAX: u32 = 2_000;
/// What holds of a threshold for people; see [`stricter`].
pub(super) const SHORTEST: &str =
    "; where another objective on the scope has a shorter threshold, that one is judged";
/// See *Times* above.
const WINDOW_MS: u32 = 1_000;
const OPEN_MS: u32 = 50;
const OPEN_MAX_MS: u32 = 500;
const RAMP_MS: u32 = 500;
const PROBES: u32 = 1;

const MANNER: BreakerManner = BreakerManner {
    threshold: Threshold::Exceeded,
    verdict: ProbeVerdict::FirstFailure,
    late: LateOutcomes::Ignored,
    wake: Wake::OnTime,
    lost: LostProbes::Replaced,
    pace: Pace::Traffic,
    judge: Judge::Outcomes,
};

/// The share of bad requests above which a breaker opens; nothing when everything may be bad.
pub(crate) fn trip_level(target: Target) -> Option<Share> {
    let level = Share::nearest(raw_level(target));
    (level != Share::WHOLE).then_some(level)
}

/// The breaker that an objective implies, by outcomes; nothing when everything may be bad. What takes longer than
/// `slow_us` microseconds is bad.
pub(crate) fn limits(target: Target, slow_us: Option<u64>) -> Option<BreakerRule> {
    let level = trip_level(target)?;
    let limits = BreakerLimits {
        window_ms: Some(WINDOW_MS),
        window_buckets: None,
        window_calls: None,
        calls_min: calls_min(level),
        failed_max: level,
        slow_max: slow_us.map(|_| level),
        slow_us,
        sigmas_hundredths: sigmas_hundredths(),
        open_ms: OPEN_MS,
        open_max_ms: OPEN_MAX_MS,
        probes: PROBES,
        ramp_ms: RAMP_MS,
        manner: MANNER,
    };
    BreakerRule::try_from(limits).ok()
}

/// The same by `judge`.
pub(crate) fn judged_by(rule: BreakerRule, judge: Judge) -> BreakerRule {
    let limits = *rule.limits();
    let manner = BreakerManner {
        judge,
        ..limits.manner
    };
    BreakerRule::try_from(BreakerLimits { manner, ..limits }).unwrap_or(rule)
}

/// Whether what judges by objectives judges by one with this `target` and `indicator`, in an SLO that may do `protection`.
pub(crate) fn guards(
    protection: Option<Mode>,
    target: Target,
    indicator: &Indicator,
) -> Option<Mode> {
    let has_say = indicator.judge().asks_objectives() && trip_level(target).is_some();
    protection.filter(|_| has_say)
}

/// Fewest requests to judge by: so many failures in a row surely exceed `level`.
pub(crate) fn calls_min(level: Share) -> u32 {
    let level = level.as_fraction();
    (1..CALLS_MAX)
        .find(|calls| surely_above((*calls).into(), (*calls).into(), level))
        .unwrap_or(CALLS_MAX)
}

/// The breaker that stands for both: of each number the stricter.
///
/// A rule has one threshold. Of two it is the shorter, with the level that goes with it: what is slow for the other is slow for it, too.
/// Levels that are derived are at most five points apart from 90 % on, so next to nothing is lost; what documents declare loses the
/// level of the longer threshold.
pub(crate) fn stricter(one: BreakerRule, other: BreakerRule) -> BreakerRule {
    let (one_limits, other_limits) = (one.limits(), other.limits());
    let slow = [one_limits, other_limits]
        .into_iter()
        .filter_map(|limits| limits.slow_us.zip(limits.slow_max))
        .min();
    let limits = BreakerLimits {
        // A shorter window is stricter; of two kinds of window, the one in time.
        window_ms: shorter(one_limits.window_ms, other_limits.window_ms),
        window_buckets: shorter(one_limits.window_buckets, other_limits.window_buckets),
        window_calls: one_limits
            .window_calls
            .zip(other_limits.window_calls)
            .map(|(one, other)| one.min(other)),
        // Both levels are judged by one number of calls, so it must do for the higher one.
        calls_min: one_limits.calls_min.max(other_limits.calls_min),
        failed_max: one_limits.failed_max.min(other_limits.failed_max),
        slow_max: slow.map(|(_, level)| level),
        slow_us: slow.map(|(threshold, _)| threshold),
        sigmas_hundredths: one_limits
            .sigmas_hundredths
            .max(other_limits.sigmas_hundredths),
        open_ms: one_limits.open_ms.max(other_limits.open_ms),
        open_max_ms: one_limits.open_max_ms.max(other_limits.open_max_ms),
        probes: one_limits.probes.min(other_limits.probes),
        ramp_ms: one_limits.ramp_ms.max(other_limits.ramp_ms),
        // Of derived rules all else is the same.
        manner: BreakerManner {
            judge: one_limits.manner.judge.and(other_limits.manner.judge),
            ..one_limits.manner
        },
    };
    // Each number comes from a rule that was checked, and they depend on each other only as kept here.
    BreakerRule::try_from(limits).unwrap_or(one)
}

/// Whether what surely fails too often for `other` does for `rule`, too.
pub(crate) fn is_as_strict_to_failures(rule: BreakerRule, other: BreakerRule) -> bool {
    let (rule, other) = (rule.limits(), other.limits());
    let judge = rule.manner.judge;
    judge.and(other.manner.judge) == judge && rule.failed_max <= other.failed_max
}

/// Whether what surely is too much for `other` is too much for `rule`, too: then an order that `other` gave is right for `rule`.
pub(crate) fn is_as_strict(rule: BreakerRule, other: BreakerRule) -> bool {
    if !is_as_strict_to_failures(rule, other) {
        return false;
    }
    let (rule, other) = (rule.limits(), other.limits());
    match (
        rule.slow_us.zip(rule.slow_max),
        other.slow_us.zip(other.slow_max),
    ) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some((slow_us, level)), Some((other_us, other_level))) => {
            slow_us <= other_us && level <= other_level
        }
    }
}

/// The smaller of what is given.
fn shorter(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.into_iter().chain(other).min()
}

/// The level for people; nothing when everything may be bad.
pub(crate) fn trip_status(target: Target, indicator: &Indicator) -> Option<TripStatus> {
    let level = trip_level(target)?;
    let budget = target.budget_fraction();
    let bad = match indicator.judge() {
        Judge::Outcomes => "failed",
        Judge::Objectives | Judge::Both => "were bad as the objective counts them",
    };
    let (slow, shortest) = indicator.slow_us().map_or_else(Default::default, |within| {
        let within = Length(core::time::Duration::from_micros(within));
        (format!(" or were slower than {within}"), SHORTEST)
    });
    Some(TripStatus {
        level: level.as_fraction(),
        derivation: format!(
            "target {} leaves {} to be bad; refusing everything takes more than it gives below half way from there to everything; so a breaker opens when surely more than {} {bad}{slow} within {} ms, judged by {} requests at least{shortest}",
            Percent(target.as_fraction()),
            Percent(budget),
            Percent(level.as_fraction()),
            WINDOW_MS,
            calls_min(level),
        ),
    })
}

fn raw_level(target: Target) -> f64 {
    f64::midpoint(1.0, target.budget_fraction())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a constant between 0 and 10"
)]
const fn sigmas_hundredths() -> u16 {
    (SIGMAS * 100.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(fraction: f64) -> Target {
        Target::parse(fraction).unwrap()
    }

    #[test]
    fn a_level_is_half_way_from_the_budget_to_everything() {
        for (fraction, level) in [
            (0.99999, 5_000),
            (0.999, 5_005),
            (0.99, 5_050),
            (0.98, 5_100),
            (0.95, 5_250),
            (0.9, 5_500),
            (0.5, 7_500),
        ] {
            let level = Share::try_from(level).unwrap();
            assert_eq!(trip_level(target(fraction)), Some(level), "{fraction}");
        }
        assert_eq!(trip_level(target(0.0)), None);
        assert_eq!(limits(target(0.0), None), None);
    }

    #[test]
    fn a_whole_rule() {
        let rule = limits(target(0.999), Some(250_000)).unwrap();
        let level = Share::try_from(5_005).unwrap();
        assert_eq!(
            *rule.limits(),
            BreakerLimits {
                window_ms: Some(1_000),
                window_buckets: None,
                window_calls: None,
                calls_min: 10,
                failed_max: level,
                slow_max: Some(level),
                slow_us: Some(250_000),
                sigmas_hundredths: 300,
                open_ms: 50,
                open_max_ms: 500,
                probes: 1,
                ramp_ms: 500,
                manner: BreakerManner {
                    pace: Pace::Traffic,
                    ..BreakerManner::default()
                },
            }
        );
    }

    #[test]
    fn failures_in_a_row_that_surely_exceed_the_level() {
        for (level, calls) in [(5_000, 10), (5_250, 11), (5_500, 12), (7_500, 28)] {
            assert_eq!(calls_min(Share::try_from(level).unwrap()), calls, "{level}");
        }
    }

    #[test]
    fn the_stricter_of_two_guards_for_both() {
        let availability = limits(target(0.95), None).unwrap();
        let latency = limits(target(0.9), Some(100_000)).unwrap();
        let both = *stricter(availability, latency).limits();
        assert_eq!(both.failed_max, Share::try_from(5_250).unwrap());
        assert_eq!(both.slow_max, Some(Share::try_from(5_500).unwrap()));
        assert_eq!(both.slow_us, Some(100_000));
        assert_eq!(both.calls_min, 12);
        assert_eq!(both.manner.pace, Pace::Traffic);
        assert_eq!(stricter(latency, availability).limits(), &both);
    }

    #[test]
    fn of_two_thresholds_the_shorter_is_judged_with_its_own_level() {
        let quick = limits(target(0.99), Some(250_000)).unwrap();
        let sure = limits(target(0.999), Some(1_000_000)).unwrap();
        for both in [stricter(quick, sure), stricter(sure, quick)] {
            assert_eq!(both.limits().slow_us, Some(250_000));
            assert_eq!(both.limits().slow_max, quick.limits().slow_max);
            assert_eq!(both.limits().failed_max, sure.limits().failed_max);
        }
        let surer = limits(target(0.999), Some(250_000)).unwrap();
        for both in [stricter(quick, surer), stricter(surer, quick)] {
            assert_eq!(both, surer, "of equal thresholds the lower level");
        }
    }

    #[test]
    fn people_read_where_the_level_comes_from() {
        let words = trip_status(target(0.9), &Indicator::default()).unwrap();
        assert!(
            words.derivation.contains("half way"),
            "{}",
            words.derivation
        );
        assert!(
            words.derivation.contains("more than 55 %"),
            "{}",
            words.derivation
        );
    }
}
