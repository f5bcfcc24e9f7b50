//! Whether arms were drawn by caller instead of by request, and what that costs.
//!
//! An arm is drawn by trace. Where each request has a trace of its own, the requests of a caller fall on both arms by
//! chance. That some callers fare worse than others, or that the fault meets some more, is then no reason to count
//! requests as fewer: clusters matter where they were drawn as wholes (A. Abadie, S. Athey, G. Imbens and J. Wooldridge,
//! "When should you adjust standard errors for clustering?", 2023). Where a caller sends one trace again and again (a
//! batch, a client that makes its trace once), all of its requests have the arm of that trace: callers were drawn.
//!
//! # Were they?
//!
//! Pearson's chi-squared over callers and arms, `sum (f_c - w n_c)^2 / (w (1 - w) n_c)`, with `f_c` of the `n_c` requests of
//! a caller in the arm of the fault and the share `w` of all. Where requests were drawn it has the mean `k - 1` and a
//! variance of about `2 (k - 1)` over `k` callers; beyond [`SIGMAS`] deviations, callers were.
//!
//! # What it costs
//!
//! A second of all reports, which is what bets are on, is a block ([`super::seconds`]): a report may have one caller alone, and so one
//! arm. In a block of `n` requests with the share `p` bad, a caller has `U_c = sum (a_i - w) (y_i - p)` over its requests, with
//! `a_i = 1` in the arm of the fault and `y_i = 1` when bad. Over all ways in which the arms can fall on the block its mean is
//! 0 and its variance `w (1 - w) n / (n - 1) (sum (y_i - p)^2 - (sum (y_i - p))^2 / n)`; of a caller that has the whole block that
//! is the variance of Mantel and Haenszel. The design effect is the sum of squares of what callers have over the run, less the
//! effect, by the sum of variances (as in [`super::Clustering`]), times `k / (k - 1)` because the effect is estimated from
//! them. Whoever fails as a whole may be so rare that none was seen, although the arms differ by it; so [`ALIKE_BEFORE`] more callers are
//! taken to be there whose requests end alike. Without that an effect of exactly what is tolerated was surely below it in 6 % of runs.
//! Callers of different size count as fewer: `k = (sum v)^2 / sum v^2` (Kish, 1965). Below [`CALLERS_MIN`] of them
//! nobody can tell how alike their requests end; then they count as if all of a caller's ended alike, which is the
//! largest that the design effect can be: `sum (f_c - w n_c)^2 / sum w (1 - w) n_c`. There is no other bound: who
//! sends one trace for an hour is one draw, however many requests that are.
//!
//! Sidecars count in the same way: of a service that calls, each of many may send a trace of its own, and of one that is called, each may be
//! asked by callers of one arm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Block;
use super::clustering::{Cluster, Sums};

/// What was seen of callers, or of sidecars, over the whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Callers(BTreeMap<u32, Caller>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Caller {
    cluster: Cluster,
    faulted: f64,
    total: f64,
}

/// Callers share so many clusters: larger ones are still independent, and this many are enough to tell.
const CALLERS_MAX: u32 = 64;
/// Below so many callers of one size a ratio of variances is noise: with ten it scatters by `sqrt(2 / 10)`.
const CALLERS_MIN: f64 = 10.0;
/// So many callers beside those that were seen are taken to be there, all of whose requests end alike.
const ALIKE_BEFORE: f64 = 1.0;
/// As everywhere else where something is called sure.
const SIGMAS: f64 = 3.0;

impl Callers {
    /// Counts what the caller with this key had, and says the number that it has here.
    pub(super) fn count(&mut self, key: u32, own: Block) -> u32 {
        let number = key % CALLERS_MAX;
        let caller = self.0.entry(number).or_default();
        caller.faulted += own.fault.total;
        caller.total += own.fault.total + own.control.total;
        number
    }

    /// Takes in what callers, by their numbers, had in the block `whole`.
    pub(super) fn join(&mut self, whole: Block, parts: &BTreeMap<u32, Block>) {
        for (number, own) in parts {
            if let Some(cluster) = Cluster::part(whole, *own) {
                self.0.entry(*number).or_default().cluster.join(cluster);
            }
        }
    }

    /// How many are told apart, at most [`CALLERS_MAX`].
    pub(super) fn told_apart(&self) -> usize {
        self.0.len()
    }

    /// The design effect where it surely is above 1, whether or not callers were drawn.
    pub(super) fn surely(&self) -> f64 {
        self.sums().surely()
    }

    fn sums(&self) -> Sums {
        let all = self.0.values();
        all.fold(Sums::default(), |sums, one| sums.with(one.cluster))
    }

    /// How many requests count as one because callers were drawn; 1 where requests were.
    pub(super) fn effect(&self) -> f64 {
        let Some(largest) = self.drawn() else {
            return 1.0;
        };
        let clusters = self.of_one_size();
        if clusters < CALLERS_MIN {
            return largest;
        }
        let ratio = self.sums().ratio().unwrap_or(1.0) * clusters / (clusters - 1.0);
        let likely = (ALIKE_BEFORE * largest + ratio * clusters) / (ALIKE_BEFORE + clusters);
        likely.clamp(1.0, largest)
    }

    /// How many requests a caller has in its arm at once, if arms were drawn by caller: all of them may end alike.
    pub(super) fn drawn(&self) -> Option<f64> {
        let (share, total) = self.share()?;
        let apart = |one: &Caller| (one.faulted - share * one.total).powi(2);
        let alone = share * (1.0 - share);
        let freedom = self.0.values().filter(|one| 0.0 < one.total).count();
        #[expect(clippy::cast_precision_loss, reason = "at most 64")]
        let freedom = freedom.saturating_sub(1) as f64;
        let by_chance = freedom + SIGMAS * (2.0 * freedom).sqrt();
        if self.chi_squared()? <= by_chance {
            return None;
        }
        let apart: f64 = self.0.values().map(apart).sum();
        Some((apart / (alone * total)).max(1.0))
    }

    /// Pearson's statistic over callers and arms; nothing while an arm is empty.
    pub(super) fn chi_squared(&self) -> Option<f64> {
        let (share, _) = self.share()?;
        let there = self.0.values().filter(|one| 0.0 < one.total);
        let apart = there.map(|one| (one.faulted - share * one.total).powi(2) / one.total);
        Some(apart.sum::<f64>() / (share * (1.0 - share)))
    }

    /// The share of requests in the arm of the fault, and all requests; nothing while an arm is empty.
    fn share(&self) -> Option<(f64, f64)> {
        let all = self.0.values();
        let (faulted, total) = all.fold((0.0, 0.0), |(faulted, total), one| {
            (faulted + one.faulted, total + one.total)
        });
        (0.0 < faulted && faulted < total).then(|| (faulted / total, total))
    }

    /// How many clusters of one size scatter as much as these.
    fn of_one_size(&self) -> f64 {
        let variances = self.0.values().map(|one| one.cluster.variance());
        let (sum, squares) = variances.fold((0.0, 0.0), |(sum, squares), one| {
            (sum + one, squares + one * one)
        });
        if squares <= 0.0 {
            0.0
        } else {
            sum * sum / squares
        }
    }
}
