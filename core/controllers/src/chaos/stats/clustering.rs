//! Whether requests of an arm fail together.
//!
//! A block is what one report of one VM of a sidecar says of one scope. If its bad requests fell on the two arms by chance
//! alone, their number in the arm of the fault would have the hypergeometric distribution (N. Mantel and
//! W. Haenszel, "Statistical aspects of the analysis of data from retrospective studies of disease", 1959):
//! mean `n_b K / n` and variance `n_a n_b K (n - K) / (n^2 (n - 1))`, with `K` bad of `n`.
//! The design effect (L. Kish, "Survey Sampling", 1965) is how much larger the variance
//! really is: the sum of squares, over clusters, of what is beyond the mean and the effect, by the sum of the
//! variances (K. Liang and S. Zeger, "Longitudinal data analysis using generalized linear models", 1986). Common bad luck
//! of both arms is in the mean, so it does not count; only what makes requests of one arm alike does.
//!
//! # What is a cluster
//!
//! | clusters | what they find |
//! |---|---|
//! | blocks | tries of one request at one sidecar |
//! | seconds, of all sidecars | a trace that meets many sidecars at once |
//! | sidecars, over the whole run | bad requests of one arm that stay with a sidecar |
//! | callers, over the whole run | a caller that sends one trace again and again, and so has one arm ([`Callers`]) |
//!
//! The largest design effect counts. Callers are told apart where reports name them (the dimension `caller`), and on the
//! client's side, where a sidecar's service is the caller; otherwise they are not, and whoever shows a result says so.
//!
//! # While little is known
//!
//! Blocks and seconds begin as if [`BEFORE`] of them had shown groups of [`EFFECT_BEFORE`], and what they show is taken a
//! standard deviation larger than it is: a ratio of variances scatters by `sqrt(2 / clusters)`. Chosen by simulation, so that
//! requests in groups of eight, too, stop falsely less than once in twenty while the groups are being learned of; a
//! fault that fails half of the requests of its arm is then seen after four reports instead of three. Neither they nor sidecars
//! are believed beyond [`EFFECT_MAX`]. Sidecars are few, and the fault may really do more on one than on
//! another, so theirs counts only when there are [`CLUSTERS_MIN`] and it is above 1 by two standard deviations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::{ExperimentKey, WallTime};

use super::Block;
use super::callers::Callers;

/// What was seen of clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Clustering {
    reports: Sums,
    /// Seconds that are over.
    seconds: Sums,
    /// Seconds of which reports may still come.
    open: BTreeMap<u64, Cluster>,
    sidecars: BTreeMap<u32, Cluster>,
    callers: Callers,
}

/// Blocks that belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cluster {
    /// Bad requests in the arm of the fault that are beyond the mean.
    beyond: f64,
    /// By how many they would be more, were the effect between the arms 1.
    weight: f64,
    variance: f64,
}

/// Sums over clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    clusters: f64,
    squares: f64,
    products: f64,
    weights: f64,
    beyond: f64,
    weight: f64,
    variance: f64,
}

/// How large groups are taken to be before anything was seen: a request, two more tries, and one that asks twice.
const EFFECT_BEFORE: f64 = 4.0;
/// So many clusters are taken to have shown that.
const BEFORE: f64 = 5.0;
/// Beside clusters that were seen, for the scatter of few.
const SCATTER: f64 = 10.0;
/// Groups larger than this are not believed: retries and fan-out are below it.
const EFFECT_MAX: f64 = 10.0;
/// Reports of one second come within so many: intervals are a second, and clocks differ.
pub(super) const OPEN_MAX: usize = 4;
/// Below so many clusters a ratio of variances is noise.
const CLUSTERS_MIN: f64 = 20.0;
/// Sidecars share so many clusters: larger clusters are still independent, and this many are enough to tell.
const SIDECARS_MAX: u32 = 64;

impl Clustering {
    /// Takes in the block that the sidecar `node` reported at `at`.
    pub(in super::super) fn take(&mut self, block: Block, at: WallTime, node: &str) {
        self.take_from(block, at, sidecar(node));
    }

    /// The same of a sidecar by its number ([`sidecar`]).
    pub(super) fn take_from(&mut self, block: Block, at: WallTime, sidecar: u32) {
        let Some(cluster) = Cluster::of(block) else {
            return;
        };
        self.reports.add(cluster);
        let second = self.open.entry(at.as_millis() / 1_000).or_default();
        second.join(cluster);
        if OPEN_MAX < self.open.len()
            && let Some((_, over)) = self.open.pop_first()
        {
            self.seconds.add(over);
        }
        self.sidecars.entry(sidecar).or_default().join(cluster);
    }

    /// Takes what each caller that has a name had in a block, by the key of the name.
    pub(in super::super) fn take_callers(
        &mut self,
        whole: Block,
        callers: &[(ExperimentKey, Block)],
    ) {
        for (key, own) in callers {
            self.callers.take(whole, key.bits(), *own);
        }
    }

    /// How many callers are told apart, at most 64.
    pub(in super::super) fn callers(&self) -> usize {
        self.callers.count()
    }

    /// How many requests count as one: at least 1, and above 10 only where arms were drawn by caller.
    pub(in super::super) fn effect(&self) -> f64 {
        let with = |sums: Sums, clusters: &mut dyn Iterator<Item = &Cluster>| {
            clusters.fold(sums, |sums, cluster| sums.with(*cluster))
        };
        let seconds = with(self.seconds, &mut self.open.values());
        let sidecars = with(Sums::default(), &mut self.sidecars.values());
        let all = [
            self.reports.bound(),
            seconds.bound(),
            sidecars.surely(),
            self.callers.effect(),
        ];
        all.into_iter().fold(1.0, f64::max)
    }

