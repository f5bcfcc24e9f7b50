//! Which fault meets a request.
//!
//! A function of trace id and seed alone, so that one trace meets the same
//! choice at every hop, and an experiment can be repeated.

use sloop_model::{FaultRule, WallTime};

use crate::context::TraceId;
use crate::random::{draw_of, mix};

/// Position of the first of `rules` that is in force at `wall` and chooses `trace`.
pub(crate) fn chosen(rules: &[FaultRule], trace: TraceId, wall: WallTime) -> Option<usize> {
    rules.iter().position(|rule| {
        wall < rule.expires_at() && rule.share().includes(draw(trace, rule.seed()))
    })
}

/// The draw of `trace` under `seed`, uniform over `0..10_000`.
const fn draw(trace: TraceId, seed: u64) -> u16 {
    draw_of(mix(trace.low ^ mix(trace.high ^ mix(seed))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sloop_model::{FaultWritten, Share};

    fn rule(seed: u64, share: u16, expires_at_ms: u64) -> FaultRule {
        FaultRule::try_from(FaultWritten {
            id: "a".into(),
            seed,
            share: Share::try_from(share).unwrap(),
            delay_ms: None,
            abort_status: Some(503),
            expires_at_ms: WallTime::from_millis(expires_at_ms),
        })
        .unwrap()
    }

    fn trace(number: u64) -> TraceId {
        TraceId {
            high: 0,
            low: number,
        }
    }

    const BEFORE: WallTime = WallTime::from_millis(99);

    #[test]
    fn the_share_is_kept_even_for_ids_that_count_up() {
        let rules = [rule(7, 1_000, 100)];
        let hit = (1..=10_000).filter(|id| chosen(&rules, trace(*id), BEFORE).is_some());
        let hit = hit.count();
        assert!((900..1_100).contains(&hit), "{hit}");
    }

    #[test]
    fn another_seed_chooses_others() {
        let both = (1..=10_000)
            .map(trace)
            .filter(|id| draw(*id, 1) < 1_000 && draw(*id, 2) < 1_000)
            .count();
        assert!((50..200).contains(&both), "about 1 %: {both}");
    }

    #[test]
    fn none_and_all_are_exact() {
        assert!((1..1_000).all(|id| chosen(&[rule(1, 0, 100)], trace(id), BEFORE).is_none()));
        assert!((1..1_000).all(|id| chosen(&[rule(1, 10_000, 100)], trace(id), BEFORE).is_some()));
    }

    #[test]
    fn the_moment_of_expiry_is_too_late() {
        let rules = [rule(1, 10_000, 100), rule(1, 10_000, 101)];
        assert_eq!(chosen(&rules, trace(1), BEFORE), Some(0));
        assert_eq!(
            chosen(&rules, trace(1), WallTime::from_millis(100)),
            Some(1)
        );
        assert_eq!(chosen(&rules, trace(1), WallTime::from_millis(101)), None);
    }
}
