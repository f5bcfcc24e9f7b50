//! Our histogram against `hdrhistogram`: nanoseconds, and bytes on the wire.
#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]
#![allow(clippy::print_stdout, reason = "bytes are a result, too")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hdrhistogram::Histogram;
use sloop_dataplane::Latency;

/// Log-normal latencies in microseconds with a median of 2 ms and a sigma of 0.8, always the same.
fn latencies(count: usize) -> Vec<u64> {
    let mut state = 42_u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (f64::from(u32::try_from(state >> 33).unwrap()) + 0.5) / f64::from(1_u32 << 31)
    };
    (0..count)
        .map(|_| {
            // Box-Muller.
            let normal =
                (-2.0 * uniform().ln()).sqrt() * (core::f64::consts::TAU * uniform()).cos();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a few milliseconds"
            )]
            let micros = (2_000.0 * (0.8 * normal).exp()) as u64;
            micros
        })
        .collect()
}

fn ours(latencies: &[u64]) -> Latency {
    let mut histogram = Latency::default();
    for latency in latencies {
        histogram.record(*latency);
    }
    histogram
}

fn theirs(latencies: &[u64]) -> Histogram<u32> {
    let mut histogram = Histogram::new_with_bounds(1, 60_000_000, 2).unwrap();
    for latency in latencies {
        histogram.saturating_record((*latency).clamp(1, 60_000_000));
    }
    histogram
}

/// Pairs of the difference to the value before and the count, as protobuf's packed varints.
fn pairs(histogram: &mut Histogram<u32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut before = 0;
    for step in histogram.iter_recorded() {
        let lowest = histogram.lowest_equivalent(step.value_iterated_to());
        for mut number in [lowest - before, u64::from(step.count_at_value())] {
            while 0x7f < number {
                bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
                number >>= 7;
            }
            bytes.push(u8::try_from(number).unwrap());
        }
        before = lowest;
    }
    histogram.reset();
    bytes
}

fn benches(criterion: &mut Criterion) {
    for samples in [10, 100, 1_000, 10_000] {
        let latencies = latencies(samples);
        println!(
            "{samples} samples: ours {} bytes, HDR as pairs {} bytes",
            ours(&latencies).take().as_bytes().len(),
            pairs(&mut theirs(&latencies)).len(),
        );
    }
    let all = latencies(1_000);
    let (mut our, mut their) = (ours(&all), theirs(&all));
    criterion.bench_function("record 1,000, ours", |bencher| {
        bencher.iter(|| black_box(&all).iter().for_each(|one| our.record(*one)));
    });
    criterion.bench_function("record 1,000, HDR", |bencher| {
        bencher.iter(|| {
            let held = |one: &u64| (*one).clamp(1, 60_000_000);
            let all = black_box(&all).iter().map(held);
            all.for_each(|one| their.saturating_record(one));
        });
    });
    criterion.bench_function("take 1,000 samples, ours", |bencher| {
        bencher.iter_batched_ref(|| ours(&all), Latency::take, BatchSize::LargeInput);
    });
    criterion.bench_function("take 1,000 samples, HDR", |bencher| {
        bencher.iter_batched_ref(|| theirs(&all), pairs, BatchSize::LargeInput);
    });
}

criterion_group!(all, benches);
criterion_main!(all);
