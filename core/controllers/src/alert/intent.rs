//! What an operator declares with an `AlertPolicy` on an SLO.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::{ServiceName, SloName, Target};

use crate::SloIntent;
use crate::budget::Slicing;

/// One alert policy of one SLO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertIntent {
    /// The policy's name.
    pub policy: String,
    /// The SLO that it is on.
    pub slo: SloName,
    /// The service that the SLO belongs to.
    pub service: ServiceName,
    /// The labels of the SLO, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What its document and the SLO's say beside that for people, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Its objectives that are counted here: position and target.
    pub objectives: Vec<(u32, Target)>,
    /// Those among them that are budgeted by slices: position, and how they are cut. Their targets are about slices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<(u32, Slicing)>,
    /// The SLO, where it is a composite that is watched as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composite: Option<Box<SloIntent>>,
    /// How bad it is, in the operator's words.
    pub severity: String,
    /// How the burn rate is compared with `threshold`.
    pub op: Comparison,
    /// The burn rate: 1 spends the budget exactly. Finite.
    pub threshold: f64,
    /// The time that the burn rate is over, in milliseconds.
    pub lookback_ms: u64,
    /// For how long the condition must hold before anybody is told, in milliseconds.
    pub after_ms: u64,
    /// What people are told about.
    pub when: AlertWhen,
    /// Whether they are told that breakers are ordered to open, too, whatever the burn rate is.
    #[serde(default, skip_serializing_if = "is_not")]
    pub acting: bool,
    /// Who is told.
    pub targets: Vec<AlertTarget>,
}

/// How two numbers are compared, in OpenSLO's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// At most.
    Lte,
    /// Below.
    Lt,
    /// At least.
    Gte,
    /// Above.
    Gt,
}

/// What people are told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertWhen {
    /// That the condition holds.
    pub breaching: bool,
    /// That it holds no more.
    pub resolved: bool,
    /// That nobody reports.
    pub no_data: bool,
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AlertTarget {
    /// The name of the `AlertNotificationTarget`.
    pub name: String,
    /// Where to deliver, as `https://host/path`.
    pub url: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_not(flag: &bool) -> bool {
    !*flag
}
