//! Nothing is lost, and quantiles are as exact as the buckets promise.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn recorded(micros: &[u64]) -> Latency {
    let mut latency = Latency::default();
    for one in micros {
        latency.record(*one);
    }
    latency
}

fn taken(micros: &[u64]) -> Vec<(u64, u64)> {
    let counts = recorded(micros).take();
    counts
        .iter()
        .map(|(bucket, count)| (bucket.middle_us(), count))
        .collect()
}

#[test]
fn the_ends_of_the_range_hold() {
    assert_eq!(taken(&[0, 1, 63]), [(0, 1), (1, 1), (63, 1)]);
    let longest = taken(&[60_000_000, u64::MAX]);
    assert_eq!(longest.len(), 1);
    assert_eq!(longest[0].1, 2);
}

#[test]
fn taking_leaves_nothing() {
    let mut latency = recorded(&[1_000]);
    assert_eq!(latency.take().iter().count(), 1);
    assert!(latency.take().is_empty());
}

#[test]
fn memory_is_as_the_docs_say() {
    let table = size_of::<[Option<Box<[u32; PAGE]>>; PAGES]>();
    assert_eq!((PAGES, size_of::<[u32; PAGE]>()), (22, 128));
    // On Wasm a pointer has half of it.
    assert_eq!(table / size_of::<usize>() * 4 + PAGES * 128, 2_904);
    let pages = |latency: &Latency| latency.pages.iter().flatten().count();
    assert_eq!(pages(&Latency::default()), 0);
    assert_eq!(pages(&recorded(&[2_048, 3_000, 4_095])), 1);
}

#[test]
fn a_bucket_that_is_full_carries() {
    let mut latency = recorded(&[5]);
    let full = u64::from(u32::MAX);
    latency.pages[0].as_mut().unwrap()[5] = u32::MAX;
    latency.record(5);
    latency.record(5);
    assert_eq!(
        latency.iter().map(|one| one.1).collect::<Vec<_>>(),
        [full + 2]
    );
    let mut twice = Latency::default();
    twice.fold(&latency);
    twice.fold(&latency);
    assert_eq!(
        twice.iter().map(|one| one.1).collect::<Vec<_>>(),
        [2 * full + 4]
    );
    assert_eq!(twice.take().iter().next().unwrap().1, 2 * full + 4);
    assert!(twice.take().is_empty(), "nothing stays carried");
}

proptest! {
    #[test]
    fn nothing_is_lost_and_the_error_is_at_most_a_sixty_fourth(
        micros in prop::collection::vec(0u64..60_000_000, 1..100),
    ) {
        let taken = taken(&micros);
        let count: u64 = taken.iter().map(|(_, count)| count).sum();
        prop_assert_eq!(count, micros.len() as u64);
        prop_assert!(taken.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let mut sorted = micros;
        sorted.sort_unstable();
        let mut values = taken.iter().flat_map(|(value, count)| {
            std::iter::repeat_n(*value, usize::try_from(*count).unwrap())
        });
        for exact in sorted {
            let value = values.next().unwrap();
            prop_assert!(value.abs_diff(exact) <= exact / 64, "{value} {exact}");
        }
    }

    #[test]
    fn folding_is_recording_both(
        one in prop::collection::vec(0u64..100_000_000, 0..50),
        other in prop::collection::vec(0u64..100_000_000, 0..50),
    ) {
        let mut folded = recorded(&one);
        folded.fold(&recorded(&other));
        prop_assert_eq!(folded.take(), recorded(&[one, other].concat()).take());
    }
}

/// Where the answers of HdrHistogram for Java are, if they are anywhere. They are not part of this repository.
fn golden() -> Option<Value> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let folder = std::env::var_os("SLOOP_CONFORMANCE").map_or_else(
        || {
            beside()
                .map(|up| up.join("../shared/conformance"))
                .find(|folder| folder.exists())
        },
        |folder| Some(PathBuf::from(folder)),
    )?;
    let text = std::fs::read_to_string(folder.join("hdr/hdr-golden.json")).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

/// The values of a synthetic set, by the generators that the golden file describes.
fn generated(kind: &str, highest: u64) -> Vec<u64> {
    let mut state = 42_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    match kind {
        "linear" => (1..=10_000).collect(),
        "constant" => vec![777; 1_000],
        "two-point" => [vec![100; 9_990], vec![90_000; 10]].concat(),
        "uniform" => (0..10_000).map(|_| 1 + next() % 100_000).collect(),
        "longtail" => (0..10_000)
            .map(|_| highest.min(100 + 50_000_000 / (1 + next() % 1_000_000)))
            .collect(),
        "powers" => (0..64)
            .map(|bit| 1 << bit)
            .take_while(|one| *one <= highest)
            .collect(),
        "one" => vec![12_345],
        "empty" => vec![],
        "zeros" => [vec![0; 10], vec![5]].concat(),
        "spike" => {
            let mut values: Vec<u64> = (0..100_000).map(|_| 250 + next() % 8).collect();
            values.push(59_000);
            values
        }
        other => panic!("no generator {other}"),
    }
}

/// The value at the nearest rank; `percentile` is a decimal text, so that the rank is exact.
fn at(counts: &LatencyCounts, percentile: &str) -> Option<u64> {
    let (whole, part) = percentile.split_once('.').unwrap_or((percentile, ""));
    let thousandths: u128 = format!("{whole}{part:0<3}").parse().unwrap();
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let rank = (u128::from(total) * thousandths).div_ceil(100_000).max(1);
    let mut seen = 0;
    counts.iter().find_map(|(bucket, count)| {
        seen += u128::from(count);
        (rank <= seen).then(|| bucket.middle_us())
    })
}

#[test]
fn quantiles_are_those_of_hdr_histogram_within_the_stated_error() {
    let Some(golden) = golden() else {
        let _seen = writeln!(
            std::io::stderr(),
            "SKIPPED: no conformance data; set SLOOP_CONFORMANCE"
        );
        return;
    };
    let mut compared = 0;
    for set in golden["synthetic"].as_array().unwrap() {
        let kind = set["kind"].as_str().unwrap();
        let values = generated(kind, set["highest"].as_u64().unwrap());
        let counts = recorded(&values).take();
        assert_eq!(
            values.len() as u64,
            set["count"].as_u64().unwrap(),
            "{kind}"
        );
        for (percentile, exact) in set["exact_nearest_rank"].as_object().unwrap() {
            // Longer than a minute counts as a minute.
            let exact = exact.as_u64().unwrap().min(LatencyBucket::HIGHEST_US);
            let ours = at(&counts, percentile).unwrap();
            assert!(
                ours.abs_diff(exact) <= exact / 64
                    || LatencyBucket::of(exact) == LatencyBucket::of(u64::MAX),
                "{kind} p{percentile}: {ours} instead of {exact}"
            );
            compared += 1;
        }
    }
    assert!(500 < compared, "only {compared} quantiles");
}
