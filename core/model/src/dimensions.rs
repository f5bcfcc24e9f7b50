//! By what else than routes requests are told apart: caller, origin, journey, version.
//!
//! Off unless configured. The values come from outside, so there are few of
//! them: a filter keeps at most `values_max` per scope and dimension, counts what
//! is beyond as [`DimensionValue::OTHER`], and says how often that happened.

use serde::{Deserialize, Serialize};

/// What requests are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DimensionSettings {
    /// Who sent the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<CallerSource>,
    /// Where the trace began, as an edge wrote it into the baggage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<BaggageSource>,
    /// What the user is doing, as an edge wrote it into the baggage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journey: Option<BaggageSource>,
    /// The version of the service that this sidecar belongs to. One value for all
    /// that the sidecar counts, so it travels once per report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<DimensionValue>,
    /// Values kept per scope and dimension, 1 to 64.
    #[serde(default = "DimensionSettings::values_default")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = Self::VALUES_MAX)))]
    pub values_max: u8,
    /// Whether attempts beyond the first are counted. Inbound from the header
    /// `x-envoy-attempt-count`, which the caller's Envoy sends when its virtual host has
    /// `include_request_attempt_count`; outbound from the property
    /// `upstream.request_attempt_count`, which costs one more call into Envoy per request.
    #[serde(default)]
    pub attempts: bool,
}

impl Default for DimensionSettings {
    fn default() -> Self {
        Self {
            caller: None,
            origin: None,
            journey: None,
            version: None,
            values_max: Self::values_default(),
            attempts: false,
        }
    }
}

/// Where a filter reads who sent a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CallerSource {
    /// This header, in lower case. Whoever sends requests can write it: trust it as far as the callers.
    Header(
        #[cfg_attr(
            feature = "schema",
            schemars(length(min = 1, max = DimensionSettings::NAME_BYTES_MAX))
        )]
        #[cfg_attr(
            feature = "schema",
            schemars(regex(pattern = "^[!#$%&'*+.^_`|~0-9a-z-]+$"))
        )]
        String,
    ),
    /// The URI of the client's certificate, in `x-forwarded-client-cert`. Envoy has checked the
    /// certificate; its `forward_client_cert_details` must be `SANITIZE_SET` or `APPEND_FORWARD`.
    Xfcc(Yes),
}

/// `true`, and nothing else: leave the field out to say no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("const" = true)))]
#[serde(try_from = "bool", into = "bool")]
pub struct Yes;

impl TryFrom<bool> for Yes {
    type Error = &'static str;

    fn try_from(given: bool) -> Result<Self, Self::Error> {
        given
            .then_some(Self)
            .ok_or("is false; leave it out instead")
    }
}

impl From<Yes> for bool {
    fn from(Yes: Yes) -> Self {
        true
    }
}

/// Where in the baggage a value is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BaggageSource {
    /// The key of the member, with case.
    #[cfg_attr(
        feature = "schema",
        schemars(length(min = 1, max = DimensionSettings::NAME_BYTES_MAX))
    )]
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"))
    )]
    pub baggage: String,
}

/// The dimensions whose values come with the requests. The numbers are the wire format of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Dimension {
    /// Who sent the request.
    Caller = 0,
    /// Where the trace began.
    Origin = 1,
    /// What the user is doing.
    Journey = 2,
}

impl Dimension {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Caller, Self::Origin, Self::Journey];

    /// The position in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in configurations and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Origin => "origin",
            Self::Journey => "journey",
        }
    }
}

/// A value of a dimension: 1 to 256 bytes of visible ASCII, spaces allowed inside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("minLength" = 1, "maxLength" = Self::BYTES_MAX)))]
#[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[!-~]([ -~]*[!-~])?$")))]
#[serde(try_from = "String", into = "String")]
pub struct DimensionValue(String);

impl DimensionValue {
    /// Stands for what cannot be read.
    pub(crate) const fn unread() -> Self {
        Self(String::new())
    }

    /// A SPIFFE id of Istio with names as long as Kubernetes labels has 160 bytes.
    pub const BYTES_MAX: usize = 256;

    /// What is read of a member of baggage: longer than names that people give, and each is remembered per scope and worker.
    pub const BAGGAGE_BYTES_MAX: usize = 64;

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Stands for values beyond the cap, and for those that are no values. One that is spelled so counts here.
    pub const OTHER: &'static str = "other";
    /// Stands for requests that came without a value. One that is spelled so counts here.
    pub const UNKNOWN: &'static str = "unknown";

    /// Whether these bytes are a value.
    #[must_use]
    pub fn is_valid(bytes: &[u8]) -> bool {
        let is_space = |byte: Option<&u8>| byte == Some(&b' ');
        (1..=Self::BYTES_MAX).contains(&bytes.len())
            && bytes.iter().all(|byte| (b' '..=b'~').contains(byte))
            && !is_space(bytes.first())
            && !is_space(bytes.last())
    }
}

impl TryFrom<&[u8]> for DimensionValue {
    type Error = InvalidDimensions;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidDimensions> {
        match core::str::from_utf8(bytes) {
            Ok(text) if Self::is_valid(bytes) => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(InvalidDimensions::Value),
        }
    }
}

impl TryFrom<String> for DimensionValue {
    type Error = InvalidDimensions;

    fn try_from(text: String) -> Result<Self, InvalidDimensions> {
        if Self::is_valid(text.as_bytes()) {
            Ok(Self(text))
        } else {
            Err(InvalidDimensions::Value)
        }
    }
}

impl From<DimensionValue> for String {
    fn from(value: DimensionValue) -> Self {
        value.0
    }
}

