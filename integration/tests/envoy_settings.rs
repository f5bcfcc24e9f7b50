//! What documents turn on, on the real Envoy with a bootstrap of `sloop`: B3, joining, deadlines, spans; and as many routes
//! as a sidecar may have.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use http::{HeaderMap, StatusCode};
use sloop_controllers::SloStatus;
use sloop_controlplane::admin::api::ScopeStatus;
use sloop_controlplane::ads::Variant;
use sloop_integration::envoy::Upstream;
use sloop_integration::eventually::eventually;
use sloop_model::{Outcome, Side};
use support::collector::Collector;
use support::control::Control;
use support::{SOON, Sidecar, copier, raw};
use tokio::net::TcpListener;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SHORT: &str = "8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// The lines of a header, of which there is one or none.
#[track_caller]
fn line(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    assert!(lines.len() <= 1, "{name}: {lines:?}");
    Some(lines.first()?.to_str().unwrap().to_owned())
}

/// Asks for `path` with these header lines; the answer is its bytes.
async fn ask(to: SocketAddr, path: &str, lines: &[(&str, &str)]) -> Vec<u8> {
    let lines: Vec<(&str, &[u8])> = lines.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
    raw::ask(to, &raw::get(path.as_bytes(), &lines)).await
}

const B3: &str = "
apiVersion: sloop.dev/v1
kind: FilterSettings
metadata: {name: inbound}
spec: {service: shop, side: server, context: {b3: single}}
---
apiVersion: sloop.dev/v1
kind: FilterSettings
metadata: {name: outbound}
spec: {service: shop, side: client, context: {b3: multi}}
";

/// B3 headers, the trace that they mean, and the decision: `1`, `0` or `d`.
struct Given {
    lines: Vec<(&'static str, String)>,
    trace: String,
    decision: char,
}

fn given() -> Vec<Given> {
    let padded = format!("{}{SHORT}", "0".repeat(16));
    let single = |value: String, trace: &str, decision| Given {
        lines: vec![("b3", value)],
        trace: trace.to_owned(),
        decision,
    };
    let multi = |trace: &str, more: (&'static str, &str), means: &str, decision| Given {
        lines: vec![
            ("X-B3-TraceId", trace.to_owned()),
            ("X-B3-SpanId", SPAN.to_owned()),
            (more.0, more.1.to_owned()),
        ],
        trace: means.to_owned(),
        decision,
    };
    vec![
        single(format!("{TRACE}-{SPAN}-1"), TRACE, '1'),
        single(format!("{TRACE}-{SPAN}-0"), TRACE, '0'),
        single(format!("{SHORT}-{SPAN}-d"), &padded, 'd'),
        single(format!("{TRACE}-{SPAN}-1-{SPAN}"), TRACE, '1'),
        // Undecided is left to those behind.
        single(format!("{TRACE}-{SPAN}"), TRACE, '1'),
        multi(TRACE, ("X-B3-Sampled", "1"), TRACE, '1'),
        multi(SHORT, ("X-B3-Sampled", "0"), &padded, '0'),
        multi(TRACE, ("X-B3-Flags", "1"), TRACE, 'd'),
    ]
}

/// What arrived says of one span what was given, in `traceparent` and in B3 of this form.
fn goes_on(arrived: &HeaderMap, given: &Given, is_single: bool) {
    let what = &given.lines;
    let parent = line(arrived, "traceparent").unwrap();
    let parts: Vec<&str> = parent.split('-').collect();
    let [_, trace, span, flags] = parts.try_into().expect("four parts");
    let expected = if given.decision == '0' { "00" } else { "01" };
    assert_eq!((trace, flags), (given.trace.as_str(), expected), "{what:?}");
    assert_ne!(span, SPAN, "{what:?}");
    if is_single {
        let b3 = format!("{trace}-{span}-{}", given.decision);
        assert_eq!(line(arrived, "b3"), Some(b3), "{what:?}");
        return;
    }
    let (sampled, debug) = match given.decision {
        'd' => (None, Some("1".to_owned())),
        other => (Some(other.to_string()), None),
    };
    for (name, value) in [
        ("b3", None),
        ("x-b3-traceid", Some(trace.to_owned())),
        ("x-b3-spanid", Some(span.to_owned())),
        ("x-b3-parentspanid", Some(SPAN.to_owned())),
        ("x-b3-sampled", sampled),
        ("x-b3-flags", debug),
    ] {
        assert_eq!(line(arrived, name), value, "{name} of {what:?}");
    }
}

#[tokio::test]
async fn b3_comes_in_and_goes_on_in_both_forms() {
    let app = Upstream::start().await.unwrap();
    let control = Control::start(support::module()).await;
    control.declare(B3);
    let sidecar = Sidecar::start(app.address(), control.grpc, Variant::Delta).await;
    for (caller, is_single, name) in [
        (&sidecar.inbound, true, "b3"),
        (&sidecar.outbound, false, "x-b3-traceid"),
    ] {
        // Several times, since there are two workers and each request has a connection of its own.
        let mut in_a_row = 0;
        eventually(SOON, "B3 is written", async || {
            ask(caller.address(), "/", &[]).await;
            let arrived = app.take();
            let is_written = arrived.iter().all(|it| it.headers.contains_key(name));
            in_a_row = if is_written { in_a_row + 1 } else { 0 };
            (4 <= in_a_row && control.is_everywhere().await).then_some(())
        })
        .await
        .unwrap();
        for given in given() {
            let lines: Vec<(&str, &str)> =
                given.lines.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let answer = ask(caller.address(), "/", &lines).await;
            assert_eq!(raw::status(&answer), Some(200));
            let arrived = app.take();
            assert_eq!(arrived.len(), 1);
            goes_on(&arrived[0].headers, &given, is_single);
        }
    }
}

/// A sidecar of an application that copies headers of these names to what it asks, and whom it asks.
struct Between {
    sidecar: Sidecar,
    callee: Upstream,
    application: tokio::task::JoinHandle<()>,
}

impl Between {
    async fn start(
        control: &Control,
        copied: &'static [&'static str],
        collector: Option<&Collector>,
    ) -> Self {
        let callee = Upstream::start().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = listener.local_addr().unwrap();
        let sidecar = Sidecar::start_between(app, callee.address(), control.grpc, |bootstrap| {
            bootstrap.collector = collector.map(|it| it.address.into());
        })
        .await;
        let outbound = sidecar.outbound.address();
        Self {
            sidecar,
            callee,
            application: tokio::spawn(copier::serve(listener, outbound, copied)),
        }
    }

