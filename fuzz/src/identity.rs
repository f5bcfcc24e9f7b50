//! The name in a client's certificate.
//!
//! An input is what stands in its list of alternative names (RFC 5280, 4.2.1.6), or the whole of it. When a certificate
//! is read its roots have vouched for it, but its names are what somebody asked for.

use sloop_controlplane::door::{NoIdentity, identity};

/// What fits into lengths of two bytes, with all that is around it.
const NAMES_BYTES_MAX: usize = 60_000;

/// The object identifier of the list: 2.5.29.17.
const ALTERNATIVE_NAMES: [u8; 3] = [0x55, 0x1d, 0x11];

/// Tags of the names that there are; another ends the list.
const NAMES: [u8; 9] = [0xa0, 0x81, 0x82, 0xa3, 0xa4, 0xa5, URI, 0x87, 0x88];
const URI: u8 = 0x86;

/// Compares who both readers find.
pub fn check(data: &[u8]) {
    check_certificate(data);
    if data.len() <= NAMES_BYTES_MAX {
        let is_read = check_certificate(&certificate(data));
        assert!(is_read, "it is a certificate whatever its names");
    }
}

/// Whether it can be read.
fn check_certificate(der: &[u8]) -> bool {
    let found = identity(&der.into());
    if matches!(found, Err(NoIdentity::Unreadable(_))) {
        return false;
    }
    let names = uris(der).unwrap_or_default();
    match (found, names.as_slice()) {
        (Ok(identity), [name]) => {
            assert_eq!(identity.as_str(), *name);
            assert!(is_spiffe(name), "{name:?}");
        }
        (Err(NoIdentity::Name(_)), [name]) => assert!(!is_spiffe(name), "{name:?}"),
        (Err(NoIdentity::Names { given }), names) => {
            assert_eq!(given, names.len());
            assert_ne!(given, 1);
        }
        (found, names) => panic!("{found:?} of {names:?}"),
    }
    true
}

/// The URIs in the list of alternative names; `None` when there is no list.
fn uris(der: &[u8]) -> Option<Vec<&str>> {
    let (_, certificate, _) = element(der)?;
    let (_, signed, _) = element(certificate)?;
    let (_, extensions) = elements(signed).find(|(tag, _)| *tag == 0xa3)?;
    let (_, extensions, _) = element(extensions)?;
    let list = elements(extensions).find_map(|(_, extension)| {
        let (_, id, rest) = element(extension)?;
        // Behind whether it is critical, where it says so.
        let (_, value) = elements(rest).last()?;
        (id == ALTERNATIVE_NAMES).then_some(value)
    })?;
    let (_, names, _) = element(list)?;
    let known = elements(names).take_while(|(tag, _)| NAMES.contains(tag));
    let uris = known.filter(|(tag, _)| *tag == URI);
    Some(uris.filter_map(|(_, name)| str::from_utf8(name).ok()).collect())
}

/// The tag and the content of what comes first, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81 => {
            let (length, rest) = rest.split_first()?;
            (usize::from(*length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    // The shortest way is the only one.
    let is_shortest = match first {
        0x81 => 0x80 <= length,
        0x82 => 0x100 <= length,
        _ => true,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    is_shortest.then_some((*tag, content, rest))
}

/// What follows each other, up to something that is nothing.
fn elements(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, content, rest) = element(der)?;
        der = rest;
        Some((tag, content))
    })
}

/// A certificate with these alternative names, of which nothing else would stand before anybody.
fn certificate(names: &[u8]) -> Vec<u8> {
    let empty = encoded(0x30, &[]);
    let list = encoded(0x04, &[&encoded(0x30, &[names])]);
    let id = encoded(0x06, &[&ALTERNATIVE_NAMES]);
    let extensions = encoded(0x30, &[&encoded(0x30, &[&id, &list])]);
    let version = encoded(0xa0, &[&encoded(0x02, &[&[2]])]);
    let serial = encoded(0x02, &[&[1]]);
    // Algorithm; then issuer, validity, subject and key.
    let around = [&empty[..]; 5].concat();
    let extensions = encoded(0xa3, &[&extensions]);
    let signed = encoded(0x30, &[&version, &serial, &around, &extensions]);
    let signature = encoded(0x03, &[&[0, 1]]);
    encoded(0x30, &[&signed, &empty, &signature])
}

fn encoded(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let head = match length {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        0x100.. => vec![tag, 0x82, high, low],
    };
    [head, content].concat()
}

/// By the letter of the specification.
fn is_spiffe(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("spiffe://") else {
        return false;
    };
    let mut parts = rest.split('/');
    let domain = parts.next().unwrap_or_default();
    let is_sign = |letter: char| ['.', '-', '_'].contains(&letter);
    let is_of_domain =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || is_sign(letter);
    let is_of_segment = |letter: char| letter.is_ascii_alphanumeric() || is_sign(letter);
    let is_segment =
        |part: &str| !["", ".", ".."].contains(&part) && part.chars().all(is_of_segment);
    name.len() <= 2_048
        && (1..=255).contains(&domain.len())
        && domain.chars().all(is_of_domain)
        && parts.all(is_segment)
}
