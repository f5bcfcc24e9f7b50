//! Looks at the control plane while a story is told.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use sloop_controlplane::admin::api::{Event, Happened};
use sloop_model::Side;

use super::documents::PAYMENTS_ROUTE;
use super::live::Live;
use super::observed::{Burn, Change, Effect};
use super::stage::Stage;

/// What was seen so far.
#[derive(Debug)]
pub(super) struct Watcher {
    live: Live,
    since: u64,
    /// When each configuration was pushed, by (group, side, generation).
    pushes: BTreeMap<(String, Side, u64), u64>,
    /// Breakers on calls to `payments`.
    pub(super) changes: Vec<Change>,
    /// Pushes that took effect.
    pub(super) effects: Vec<Effect>,
    /// How fast actionable SLOs burned.
    pub(super) burns: Vec<Burn>,
}

impl Watcher {
    /// Begins with what happens from now on.
    pub(super) async fn begin(stage: &Stage, live: Live) -> anyhow::Result<Self> {
        let events = stage.admin.events(0).await?;
        Ok(Self {
            live,
            since: events.last().map_or(0, |event| event.id),
            pushes: BTreeMap::new(),
            changes: Vec::new(),
            effects: Vec::new(),
            burns: Vec::new(),
        })
    }

    /// Looks again and again, and calls `tick` after each look; ends only by an error.
    pub(super) async fn watch(
        &mut self,
        stage: &Stage,
        every: Duration,
        mut tick: impl FnMut(),
    ) -> anyhow::Result<Infallible> {
        let mut looks = tokio::time::interval(every);
        loop {
            looks.tick().await;
            self.look(stage).await?;
            tick();
        }
    }

    /// Looks once.
    pub(super) async fn look(&mut self, stage: &Stage) -> anyhow::Result<()> {
        for event in stage.admin.events(self.since).await? {
            self.since = event.id;
            self.take(event);
        }
        for slo in stage.admin.slos().await? {
            let objective = slo.objectives.first();
            let shortest = objective.and_then(|objective| objective.burn.first());
            let is_ours = slo.service.as_str() == "payments";
            if let Some(rate) = shortest.and_then(|burn| burn.burn).filter(|_| is_ours) {
                self.burns.push(Burn {
                    slo: slo.name.to_string(),
                    at_ms: slo.at.as_millis(),
                    rate,
                });
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Event) {
        let at_ms = event.at_ms;
        match event.happened {
            Happened::Push {
                group,
                side,
                generation,
            } => {
                self.pushes.insert((group, side, generation), at_ms);
            }
            Happened::InForce {
                node,
                side,
                generation,
                ..
            } => {
                let group = group_of(&node).to_owned();
                if let Some(pushed) = self.pushes.get(&(group, side, generation)) {
                    let after_ms = at_ms.saturating_sub(*pushed);
                    self.effects.push(Effect { after_ms });
                }
            }
            Happened::Breaker {
                node,
                vm,
                service,
                route,
                side: Side::Client,
                to,
                cause,
            } if service.as_str() == "payments" && is_used(&node, route.as_str()) => {
                self.live.breaker(&node, to);
                self.changes.push(Change {
                    node,
                    breaker: format!("{vm} {route}"),
                    at_ms,
                    to,
                    cause,
                });
            }
            Happened::Breaker { .. }
            | Happened::Withheld { .. }
            | Happened::HeldBack { .. }
            | Happened::Acknowledged { .. }
            | Happened::Refused { .. }
            | Happened::Connected { .. }
            | Happened::Gone { .. }
            | Happened::LeftOut { .. }
            | Happened::Trying { .. }
            | Happened::RolledOut { .. }
            | Happened::RolledBack { .. }
            | Happened::Documents { .. } => {}
        }
    }
}

/// Who calls `payments`. Every sidecar has a breaker for every route of every service; one
/// that no call goes through and that was ordered to open stays in probing, because nothing probes.
const CALLERS: [&str; 3] = ["checkout-1", "checkout-2", "edge-1"];

/// Sidecars that call `payments`.
pub(super) fn callers() -> Vec<String> {
    CALLERS.map(str::to_owned).to_vec()
}

fn is_used(node: &str, route: &str) -> bool {
    CALLERS.contains(&node) && route == PAYMENTS_ROUTE
}

/// Nodes are named after their group, with a number behind.
fn group_of(node: &str) -> &str {
    node.rsplit_once('-').map_or(node, |(group, _)| group)
}
