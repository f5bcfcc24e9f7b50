//! What another worker remembered of a request, and ids of requests.
//!
//! An input is the bytes in Envoy's shared data; they are an `x-request-id` as well.

use sloop_dataplane::context::{JoinTable, Joined, Parent, Remembered, RequestKey, Said, TraceId};
use sloop_dataplane::{HeaderMap, Request, serialised};
use sloop_model::{JoinReach, JoinSettings, JoinWritten, WallTime};

const NOW: WallTime = WallTime::from_millis(1_800_000_000_000);

/// Version, key and moment of an entry: those of the request that asks, in an answer to it.
const ADDRESS: core::ops::Range<usize> = 1..17;

/// What is taken survives being written, and is a place in a trace.
pub fn check(data: &[u8]) {
    let own = key(data);
    assert_eq!(own.is_some(), (1..=128).contains(&data.len()));
    assert!(own.is_none_or(|key| key.shared().starts_with(b"sloopjn.0000")));
    if let Some(entry) = Remembered::read(data) {
        let mut written = Vec::new();
        entry.write(&mut written);
        assert_eq!(Remembered::read(&written), Some(entry));
        assert!(written.len() <= 42 + 256);
    }
    check_found(data);
}

fn key(id: &[u8]) -> Option<RequestKey> {
    let headers = serialised(&[("x-request-id", id)]);
    RequestKey::of(&Request::read(HeaderMap::new(&headers)))
}

/// Lets a request find the entry, as if it had been written for it.
fn check_found(data: &[u8]) {
    let mut table = table();
    let (key, other) = (key(b"a").unwrap(), key(b"b").unwrap());
    let mut written = Vec::new();
    table.remember(key, joined(), NOW).write(&mut written);
    let mut entry = data.to_vec();
    let Some(address) = entry.get_mut(ADDRESS) else {
        return;
    };
    address.copy_from_slice(&written[ADDRESS]);
    let found = table.find_shared(&entry, key, NOW);
    assert_eq!(found.is_some(), Remembered::read(&entry).is_some());
    assert_eq!(table.find_shared(&entry, other, NOW), None);
    let later = WallTime::from_millis(NOW.as_millis() + 1_000);
    assert_eq!(table.find_shared(&entry, key, later), None);
    if let Some(found) = found {
        if found.parent != Parent::UNKNOWN {
            let Parent { trace, span, flags } = found.parent;
            assert!((trace.high | trace.low) != 0 && span != 0 && flags <= 3);
        }
        let mut again = Vec::new();
        table.remember(key, found, NOW).write(&mut again);
        assert_eq!(table.find(key, NOW), Some(found));
        assert_eq!(table.find_shared(&again, key, NOW), Some(found));
    }
}

fn joined() -> Joined {
    Joined {
        parent: Parent {
            trace: TraceId { high: 1, low: 2 },
            span: 3,
            flags: 1,
        },
        said: Said::default(),
    }
}

fn table() -> JoinTable {
    let settings = JoinSettings::try_from(JoinWritten {
        entries: 4,
        expires_ms: 1_000,
        reach: JoinReach::Worker,
    });
    JoinTable::new(settings.unwrap())
}
