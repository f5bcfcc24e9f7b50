//! How people are told of an alert, kept beside it, so that they are told of its end also when nobody declares it any more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sloop_model::{ObjectiveId, ServiceName, WallTime};

use super::{AlertKind, AlertState, AlertStatus, AlertTarget};

/// What of an alert does not depend on what is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertTelling {
    /// The service that the SLO belongs to.
    pub service: ServiceName,
    /// The labels of the SLO, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What is said beside that for people, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// How bad it is, in the operator's words.
    pub severity: String,
    /// Who is told.
    pub targets: Vec<AlertTarget>,
    /// Whether they are told of its end, too.
    pub tells_end: bool,
}

/// Why an alert is over whose condition may still hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AlertReason {
    /// Nobody wants to know any more: the policy, its condition or the objective was withdrawn, or who was told of it.
    Withdrawn,
}

impl AlertReason {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl AlertTelling {
    /// How people are told of `alert`.
    pub(crate) fn of(alert: &AlertStatus) -> Self {
        Self {
            service: alert.service.clone(),
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            severity: alert.severity.clone(),
            targets: alert.targets.clone(),
            tells_end: alert.tells_end,
        }
    }

    /// Those of its targets that are not told of the same alert, with the same labels, as `other` says.
    pub(crate) fn targets_without(&self, other: Option<&Self>) -> Vec<AlertTarget> {
        let is_same = |it: &&Self| {
            (&it.service, &it.severity, &it.labels) == (&self.service, &self.severity, &self.labels)
        };
        let same = other.filter(is_same);
        let told = same.map_or(&[][..], |it| &it.targets);
        let targets = self.targets.iter();
        targets.filter(|it| !told.contains(it)).cloned().collect()
    }

    /// What they are told of one that fired from `since` on until it was withdrawn.
    pub(crate) fn withdrawn(
        &self,
        (objective, kind, policy): (ObjectiveId, AlertKind, String),
        (since, until): (WallTime, WallTime),
    ) -> AlertStatus {
        AlertStatus {
            policy,
            objective,
            service: self.service.clone(),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            severity: self.severity.clone(),
            kind,
            state: AlertState::Resolved,
            since_ms: since,
            until_ms: Some(until),
            summary: "it was withdrawn while it fired".to_owned(),
            targets: self.targets.clone(),
            tells_end: self.tells_end,
            reason: Some(AlertReason::Withdrawn),
            acting: None,
        }
    }
}
