//! When there are enough pairs: which variants get more than were planned, and for how long.
//!
//! What another run must agree on is a variant's share of what `naive` adds; without `naive`, what it
//! adds. Variants that are sure enough of that stop, the others go on together with `naive`, so that both sides of a
//! share are of the same time. The A/A goes on until its error is far below what is refused. Looks are [`LOOK`] rounds
//! apart: who stops at the first moment that looks good, stops at accidents.

use std::time::Duration;

use sloop_bench::paired::{self, ERROR_MAX, Estimate, Need, Pair};

use super::result::DISAGREEMENT_MAX;
use super::variants::{AGAIN, NAIVE};

/// Rounds between two looks.
pub(super) const LOOK: usize = 10;
/// How unsure the A/A may be: a third of what it may be off by.
const AGAIN_ERROR_MAX: f64 = DISAGREEMENT_MAX / 3.0;

/// What is known of one variant so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) name: &'a str,
    /// The status of its answers.
    pub(super) status: u16,
    pub(super) pairs: &'a [Pair],
}

/// What is not sure yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsure {
    /// The places of variants that get more pairs, `naive` among them where it is needed.
    pub(super) lanes: Vec<usize>,
    /// Pairs that it takes in all until they are sure, if the noise stays what it is.
    pub(super) pairs: usize,
}

impl Unsure {
    /// How long it takes with so much `per_pair`, but not longer than what `remains` of the time.
    pub(super) fn left(&self, per_pair: Duration, remains: Duration) -> Duration {
        let pairs = u32::try_from(self.pairs).unwrap_or(u32::MAX);
        per_pair.saturating_mul(pairs).min(remains)
    }
}

/// What another run must agree on: the share of `naive`'s, or what is added. `None` for the A/A, for variants that
/// refuse, and for `naive`, whose error is in the shares of all others.
pub(super) fn compared(of: Known<'_>, naive: Option<Known<'_>>) -> Option<Estimate> {
    if [AGAIN, NAIVE].contains(&of.name) || 500 <= of.status {
        return None;
    }
    match naive {
        Some(naive) => paired::share_of(of.pairs, naive.pairs),
        None => paired::estimate(of.pairs, Pair::added),
    }
}

