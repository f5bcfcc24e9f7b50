//! What the largest mesh that we aim at costs the process: 5,000 SLOs that act, on 20,000 scopes.
//!
//! It is played when `SLOOP_LONG` is set, for as many minutes as that says (two at least), else for five, and with as many SLOs
//! as `SLOOP_SLOS` says; a hundredth of it is always played. First each sidecar reports on the 400 days before, so that there
//! is all that is ever kept of counts (`SLOOP_OLD` says of how many SLOs, if not of all); then one of ten requests is bad, on everybody's account. At the end the process is
//! told to end and begins again with what it stored: four gigabytes.
//! Played long, it looks for growth, too: what there is in the last quarter of the time and was not in the
//! third. Numbers of time mean something where `$SLOOP` is optimised alone, those of memory always do. What spending takes that
//! went on for 90 days is told by `cargo bench -p sloop-controllers --bench memory`.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use sloop_xds_protos::report::v1 as wire;
use sloop_xds_protos::report::v1::ReportRequest;
use sloop_xds_protos::report::v1::report_service_client::ReportServiceClient;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::support::{Home, Sloop, eventually, is_optimised, slo};

/// Routes of each service, and so scopes.
const ROUTES: usize = 4;
/// Sidecars that share a connection, as the workers of one do: fewer than a connection may ask in a second.
const SHARING: usize = 50;
/// What the process may take whatever it has to do, pages of the store among it, in MiB, and what it may take besides for each
/// SLO, in KiB: less than 1 GiB for 5,000 of them.
const MEMORY_MAX: u64 = 256;
const MEMORY_MAX_EACH: u64 = 140;
/// What a step of these may take, in milliseconds.
const STEP_MAX: f64 = 100.0;
/// By what factor memory may grow from the third quarter to the last: history of the last minutes and hours fills meanwhile.
const GROWTH_MAX: f64 = 1.05;

/// What counts are kept of: 400 days.
const KEPT: Duration = Duration::from_secs(400 * 86_400);
/// Longer than it takes to read what 5,000 SLOs have in the store.
const RESTORED_WITHIN: Duration = Duration::from_secs(300);

/// What is played.
struct Size {
    slos: usize,
    /// Of how many of them there is history of 400 days.
    old: usize,
    /// For so long they are reported on.
    seconds: u64,
}

impl Size {
    fn wanted() -> Self {
        let Ok(long) = std::env::var("SLOOP_LONG") else {
            let (slos, old, seconds) = (50, 5, 2);
            return Self { slos, old, seconds };
        };
        let number = |name: &str, others: usize| {
            let given = std::env::var(name).ok();
            given.map_or(others, |given| given.parse().expect("a number of SLOs"))
        };
        let slos = number("SLOOP_SLOS", 5_000);
        let minutes = long.parse().ok().filter(|minutes| 2 <= *minutes);
        Self {
            slos,
            old: number("SLOOP_OLD", slos),
            seconds: 60 * minutes.unwrap_or(5),
        }
    }
}

/// How much more memory there is in the last quarter of these samples than in the third, as a factor.
fn growth(samples: &[u64]) -> f64 {
    let quarter = samples.len() / 4;
    let mean = |of: &[u64]| of.iter().sum::<u64>() as f64 / of.len().max(1) as f64;
    let [_, _, third, last] = [0, 1, 2, 3].map(|it| &samples[it * quarter..(it + 1) * quarter]);
    mean(last) / mean(third).max(1.0)
}

/// What one sidecar of `service-{number}` says of the last second, or of 400 days before it: all of its routes, on each of which
/// one of ten of these requests was bad.
fn report(number: usize, (sequence, length): (u64, Duration), requests: u64) -> ReportRequest {
    let now = sloop_controlplane::clock::wall();
    let bad = requests / 10;
    let value = |dimension: wire::Dimension, value: &str| wire::DimensionDelta {
        dimension: dimension.into(),
        value: value.to_owned(),
        classes: vec![requests - bad, 0, bad],
        objectives: vec![requests, requests - bad],
    };
    let scope = |route: usize| wire::ScopeDelta {
        service: format!("service-{number}"),
        route: format!("route-{route}"),
        side: wire::Side::Server.into(),
        requests,
        outcomes: vec![requests - bad, 0, bad],
        objectives: vec![wire::ObjectiveDelta {
            slo: format!("slo-{number}"),
            objective: 0,
            total: requests,
            good: requests - bad,
        }],
        dimensions: vec![
            value(wire::Dimension::Caller, "shop"),
            value(wire::Dimension::Origin, "edge"),
            value(wire::Dimension::Journey, "buy"),
        ],
        latency: Some(wire::Histogram {
            pairs: [1_000, 3].repeat(33),
        }),
        ..wire::ScopeDelta::default()
    };
    ReportRequest {
        node: format!("service-{number}-1"),
        cluster: format!("service-{number}"),
        incarnation: number as u64 + 1,
        sequence,
        from_ms: now.before(length).as_millis(),
        to_ms: now.as_millis(),
        scopes: (0..ROUTES).map(scope).collect(),
        ..ReportRequest::default()
    }
}

/// What these sidecars say of a second, one after another.
async fn report_all(
    mut client: ReportServiceClient<Channel>,
    sidecars: Range<usize>,
    sequence: u64,
) {
    for number in sidecars {
        let second = Duration::from_secs(1);
        let report = report(number, (sequence, second), 100);
        client.report(report).await.unwrap();
    }
}

