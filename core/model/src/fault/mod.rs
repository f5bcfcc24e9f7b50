//! Faults that are injected on purpose.
//!
//! A rule says whom it reaches ([`Reach`]), which share of those meets it
//! ([`ArmShares`]), what it does ([`Effect`]) and when it ends by itself. What
//! people write is [`FaultWritten`], a flat object; what is checked is
//! [`FaultRule`].

mod delay;
mod effect;
mod invalid;
mod written;

use serde::{Deserialize, Serialize};

use crate::{Arm, ArmShares, Criticality, ExperimentKey, RequestMatch, Share, WallTime};
pub use delay::{Delay, DelaySpread, InvalidShape, Shape};
pub use effect::{BodyFault, Effect, ExchangeSide, FaultEnding, HeaderChanges};
pub use invalid::InvalidFault;
pub use written::FaultWritten;

use delay::bound;

/// A fault for a share of a scope's requests, chosen by trace id.
///
/// The same trace and seed always give the same choice, at every hop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "FaultWritten", into = "FaultWritten")]
pub struct FaultRule {
    /// Who asked for it: an experiment. 1 to 64 bytes.
    id: String,
    seed: u64,
    shares: ArmShares,
    reach: Box<Reach>,
    effect: Box<Effect>,
    active_max: Option<u32>,
    active_share_max: Option<Share>,
    expires_at: WallTime,
}

/// Whom a fault reaches: requests that fit all of it, of which the shares are then drawn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reach {
    /// Only requests like this.
    pub requests: Option<RequestMatch>,
    /// Only requests of these callers; of anybody when empty. At most [`FaultRule::NAMES_MAX`].
    pub callers: Vec<String>,
    /// Only requests of these criticalities; of any when empty. Each at most once.
    pub criticalities: Vec<Criticality>,
    /// Only in sidecars of these versions of the service; of any when empty. At most [`FaultRule::NAMES_MAX`].
    pub versions: Vec<String>,
    /// Only in this share of sidecars, chosen by their node ids and the seed.
    pub sidecars: Share,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            requests: None,
            callers: Vec::new(),
            criticalities: Vec::new(),
            versions: Vec::new(),
            sidecars: Share::WHOLE,
        }
    }
}

impl FaultRule {
    /// Callers of one rule: each may be compared on every request. Versions, too, though these are compared once.
    pub const NAMES_MAX: usize = 16;
    /// Bytes of the name of a caller: a SPIFFE id may have 2,048, those in use are far shorter.
    pub const TEXT_BYTES_MAX: usize = 256;

    /// Stands for what cannot be read.
    pub(crate) fn unread() -> Self {
        Self {
            id: String::new(),
            seed: 0,
            shares: ArmShares::NONE,
            reach: Box::default(),
            effect: Box::default(),
            active_max: None,
            active_share_max: None,
            expires_at: WallTime::default(),
        }
    }

    /// Who asked for it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The experiment that it belongs to.
    #[must_use]
    pub fn key(&self) -> ExperimentKey {
        ExperimentKey::of(&self.id)
    }

    /// Chooses requests together with the trace id.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The share of requests that meets it.
    #[must_use]
    pub const fn share(&self) -> Share {
        self.shares.fault()
    }

    /// The shares of the arms.
    #[must_use]
    pub const fn shares(&self) -> ArmShares {
        self.shares
    }

    /// Whether its arms are to be counted apart: something is compared.
    #[must_use]
    pub fn is_experiment(&self) -> bool {
        self.shares.control() != Share::NONE
    }

    /// Whom it reaches.
    #[must_use]
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// What it does.
    #[must_use]
    pub fn effect(&self) -> &Effect {
        &self.effect
    }

    /// The delay, if there is one.
    #[must_use]
    pub fn delay(&self) -> Option<&DelaySpread> {
        self.effect.delay.as_ref()
    }

    /// How many requests it may touch at a time, per worker, if that is bounded.
    #[must_use]
    pub const fn active_max(&self) -> Option<u32> {
        self.active_max
    }

