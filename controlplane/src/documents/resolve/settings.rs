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
            if !self.includes_where_counted(Dimension::Caller, (service, side)) {
                let why = format!(
                    "fits nobody: what FilterSettings say for {service} ({side}) has no dimensions.caller"
                );
                note(contributions, *placed, &why);
            }
        }
    }

    /// Notes what an objective with this `source` does not count, since the filters that count are not told to tell it apart.
    pub(super) fn look_up(&self, source: &SloSource, spot: &Spot, sink: &Sink) {
        let Some(only) = &source.indicator.only else {
            return;
        };
        let (service, side) = (&source.service, source.side);
        let note = |dimension: Dimension, of: &str, service: &str| {
            let name = dimension.name();
            sink.note(spot.says(format!(
                "counts nothing{of}: its metricSource has {name}, and what FilterSettings say for {service} ({side}) has no dimensions.{name}"
            )));
        };
        // Outbound the caller is whose sidecar it is.
        if side == Side::Client && !only.origin.is_empty() && !only.caller.is_empty() {
            for caller in &only.caller {
                let own = ServiceName::try_from(caller.as_str());
                if own.is_ok_and(|own| !self.includes(Dimension::Origin, &own, side)) {
                    note(
                        Dimension::Origin,
                        &format!(" of {}", caller.as_str()),
                        caller.as_str(),
                    );
                }
            }
            return;
        }
        let asks_callers = !only.caller.is_empty() && side == Side::Server;
        for (dimension, is_named) in [
            (Dimension::Caller, asks_callers),
            (Dimension::Origin, !only.origin.is_empty()),
        ] {
            if is_named && !self.includes_where_counted(dimension, (service, side)) {
                note(dimension, "", service.as_str());
            }
        }
    }

    /// Whether filters that see requests to `service` from `side` are told to tell them apart by `dimension`: its own, or
    /// those of anybody who may call it.
    fn includes_where_counted(
        &self,
        dimension: Dimension,
        (service, side): (&ServiceName, Side),
    ) -> bool {
        match side {
            Side::Server => self.includes(dimension, service, side),
            // Who calls, nobody says, and one that is told is enough.
            Side::Client => self.0.iter().any(|settings| {
                let nobody = ServiceName::unknown();
                let caller = settings.service.as_ref().unwrap_or(&nobody);
                self.includes(dimension, caller, side)
            }),
        }
    }

    /// Whether the filter of `service` on `side` is told to tell requests apart by `dimension`.
    fn includes(&self, dimension: Dimension, service: &ServiceName, side: Side) -> bool {
        FilterSettings::dimensions(self.0.iter().copied(), service, side)
            .is_some_and(|dimensions| dimensions.includes(dimension))
    }
}
