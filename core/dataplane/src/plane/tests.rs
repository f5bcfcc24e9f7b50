//! What the memory of a VM promises.

mod answering;
mod bounding;
mod carrying;
mod choosing;
mod counting;
mod deadlines;
mod describing;
mod experimenting;
mod expiring;
mod exporting;
mod faults;
mod first_look;
mod guarding;
mod joining;
mod judging;
mod leasing;
mod protecting;
mod relieving;
mod reporting;
mod retrying;
mod scopes;
mod sharing;
mod whole;

use std::collections::BTreeMap;

use super::*;
use crate::headers::{HeaderMap, serialised};
use crate::report::ScopeDelta;
use sloop_model::{FaultEnding, Flags, Outcome};

/// A plane and the words of the tests.
pub(super) struct Bench {
    pub(super) plane: Plane,
    /// Headers that the last request went on with: written, or removed.
    pub(super) sent: BTreeMap<String, Option<String>>,
    context: u32,
}

pub(super) fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

/// The wall clock shows this much more than the monotonic one.
pub(super) const WALL: u64 = 1_000_000;

pub(super) fn config(scopes: &str) -> String {
    format!(
        r#"{{"version": 1, "generation": 1, "service": "shop", "side": "server",
            "report": {{"cluster": "c", "interval_ms": 1000}}, "route_names": true, "scopes": [{scopes}]}}"#
    )
}

/// A scope that claims `/name`, with `more` fields.
pub(super) fn scope(name: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    format!(
        r#"{{"service": "shop", "route": "{name}", "match": [{{"path": {{"exact": "/{name}"}}}}]{comma}{more}}}"#
    )
}

/// `json` with `fields` besides.
pub(super) fn and(json: &str, fields: &str) -> String {
    json.replacen('{', &format!("{{{fields}, "), 1)
}

impl Bench {
    pub(super) fn new(json: &str) -> Self {
        let mut bench = Self {
            plane: Plane::new([1, 2, 3, 4, 0]),
            sent: BTreeMap::new(),
            context: 0,
        };
        bench.plane.sync(at(0), WallTime::from_millis(WALL));
        bench.configure(json, 0);
        bench
    }

    pub(super) fn configure(&mut self, json: &str, millis: u64) {
        let config = FilterConfig::parse(json.as_bytes()).unwrap();
        self.plane.configure(&config, at(millis));
    }

    /// Where a request of `/route` goes; `route` is also what Envoy calls it.
    pub(super) fn claim(&mut self, side: Side, route: &str) -> Option<ScopeId> {
        let path = format!("/{route}");
        let bytes = serialised(&[(":path", path.as_bytes())]);
        match self
            .plane
            .claim(side, &Request::read(HeaderMap::new(&bytes)))
        {
            Claim::Scope(id) => Some(id),
            Claim::ByRouteName => self.plane.named(side, route.as_bytes()),
            Claim::Unconfigured => None,
        }
    }

    pub(super) fn begin(&mut self, route: &str, millis: u64) -> (Exchange, Verdict) {
        let begun = self.begin_with(Side::Server, route, &[], millis);
        (begun.exchange, begun.verdict)
    }

    /// As [`Bench::begin`], with headers; what was written is in `sent`.
    pub(super) fn begin_with(
        &mut self,
        side: Side,
        route: &str,
        headers: &[(&str, &[u8])],
        millis: u64,
    ) -> Begun {
        self.context += 1;
        let id = self.claim(side, route).unwrap();
        let bytes = serialised(headers);
        let mut request = Request::unread(HeaderMap::new(&bytes));
        self.plane.read_request(side, &mut request);
        let now = at(millis);
        let joined = match self.plane.joins(side, &request, now) {
            Joins::To(joined) => Some(joined),
            Joins::No | Joins::Ask(_) => None,
        };
        let arrival = Arrival {
            request: &request,
            context: self.context,
            joined: joined.as_ref(),
            now,
        };
        let sent = &mut self.sent;
        sent.clear();
        let write = |write: HeaderWrite<'_>| match write {
            HeaderWrite::Set(name, value) => {
                sent.insert(
                    name.to_owned(),
                    Some(String::from_utf8(value.to_vec()).unwrap()),
                );
            }
            HeaderWrite::Remove(name) => {
                sent.insert(name.to_owned(), None);
            }
        };
        self.plane.begin(side, id, &arrival, write).unwrap()
    }

    pub(super) fn end(&mut self, exchange: Exchange, status: u16, millis: u64) {
        let _ = self.end_kept(exchange, status, millis);
    }

    /// As [`Bench::end`], and the span that is to be kept.
    pub(super) fn end_kept(
        &mut self,
        exchange: Exchange,
        status: u16,
        millis: u64,
    ) -> Option<Kept> {
        let ending = Ending {
            status: Some(status),
            flags: Flags::default(),
            grpc: Some(2),
        };
        self.plane.end(exchange, ending, at(millis))
    }

    /// The value that the last request went on with in this header, if it was written.
    pub(super) fn wrote(&self, name: &str) -> Option<&str> {
        self.sent.get(name)?.as_deref()
    }

    /// The headers that were written or removed, by name.
    pub(super) fn written(&self) -> Vec<&str> {
        self.sent.keys().map(String::as_str).collect()
    }

    /// A whole request; what the filter decided about it.
    pub(super) fn request(&mut self, route: &str, status: u16, millis: u64) -> Verdict {
        let (exchange, verdict) = self.begin(route, millis);
        self.end(exchange, status, millis);
        verdict
    }

    pub(super) fn report(&mut self, millis: u64) -> Option<Report> {
        self.plane.report(9, at(millis)).cloned()
    }

    /// Makes a report and acknowledges it.
    pub(super) fn scopes(&mut self, millis: u64) -> Vec<ScopeDelta> {
        let report = self.report(millis).expect("no report is due");
        self.plane.acknowledge(report.sequence);
        report.scopes
    }
}

pub(super) fn routes(scopes: &[ScopeDelta]) -> Vec<(&str, u64)> {
    scopes
        .iter()
        .map(|delta| (delta.scope.route.as_str(), delta.requests))
        .collect()
}

pub(super) fn outcome(delta: &ScopeDelta, outcome: Outcome) -> u64 {
    delta.outcomes[outcome.index()]
}
