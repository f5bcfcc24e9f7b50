//! A fault as it is written down.

use serde::{Deserialize, Serialize};

use super::{
    BodyFault, Delay, DelaySpread, Effect, ExchangeSide, FaultEnding, FaultRule, HeaderChanges,
    InvalidFault, Reach,
};
use crate::{ArmShares, Criticality, RequestMatch, Share, WallTime};

/// A fault as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FaultWritten {
    /// Who asked for it: an experiment. Faults of one experiment on several scopes have the same id and seed.
    #[cfg_attr(
        feature = "schema",
        schemars(length(min = 1, max = 64), regex(pattern = "^[!-~]+$"))
    )]
    pub id: String,
    /// Mixed with the trace id to choose requests; another seed chooses others.
    #[serde(default)]
    pub seed: u64,
    /// The share of requests.
    pub share: Share,
    /// The share of requests that are only counted, to compare with. With it, both arms are counted apart.
    #[serde(default = "none", skip_serializing_if = "is_none")]
    pub control: Share,
    /// Only requests like this.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub requests: Option<RequestMatch>,
    /// Only requests of one of these callers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = FaultRule::NAMES_MAX)))]
    #[cfg_attr(
        feature = "schema",
        schemars(inner(length(min = 1, max = FaultRule::TEXT_BYTES_MAX)))
    )]
    #[cfg_attr(feature = "schema", schemars(inner(regex(pattern = "^[!-~]+$"))))]
    pub caller: Vec<String>,
    /// Only requests of one of these criticalities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = Criticality::ALL.len())))]
    pub criticality: Vec<Criticality>,
    /// Only in sidecars of one of these versions of the service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = FaultRule::NAMES_MAX)))]
    #[cfg_attr(
        feature = "schema",
        schemars(inner(length(min = 1, max = FaultRule::TEXT_BYTES_MAX)))
    )]
    #[cfg_attr(feature = "schema", schemars(inner(regex(pattern = "^[!-~]+$"))))]
    pub version: Vec<String>,
    /// Only in this share of sidecars.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub sidecars: Share,
    /// Which half of the exchange it touches.
    #[serde(default, skip_serializing_if = "is_request")]
    pub side_of_exchange: ExchangeSide,
    /// Hold back for this long, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    pub delay_ms: Option<u64>,
    /// Hold back for a time drawn from this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<DelaySpread>,
    /// Answer with this HTTP status instead of asking the service; after the delay, if both are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(range(min = FaultEnding::STATUS_MIN, max = FaultEnding::STATUS_MAX))
    )]
    pub abort_status: Option<u16>,
    /// Answer with this gRPC status instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(max = FaultEnding::GRPC_STATUS_MAX)))]
    pub abort_grpc_status: Option<u32>,
    /// Close the stream without an answer.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub reset: bool,
    /// Spoil the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyFault>,
    /// Change headers.
    #[serde(default, skip_serializing_if = "HeaderChanges::is_empty")]
    pub headers: HeaderChanges,
    /// Do what the request asks for in the headers of Envoy's own fault filter, `x-envoy-fault-..`.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub by_header: bool,
    /// How many requests it may touch at a time, per worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub active_max: Option<u32>,
    /// How large a share of the scope's requests under way it may touch, per worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("minimum" = 1)))]
    pub active_share_max: Option<Share>,
    /// When the filter stops by itself, in milliseconds since the Unix epoch. Required: no fault is forever.
    pub expires_at_ms: WallTime,
}

/// Chooses nothing and does nothing: the fields that a fault does not need to give.
impl Default for FaultWritten {
    fn default() -> Self {
        Self {
            id: String::new(),
            seed: 0,
            share: Share::NONE,
            control: Share::NONE,
            requests: None,
            caller: Vec::new(),
            criticality: Vec::new(),
            version: Vec::new(),
            sidecars: Share::WHOLE,
            side_of_exchange: ExchangeSide::Request,
            delay_ms: None,
            delay: None,
            abort_status: None,
            abort_grpc_status: None,
            reset: false,
            body: None,
            headers: HeaderChanges::default(),
            by_header: false,
            active_max: None,
            active_share_max: None,
            expires_at_ms: WallTime::default(),
        }
    }
}

