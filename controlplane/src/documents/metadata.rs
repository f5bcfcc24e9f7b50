//! `metadata`, which all kinds share, and our annotations in it.

use std::collections::BTreeMap;

use super::reader::{At, Fields, Spot, quoted};
use super::suggest;
use super::tree::Value;

/// The prefix of the annotations that are ours.
const PREFIX: &str = "sloop.dev/";
/// The annotation that says whether Sloop acts on an SLO.
pub(super) const MODE: &str = "sloop.dev/mode";
/// The annotation that says how long the requests of an SLO have.
pub(super) const DEADLINE: &str = "sloop.dev/deadline";
/// The annotation that says whether an alert policy tells of orders to breakers, too.
pub(super) const ACTING: &str = "sloop.dev/alert-when-acting";
/// All that are ours.
const OURS: [&str; 3] = [MODE, DEADLINE, ACTING];
/// The longest display name in characters, by OpenSLO's specification.
const DISPLAY_NAME_CHARS_MAX: usize = 63;
/// The longest name in bytes, by RFC 1123.
const NAME_BYTES_MAX: usize = 63;
/// Labels, and as many annotations, of one document that are kept: whoever routes alerts has a few, and each is sent with
/// each alert.
const KEPT_MAX: usize = 32;
/// The longest value of a label that is kept, in bytes: four times as long as its key may be.
const LABEL_BYTES_MAX: usize = 256;
/// The longest value of an annotation that is kept, in bytes: a paragraph, or the address of a runbook.
const ANNOTATION_BYTES_MAX: usize = 1_024;
/// The longest prefix of an annotation's key in characters, by OpenSLO's specification.
const PREFIX_CHARS_MAX: usize = 253;

/// Who a document is.
#[derive(Clone, Debug)]
pub(super) struct Metadata<'a> {
    pub(super) name: String,
    pub(super) name_spot: Spot,
    pub(super) display_name: Option<String>,
    /// All labels, in the order of the document.
    pub(super) labels: Vec<Pair<'a>>,
    /// All annotations that are not ours, in the order of the document.
    pub(super) annotations: Vec<Pair<'a>>,
    /// The value of [`MODE`], where it is given.
    pub(super) mode: Option<At<'a>>,
    /// The value of [`DEADLINE`], where it is given.
    pub(super) deadline: Option<At<'a>>,
    /// The value of [`ACTING`], where it is given.
    pub(super) acting: Option<At<'a>>,
}

/// A label or an annotation as it is written.
#[derive(Clone, Debug)]
pub(super) struct Pair<'a> {
    key: &'a str,
    /// Of a list all of them, with commas between.
    value: String,
    at: At<'a>,
}

/// Reads `metadata` of the document or inlined object `parent`.
pub(super) fn read<'a>(parent: &Fields<'a>) -> Option<Metadata<'a>> {
    let metadata = parent.required("metadata")?;
    let fields = metadata.fields(&["name", "displayName", "labels", "annotations"])?;
    let display_name = fields.text("displayName");
    let given = display_name.chars().count();
    if let Some(at) = fields
        .get("displayName")
        .filter(|_| DISPLAY_NAME_CHARS_MAX < given)
    {
        at.refuse(format!(
            "has {given} characters; it may have at most {DISPLAY_NAME_CHARS_MAX}"
        ));
    }
    let labels = read_labels(&fields);
    let (ours, annotations) = read_annotations(&fields);
    let [mode, deadline, acting] = ours;
    let name = fields.required("name")?;
    Some(Metadata {
        name: read_name(&name)?,
        name_spot: name.spot().clone(),
        display_name: (!display_name.is_empty()).then(|| display_name.to_owned()),
        labels,
        annotations,
        mode,
        deadline,
        acting,
    })
}

/// Metadata for a document whose own cannot be read, so that the rest of it can be checked.
pub(super) fn nameless<'a>(spot: &Spot) -> Metadata<'a> {
    Metadata {
        name: "nameless".to_owned(),
        name_spot: spot.clone(),
        display_name: None,
        labels: Vec::new(),
        annotations: Vec::new(),
        mode: None,
        deadline: None,
        acting: None,
    }
}

/// Complains about our annotations where none of them means anything.
pub(super) fn refuse_ours(metadata: &Metadata<'_>) {
    refuse_of_slos(metadata);
    refuse_of_policies(metadata);
}

/// Complains about those that are for SLOs.
pub(super) fn refuse_of_slos(metadata: &Metadata<'_>) {
    for ours in [&metadata.mode, &metadata.deadline].into_iter().flatten() {
        ours.refuse("means something on an SLO only");
    }
}

/// Complains about those that are for alert policies.
pub(super) fn refuse_of_policies(metadata: &Metadata<'_>) {
    if let Some(ours) = &metadata.acting {
        ours.refuse("means something on an AlertPolicy only");
    }
}

/// Reads a name as documents have and refer to: a label by RFC 1123.
pub(super) fn read_name(at: &At<'_>) -> Option<String> {
    let name = at.text()?;
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) {
        at.refuse(format!(
            "has {} bytes; it must have from 1 to {NAME_BYTES_MAX}",
            name.len()
        ));
        return None;
    }
    let is_label = has_ends(name, is_lower_or_digit) && name.bytes().all(is_lower_digit_or_hyphen);
    if !is_label {
        at.refuse(format!(
            "is {}; it must be lower-case letters, digits and hyphens, \
             with a letter or digit at both ends",
            quoted(name)
        ));
    }
    is_label.then(|| name.to_owned())
}

