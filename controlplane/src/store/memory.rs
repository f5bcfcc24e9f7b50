//! A store for tests: it forgets everything with the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::{Batch, Store, StoreError};

/// A [`Store`] in memory. Clones share their content.
#[derive(Clone, Debug, Default)]
pub(crate) struct InMemory {
    entries: Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>,
}

impl Store for InMemory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries.lock().unwrap().get(key).cloned())
    }

    fn each(&self, prefix: &[u8], see: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let entries = self.entries.lock().unwrap();
        let ours = entries
            .range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix));
        ours.for_each(|(key, value)| see(key, value));
        Ok(())
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut entries = self.entries.lock().unwrap();
        for (key, value) in batch.changes() {
            match value {
                Some(value) => drop(entries.insert(key.to_vec(), value.to_vec())),
                None => drop(entries.remove(key)),
            }
        }
        Ok(())
    }
}

#[test]
fn it_keeps_the_contract() {
    let shared = InMemory::default();
    super::contract::holds_for(&mut || shared.clone());
}
