//! Which of many comparisons found something, with a bounded share of false ones.
//!
//! e-BH (R. Wang and A. Ramdas, "False discovery rate control with e-values", JRSS B, 2022): of `m` e-values, the `k` largest
//! are discoveries for the largest `k` of which the k-th is at least `m / (alpha k)`. The expected share of
//! false ones among them is at most `alpha`, however the comparisons depend on each other: routes share callers, seconds and hosts.
//!
//! It takes e-values: what e-processes have won when one looks, not the most that they ever had won, which
//! is above 1 on average. So a discovery may be taken back by what comes later.

/// Which of the hypotheses with these logarithms of e-values are rejected.
pub(in super::super) fn discoveries(logs: &[f64], alpha: f64) -> Vec<bool> {
    let mut sorted = logs.to_vec();
    sorted.sort_by(|one, other| other.total_cmp(one));
    let mut level = f64::INFINITY;
    let mut rank = 0.0;
    #[expect(clippy::cast_precision_loss, reason = "hundreds of comparisons")]
    let all = logs.len() as f64;
    for log in sorted {
        rank += 1.0;
        let wanted = (all / (alpha * rank)).ln();
        if wanted <= log {
            level = wanted;
        }
    }
    logs.iter().map(|log| level <= *log).collect()
}
