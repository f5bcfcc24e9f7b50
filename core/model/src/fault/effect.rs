//! What a fault does.

use serde::{Deserialize, Serialize};

use super::delay::bound;
use super::{DelaySpread, InvalidFault};
use crate::Share;

/// Which half of an exchange a fault touches.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExchangeSide {
    /// Before the service is asked.
    #[default]
    Request,
    /// After it has answered.
    Response,
}

/// What a fault does to the requests that it chooses, in this order: it changes headers, holds
/// back, and then ends the exchange or spoils its body.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Effect {
    /// On which half of the exchange.
    pub on: ExchangeSide,
    /// What is set on and removed from the headers.
    pub headers: HeaderChanges,
    /// How long it is held back.
    pub delay: Option<DelaySpread>,
    /// How it ends.
    pub ending: Option<FaultEnding>,
    /// What becomes of its body.
    pub body: Option<BodyFault>,
    /// Whether the request says in its headers what to do, as to Envoy's own fault filter.
    pub is_asked: bool,
}

/// How a fault ends an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultEnding {
    /// Answers with this HTTP status, 200 to 599. A gRPC caller gets the gRPC status that belongs to it.
    Abort {
        /// 200 to 599.
        status: u16,
    },
    /// Answers with this gRPC status. A caller that does not speak gRPC gets HTTP status 200, as Envoy's own fault filter does it.
    AbortGrpc {
        /// 0 to 16 are defined; others pass too.
        status: u32,
    },
    /// Closes the stream without an answer.
    Reset,
}

/// What a fault does to a body.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
#[serde(deny_unknown_fields)]
pub struct BodyFault {
    /// It goes on at this pace, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub bytes_per_second: Option<u32>,
    /// It ends properly after this many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncate_after_bytes: Option<u64>,
    /// The stream is reset after this many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_after_bytes: Option<u64>,
    /// This share of its bytes is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = 1)))]
    pub corrupt: Option<Share>,
}

/// What a fault does to headers. At most [`HeaderChanges::MAX`] of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(description = "What a fault does to headers.")
)]
#[serde(deny_unknown_fields)]
pub struct HeaderChanges {
    /// `[name, value]`: each replaces what was there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Self::MAX)))]
    #[cfg_attr(feature = "schema", schemars(transform = crate::schema::header_pairs))]
    pub set: Vec<(String, String)>,
    /// Names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Self::MAX)))]
    #[cfg_attr(feature = "schema", schemars(inner(length(min = 1, max = Self::TEXT_BYTES_MAX))))]
    #[cfg_attr(feature = "schema", schemars(inner(regex(pattern = Self::NAME_PATTERN))))]
    pub remove: Vec<String>,
}

impl FaultEnding {
    /// What Envoy's own fault filter allows: an empty success is a fault too.
    pub const STATUS_MIN: u16 = 200;
    /// See [`FaultEnding::STATUS_MIN`].
    pub const STATUS_MAX: u16 = 599;
    /// The highest status that gRPC defines, UNAUTHENTICATED:
    /// <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
    pub const GRPC_STATUS_MAX: u32 = 16;

    /// Checks its status.
    ///
    /// # Errors
    ///
    /// When it is out of its bounds.
    pub fn check(self) -> Result<(), InvalidFault> {
        match self {
            Self::Abort { status } => bound(
                "abort_status",
                status.into(),
                Self::STATUS_MIN.into(),
                Self::STATUS_MAX.into(),
            ),
            Self::AbortGrpc { status } => bound(
                "abort_grpc_status",
                status.into(),
                0,
                Self::GRPC_STATUS_MAX.into(),
            ),
            Self::Reset => Ok(()),
        }
    }
}

impl BodyFault {
    /// Checks what the type alone does not hold.
    ///
    /// # Errors
    ///
    /// Names the first field that is wrong.
    pub fn check(&self) -> Result<(), InvalidFault> {
        if *self == Self::default() {
            let problem = "it does nothing; give bytes_per_second, truncate_after_bytes, cut_after_bytes or corrupt";
            return Err(InvalidFault::Spread {
                field: "body",
                problem,
            });
        }
        if self.truncate_after_bytes.is_some() && self.cut_after_bytes.is_some() {
            return Err(InvalidFault::Conflict {
                one: "body.truncate_after_bytes",
                other: "body.cut_after_bytes",
            });
        }
        let pace = self.bytes_per_second.unwrap_or(1);
        bound("body.bytes_per_second", pace.into(), 1, u64::from(u32::MAX))?;
        let corrupt = self.corrupt.unwrap_or(Share::WHOLE);
        bound(
            "body.corrupt",
            u16::from(corrupt).into(),
            1,
            u16::from(Share::WHOLE).into(),
        )
    }
}

impl HeaderChanges {
    /// Headers that are set, and headers that are removed: each is a call into Envoy.
    pub const MAX: usize = 8;
    /// Bytes of a name or a value: long enough for a token or a cookie.
    pub const TEXT_BYTES_MAX: usize = 1_024;
    /// A name: visible ASCII without capitals and colons.
    #[cfg(feature = "schema")]
    pub(crate) const NAME_PATTERN: &str = r"^[!-9;-@\[-~]+$";
    /// Without these, or with others, a message has another length than it says (RFC 9112, section 6).
    const FRAMING: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];

    /// Whether nothing is changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    /// Checks names and values.
    ///
    /// # Errors
    ///
    /// Names the first that is wrong.
    pub fn check(&self) -> Result<(), InvalidFault> {
        for (field, given) in [
            ("headers.set", self.set.len()),
            ("headers.remove", self.remove.len()),
        ] {
            let max = Self::MAX;
            if max < given {
                return Err(InvalidFault::TooMany { field, given, max });
            }
        }
        let names = self.set.iter().map(|(name, _)| name).chain(&self.remove);
        let values = self.set.iter().map(|(_, value)| value);
        let wrong = names
            .filter_map(|name| Some((name, problem_of_name(name)?)))
            .chain(values.filter_map(|value| Some((value, problem_of_value(value)?))))
            .next();
        match wrong {
            Some((given, problem)) => Err(InvalidFault::Header {
                given: given.clone(),
                problem,
            }),
            None => Ok(()),
        }
    }
}

fn problem_of_name(name: &str) -> Option<&'static str> {
    let is_lower = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase();
    if name.is_empty() || HeaderChanges::TEXT_BYTES_MAX < name.len() {
        Some("a name must have 1 to 1024 bytes")
    } else if !name.bytes().all(is_lower) {
        Some("a name must be visible ASCII in lower case")
    } else if name.contains(':') {
        Some("a fault must not change pseudo-headers; abort instead, or match another route")
    } else if HeaderChanges::FRAMING.contains(&name) {
        Some("a fault must not change where a message ends or whom it is for")
    } else {
        None
    }
}

fn problem_of_value(value: &str) -> Option<&'static str> {
    let is_text = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if HeaderChanges::TEXT_BYTES_MAX < value.len() {
        Some("a value must have at most 1024 bytes")
    } else if !value.bytes().all(is_text) {
        Some("a value must be visible ASCII and spaces")
    } else {
        None
    }
}
