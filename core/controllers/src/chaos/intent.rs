//! What an operator declares with a `ChaosExperiment`.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use sloop_model::{
    ArmShares, FaultRule, FaultWritten, InvalidArmShares, ServiceName, Share, Side, SloName,
    WallTime,
};

use super::LATE_MAX;
use super::run::PATIENCE;
use crate::{RouteSelector, Speed};

/// An experiment that makes sense: what [`ChaosSpec`] says, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ChaosSpec", into = "ChaosSpec")]
pub struct ChaosIntent(ChaosSpec);

/// An experiment as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChaosSpec {
    /// The document's name, 1 to [`ChaosIntent::NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// What must hold; the first is the primary one, which alone decides whether there is traffic enough.
    pub hypothesis: Vec<Hypothesis>,
    /// What is done, each to a share of requests of its own. Id and expiry of the rules mean nothing here.
    pub faults: Vec<FaultRule>,
    /// Where.
    pub targets: Vec<ChaosTarget>,
    /// How many of the targets' services take part, chosen by the seed; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choose: Option<u16>,
    /// The share of requests that each fault is compared with.
    pub control: Share,
    /// How long at most, in milliseconds.
    pub lasting_ms: u64,
    /// The share of the error budget that is left at the start of which it may spend.
    pub budget: Share,
    /// When it ends early.
    #[serde(default)]
    pub abort: AbortConditions,
    /// Whether it goes on when all is decided.
    #[serde(default)]
    pub ends: Ends,
    /// When it runs.
    pub schedule: ChaosSchedule,
    /// Chooses requests, sidecars and services: the same seed chooses the same.
    #[serde(default)]
    pub seed: u64,
    /// When somebody asked for it to run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<WallTime>,
    /// When somebody asked for it to stop; runs that began before end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<WallTime>,
    /// When the newest run was due that an earlier control plane began: it is not begun again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_at: Option<WallTime>,
    /// The run that is due then only says what it would take, or why it may not begin: no request meets a fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_at: Option<WallTime>,
}

impl ChaosSpec {
    /// The first field in which it is another experiment than `before`; nothing in what only says when it runs.
    pub(super) fn changed_since(&self, before: &Self) -> Option<&'static str> {
        // Id and expiry of a fault mean nothing.
        let rule = |fault: &FaultRule| FaultWritten {
            id: String::new(),
            expires_at_ms: WallTime::default(),
            ..fault.clone().into()
        };
        let faults = |spec: &Self| spec.faults.iter().map(rule).collect::<Vec<_>>();
        let fields = [
            ("hypothesis", self.hypothesis != before.hypothesis),
            ("faults", faults(self) != faults(before)),
            ("targets", self.targets != before.targets),
            ("choose", self.choose != before.choose),
            ("control", self.control != before.control),
            ("lasting_ms", self.lasting_ms != before.lasting_ms),
            ("budget", self.budget != before.budget),
            ("abort", self.abort != before.abort),
            ("ends", self.ends != before.ends),
            ("seed", self.seed != before.seed),
        ];
        let mut changed = fields.into_iter().filter(|(_, is_changed)| *is_changed);
        changed.next().map(|(field, _)| field)
    }
}

/// An objective that must hold although the fault is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hypothesis {
    /// The SLO.
    pub slo: SloName,
    /// Which of its objectives, from 0.
    #[serde(default)]
    pub objective: u32,
    /// How much larger the share of bad requests may be in the arm of the fault than in the control
    /// arm. When absent: the share that the objective lets be bad, so that a fleet in which every request meets the fault still meets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Share>,
}

/// Requests that may meet the faults.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChaosTarget {
    /// The service that is asked.
    pub service: ServiceName,
    /// Which of its routes.
    pub route: RouteSelector,
    /// Whose sidecars inject.
    pub side: Side,
}

