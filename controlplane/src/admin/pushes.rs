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
    streams.sort_by(|a, b| a.id.cmp(&b.id));
    for stream in &streams {
        let status = groups
            .entry(stream.cohort.clone())
            .or_insert_with(|| nobody(&stream.cohort, Stage::Settled));
        add(status, stream);
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

fn add(status: &mut PushStatus, node: &NodeStatus) {
    status.nodes += 1;
    status.refusing += usize::from(node.types.values().any(|it| it.is_refusing));
    let took = node.standing.took();
    let took = took.and_then(|took| u64::try_from(took.as_millis()).ok());
    status.slowest_ms = status.slowest_ms.max(took);
    if node.standing.has().is_some() {
        status.in_force += 1;
    } else if status.behind.len() < NAMED_MAX {
        status.behind.push(node.id.clone());
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
