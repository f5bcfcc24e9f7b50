//! Envoy's load reports.
//!
//! An input is a `LoadStatsRequest`. What follows another one is part of the same message, so both together must say what
//! both say.

use sloop_xds::rollout::{Health, InvalidLoad, LoadReport};

const CLUSTERS_MAX: usize = 8;

/// Reads `data` whole and in two parts.
pub fn check(data: &[u8]) {
    let all = report(&[]);
    let whole = all.read(data);
    assert_eq!(whole, all.read(data), "it is read alike each time");
    let Ok(whole) = whole else {
        return;
    };
    assert!(whole.failed <= whole.requests, "{whole:?}");
    let some = report(&["sloop_xds"]).read(data);
    let some = some.expect("whose clusters are left out changes nothing else");
    assert!(some.requests <= whole.requests && some.failed <= whole.failed);
    for at in 0..data.len() {
        let (first, second) = data.split_at(at);
        if let (Ok(first), Ok(second)) = (all.read(first), all.read(second)) {
            assert_eq!(
                sum(first, second),
                (whole.requests, whole.failed),
                "cut at {at}"
            );
        }
    }
    let twice = all.read(&[data, data].concat());
    match twice {
        Ok(twice) => assert_eq!(sum(whole, whole), (twice.requests, twice.failed)),
        Err(error) => assert_eq!(error, InvalidLoad::TooManyClusters { max: CLUSTERS_MAX }),
    }
}

fn report(ignored: &[&str]) -> LoadReport {
    LoadReport {
        ignored: ignored.iter().map(|name| (*name).to_owned()).collect(),
        clusters_max: CLUSTERS_MAX,
    }
}

/// Requests and failures.
const fn sum(one: Health, other: Health) -> (u64, u64) {
    (
        one.requests.saturating_add(other.requests),
        one.failed.saturating_add(other.failed),
    )
}