/// Who gets more pairs after `planned` of each. `None` when all are sure, or more is not worth it.
///
/// Who has stopped does not go on: its pairs would be of another time than `naive`'s.
pub(super) fn unsure(known: &[Known<'_>], planned: usize) -> Option<Unsure> {
    let longest = known.iter().map(|one| one.pairs.len()).max()?;
    let naive = known.iter().position(|one| one.name == NAIVE);
    let reference = naive.and_then(|naive| known.get(naive).copied());
    let need = |of: Known<'_>| {
        let (estimate, error_max) = if of.name == AGAIN {
            (paired::estimate(of.pairs, Pair::ratio), AGAIN_ERROR_MAX)
        } else {
            (compared(of, reference), ERROR_MAX)
        };
        match estimate?.need(error_max, of.pairs.len(), planned) {
            Need::Pairs(pairs) => Some(pairs),
            Need::Nothing | Need::TooMany => None,
        }
    };
    let going = known.iter().enumerate();
    let going = going.filter(|(_, one)| one.pairs.len() == longest);
    let mut needs: Vec<(usize, usize)> = going
        .filter_map(|(lane, one)| Some((lane, need(*one)?)))
        .collect();
    let most = needs.iter().map(|(_, pairs)| *pairs).max()?;
    let is_alone = needs
        .iter()
        .all(|(lane, _)| known.get(*lane).is_some_and(|one| one.name == AGAIN));
    needs.extend(naive.filter(|_| !is_alone).map(|naive| (naive, most)));
    Some(Unsure {
        pairs: needs.iter().map(|(_, pairs)| pairs).sum(),
        lanes: needs.into_iter().map(|(lane, _)| lane).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANNED: usize = 60;

    /// Pairs that add `micros`, give or take `noise` by turns of three.
    fn pairs(count: usize, micros: f64, noise: f64) -> Vec<Pair> {
        let turn = |index: usize| [-1.0, 0.0, 1.0][index / 3 % 3];
        let pair = |index| Pair {
            baseline: 80.0,
            variant: 80.0 + micros + noise * turn(index),
        };
        (0..count).map(pair).collect()
    }

    fn known<'a>(name: &'a str, pairs: &'a [Pair]) -> Known<'a> {
        Known {
            name,
            status: 200,
            pairs,
        }
    }

    #[test]
    fn when_all_are_sure_nobody_goes_on() {
        let (zero, cheap, naive) = (
            pairs(60, 0.0, 0.1),
            pairs(60, 10.0, 0.4),
            pairs(60, 30.0, 0.5),
        );
        let all = [
            known(AGAIN, &zero),
            known("raw", &cheap),
            known(NAIVE, &naive),
        ];
        assert_eq!(unsure(&all, PLANNED), None);
    }

    #[test]
    fn who_is_unsure_goes_on_with_what_it_is_a_share_of() {
        let (cheap, sure, naive) = (
            pairs(60, 10.0, 1.0),
            pairs(60, 20.0, 0.1),
            pairs(60, 30.0, 0.1),
        );
        let all = [
            known("raw", &cheap),
            known("lua", &sure),
            known(NAIVE, &naive),
        ];
        let unsure = unsure(&all, PLANNED).unwrap();
        assert_eq!(unsure.lanes, [0, 2]);
        // An error of a tenth is 2.2 times the bound: five times the pairs, and as many of `naive`.
        assert!((400..600).contains(&unsure.pairs), "{unsure:?}");
    }

    #[test]
    fn who_has_stopped_stays_away() {
        let (stopped, going, naive) = (
            pairs(60, 10.0, 1.0),
            pairs(70, 10.0, 1.0),
            pairs(70, 30.0, 0.1),
        );
        let all = [
            known("raw", &stopped),
            known("otel", &going),
            known(NAIVE, &naive),
        ];
        assert_eq!(unsure(&all, PLANNED).unwrap().lanes, [1, 2]);
    }

    #[test]
    fn what_is_lost_in_noise_takes_no_time_from_others() {
        let (lost, naive) = (pairs(60, 1.0, 5.0), pairs(60, 30.0, 0.1));
        let all = [known("nothing", &lost), known(NAIVE, &naive)];
        assert_eq!(unsure(&all, PLANNED), None);
    }

    #[test]
    fn an_unsure_error_of_the_table_goes_on_alone() {
        let (again, naive) = (pairs(60, 0.0, 0.6), pairs(60, 30.0, 0.1));
        let all = [known(AGAIN, &again), known(NAIVE, &naive)];
        assert_eq!(unsure(&all, PLANNED).unwrap().lanes, [0]);
    }

    #[test]
    fn without_naive_it_is_what_is_added_that_must_be_sure() {
        let (mine, refusing) = (pairs(60, 10.0, 1.0), pairs(60, -40.0, 9.0));
        let refusing = Known {
            status: 503,
            ..known("refused", &refusing)
        };
        let all = [known("mine", &mine), refusing];
        assert_eq!(unsure(&all, PLANNED).unwrap().lanes, [0]);
        assert!(unsure(&[], PLANNED).is_none());
    }

    #[test]
    fn what_is_left_is_what_is_needed_but_never_more_than_there_is() {
        let unsure = Unsure {
            lanes: vec![0],
            pairs: 100,
        };
        let (pair, second) = (Duration::from_millis(80), Duration::from_secs(1));
        assert_eq!(unsure.left(pair, 60 * second), 8 * second);
        assert_eq!(unsure.left(pair, 5 * second), 5 * second);
        assert_eq!(unsure.left(Duration::MAX, second), second);
    }
}