    async fn ask(&self, path: &str, lines: &[(&str, &str)]) -> Vec<u8> {
        ask(self.sidecar.inbound.address(), path, lines).await
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.application.abort();
    }
}

const JOIN: &str = "
apiVersion: sloop.dev/v1
kind: FilterSettings
metadata: {name: shop}
spec: {service: shop, context: {join: {entries: 1024, reach: sidecar}}}
";

#[tokio::test]
async fn an_application_that_forwards_only_the_request_id_stays_in_the_trace() {
    let control = Control::start(support::module()).await;
    control.declare(JOIN);
    let between = Between::start(&control, &["x-request-id"], None).await;
    let is_joined = async |number: u128| {
        let parent = format!("00-{:032x}-{SPAN}-01", 0xabc_0000 + number);
        let answer = between.ask("/", &[("traceparent", &parent)]).await;
        assert_eq!(raw::status(&answer), Some(200));
        let arrived = between.callee.take();
        assert_eq!(arrived.len(), 1);
        let sent = line(&arrived[0].headers, "traceparent").unwrap();
        assert_ne!(sent[36..52], parent[36..52], "a span of its own");
        sent[..36] == parent[..36]
    };
    let mut in_a_row = 0;
    eventually(SOON, "both filters join", async || {
        in_a_row = if is_joined(0).await { in_a_row + 1 } else { 0 };
        (4 <= in_a_row && control.is_everywhere().await).then_some(())
    })
    .await
    .unwrap();
    for number in 1..=30 {
        assert!(is_joined(number).await, "request {number}");
    }
}

const DEADLINES: &str = "
apiVersion: sloop.dev/v1
kind: FilterSettings
metadata: {name: shop}
spec: {service: shop, context: {deadlines: enforce}}
";

const PARENT: (&str, &str) = (
    "traceparent",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
);

/// Requests that were refused since their time was over, by one side's filter.
async fn late(control: &Control, side: Side) -> Option<u64> {
    let scopes: Vec<ScopeStatus> = control.list("/v1/scopes").await?;
    let name = Outcome::DeadlinePassed.name();
    let own = scopes.iter().filter(|it| it.side == side);
    Some(own.filter_map(|it| it.outcomes.get(name)).sum())
}

