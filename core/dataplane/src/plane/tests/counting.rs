//! Whatever comes in between, counts equal what happened.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use sloop_model::LatencyBucket;

#[test]
fn a_request_that_outlives_its_configuration_counts_where_it_began() {
    let objective = |slo: &str| {
        scope(
            "a",
            &format!(r#""objectives": [{{"id": {{"slo": "{slo}", "index": 0}}}}]"#),
        )
    };
    let mut bench = Bench::new(&config(&objective("old")));
    let (exchange, _) = bench.begin("a", 0);
    bench.configure(&config(&objective("new")), 10);
    bench.end(exchange, 500, 20);
    bench.request("a", 200, 30);
    let scopes = bench.scopes(1_000);
    assert_eq!(routes(&scopes), [("a", 2)]);
    let counts: Vec<_> = scopes[0]
        .objectives
        .iter()
        .map(|delta| (delta.id.slo.as_str(), delta.total, delta.good))
        .collect();
    assert_eq!(counts, [("new", 1, 1), ("old", 1, 0)]);
}

#[test]
fn a_request_whose_scope_went_is_still_counted_there() {
    let mut bench = Bench::new(&config(&scope("a", "")));
    let (exchange, _) = bench.begin("a", 0);
    bench.configure(&config(&scope("b", "")), 10);
    bench.configure(&config(&scope("c", "")), 20);
    bench.end(exchange, 200, 30);
    assert_eq!(routes(&bench.scopes(1_000)), [("a", 1)]);
}

#[test]
fn what_envoy_invents_for_grpc_is_not_believed() {
    let mut bench = Bench::new(&config(""));
    bench.request("a", 200, 0);
    assert_eq!(outcome(&bench.scopes(1_000)[0], Outcome::Success), 1);
}

#[test]
fn latency_is_from_the_headers_to_the_end() {
    let mut bench = Bench::new(&config(""));
    let (exchange, _) = bench.begin("a", 0);
    bench.end(exchange, 200, 50);
    let latency: Vec<_> = bench.scopes(1_000)[0].latency.iter().collect();
    assert_eq!(latency, [(LatencyBucket::of(50_000), 1)]);
}

/// Envoy waits as long as it is told to for the rest of a request, and then says 408; the service was not asked anything.
#[test]
fn who_does_not_finish_a_request_makes_nothing_slow() {
    let more = r#""objectives": [{"id": {"slo": "fast", "index": 0}, "within_us": 250000}],
        "breaker": {"limits": {"window_ms": 10000, "calls_min": 4, "failed_max": 5000, "slow_max": 5000, "slow_us": 250000,
            "open_ms": 1000, "open_max_ms": 4000, "probes": 1}}"#;
    for (status, flags, is_slow) in [
        (408, Flags::LATE, false),
        (408, Flags(1 << 16), false),
        (408, Flags(0), true),
        (504, Flags(1 << 16), true),
    ] {
        let mut bench = Bench::new(&config(&scope("a", more)));
        let waiting: Vec<_> = (0..20).map(|_| bench.begin("a", 0).0).collect();
        for exchange in waiting {
            let ending = Ending {
                status: Some(status),
                flags,
                grpc: None,
            };
            let _ = bench.plane.end(exchange, ending, at(300_000));
        }
        let (exchange, verdict) = bench.begin("a", 300_000);
        assert_eq!(verdict != Verdict::Pass, is_slow, "the breaker, {status}");
        bench.end(exchange, 200, 300_000);
        let delta = &bench.scopes(301_000)[0];
        let (counted, bad) = if is_slow { (20, 20) } else { (1, 0) };
        let objective = &delta.objectives[0];
        assert_eq!(objective.total - objective.good, bad, "{status} {flags:?}");
        assert_eq!(
            delta.latency.iter().map(|(_, count)| count).sum::<u64>(),
            counted
        );
        let cancelled = outcome(delta, Outcome::ClientCancel);
        assert_eq!(cancelled, if is_slow { 0 } else { 20 });
    }
}

/// What may happen to a VM.
#[derive(Clone, Debug)]
enum Event {
    Begin(u8),
    End(usize, u16),
    Push(u8),
    Report,
    Acknowledge,
    /// It arrived, but the acknowledgement did not.
    LoseAnswer,
    LoseReport,
    LoseSender,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0u8..6).prop_map(Event::Begin),
        6 => (any::<usize>(), prop::sample::select(vec![200, 404, 500, 503]))
            .prop_map(|(which, status)| Event::End(which, status)),
        2 => (0u8..4).prop_map(Event::Push),
        3 => Just(Event::Report),
        3 => Just(Event::Acknowledge),
        1 => Just(Event::LoseAnswer),
        1 => Just(Event::LoseReport),
        1 => Just(Event::LoseSender),
    ]
}

