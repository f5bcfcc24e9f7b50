//! What the table remembers, and for how long.

use super::*;
use crate::headers::{HeaderMap, serialised};
use proptest::prelude::*;
use sloop_model::{Criticality, JoinReach, JoinWritten};

fn table(entries: u32) -> JoinTable {
    let written = JoinWritten {
        entries,
        expires_ms: 1_000,
        reach: JoinReach::Worker,
    };
    JoinTable::new(written.try_into().unwrap())
}

fn key(id: &str) -> Option<RequestKey> {
    let bytes = serialised(&[("x-request-id", id.as_bytes())]);
    RequestKey::of(&Request::read(HeaderMap::new(&bytes)))
}

fn joined(span: u64) -> Joined {
    Joined {
        parent: Parent {
            trace: TraceId { high: 1, low: 2 },
            span,
            flags: Parent::SAMPLED,
        },
        said: Said {
            criticality: Some(Criticality::Sheddable),
            ..Said::default()
        },
    }
}

fn at(millis: u64) -> WallTime {
    WallTime::from_millis(1_800_000_000_000 + millis)
}

#[test]
fn a_request_is_found_under_its_own_id_only() {
    let mut table = table(64);
    let (a, b) = (key("request-a").unwrap(), key("request-b").unwrap());
    table.remember(a, joined(7), at(0));
    assert_eq!(table.find(a, at(1)), Some(joined(7)));
    assert_eq!(table.find(b, at(1)), None);
}

#[test]
fn the_later_of_two_under_one_id_counts() {
    let mut table = table(4);
    let a = key("a").unwrap();
    table.remember(a, joined(7), at(0));
    table.remember(a, joined(8), at(1));
    assert_eq!(table.find(a, at(2)), Some(joined(8)));
}

#[test]
fn nothing_is_found_after_it_expired() {
    let mut table = table(4);
    let a = key("a").unwrap();
    table.remember(a, joined(7), at(0));
    assert!(table.find(a, at(999)).is_some());
    assert!(table.find(a, at(1_000)).is_none());
}

#[test]
fn a_clock_that_goes_backwards_expires_nothing() {
    let mut table = table(4);
    let a = key("a").unwrap();
    table.remember(a, joined(7), at(500));
    assert!(table.find(a, at(0)).is_some());
}

#[test]
fn in_a_full_set_the_oldest_gives_way() {
    let mut table = table(4);
    let keys: Vec<RequestKey> = (0..6).map(|id| key(&format!("r{id}")).unwrap()).collect();
    let found = |table: &JoinTable, now| {
        keys.iter()
            .map(|key| table.find(*key, at(now)).is_some())
            .collect::<Vec<_>>()
    };
    for (index, key) in keys.iter().take(5).enumerate() {
        table.remember(*key, joined(7), at(900 - 100 * index as u64));
    }
    assert_eq!(found(&table, 950), [true, true, true, false, true, false]);
    table.remember(keys[5], joined(7), at(1_600));
    assert_eq!(found(&table, 1_600), [true, true, true, false, false, true]);
}

#[test]
fn after_the_clock_was_set_back_what_is_new_does_not_make_room_for_what_is_newer() {
    let mut table = table(4);
    let keys: Vec<RequestKey> = (0..8).map(|id| key(&format!("r{id}")).unwrap()).collect();
    let (before, after) = keys.split_at(4);
    for key in before {
        table.remember(*key, joined(7), at(60_000));
    }
    for (key, now) in after.iter().zip(0..) {
        table.remember(*key, joined(7), at(now));
    }
    assert!(after.iter().all(|key| table.find(*key, at(4)).is_some()));
    // What expired goes before what holds, whatever the clock showed.
    let newer = key("newer").unwrap();
    table.remember(newer, joined(7), at(1_002));
    let found = |key: &RequestKey| table.find(*key, at(1_002)).is_some();
    assert!(found(&newer) && found(&after[3]) && !found(&after[0]));
}

#[test]
fn a_table_never_holds_more_than_its_entries() {
    let mut table = table(16);
    let keys: Vec<RequestKey> = (0..1_000)
        .map(|id| key(&format!("r{id}")).unwrap())
        .collect();
    for key in &keys {
        table.remember(*key, joined(7), at(0));
    }
    let held = keys.iter().filter(|key| table.find(**key, at(0)).is_some());
    assert_eq!(held.count(), 16);
}

#[test]
fn an_entry_is_as_small_as_the_docs_say() {
    let bytes = size_of::<Option<Remembered>>();
    assert!(bytes <= 120, "{bytes}");
}

#[test]
fn only_an_id_of_a_sensible_length_is_one() {
    assert_eq!(key(""), None);
    assert!(key(&"x".repeat(128)).is_some());
    assert_eq!(key(&"x".repeat(129)), None);
    assert_ne!(key("a"), key("a\0"), "the padding is told from zeros");
}

#[test]
fn ids_spread_over_the_keys_of_shared_data() {
    let slots: std::collections::BTreeSet<[u8; 16]> = (0..4_096)
        .map(|id| key(&format!("r{id}")).unwrap().shared())
        .collect();
    assert!(2_400 < slots.len(), "{}", slots.len());
    assert!(slots.iter().all(|slot| slot.starts_with(b"sloopjn.00000")));
}

#[test]
fn another_worker_finds_it_if_it_is_about_the_same_request() {
    let (a, b) = (key("a").unwrap(), key("b").unwrap());
    let mut bytes = Vec::new();
    table(4).remember(a, joined(7), at(0)).write(&mut bytes);
    let other = table(4);
    assert_eq!(other.find_shared(&bytes, a, at(999)), Some(joined(7)));
    assert_eq!(other.find_shared(&bytes, a, at(1_000)), None);
    assert_eq!(other.find_shared(&bytes, b, at(0)), None);
}

proptest! {
    #[test]
    fn bytes_of_others_never_fail(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Some(entry) = Remembered::read(&bytes) {
            let mut again = Vec::new();
            entry.write(&mut again);
            prop_assert_eq!(Remembered::read(&again), Some(entry));
        }
    }

    #[test]
    fn what_is_written_is_read(words in any::<[u64; 5]>(), flags in 0_u8..4, is_known: bool) {
        let [id, millis, high, low, span] = words;
        let parent = Parent { trace: TraceId { high, low: low.max(1) }, span: span.max(1), flags };
        let parent = if is_known { parent } else { Parent::UNKNOWN };
        let entry = Remembered {
            key: RequestKey(id),
            at: WallTime::from_millis(millis),
            joined: Joined { parent, ..joined(1) },
        };
        let mut bytes = Vec::new();
        entry.write(&mut bytes);
        prop_assert_eq!(Remembered::read(&bytes), Some(entry));
        for cut in 0..bytes.len() - 3 {
            prop_assert_eq!(Remembered::read(&bytes[..cut]), None);
        }
    }
}