    /// How many requests count as one because arms were drawn by caller, whoever of its requests ends alike: 1 where requests were drawn.
    pub(in super::super) fn by_caller(&self) -> f64 {
        self.callers.drawn().unwrap_or(1.0)
    }

    /// What [`Self::effect`] comes to after `seconds` in which nothing comes in groups.
    pub(in super::super) fn planned(seconds: f64) -> f64 {
        bound(1.0, seconds.max(0.0))
    }

    /// How much varies in the reports: of counts of the same requests, the larger it is, the better its design effect is known.
    pub(super) const fn variance(&self) -> f64 {
        self.reports.variance
    }

    /// Sums over reports.
    #[cfg(test)]
    pub(super) const fn by_report(&self) -> Sums {
        self.reports
    }
}

impl Cluster {
    /// A block alone; nothing when an arm is empty.
    fn of(block: Block) -> Option<Self> {
        Self::part(block, block)
    }

    /// What `own`, some requests of a block, have in it; nothing when an arm of the block is empty.
    pub(super) fn part(whole: Block, own: Block) -> Option<Self> {
        let total = whole.control.total + whole.fault.total;
        if whole.control.total == 0.0 || whole.fault.total == 0.0 || total < 2.0 {
            return None;
        }
        let faulted = whole.fault.total / total;
        let bad_share = (whole.control.bad + whole.fault.bad) / total;
        let (requests, bad) = (
            own.control.total + own.fault.total,
            own.control.bad + own.fault.bad,
        );
        let beyond = bad - bad_share * requests;
        let squares = bad * (1.0 - bad_share).powi(2) + (requests - bad) * bad_share.powi(2);
        let spread = faulted * (1.0 - faulted);
        Some(Self {
            beyond: own.fault.bad - bad_share * own.fault.total - faulted * beyond,
            weight: own.fault.total * (1.0 - faulted).powi(2) + own.control.total * faulted.powi(2),
            variance: spread * total / (total - 1.0) * (squares - beyond * beyond / total),
        })
    }

    pub(super) const fn variance(self) -> f64 {
        self.variance
    }

    #[cfg(test)]
    pub(super) const fn beyond(self) -> f64 {
        self.beyond
    }

    pub(super) fn join(&mut self, other: Self) {
        self.beyond += other.beyond;
        self.weight += other.weight;
        self.variance += other.variance;
    }
}

/// The number of the sidecar that `node` is, below [`SIDECARS_MAX`].
pub(super) fn sidecar(node: &str) -> u32 {
    ExperimentKey::of(node).bits() % SIDECARS_MAX
}

/// The design effect that `clusters` with this `ratio` of variances may have, at least 1.
pub(super) fn bound(ratio: f64, clusters: f64) -> f64 {
    let likely = (EFFECT_BEFORE * BEFORE + ratio * clusters) / (BEFORE + clusters);
    let scatter = (2.0 / (clusters + SCATTER)).sqrt();
    likely.max(1.0) * (1.0 + scatter)
}

/// The `ratio` of variances of `clusters`, where they are enough to tell and it is above 1 by two standard deviations; 1 otherwise.
pub(super) fn surely(ratio: Option<f64>, clusters: f64) -> f64 {
    let by_chance = 1.0 + 2.0 * (2.0 / clusters.max(1.0)).sqrt();
    let known = ratio.filter(|_| CLUSTERS_MIN <= clusters);
    known.filter(|ratio| by_chance < *ratio).unwrap_or(1.0)
}

impl Sums {
    pub(super) fn with(mut self, cluster: Cluster) -> Self {
        self.add(cluster);
        self
    }

    fn add(&mut self, cluster: Cluster) {
        let Cluster {
            beyond,
            weight,
            variance,
        } = cluster;
        self.clusters += 1.0;
        self.squares += beyond * beyond;
        self.products += beyond * weight;
        self.weights += weight * weight;
        self.beyond += beyond;
        self.weight += weight;
        self.variance += variance;
    }

    /// The ratio of variances; nothing while nothing varies.
    pub(super) fn ratio(self) -> Option<f64> {
        if self.variance <= 0.0 || self.weight <= 0.0 {
            return None;
        }
        // The effect between the arms moves each cluster by as much as its weight.
        let moved = self.beyond / self.weight;
        let squares = self.squares - 2.0 * moved * self.products + moved * moved * self.weights;
        Some(squares / self.variance)
    }

    /// The design effect that it may be.
    fn bound(self) -> f64 {
        bound(self.ratio().unwrap_or(1.0), self.clusters).min(EFFECT_MAX)
    }

    /// The design effect, where it surely is above 1.
    fn surely(self) -> f64 {
        surely(self.ratio(), self.clusters).min(EFFECT_MAX)
    }

    /// The statistic of Mantel and Haenszel, without correction for continuity: chi-squared with one degree of freedom
    /// when there is no effect.
    #[cfg(test)]
    pub(super) fn mantel_haenszel(self) -> f64 {
        self.beyond * self.beyond / self.variance
    }

    /// The mean square of what is beyond the mean, and the mean variance.
    #[cfg(test)]
    pub(super) fn mean_square_and_variance(self) -> (f64, f64) {
        (self.squares / self.clusters, self.variance / self.clusters)
    }
}
