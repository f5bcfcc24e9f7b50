//! One request on its whole way: inbound, through an application that copies the headers, and outbound.
//!
//! An input is two letters, a line and then headers. The letters say HTTP and gRPC status, the line is what
//! another worker shared. The header `route` is the name that Envoy gives the route.

use core::time::Duration;
use std::sync::OnceLock;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use sloop_dataplane::{
    Arrival, Begun, Claim, Ending, HeaderMap, HeaderWrite, Joins, Plane, Request, TraceContext,
    Verdict,
};
use sloop_model::{FilterConfig, Flags, Side, Time, WallTime};

use crate::input::{Headers, Input};
use crate::tracestate::list;

const NOW: Time = Time::from_nanos(1_000_000_000);

/// Everything that changes what goes on, and little that keeps it from going on.
const COMMON: &str = r#""version": 1, "service": "shop", "route_names": true,
  "report": {"cluster": "control", "interval_ms": 100}, "spans": {"cluster": "otel", "sampled_flag": "decided", "sampling": 5000},
  "dimensions": {"caller": {"xfcc": true}, "origin": {"baggage": "o"}, "journey": {"baggage": "j"}, "attempts": true},
  "stats": {"enabled": true},
  "trace": {"context": {"b3": "multi", "deadlines": "enforce", "join": {"entries": 4, "expires_ms": 1000, "reach": "sidecar"}}},
  "deny": [{"id": "cve", "match": {"path": {"prefix": "/admin"}}, "share_max": 10000, "expires_at_ms": 1900000000000}],
  "scopes": [
    {"service": "shop", "route": "list", "match": [{"path": {"prefix": "/list"}}],
     "objectives": [{"id": {"slo": "list-fast", "index": 0}, "within_us": 250000}],
     "breaker": {"limits": {"calls_min": 2, "failed_max": 2000, "open_ms": 1000, "open_max_ms": 8000, "window_ms": 1000, "probes": 2}},
     "faults": [{"id": "asked", "share": 10000, "by_header": true, "expires_at_ms": 1900000000000}]},
    {"service": "shop", "route": "rest", "match": [{"method": ["GET"]}],
     "faults": [{"id": "changed", "share": 5000, "control": 5000, "headers": {"set": [["x-fault", "1"]], "remove": ["x-test"]},
                 "delay": {"fixed_ms": 10}, "expires_at_ms": 1900000000000}]}]"#;

/// What is written besides what the faults above change.
const WRITTEN: [&str; 8] = [
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
];

/// Sends the request on its way, and looks at what is reported.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let status = [Some(200), None, Some(404), Some(503), Some(0), Some(101)];
    let status = status[usize::from(input.choice(6))];
    let grpc = [None, Some(0), Some(14), Some(255)][usize::from(input.choice(4))];
    let ending = Ending {
        status,
        flags: Flags(0),
        grpc,
    };
    let shared = input.line();
    let headers = Headers::parse(input.rest());
    let mut way = Way {
        plane: plane(),
        shared,
        ending,
        begun: 0,
    };
    let inbound = way.go(Side::Server, &headers);
    if let Some((trace, sent)) = inbound {
        let outbound = way.go(Side::Client, &sent.as_headers());
        if let Some((next, _)) = outbound {
            assert_eq!(next.id(), trace.id());
            assert_eq!(next.parent(), Some(trace.span()));
        }
    }
    way.check_report();
}

fn plane() -> Plane {
    static CONFIGS: OnceLock<[FilterConfig; 2]> = OnceLock::new();
    let configs = CONFIGS.get_or_init(|| {
        ["server", "client"].map(|side| {
            let json = format!(r#"{{"side": "{side}", {COMMON}}}"#);
            FilterConfig::parse(json.as_bytes()).unwrap()
        })
    });
    let mut plane = Plane::new([1, 2, 3, 4, 0]);
    plane.sync(NOW, WallTime::from_millis(1_800_000_000_000));
    plane.name(b"sidecar-1");
    for config in configs {
        plane.configure(config, NOW);
    }
    plane
}

struct Way<'a> {
    plane: Plane,
    shared: &'a [u8],
    ending: Ending,
    begun: u64,
}

/// Headers as they go on.
struct Sent(Vec<(String, Vec<u8>)>);

