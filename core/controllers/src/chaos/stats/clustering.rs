//! Whether requests of an arm fail together.
//!
//! If the bad requests of a block fell on the two arms by chance
//! alone, their number in the arm of the fault would have the hypergeometric distribution (N. Mantel and
//! W. Haenszel, "Statistical aspects of the analysis of data from retrospective studies of disease", 1959):
//! mean `n_b K / n` and variance `n_a n_b K (n - K) / (n^2 (n - 1))`, with `K` bad of `n`.
//! The design effect (L. Kish, "Survey Sampling", 1965) is how much larger the variance
//! really is: the sum of squares, over clusters, of what is beyond the mean and the effect, by the sum of the
//! variances (K. Liang and S. Zeger, "Longitudinal data analysis using generalized linear models", 1986). Common bad luck
//! of both arms is in the mean, so it does not count; only what makes requests of one arm alike does.
//!
//! The block of which a cluster is a part is the whole second, of all reports ([`Second`]): bets are on all that came, and a report,
//! a sidecar or a caller may have one arm alone. Seconds that have one arm alone belong to the next one.
//!
//! # What is a cluster
//!
//! | clusters | what they find |
//! |---|---|
//! | reports, of one VM on one scope | tries of one request at one sidecar |
//! | seconds, of all sidecars | a trace that meets many sidecars at once |
//! | sidecars, over the whole run | bad requests of one arm that stay with a sidecar, and sidecars that have one arm ([`Callers`]) |
//! | callers, over the whole run | a caller that sends one trace again and again, and so has one arm ([`Callers`]) |
//!
//! The largest design effect counts. Callers are told apart where reports name them (the dimension `caller`), and on the
//! client's side, where a sidecar's service is the caller; otherwise they are not, and whoever shows a result says so.
//!
//! # While little is known
//!
//! Reports and seconds begin as if [`BEFORE`] of them had shown groups of [`EFFECT_BEFORE`], and what they show is taken a
//! standard deviation larger than it is: a ratio of variances scatters by `sqrt(2 / clusters)`. Chosen by simulation, so that
//! requests in groups of eight, too, stop falsely less than once in twenty while the groups are being learned of; a
//! fault that fails half of the requests of its arm is then seen after four reports instead of three. Neither they nor sidecars
//! are believed beyond [`EFFECT_MAX`], but where sidecars were drawn. Sidecars are few, and the fault may really do more on one than on
//! another, so where they were not theirs counts only when there are [`CLUSTERS_MIN`] and it is above 1 by two standard deviations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::{ExperimentKey, WallTime};

use super::Block;
use super::callers::Callers;
use super::seconds::Second;

/// What was seen of clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Clustering {
    /// Of seconds that are over.
    over: Clusters,
    /// Seconds of which reports may still come.
    open: BTreeMap<u64, Second>,
}

/// Clusters of each kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Clusters {
    reports: Sums,
    seconds: Sums,
    sidecars: Callers,
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
    pub(super) clusters: f64,
    pub(super) squares: f64,
    pub(super) products: f64,
    pub(super) weights: f64,
    pub(super) beyond: f64,
    pub(super) weight: f64,
    pub(super) variance: f64,
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
/// What is so many seconds ahead of a report was said before the clock stepped back: no report is on its way for longer.
pub(super) const AHEAD_MAX: u64 = 60;
/// Below so many clusters a ratio of variances is noise.
const CLUSTERS_MIN: f64 = 20.0;

/// Takes the second out of which nothing more comes, when a report of the second `newest` has come: the oldest one, or, where the clock
/// stepped back, the first that was before that.
pub(super) fn take_over<T>(open: &mut BTreeMap<u64, T>, newest: u64) -> Option<(u64, T)> {
    if open.len() <= OPEN_MAX {
        return None;
    }
    let ahead = open.range(newest.saturating_add(AHEAD_MAX)..).next();
    match ahead.map(|(number, _)| *number) {
        Some(number) => open.remove_entry(&number),
        None => open.pop_first(),
    }
}

