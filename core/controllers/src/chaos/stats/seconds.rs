//! What all reports of a second have together, until they are over.
//!
//! A bet is on the requests of all reports that came, not on each report, and a report may have one arm alone: that of a
//! sidecar whose caller sends one trace, or one with little traffic. So whatever is a cluster is compared with its whole second, and a second
//! that has one arm alone belongs to the next one.
//!
//! Of reports there may be any number. What a report has beyond the mean, its weight and its variance
//! ([`Cluster::part`]) are linear and quadratic in its four counts, with factors that the whole second says; so sums of counts and of
//! their products are enough for sums over reports, and none is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Block;
use super::clustering::{Cluster, Sums};

/// Reports of a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Second {
    /// All of them.
    pub(super) whole: Block,
    reports: Moments,
    /// What sidecars had, by a number below their most.
    pub(super) sidecars: BTreeMap<u32, Block>,
    /// What callers had, by a number below their most.
    pub(super) callers: BTreeMap<u32, Block>,
}

/// Bad requests in the arm of the fault, all in it, bad ones of both arms, all of both.
type Counts = [f64; 4];

/// Sums over reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Moments {
    reports: f64,
    counts: Counts,
    products: [Counts; 4],
}

impl Second {
    /// Takes in what a report has; nothing of it need be in both arms.
    pub(super) fn take(&mut self, report: Block) {
        self.whole = self.whole.plus(report);
        self.reports.add(report);
    }

    /// Whether an arm is empty.
    pub(super) const fn is_one_armed(&self) -> bool {
        self.whole.control.total == 0.0 || self.whole.fault.total == 0.0
    }

    /// Takes in another one.
    pub(super) fn join(&mut self, other: &Self) {
        self.whole = self.whole.plus(other.whole);
        self.reports.join(&other.reports);
        for (all, more) in [
            (&mut self.sidecars, &other.sidecars),
            (&mut self.callers, &other.callers),
        ] {
            for (key, block) in more {
                let sum = all.entry(*key).or_default();
                *sum = sum.plus(*block);
            }
        }
    }

    /// Sums over its reports, each a cluster of the whole; nothing when an arm is empty.
    pub(super) fn by_report(&self) -> Option<Sums> {
        let (whole, all) = (self.whole, &self.reports);
        let total = whole.control.total + whole.fault.total;
        if self.is_one_armed() {
            return None;
        }
        let faulted = whole.fault.total / total;
        let bad_share = (whole.control.bad + whole.fault.bad) / total;
        // As in `Cluster::part`, by count.
        let beyond = [1.0, -bad_share, -faulted, faulted * bad_share];
        let weight = [0.0, 1.0 - 2.0 * faulted, 0.0, faulted * faulted];
        let beside = [0.0, 0.0, 1.0, -bad_share];
        let squares = [0.0, 0.0, 1.0 - 2.0 * bad_share, bad_share * bad_share];
        let alone = faulted * (1.0 - faulted) * total / (total - 1.0);
        let varies = all.linear(squares) - all.quadratic(beside, beside) / total;
        Some(Sums {
            clusters: all.reports,
            squares: all.quadratic(beyond, beyond).max(0.0),
            products: all.quadratic(beyond, weight),
            weights: all.quadratic(weight, weight),
            beyond: all.linear(beyond),
            weight: all.linear(weight),
            variance: alone * varies.max(0.0),
        })
    }

    /// As one cluster; nothing when an arm is empty.
    pub(super) fn cluster(&self) -> Option<Cluster> {
        Cluster::part(self.whole, self.whole)
    }
}

impl Moments {
    fn add(&mut self, report: Block) {
        let counts = [
            report.fault.bad,
            report.fault.total,
            report.control.bad + report.fault.bad,
            report.control.total + report.fault.total,
        ];
        let products = counts.map(|one| counts.map(|other| one * other));
        self.join(&Self {
            reports: 1.0,
            counts,
            products,
        });
    }

    fn join(&mut self, other: &Self) {
        let add = |sums: &mut Counts, more: &Counts| {
            for (sum, more) in sums.iter_mut().zip(more) {
                *sum += more;
            }
        };
        self.reports += other.reports;
        add(&mut self.counts, &other.counts);
        for (sums, more) in self.products.iter_mut().zip(&other.products) {
            add(sums, more);
        }
    }

    /// The sum of what has these factors.
    fn linear(&self, factors: Counts) -> f64 {
        dot(factors, self.counts)
    }

    /// The sum of products of two such.
    fn quadratic(&self, one: Counts, other: Counts) -> f64 {
        dot(one, self.products.map(|row| dot(other, row)))
    }
}

fn dot(one: Counts, other: Counts) -> f64 {
    one.into_iter()
        .zip(other)
        .map(|(one, other)| one * other)
        .sum()
}
