//! What another worker remembered of a request, and ids of requests.
//!
//! An input is the bytes in Envoy's shared data; they are an `x-request-id` as well.

use sloop_dataplane::context::{JoinTable, Remembered, RequestKey};
use sloop_dataplane::{HeaderMap, Request, serialised};
use sloop_model::{JoinSettings, JoinWritten, WallTime};

/// What is taken survives being written, and is found by nobody who asks for something else.
pub fn check(data: &[u8]) {
    let headers = serialised(&[("x-request-id", data)]);
    let key = RequestKey::of(&Request::read(HeaderMap::new(&headers)));
    assert_eq!(key.is_some(), (1..=128).contains(&data.len()));
    assert!(key.is_none_or(|key| key.shared().starts_with(b"sloopjn.0000")));
    let Some(entry) = Remembered::read(data) else {
        return;
    };
    let mut written = Vec::new();
    entry.write(&mut written);
    assert_eq!(Remembered::read(&written), Some(entry));
    assert!(written.len() <= 42 + 256);
    let now = WallTime::from_millis(1_800_000_000_000);
    let mut table = table();
    let Some(key) = key else {
        return;
    };
    if let Some(joined) = table.find_shared(data, key, now) {
        table.remember(key, joined, now);
        assert_eq!(table.find(key, now), Some(joined));
    }
}

fn table() -> JoinTable {
    JoinTable::new(
        JoinSettings::try_from(JoinWritten {
            entries: 4,
            expires_ms: 1_000,
            reach: Default::default(),
        })
        .unwrap(),
    )
}
