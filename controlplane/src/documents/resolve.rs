//! Puts the documents of all files together: names, references, intents.

mod routes;
mod settings;

pub(super) use routes::set_of;

use std::collections::BTreeMap;

use serde::Serialize;
use sloop_controllers::{
    AccessRule, Alert, AlertIntent, Chaos, CircuitBreak, Controller, Deny, FaultInjection,
    FilterSettings, IntentId, LoadShed, RouteSet, SloIntent,
};
use sloop_model::WallTime;
use sloop_xds::fleet::Declared;

use super::alerts;
use super::document::{Body, Document, Parsed};
use super::indicator;
use super::intents::{self, Context};
use super::openslo::Slo;
use super::reader::{Sink, Spot};
use routes::{Routes, Use};
use settings::Told;

/// What one file contributes, and what is wrong with it beside the others.
#[derive(Debug, Default)]
pub(super) struct Contribution {
    pub(super) sink: Sink,
    pub(super) intents: Vec<(IntentId, &'static str, String)>,
    pub(super) route_sets: Vec<RouteSet>,
    /// Each with the place to complain about.
    pub(super) fleet: Vec<(Spot, Declared)>,
    pub(super) filter_settings: Vec<FilterSettings>,
    pub(super) access_rules: Vec<AccessRule>,
    /// Those among the intents.
    slos: Vec<SloIntent>,
    /// Which routes they are about.
    uses: Vec<Use>,
}

/// A document and the file that it is in.
#[derive(Clone, Copy, Debug)]
struct Placed<'a> {
    file: usize,
    document: &'a Document,
}

/// Puts `files` together, each a name and its documents; one contribution per file, in their order.
pub(super) fn resolve(files: &[(&str, &Parsed)], now: WallTime) -> Vec<Contribution> {
    let mut contributions: Vec<Contribution> = Vec::new();
    contributions.resize_with(files.len(), Contribution::default);
    let all: Vec<Placed<'_>> = files
        .iter()
        .enumerate()
        .flat_map(|(file, (_, parsed))| {
            let documents = parsed.documents.iter();
            documents.map(move |document| Placed { file, document })
        })
        .collect();
    refuse_repeats(files, &all, &contributions);
    let routes = Routes::of(files, &all, &contributions);
    settings::refuse_repeats(files, &all, &contributions);
    let told = Told::by(&all);
    told.note_unknown_callers(&all, &contributions);
    let context = context(&all, now);
    for placed in &all {
        if let Some(contribution) = contributions.get_mut(placed.file) {
            contribution.add(placed.document, &context, &told);
        }
    }
    routes.look_up(&contributions);
    add_breakers(&all, &mut contributions);
    contributions
}