#[tokio::test]
async fn what_came_too_late_is_refused_whoever_said_how_long_there_is() {
    let control = Control::start(support::module()).await;
    control.declare(DEADLINES);
    let between = Between::start(&control, &["traceparent", "tracestate"], None).await;
    // What inbound and outbound filters refused, as the caller saw it: the application answers with the bare status.
    let (mut inbound, mut outbound) = (0, 0);
    let mut refused = async |path: &str, lines: &[(&str, &str)]| {
        let answer = between.ask(path, lines).await;
        if raw::status(&answer) != Some(504) {
            return false;
        }
        let text = String::from_utf8_lossy(&answer);
        if text.contains("x-sloop-verdict: deadline_passed") {
            inbound += 1;
        } else {
            outbound += 1;
        }
        true
    };
    let over = [PARENT, ("tracestate", "sloop=1.d0-0")];
    let short = [PARENT, ("grpc-timeout", "100m")];
    let mut in_a_row = 0;
    eventually(SOON, "both filters enforce deadlines", async || {
        let both = refused("/", &over).await && refused("/wait/300", &short).await;
        in_a_row = if both { in_a_row + 1 } else { 0 };
        (4 <= in_a_row && control.is_everywhere().await).then_some(())
    })
    .await
    .unwrap();
    drop(between.callee.take());

    let expected = "x-envoy-expected-rq-timeout-ms";
    for lines in [short, [PARENT, (expected, "100")]] {
        for _ in 0..3 {
            assert!(refused("/wait/300", &lines).await, "{lines:?}");
        }
    }
    assert_eq!(between.callee.take().len(), 0, "nobody was asked in vain");
    for lines in [
        [PARENT, ("grpc-timeout", "50S")],
        [PARENT, (expected, "50000")],
    ] {
        assert!(!refused("/wait/10", &lines).await, "{lines:?}");
        let arrived = between.callee.take();
        assert_eq!(arrived.len(), 1);
        let said = line(&arrived[0].headers, "tracestate").unwrap();
        assert!(said.starts_with("sloop=1.d"), "{said}");
    }
    eventually(
        SOON,
        "all of them are counted, each where it was",
        async || {
            let counted = (
                late(&control, Side::Server).await?,
                late(&control, Side::Client).await?,
            );
            (counted == (inbound, outbound)).then_some(())
        },
    )
    .await
    .unwrap();
}

/// The service itself, and whom it asks, each with a threshold of which ten times are two seconds.
const DERIVED: &str = "
apiVersion: sloop.dev/v1
kind: RouteSet
metadata: {name: payments}
spec:
  service: payments
  authorities: [shop, 127.0.0.1]
  routes: [{name: all, match: [{path: {prefix: /}}]}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: shop, annotations: {sloop.dev/mode: actionable}}
