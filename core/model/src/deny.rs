//! Requests that are refused because of what they are.

use serde::{Deserialize, Serialize};

use crate::matcher::InvalidMatch;
use crate::{Mode, RequestMatch, Share, WallTime};

/// Refuses requests that fit, up to a share of what their route receives.
///
/// A rule on a scope looks at the requests of that scope; one beside the scopes
/// looks at all. There may be at most 64 in a configuration ([`DenyRule::MAX`]),
/// both kinds together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "DenyWritten", into = "DenyWritten")]
pub struct DenyRule {
    id: String,
    mode: Mode,
    matches: Option<RequestMatch>,
    caller: Option<String>,
    status: u16,
    share_max: Share,
    expires_at: WallTime,
}

/// A deny rule as it is written down. All conditions that are given must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DenyWritten {
    /// Which rule it was, for logs: 1 to 64 visible ASCII characters.
    #[cfg_attr(
        feature = "schema",
        schemars(length(min = 1, max = 64), regex(pattern = "^[!-~]+$"))
    )]
    pub id: String,
    /// Whether it refuses or only counts.
    #[serde(default)]
    pub mode: Mode,
    /// What the request looks like: authority, method, path, headers.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<RequestMatch>,
    /// Who sends it: the caller's name exactly as indicators count it, 1 to 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = DenyRule::CALLER_BYTES_MAX)))]
    pub caller: Option<String>,
    /// The HTTP status of the refusal, 400 to 599.
    #[serde(default = "DenyWritten::status_default")]
    #[cfg_attr(feature = "schema", schemars(range(min = 400, max = 599)))]
    pub status: u16,
    /// The largest share of a route's requests, second by second, that may be
    /// refused when this rule adds to what all rules refused. Positive.
    #[serde(default = "DenyWritten::share_max_default")]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = 1)))]
    pub share_max: Share,
    /// When the filter stops by itself, in milliseconds since the Unix epoch. Required: no refusal is for ever.
    pub expires_at_ms: WallTime,
}

/// Why a deny rule cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDeny {
    /// Not a name for logs.
    #[error("id \"{}\"; it must have 1 to 64 visible ASCII characters", given.escape_default())]
    Id {
        /// As given.
        given: String,
    },
    /// It would refuse everything.
    #[error("the rule has no condition; give match, caller or both")]
    NoCondition,
    /// A match that cannot be.
    #[error("match: {source}")]
    Match {
        /// What is wrong with it.
        source: InvalidMatch,
    },
    /// No name of a caller.
    #[error("caller has {given} bytes; it must have 1 to {max}", max = DenyRule::CALLER_BYTES_MAX)]
    Caller {
        /// As given.
        given: usize,
    },
    /// Not a refusal.
    #[error("status is {given}; it must be from 400 to 599")]
    Status {
        /// As given.
        given: u16,
    },
    /// It could never refuse anything.
    #[error("share_max is 0; it must be from 1 to 10000")]
    ShareMax,
}

impl DenyWritten {
    /// Forbidden (RFC 9110, 15.5.4): it was understood, and trying again does not help.
    pub(crate) const fn status_default() -> u16 {
        403
    }

    /// Half: a rule that fits more than its author thought leaves the route half alive.
    pub(crate) const fn share_max_default() -> Share {
        Share::HALF
    }
}

impl DenyRule {
    /// Stands for what cannot be read.
    pub(crate) const fn unread() -> Self {
        Self {
            id: String::new(),
            mode: Mode::Enforce,
            matches: None,
            caller: None,
            status: DenyWritten::status_default(),
            share_max: Share::NONE,
            expires_at: WallTime::from_millis(0),
        }
    }

    /// Rules in one configuration: all may be looked at for every request.
    pub const MAX: usize = 64;
    /// Longer than the SPIFFE names that meshes give.
    pub const CALLER_BYTES_MAX: usize = 256;

    /// Which rule it is.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it refuses or only counts.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What the request must look like, if that matters.
    #[must_use]
    pub const fn matches(&self) -> Option<&RequestMatch> {
        self.matches.as_ref()
    }

    /// Who must have sent it, if that matters.
    #[must_use]
    pub fn caller(&self) -> Option<&str> {
        self.caller.as_deref()
    }