/// The labels that an SLO keeps, by key. Notes say which it does not.
pub(super) fn kept_labels(labels: Vec<Pair<'_>>) -> BTreeMap<String, String> {
    kept(labels, "labels", LABEL_BYTES_MAX)
}

/// The annotations that come with the alerts of an SLO or of a policy, by key. Notes say which do not.
pub(super) fn kept_annotations(annotations: Vec<Pair<'_>>) -> BTreeMap<String, String> {
    kept(annotations, "annotations", ANNOTATION_BYTES_MAX)
}

/// The first [`KEPT_MAX`] by key of those whose values have at most `bytes_max`.
fn kept(mut pairs: Vec<Pair<'_>>, what: &str, bytes_max: usize) -> BTreeMap<String, String> {
    pairs.sort_by_key(|pair| pair.key);
    let mut kept = BTreeMap::new();
    for Pair { key, value, at } in pairs {
        let given = value.len();
        let why = if bytes_max < given {
            format!("is not kept: it has {given} bytes; {what} of at most {bytes_max} are")
        } else if KEPT_MAX <= kept.len() {
            format!("is not kept: the first {KEPT_MAX} {what} are, by key")
        } else {
            kept.insert(key.to_owned(), value);
            continue;
        };
        at.sink().note(at.spot().says(why));
    }
    kept
}

fn read_labels<'a>(metadata: &Fields<'a>) -> Vec<Pair<'a>> {
    let mut all = Vec::new();
    let labels = metadata
        .get("labels")
        .and_then(|labels| labels.any_fields());
    for (key, value) in labels.iter().flat_map(Fields::all) {
        if !is_key(key) {
            value.refuse(
                "is no key of a label; it must have from 1 to 63 letters, digits, '-', '_' and \
                 '.', with a letter or digit at both ends",
            );
        }
        let texts = if matches!(value.node().value, Value::List(_)) {
            value.items(usize::MAX).unwrap_or_default()
        } else {
            vec![value.clone()]
        };
        let texts: Vec<&str> = texts.iter().filter_map(At::text).collect();
        all.push(Pair {
            key,
            value: texts.join(","),
            at: value,
        });
    }
    all
}

/// The values of [`OURS`], and all others.
fn read_annotations<'a>(metadata: &Fields<'a>) -> ([Option<At<'a>>; 3], Vec<Pair<'a>>) {
    let mut ours = [None, None, None];
    let mut others = Vec::new();
    let annotations = metadata.get("annotations").and_then(|at| at.any_fields());
    for (key, value) in annotations.iter().flat_map(Fields::all) {
        if !is_annotation_key(key) {
            value.refuse(
                "is no key of an annotation; it must be like \"key\" or \"my-domain.org/key\", \
                 at most 63 characters after and 253 before the slash",
            );
        }
        let text = value.text().unwrap_or_default();
        let mut known = OURS.into_iter().zip(&mut ours);
        if let Some((_, slot)) = known.find(|(own, _)| *own == key) {
            *slot = Some(value);
        } else if key.starts_with(PREFIX) {
            value.refuse(format!("unknown annotation; {}", suggest::hint(key, &OURS)));
        } else if let Some(meant) = meant(key) {
            value.refuse(format!("did you mean {meant:?}?"));
        } else {
            others.push(Pair {
                key,
                value: text.to_owned(),
                at: value,
            });
        }
    }
    (ours, others)
}

/// Which of [`OURS`] somebody else's key was probably meant to be. Others may say `deadline` as well, so all of their
/// prefix counts.
fn meant(key: &str) -> Option<&'static str> {
    suggest::closest(key, &[MODE]).or_else(|| {
        let prefix = key.strip_suffix("/deadline")?;
        suggest::closest(prefix, &["sloop.dev"]).map(|_| DEADLINE)
    })
}

fn is_annotation_key(key: &str) -> bool {
    match key.rsplit_once('/') {
        None => is_key(key),
        Some((prefix, key)) => {
            is_key(key)
                && prefix.chars().count() <= PREFIX_CHARS_MAX
                && prefix.split('.').all(is_domain_part)
        }
    }
}

fn is_key(key: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    key.len() <= NAME_BYTES_MAX
        && has_ends(key, |byte| byte.is_ascii_alphanumeric())
        && key.bytes().all(inside)
}

fn is_domain_part(part: &str) -> bool {
    part.len() <= NAME_BYTES_MAX
        && has_ends(part, is_lower_or_digit)
        && part.bytes().all(is_lower_digit_or_hyphen)
}

fn has_ends(text: &str, fits: impl Fn(u8) -> bool) -> bool {
    let ends = (text.bytes().next(), text.bytes().next_back());
    matches!(ends, (Some(first), Some(last)) if fits(first) && fits(last))
}

const fn is_lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

const fn is_lower_digit_or_hyphen(byte: u8) -> bool {
    is_lower_or_digit(byte) || byte == b'-'
}
