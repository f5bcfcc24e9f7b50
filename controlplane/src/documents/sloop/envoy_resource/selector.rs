//! Which nodes get a resource.

use sloop_xds::fleet::{Condition, Selector};

use super::super::super::reader::At;
use super::super::super::tree::Value;

/// Values in one list of a selector.
const VALUES_MAX: usize = 256;

/// Reads a selector.
pub(super) fn read(at: &At<'_>) -> Option<Selector> {
    let fields = at.fields(&["clusters", "ids", "metadata", "locality"])?;
    let clusters = fields.get("clusters").map(|at| texts(&at));
    let ids = fields.get("ids").map(|at| texts(&at));
    let metadata = fields.get("metadata").map(|at| read_metadata(&at));
    let locality = fields.get("locality").map(|at| read_locality(&at));
    let mut all = metadata.unwrap_or_else(|| Some(Vec::new()))?;
    all.extend(locality.unwrap_or_else(|| Some(Vec::new()))?);
    let ids = ids.unwrap_or_else(|| Some(Vec::new()))?;
    Some(Selector {
        clusters: clusters.unwrap_or_else(|| Some(Vec::new()))?,
        ids: ids.into_iter().map(Condition::Id).collect(),
        all,
    })
}

fn read_metadata(at: &At<'_>) -> Option<Vec<Condition>> {
    let fields = at.any_fields()?;
    let read = |(name, at): (&str, At<'_>)| {
        let value = match &at.node().value {
            Value::Text(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Null | Value::List(_) | Value::Map(_) => {
                at.refuse("must be a text, a number, true or false");
                return None;
            }
        };
        Some(Condition::Metadata(name.to_owned(), value))
    };
    fields.all().map(read).collect()
}

fn read_locality(at: &At<'_>) -> Option<Vec<Condition>> {
    let fields = at.fields(&["region", "zone", "sub_zone"])?;
    let region = fields.get("region").map(|at| (at, Of::Region));
    let zone = fields.get("zone").map(|at| (at, Of::Zone));
    let sub_zone = fields.get("sub_zone").map(|at| (at, Of::SubZone));
    let given = [region, zone, sub_zone].into_iter().flatten();
    given
        .map(|(at, of)| {
            let text = at.text()?.to_owned();
            Some(match of {
                Of::Region => Condition::Region(text),
                Of::Zone => Condition::Zone(text),
                Of::SubZone => Condition::SubZone(text),
            })
        })
        .collect()
}

/// A part of a locality.
#[derive(Clone, Copy)]
enum Of {
    Region,
    Zone,
    SubZone,
}

/// An empty list would choose every node, which is said by leaving it out.
fn texts(at: &At<'_>) -> Option<Vec<String>> {
    let items = at.items(VALUES_MAX)?;
    if items.is_empty() {
        at.refuse("has 0 items; leave it out to choose all nodes");
        return None;
    }
    items
        .iter()
        .map(|item| item.text().map(str::to_owned))
        .collect()
}