/// What ends an experiment early, besides its budget, an open breaker, and readings that cease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbortConditions {
    /// An objective about a service that has a part in it burns at least this fast; never when absent.
    #[serde(default = "AbortConditions::burning_default")]
    pub burning: Option<Speed>,
    /// Surely more than this share of requests is bad in the arm of a fault, for any hypothesis; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_max: Option<Share>,
}

/// Whether an experiment goes on when all is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// It ends as soon as all hypotheses are surely held, or one is surely broken.
    #[default]
    WhenDecided,
    /// It goes on until its time is over, to know the effect better. What ends it early still does.
    AtItsTime,
}

/// When an experiment runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChaosSchedule {
    /// When somebody asks for it.
    Asked,
    /// Once, as soon as it is declared.
    Once,
    /// At these moments, ascending, at most [`ChaosIntent::MOMENTS_MAX`]. Whoever reads the document knows
    /// calendars and lists them.
    At(Vec<WallTime>),
}

/// Why an experiment cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExperiment {
    /// A list or a number out of its bounds.
    #[error("{field} has {given}; it must have from {min} to {max}")]
    OutOfRange {
        /// Which.
        field: &'static str,
        /// What was given.
        given: u64,
        /// At least.
        min: u64,
        /// At most.
        max: u64,
    },
    /// Fault and control arm are more than all.
    #[error("faults[{index}]: {source}")]
    Arms {
        /// Which fault.
        index: usize,
        /// What is wrong.
        source: InvalidArmShares,
    },
    /// A fault that meets nobody proves nothing.
    #[error("faults[{index}].share is 0; it must be at least 1 ten-thousandth")]
    NoShare {
        /// Which fault.
        index: usize,
    },
    /// Too much would be touched at once.
    #[error("faults touch {given} ten-thousandths of requests; together they must touch at most {max}", max = u16::from(ChaosIntent::BLAST_MAX))]
    Blast {
        /// As given.
        given: u32,
    },
    /// What requests ask for cannot be compared where they do not ask.
    #[error(
        "faults[{index}].by_header is true; in an experiment it must be left out: who asks for a fault is not drawn, and where the \
             hypothesis is judged nobody knows who asked"
    )]
    Asked {
        /// Which fault.
        index: usize,
    },
    /// A fault without an effect is no experiment.
    #[error("faults[{index}] does nothing")]
    Nothing {
        /// Which fault.
        index: usize,
    },
}

impl Default for AbortConditions {
    fn default() -> Self {
        Self {
            burning: Self::burning_default(),
            bad_max: None,
        }
    }
}

impl AbortConditions {
    #[expect(clippy::unnecessary_wraps, reason = "serde's default for the field")]
    const fn burning_default() -> Option<Speed> {
        Some(Speed::Page)
    }
}

impl InvalidExperiment {
    /// The field that is wrong, without what is in it.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::OutOfRange { field, .. } => field,
            Self::Arms { .. }
            | Self::NoShare { .. }
            | Self::Blast { .. }
            | Self::Asked { .. }
            | Self::Nothing { .. } => "faults",
        }
    }
}

impl ChaosIntent {
    /// Bytes of a name: with the number of a fault it must fit the id of a rule (64).
    pub const NAME_BYTES_MAX: usize = 60;
    /// Hypotheses: each is compared for every fault.
    pub const HYPOTHESES_MAX: usize = 8;
    /// Faults: a filter counts the arms of so many experiments on a scope.
    pub const FAULTS_MAX: usize = 4;
    /// Targets.
    pub const TARGETS_MAX: usize = 64;
    /// Moments of a schedule: more than a year of days.
    pub const MOMENTS_MAX: usize = 400;
    /// The most that all faults together may touch: beyond half of all requests it is an outage, not an experiment.
    pub const BLAST_MAX: Share = Share::HALF;
    /// The longest that an experiment may last: one day, so that its budget is one that a person remembers giving.
    pub const LASTING_MAX: Duration = Duration::from_secs(24 * 60 * 60);
    /// A run that is due begins in so long, or not at all: it may be looked at a minute later, and then waits another.
    pub const BEGINS_WITHIN: Duration = LATE_MAX.saturating_add(PATIENCE);
    /// The shortest: reports come once a second, and a push takes a moment.
    pub const LASTING_MIN: Duration = Duration::from_secs(5);