impl Clustering {
    /// Takes in the block that the sidecar `node` reported at `at`, and what each caller that is known had in it, by its key.
    pub(in super::super) fn take(
        &mut self,
        block: Block,
        at: WallTime,
        node: &str,
        callers: &[(ExperimentKey, Block)],
    ) {
        let number = at.as_millis() / 1_000;
        let second = self.open.entry(number).or_default();
        second.take(block);
        let sidecar = (ExperimentKey::of(node), block);
        let over = &mut self.over;
        let of_sidecar = (&mut over.sidecars, &mut second.sidecars, &[sidecar][..]);
        let of_callers = (&mut over.callers, &mut second.callers, callers);
        for (all, in_second, parts) in [of_sidecar, of_callers] {
            for (key, own) in parts {
                let place = all.count(key.bits(), *own);
                let sum = in_second.entry(place).or_default();
                *sum = sum.plus(*own);
            }
        }
        self.close_oldest(number);
    }

    /// Takes in a block of which nobody asks whose it is.
    pub(super) fn take_alone(&mut self, block: Block, at: WallTime) {
        if 0.0 < block.control.total + block.fault.total {
            let number = at.as_millis() / 1_000;
            let second = self.open.entry(number).or_default();
            second.take(block);
            self.close_oldest(number);
        }
    }

    /// Takes in the oldest second when nothing more comes of it; a report of the second `newest` has come. What has one arm alone
    /// belongs to the next one.
    fn close_oldest(&mut self, newest: u64) {
        if let Some((_, over)) = take_over(&mut self.open, newest)
            && !self.over.take(&over)
            && let Some(mut next) = self.open.first_entry()
        {
            next.get_mut().join(&over);
        }
    }

    /// The same when nothing more comes of any second.
    fn clusters(&self) -> Clusters {
        let mut all = self.over.clone();
        let mut before: Option<Second> = None;
        for second in self.open.values() {
            let joined = before.take().map(|mut before| {
                before.join(second);
                before
            });
            let second = joined.as_ref().unwrap_or(second);
            if !all.take(second) {
                before = Some(second.clone());
            }
        }
        all
    }

    /// How many callers are told apart, at most 64.
    pub(in super::super) fn callers(&self) -> usize {
        self.over.callers.told_apart()
    }

    /// How many requests count as one: at least 1, and above 10 only where arms were drawn by caller or sidecar.
    pub(in super::super) fn effect(&self) -> f64 {
        let all = self.clusters();
        let effects = [
            all.reports.bound(),
            all.seconds.bound(),
            all.sidecars.surely(),
            all.sidecars.effect(),
            all.callers.effect(),
        ];
        effects.into_iter().fold(1.0, f64::max)
    }

    /// How many requests count as one because arms were drawn by caller or sidecar, whoever of its requests ends alike: 1 where
    /// requests were drawn.
    pub(in super::super) fn by_caller(&self) -> f64 {
        let drawn = [&self.over.callers, &self.over.sidecars].map(Callers::drawn);
        drawn.into_iter().flatten().fold(1.0, f64::max)
    }

    /// What [`Self::effect`] comes to after `seconds` in which nothing comes in groups, with so many requests a second in the control arm
    /// and in that of the fault: each arm has one in a second with the chance `1 - exp(-rate)`, and a cluster lasts until both had one.
    pub(in super::super) fn planned(seconds: f64, (control, fault): (f64, f64)) -> f64 {
        let [control, fault] = [control, fault].map(|rate| 1.0 - (-rate.max(1e-9)).exp());
        let either = control + fault - control * fault;
        let lasts = 1.0 / control + 1.0 / fault - 1.0 / either;
        bound(1.0, seconds.max(0.0) / lasts)
    }

    /// How much varies in the reports: of counts of the same requests, the larger it is, the better its design effect is known.
    pub(super) fn variance(&self) -> f64 {
        self.by_report().variance
    }

    /// Sums over reports.
    pub(super) fn by_report(&self) -> Sums {
        self.clusters().reports
    }
}

impl Clusters {
    /// Takes in a second, if it has both arms.
    fn take(&mut self, second: &Second) -> bool {
        let (Some(reports), Some(cluster)) = (second.by_report(), second.cluster()) else {
            return false;
        };
        self.reports = self.reports.plus(reports);
        self.seconds.add(cluster);
        self.sidecars.join(second.whole, &second.sidecars);
        self.callers.join(second.whole, &second.callers);
        true
    }
}

impl Cluster {
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

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            clusters: self.clusters + other.clusters,
            squares: self.squares + other.squares,
            products: self.products + other.products,
            weights: self.weights + other.weights,
            beyond: self.beyond + other.beyond,
            weight: self.weight + other.weight,
            variance: self.variance + other.variance,
        }
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
    pub(super) fn surely(self) -> f64 {
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
