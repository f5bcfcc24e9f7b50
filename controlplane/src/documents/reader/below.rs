//! Finds the place of something that another reader complained about.

use super::super::tree::Value;
use super::At;

impl<'a> At<'a> {
    /// The value at `path` below this one, as `delay.quantiles[0]`; the nearest one on the way that is there.
    pub(in crate::documents) fn below(&self, path: &str) -> Self {
        let mut here = self.clone();
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match step.strip_suffix(']') {
                Some(index) => index.parse().ok().and_then(|index| here.nth(index)),
                None => here.child(step),
            };
            match next {
                Some(next) => here = next,
                None => break,
            }
        }
        here
    }

    /// The key `name` of this mapping, to speak about it; the mapping itself when it has no such key.
    pub(in crate::documents) fn key(&self, name: &str) -> Self {
        let Value::Map(entries) = &self.node.value else {
            return self.clone();
        };
        let found = entries.iter().find(|entry| entry.key == name);
        found.map_or_else(
            || self.clone(),
            |entry| {
                let mut spot = self.spot.field(name);
                spot.place = entry.place;
                Self::new(&entry.node, spot, self.sink)
            },
        )
    }

    fn child(&self, name: &str) -> Option<Self> {
        if !matches!(self.node.value, Value::Map(_)) {
            return None;
        }
        self.any_fields()?.get(name)
    }

    fn nth(&self, index: usize) -> Option<Self> {
        let Value::List(items) = &self.node.value else {
            return None;
        };
        Some(self.item(index, items.get(index)?))
    }
}
