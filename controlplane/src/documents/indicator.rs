//! What an SLI means here: ours, with requests to count, or somebody else's.

use std::collections::BTreeMap;

use sloop_controllers::{Indicator, RouteSelector, SloSource};
use sloop_model::{DimensionValue, Only, Selector, ServiceName, Side};

use super::openslo::{Metric, Objective, Sli, Source};
use super::reader::{Sink, Spot, quoted};
use super::source::{self, Owner, Requests};

/// The longest threshold: a request that takes longer is no request.
const WITHIN_US_MAX: f64 = 3_600e6;

/// Four times as long as Envoy lets a request take unless it is told otherwise: whoever wants more will say in which unit.
const SURPRISING_US: f64 = 60e6;

/// What an SLI measures.
#[derive(Clone, Debug)]
pub(super) enum Meaning {
    /// Requests that sidecars count.
    Here(Box<Counted>),
    /// Nothing that this system reads; in words.
    Elsewhere(String),
}

/// Requests that sidecars count, and which of them are good.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    /// The SLO's own service when absent.
    service: Option<ServiceName>,
    route: RouteSelector,
    side: Side,
    only: Option<Box<Only>>,
    total: Option<Selector>,
    good: Good,
}

#[derive(Clone, Debug)]
enum Good {
    Selected {
        good: Option<Selector>,
        bad: Option<Selector>,
    },
    /// Served within a threshold in units of this many microseconds; seconds when it is not said.
    InTime { unit_us: Option<f64> },
}

/// Finds out what `sli` measures, given the types of all data sources by name.
/// `None` after a complaint.
pub(super) fn meaning(sli: &Sli, types: &BTreeMap<&str, &str>, sink: &Sink) -> Option<Meaning> {
    let sources: Vec<&Source> = match &sli.metric {
        Metric::Threshold(source) | Metric::Raw(source) => vec![source],
        Metric::Ratio { total, good, bad } => [Some(&**total), good.as_deref(), bad.as_deref()]
            .into_iter()
            .flatten()
            .collect(),
    };
    let owners = sources
        .iter()
        .map(|source| source::owner(source, types, sink));
    let elsewhere: Vec<String> = owners
        .filter_map(|owner| match owner {
            Owner::Sloop => None,
            Owner::Elsewhere(why) => Some(why),
        })
        .collect();
    if let Some(why) = elsewhere.first() {
        if elsewhere.len() < sources.len() {
            sink.refuse(sli.spot.says(
                "counts some of its requests by sloop and some elsewhere; use one source for all",
            ));
        }
        return Some(Meaning::Elsewhere(why.clone()));
    }
    let counted = match &sli.metric {
        Metric::Raw(source) => {
            let why = "sloop counts requests; give total with good or bad instead of raw";
            sink.refuse(source.spot.says(why));
            return None;
        }
        Metric::Threshold(source) => threshold(source, sink),
        Metric::Ratio { total, good, bad } => ratio(total, good.as_deref(), bad.as_deref(), sink),
    };
    counted.map(|counted| Meaning::Here(Box::new(counted)))
}

fn threshold(source: &Source, sink: &Sink) -> Option<Counted> {
    let requests = source::read(&source.spec(sink))?;
    let good = Good::InTime {
        unit_us: requests.unit_us,
    };
    Some(counted(requests, good, source, sink))
}

fn ratio(
    total: &Source,
    good: Option<&Source>,
    bad: Option<&Source>,
    sink: &Sink,
) -> Option<Counted> {
    let mut all = read_ratio_part(total, sink)?;
    let mut names_callers = all.caller.as_ref().map(|_| total);
    let good = match good {
        Some(source) => {
            let selector = same_requests(&mut all, source, sink)?;
            names_callers = names_callers.or(all.caller.as_ref().map(|_| source));
            selector
        }
        None => None,
    };
    let bad = match bad {
        Some(source) => {
            let selector = same_requests(&mut all, source, sink)?;
            names_callers = names_callers.or(all.caller.as_ref().map(|_| source));
            if selector.is_none() {
                let why = "says nothing about which requests are bad; give status, grpcStatus, \
                           flags, outcome or slowerThan";
                sink.refuse(source.spot.field("spec").says(why));
            }
            selector
        }
        None => None,
    };
    let good = Good::Selected { good, bad };
    Some(counted(all, good, names_callers.unwrap_or(total), sink))
}

fn read_ratio_part(source: &Source, sink: &Sink) -> Option<Requests> {
    let requests = source::read(&source.spec(sink))?;
    if requests.unit_us.is_some() {
        let why = "belongs to a thresholdMetric; a ratio has no unit";
        sink.refuse(source.spot.field("spec").field("unit").says(why));
    }
    Some(requests)
}