spec:
  service: shop
  indicator:
    metadata: {name: shop}
    spec: {thresholdMetric: {metricSource: {type: sloop, spec: {unit: ms}}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{op: lte, value: 200, target: 0.5}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: payments, annotations: {sloop.dev/mode: actionable}}
spec:
  service: payments
  indicator:
    metadata: {name: payments}
    spec: {thresholdMetric: {metricSource: {type: sloop, spec: {unit: ms, side: client}}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{op: lte, value: 200, target: 0.5}]
";

#[tokio::test]
async fn an_slo_gives_its_requests_a_deadline_that_goes_on_until_nothing_is_left() {
    let control = Control::start(support::module()).await;
    control.declare(DERIVED);
    let between = Between::start(&control, &["traceparent", "tracestate"], None).await;
    let outbound = between.sidecar.outbound.address();
    let is_refused = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer);
        raw::status(answer) == Some(504) && text.contains("x-sloop-verdict: deadline_passed")
    };
    let over = [PARENT, ("tracestate", "sloop=1.d0-0")];
    // What each side's filter refused.
    let mut refused = [0, 0];
    let mut in_a_row = 0;
    eventually(SOON, "both filters have a deadline", async || {
        let answers = [
            between.ask("/", &over).await,
            ask(outbound, "/", &over).await,
        ];
        let were = [0, 1].map(|side| is_refused(&answers[side]));
        for (count, was) in refused.iter_mut().zip(were) {
            *count += u64::from(was);
        }
        // Where the inbound filter does not refuse it yet, the outbound one may: the application answers with the bare status.
        let is_behind = !were[0] && raw::status(&answers[0]) == Some(504);
        refused[1] += u64::from(is_behind);
        in_a_row = if were == [true, true] {
            in_a_row + 1
        } else {
            0
        };
        (4 <= in_a_row && control.is_everywhere().await).then_some(())
    })
    .await
    .unwrap();
    drop(between.callee.take());

    let slow = between.ask("/wait/2100", &[PARENT]).await;
    assert_eq!(
        raw::status(&slow),
        Some(504),
        "the application was too slow"
    );
    assert_eq!(between.callee.take().len(), 0, "nobody was asked in vain");
    refused[1] += 1;
    let quick = between.ask("/wait/10", &[PARENT]).await;
    assert_eq!(raw::status(&quick), Some(200));
    let arrived = between.callee.take();
    let said = line(&arrived[0].headers, "tracestate").unwrap();
    let left = said.strip_prefix("sloop=1.d").unwrap();
    let left = u32::from_str_radix(left.split('-').next().unwrap(), 16).unwrap();
    assert!((1..=1_990).contains(&left), "{left} ms are left");

    let limits: Vec<SloStatus> = control.list("/v1/slos").await.unwrap();
    assert!(!limits.is_empty());
    for slo in limits {
        assert_eq!(slo.objectives[0].deadline.as_ref().unwrap().limit_ms, 2_000);
    }
    let [inbound, outbound] = refused;
    eventually(SOON, "all are counted, each where it was", async || {
        let counted = (
            late(&control, Side::Server).await?,
            late(&control, Side::Client).await?,
        );
        (counted == (inbound, outbound)).then_some(())
    })
    .await
    .unwrap();
}

const SPANS: &str = "
apiVersion: sloop.dev/v1
kind: FilterSettings
metadata: {name: shop}
spec: {service: shop, spans: {cluster: otel_collector, interval_ms: 100}}
";

#[tokio::test]
async fn a_document_turns_spans_on_and_the_bootstrap_has_the_way() {
    let collector = Collector::start().await;
    let control = Control::start(support::module()).await;
    control.declare(SPANS);
    let between = Between::start(&control, &["traceparent", "tracestate"], Some(&collector)).await;
    let spans_of = |number: u8| {
        let mut spans = collector.spans();
        spans.retain(|it| it.trace_id.last() == Some(&number));
        spans
    };
    let ask = async |number: u8| {
        let parent = format!("00-{}{number:02x}-{SPAN}-01", &TRACE[..30]);
        let answer = between.ask("/pay", &[("traceparent", &parent)]).await;
        assert_eq!(raw::status(&answer), Some(200));
    };
    // As long as there are none, the filters do not know of them, or a worker does not.
    let mut number = 0;
    eventually(SOON, "both sides export spans", async || {
        number += 1;
        ask(number).await;
        let soon = std::time::Duration::from_secs(1);
        let both = eventually(soon, "both spans", async || {
            (spans_of(number).len() == 2).then_some(())
        });
        both.await.ok()
    })
    .await
    .unwrap();
    let spans = spans_of(number);
    let of_kind = |kind| spans.iter().find(|it| it.kind == kind).unwrap();
    // SPAN_KIND_SERVER and SPAN_KIND_CLIENT.
    let (server, client) = (of_kind(2), of_kind(3));
    assert_eq!(client.parent_span_id, server.span_id);
    let sent: String = client
        .span_id
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    let arrived = between.callee.take();
    let last = line(&arrived.last().unwrap().headers, "traceparent").unwrap();
    assert_eq!(last[36..52], sent, "what is sent on names the span");
    assert_eq!(collector.resource("service.name").unwrap(), "shop");
}

/// Beside the route that tells when the filter knows them.
const ROUTES: usize = 999;

