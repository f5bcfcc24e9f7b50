//! Which routes documents are about, and which of them `RouteSet`s name.

use std::collections::BTreeMap;

use sloop_controllers::{RouteNames, RouteSelector, RouteSet, Unnamed, route_names};
use sloop_model::{RouteName, ServiceName, Side, WallTime};

use super::super::reader::Spot;
use super::super::suggest;
use super::{Body, Contribution, Document, Parsed, Placed, neighbours, refuse, where_is};

/// What a document is about.
#[derive(Debug)]
pub(super) struct Use {
    service: ServiceName,
    route: RouteSelector,
    side: Side,
    /// The document, for people.
    by: String,
    /// The place to complain about.
    spot: Spot,
    /// Whether filters have a scope for it by this document alone, for as long as it is there or until it expires.
    is_held: bool,
}

impl Use {
    /// One of `document`.
    pub(super) fn of(
        document: &Document,
        (service, route, side): (&ServiceName, &RouteSelector, Side),
        now: WallTime,
    ) -> Self {
        Self {
            service: service.clone(),
            route: route.clone(),
            side,
            by: format!("{} {}", document.kind, document.name),
            spot: document.spot.clone(),
            is_held: is_held(&document.body, now),
        }
    }

    /// Whether inbound something holds by it on all routes.
    fn holds_on_all(&self) -> bool {
        self.is_held && self.side == Side::Server && self.route == RouteSelector::Any
    }
}

/// The routes of services, by the sets that name them.
#[derive(Debug)]
pub(super) struct Routes(RouteNames);

impl Routes {
    /// Those of `all` documents. A route has a name once in its service.
    pub(super) fn of(
        files: &[(&str, &Parsed)],
        all: &[Placed<'_>],
        contributions: &[Contribution],
    ) -> Self {
        let mut by_name: BTreeMap<(&ServiceName, &RouteName), Vec<Placed<'_>>> = BTreeMap::new();
        let sets = all.iter();
        let sets = sets.filter_map(|placed| Some((*placed, set_of(placed.document)?)));
        for (placed, set) in sets.clone() {
            for route in &set.routes {
                let group = by_name.entry((&set.service, &route.name)).or_default();
                // Twice in one set has been said by its reader.
                let is_new = |last: &Placed<'_>| !std::ptr::eq(last.document, placed.document);
                if group.last().is_none_or(is_new) {
                    group.push(placed);
                }
            }
        }
        for ((service, route), group) in &by_name {
            for (other, placed) in neighbours(group) {
                let place = where_is(files, other, placed.file);
                let why = format!("the route {route} of {service} is named {place}, too");
                refuse(contributions, placed, &why);
            }
        }
        Self(route_names(sets.map(|(_, set)| set)))
    }

    /// Notes routes that are left out of configurations, since nobody knows which requests they are.
    pub(super) fn look_up(&self, contributions: &[Contribution]) {
        let uses = contributions.iter().flat_map(|one| &one.uses);
        let held: BTreeMap<&ServiceName, &str> = uses
            .filter(|one| one.holds_on_all())
            .map(|one| (&one.service, one.by.as_str()))
            .collect();
        for contribution in contributions {
            for one in &contribution.uses {
                let by = held.get(&one.service).copied();
                if let Some(why) = self.why(one, by) {
                    contribution.sink.note(one.spot.says(why));
                }
            }
        }
    }

    /// Why what `one` is about is left out, where `by` holds on all routes of its service; nothing when it is not.
    fn why(&self, one: &Use, by: Option<&str>) -> Option<String> {
        let RouteSelector::Named(name) = &one.route else {
            return None;
        };
        let named = self.0.get(&one.service);
        let unnamed = Unnamed::of((&one.route, one.side), named, by.is_some())?;
        let known = named.into_iter().flatten().map(RouteName::as_str);
        let known: Vec<&str> = known.collect();
        let rest = match (unnamed, by) {
            (Unnamed::InSets, _) if known.is_empty() => String::new(),
            (Unnamed::InSets, _) => format!("; {}", suggest::hint(name.as_str(), &known)),
            (Unnamed::HeldOnAll, Some(by)) => format!(": {by} does"),
            (Unnamed::HeldOnAll | Unnamed::Outbound, _) => String::new(),
        };
        Some(format!(
            "fits no request: no RouteSet names the route {name} of {}, and {unnamed}{rest}",
            one.service
        ))
    }
}

/// Whether what a document is about is in configurations.
fn is_held(body: &Body, now: WallTime) -> bool {
    match body {
        Body::Slo(_) | Body::CircuitBreaker(_) => true,
        Body::FaultInjection(intent) => now < intent.fault.expires_at(),
        // With neither it is as SLOs imply, and these have a place of their own.
        Body::LoadShedding(intent) => intent.limits.is_some() || intent.retries.is_some(),
        // What is denied everywhere has a place beside the scopes, and an experiment holds only while it runs.
        Body::DenyRule(_)
        | Body::ChaosExperiment(_)
        | Body::Sli(_)
        | Body::DataSource(_)
        | Body::RouteSet(_)
        | Body::FilterSettings(_)
        | Body::EnvoyResource(_)
        | Body::AlertPolicy(_)
        | Body::AlertCondition(_)
        | Body::NotificationTarget(_)
        | Body::AccessRule(_)
        | Body::Checked => false,
    }
}

/// The set that `document` is.
pub(in crate::documents) fn set_of(document: &Document) -> Option<&RouteSet> {
    match &document.body {
        Body::RouteSet(set) => Some(set),
        Body::Slo(_)
        | Body::Sli(_)
        | Body::DataSource(_)
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
        | Body::Checked => None,
    }
}