/// The selector of a part of a ratio, after a check that it is about the same
/// requests as `all`. Either may leave out what the other one says.
#[expect(clippy::option_option, reason = "no selector and unreadable differ")]
fn same_requests(all: &mut Requests, source: &Source, sink: &Sink) -> Option<Option<Selector>> {
    let part = read_ratio_part(source, sink)?;
    let spot = source.spot.field("spec");
    agree(&mut all.service, part.service, &spot.field("service"), sink);
    agree(&mut all.route, part.route, &spot.field("route"), sink);
    agree(&mut all.side, part.side, &spot.field("side"), sink);
    agree(&mut all.method, part.method, &spot.field("method"), sink);
    agree(&mut all.caller, part.caller, &spot.field("caller"), sink);
    agree(&mut all.origin, part.origin, &spot.field("origin"), sink);
    Some(part.selector)
}

fn agree<T: PartialEq>(all: &mut Option<T>, part: Option<T>, spot: &Spot, sink: &Sink) {
    match (&all, part) {
        (Some(all), Some(part)) if *all != part => {
            sink.refuse(
                spot.says("differs from the one in total; all parts count the same requests"),
            );
        }
        (None, Some(part)) => *all = Some(part),
        (Some(_) | None, _) => {}
    }
}

/// What `requests` say; if they name callers, `source` does.
fn counted(requests: Requests, good: Good, source: &Source, sink: &Sink) -> Counted {
    let only = Only {
        method: requests.method.unwrap_or_default(),
        caller: requests.caller.unwrap_or_default(),
        origin: requests.origin.unwrap_or_default(),
    };
    let side = requests.side.unwrap_or(Side::Server);
    if side == Side::Client {
        let spot = source.spot.field("spec").field("caller");
        check_outbound(&only.caller, &spot, sink);
    }
    Counted {
        service: requests.service,
        route: requests.route.unwrap_or(RouteSelector::Any),
        side,
        only: (only != Only::default()).then(|| Box::new(only)),
        total: requests.selector,
        good,
    }
}

/// Outbound a caller is the service whose sidecar counts: it has a name, and not that of a certificate.
fn check_outbound(callers: &[DimensionValue], spot: &Spot, sink: &Sink) {
    for caller in callers {
        if caller.as_str() == DimensionValue::UNKNOWN {
            sink.refuse(spot.says(
                "is \"unknown\", but side is client: there callers are the services whose sidecars count, and each knows \
                 its own; name services, or leave it out to count all",
            ));
        } else if caller.as_str().starts_with("spiffe://") {
            sink.note(spot.says(format!(
                "is {}, but side is client: there callers are the services whose sidecars count, by Envoy's node cluster, \
                 and hardly one is named so",
                quoted(caller.as_str())
            )));
        }
    }
}

impl Counted {
    /// What an objective of an SLO of `service` counts. `None` after a complaint.
    pub(super) fn source(
        &self,
        service: &ServiceName,
        objective: &Objective,
        sink: &Sink,
    ) -> Option<SloSource> {
        let (good, bad, within_us) = match &self.good {
            Good::Selected { good, bad } => {
                if objective.value.is_some() || !objective.op.is_empty() {
                    let why = "has op or value, but its indicator is a ratio; leave them out";
                    sink.refuse(objective.spot.says(why));
                }
                (good.clone(), bad.clone(), None)
            }
            Good::InTime { unit_us } => (None, None, Some(within(objective, *unit_us, sink)?)),
        };
        Some(SloSource {
            service: self.service.as_ref().unwrap_or(service).clone(),
            route: self.route.clone(),
            side: self.side,
            indicator: Indicator {
                only: self.only.clone(),
                total: self.total.clone(),
                good,
                bad,
                within_us,
            },
        })
    }
}

/// The longest good latency in whole microseconds.
fn within(objective: &Objective, unit_us: Option<f64>, sink: &Sink) -> Option<u64> {
    let Some(value) = objective.value else {
        let missing = objective.spot.field("value");
        sink.refuse(missing.says(
            "is required: the longest good latency, in seconds unless the metricSource has a unit",
        ));
        return None;
    };
    let exact = value * unit_us.unwrap_or(1e6);
    let micros = match objective.op.as_str() {
        // A threshold such as 0.3 s is a little more or less in binary; a thousandth of a microsecond forgives it.
        "lte" => (exact + 1e-3).floor(),
        "lt" => (exact - 1e-3).ceil() - 1.0,
        _ => {
            let why = format!("is {:?}; for a latency it must be lte or lt", objective.op);
            sink.refuse(objective.spot.field("op").says(why));
            return None;
        }
    };
    if !(1.0..=WITHIN_US_MAX).contains(&micros) {
        let why = format!("is {value}, or {micros} us; it must be from 1 us to 1 h");
        sink.refuse(objective.spot.field("value").says(why));
        return None;
    }
    if unit_us.is_none() && SURPRISING_US < micros {
        let why = format!(
            "is {value} s, as the metricSource has no unit; for milliseconds write unit: ms"
        );
        sink.note(objective.spot.field("value").says(why));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to lie in 1..=WITHIN_US_MAX first"
    )]
    Some(micros as u64)
}
