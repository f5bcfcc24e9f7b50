//! `x-forwarded-client-cert`: who called.
//!
//! An input is the header's value. The parser looks at eight bytes at a time; this reads one by one.

use sloop_dataplane::caller_uri;

/// Compares what both find.
pub fn check(data: &[u8]) {
    assert_eq!(caller_uri(data), plain(data).as_deref());
}

fn plain(header: &[u8]) -> Option<Vec<u8>> {
    let mut pairs = vec![Vec::new()];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for byte in header {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                pairs = vec![Vec::new()];
                continue;
            }
            b';' if !is_quoted => {
                pairs.push(Vec::new());
                continue;
            }
            _ => {}
        }
        pairs.last_mut().unwrap().push(*byte);
    }
    let uris: Vec<_> = pairs.iter().filter_map(|pair| uri(pair)).collect();
    let spiffe = uris.iter().find(|uri| uri.starts_with(b"spiffe://"));
    let found = spiffe.or(uris.first()).filter(|_| !is_quoted);
    found.map(|uri| uri.to_vec())
}

fn uri(pair: &[u8]) -> Option<&[u8]> {
    let pair = pair.trim_ascii_start();
    let (key, value) = pair.split_at_checked(4)?;
    let value = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value);
    (key.eq_ignore_ascii_case(b"uri=") && !value.is_empty()).then_some(value)
}
