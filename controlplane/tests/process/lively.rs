//! A control plane with a bit of everything: documents, a sidecar that is connected, reports in which something happens.

use sloop_model::ExperimentKey;
use sloop_xds_protos::report::v1 as wire;
use sloop_xds_protos::report::v1::ReportRequest;

use crate::discovery::{Sidecar, Versions};
use crate::support::{Home, ROUTES, Sloop, slo};

/// An experiment that somebody may ask for.
pub(crate) const EXPERIMENT: &str = "\
apiVersion: sloop.dev/v1
kind: ChaosExperiment
metadata: {name: aborts}
spec:
  hypothesis: [{slo: pay}]
  targets: [{service: checkout, route: pay}]
  faults: [{share: 5%, abort_status: 503}]
  duration: 10m
  budget: 50%
";

/// Somebody is told by a webhook that is not there.
const POLICY: &str = "  alertPolicies:
  - kind: AlertPolicy
    metadata: {name: wake}
    spec:
      conditions:
      - kind: AlertCondition
        metadata: {name: fast}
        spec:
          severity: page
          condition: {kind: burnrate, op: gt, threshold: 2, lookbackWindow: 1m}
      notificationTargets:
      - kind: AlertNotificationTarget
        metadata: {name: phone}
        spec: {target: 'http://127.0.0.1:1/'}
";

/// It, its folder, and who talks to it.
pub(crate) struct Lively {
    pub(crate) sloop: Sloop,
    pub(crate) home: Home,
    pub(crate) sidecar: Sidecar,
    reports: u64,
}

/// The SLO on `checkout pay`, with somebody who is told.
pub(crate) fn told(target: &str) -> String {
    slo("pay", target) + POLICY
}

impl Lively {
    /// Starts it and connects a sidecar, which accepts what it is sent first.
    pub(crate) async fn start() -> Self {
        let home = Home::new();
        home.write("routes.yaml", ROUTES);
        home.write("slo.yaml", &told("0.99"));
        home.write("experiment.yaml", EXPERIMENT);
        home.write("wrong.yaml", &slo("wrong", "1.5"));
        let sloop = home.start_with(&["--rollout-first", "0"]);
        let mut sidecar = Sidecar::connect_as("checkout-1", &sloop, &Versions::new()).await;
        sidecar.hears().await;
        Self {
            sloop,
            home,
            sidecar,
            reports: 0,
        }
    }

    /// Sends the next reports, of both services.
    pub(crate) async fn report(&mut self) {
        self.reports += 1;
        let mut client = self.sloop.reports();
        for report in [checkout(self.reports), payments(self.reports)] {
            client.report(report).await.unwrap();
        }
    }
}

/// Half a second of the journey `buy` on one hop: a hundred requests, those that have one with this latency.
fn hop(service: &str, route: &str, side: wire::Side, latency_us: u64) -> wire::ScopeDelta {
    let value = |dimension: wire::Dimension, value: &str| wire::DimensionDelta {
        dimension: dimension.into(),
        value: value.to_owned(),
        classes: vec![90, 0, 10],
        objectives: Vec::new(),
    };
    wire::ScopeDelta {
        service: service.to_owned(),
        route: route.to_owned(),
        side: side.into(),
        requests: 100,
        outcomes: vec![90, 0, 10],
        latency: Some(wire::Histogram {
            pairs: vec![latency_us, 10],
        }),
        in_flight: 2,
        retries: 1,
        dimensions: vec![
            value(wire::Dimension::Caller, "shop"),
            value(wire::Dimension::Journey, "buy"),
        ],
        ..wire::ScopeDelta::default()
    }
}

fn request(service: &str, sequence: u64, scopes: Vec<wire::ScopeDelta>) -> ReportRequest {
    let now = sloop_controlplane::clock::wall().as_millis();
    ReportRequest {
        node: format!("{service}-1"),
        cluster: service.to_owned(),
        incarnation: service.bytes().map(u64::from).sum(),
        sequence,
        from_ms: now - 500,
        to_ms: now,
        scopes,
        ..ReportRequest::default()
    }
}

fn payments(sequence: u64) -> ReportRequest {
    let served = hop("payments", "charge", wire::Side::Server, 45_000);
    request("payments", sequence, vec![served])
}

/// Everything that a filter may have done, on the route of the SLO.
fn checkout(sequence: u64) -> ReportRequest {
    let objective = wire::ObjectiveDelta {
        slo: "pay".to_owned(),
        objective: 0,
        total: 100,
        good: 90,
    };
    let mut served = hop("checkout", "pay", wire::Side::Server, 100_000);
    served.objectives = vec![objective];
    served.breaker = Some(wire::BreakerDelta {
        state: wire::BreakerState::Closed.into(),
        refused: 1,
        ..wire::BreakerDelta::default()
    });
    served.delayed = 1;
    served.aborted = 1;
    served.shed = Some(wire::ShedDelta {
        level: 1_000,
        shed: vec![1, 1],
        shadow_shed: 1,
        ..wire::ShedDelta::default()
    });
    served.shadow_denied = 1;
    served.arms = vec![wire::ArmDelta {
        experiment: ExperimentKey::of("aborts").bits(),
        arm: wire::Arm::Control.into(),
        requests: 1,
        outcomes: vec![1],
        objectives: Vec::new(),
        ..wire::ArmDelta::default()
    }];
    let asked = hop("payments", "charge", wire::Side::Client, 50_000);
    let mut report = request("checkout", sequence, vec![served, asked]);
    report.filters = vec![wire::FilterStatus {
        side: wire::Side::Server.into(),
        generation: 1,
        applied_at_ms: report.from_ms,
        version: "v7".to_owned(),
        module: wire::Module::Requests.into(),
    }];
    report.denials = vec![wire::DenyDelta {
        side: wire::Side::Server.into(),
        id: "report-runs-wild".to_owned(),
        refused: 1,
        shadow_refused: 1,
        over_share: 1,
    }];
    report.trouble = Some(wire::Trouble {
        hostcalls_failed: 1,
        ..wire::Trouble::default()
    });
    report
}