/// Configurations that have more, fewer and other scopes and objectives.
fn pushed(which: u8) -> String {
    let objectives = |slos: &[&str]| {
        let all: Vec<String> = slos
            .iter()
            .map(|slo| format!(r#"{{"id": {{"slo": "{slo}", "index": 0}}}}"#))
            .collect();
        format!(r#""objectives": [{}]"#, all.join(","))
    };
    match which {
        0 => config(""),
        1 => config(&[scope("r0", &objectives(&["x"])), scope("r1", "")].join(",")),
        2 => config(
            &[
                scope("r1", &objectives(&["x", "y"])),
                scope("r0", &objectives(&["y"])),
            ]
            .join(","),
        ),
        _ => config(&scope("r2", &objectives(&["y", "x"]))).replace("true", "false"),
    }
}

/// A control plane that counts what it sees, each report once.
#[derive(Debug, Default)]
struct Receiver {
    last: u64,
    requests: BTreeMap<String, u64>,
    good: BTreeMap<(String, String), (u64, u64)>,
    latencies: u64,
}

impl Receiver {
    fn take(&mut self, report: &Report) {
        if report.sequence <= self.last {
            return;
        }
        assert_eq!(report.sequence, self.last + 1);
        self.last = report.sequence;
        for delta in &report.scopes {
            let route = delta.scope.route.as_str().to_owned();
            *self.requests.entry(route.clone()).or_default() += delta.requests;
            self.latencies += delta.latency.iter().map(|(_, count)| count).sum::<u64>();
            assert_eq!(delta.outcomes.iter().sum::<u64>(), delta.requests);
            for counts in &delta.objectives {
                let key = (route.clone(), counts.id.slo.as_str().to_owned());
                let sum = self.good.entry(key).or_default();
                *sum = (sum.0 + counts.total, sum.1 + counts.good);
            }
        }
    }
}

/// What really happened, and what the control plane was told of it.
struct Story {
    bench: Bench,
    now: u64,
    /// Route and objectives of what is under way.
    under_way: Vec<(Exchange, String, Vec<String>)>,
    sent: Option<Report>,
    receiver: Receiver,
    truth: Receiver,
    config: u8,
}

impl Story {
    fn happens(&mut self, event: Event) {
        match event {
            Event::Begin(route) => {
                let route = format!("r{route}");
                let (exchange, _) = self.bench.begin(&route, self.now);
                let (route, slos): (String, &[&str]) = match (self.config, route.as_str()) {
                    (1, "r0") => (route, &["x"]),
                    (2, "r1") | (3, "r2") => (route, &["x", "y"]),
                    (2, "r0") => (route, &["y"]),
                    (3, _) => ("other".to_owned(), &[]),
                    _ => (route, &[]),
                };
                let slos = slos.iter().map(|slo| (*slo).to_owned()).collect();
                self.under_way.push((exchange, route, slos));
            }
            Event::End(which, status) => {
                if self.under_way.is_empty() {
                    return;
                }
                let which = which % self.under_way.len();
                let (exchange, route, slos) = self.under_way.swap_remove(which);
                self.bench.end(exchange, status, self.now);
                *self.truth.requests.entry(route.clone()).or_default() += 1;
                self.truth.latencies += 1;
                for slo in slos {
                    let sum = self.truth.good.entry((route.clone(), slo)).or_default();
                    *sum = (sum.0 + 1, sum.1 + u64::from(status < 500));
                }
            }
            Event::Push(which) => {
                self.config = which;
                self.bench.configure(&pushed(which), self.now);
            }
            Event::Report => {
                if let Some(report) = self.bench.report(self.now) {
                    self.sent = Some(report);
                }
            }
            Event::Acknowledge => {
                if let Some(report) = self.sent.take() {
                    self.receiver.take(&report);
                    self.bench.plane.acknowledge(report.sequence);
                }
            }
            Event::LoseAnswer => {
                if let Some(report) = self.sent.take() {
                    self.receiver.take(&report);
                    self.bench.plane.lose(report.sequence, at(self.now));
                }
            }
            Event::LoseReport => {
                if let Some(report) = self.sent.take() {
                    self.bench.plane.lose(report.sequence, at(self.now));
                }
            }
            Event::LoseSender => self.bench.plane.lose_sender(9, at(self.now)),
        }
    }
}

proptest! {
    /// Nothing is lost and nothing counts twice, in whatever order things happen.
    #[test]
    fn counts_always_equal_what_happened(
        events in prop::collection::vec((0u64..1_500, event()), 0..200),
    ) {
        let mut story = Story {
            bench: Bench::new(&pushed(0)),
            now: 0,
            under_way: Vec::new(),
            sent: None,
            receiver: Receiver::default(),
            truth: Receiver::default(),
            config: 0,
        };
        for (wait, event) in events {
            story.now += wait;
            story.happens(event);
        }
        while !story.under_way.is_empty() {
            story.happens(Event::End(0, 200));
        }
        for _ in 0..3 {
            story.now += 10_000;
            story.happens(Event::Report);
            story.happens(Event::Acknowledge);
        }
        story.receiver.requests.retain(|_, count| *count != 0);
        prop_assert_eq!(&story.receiver.requests, &story.truth.requests);
        prop_assert_eq!(&story.receiver.good, &story.truth.good);
        prop_assert_eq!(story.receiver.latencies, story.truth.latencies);
    }
}