    /// How large a share of the scope's requests under way it may touch, per worker, if that is bounded.
    #[must_use]
    pub const fn active_share_max(&self) -> Option<Share> {
        self.active_share_max
    }

    /// When it ends by itself.
    #[must_use]
    pub const fn expires_at(&self) -> WallTime {
        self.expires_at
    }

    /// The same fault, ending at `end` if it does not end earlier.
    #[must_use]
    pub fn ending_by(mut self, end: WallTime) -> Self {
        self.expires_at = self.expires_at.min(end);
        self
    }

    /// The arm of a request whose draw, uniform over `0..10_000`, is `draw`.
    #[must_use]
    pub fn arm(&self, draw: u16) -> Arm {
        self.shares.arm(draw)
    }

    fn check(&self) -> Result<(), InvalidFault> {
        self.effect.check()?;
        if self.effect.is_nothing() && !self.is_experiment() {
            return Err(InvalidFault::Nothing);
        }
        if let Some(requests) = &self.reach.requests {
            requests.check().map_err(InvalidFault::Match)?;
        }
        names("caller", &self.reach.callers)?;
        names("version", &self.reach.versions)?;
        let given = self.reach.criticalities.len();
        let max = Criticality::ALL.len();
        if max < given {
            return Err(InvalidFault::TooMany {
                field: "criticality",
                given,
                max,
            });
        }
        let most = u64::from(u32::MAX);
        bound("active_max", self.active_max.unwrap_or(1).into(), 1, most)?;
        let share = u16::from(self.active_share_max.unwrap_or(Share::WHOLE));
        let whole = u16::from(Share::WHOLE);
        bound("active_share_max", share.into(), 1, whole.into())
    }
}

impl Effect {
    /// Whether it changes nothing: a rule like this only draws arms, to count them.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        let on = self.on;
        *self
            == Self {
                on,
                ..Self::default()
            }
    }

    /// The field that asks for more than the headers of requests: a response, or a body.
    #[must_use]
    pub fn asks_for_answers(&self) -> Option<&'static str> {
        if self.body.is_some() {
            return Some("body");
        }
        (self.on == ExchangeSide::Response).then_some("side_of_exchange")
    }

    fn check(&self) -> Result<(), InvalidFault> {
        self.headers.check()?;
        if let Some(delay) = &self.delay {
            delay.check()?;
        }
        if let Some(ending) = self.ending {
            ending.check()?;
        }
        if let Some(body) = &self.body {
            body.check()?;
        }
        let ending = self.ending.map(|ending| match ending {
            FaultEnding::Abort { .. } => "abort_status",
            FaultEnding::AbortGrpc { .. } => "abort_grpc_status",
            FaultEnding::Reset => "reset",
        });
        let body = self.body.map(|_| "body");
        let headers = (!self.headers.is_empty()).then_some("headers");
        let delay = self.delay.as_ref().map(|_| "delay");
        let asked = self.is_asked.then_some("by_header");
        let response = (self.on == ExchangeSide::Response).then_some("side_of_exchange");
        // What ends has no body and no headers to spoil; what is asked for is all that happens.
        for (one, others) in [
            (ending, [body, headers, None, None, None]),
            (asked, [delay, ending, body, headers, response]),
        ] {
            if let (Some(one), Some(other)) = (one, others.into_iter().flatten().next()) {
                return Err(InvalidFault::Conflict { one, other });
            }
        }
        Ok(())
    }
}

fn names(field: &'static str, names: &[String]) -> Result<(), InvalidFault> {
    let (given, max) = (names.len(), FaultRule::NAMES_MAX);
    if max < given {
        return Err(InvalidFault::TooMany { field, given, max });
    }
    let is_name = |name: &&String| {
        (1..=FaultRule::TEXT_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match names.iter().find(|name| !is_name(name)) {
        Some(given) => Err(InvalidFault::Text {
            field,
            given: given.clone(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