/// Why dimensions cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDimensions {
    /// Header names come from Envoy in lower case, so this one would never fit.
    #[error("dimensions.caller.header: is \"{}\"; it must be lower case, not empty and have at most {max} bytes", given.escape_default(), max = DimensionSettings::NAME_BYTES_MAX)]
    Header {
        /// As given.
        given: String,
    },
    /// No member of a baggage can have this key.
    #[error("dimensions.{dimension}.baggage: is \"{}\"; it must be a token of 1 to {max} bytes", given.escape_default(), max = DimensionSettings::NAME_BYTES_MAX)]
    Baggage {
        /// Which dimension.
        dimension: &'static str,
        /// As given.
        given: String,
    },
    /// The cap is out of its bounds.
    #[error("dimensions.values_max: is {given}; it must be from 1 to {max}", max = DimensionSettings::VALUES_MAX)]
    Values {
        /// As given.
        given: u8,
    },
    /// A text that no value can be.
    #[error("it must have 1 to {max} bytes of visible ASCII", max = DimensionValue::BYTES_MAX)]
    Value,
}

impl DimensionSettings {
    /// Values per scope and dimension. With all, a scope has 200 rows: more than anybody reads.
    pub const VALUES_MAX: u8 = 64;
    /// Bytes of a header's name or a baggage key: compared on every request.
    pub const NAME_BYTES_MAX: usize = 128;

    /// A service has about as many callers.
    pub(crate) const fn values_default() -> u8 {
        16
    }

    /// Whether a dimension is configured.
    #[must_use]
    pub const fn includes(&self, dimension: Dimension) -> bool {
        match dimension {
            Dimension::Caller => self.caller.is_some(),
            Dimension::Origin => self.origin.is_some(),
            Dimension::Journey => self.journey.is_some(),
        }
    }

    /// Checks what the types alone do not hold.
    ///
    /// # Errors
    ///
    /// Names the first field that is wrong.
    pub fn check(&self) -> Result<(), InvalidDimensions> {
        if let Some(CallerSource::Header(given)) = &self.caller
            && (!is_token(given) || given.bytes().any(|byte| byte.is_ascii_uppercase()))
        {
            return Err(InvalidDimensions::Header {
                given: given.clone(),
            });
        }
        for (dimension, source) in [("origin", &self.origin), ("journey", &self.journey)] {
            if let Some(BaggageSource { baggage: given }) = source
                && !is_token(given)
            {
                return Err(InvalidDimensions::Baggage {
                    dimension,
                    given: given.clone(),
                });
            }
        }
        if (1..=Self::VALUES_MAX).contains(&self.values_max) {
            Ok(())
        } else {
            Err(InvalidDimensions::Values {
                given: self.values_max,
            })
        }
    }
}

/// A token of [RFC 9110, 5.6.2](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2):
/// what a header's name and a baggage key are made of.
fn is_token(text: &str) -> bool {
    (1..=DimensionSettings::NAME_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<DimensionSettings, String> {
        let settings: DimensionSettings =
            serde_json::from_str(json).map_err(|error| error.to_string())?;
        settings.check().map_err(|error| error.to_string())?;
        Ok(settings)
    }

    #[test]
    fn what_is_left_out_is_off() {
        assert_eq!(read("{}").unwrap(), DimensionSettings::default());
        let all = read(
            r#"{"caller": {"xfcc": true}, "origin": {"baggage": "origin"}, "journey": {"baggage": "j"},
                "version": "v2", "values_max": 64, "attempts": true}"#,
        )
        .unwrap();
        assert_eq!(all.caller, Some(CallerSource::Xfcc(Yes)));
        assert!(Dimension::ALL.iter().all(|one| all.includes(*one)));
        let again = serde_json::to_string(&all).unwrap();
        assert_eq!(read(&again).unwrap(), all);
    }

    #[test]
    fn a_refusal_names_field_value_and_bound() {
        for (json, expected) in [
            (
                r#"{"caller": {"header": "X-Caller"}}"#,
                r#"dimensions.caller.header: is "X-Caller"; it must be lower case, not empty and have at most 128 bytes"#,
            ),
            (
                r#"{"origin": {"baggage": "a b"}}"#,
                r#"dimensions.origin.baggage: is "a b"; it must be a token of 1 to 128 bytes"#,
            ),
            (
                r#"{"journey": {"baggage": ""}}"#,
                r#"dimensions.journey.baggage: is ""; it must be a token of 1 to 128 bytes"#,
            ),
            (
                r#"{"values_max": 0}"#,
                "dimensions.values_max: is 0; it must be from 1 to 64",
            ),
            (
                r#"{"values_max": 65}"#,
                "dimensions.values_max: is 65; it must be from 1 to 64",
            ),
        ] {
            assert_eq!(read(json).unwrap_err(), expected);
        }
        for (json, part) in [
            (
                r#"{"caller": {"xfcc": false}}"#,
                "is false; leave it out instead",
            ),
            (r#"{"version": " "}"#, "1 to 256 bytes of visible ASCII"),
            (r#"{"tenant": "a"}"#, "unknown field"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn values_are_visible() {
        let longest = "a".repeat(DimensionValue::BYTES_MAX);
        for good in [
            "a",
            "spiffe://cluster.local/ns/a/sa/b",
            "two words",
            &longest,
        ] {
            assert_eq!(
                DimensionValue::try_from(good.as_bytes()).unwrap().as_str(),
                good
            );
        }
        for bad in [
            "",
            " a",
            "a ",
            "a\n",
            "\u{fc}",
            &"a".repeat(DimensionValue::BYTES_MAX + 1),
        ] {
            assert!(DimensionValue::try_from(bad.as_bytes()).is_err(), "{bad:?}");
            assert!(DimensionValue::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_are_positions() {
        for (index, dimension) in Dimension::ALL.iter().enumerate() {
            assert_eq!(dimension.index(), index);
        }
    }
}