    /// The status of the refusal: 400 to 599.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The largest share of a route's requests that may be refused. Positive.
    #[must_use]
    pub const fn share_max(&self) -> Share {
        self.share_max
    }

    /// When it ends by itself.
    #[must_use]
    pub const fn expires_at(&self) -> WallTime {
        self.expires_at
    }

    /// The same rule, ending at `end` if it does not end earlier.
    #[must_use]
    pub fn ending_by(mut self, end: WallTime) -> Self {
        self.expires_at = self.expires_at.min(end);
        self
    }
}

impl TryFrom<DenyWritten> for DenyRule {
    type Error = InvalidDeny;

    fn try_from(written: DenyWritten) -> Result<Self, InvalidDeny> {
        let visible = written.id.bytes().all(|byte| byte.is_ascii_graphic());
        if !(1..=64).contains(&written.id.len()) || !visible {
            return Err(InvalidDeny::Id { given: written.id });
        }
        if written.matches.is_none() && written.caller.is_none() {
            return Err(InvalidDeny::NoCondition);
        }
        if let Some(matches) = &written.matches {
            matches
                .check()
                .map_err(|source| InvalidDeny::Match { source })?;
        }
        let caller_bytes = written.caller.as_ref().map_or(1, String::len);
        if !(1..=Self::CALLER_BYTES_MAX).contains(&caller_bytes) {
            return Err(InvalidDeny::Caller {
                given: caller_bytes,
            });
        }
        if !(400..600).contains(&written.status) {
            return Err(InvalidDeny::Status {
                given: written.status,
            });
        }
        if written.share_max == Share::NONE {
            return Err(InvalidDeny::ShareMax);
        }
        Ok(Self {
            id: written.id,
            mode: written.mode,
            matches: written.matches,
            caller: written.caller,
            status: written.status,
            share_max: written.share_max,
            expires_at: written.expires_at_ms,
        })
    }
}

impl From<DenyRule> for DenyWritten {
    fn from(rule: DenyRule) -> Self {
        Self {
            id: rule.id,
            mode: rule.mode,
            matches: rule.matches,
            caller: rule.caller,
            status: rule.status,
            share_max: rule.share_max,
            expires_at_ms: rule.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<DenyRule, String> {
        let json = format!(r#"{{"expires_at_ms":7,{more}}}"#);
        serde_json::from_str(&json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_short_rule_is_enough() {
        let rule = read(r#""id":"a","match":{"path":{"prefix":"/admin"}}"#).unwrap();
        assert_eq!(rule.status(), 403);
        assert_eq!(rule.share_max(), Share::HALF);
        assert_eq!(rule.mode(), Mode::Enforce);
        assert_eq!(rule.expires_at(), WallTime::from_millis(7));
        let text = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<DenyRule>(&text).unwrap(), rule);
    }

    #[test]
    fn what_is_no_rule_says_why() {
        let long = "c".repeat(257);
        for (bad, error) in [
            (r#""id":"a""#.to_owned(), "no condition"),
            (r#""id":"a b","caller":"c""#.to_owned(), "id \"a b\""),
            (r#""id":"","caller":"c""#.to_owned(), "id \"\""),
            (r#""id":"a","caller":"""#.to_owned(), "caller has 0 bytes"),
            (
                format!(r#""id":"a","caller":"{long}""#),
                "caller has 257 bytes",
            ),
            (
                r#""id":"a","caller":"c","status":399"#.to_owned(),
                "status is 399",
            ),
            (
                r#""id":"a","caller":"c","status":600"#.to_owned(),
                "status is 600",
            ),
            (
                r#""id":"a","caller":"c","share_max":0"#.to_owned(),
                "share_max is 0",
            ),
            (
                r#""id":"a","match":{}"#.to_owned(),
                "match: the match has no condition",
            ),
            (
                r#""id":"a","caller":"c","x":1"#.to_owned(),
                "unknown field `x`",
            ),
        ] {
            let given = read(&bad).unwrap_err();
            assert!(given.contains(error), "{bad}: {given}");
        }
        let forever = serde_json::from_str::<DenyRule>(r#"{"id":"a","caller":"c"}"#);
        assert!(forever.unwrap_err().to_string().contains("expires_at_ms"));
    }
}
