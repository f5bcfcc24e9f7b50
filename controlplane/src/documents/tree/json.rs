//! The one thing of JSON that YAML does not have: a character beyond `\uffff`,
//! written as two escapes (RFC 8259, section 7).

use std::borrow::Cow;

/// `text` with such pairs replaced by their characters; other text than JSON as it is.
///
/// Columns that come later on the same line move by eleven.
pub(super) fn without_pairs(text: &str) -> Cow<'_, str> {
    let is_json = text.trim_start().starts_with(['{', '[']);
    if !is_json || !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (taken, character) = match pair(from) {
            Some(character) => (PAIR_BYTES, Some(character)),
            // A backslash and what it escapes, which may be a backslash.
            None => (2, None),
        };
        let taken = (taken..=from.len()).find(|end| from.is_char_boundary(*end));
        let (escape, after) = from.split_at(taken.unwrap_or(from.len()));
        match character {
            Some(character) => out.push(character),
            None => out.push_str(escape),
        }
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Bytes of `\ud83d\ude00`.
const PAIR_BYTES: usize = 12;

/// The character that `text` begins with as a pair of escapes.
fn pair(text: &str) -> Option<char> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?, 16).ok();
    let units = [unit(text.get(..6)?)?, unit(text.get(6..PAIR_BYTES)?)?];
    let mut decoded = char::decode_utf16(units);
    match (decoded.next(), decoded.next()) {
        (Some(Ok(character)), None) => Some(character),
        _ => None,
    }
}
