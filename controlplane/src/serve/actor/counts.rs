//! Which counts of reports cannot be, what finds no room, and that both are said.

use std::time::{Duration, Instant};

use crate::door::Limit;
use crate::engine::Crowded;
use crate::ingest::{Report, ReportLimits};
use crate::metrics::DoorMetrics;

/// It is said in the log once in so long: sidecars can bring it about as often as they report.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// What reports may count.
#[derive(Debug, Default)]
pub(super) struct Counts {
    limits: ReportLimits,
    metrics: Option<DoorMetrics>,
    said: Option<Instant>,
    /// As it was counted last.
    crowded: Crowded,
}

impl Counts {
    pub(super) const fn within(limits: ReportLimits, metrics: DoorMetrics) -> Self {
        Self {
            limits,
            metrics: Some(metrics),
            said: None,
            crowded: Crowded {
                workers: 0,
                nodes: 0,
            },
        }
    }

    /// Leaves out of `report` what cannot have happened in `span`. Returns how much that was.
    pub(super) fn check(&self, report: &mut Report, span: Duration) -> u64 {
        // Rounded up, and at least what a VM is believed without having reported: never zero.
        let seconds = span.as_secs().saturating_add(1);
        report.leave_out_above(seconds.saturating_mul(self.limits.requests_per_second.into()))
    }

    /// Counts and says that so much was left out of a report that was new.
    pub(super) fn note(&mut self, left_out: u64, report: &Report, now: Instant) {
        if left_out == 0 {
            return;
        }
        if let Some(metrics) = &self.metrics {
            metrics.hit(Limit::ReportCounts);
        }
        if self.said.is_none_or(|said| SAID_EVERY <= now - said) {
            self.said = Some(now);
            tracing::warn!(
                node = report.node,
                service = report.group,
                left_out,
                max_per_second = self.limits.requests_per_second,
                "a sidecar reports more requests than there can have been; what cannot be does not count"
            );
        }
    }
    /// Counts what found no room since it was last told, when so much did since the process began.
    pub(super) fn crowded(&mut self, crowded: Crowded) {
        let before = std::mem::replace(&mut self.crowded, crowded);
        let Some(metrics) = &self.metrics else {
            return;
        };
        for (limit, before, after) in [
            (Limit::Workers, before.workers, crowded.workers),
            (Limit::Nodes, before.nodes, crowded.nodes),
        ] {
            if before < after {
                metrics.hit_often(limit, after - before);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sloop_model::WallTime;
    use sloop_xds::rollout::Health;

    use crate::ads::Load;
    use crate::metrics::Telemetry;
    use crate::serve::actor::tests::actor_on;
    use crate::store::InMemory;

    use super::*;

    #[tokio::test]
    async fn what_finds_no_room_is_counted_with_the_next_step() {
        let telemetry = Telemetry::begin().unwrap();
        let metrics = DoorMetrics::register(&telemetry.meter(), "grpc");
        let mut actor = actor_on(Arc::new(InMemory::default()));
        actor.bound(ReportLimits::default(), metrics);
        let mut hits = |nodes: std::ops::Range<u32>| {
            let load = Load {
                health: Health::default(),
                from: WallTime::default(),
            };
            let named = |node: u32| ((Arc::from("shop"), Arc::from(node.to_string())), load);
            let now = crate::clock::wall();
            actor.engine.take_loads(&nodes.map(named).collect(), now);
            actor.step(Instant::now());
            let text = telemetry.render().unwrap();
            let name = r#"sloop_controlplane_limits_hit_total{limit="nodes"}"#;
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|it| it.trim().to_owned())
        };
        assert_eq!(hits(0..10_000), None, "half of all that there may be");
        assert_eq!(hits(9_999..10_002).as_deref(), Some("2"));
        assert_eq!(hits(0..1).as_deref(), Some("2"), "who is known has room");
    }

    #[test]
    fn each_time_is_counted_once() {
        let telemetry = Telemetry::begin().unwrap();
        let metrics = DoorMetrics::register(&telemetry.meter(), "grpc");
        let mut counts = Counts::within(ReportLimits::default(), metrics);
        for workers in [0, 3, 3, 5] {
            counts.crowded(Crowded { workers, nodes: 0 });
        }
        let text = telemetry.render().unwrap();
        let hits = r#"sloop_controlplane_limits_hit_total{limit="workers"} 5"#;
        assert!(text.contains(hits), "{text}");
        assert!(!text.contains("nodes\""), "{text}");
    }
}