/// Adds the breakers that are declared, with what SLOs of all files imply for what they leave out.
fn add_breakers(all: &[Placed<'_>], contributions: &mut [Contribution]) {
    let slos = contributions.iter_mut();
    let slos: Vec<SloIntent> = slos.flat_map(|one| std::mem::take(&mut one.slos)).collect();
    for placed in all {
        let Body::CircuitBreaker(declared) = &placed.document.body else {
            continue;
        };
        if let Some(contribution) = contributions.get_mut(placed.file) {
            let sink = &contribution.sink;
            let intent = declared.beside(&slos, sink);
            let intent =
                intent.and_then(|it| intent_of::<CircuitBreak>(placed.document, &it, sink));
            contribution.intents.extend(intent);
        }
    }
}

impl Contribution {
    fn add(&mut self, document: &Document, context: &Context<'_>, told: &Told<'_>) {
        let sink = &self.sink;
        let spot = &document.spot;
        let about = |service, route, side| Use::of(document, (service, route, side), context.now);
        let intent = match &document.body {
            Body::Slo(slo) => self.add_slo(document, slo, context, told),
            Body::CircuitBreaker(declared) => {
                let intent = declared.intent();
                self.uses
                    .push(about(&intent.service, &intent.route, intent.side));
                // Needs all SLOs.
                None
            }
            Body::FaultInjection(intent) => {
                self.uses
                    .push(about(&intent.service, &intent.route, intent.side));
                intent_of::<FaultInjection>(document, &**intent, sink)
            }
            Body::ChaosExperiment(intent) => {
                for target in &intent.spec().targets {
                    self.uses
                        .push(about(&target.service, &target.route, target.side));
                }
                intent_of::<Chaos>(document, &**intent, sink)
            }
            Body::LoadShedding(intent) => {
                self.uses
                    .push(about(&intent.service, &intent.route, intent.side));
                intent_of::<LoadShed>(document, &**intent, sink)
            }
            Body::DenyRule(intent) => {
                self.uses
                    .push(about(&intent.service, &intent.route, intent.side));
                intent_of::<Deny>(document, &**intent, sink)
            }
            Body::FilterSettings(settings) => {
                self.filter_settings.push((**settings).clone());
                None
            }
            Body::AccessRule(rule) => {
                self.access_rules.push(rule.clone());
                None
            }
            Body::RouteSet(routes) => {
                self.route_sets.push(routes.clone());
                None
            }
            Body::EnvoyResource(declared) => {
                self.fleet.push((spot.clone(), (**declared).clone()));
                None
            }
            Body::Sli(sli) => {
                indicator::meaning(sli, &context.types, sink);
                None
            }
            Body::DataSource(_)
            | Body::AlertPolicy(_)
            | Body::AlertCondition(_)
            | Body::NotificationTarget(_)
            | Body::Checked => None,
        };
        self.intents.extend(intent);
    }

    /// Adds an SLO with its alerts; the answer is its own intent.
    fn add_slo(
        &mut self,
        document: &Document,
        slo: &Slo,
        context: &Context<'_>,
        told: &Told<'_>,
    ) -> Option<(IntentId, &'static str, String)> {
        let (sink, spot) = (&self.sink, &document.spot);
        let intent = intents::slo(slo, context, sink)?;
        for source in intent
            .objectives
            .iter()
            .filter_map(|one| one.source.as_ref())
        {
            let about = (&source.service, &source.route, source.side);
            self.uses.push(Use::of(document, about, context.now));
            told.look_up(source, spot, sink);
        }
        self.intents.extend(
            alerts::of(slo, &intent, context, sink)
                .iter()
                .filter_map(|alert| alert_of(document, alert, sink)),
        );
        let id = intent_of::<sloop_controllers::Slo>(document, &intent, sink);
        self.slos.push(intent);
        id
    }
}

fn intent_of<C: Controller>(
    document: &Document,
    intent: &C::Intent,
    sink: &Sink,
) -> Option<(IntentId, &'static str, String)>
where
    C::Intent: Serialize,
{
    let id = IntentId(format!("{}/{}", document.kind, document.name));
    match serde_json::to_string(intent) {
        Ok(body) => Some((id, C::KIND, body)),
        Err(error) => {
            sink.refuse(document.spot.says(error));
            None
        }
    }
}

/// The intent of an alert policy on the SLO in `document`; several SLOs may have the same policy.
fn alert_of(
    document: &Document,
    alert: &AlertIntent,
    sink: &Sink,
) -> Option<(IntentId, &'static str, String)> {
    let (id, kind, body) = intent_of::<Alert>(document, alert, sink)?;
    let id = IntentId(format!("{}/AlertPolicy/{}", id.0, alert.policy));
    Some((id, kind, body))
}

fn context<'a>(all: &[Placed<'a>], now: WallTime) -> Context<'a> {
    let mut context = Context {
        types: BTreeMap::new(),
        slis: BTreeMap::new(),
        policies: BTreeMap::new(),
        conditions: BTreeMap::new(),
        targets: BTreeMap::new(),
        now,
    };
    for Placed { document, .. } in all {
        match &document.body {
            Body::DataSource(source) => {
                context.types.insert(&document.name, &source.kind);
            }
            Body::Sli(sli) => {
                context.slis.insert(&document.name, sli);
            }
            Body::AlertPolicy(policy) => {
                context.policies.insert(&document.name, policy);
            }
            Body::AlertCondition(condition) => {
                context.conditions.insert(&document.name, condition);
            }
            Body::NotificationTarget(target) => {
                context.targets.insert(&document.name, target);
            }
            Body::Slo(_)
            | Body::RouteSet(_)
            | Body::CircuitBreaker(_)
            | Body::FaultInjection(_)
            | Body::EnvoyResource(_)
            | Body::ChaosExperiment(_)
            | Body::LoadShedding(_)
            | Body::DenyRule(_)
            | Body::FilterSettings(_)
            | Body::AccessRule(_)
            | Body::Checked => {}
        }
    }
    context
}

/// A kind has a name once. Of files that share one, each is told of the other:
/// the order of files means nothing, so none of them is right. Of kinds that
/// nothing acts on, it is no more than worth knowing.
fn refuse_repeats(files: &[(&str, &Parsed)], all: &[Placed<'_>], contributions: &[Contribution]) {
    let mut named: BTreeMap<(&str, &str), Vec<Placed<'_>>> = BTreeMap::new();
    for placed in all {
        let key = (placed.document.kind, placed.document.name.as_str());
        named.entry(key).or_default().push(*placed);
    }
    for ((kind, name), group) in &named {
        for (other, placed) in neighbours(group) {
            let place = where_is(files, other, placed.file);
            let why = format!("the {kind} {name} is {place}, too");
            if placed.document.body.is_lenient() {
                note(contributions, placed, &why);
            } else {
                refuse(contributions, placed, &why);
            }
        }
    }
}

/// Each member of a group of several, after another one: the one before it, for the first the last.
fn neighbours<'a>(group: &[Placed<'a>]) -> impl Iterator<Item = (Placed<'a>, Placed<'a>)> {
    let others = group.iter().cycle().skip(group.len().saturating_sub(1));
    others
        .copied()
        .zip(group.iter().copied())
        .filter(move |_| 1 < group.len())
}

fn where_is(files: &[(&str, &Parsed)], placed: Placed<'_>, asking: usize) -> String {
    let line = placed.document.spot.place.line;
    match files.get(placed.file) {
        Some((name, _)) if placed.file != asking => format!("at {name}:{line}"),
        _ => format!("at line {line}"),
    }
}

fn refuse(contributions: &[Contribution], placed: Placed<'_>, why: &str) {
    if let Some(contribution) = contributions.get(placed.file) {
        contribution.sink.refuse(placed.document.spot.says(why));
    }
}

fn note(contributions: &[Contribution], placed: Placed<'_>, why: &str) {
    if let Some(contribution) = contributions.get(placed.file) {
        contribution.sink.note(placed.document.spot.says(why));
    }
}