impl Sent {
    fn as_headers(&self) -> Headers<'_> {
        let lines = self.0.iter();
        Headers(
            lines
                .map(|(name, value)| (name.as_str(), value.as_slice()))
                .collect(),
        )
    }

    fn write(&mut self, write: HeaderWrite<'_>) {
        let (HeaderWrite::Set(name, _) | HeaderWrite::Remove(name)) = write;
        assert!(
            WRITTEN.contains(&name) || ["x-fault", "x-test"].contains(&name),
            "{name}"
        );
        self.0.retain(|(known, _)| known != name);
        if let HeaderWrite::Set(name, value) = write {
            let is_plain = |byte: &u8| matches!(byte, b' '..=b'~');
            assert!(value.iter().all(is_plain), "{name} is {value:?}");
            self.0.push((name.to_owned(), value.to_vec()));
        }
    }
}

impl Way<'_> {
    /// One filter. Where the request stands in its trace and what goes on, if it does.
    fn go(&mut self, side: Side, headers: &Headers<'_>) -> Option<(TraceContext, Sent)> {
        let bytes = headers.serialised();
        let request = Request::read(HeaderMap::new(&bytes));
        let scope = match self.plane.claim(side, &request) {
            Claim::Scope(scope) => scope,
            Claim::ByRouteName => {
                let route = headers.lines("route").first().copied();
                self.plane.named(side, route.unwrap_or_default())?
            }
            Claim::Unconfigured => panic!("it is configured"),
        };
        let joined = match self.plane.joins(side, &request, NOW) {
            Joins::No => None,
            Joins::To(joined) => Some(joined),
            Joins::Ask(_) => self.plane.joined_by(self.shared, &request, NOW),
        };
        let arrival = Arrival {
            request: &request,
            context: 1,
            joined: joined.as_ref(),
            now: NOW,
        };
        let mut sent = Sent(Vec::new());
        for (name, value) in &headers.0 {
            sent.0.push(((*name).to_owned(), value.to_vec()));
        }
        let begun = self
            .plane
            .begin(side, scope, &arrival, |write| sent.write(write))?;
        self.begun += 1;
        let _shared = self.plane.to_share();
        self.end(side, begun, sent)
    }

    fn end(&mut self, side: Side, begun: Begun, sent: Sent) -> Option<(TraceContext, Sent)> {
        let Begun {
            exchange,
            verdict,
            trace,
        } = begun;
        let goes_on = match verdict {
            Verdict::Pass => true,
            Verdict::Hold => {
                let due = self.plane.wake_at().expect("it is held until some time");
                let _released = self.plane.release(due.after(Duration::from_secs(30)));
                true
            }
            Verdict::Refuse { .. }
            | Verdict::Shed
            | Verdict::RefuseRetry
            | Verdict::Block { .. }
            | Verdict::Late
            | Verdict::End(_) => false,
        };
        let lines = sent.as_headers();
        if goes_on {
            assert_eq!(lines.lines("traceparent"), [trace.header()]);
            assert!(list(&lines.lines("tracestate")).is_some());
        }
        let ended = NOW.after(Duration::from_millis(20));
        if let Some(kept) = self.plane.end(exchange, self.ending, ended) {
            let bytes = lines.serialised();
            self.plane.keep(&kept, HeaderMap::new(&bytes), b"HTTP/2");
            let later = NOW.after(Duration::from_secs(20));
            let batch = self.plane.span_batch(side, (1, "sidecar-1"), later);
            let message = batch.expect("a span waits").message;
            ExportTraceServiceRequest::decode(&*message).expect("it is OTLP");
        }
        goes_on.then_some((trace, sent))
    }

    /// Nothing is counted twice or lost.
    fn check_report(&mut self) {
        let later = NOW.after(Duration::from_secs(30));
        let _deltas = self.plane.stat_deltas(later);
        let report = self.plane.report(1, later);
        let counted = report.map_or(0, |report| {
            let all = report.scopes.iter();
            all.map(|scope| {
                assert_eq!(scope.outcomes.iter().sum::<u64>(), scope.requests);
                assert_eq!(scope.in_flight, 0);
                scope.requests
            })
            .sum()
        });
        assert_eq!(counted, self.begun);
    }
}