/// What so many sidecars say of the 400 days before: so much that sums lie far apart.
async fn report_on_the_past(sloop: &Sloop, old: usize) {
    let mut client = sloop.reports();
    for number in 0..old {
        let report = report(number, (1, KEPT), 2_000_000_000);
        client.report(report).await.unwrap();
    }
}

fn documents(slos: usize) -> String {
    let mut text = String::new();
    for number in 0..slos {
        let one = slo(&format!("slo-{number}"), "0.999")
            .replace("checkout", &format!("service-{number}"))
            .replace(", route: pay", "");
        writeln!(text, "---\n{one}").unwrap();
    }
    text
}

/// What its process holds in memory, in MiB. Linux alone says so.
fn resident_mib(sloop: &Sloop) -> u64 {
    memory_mib(sloop, "VmRSS:")
}

/// The same, or the most of it that there ever was (`VmHWM:`).
fn memory_mib(sloop: &Sloop, which: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", sloop.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(which));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() / 1_024
}

/// How long its process ran on processors, in milliseconds. Linux alone says so, in hundredths of a second (`proc_pid_stat(5)`,
/// user and system).
fn processor_ms(sloop: &Sloop) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", sloop.id())).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|it| 10 * it.parse::<u64>().unwrap()).sum()
}

/// How long what is called so takes on average, in milliseconds.
async fn mean_ms(sloop: &Sloop, what: &str) -> f64 {
    let of = |part| format!("sloop_controlplane_{what}_duration_seconds_{part}");
    let sum = sloop.metric(&of("sum")).await.unwrap_or_default();
    let count = sloop.metric(&of("count")).await.unwrap_or_default();
    1_000.0 * sum / count
}

#[test]
fn growth_is_what_the_last_quarter_has_and_the_third_had_not() {
    let close = |samples: &[u64], expected: f64| (growth(samples) - expected).abs() < 1e-9;
    assert!(close(&[1, 2, 10, 20, 100, 100, 110, 130], 1.2));
    assert!(close(&[5, 5, 5, 5], 1.0));
}

#[tokio::test]
async fn the_largest_mesh_fits() {
    let Size { slos, old, seconds } = Size::wanted();
    let home = Home::new();
    home.write("slos.yaml", &documents(slos));
    let sloop = home.start();
    eventually("all is loaded", async || {
        (sloop.get("/readyz").await.0 == 200).then_some(())
    })
    .await;
    assert_eq!(sloop.items("/v1/slos").await.len(), slos);
    let before = resident_mib(&sloop);
    report_on_the_past(&sloop, old).await;
    let with_past = resident_mib(&sloop);
    let connections: Vec<_> = (0..slos)
        .step_by(SHARING)
        .map(|_| sloop.reports())
        .collect();
    let mut samples = Vec::new();
    let (ran, reports_begin) = (processor_ms(&sloop), Instant::now());
    for second in 2..=seconds + 1 {
        let begun = Instant::now();
        let mut asking = JoinSet::new();
        for (number, client) in connections.iter().enumerate() {
            let first = number * SHARING;
            let sidecars = first..slos.min(first + SHARING);
            asking.spawn(report_all(client.clone(), sidecars, second));
        }
        while let Some(asked) = asking.join_next().await {
            asked.unwrap();
        }
        let rest = Duration::from_secs(1).saturating_sub(begun.elapsed());
        tokio::time::sleep(rest).await;
        samples.push(resident_mib(&sloop));
    }
    let ran = (processor_ms(&sloop) - ran) / seconds;
    let took = reports_begin.elapsed();
    let scopes = sloop.items("/v1/scopes").await.len();
    assert_eq!(scopes, slos * ROUTES);
    let step = mean_ms(&sloop, "step").await;
    let commit = mean_ms(&sloop, "store_commit").await;
    let memory = resident_mib(&sloop);
    let growth = growth(&samples);
    println!(
        "{slos} SLOs on {scopes} scopes: {before} MiB before reports, {with_past} MiB with 400 days of history, \
         {memory} MiB after {seconds} s of reports, which took {took:.1?} and {ran} ms of a processor for each second; \
         a step takes {step:.1} ms on average, a commit {commit:.1} ms; \
         the last quarter has {growth:.3} times the memory of the third"
    );
    assert!(memory < memory_max(slos), "{memory} MiB");
    if 60 < seconds {
        assert!(growth < GROWTH_MAX, "{growth}: {samples:?}");
    }
    // Of the time that a step took, waiting for a processor is a part, so this is no less than what it used of one.
    if is_optimised() {
        assert!(step < STEP_MAX, "{step} ms");
    }
    begins_again(&home, sloop, memory_max(slos)).await;
}

/// What so many SLOs may take, in MiB.
const fn memory_max(slos: usize) -> u64 {
    MEMORY_MAX + slos as u64 * MEMORY_MAX_EACH / 1_024
}

/// Ends the process and begins it anew: it has all that it had, and never takes more than there may be.
async fn begins_again(home: &Home, sloop: Sloop, memory_max: u64) {
    let counted = |slos: Vec<serde_json::Value>| {
        let counts = |slo: &serde_json::Value| slo["objectives"][0]["counts"].clone();
        slos.iter().map(counts).collect::<Vec<_>>()
    };
    let before = counted(sloop.items("/v1/slos").await);
    assert!(sloop.terminate().await.success());
    let begun = Instant::now();
    let sloop = home.start_within(RESTORED_WITHIN);
    let took = begun.elapsed();
    assert_eq!(counted(sloop.items("/v1/slos").await), before);
    let most = memory_mib(&sloop, "VmHWM:");
    println!("begun again within {took:.1?}, with {most} MiB at most");
    assert!(most < memory_max, "{most} MiB");
}
