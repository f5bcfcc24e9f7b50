//! What the largest mesh that we aim at costs the process: 5,000 SLOs that act, on 20,000 scopes.
//!
//! It is played when `SLOOP_LONG` is set, for as many minutes as that says (two at least), else for five; a hundredth of it
//! is always played. Played long, it looks for growth, too: what there is in the last quarter of the time and was not in the
//! third. Numbers of time mean something where `$SLOOP` is optimised alone, those of memory always do. History is that of
//! the run: what 400 days of it take is told by `cargo bench -p sloop-controllers --bench memory`.

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
/// What 5,000 SLOs on 20,000 scopes may take, in MiB.
const MEMORY_MAX: u64 = 1_024;
/// What a step of these may take, in milliseconds.
const STEP_MAX: f64 = 100.0;
/// By what factor memory may grow from the third quarter to the last: history of the last minutes and hours fills meanwhile.
const GROWTH_MAX: f64 = 1.05;

/// How many SLOs, and for how many seconds they are reported on.
fn size() -> (usize, u64) {
    let Ok(long) = std::env::var("SLOOP_LONG") else {
        return (50, 2);
    };
    let minutes = long.parse().ok().filter(|minutes| 2 <= *minutes);
    (5_000, 60 * minutes.unwrap_or(5))
}

/// How much more memory there is in the last quarter of these samples than in the third, as a factor.
fn growth(samples: &[u64]) -> f64 {
    let quarter = samples.len() / 4;
    let mean = |of: &[u64]| of.iter().sum::<u64>() as f64 / of.len().max(1) as f64;
    let [_, _, third, last] = [0, 1, 2, 3].map(|it| &samples[it * quarter..(it + 1) * quarter]);
    mean(last) / mean(third).max(1.0)
}

/// What one sidecar of `service-{number}` says of a second: all of its routes.
fn report(number: usize, sequence: u64) -> ReportRequest {
    let now = sloop_controlplane::clock::wall().as_millis();
    let scope = |route: usize| wire::ScopeDelta {
        service: format!("service-{number}"),
        route: format!("route-{route}"),
        side: wire::Side::Server.into(),
        requests: 100,
        outcomes: vec![100],
        objectives: vec![wire::ObjectiveDelta {
            slo: format!("slo-{number}"),
            objective: 0,
            total: 100,
            good: 100,
        }],
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
        from_ms: now - 1_000,
        to_ms: now,
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
        client.report(report(number, sequence)).await.unwrap();
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
    let status = std::fs::read_to_string(format!("/proc/{}/status", sloop.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() / 1_024
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
    let (slos, seconds) = size();
    let home = Home::new();
    home.write("slos.yaml", &documents(slos));
    let sloop = home.start();
    eventually("all is loaded", async || {
        (sloop.get("/readyz").await.0 == 200).then_some(())
    })
    .await;
    assert_eq!(sloop.items("/v1/slos").await.len(), slos);
    let before = resident_mib(&sloop);
    let connections: Vec<_> = (0..slos)
        .step_by(SHARING)
        .map(|_| sloop.reports())
        .collect();
    let mut samples = Vec::new();
    for second in 1..=seconds {
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
    let scopes = sloop.items("/v1/scopes").await.len();
    assert_eq!(scopes, slos * ROUTES);
    let step = mean_ms(&sloop, "step").await;
    let commit = mean_ms(&sloop, "store_commit").await;
    let memory = resident_mib(&sloop);
    let growth = growth(&samples);
    println!(
        "{slos} SLOs on {scopes} scopes: {before} MiB before reports, {memory} MiB after {seconds} s of them; \
         a step takes {step:.1} ms on average, a commit {commit:.1} ms; the last quarter has {growth:.3} times the memory of the third"
    );
    assert!(memory < MEMORY_MAX, "{memory} MiB");
    if 60 < seconds {
        assert!(growth < GROWTH_MAX, "{growth}: {samples:?}");
    }
    // Of the time that a step took, waiting for a processor is a part, so this is no less than what it used of one.
    if is_optimised() {
        assert!(step < STEP_MAX, "{step} ms");
    }
}
