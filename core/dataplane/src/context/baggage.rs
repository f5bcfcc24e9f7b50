//! W3C Baggage: two values are looked up, nothing is ever changed.
//!
//! Rules: <https://www.w3.org/TR/baggage/>. What is looked at ends with 64
//! members or 8,192 bytes, which is as much as the specification makes anybody
//! pass on; what lies beyond passes unseen. Of equal keys the first counts. A
//! value that is empty, longer than [`Word::BYTES_MAX`], no UTF-8, or has a
//! control character in it is none: it becomes a name in reports.

use sloop_model::{BaggageSource, DimensionSettings, DimensionValue};

use super::hex;
use super::traceparent::trimmed;
use crate::headers::{Lines, Request};

/// What baggage says about where a request comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Baggage {
    /// The value of the key that `origin` names.
    pub origin: Option<Word>,
    /// The value of the key that `journey` names.
    pub journey: Option<Word>,
}

/// A short text, 1 to 64 bytes of UTF-8 without control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    bytes: [u8; Self::BYTES_MAX],
    length: usize,
}

const MEMBERS_MAX: usize = 64;
const BYTES_MAX: usize = 8_192;

impl Baggage {
    /// Looks for the values that `settings` name. Costs nothing when they name none.
    #[must_use]
    pub fn read(request: &Request<'_>, settings: &DimensionSettings) -> Self {
        let origin_key = settings.origin.as_ref().map(key_of);
        let journey_key = settings.journey.as_ref().map(key_of);
        let mut found = (None, None);
        if origin_key.is_some() || journey_key.is_some() {
            for (key, value) in members(request.baggage) {
                if Some(key) == origin_key {
                    found.0 = found.0.or(Some(value));
                }
                if Some(key) == journey_key {
                    found.1 = found.1.or(Some(value));
                }
            }
        }
        Self {
            origin: found.0.and_then(Word::decode),
            journey: found.1.and_then(Word::decode),
        }
    }
}

const fn key_of(source: &BaggageSource) -> &[u8] {
    source.baggage.as_bytes()
}

impl Word {
    /// As much as is read.
    pub const BYTES_MAX: usize = DimensionValue::BAGGAGE_BYTES_MAX;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Was checked when it was made.
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The text that a percent-encoded value stands for. A percent sign without two digits stands for itself.
    fn decode(value: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::BYTES_MAX];
        let mut length = 0;
        let mut rest = value;
        while let [first, behind @ ..] = rest {
            let escape = (*first == b'%').then(|| escaped(behind)).flatten();
            let (byte, behind) = escape.unwrap_or((*first, behind));
            *bytes.get_mut(length)? = byte;
            length += 1;
            rest = behind;
        }
        let text = core::str::from_utf8(bytes.get(..length)?).ok()?;
        let is_word = !text.is_empty() && !text.chars().any(char::is_control);
        is_word.then_some(Self { bytes, length })
    }
}

/// The byte that two digits of either case stand for, and what is behind them.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, behind) = text.split_first_chunk::<2>()?;
    Some((hex::pair(digits.map(|d| d.to_ascii_lowercase()))?, behind))
}

