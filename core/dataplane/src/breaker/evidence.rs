//! Whether shares are surely too large.

use sloop_model::{BreakerRule, BreakerWindow, ProbeVerdict, Share, ShareBounds, Threshold};

use super::words::{Cause, Tally};

/// Why the limits do not hold for what was seen, if they do not; not even if the `overtaken` turn out well
/// ([`super::pending`]).
pub(super) fn trips(rule: &BreakerRule, seen: Tally, overtaken: u32) -> Option<Cause> {
    if seen.total < rule.calls_min() {
        return None;
    }
    let total = seen.total.saturating_add(overtaken);
    exceeded(rule, seen, total, rule.limits().sigmas_hundredths)
}

/// Whether `seen` is surely within the limits: by the upper ends of the intervals whose lower ends
/// [`trips`] asks, so that of few requests nobody knows. Nor of the last so many, which may be long ago.
pub(super) fn is_well(rule: &BreakerRule, seen: Tally) -> bool {
    if let BreakerWindow::Calls(_) = rule.window() {
        return false;
    }
    let limits = rule.limits();
    let sigmas = match limits.sigmas_hundredths {
        0 => SIGMAS_USUAL,
        hundredths => f64::from(hundredths) / 100.0,
    };
    let is_below = |bad: u32, limit: Share| {
        ShareBounds::wilson(bad.into(), seen.total.into(), sigmas)
            .is_some_and(|bounds| bounds.high < limit.as_fraction())
    };
    rule.calls_min() <= seen.total
        && is_below(seen.failed, limits.failed_max)
        && limits
            .slow_max
            .is_none_or(|slow_max| is_below(seen.slow, slow_max))
}

/// How sure it must be where limits are compared plainly: as the control plane is.
const SIGMAS_USUAL: f64 = 3.0;

/// What probes say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Too few of them ended.
    Open,
    /// They were served well enough.
    Served,
    /// They were not.
    Failed(Cause),
}

/// What `seen` of `probes` probes say. They are few, so their shares are compared plainly.
pub(super) fn judge_probes(rule: &BreakerRule, seen: Tally, probes: u32) -> Judgement {
    let failed = match rule.limits().manner.verdict {
        ProbeVerdict::FirstFailure if 0 < seen.failed => Some(Cause::Failures),
        ProbeVerdict::FirstFailure => {
            let slow = Tally { failed: 0, ..seen };
            exceeded(rule, slow, probes, 0)
        }
        ProbeVerdict::Ratio if seen.total < probes_min(rule, probes) => None,
        ProbeVerdict::Ratio => exceeded(rule, seen, seen.total, 0),
    };
    match failed {
        Some(cause) => Judgement::Failed(cause),
        None if probes_min(rule, probes) <= seen.total => Judgement::Served,
        None => Judgement::Open,
    }
}

/// How many of `probes` probes must have ended for a verdict that closes.
pub(super) fn probes_min(rule: &BreakerRule, probes: u32) -> u32 {
    match rule.limits().manner.verdict {
        ProbeVerdict::FirstFailure => probes,
        ProbeVerdict::Ratio => probes.min(rule.limits().calls_min),
    }
}

fn exceeded(rule: &BreakerRule, seen: Tally, total: u32, sigmas: u16) -> Option<Cause> {
    let limits = rule.limits();
    let threshold = limits.manner.threshold;
    if surely_exceeds(seen.failed, total, limits.failed_max, threshold, sigmas) {
        return Some(Cause::Failures);
    }
    let slow_max = limits.slow_max?;
    surely_exceeds(seen.slow, total, slow_max, threshold, sigmas).then_some(Cause::Slowness)
}

/// Whether `bad` of `total` is surely too large a share, by `limit` and `threshold`.
///
/// "Surely" is the lower end of Wilson's interval ([`ShareBounds::wilson`]) at
/// `sigmas` hundredths of a standard deviation. At 0 it is the plain ratio,
/// compared without rounding. The interval is worked out only when the plain
/// ratio is too large, which in good times it is not.
fn surely_exceeds(bad: u32, total: u32, limit: Share, threshold: Threshold, sigmas: u16) -> bool {
    // `u64` holds both products: a `u32` times ten thousand.
    let part = u64::from(bad) * u64::from(u16::from(Share::WHOLE));
    let allowed = u64::from(total) * u64::from(u16::from(limit));
    let exceeds = match threshold {
        Threshold::Exceeded => allowed < part,
        Threshold::Reached => allowed <= part && total != 0,
    };
    if !exceeds || sigmas == 0 {
        return exceeds;
    }
    let limit = limit.as_fraction();
    ShareBounds::wilson(bad.into(), total.into(), f64::from(sigmas) / 100.0).is_some_and(|bounds| {
        match threshold {
            Threshold::Exceeded => limit < bounds.low,
            Threshold::Reached => limit <= bounds.low,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(ten_thousandths: u16) -> Share {
        Share::try_from(ten_thousandths).unwrap()
    }

    fn exceeds(bad: u32, total: u32, limit: u16, sigmas: u16) -> bool {
        surely_exceeds(bad, total, share(limit), Threshold::Exceeded, sigmas)
    }

    fn reaches(bad: u32, total: u32, limit: u16, sigmas: u16) -> bool {
        surely_exceeds(bad, total, share(limit), Threshold::Reached, sigmas)
    }

    #[test]
    fn without_doubt_it_is_the_plain_ratio() {
        assert!(!exceeds(0, 0, 0, 0));
        assert!(!exceeds(5, 10, 5_000, 0));
        assert!(exceeds(6, 10, 5_000, 0));
        assert!(exceeds(u32::MAX, u32::MAX, 9_999, 0));
    }

    #[test]
    fn a_limit_may_be_what_must_not_be_reached() {
        assert!(!reaches(0, 0, 5_000, 0));
        assert!(!reaches(4, 10, 5_000, 0));
        assert!(reaches(5, 10, 5_000, 0));
        assert!(reaches(10, 10, 10_000, 0));
        assert!(!reaches(5, 10, 5_000, 300));
    }

    #[test]
    fn one_failure_in_ten_is_no_proof_of_a_hundredth() {
        assert!(!exceeds(1, 10, 100, 300));
        assert!(exceeds(100, 1_000, 100, 300));
    }

    proptest! {
        #[test]
        fn more_failures_never_prove_less(total in 1u32..1_000, bad in 0u32..1_000, limit in 0u16..10_000, sigmas in 0u16..1_000) {
            let bad = bad.min(total - 1);
            let fewer = exceeds(bad, total, limit, sigmas);
            prop_assert!(!fewer || exceeds(bad + 1, total, limit, sigmas));
        }
    }
}