const fn none() -> Share {
    Share::NONE
}

fn is_none(share: &Share) -> bool {
    *share == Share::NONE
}

const fn whole() -> Share {
    Share::WHOLE
}

fn is_whole(share: &Share) -> bool {
    *share == Share::WHOLE
}

fn is_request(side: &ExchangeSide) -> bool {
    *side == ExchangeSide::Request
}

impl TryFrom<FaultWritten> for FaultRule {
    type Error = InvalidFault;

    fn try_from(written: FaultWritten) -> Result<Self, InvalidFault> {
        let visible = written.id.bytes().all(|byte| byte.is_ascii_graphic());
        if !(1..=64).contains(&written.id.len()) || !visible {
            return Err(InvalidFault::Id { given: written.id });
        }
        let effect = written.effect()?;
        let shares = ArmShares::parse(written.share, written.control)?;
        let reach = Reach {
            requests: written.requests,
            callers: written.caller,
            criticalities: written.criticality,
            versions: written.version,
            sidecars: written.sidecars,
        };
        let rule = Self {
            id: written.id,
            seed: written.seed,
            shares,
            reach: Box::new(reach),
            effect: Box::new(effect),
            active_max: written.active_max,
            active_share_max: written.active_share_max,
            expires_at: written.expires_at_ms,
        };
        rule.check()?;
        Ok(rule)
    }
}

impl FaultWritten {
    fn effect(&self) -> Result<Effect, InvalidFault> {
        Ok(Effect {
            on: self.side_of_exchange,
            headers: self.headers.clone(),
            delay: self.spread()?,
            ending: self.ending()?,
            body: self.body,
            is_asked: self.by_header,
        })
    }

    fn spread(&self) -> Result<Option<DelaySpread>, InvalidFault> {
        match (self.delay_ms, &self.delay) {
            (Some(_), Some(_)) => Err(InvalidFault::Conflict {
                one: "delay_ms",
                other: "delay",
            }),
            (Some(millis), None) => Ok(Some(DelaySpread::Fixed(Delay::try_from(millis)?))),
            (None, spread) => Ok(spread.clone()),
        }
    }

    fn ending(&self) -> Result<Option<FaultEnding>, InvalidFault> {
        let abort = |status| FaultEnding::Abort { status };
        let abort_grpc = |status| FaultEnding::AbortGrpc { status };
        let given = [
            ("abort_status", self.abort_status.map(abort)),
            ("abort_grpc_status", self.abort_grpc_status.map(abort_grpc)),
            ("reset", self.reset.then_some(FaultEnding::Reset)),
        ];
        let mut endings = given
            .into_iter()
            .filter_map(|(field, ending)| Some((field, ending?)));
        match (endings.next(), endings.next()) {
            (Some((one, _)), Some((other, _))) => Err(InvalidFault::Conflict { one, other }),
            (first, _) => Ok(first.map(|(_, ending)| ending)),
        }
    }
}

impl From<FaultRule> for FaultWritten {
    fn from(rule: FaultRule) -> Self {
        let (mut abort_status, mut abort_grpc_status, mut reset) = (None, None, false);
        match rule.effect.ending {
            None => {}
            Some(FaultEnding::Abort { status }) => abort_status = Some(status),
            Some(FaultEnding::AbortGrpc { status }) => abort_grpc_status = Some(status),
            Some(FaultEnding::Reset) => reset = true,
        }
        let (delay_ms, delay) = match rule.effect.delay {
            Some(DelaySpread::Fixed(delay)) => (Some(delay.millis()), None),
            spread => (None, spread),
        };
        Self {
            id: rule.id,
            seed: rule.seed,
            share: rule.shares.fault(),
            control: rule.shares.control(),
            requests: rule.reach.requests,
            caller: rule.reach.callers,
            criticality: rule.reach.criticalities,
            version: rule.reach.versions,
            sidecars: rule.reach.sidecars,
            side_of_exchange: rule.effect.on,
            delay_ms,
            delay,
            abort_status,
            abort_grpc_status,
            reset,
            body: rule.effect.body,
            headers: rule.effect.headers,
            by_header: rule.effect.is_asked,
            active_max: rule.active_max,
            active_share_max: rule.active_share_max,
            expires_at_ms: rule.expires_at,
        }
    }
}
