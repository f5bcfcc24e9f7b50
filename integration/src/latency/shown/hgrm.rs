//! The text format of HdrHistogram's percentiles, which its plotters read.
//!
//! The format is what `outputPercentileDistribution` of the Java library writes
//! (<https://github.com/HdrHistogram/HdrHistogram>): value, percentile, total count, and one over what is above.

use std::fmt::Write as _;

use super::super::open::OpenRow;

/// A row of latency, in microseconds.
#[must_use]
pub fn hgrm(row: &OpenRow) -> String {
    let total: u64 = row.histogram.iter().map(|(_, count)| count).sum();
    let mut text = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n".to_owned();
    let mut reached = 0;
    for (value, count) in &row.histogram {
        reached += count;
        let micros = *value as f64 / 1e3;
        let share = reached as f64 / total.max(1) as f64;
        // Writing into a string cannot fail.
        write!(text, "{micros:12.3} {share:14.12} {reached:10}").ok();
        // Nothing is above the last value, and plotters know its line by that.
        if reached < total {
            write!(text, " {:14.2}", 1.0 / (1.0 - share)).ok();
        }
        text.push('\n');
    }
    let (mean, deviation) = moments(&row.histogram, total);
    let most = row.histogram.last().map_or(0, |(value, _)| *value) as f64 / 1e3;
    let buckets = row.histogram.len();
    write!(
        text,
        "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]\n\
         #[Max     = {most:12.3}, Total count    = {total:12}]\n\
         #[Buckets = {buckets:12}, SubBuckets     = {:12}]\n",
        1
    )
    .ok();
    text
}

/// Mean and standard deviation in microseconds, as if each value lay at the end of its bucket.
fn moments(histogram: &[(u64, u64)], total: u64) -> (f64, f64) {
    if total == 0 {
        return (0.0, 0.0);
    }
    let weighted = |of: &dyn Fn(f64) -> f64| {
        let each = histogram.iter();
        let sum: f64 = each
            .map(|(value, count)| of(*value as f64 / 1e3) * *count as f64)
            .sum();
        sum / total as f64
    };
    let mean = weighted(&|micros| micros);
    let variance = weighted(&|micros| (micros - mean).powi(2));
    (mean, variance.sqrt())
}
