//! `method`, `caller` and `origin` of a `metricSource`: a name, or a list of names of which any fits.

use sloop_model::{DimensionValue, Selector};

use super::super::reader::{At, quoted};
use super::super::suggest;
use super::super::tree::Value;

/// The methods of HTTP ([RFC 9110, 9](https://www.rfc-editor.org/rfc/rfc9110#section-9), and PATCH of RFC 5789).
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// Methods: sorted, no duplicates.
pub(super) fn methods(at: &At<'_>) -> Option<Vec<DimensionValue>> {
    names(at, check_method)
}

/// Callers: sorted, no duplicates.
pub(super) fn callers(at: &At<'_>) -> Option<Vec<DimensionValue>> {
    names(at, |at, name| {
        if name == DimensionValue::OTHER {
            refuse_other(at, "caller");
        }
    })
}

/// Origins: sorted, no duplicates.
pub(super) fn origins(at: &At<'_>) -> Option<Vec<DimensionValue>> {
    names(at, |at, name| {
        const MAX: usize = DimensionValue::BAGGAGE_BYTES_MAX;
        if MAX < name.len() {
            at.refuse(format!(
                "has {} bytes; of baggage at most {MAX} are read",
                name.len()
            ));
        } else if name == DimensionValue::OTHER {
            refuse_other(at, "origin");
        }
    })
}

/// One name, or a list of at least one; `check` complains about what cannot be.
fn names(at: &At<'_>, check: impl Fn(&At<'_>, &str)) -> Option<Vec<DimensionValue>> {
    let items = match &at.node().value {
        Value::Text(_) => vec![at.clone()],
        Value::List(_) => at.items(Selector::CONDITIONS_MAX)?,
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Map(_) => {
            at.mismatch("a name or a list of names");
            return None;
        }
    };
    if items.is_empty() {
        at.refuse("is an empty list; leave it out to count all");
        return None;
    }
    let mut names = Vec::with_capacity(items.len());
    for item in &items {
        let text = item.text()?;
        match DimensionValue::try_from(text.to_owned()) {
            Ok(name) => {
                check(item, text);
                names.push(name);
            }
            Err(error) => item.refuse(format!("is {}; {error}", quoted(text))),
        }
    }
    names.sort();
    names.dedup();
    Some(names)
}

fn check_method(at: &At<'_>, name: &str) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if METHODS.contains(&name) {
        return;
    }
    if !name.bytes().all(is_token) {
        at.refuse(format!(
            "is {}; it must be a method of HTTP as GET. Those of gRPC are paths: give them a route in a RouteSet",
            quoted(name)
        ));
    } else if let Some(word) = METHODS
        .into_iter()
        .find(|word| word.eq_ignore_ascii_case(name))
    {
        at.refuse(format!(
            "is {}; methods are compared with case: did you mean {word:?}?",
            quoted(name)
        ));
    } else if let Some(word) = suggest::closest(name, &METHODS) {
        at.sink().note(at.spot().says(format!(
            "is {}, which is no method that HTTP itself has; did you mean {word:?}?",
            quoted(name)
        )));
    }
}

fn refuse_other(at: &At<'_>, what: &str) {
    at.refuse(format!(
        "is \"other\", which stands for {what}s that there is no room to tell apart; name the {what} itself"
    ));
}
