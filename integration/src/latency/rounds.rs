//! When there are enough pairs: which variants get more than were planned, and for how long.
//!
//! What another run must agree on is a variant's share of what `naive` adds; without `naive`, what it
//! adds. Variants that are sure enough of that stop, the others go on together with `naive`, so that both sides of a
//! share are of the same time. The A/A goes on until its error is far below what is refused.
//!
//! How many more is settled once, by the spread of the planned pairs (C. Stein, "A two-sample test for a linear hypothesis
//! whose power is independent of the variance", Annals of Mathematical Statistics 16, 1945). Who looks again and again, and
//! stops when the interval is narrow, stops at accidents: in simulations such intervals held the truth in 84 to 92 of a hundred runs
//! instead of 95.

use std::time::Duration;

use sloop_bench::paired::{self, ERROR_MAX, Estimate, Need, Pair};

use super::result::DISAGREEMENT_MAX;
use super::variants::{AGAIN, NAIVE};

/// In tenths of what the planned pairs say that it takes: their spread is an estimate, too.
const MARGIN_TENTHS: usize = 13;
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

/// What was not sure after the planned pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsure {
    /// The places of variants that get more pairs, `naive` among them where it is needed, and how many.
    more: Vec<(usize, usize)>,
}

impl Unsure {
    /// The places of those that still get a pair after so many `rounds` more; none: that is all.
    pub(super) fn lanes(&self, rounds: usize) -> Vec<usize> {
        let going = self.more.iter().filter(|(_, pairs)| rounds < *pairs);
        going.map(|(lane, _)| *lane).collect()
    }

    /// How long it takes after so many `rounds` more, with so much `per_pair`, but not longer than what `remains` of the time.
    pub(super) fn left(&self, rounds: usize, per_pair: Duration, remains: Duration) -> Duration {
        let left = self.more.iter();
        let pairs: usize = left.map(|(_, pairs)| pairs.saturating_sub(rounds)).sum();
        let pairs = u32::try_from(pairs).unwrap_or(u32::MAX);
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

/// Who gets more pairs after the `planned` of each. `None` when all are sure, or more is not worth it.
pub(super) fn unsure(known: &[Known<'_>], planned: usize) -> Option<Unsure> {
    let naive = known.iter().position(|one| one.name == NAIVE);
    let reference = naive.and_then(|naive| known.get(naive).copied());
    let mut more: Vec<(usize, usize)> = known
        .iter()
        .enumerate()
        .filter_map(|(lane, one)| Some((lane, need(*one, reference, planned)?)))
        .collect();
    let most = more.iter().map(|(_, pairs)| *pairs).max()?;
    let is_alone = more
        .iter()
        .all(|(lane, _)| known.get(*lane).is_some_and(|one| one.name == AGAIN));
    more.extend(naive.filter(|_| !is_alone).map(|naive| (naive, most)));
    Some(Unsure { more })
}

/// How many pairs more one of them needs, if that is any, and not too many.
fn need(of: Known<'_>, naive: Option<Known<'_>>, planned: usize) -> Option<usize> {
    let is_compared = ![AGAIN, NAIVE].contains(&of.name) && of.status < 500;
    let (estimate, error_max) = if of.name == AGAIN {
        (paired::estimate(of.pairs, Pair::ratio), AGAIN_ERROR_MAX)
    } else {
        (compared(of, naive), ERROR_MAX)
    };
    let pairs = of.pairs.len();
    let need = |estimate: Estimate| match estimate.need(error_max, pairs, planned) {
        Need::Pairs(more) => Some(((pairs + more) * MARGIN_TENTHS).div_ceil(10) - pairs),
        Need::Nothing | Need::TooMany => None,
    };
    match estimate {
        Some(estimate) => need(estimate),
        // What `naive` adds is not surely anything yet, so there is no share: both get as many pairs again.
        None if is_compared => {
            paired::estimate(of.pairs, Pair::added)?;
            Some(planned)
        }
        None => None,
    }
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
        assert_eq!(unsure.lanes(0), [0, 2]);
        // An error of a tenth is 2.2 times the bound: five times the pairs and a margin, and as many of `naive`.
        let [(0, cheap), (2, naive)] = unsure.more[..] else {
            panic!("{unsure:?}");
        };
        assert!((260..390).contains(&cheap) && cheap == naive, "{unsure:?}");
        assert_eq!(unsure.lanes(cheap - 1), [0, 2]);
        assert_eq!(unsure.lanes(cheap), [0; 0]);
    }

    #[test]
    fn where_naive_is_lost_in_noise_there_is_more_of_both() {
        let (cheap, naive) = (pairs(60, 10.0, 0.1), pairs(60, 4.0, 5.0));
        let all = [known("raw", &cheap), known(NAIVE, &naive)];
        let more = unsure(&all, PLANNED).unwrap().more;
        assert_eq!(more, [(0, PLANNED), (1, PLANNED)]);
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
        assert_eq!(unsure(&all, PLANNED).unwrap().lanes(0), [0]);
    }

    #[test]
    fn without_naive_it_is_what_is_added_that_must_be_sure() {
        let (mine, refusing) = (pairs(60, 10.0, 1.0), pairs(60, -40.0, 9.0));
        let refusing = Known {
            status: 503,
            ..known("refused", &refusing)
        };
        let all = [known("mine", &mine), refusing];
        assert_eq!(unsure(&all, PLANNED).unwrap().lanes(0), [0]);
        assert!(unsure(&[], PLANNED).is_none());
    }

    #[test]
    fn what_is_left_is_what_is_needed_but_never_more_than_there_is() {
        let unsure = Unsure {
            more: vec![(0, 100), (3, 40)],
        };
        let (pair, second) = (Duration::from_millis(80), Duration::from_secs(1));
        assert_eq!(unsure.left(40, pair, 60 * second), 60 * pair);
        assert_eq!(unsure.left(0, pair, 60 * second), 140 * pair);
        assert_eq!(unsure.left(0, pair, 5 * second), 5 * second);
        assert_eq!(unsure.left(0, Duration::MAX, second), second);
        assert_eq!(unsure.left(100, pair, second), Duration::ZERO);
    }
}
