//! Derives a retry budget from an objective: the one place where its numbers come from.
//!
//! # Share
//!
//! A retry budget binds while retries do not help: while more of them are in vain than not (the law is
//! `sloop_dataplane::retry`). Then retries may be
//!
//! ```text
//! share = max(10 %, min(20 %, level))
//! ```
//!
//! of the first attempts, with the level from which an objective is taken as missed ([`super::shed`]): the budget
//! `b` 14.4 times, or half of the breaker's trip level where that is less.
//!
//! - **The level**: up to it nothing is taken to be wrong, and then each failure may be tried again once. What fails
//!   beyond is no accident, and to try it again is load.
//! - **At least 10 %**: the retry budget of a client in the SRE book (chapter 21, *Handling Overload*), with which load grows
//!   1.1 times at each hop at most, where three attempts would make it three times, and 27 times over three hops.
//! - **At most 20 %**: the default of Envoy's own (`retry_budget.budget_percent`), of Finagle's and of Linkerd's; three hops
//!   make 1.7 times as much of it.
//!
//! # Least
//!
//! Three retries per second and worker pass in any case. A tenth of ten requests per second would be one retry, too few
//! to find out whether retries help again. Three is what Envoy lets be under way at a time in any case
//! (`retry_budget.min_retry_concurrency`); for answers within a second that is more per second.
//! Below 30 first attempts per second and worker, three are more than a tenth of them.
//!
//! Numbers and worked examples, from 50 % to 99.999 %: `controlplane/DERIVATION.md`, which a test compares with this.
//!
//! # Limits
//!
//! On the server's side the caller's Envoy says which attempt a request is (`include_request_attempt_count`); on the client's, the
//! same Envoy says how many it made (`sloop_dataplane::retry`, `outbound.rs`). Callers that do not say so, and applications that try again by
//! themselves, make first attempts of all. Each worker has a budget of its own.

use core::fmt::Write as _;

use sloop_model::{Mode, Policy, RetryLimits, RetryRule, Rule, Share, Target, WallTime};

use super::derived::AllDerived;
use super::shed::level;
use crate::by_scope::ByScope;
use crate::lease;
use crate::slo::RetryStatus;
use crate::words::Percent;
use crate::{Decision, SloIntent};

/// See *Share* above.
const SHARE_MIN: f64 = 0.1;
const SHARE_MAX: f64 = 0.2;
/// See *Least* above.
const LEAST: u32 = 3;

/// The retry budget that an objective implies; nothing when everything may be bad.
pub(crate) fn retry_limits(target: Target) -> Option<RetryRule> {
    let share = level(target)?.as_fraction().clamp(SHARE_MIN, SHARE_MAX);
    let limits = RetryLimits {
        share: Share::nearest(share),
        least: LEAST,
    };
    RetryRule::try_from(limits).ok()
}

/// One budget that allows for no more than either.
pub(crate) fn fewer(one: RetryRule, other: RetryRule) -> RetryRule {
    let (one_limits, other_limits) = (one.limits(), other.limits());
    let limits = RetryLimits {
        share: one_limits.share.min(other_limits.share),
        least: one_limits.least.min(other_limits.least),
    };
    // Each number comes from a rule that was checked.
    RetryRule::try_from(limits).unwrap_or(one)
}

/// Adds the retry budgets that `intent` implies.
pub(super) fn with_retry_budgets(
    mut decision: Decision,
    (intent, derived): (&SloIntent, &AllDerived),
    mode: Mode,
    now: WallTime,
) -> Decision {
    let sources = intent.counted().zip(derived.iter());
    let rules = sources
        .filter_map(|((_, _, source), derived)| Some((source.scope(), derived.retries?)))
        .collect();
    let rules: ByScope<RetryRule> = ByScope::new(rules, fewer);
    if let Some(share) = rules.iter().map(|(_, rule)| rule.limits().share).min() {
        let share = Percent(share.as_fraction());
        let acts = match mode {
            Mode::Enforce => "do not go on",
            Mode::Shadow => "would not go on",
        };
        let because = &mut decision.because;
        write!(
            because,
            "; retries beyond {share} of first attempts {acts} while they are in vain"
        )
        .ok();
    }
    let budgets = rules.into_pairs().map(|(scope, limits)| Policy {
        scope,
        rule: Rule::RetryBudget {
            mode,
            limits,
            expires_at_ms: lease::BREAKERS.ends_at(now),
        },
    });
    decision.policies.extend(budgets);
    decision
}

/// The share for people; nothing when everything may be bad.
pub(crate) fn retry_status(target: Target) -> Option<RetryStatus> {
    let share = retry_limits(target)?.limits().share.as_fraction();
    let level = level(target)?.as_fraction();
    Some(RetryStatus {
        share,
        derivation: format!(
            "target {} is taken as missed from {} bad on; held between {} and {}, retries may be {} of the first attempts, and {LEAST} per second and worker, while more of them are in vain than not",
            Percent(target.as_fraction()),
            Percent(level),
            Percent(SHARE_MIN),
            Percent(SHARE_MAX),
            Percent(share),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(fraction: f64) -> Target {
        Target::parse(fraction).unwrap()
    }

    fn share(fraction: f64) -> Option<u16> {
        let rule = retry_limits(target(fraction))?;
        Some(rule.limits().share.into())
    }

    #[test]
    fn a_share_is_the_level_within_its_bounds() {
        for (fraction, expected) in [
            (0.999_99, 1_000),
            (0.999, 1_000),
            (0.99, 1_440),
            (0.95, 2_000),
            (0.5, 2_000),
        ] {
            assert_eq!(share(fraction), Some(expected), "{fraction}");
        }
        assert_eq!(share(0.0), None);
    }

    #[test]
    fn of_two_the_one_that_allows_for_fewer_holds_for_both() {
        let (one, other) = (target(0.999), target(0.95));
        let (one, other) = (retry_limits(one).unwrap(), retry_limits(other).unwrap());
        assert_eq!(fewer(one, other), one);
        assert_eq!(fewer(other, one), one);
    }

    #[test]
    fn people_read_where_the_share_comes_from() {
        let words = retry_status(target(0.99)).unwrap().derivation;
        assert!(words.contains("from 14.4 % bad on"), "{words}");
        assert!(words.contains("may be 14.4 % of the first"), "{words}");
    }
}