    /// What was declared.
    #[must_use]
    pub const fn spec(&self) -> &ChaosSpec {
        &self.0
    }

    /// The same, asked to run at `at`.
    #[must_use]
    pub fn asked(mut self, at: WallTime) -> Self {
        self.0.asked_at = Some(at);
        self
    }

    /// The same, asked at `at` what a run would take.
    #[must_use]
    pub fn tried(mut self, at: WallTime) -> Self {
        self.0.trial_at = Some(at);
        self.asked(at)
    }

    /// The same, which only runs when somebody asks.
    #[must_use]
    pub fn when_asked(mut self) -> Self {
        self.0.schedule = ChaosSchedule::Asked;
        self
    }

    /// The same, with a run that was due at `at` and that an earlier control plane began.
    #[must_use]
    pub fn ran(mut self, at: WallTime) -> Self {
        self.0.ran_at = Some(at);
        self
    }

    /// The same, asked to stop at `at`.
    #[must_use]
    pub fn stopped(mut self, at: WallTime) -> Self {
        self.0.stopped_at = Some(at);
        self
    }
}

impl TryFrom<ChaosSpec> for ChaosIntent {
    type Error = InvalidExperiment;

    fn try_from(spec: ChaosSpec) -> Result<Self, InvalidExperiment> {
        let len = |list: usize| u64::try_from(list).unwrap_or(u64::MAX);
        let millis = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let moments = match &spec.schedule {
            ChaosSchedule::At(moments) => moments.len(),
            ChaosSchedule::Asked | ChaosSchedule::Once => 1,
        };
        let most = |max: usize| (1, len(max));
        for (field, given, (min, max)) in [
            ("name", len(spec.name.len()), most(Self::NAME_BYTES_MAX)),
            (
                "hypothesis",
                len(spec.hypothesis.len()),
                most(Self::HYPOTHESES_MAX),
            ),
            ("faults", len(spec.faults.len()), most(Self::FAULTS_MAX)),
            ("targets", len(spec.targets.len()), most(Self::TARGETS_MAX)),
            (
                "choose",
                spec.choose.unwrap_or(1).into(),
                most(Self::TARGETS_MAX),
            ),
            ("schedule", len(moments), most(Self::MOMENTS_MAX)),
            (
                "lasting_ms",
                spec.lasting_ms,
                (millis(Self::LASTING_MIN), millis(Self::LASTING_MAX)),
            ),
            ("control", u16::from(spec.control).into(), (1, 10_000)),
            ("budget", u16::from(spec.budget).into(), (1, 10_000)),
        ] {
            if !(min..=max).contains(&given) {
                return Err(InvalidExperiment::OutOfRange {
                    field,
                    given,
                    min,
                    max,
                });
            }
        }
        let mut touched = 0;
        for (index, fault) in spec.faults.iter().enumerate() {
            ArmShares::parse(fault.share(), spec.control)
                .map_err(|source| InvalidExperiment::Arms { index, source })?;
            if fault.share() == Share::NONE {
                return Err(InvalidExperiment::NoShare { index });
            }
            if fault.effect().is_asked {
                return Err(InvalidExperiment::Asked { index });
            }
            if fault.effect().is_nothing() {
                return Err(InvalidExperiment::Nothing { index });
            }
            touched += u32::from(u16::from(fault.share()));
        }
        if u32::from(u16::from(Self::BLAST_MAX)) < touched {
            return Err(InvalidExperiment::Blast { given: touched });
        }
        Ok(Self(spec))
    }
}

impl From<ChaosIntent> for ChaosSpec {
    fn from(intent: ChaosIntent) -> Self {
        intent.0
    }
}
