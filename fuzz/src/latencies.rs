//! Counts of latencies, as reports carry them.
//!
//! An input is such bytes.

use sloop_model::LatencyCounts;

/// Counts above this are written as this.
const COUNT_MAX: u64 = 1 << 60;

/// What is taken ascends, and survives being written.
pub fn check(data: &[u8]) {
    let Ok(counts) = LatencyCounts::try_from(data.to_vec()) else {
        return;
    };
    assert_eq!(counts.as_bytes(), data);
    let read: Vec<_> = counts.iter().collect();
    assert_eq!(counts.is_empty(), read.is_empty());
    assert!(read.is_sorted_by(|one, other| one.0 < other.0));
    assert!(read.iter().all(|(_, count)| 0 < *count));
    let written = LatencyCounts::of(read.iter().copied());
    let capped = read
        .iter()
        .map(|(bucket, count)| (*bucket, *count.min(&COUNT_MAX)));
    assert!(written.iter().eq(capped));
    assert!(
        written.as_bytes().len() <= data.len(),
        "no shorter form than ours"
    );
    let again = LatencyCounts::try_from(written.as_bytes().to_vec());
    assert_eq!(again.as_ref(), Ok(&written));
}
