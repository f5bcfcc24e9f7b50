//! The shares of all hops in the time of a journey, by the formulas in [the module](super).

use core::cmp::Reverse;
use std::collections::BTreeMap;

use sloop_model::{DimensionValue, Scope, Side};

use super::{Hop, HopShare, JourneyStatus, Journeys, Sums};
use crate::slo::share;

/// Everything that was counted in the window.
#[derive(Debug)]
pub(super) struct Whole<'a> {
    hops: &'a BTreeMap<&'a Hop, Sums>,
    /// Routes of services as their own sidecars see them.
    served: BTreeMap<(&'a str, &'a str), Sums>,
    /// All time that each service took, of requests with a latency.
    served_us: BTreeMap<&'a str, u64>,
}

/// What a service has of one journey while it is being added up. Microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    requests: u64,
    served_us: u64,
    calls_us: u64,
    way_us: u64,
    untimed: u64,
    is_estimated: bool,
    is_outside: bool,
}

impl<'a> Whole<'a> {
    pub(super) fn new(hops: &'a BTreeMap<&'a Hop, Sums>) -> Self {
        let mut served: BTreeMap<_, Sums> = BTreeMap::new();
        let mut served_us: BTreeMap<&str, u64> = BTreeMap::new();
        for (hop, sums) in hops {
            if hop.scope.side == Side::Server {
                served.entry(place(&hop.scope)).or_default().plus(sums);
                let sum = served_us.entry(hop.scope.service.as_str()).or_default();
                *sum = sum.saturating_add(sums.time_us);
            }
        }
        Self {
            hops,
            served,
            served_us,
        }
    }

    pub(super) fn journeys(&self) -> Vec<JourneyStatus> {
        let mut names: BTreeMap<&String, u64> = BTreeMap::new();
        for (name, requests) in self.hops.values().flat_map(|sums| &sums.journeys) {
            let sum = names.entry(name).or_default();
            *sum = sum.saturating_add(*requests);
        }
        // Callers choose the names, and each costs a walk over all hops.
        let named = names
            .into_iter()
            .filter(|(name, _)| *name != DimensionValue::UNKNOWN);
        let mut names: Vec<(&String, u64)> = named.collect();
        names.sort_by_key(|(_, requests)| Reverse(*requests));
        names.truncate(Journeys::TOLD_MAX);
        names.sort_unstable();
        let names = names.into_iter();
        names.map(|(name, _)| self.journey(name)).collect()
    }

    fn journey(&self, journey: &str) -> JourneyStatus {
        let mut parts: BTreeMap<&str, Part> = BTreeMap::new();
        for (hop, sums) in self.of_side(Side::Server) {
            if let Some(requests) = sums.journeys.get(journey) {
                let part = parts.entry(hop.scope.service.as_str()).or_default();
                part.serve(*requests, sums);
            }
        }
        for (hop, sums) in self.of_side(Side::Client) {
            self.call(journey, (hop, sums), &mut parts);
        }
        status(journey, &parts)
    }

    fn of_side(&self, side: Side) -> impl Iterator<Item = (&'a Hop, &'a Sums)> {
        let hops = self.hops.iter().map(|(hop, sums)| (*hop, sums));
        hops.filter(move |(hop, _)| hop.scope.side == side)
    }

    /// Takes what a service waited for another from its own time, and gives it to the other and to the way there.
    fn call(
        &self,
        journey: &str,
        (hop, sums): (&'a Hop, &Sums),
        parts: &mut BTreeMap<&'a str, Part>,
    ) {
        let is_told = !sums.journeys.is_empty();
        let caller = parts.get(hop.by.as_str()).copied().unwrap_or_default();
        let requests = if is_told {
            sums.journeys.get(journey).copied().unwrap_or_default()
        } else {
            let all_us = self.served_us.get(hop.by.as_str()).copied();
            part_of(sums.timed, caller.served_us, all_us.unwrap_or_default())
        };
        if requests == 0 {
            return;
        }
        let waited_us = sums.mean_of(requests);
        if let Some(part) = parts.get_mut(hop.by.as_str()) {
            part.calls_us = part.calls_us.saturating_add(waited_us.unwrap_or_default());
            part.is_estimated |= !is_told;
        }
        let callee = hop.scope.service.as_str();
        let part = parts.entry(callee).or_default();
        if self.served_us.contains_key(callee) {
            // What was waited for and nobody there has seen was spent on the way.
            let served = self.served.get(&place(&hop.scope));
            let there_us = served.and_then(|served| served.mean_of(requests));
            let waited_us = waited_us.unwrap_or_default();
            let way_us = waited_us.saturating_sub(there_us.unwrap_or_default());
            part.way_us = part.way_us.saturating_add(way_us);
        } else {
            part.is_outside = true;
            part.serve(requests, sums);
        }
    }
}

impl Part {
    fn serve(&mut self, requests: u64, sums: &Sums) {
        self.requests = self.requests.saturating_add(requests);
        match sums.mean_of(requests) {
            Some(time_us) => self.served_us = self.served_us.saturating_add(time_us),
            None => self.untimed = self.untimed.saturating_add(requests),
        }
    }

    const fn own_us(&self) -> u64 {
        self.served_us.saturating_sub(self.calls_us)
    }

    const fn all_us(&self) -> u64 {
        self.own_us().saturating_add(self.way_us)
    }
}

impl Sums {
    /// The time of `requests` that took as long as those with a latency did on average; nothing when none had one.
    fn mean_of(&self, requests: u64) -> Option<u64> {
        (self.timed != 0).then(|| part_of(self.time_us, requests, self.timed))
    }
}

/// `amount x part / whole`; zero of nothing.
fn part_of(amount: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(amount) * u128::from(part);
    let part = product.checked_div(u128::from(whole)).unwrap_or_default();
    u64::try_from(part).unwrap_or(u64::MAX)
}

fn place(scope: &Scope) -> (&str, &str) {
    (scope.service.as_str(), scope.route.as_str())
}

fn status(journey: &str, parts: &BTreeMap<&str, Part>) -> JourneyStatus {
    let time_us = parts
        .values()
        .fold(0_u64, |sum, part| sum.saturating_add(part.all_us()));
    let mut hops: Vec<HopShare> = parts
        .iter()
        .map(|(service, part)| HopShare {
            service: (*service).to_owned(),
            requests: part.requests,
            own_us: part.own_us(),
            way_us: part.way_us,
            share: share(part.all_us(), time_us),
            overlap_us: part.calls_us.saturating_sub(part.served_us),
            untimed: part.untimed,
            is_estimated: part.is_estimated,
            is_outside: part.is_outside,
        })
        .collect();
    hops.sort_by(|one, other| other.share.total_cmp(&one.share));
    JourneyStatus {
        journey: journey.to_owned(),
        window_ms: u64::try_from(Journeys::WINDOW.as_millis()).unwrap_or(u64::MAX),
        time_us,
        hops,
    }
}
