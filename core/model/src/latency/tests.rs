//! Buckets are where they say, and their counts travel whole.

use super::*;
use hdrhistogram::Histogram;
use proptest::prelude::*;

fn every_bucket() -> impl Iterator<Item = LatencyBucket> {
    (0..LatencyBucket::COUNT).map(|index| LatencyBucket::at(index).unwrap())
}

#[test]
fn buckets_are_neighbours_without_gaps() {
    assert_eq!(LatencyBucket::COUNT, 698);
    assert_eq!(LatencyBucket::at(LatencyBucket::COUNT), None);
    let mut next = 0;
    for (index, bucket) in every_bucket().enumerate() {
        assert_eq!(bucket.index(), index);
        assert_eq!(bucket.lowest_us(), next, "{bucket:?}");
        let ends = [bucket.lowest_us(), bucket.middle_us(), bucket.highest_us()];
        for inside in ends.map(|us| us.min(LatencyBucket::HIGHEST_US)) {
            assert_eq!(LatencyBucket::of(inside), bucket, "{inside}");
        }
        next = bucket.highest_us() + 1;
    }
    assert!(LatencyBucket::HIGHEST_US < next);
}

#[test]
fn what_is_beyond_a_minute_counts_as_a_minute() {
    let last = LatencyBucket::of(LatencyBucket::HIGHEST_US);
    assert_eq!(LatencyBucket::of(u64::MAX), last);
    assert_eq!(LatencyBucket::of(u64::from(u32::MAX) + 1), last);
    assert_eq!(last.index(), LatencyBucket::COUNT - 1);
}

/// Each bucket lies within one group of the finer histogram's: what was moved there can be moved back.
#[test]
fn moving_into_an_hdr_histogram_loses_nothing() {
    for digits in [2, 3] {
        let mut hdr = Histogram::<u64>::new_with_bounds(1, 120_000_000, digits).unwrap();
        for bucket in every_bucket().skip(1) {
            hdr.record_n(bucket.middle_us(), bucket.index() as u64)
                .unwrap();
        }
        let back: Vec<_> = hdr
            .iter_recorded()
            .map(|step| {
                let lowest = hdr.lowest_equivalent(step.value_iterated_to());
                (LatencyBucket::of(lowest), step.count_at_value())
            })
            .collect();
        let sent: Vec<_> = every_bucket()
            .skip(1)
            .map(|b| (b, b.index() as u64))
            .collect();
        assert_eq!(back, sent, "{digits} digits");
    }
}

#[test]
fn a_neighbour_with_few_counts_is_one_byte() {
    let bucket = |index| LatencyBucket::at(index).unwrap();
    let bytes = |counts: &[(usize, u64)]| {
        let counts = counts.iter().map(|(index, count)| (bucket(*index), *count));
        LatencyCounts::of(counts).as_bytes().to_vec()
    };
    assert!(bytes(&[]).is_empty());
    assert_eq!(bytes(&[(0, 1)]), [0]);
    assert_eq!(bytes(&[(0, 1), (1, 16), (8, 1)]), [0, 15 << 3, 6]);
    assert_eq!(bytes(&[(7, 1)]), [7, 0]);
    assert_eq!(bytes(&[(200, 1)]), [7, 0xc1, 1]);
    assert_eq!(bytes(&[(0, 17)]), [0x80, 1]);
    assert!(bytes(&[(3, 0)]).is_empty());
}

#[test]
fn what_no_histogram_wrote_is_refused() {
    let refusal = |bytes: &[u8]| LatencyCounts::try_from(bytes.to_vec()).unwrap_err();
    assert_eq!(refusal(&[0x80]), InvalidLatencies::Number { at: 0 });
    assert_eq!(refusal(&[0, 7]), InvalidLatencies::Number { at: 2 });
    assert_eq!(refusal(&[0xff; 11]), InvalidLatencies::Number { at: 0 });
    assert_eq!(
        refusal(&[7, 0xb3, 5]).to_string(),
        "latencies: bucket 698 does not exist; there are 698"
    );
    let beyond = [[7, 0xff].as_slice(), &[0xff; 8], &[1]].concat();
    assert!(matches!(refusal(&beyond), InvalidLatencies::Bucket { .. }));
    assert!(LatencyCounts::try_from(vec![7, 0xb2, 5]).is_ok());
}

proptest! {
    #[test]
    fn the_middle_is_never_off_by_more_than_a_sixty_fourth(
        latency_us in 0..=LatencyBucket::HIGHEST_US,
    ) {
        let bucket = LatencyBucket::of(latency_us);
        prop_assert!(bucket.lowest_us() <= latency_us && latency_us <= bucket.highest_us());
        prop_assert!(bucket.middle_us().abs_diff(latency_us) <= latency_us / 64);
    }

    #[test]
    fn longer_is_never_in_a_lower_bucket(one in any::<u64>(), other in any::<u64>()) {
        let (short, long) = (one.min(other), one.max(other));
        prop_assert!(LatencyBucket::of(short) <= LatencyBucket::of(long));
    }

    #[test]
    fn counts_always_arrive_as_they_were(
        counts in prop::collection::btree_map(0..LatencyBucket::COUNT, 1u64..1 << 60, 0..200),
    ) {
        let sent: Vec<_> = counts
            .into_iter()
            .map(|(index, count)| (LatencyBucket::at(index).unwrap(), count))
            .collect();
        let bytes = LatencyCounts::of(sent.iter().copied()).as_bytes().to_vec();
        let read = LatencyCounts::try_from(bytes).unwrap();
        prop_assert_eq!(read.iter().collect::<Vec<_>>(), sent);
    }

    #[test]
    fn bytes_of_any_kind_never_fail_otherwise(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(read) = LatencyCounts::try_from(bytes) {
            prop_assert!(read.iter().zip(read.iter().skip(1)).all(|(one, next)| one.0 < next.0));
        }
    }
}
