//! Which documents are about sidecars of which there is none.

use std::collections::{BTreeMap, BTreeSet};

use sloop_controllers::{Slo, SloIntent, SloStatus};
use sloop_model::{ServiceName, Side};
use sloop_xds::fleet::Cohort;

use super::Engine;
use crate::documents::perhaps;

/// Names that are compared for the hints of one answer: some ten milliseconds of work.
const COMPARED_MAX: usize = 10_000;

/// SLOs whose services have no sidecar that is connected, or reports, and of which something is not known.
#[derive(Debug, Default)]
pub struct Absent {
    /// The services, by the place of the SLO in [`Engine::slos`].
    services: BTreeMap<usize, Vec<String>>,
    /// Services that have sidecars; nothing when no other is missing.
    present: Vec<String>,
}

impl Absent {
    /// What is to be said of each SLO beside its notes. This is no work for the loop.
    #[must_use]
    pub fn notes(&self) -> BTreeMap<usize, Vec<String>> {
        let known = self.present.iter().map(String::as_str);
        let mut hints = Hints::of(known.collect());
        let mut note = |service: &String| {
            let hint = hints.hint(service);
            format!("no sidecar of {service} is connected or reports{hint}")
        };
        let by_place = self.services.iter();
        by_place
            .map(|(place, services)| (*place, services.iter().map(&mut note).collect()))
            .collect()
    }
}

impl Engine {
    /// Which SLOs, or of them only the one at a place in [`Engine::slos`], are about services of which no sidecar is connected, as
    /// one of `connected` or by its reports.
    #[must_use]
    pub fn absent(&self, connected: &BTreeSet<Cohort>, only: Option<usize>) -> Absent {
        let mut present: BTreeSet<&str> = connected.iter().map(|it| it.service.as_str()).collect();
        let slos = self.slos().iter().zip(self.controllers.intents::<Slo>());
        let meant = slos.enumerate();
        let meant = meant.filter(|(place, _)| only.is_none_or(|only| *place == only));
        let waiting: Vec<(usize, BTreeSet<&ServiceName>)> = meant
            .map(|(place, (status, (_, intent)))| (place, waits_for(status, intent)))
            .collect();
        let mut all = waiting.iter().flat_map(|(_, waits)| waits);
        if all.all(|it| present.contains(it.as_str())) {
            return Absent::default();
        }
        present.extend(self.fleet.groups());
        let absent = |waits: BTreeSet<&ServiceName>| {
            let absent = waits.into_iter().map(|it| it.as_str());
            let absent = absent.filter(|it| !present.contains(it));
            absent.map(str::to_owned).collect::<Vec<_>>()
        };
        let services = waiting.into_iter();
        let services = services.map(|(place, waits)| (place, absent(waits)));
        Absent {
            services: services.filter(|(_, absent)| !absent.is_empty()).collect(),
            present: present.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    /// What is to be said of files beside their notes, by file: what they declare for nodes of which none is `connected`.
    #[must_use]
    pub fn chosen_by_nobody(&self, connected: &BTreeSet<Cohort>) -> BTreeMap<&str, Vec<String>> {
        let declared = self.documents.fleet.iter().flat_map(|it| it.declared());
        let known: BTreeSet<&str> = connected.iter().map(|it| it.service.as_str()).collect();
        let mut hints = Hints::of(known.into_iter().collect());
        let mut said: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for one in declared.filter(|one| !connected.iter().any(|cohort| one.is_for(cohort))) {
            let Some(file) = self.documents.fleet_files.get(&one.document) else {
                continue;
            };
            let hint = one.selector.clusters.iter().map(|it| hints.hint(it));
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

/// Which services were probably meant, for the first that ask: where many are missing, they are not misspelled.
struct Hints<'a> {
    known: Vec<&'a str>,
    given: BTreeMap<String, String>,
    compared: usize,
}

impl<'a> Hints<'a> {
    const fn of(known: Vec<&'a str>) -> Self {
        Self {
            known,
            given: BTreeMap::new(),
            compared: 0,
        }
    }

    /// To be put after a complaint about the service `given`; empty where nothing is near, or too much was asked for.
    fn hint(&mut self, given: &str) -> String {
        if let Some(hint) = self.given.get(given) {
            return hint.clone();
        }
        self.compared = self.compared.saturating_add(self.known.len());
        if COMPARED_MAX < self.compared {
            return String::new();
        }
        let hint = meant(given, &self.known);
        self.given.insert(given.to_owned(), hint.clone());
        hint
    }
}

/// The service among `known` that was probably meant: in meshes names go on with the namespace.
fn meant(given: &str, known: &[&str]) -> String {
    let first = given.split('.').next();
    let longer = known.iter().find(|name| name.split('.').next() == first);
    match longer {
        Some(name) if *name != given => format!("; did you mean {name:?}?"),
        Some(_) | None => perhaps(given, known),
    }
}