/// A route with an SLO of its own that decides about breaker and shedding, in shadow, and one to look at first.
fn many() -> String {
    let names = (0..ROUTES).map(|number| format!("r{number}"));
    let names: Vec<String> = names.chain(["ready".to_owned()]).collect();
    let mut documents = "apiVersion: sloop.dev/v1\nkind: RouteSet\nmetadata: {name: shop}\n\
        spec:\n  service: shop\n  routes:\n"
        .to_owned();
    for name in &names {
        documents += &format!("  - {{name: {name}, match: [{{path: {{exact: /{name}}}}}]}}\n");
    }
    for name in &names {
        documents += &format!(
            "---
apiVersion: openslo/v1
kind: SLO
metadata: {{name: {name}, annotations: {{sloop.dev/mode: shadow}}}}
spec:
  service: shop
  indicator:
    metadata: {{name: {name}}}
    spec:
      ratioMetric:
        total: {{metricSource: {{type: sloop, spec: {{route: {name}}}}}}}
        bad: {{metricSource: {{type: sloop, spec: {{status: [\"5xx\"]}}}}}}
  timeWindow: [{{duration: 28d, isRolling: true}}]
  budgetingMethod: Occurrences
  objectives: [{{target: 0.99}}]
"
        );
    }
    documents
}

/// Of a route, requests that are served, and that are not.
const fn asked(number: usize) -> (u64, u64) {
    (1 + (number % 2) as u64, number.is_multiple_of(4) as u64)
}

#[tokio::test]
async fn a_thousand_routes_with_slos_in_one_sidecar_are_counted_exactly() {
    let app = Upstream::start().await.unwrap();
    let control = Control::start(support::module()).await;
    control.declare(&many());
    let sidecar = Sidecar::start(app.address(), control.grpc, Variant::Delta).await;
    let of_routes = async || {
        let scopes: Vec<ScopeStatus> = control.list("/v1/scopes").await?;
        let own = scopes.into_iter().filter(|it| it.side == Side::Server);
        Some(
            own.map(|it| (it.route.to_string(), it))
                .collect::<BTreeMap<_, _>>(),
        )
    };
    eventually(4 * SOON, "the filter knows the routes", async || {
        sidecar.inbound.statuses("/ready", 4).await.ok()?;
        let scopes = of_routes().await?;
        (0 < scopes.get("ready")?.requests).then_some(())
    })
    .await
    .unwrap();
    for number in 0..ROUTES {
        let path = format!("/r{number}");
        let good = usize::try_from(asked(number).0).unwrap();
        let statuses = sidecar.inbound.statuses(&path, good).await.unwrap();
        assert!(statuses.iter().all(|it| *it == 200), "{path}: {statuses:?}");
    }
    app.answer(StatusCode::INTERNAL_SERVER_ERROR);
    for number in (0..ROUTES).filter(|number| asked(*number).1 != 0) {
        let answer = sidecar.inbound.get(&format!("/r{number}")).await.unwrap();
        assert_eq!(answer.status(), 500);
    }
    let all: u64 = (0..ROUTES).map(|it| asked(it).0 + asked(it).1).sum();
    // What came before the filter knew the routes is of none of them.
    let is_own = |route: &str| {
        let number = route.strip_prefix('r').map(str::parse::<usize>);
        matches!(number, Some(Ok(number)) if number < ROUTES)
    };
    let scopes = eventually(SOON, "all requests are reported", async || {
        let scopes = of_routes().await?;
        let own = scopes.iter().filter(|(route, _)| is_own(route));
        let sum: u64 = own.map(|(_, it)| it.requests).sum();
        (all <= sum).then_some(scopes)
    })
    .await
    .unwrap();
    for number in 0..ROUTES {
        let route = format!("r{number}");
        let (good, bad) = asked(number);
        let outcomes = [(Outcome::Success, good), (Outcome::ServerError, bad)];
        let outcomes = outcomes.into_iter().filter(|(_, count)| *count != 0);
        let outcomes: BTreeMap<String, u64> = outcomes
            .map(|(outcome, count)| (outcome.name().to_owned(), count))
            .collect();
        assert_eq!(scopes[&route].outcomes, outcomes, "{route}");
    }
    let budgets = eventually(SOON, "all budgets have them", async || {
        let slos: Vec<SloStatus> = control.list("/v1/slos").await?;
        let counts = slos.iter().filter(|it| is_own(it.name.as_str()));
        let counts = counts.map(|it| (it.name.to_string(), it.objectives[0].counts));
        let counts: BTreeMap<_, _> = counts.collect();
        let sum: u64 = counts.values().flatten().map(|it| it.total).sum();
        (all <= sum).then_some(counts)
    })
    .await
    .unwrap();
    assert_eq!(budgets.len(), ROUTES);
    for number in 0..ROUTES {
        let (good, bad) = asked(number);
        let counts = budgets[&format!("r{number}")].unwrap();
        assert_eq!((counts.total, counts.good), (good + bad, good), "r{number}");
    }
}
