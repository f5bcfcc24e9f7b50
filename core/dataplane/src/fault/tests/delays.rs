//! Delays are those of their distribution.

use super::*;
use crate::fault::quantiles::Quantiles;
use sloop_model::{Delay, DelaySpread};

fn quantiles(spread: &str) -> Quantiles {
    let spread: DelaySpread = serde_json::from_str(spread).unwrap();
    spread.check().unwrap();
    Quantiles::of(&spread)
}

/// The delay in milliseconds at the quantile `p`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of 2^64; the whole saturates"
)]
fn at(quantiles: &Quantiles, p: f64) -> f64 {
    quantiles.delay((p * 2f64.powi(64)) as u64).as_secs_f64() * 1_000.0
}

/// The largest relative error against `exact` milliseconds over the quantiles from `from` to `to`.
fn error_of(spread: &str, (from, to): (f64, f64), exact: impl Fn(f64) -> f64) -> f64 {
    let quantiles = quantiles(spread);
    let steps = 100_000;
    let parts = (0..=steps).map(|step| from + (to - from) * f64::from(step) / f64::from(steps));
    let errors = parts.map(|p| {
        let exact = exact(p).min(Delay::MAX.as_secs_f64() * 1_000.0);
        (at(&quantiles, p) - exact).abs() / exact
    });
    errors.fold(0.0, f64::max)
}

const MOST: (f64, f64) = (0.03, 0.999);

#[test]
fn exponential_delays_have_the_stated_error() {
    for mean in [20.0, 500.0, 9_000.0] {
        let spread = format!(r#"{{"exponential": {{"mean_ms": {mean}}}}}"#);
        let exact = |p: f64| -mean * (1.0 - p).ln();
        let error = error_of(&spread, MOST, exact);
        assert!(error < 0.005, "{spread}: {error}");
        let error = error_of(&spread, (0.002, 0.03), exact);
        assert!(error < 0.017 + 0.001 / mean / 0.002, "{spread}: {error}");
    }
}

#[test]
fn pareto_delays_have_the_stated_error() {
    for (scale, shape) in [
        (10.0, 1.5),
        (1.0, 0.5),
        (25.0, 3.0),
        (100.0, 100.0),
        (2.0, 0.777),
    ] {
        let spread = format!(r#"{{"pareto": {{"scale_ms": {scale}, "shape": {shape}}}}}"#);
        let exact = |p: f64| scale * (1.0 - p).powf(-1.0 / shape);
        let error = error_of(&spread, (0.0, 0.999), exact);
        assert!(error < 0.003 + 0.001 / scale, "{spread}: {error}");
    }
}

#[test]
fn fixed_and_uniform_delays_are_exact() {
    assert_eq!(error_of(r#"{"fixed_ms": 30}"#, (0.0, 1.0), |_| 30.0), 0.0);
    let error = error_of(
        r#"{"uniform": {"min_ms": 10, "max_ms": 50}}"#,
        (0.0, 1.0),
        |p| 10.0 + 40.0 * p,
    );
    assert!(error < 0.001 / 10.0, "a microsecond: {error}");
}

#[test]
fn empirical_delays_go_through_their_quantiles() {
    let table = quantiles(r#"{"quantiles": [[1000, 5], [5000, 10], [9900, 200], [9990, 9000]]}"#);
    for (p, millis) in [
        (0.0, 5.0),
        (0.1, 5.0),
        (0.3, 7.5),
        (0.5, 10.0),
        (0.745, 105.0),
        (0.99, 200.0),
        (0.999, 9_000.0),
        (0.9999, 9_000.0),
    ] {
        let delay = at(&table, p);
        assert!((delay - millis).abs() < 0.01, "{p}: {delay}");
    }
}

#[test]
fn a_histogram_gives_back_its_counts() {
    let table = quantiles(r#"{"histogram": [[10, 50], [20, 0], [30, 25], [1000, 25], [2000, 0]]}"#);
    for (p, millis) in [
        (0.0, 0.0),
        (0.25, 5.0),
        (0.499_999, 10.0),
        (0.500_001, 20.0),
        (0.625, 25.0),
        (0.75, 30.0),
        (0.999_999, 1_000.0),
    ] {
        let delay = at(&table, p);
        assert!((delay - millis).abs() < 0.01, "{p}: {delay}");
    }
}

#[test]
fn no_delay_is_longer_than_the_longest() {
    for spread in [
        r#"{"pareto": {"scale_ms": 10000, "shape": 0.5}}"#,
        r#"{"pareto": {"scale_ms": 1, "shape": 0.5}}"#,
        r#"{"exponential": {"mean_ms": 10000}}"#,
        r#"{"histogram": [[1, 4294967295], [10000, 4294967295]]}"#,
    ] {
        let longest = quantiles(spread).delay(u64::MAX);
        assert_eq!(longest, Delay::MAX, "{spread}");
    }
}

#[test]
fn longer_quantiles_are_never_shorter() {
    for spread in [
        r#"{"pareto": {"scale_ms": 3, "shape": 1.1}}"#,
        r#"{"exponential": {"mean_ms": 100}}"#,
        r#"{"uniform": {"min_ms": 0, "max_ms": 1}}"#,
        r#"{"histogram": [[1, 1], [2, 0], [10, 3]]}"#,
    ] {
        let quantiles = quantiles(spread);
        let delays = (0..100_000u64).map(|step| quantiles.delay(step << 47));
        assert!(delays.is_sorted(), "{spread}");
    }
}

/// Kolmogorov and Smirnov: the delays of those that a small share chose are uniform too.
#[test]
fn who_is_chosen_says_nothing_about_how_long() {
    let rules = faults(&[named(
        "a",
        100,
        r#"{"delay": {"uniform": {"min_ms": 0, "max_ms": 10000}}}"#,
    )]);
    let mut delays: Vec<f64> = (1..500_000)
        .filter_map(|low| rules.choose(&facts(low), || wall(1)).hit())
        .filter_map(|hit| rules.injection(hit, None)?.delay)
        .map(|delay| delay.as_secs_f64() / 10.0)
        .collect();
    delays.sort_by(f64::total_cmp);
    let count = delays.len() as f64;
    assert!((4_500.0..5_500.0).contains(&count), "{count}");
    let distance = delays
        .iter()
        .enumerate()
        .map(|(rank, delay)| (delay - rank as f64 / count).abs());
    // The quantile 1 - 10^-6 of the statistic is about 2.7 / sqrt(n).
    let largest = distance.fold(0.0, f64::max) * count.sqrt();
    assert!(largest < 2.7, "{largest}");
}

#[test]
fn the_same_trace_waits_as_long_everywhere() {
    let spread = r#"{"delay": {"exponential": {"mean_ms": 100}}, "expires_at_ms": 200}"#;
    let (here, there) = (
        faults(&[rule(spread)]),
        faults(&[named("b", 0, r#"{"control": 1}"#), rule(spread)]),
    );
    let delay = |rules: &Faults, low| {
        let hit = rules.choose(&facts(low), || wall(1)).hit().unwrap();
        rules.injection(hit, None).unwrap().delay
    };
    let all: Vec<_> = (1..50).map(|low| delay(&here, low)).collect();
    assert!((1..50).all(|low| delay(&there, low) == all[usize::try_from(low - 1).unwrap()]));
    assert!(all.windows(2).any(|pair| pair[0] != pair[1]));
}
