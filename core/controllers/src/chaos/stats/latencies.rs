//! Latencies of an arm, and whether requests are slow together.
//!
//! A pause of a sidecar makes all requests of a second slow. Where it meets both arms it is no evidence that they differ
//! ([`super::Differing`]), but an arm then tells less of its own latencies than it has requests. So moments are clusters:
//! seconds, of all sidecars, and spells of ten seconds.
//!
//! # What that costs
//!
//! Of `m` clusters with `n_i` requests, `x_i` of them at most as long as a latency, the share is `p = sum x_i / sum n_i`, and its
//! design effect `m / (m - 1) sum (x_i - p n_i)^2 / (p (1 - p) sum n_i)`; requests and those among them that are at most as long are
//! divided by it (J. N. K. Rao and A. J. Scott, "A simple method for the analysis of clustered binary data", Biometrics 48, 1992). Each quantile has
//! its own, at the latency where it is: pauses may be in the tail alone.
//!
//! Sums are kept for each latency that was seen, so nothing need be known of quantiles beforehand. One that comes later was
//! as far up in earlier clusters as the next shorter one.
//!
//! # While little is known
//!
//! Seconds begin as [`super::Clustering`] does, and what they show is taken a standard deviation larger. A ratio of variances scatters by `sqrt(2 / k)` after `k`
//! clusters of a normal distribution. In the tail counts are small, and the square of a binomial count beside its mean scatters by
//! `2 v^2 + v (1 - 6 p (1 - p))` with `v = n p (1 - p)`: that makes `k = (sum n)^2 / (sum n^2 + sum n (1 / (p (1 - p)) - 6) / 2)`,
//! about twice as many as there are requests in the tail. Spells count only when they are surely above 1, as sidecars do there.
//! That takes at least twenty of them, so 200 s, and longer in the tail: until then bands are too narrow where
//! pauses last longer than a second. What is rarer than a run is long, nobody knows of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::WallTime;

use super::clustering::{AHEAD_MAX, bound, surely, take_over};
use super::quantile::{Quantiles, count};

/// Latencies of an arm: microseconds, and how many requests had them.
pub(super) type Histogram = BTreeMap<u64, u64>;

/// Latencies of an arm over a run. Bounded by how many buckets there are ([`sloop_model::LatencyBucket`]), some times over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Latencies {
    all: Histogram,
    /// Of seconds that are over.
    seconds: Moments,
    /// Seconds of which reports may still come.
    open: BTreeMap<u64, Histogram>,
    /// Of spells that are over.
    spells: Moments,
    /// The number of the spell that goes on, and what is over of it.
    spell: (u64, Histogram),
}

/// Sums over clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Moments {
    clusters: f64,
    requests: f64,
    /// Of squares of requests.
    squares: f64,
    /// By latency: of those that are at most as long.
    within: BTreeMap<u64, Within>,
}

/// Sums of the requests of each cluster that are at most as long as a latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Within {
    requests: f64,
    squares: f64,
    /// With all requests of the cluster.
    products: f64,
}

/// Long enough to hold a pause of several seconds, and short enough that a run of minutes has twenty.
const SPELL_SECONDS: u64 = 10;

impl Latencies {
    /// Takes in latencies that a sidecar reported at `at`, in microseconds and how many requests had them.
    pub(in super::super) fn take(&mut self, latencies: &[(u64, u64)], at: WallTime) {
        if latencies.is_empty() {
            return;
        }
        let newest = at.as_millis() / 1_000;
        let second = self.open.entry(newest).or_default();
        for (us, count) in latencies {
            for all in [&mut *second, &mut self.all] {
                let sum = all.entry(*us).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
        if let Some((second, over)) = take_over(&mut self.open, newest) {
            self.close(second, over);
        }
    }

    fn close(&mut self, second: u64, over: Histogram) {
        self.seconds.add(&over);
        let (number, spell) = &mut self.spell;
        let own = second / SPELL_SECONDS;
        // What is late, as that of a sidecar whose clock is behind, joins the spell that goes on; what comes after the clock stepped back does not.
        if *number < own || own + AHEAD_MAX / SPELL_SECONDS < *number {
            self.spells.add(spell);
            *number = own;
            spell.clear();
        }
        for (us, count) in over {
            let sum = spell.entry(us).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// All of them.
    pub(in super::super) const fn all(&self) -> &Histogram {
        &self.all
    }

    /// Their quantiles, where at least so many requests count as one.
    pub(in super::super) fn quantiles(&self, at_least: f64) -> Quantiles {
        let mut seconds = self.seconds.clone();
        self.open.values().for_each(|second| seconds.add(second));
        Quantiles::of(&self.all, |us| {
            let by_second = bound(seconds.effect(us).unwrap_or(1.0), seconds.known(us));
            let by_spell = surely(self.spells.effect(us), self.spells.known(us));
            at_least.max(by_second).max(by_spell)
        })
    }
}

impl Moments {
    /// Takes in a cluster that is over.
    pub(super) fn add(&mut self, cluster: &Histogram) {
        let requests = count(cluster);
        if requests == 0.0 {
            return;
        }
        for us in cluster.keys() {
            if !self.within.contains_key(us) {
                let shorter = self.within.range(..us).next_back();
                let before = shorter.map_or_else(Within::default, |(_, within)| *within);
                self.within.insert(*us, before);
            }
        }
        let mut below = 0.0;
        let mut ahead = cluster.iter().peekable();
        for (us, within) in &mut self.within {
            while let Some((_, count)) = ahead.next_if(|(next, _)| *next <= us) {
                #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
                let count = *count as f64;
                below += count;
            }
            within.requests += below;
            within.squares += below * below;
            within.products += below * requests;
        }
        self.clusters += 1.0;
        self.requests += requests;
        self.squares += requests * requests;
    }

    /// The share that took at most so long, and its sums; nothing when that is none or all.
    fn share(&self, us: u64) -> Option<(f64, &Within)> {
        let (_, within) = self.within.range(..=us).next_back()?;
        let share = within.requests / self.requests;
        (0.0 < share && share < 1.0).then_some((share, within))
    }

    /// The design effect of the share that took at most so long; nothing when nothing varies.
    pub(super) fn effect(&self, us: u64) -> Option<f64> {
        let (share, within) = self.share(us)?;
        if self.clusters < 2.0 {
            return None;
        }
        let beside = within.squares - 2.0 * share * within.products + share * share * self.squares;
        let alone = share * (1.0 - share) * self.requests;
        Some(self.clusters / (self.clusters - 1.0) * beside.max(0.0) / alone)
    }

    /// How many clusters of a normal distribution would tell as much of it.
    pub(super) fn known(&self, us: u64) -> f64 {
        let Some((share, _)) = self.share(us) else {
            return 0.0;
        };
        let tail = (1.0 / (share * (1.0 - share)) - 6.0).max(0.0);
        self.requests * self.requests / (self.squares + self.requests * tail / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_whose_clock_is_behind_does_not_cut_spells_short() {
        let mut latencies = Latencies::default();
        for second in 1_000..1_040 {
            for clock in [second, second - 10] {
                latencies.take(&[(500, 3), (900, 2)], WallTime::from_millis(clock * 1_000));
            }
        }
        assert!(
            latencies.spells.clusters <= 4.0,
            "{}",
            latencies.spells.clusters
        );
    }
}
