//! What documents say about `FilterSettings` together.

use std::collections::BTreeMap;

use sloop_model::{ServiceName, Side};

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

/// Notes a `caller` that no filter can know: a slip, unless the filters are told elsewhere.
pub(super) fn note_unknown_callers(all: &[Placed<'_>], contributions: &[Contribution]) {
    let knows = |service: &ServiceName, side: Side| {
        all.iter().any(|placed| match &placed.document.body {
            Body::FilterSettings(settings) => {
                let dimensions = settings.dimensions.as_ref();
                // Whose sidecar asks, a client's filter knows without the service that is asked.
                let is_about = match side {
                    Side::Server => settings.covers(service, side),
                    Side::Client => settings.side != Some(Side::Server),
                };
                is_about && dimensions.is_some_and(|dimensions| dimensions.caller.is_some())
            }
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
            | Body::Checked => false,
        })
    };
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
        if !knows(service, side) {
            let why = format!(
                "fits nobody: no FilterSettings for {service} ({side}) have dimensions.caller"
            );
            note(contributions, *placed, &why);
        }
    }
}
