//! What a request proves to a breaker or a shedder that judges by objectives.
//!
//! Both know outcomes. So what objectives say is told them as an outcome that proves the same:
//!
//! | `judge` | objectives say | served | failed |
//! |---|---|---|---|
//! | `objectives` | bad | failed | as it is |
//! | | good | as it is | served |
//! | | nothing: none counts it | no evidence | no evidence |
//! | `both` | bad | failed | as it is |
//! | | good, or nothing | as it is | as it is |
//!
//! An outcome that is no evidence stays what it is: the filter answered itself, or the caller gave up, which is slow
//! if it took too long. Whether what was answered took too long is left to `slow_us`, too: breakers and shedders
//! treat what is slow in another way than what fails.

use core::time::Duration;

use sloop_model::{Ended, Judge, Judgement, Objective, Outcome, whole_micros};

/// What those of `objectives` that guard say about a request that took `own`, but for its slowness: bad when any does, nothing
/// when none counts it.
#[cold]
pub(super) fn said<'a>(
    objectives: impl Iterator<Item = (usize, &'a Objective)>,
    ended: &Ended,
    outcome: Outcome,
    own: Duration,
) -> Judgement {
    let own_us = whole_micros(own);
    let mut said = Judgement::NotCounted;
    for (_, objective) in objectives.filter(|(_, one)| one.guards.is_some()) {
        let in_time = objective.slow_us().map_or(own_us, |most| own_us.min(most));
        match objective.judge(ended, outcome, in_time) {
            Judgement::NotCounted => {}
            Judgement::Good => said = Judgement::Good,
            Judgement::Bad => return Judgement::Bad,
        }
    }
    said
}

/// The outcome that proves, to one who knows outcomes alone, what `outcome` proves by `judge`, of which objectives
/// `said` something. Where none guards it proves what it is.
pub(super) fn of(outcome: Outcome, judge: Judge, said: Option<Judgement>) -> Outcome {
    let Some(said) = said.filter(|_| outcome.is_evidence()) else {
        return outcome;
    };
    match (judge, said) {
        (Judge::Objectives | Judge::Both, Judgement::Bad) if outcome.is_served() => {
            Outcome::ServerError
        }
        (Judge::Objectives, Judgement::Good) if !outcome.is_served() => Outcome::ClientError,
        (Judge::Objectives, Judgement::NotCounted) => Outcome::Blocked,
        (Judge::Outcomes | Judge::Objectives | Judge::Both, _) => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Judgement::{Bad, Good, NotCounted};

    #[test]
    fn it_is_that_of_the_table() {
        let (served, failed) = (Outcome::Success, Outcome::Timeout);
        for (judge, said, of_served, of_failed) in [
            (Judge::Objectives, Bad, Outcome::ServerError, failed),
            (Judge::Objectives, Good, served, Outcome::ClientError),
            (
                Judge::Objectives,
                NotCounted,
                Outcome::Blocked,
                Outcome::Blocked,
            ),
            (Judge::Both, Bad, Outcome::ServerError, failed),
            (Judge::Both, Good, served, failed),
            (Judge::Both, NotCounted, served, failed),
            (Judge::Outcomes, Bad, served, failed),
            (Judge::Outcomes, NotCounted, served, failed),
        ] {
            assert_eq!(
                of(served, judge, Some(said)),
                of_served,
                "{judge:?} {said:?}"
            );
            assert_eq!(
                of(failed, judge, Some(said)),
                of_failed,
                "{judge:?} {said:?}"
            );
        }
    }

    #[test]
    fn what_is_no_evidence_never_becomes_any() {
        for outcome in Outcome::ALL.into_iter().filter(|one| !one.is_evidence()) {
            for said in [NotCounted, Good, Bad] {
                assert_eq!(of(outcome, Judge::Objectives, Some(said)), outcome);
                assert_eq!(of(outcome, Judge::Both, Some(said)), outcome);
            }
        }
    }

    #[test]
    fn outcomes_judge_where_no_objective_guards() {
        for outcome in Outcome::ALL {
            assert_eq!(of(outcome, Judge::Objectives, None), outcome);
        }
    }

    #[test]
    fn the_names_mean_what_the_table_says() {
        assert!(Outcome::ServerError.is_evidence() && !Outcome::ServerError.is_served());
        assert!(Outcome::ClientError.is_evidence() && Outcome::ClientError.is_served());
        assert!(!Outcome::Blocked.is_evidence() && !Outcome::Blocked.shows_slowness());
    }
}
