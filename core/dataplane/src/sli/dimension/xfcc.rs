//! Who called, by the certificate: `x-forwarded-client-cert`.
//!
//! Written as [Envoy documents it](https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert):
//! elements joined by commas, one per proxy that added to it, the newest last;
//! each element is pairs of key and value, joined by semicolons, keys without case. A value in which
//! `,`, `;` or `=` occurs is in double quotes, in which `\"` stands for a quote. `URI` is
//! the client certificate's, once per URI that it has; `By` is the proxy's own.
//!
//! So the last element speaks of whoever sent the request to this Envoy, if this Envoy
//! writes the header (`SANITIZE_SET` or `APPEND_FORWARD`).

/// The URI of the last element: the first one that is a SPIFFE id, else the first one. None when it has none, or is cut off.
#[must_use]
pub fn caller_uri(xfcc: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    let mut rest = xfcc;
    loop {
        let length = pair_length(rest)?;
        let (pair, behind) = rest.split_at_checked(length)?;
        if let Some(uri) = uri_of(pair)
            && (found.is_none() || (is_spiffe(uri) && !found.is_some_and(is_spiffe)))
        {
            found = Some(uri);
        }
        match behind.split_first() {
            None => return found,
            Some((b',', next)) => (found, rest) = (None, next),
            Some((_, next)) => rest = next,
        }
    }
}

fn is_spiffe(uri: &[u8]) -> bool {
    uri.starts_with(b"spiffe://")
}

/// The value of a pair, if its key is `URI` and it is not empty.
fn uri_of(pair: &[u8]) -> Option<&[u8]> {
    let (key, value) = pair.trim_ascii_start().split_at_checked(4)?;
    if !key.eq_ignore_ascii_case(b"uri=") {
        return None;
    }
    let value = match value {
        [b'"', inside @ .., b'"'] => inside,
        plain => plain,
    };
    (!value.is_empty()).then_some(value)
}

/// Bytes up to the comma or semicolon that ends a pair, or to the end. None when quotes are open.
fn pair_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += next_special(bytes.get(at..)?);
        match bytes.get(at) {
            None | Some(b',' | b';') => return Some(at),
            Some(_) => at += quoted_length(bytes.get(at..)?)?,
        }
    }
}

/// Bytes of a text in quotes, both included. None when the second one is missing.
fn quoted_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Bytes before the first quote, comma or semicolon. Eight at a time: the header
/// has a hash and two ids of which no byte is any of these.
fn next_special(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let plain = words
        .iter()
        .take_while(|word| {
            let word = u64::from_le_bytes(**word);
            !(has_byte(word, b'"') || has_byte(word, b',') || has_byte(word, b';'))
        })
        .count()
        * 8;
    let rest = bytes.get(plain..).unwrap_or_default();
    let is_special = |byte: &u8| matches!(byte, b'"' | b',' | b';');
    plain + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Whether any byte of the word is `byte`: a byte that is zero after the exclusive or borrows into its highest bit
/// ("Determine if a word has a zero byte", S. E. Anderson, Bit Twiddling Hacks).
const fn has_byte(word: u64, byte: u8) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let differs = word ^ (ONES * byte as u64);
    differs.wrapping_sub(ONES) & !differs & (ONES << 7) != 0
}
