//! Groups of nodes, and how changes to them stand.

use std::collections::BTreeMap;

use sloop_xds::fleet::Cohort;
use sloop_xds::rollout::Stage;

use super::api::{PushStage, PushStatus};
use crate::ads::{Hub, NodeStatus};

/// Nodes that are named: nobody reads more.
const NAMED_MAX: usize = 100;

/// All groups of which nodes were seen, in their order.
pub(super) fn pushes(hub: &Hub) -> Vec<PushStatus> {
    let mut groups: BTreeMap<Cohort, PushStatus> = hub
        .stages()
        .into_iter()
        .map(|(cohort, stage)| {
            let status = nobody(&cohort, stage);
            (cohort, status)
        })
        .collect();
    let mut streams = hub.nodes();
    streams.sort_by(|a, b| (&a.cohort, &a.id).cmp(&(&b.cohort, &b.id)));
    let of_one = |a: &NodeStatus, b: &NodeStatus| a.cohort == b.cohort && a.id == b.id;
    for node in streams.chunk_by(of_one) {
        let Some(NodeStatus { cohort, .. }) = node.first() else {
            continue;
        };
        let status = groups
            .entry(cohort.clone())
            .or_insert_with(|| nobody(cohort, Stage::Settled));
        add(status, node);
    }
    groups.into_values().collect()
}

fn nobody(cohort: &Cohort, stage: Stage) -> PushStatus {
    PushStatus {
        group: cohort.to_string(),
        service: cohort.service.clone(),
        stage: stage.into(),
        nodes: 0,
        in_force: 0,
        refusing: 0,
        behind: Vec::new(),
        slowest_ms: None,
    }
}

/// Adds a node, which has what it should have when it has it on all of its streams.
fn add(status: &mut PushStatus, streams: &[NodeStatus]) {
    let is_refusing = |node: &NodeStatus| node.types.values().any(|it| it.is_refusing);
    status.nodes += 1;
    status.refusing += usize::from(streams.iter().any(is_refusing));
    let took = streams.iter().filter_map(|node| node.standing.took());
    let took = took.filter_map(|took| u64::try_from(took.as_millis()).ok());
    status.slowest_ms = status.slowest_ms.max(took.max());
    if streams.iter().all(|node| node.standing.has().is_some()) {
        status.in_force += 1;
    } else if status.behind.len() < NAMED_MAX {
        let id = streams.iter().map(|node| &node.id).take(1);
        status.behind.extend(id.cloned());
    }
}

impl From<Stage> for PushStage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Settled => Self::Settled,
            Stage::Trying {
                revision,
                nodes,
                since,
            } => Self::Trying {
                trying: nodes.iter().take(NAMED_MAX).cloned().collect(),
                count: nodes.len(),
                since_ms: since.as_millis(),
                revision: revision.to_string(),
            },
            Stage::RolledBack(rejected) => Self::RolledBack {
                reason: rejected.because,
                at_ms: rejected.at.as_millis(),
                revision: rejected.revision.to_string(),
            },
        }
    }
}
