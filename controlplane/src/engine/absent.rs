//! Which documents are about sidecars of which there is none.

use std::collections::{BTreeMap, BTreeSet};

use sloop_controllers::{Slo, SloIntent, SloStatus};
use sloop_model::{ServiceName, Side};
use sloop_xds::fleet::Cohort;

use super::Engine;
use crate::documents::perhaps;

impl Engine {
    /// What is to be said of SLOs beside their notes, by their place in [`Engine::slos`]: whose service has no sidecar that is
    /// connected, as one of `connected` or by its reports, and of which something is not known.
    #[must_use]
    pub fn absent(&self, connected: &BTreeSet<Cohort>) -> BTreeMap<usize, Vec<String>> {
        let mut present: BTreeSet<&str> = connected.iter().map(|it| it.service.as_str()).collect();
        let slos = self.slos().iter().zip(self.controllers.intents::<Slo>());
        let waiting = slos.map(|(status, (_, intent))| waits_for(status, intent));
        let waiting = waiting.enumerate().filter(|(_, waits)| !waits.is_empty());
        let waiting: Vec<_> = waiting.collect();
        let is_absent = |present: &BTreeSet<&str>, waits: &BTreeSet<&ServiceName>| {
            waits.iter().any(|it| !present.contains(it.as_str()))
        };
        if waiting.iter().any(|(_, waits)| is_absent(&present, waits)) {
            present.extend(self.fleet.groups());
        }
        let known: Vec<&str> = present.iter().copied().collect();
        let said = waiting.into_iter().filter_map(|(place, waits)| {
            let absent = waits.iter().filter(|it| !present.contains(it.as_str()));
            let notes: Vec<String> = absent
                .map(|service| note(service.as_str(), &known))
                .collect();
            (!notes.is_empty()).then_some((place, notes))
        });
        said.collect()
    }

    /// What is to be said of files beside their notes, by file: what they declare for nodes of which none is `connected`.
    #[must_use]
    pub fn chosen_by_nobody(&self, connected: &BTreeSet<Cohort>) -> BTreeMap<&str, Vec<String>> {
        let declared = self.documents.fleet.iter().flat_map(|it| it.declared());
        let known: Vec<&str> = connected.iter().map(|it| it.service.as_str()).collect();
        let mut said: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for one in declared.filter(|one| !connected.iter().any(|cohort| one.is_for(cohort))) {
            let Some(file) = self.documents.fleet_files.get(&one.document) else {
                continue;
            };
            let hint = one.selector.clusters.iter().map(|it| meant(it, &known));
            let hint = hint.max_by_key(String::len).unwrap_or_default();
            let notes = said.entry(file).or_default();
            notes.push(format!(
                "the selector of EnvoyResource {} chooses no node that is connected{hint}",
                one.document
            ));
        }
        said
    }
}

/// The services whose own sidecars are to count what is not known of an SLO.
fn waits_for<'a>(status: &SloStatus, intent: &'a SloIntent) -> BTreeSet<&'a ServiceName> {
    let objectives = status.objectives.iter().zip(&intent.objectives);
    let unknown = objectives.filter(|(status, _)| status.counts.is_none());
    let sources = unknown.filter_map(|(_, objective)| objective.source.as_ref());
    let inbound = sources.filter(|source| source.side == Side::Server);
    inbound.map(|source| &source.service).collect()
}

fn note(service: &str, known: &[&str]) -> String {
    let hint = meant(service, known);
    format!("no sidecar of {service} is connected or reports{hint}")
}

/// The service among `known` that was probably meant: in meshes names go on with the namespace.
fn meant(given: &str, known: &[&str]) -> String {
    let first = |name: &str| name.split('.').next().map(str::to_owned);
    let longer = known.iter().find(|name| first(name) == first(given));
    match longer {
        Some(name) if *name != given => format!("; did you mean {name:?}?"),
        Some(_) | None => perhaps(given, known),
    }
}
