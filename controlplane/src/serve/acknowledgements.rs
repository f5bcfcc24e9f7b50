//! How long nodes take to accept what was pushed to them.
//!
//! A node that connects later than a push is sent it, too; the time from the
//! push then says nothing, so it is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use sloop_model::WallTime;

use crate::admin::api::Happened;
use crate::ads::{Event, StreamId, What};
use crate::metrics::PushMetrics;
use crate::publish::{Publisher, Pushed, side_of};

/// When each stream began.
#[derive(Debug, Default)]
pub(super) struct Acknowledgements {
    began: BTreeMap<StreamId, WallTime>,
}

impl Acknowledgements {
    /// Takes in what happened on a stream; says what people should see of it.
    pub(super) fn hear(
        &mut self,
        event: Event,
        publisher: &Publisher,
        metrics: &PushMetrics,
    ) -> Vec<Happened> {
        let (node, group) = (event.node, event.group);
        match event.what {
            What::Connected => {
                self.began.insert(event.stream, event.at);
                vec![Happened::Connected { node, group }]
            }
            What::Gone => {
                self.began.remove(&event.stream);
                vec![Happened::Gone { node, group }]
            }
            What::Sent { .. } => Vec::new(),
            What::Acknowledged { resources, .. } => {
                let began = self.began.get(&event.stream).copied();
                let pushes = pushes(&resources, publisher);
                let heard = pushes.map(|pushed| {
                    metrics.acknowledged(took(began, pushed, event.at));
                    Happened::Acknowledged {
                        node: node.clone(),
                        side: pushed.side,
                        generation: pushed.generation,
                    }
                });
                heard.collect()
            }
            What::Refused {
                resources, message, ..
            } => {
                metrics.refused();
                tracing::warn!(node, group, message, "a node refused a configuration");
                let heard = pushes(&resources, publisher).map(|pushed| Happened::Refused {
                    node: node.clone(),
                    side: pushed.side,
                    generation: pushed.generation,
                    reason: message.clone(),
                });
                heard.collect()
            }
        }
    }
}

fn pushes<'a>(
    resources: &'a [(String, String)],
    publisher: &'a Publisher,
) -> impl Iterator<Item = Pushed> + 'a {
    resources
        .iter()
        .filter(|(name, _)| side_of(name).is_some())
        .filter_map(|(_, version)| publisher.pushed(version))
}

fn took(began: Option<WallTime>, pushed: Pushed, at: WallTime) -> Option<Duration> {
    began
        .filter(|began| *began <= pushed.at)
        .map(|_| at.since(pushed.at))
}
