//! W3C `tracestate`, read in the plainest way: what the parser of the filter is compared with.
//!
//! <https://www.w3.org/TR/trace-context-2/#tracestate-header-field-values>. A key may be there twice; why is said in
//! `core/dataplane/src/context/tracestate.rs`.

/// A member: key and value.
pub(crate) type Member<'a> = (&'a [u8], &'a [u8]);

/// Longer lists are taken for invalid: 32 members with 256 bytes of key and value each, and what is between them.
const BYTES_MAX: usize = 32 * 515;

/// The list in `lines`. None if anything in it is invalid. The first of two equal keys counts.
pub(crate) fn list<'a>(lines: &[&'a [u8]]) -> Option<Vec<Member<'a>>> {
    if BYTES_MAX < lines.iter().map(|line| line.len() + 1).sum() {
        return None;
    }
    let members = lines
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b','));
    let members = members
        .map(without_blanks)
        .filter(|member| !member.is_empty());
    let list: Vec<Member<'a>> = members.map(member).collect::<Option<_>>()?;
    (list.len() <= 32).then_some(list)
}

/// Without spaces and tabs around it.
pub(crate) fn without_blanks(text: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let from = text.iter().position(is_text).unwrap_or(text.len());
    let to = text.iter().rposition(is_text).map_or(from, |last| last + 1);
    &text[from..to]
}

fn member(text: &[u8]) -> Option<Member<'_>> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&text[..at], &text[at + 1..]);
    let is_value = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'=';
    let is_short = (1..=256).contains(&value.len());
    (is_key(key) && is_short && value.iter().all(is_value)).then_some((key, value))
}

fn is_key(key: &[u8]) -> bool {
    let is_first = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let is_other = |byte: &u8| is_first(byte) || b"_-*/@".contains(byte);
    key.first().is_some_and(is_first) && key.iter().all(is_other) && key.len() <= 256
}
