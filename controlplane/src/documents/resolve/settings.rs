//! What documents say about `FilterSettings` together.

use std::collections::BTreeMap;

use sloop_controllers::{FilterSettings, SloSource};
use sloop_model::{Dimension, ServiceName, Side};

use super::super::reader::{Sink, Spot};
use super::{Body, Contribution, Parsed, Placed, neighbours, note, refuse, where_is};

/// The same sidecars are set up once: which of two documents were to hold, nobody could say.
pub(super) fn refuse_repeats(
    files: &[(&str, &Parsed)],
    all: &[Placed<'_>],
    contributions: &[Contribution],
) {
    let mut about: BTreeMap<(Option<&ServiceName>, Option<Side>), Vec<Placed<'_>>> =
        BTreeMap::new();
    for placed in all {
        if let Body::FilterSettings(settings) = &placed.document.body {
            let key = (settings.service.as_ref(), settings.side);
            about.entry(key).or_default().push(*placed);
        }
    }
    for group in about.values() {
        for (other, placed) in neighbours(group) {
            let why = format!(
                "the FilterSettings {} {} are about the same service and side",
                other.document.name,
                where_is(files, other, placed.file)
            );
            refuse(contributions, placed, &why);
        }
    }
}

/// By what filters are told to tell requests apart.
#[derive(Debug)]
pub(super) struct Told<'a>(Vec<&'a FilterSettings>);

impl<'a> Told<'a> {
    /// As `all` documents say.
    pub(super) fn by(all: &[Placed<'a>]) -> Self {
        let settings = all.iter().filter_map(|placed| match &placed.document.body {
            Body::FilterSettings(settings) => Some(&**settings),
            Body::Slo(_)
            | Body::Sli(_)
            | Body::DataSource(_)
            | Body::RouteSet(_)
            | Body::CircuitBreaker(_)
            | Body::FaultInjection(_)
            | Body::LoadShedding(_)
            | Body::EnvoyResource(_)
            | Body::ChaosExperiment(_)
            | Body::DenyRule(_)
            | Body::AlertPolicy(_)
            | Body::AlertCondition(_)
            | Body::NotificationTarget(_)
            | Body::AccessRule(_)
            | Body::Checked => None,
        });
        Self(settings.collect())
    }

    /// Notes a `caller` of a rule that no filter can know: a slip, unless the filters are told elsewhere.
    pub(super) fn note_unknown_callers(&self, all: &[Placed<'_>], contributions: &[Contribution]) {
        for placed in all {
            let (service, side) = match &placed.document.body {
                Body::DenyRule(intent) if intent.rule.caller().is_some() => {
                    (&intent.service, intent.side)
                }
                Body::FaultInjection(intent) if !intent.fault.reach().callers.is_empty() => {
                    (&intent.service, intent.side)
                }
                Body::Slo(_)
                | Body::Sli(_)
                | Body::DataSource(_)
                | Body::RouteSet(_)
                | Body::CircuitBreaker(_)
                | Body::FaultInjection(_)
                | Body::LoadShedding(_)
                | Body::DenyRule(_)
                | Body::FilterSettings(_)
                | Body::EnvoyResource(_)
                | Body::ChaosExperiment(_)
                | Body::AlertPolicy(_)
                | Body::AlertCondition(_)
                | Body::NotificationTarget(_)
                | Body::AccessRule(_)
                | Body::Checked => continue,
            };
            if !self.includes(Dimension::Caller, (service, side)) {
                let why = format!(
                    "fits nobody: no FilterSettings for {service} ({side}) have dimensions.caller"
                );
                note(contributions, *placed, &why);
            }
        }
    }

    /// Notes that an objective with this `source` counts nothing, where nobody is told to tell apart what it names.
    pub(super) fn look_up(&self, source: &SloSource, spot: &Spot, sink: &Sink) {
        let (service, side) = (&source.service, source.side);
        if let Some(only) = &source.indicator.only {
            // Outbound the caller is whose sidecar it is.
            let names_callers = !only.caller.is_empty() && side == Side::Server;
            for (dimension, is_named) in [
                (Dimension::Caller, names_callers),
                (Dimension::Origin, !only.origin.is_empty()),
            ] {
                if is_named && !self.includes(dimension, (service, side)) {
                    let name = dimension.name();
                    sink.note(spot.says(format!(
                        "counts nothing: its metricSource has {name}, and no FilterSettings for {service} ({side}) have dimensions.{name}"
                    )));
                }
            }
        }
    }

    /// Whether the filters that see requests to `service` from `side` are told to tell them apart by `dimension`.
    fn includes(&self, dimension: Dimension, (service, side): (&ServiceName, Side)) -> bool {
        self.0.iter().any(|settings| {
            let dimensions = settings.dimensions.as_ref();
            // Whose sidecar asks, a client's filter knows without the service that is asked.
            let is_about = match side {
                Side::Server => settings.covers(service, side),
                Side::Client => settings.side != Some(Side::Server),
            };
            is_about && dimensions.is_some_and(|dimensions| dimensions.includes(dimension))
        })
    }
}
