//! Nodes as two sources know them: their streams, and their reports.

use std::collections::BTreeMap;

use sloop_model::{Side, WallTime};
use sloop_xds::rollout::{Counts, Health, Tally};

use super::api::{
    CountedBy, LastRefusal, LoadCount, NodeLoad, NodeStatus, ResourceStatus, StageLoad,
};
use crate::ads::{self, TypeStatus};
use crate::engine::Engine;

/// All nodes that are connected or report, by id and group: an id is only what a node says.
pub(super) fn nodes(engine: &Engine, streams: Vec<ads::NodeStatus>) -> Vec<NodeStatus> {
    let mut nodes: BTreeMap<(String, String), NodeStatus> = BTreeMap::new();
    // The latest stream of a node comes last and stays.
    let mut accepted: BTreeMap<(String, String), BTreeMap<Side, u64>> = BTreeMap::new();
    for stream in streams {
        let name = (stream.id.clone(), stream.group.clone());
        let of_node = accepted.entry(name.clone()).or_default();
        of_node.extend(&stream.accepted);
        let status = NodeStatus {
            node: stream.id.clone(),
            group: stream.group,
            connected: true,
            connected_ms: Some(stream.connected_since.as_millis()),
            cohort: Some(stream.cohort.to_string()),
            effect_ms: stream
                .standing
                .took()
                .and_then(|took| u64::try_from(took.as_millis()).ok()),
            behind_ms: stream.standing.behind_since().map(WallTime::as_millis),
            zone: stream.zone,
            resources: stream.types.into_iter().map(resource).collect(),
            reported_ms: None,
            filters: Vec::new(),
            load: Vec::new(),
        };
        nodes.insert(name, status);
    }
    for ((group, node), reporter) in engine.reporters() {
        let name = (node.to_owned(), group.to_owned());
        let accepted = accepted.get(&name);
        let status = nodes.entry(name).or_insert_with(|| NodeStatus {
            node: node.to_owned(),
            group: group.to_owned(),
            connected: false,
            connected_ms: None,
            cohort: None,
            effect_ms: None,
            behind_ms: None,
            zone: String::new(),
            resources: Vec::new(),
            reported_ms: None,
            filters: Vec::new(),
            load: Vec::new(),
        });
        status.reported_ms = Some(reporter.reported.as_millis());
        status.filters = reporter.filters;
        for filter in &mut status.filters {
            filter.accepted = accepted.and_then(|all| all.get(&filter.side).copied());
        }
    }
    let mut nodes: Vec<NodeStatus> = nodes.into_values().collect();
    for node in &mut nodes {
        let tally = engine.known_tally(&node.group, &node.node);
        node.load = tally.map_or_else(Vec::new, load);
    }
    nodes
}

/// What those counted who counted any.
fn load((since, tally): (WallTime, Tally)) -> Vec<NodeLoad> {
    let by = |by, of: fn(Counts) -> Health| {
        let count = |counts: Counts| LoadCount {
            requests: of(counts).requests,
            failed: of(counts).failed,
        };
        let usual = count(tally.usual());
        let stage = tally.stage().map(|(since, counts)| StageLoad {
            since_ms: since.as_millis(),
            count: count(counts),
        });
        let is_any = 0 < usual.requests || stage.is_some_and(|it| 0 < it.count.requests);
        is_any.then(|| NodeLoad {
            by,
            since_ms: since.as_millis(),
            usual,
            stage,
        })
    };
    let filters = by(CountedBy::Filters, |it| it.filters);
    let envoy = by(CountedBy::Envoy, |it| it.envoy);
    filters.into_iter().chain(envoy).collect()
}

fn resource((kind, status): (String, Box<TypeStatus>)) -> ResourceStatus {
    let status = *status;
    let took = status.took.map(|took| took.as_millis());
    let refused = status.refused;
    ResourceStatus {
        kind,
        sent: status.sent.map(|version| version.to_string()),
        acknowledged: status.acknowledged.map(|version| version.to_string()),
        sent_ms: status.sent_at.map(WallTime::as_millis),
        acknowledged_ms: status.acknowledged_at.map(WallTime::as_millis),
        took_ms: took.and_then(|took| u64::try_from(took).ok()),
        refusal: refused
            .as_ref()
            .filter(|_| status.is_refusing)
            .map(|refusal| refusal.message.clone()),
        last_refusal: refused.map(|refusal| LastRefusal {
            at_ms: refusal.at.as_millis(),
            version: refusal.version.to_string(),
            reason: refusal.message,
        }),
    }
}
