//! What every [`Store`] promises, as a test that each of them runs.

use super::{Batch, Store};

/// `open` opens the same content again each time, after the previous one was dropped.
pub(crate) fn holds_for<S: Store>(open: &mut dyn FnMut() -> S) {
    an_empty_store_has_nothing(&open());
    a_batch_is_there_after_opening_again(open);
    a_prefix_lists_its_own_and_nothing_else(&open());
    the_last_change_of_a_key_counts(&open());
    a_repeated_batch_changes_nothing(&open());
}

fn an_empty_store_has_nothing(store: &dyn Store) {
    assert_eq!(store.get(b"a/1").unwrap(), None);
    assert_eq!(store.list(b"").unwrap(), []);
    store.commit(&Batch::default()).unwrap();
}

fn a_batch_is_there_after_opening_again<S: Store>(open: &mut dyn FnMut() -> S) {
    let mut batch = Batch::default();
    batch.put("a/1", "one");
    batch.put("a/2", "two");
    batch.put("b/1", "other");
    batch.delete("never there");
    open().commit(&batch).unwrap();
    assert_eq!(open().get(b"a/2").unwrap().as_deref(), Some(&b"two"[..]));
}

fn a_prefix_lists_its_own_and_nothing_else(store: &dyn Store) {
    let entry = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert_eq!(
        store.list(b"a/").unwrap(),
        [entry("a/1", "one"), entry("a/2", "two")]
    );
    assert_eq!(store.list(b"c/").unwrap(), []);
    assert_eq!(store.list(b"").unwrap().len(), 3);
}

fn the_last_change_of_a_key_counts(store: &dyn Store) {
    let mut batch = Batch::default();
    batch.put("a/1", "changed");
    batch.delete("a/1");
    let mut newer = Batch::default();
    newer.put("b/1", "newer");
    batch.put("b/1", "older");
    batch.then(newer);
    store.commit(&batch).unwrap();
    assert_eq!(store.get(b"a/1").unwrap(), None);
    assert_eq!(store.get(b"b/1").unwrap().as_deref(), Some(&b"newer"[..]));
}

fn a_repeated_batch_changes_nothing(store: &dyn Store) {
    let mut batch = Batch::default();
    batch.put("a/3", "three");
    batch.delete("a/2");
    store.commit(&batch).unwrap();
    let before = store.list(b"").unwrap();
    store.commit(&batch).unwrap();
    assert_eq!(store.list(b"").unwrap(), before);
}
