//! What the API answered, at one look and at the one before.

use std::collections::BTreeMap;

use http::Uri;
use sloop_controllers::{
    BurnStatus, CompositeStatus, ExperimentStatus, ObjectiveStatus, PairStatus, SloStatus,
};

use super::super::lines::{Line, lines};
use super::super::{CliError, client};
use crate::admin::api::{DecisionTaken, List, ScopeStatus};

/// The answers of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Look {
    /// When, by the control plane's clock.
    pub(super) at_ms: u64,
    pub(super) slos: Vec<SloStatus>,
    pub(super) scopes: Vec<ScopeStatus>,
    pub(super) decisions: Vec<DecisionTaken>,
    pub(super) experiments: Vec<ExperimentStatus>,
}

impl Look {
    /// Asks the control plane at `admin`.
    pub(super) fn at(admin: &Uri) -> Result<Self, CliError> {
        let slos: List<SloStatus> = client::get(admin, "/v1/slos")?;
        let scopes: List<ScopeStatus> = client::get(admin, "/v1/scopes")?;
        let decisions: List<DecisionTaken> = client::get(admin, "/v1/decisions")?;
        let experiments: List<ExperimentStatus> = client::get(admin, "/v1/experiments")?;
        Ok(Self {
            at_ms: scopes.at_ms,
            slos: slos.items,
            scopes: scopes.items,
            decisions: decisions.items,
            experiments: experiments.items,
        })
    }
}

/// What can be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shown {
    /// Who is asked.
    pub(super) admin: String,
    /// The newest answers; none before the first.
    pub(super) look: Option<Look>,
    /// Requests per second since the look before, by position in `look.scopes`; where not known, none.
    pub(super) rates: Vec<Option<f64>>,
    /// Why there is nothing newer.
    pub(super) trouble: Option<String>,
}

impl Shown {
    /// Nothing so far, of the control plane at `admin`.
    pub(super) fn of(admin: &Uri) -> Self {
        Self {
            admin: admin.to_string(),
            ..Self::default()
        }
    }

    /// Takes in what a look came to. One that failed leaves what was seen before.
    pub(super) fn take(&mut self, look: Result<Look, CliError>) {
        match look {
            Ok(look) => {
                self.rates = rates(self.look.as_ref(), &look);
                self.look = Some(look);
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }

    /// Rows of objectives and composites.
    pub(super) fn rows(&self) -> usize {
        let slos = self.look.iter().flat_map(|look| &look.slos);
        slos.map(|slo| lines(slo).count()).sum()
    }
}

fn rates(before: Option<&Look>, now: &Look) -> Vec<Option<f64>> {
    let Some(before) = before.filter(|before| before.at_ms < now.at_ms) else {
        return vec![None; now.scopes.len()];
    };
    let name = |scope: &ScopeStatus| (scope.service.clone(), scope.route.clone(), scope.side);
    let known = before.scopes.iter().map(|it| (name(it), it.requests));
    let known: BTreeMap<_, u64> = known.collect();
    let millis = now.at_ms - before.at_ms;
    let rate = |scope: &ScopeStatus| {
        let requests = scope.requests.checked_sub(*known.get(&name(scope))?)?;
        Some(super::super::get::share(
            requests.saturating_mul(1_000),
            millis,
        ))
    };
    now.scopes.iter().map(rate).collect()
}

/// How an objective stands, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Sloop does not count what it is about.
    Elsewhere,
    /// Nobody reported, or not lately.
    Unknown,
    /// The budget lasts.
    Well,
    /// It is spent so fast that somebody should look.
    Burning,
    /// Nothing is left.
    Gone,
}

impl State {
    /// How what `line` is about stands.
    pub(super) fn of(line: Line<'_>) -> Self {
        match line {
            Line::Objective(objective) => Self::of_objective(objective),
            Line::Composite(composite) => Self::of_composite(composite),
        }
    }

    fn of_composite(composite: &CompositeStatus) -> Self {
        match composite.left_share {
            Some(..=0.0) => Self::Gone,
            Some(_) | None if is_burning(&composite.pairs) => Self::Burning,
            Some(_) if composite.is_complete && is_heard_together(&composite.pairs) => Self::Well,
            Some(_) | None => Self::Unknown,
        }
    }

    fn of_objective(objective: &ObjectiveStatus) -> Self {
        if objective.source.is_none() {
            return Self::Elsewhere;
        }
        let is_burning = is_burning(&objective.pairs);
        match objective.budget {
            Some(budget) if budget.left_share <= 0.0 && 0 < budget.spent => Self::Gone,
            Some(_) if is_burning || objective.change.is_some() => Self::Burning,
            Some(_) if objective.counts.is_some() && is_heard(&objective.burn) => Self::Well,
            Some(_) | None => Self::Unknown,
        }
    }

    /// The same in a word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Elsewhere => "elsewhere",
            Self::Unknown => "not known",
            Self::Well => "well",
            Self::Burning => "burning",
            Self::Gone => "gone",
        }
    }
}

/// Windows at whose end somebody must have been heard of, in milliseconds: a sidecar may be silent for a minute.
const LATELY_MS: u64 = 300_000;

/// Whether anybody reported lately: what the budget knows may be of hours ago.
fn is_heard(burn: &[BurnStatus]) -> bool {
    let mut lately = burn.iter().filter(|it| it.window_ms <= LATELY_MS);
    burn.is_empty() || lately.any(|it| it.counts.is_some())
}

/// The same of all objectives of a composite.
fn is_heard_together(pairs: &[PairStatus]) -> bool {
    let lately = |(place, pair): (usize, &PairStatus)| place == 0 || pair.short_ms <= LATELY_MS;
    let mut lately = pairs.iter().enumerate().filter(|it| lately(*it));
    pairs.is_empty() || lately.any(|(_, pair)| pair.burning.is_some())
}

fn is_burning(pairs: &[PairStatus]) -> bool {
    pairs.iter().any(|pair| pair.burning == Some(true))
}
