//! What the control plane of a fleet is told, and what the fleet reports.

use std::fmt::Write as _;

use prost::Message as _;
use sloop_model::{LatencyBucket, LatencyCounts};
use sloop_xds_protos::report::v1 as wire;

/// The service of all nodes.
pub(super) const SERVICE: &str = "bench";

/// Routes, so many that the configuration of a filter has 4 KiB.
const ROUTES: usize = 34;

/// Routes with an objective, which are those that are reported about.
const SLOS: usize = 4;

/// The documents whose configuration has this number. Each is another from the first byte of its routes on.
pub(super) fn documents(number: u64) -> String {
    let mut text = format!(
        "apiVersion: sloop.dev/v1\nkind: RouteSet\nmetadata: {{name: {SERVICE}}}\nspec:\n  service: {SERVICE}\n  routes:\n"
    );
    for route in 0..ROUTES {
        // Writing into a string cannot fail.
        writeln!(
            text,
            "  - name: route-{route}\n    match: [{{path: {{prefix: /v{number:08}/shop/route-{route}/}}}}]"
        )
        .ok();
    }
    for slo in 0..SLOS {
        text += &objective(slo);
    }
    text
}

/// An objective that is watched and moves nothing, so that every push is one that was asked for.
fn objective(slo: usize) -> String {
    let source =
        format!("metricSource: {{type: sloop, spec: {{service: {SERVICE}, route: route-{slo}");
    format!(
        "---\napiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: slo-{slo}, annotations: {{sloop.dev/mode: monitored}}}}\nspec:\n  \
         service: {SERVICE}\n  budgetingMethod: Occurrences\n  timeWindow: [{{duration: 28d, isRolling: true}}]\n  \
         indicator:\n    metadata: {{name: slo-{slo}-sli}}\n    spec:\n      ratioMetric:\n        counter: true\n        \
         bad: {{{source}, status: [\"5xx\"]}}}}}}\n        total: {{{source}}}}}}}\n  objectives: [{{target: 0.99}}]\n"
    )
}

/// Lets `identities` be sidecars of the service.
pub(super) fn access(identities: &[String]) -> String {
    let identities = identities.join("\", \"");
    format!(
        "---\napiVersion: sloop.dev/v1\nkind: AccessRule\nmetadata: {{name: {SERVICE}}}\nspec:\n  \
         identities: [\"{identities}\"]\n  services: [{SERVICE}]\n"
    )
}

/// How much a report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// One route, no latency: a sidecar with little to do.
    Small,
    /// Four routes, 1 KiB of counts and histograms.
    Kilobyte,
}

/// Latencies of that many buckets fill a kilobyte, with the rest of a report.
const BUCKETS: usize = 195;

/// The encoded fields of a report that are about counts. Nothing failed: only what is new moves controllers.
pub(super) fn counts(size: Size) -> Vec<u8> {
    let (scopes, buckets) = match size {
        Size::Small => (1, 0),
        Size::Kilobyte => (SLOS, BUCKETS),
    };
    let latencies = (0..buckets).filter_map(|index| LatencyBucket::at(60 + 2 * index));
    let latencies = LatencyCounts::of(latencies.map(|bucket| (bucket, 3)));
    let scope = |slo: usize| wire::ScopeDelta {
        service: SERVICE.to_owned(),
        route: format!("route-{slo}"),
        side: wire::Side::Server.into(),
        requests: 300,
        outcomes: vec![300],
        objectives: vec![wire::ObjectiveDelta {
            slo: format!("slo-{slo}"),
            objective: 0,
            total: 300,
            good: 300,
        }],
        latency_buckets: latencies.as_bytes().to_vec(),
        ..wire::ScopeDelta::default()
    };
    let report = wire::ReportRequest {
        scopes: (0..scopes).map(scope).collect(),
        ..wire::ReportRequest::default()
    };
    report.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_size_that_it_is_said_to_have() {
        let kilobyte = counts(Size::Kilobyte).len();
        assert!((900..=1_024).contains(&kilobyte), "{kilobyte}");
        let small = counts(Size::Small).len();
        assert!(small < 100, "{small}");
    }

    #[test]
    fn documents_of_different_numbers_are_equally_long() {
        assert_ne!(documents(1), documents(2));
        assert_eq!(documents(1).len(), documents(99_999).len());
    }
}