/// Keys and raw values, without properties, as far as the limits reach.
fn members(lines: Lines<'_>) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut left = BYTES_MAX;
    lines
        .iter()
        .map_while(move |line| {
            let seen = line.get(..left).unwrap_or(line);
            // A member that is cut off by the limit is not looked at.
            let whole = match line.len().cmp(&seen.len()) {
                core::cmp::Ordering::Greater => {
                    let end = seen.iter().rposition(|byte| *byte == b',');
                    seen.get(..end.unwrap_or(0)).unwrap_or_default()
                }
                core::cmp::Ordering::Less | core::cmp::Ordering::Equal => seen,
            };
            let is_left = 0 < left;
            left = left.saturating_sub(line.len() + 1);
            is_left.then_some(whole)
        })
        .flat_map(|line| line.split(|byte| *byte == b','))
        .take(MEMBERS_MAX)
        .filter_map(|member| {
            let pair = member.split(|byte| *byte == b';').next()?;
            let at = pair.iter().position(|byte| *byte == b'=')?;
            let (key, value) = pair.split_at_checked(at)?;
            Some((trimmed(key), trimmed(value.get(1..)?)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::{HeaderMap, serialised};
    use proptest::prelude::*;

    fn settings() -> DimensionSettings {
        let key = |key: &str| {
            Some(BaggageSource {
                baggage: key.to_owned(),
            })
        };
        DimensionSettings {
            origin: key("origin"),
            journey: key("journey"),
            ..DimensionSettings::default()
        }
    }

    fn read(lines: &[&[u8]], settings: &DimensionSettings) -> Baggage {
        let headers: Vec<(&str, &[u8])> = lines.iter().map(|line| ("baggage", *line)).collect();
        let bytes = serialised(&headers);
        Baggage::read(&Request::read(HeaderMap::new(&bytes)), settings)
    }

    fn origin(line: &str) -> Option<String> {
        let word = read(&[line.as_bytes()], &settings()).origin;
        word.map(|word| word.as_str().to_owned())
    }

    #[test]
    fn values_are_found_without_spaces_and_properties() {
        for line in [
            "origin=web",
            "a=b,origin=web",
            "a = b ,\torigin =\tweb ; secret=1;x, z=1",
            "originx=no,origin=web,origin=second",
            "x=origin=no,origin=web",
        ] {
            assert_eq!(origin(line).as_deref(), Some("web"), "{line}");
        }
    }

    #[test]
    fn lines_are_one_list() {
        let baggage = read(&[b"origin=web", b"", b"journey=checkout"], &settings());
        assert_eq!(baggage.origin.unwrap().as_str(), "web");
        assert_eq!(baggage.journey.unwrap().as_str(), "checkout");
    }

    #[test]
    fn values_are_decoded() {
        for (value, expected) in [
            ("a%20b", Some("a b")),
            ("%C3%a9", Some("\u{e9}")),
            ("a=b", Some("a=b")),
            ("100%", Some("100%")),
            ("%4", Some("%4")),
            ("%zz", Some("%zz")),
            ("%ff", None),
            ("a%0ab", None),
            ("", None),
        ] {
            assert_eq!(
                origin(&format!("origin={value}")).as_deref(),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn a_long_value_is_none_rather_than_a_part_of_it() {
        let value = "x".repeat(64);
        assert_eq!(origin(&format!("origin={value}")), Some(value.clone()));
        assert_eq!(origin(&format!("origin={value}x")), None);
        assert!(origin(&format!("origin={}", "%41".repeat(64))).is_some());
    }

    #[test]
    fn looking_ends_with_64_members() {
        let after = |others: usize| origin(&format!("{}origin=web", "a=b,".repeat(others)));
        assert_eq!(after(63).as_deref(), Some("web"));
        assert_eq!(after(64), None);
    }

    #[test]
    fn looking_ends_with_8192_bytes() {
        let after = |bytes: usize| {
            let first = format!("a={}", "x".repeat(bytes - 2));
            let both = read(&[first.as_bytes(), b"origin=web"], &settings()).origin;
            let one = read(&[format!("{first},origin=web").as_bytes()], &settings()).origin;
            assert_eq!(one, both, "{bytes}");
            both.is_some()
        };
        assert!(after(8_192 - 11));
        assert!(!after(8_192 - 10));
        assert!(!after(9_000));
    }

    #[test]
    fn nothing_is_looked_for_unless_it_is_asked_for() {
        let baggage = read(&[b"origin=web,journey=a"], &DimensionSettings::default());
        assert_eq!(baggage, Baggage::default());
    }

    proptest! {
        #[test]
        fn never_fails_whatever_comes(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4)) {
            let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            read(&lines, &settings());
            if let Some(word) = lines.last().and_then(|last| Word::decode(last)) {
                prop_assert!((1..=64).contains(&word.as_str().len()));
            }
        }
    }
}
