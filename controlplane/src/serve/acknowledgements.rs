//! How long nodes take to accept what was pushed to them.
//!
//! A node that connects later than a push is sent it, too; the time from the
//! push then says nothing, so it is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use sloop_model::WallTime;
use sloop_xds::{Kind, Sent};

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
    /// Keeps `streams`, which are all there are, each with its beginning: what was said about
    /// the beginning and the end of others may have been missed.
    pub(super) fn forget(&mut self, streams: impl IntoIterator<Item = (StreamId, WallTime)>) {
        self.began = streams.into_iter().collect();
    }

    /// Takes in what happened on a stream; says what people should see of it.
    pub(super) fn hear(
        &mut self,
        event: &Event,
        publisher: &Publisher,
        metrics: &PushMetrics,
    ) -> Vec<Happened> {
        let (node, group) = (|| event.node.to_string(), || event.group.to_string());
        match &event.what {
            What::Connected => {
                self.began.insert(event.stream, event.at);
                vec![Happened::Connected {
                    node: node(),
                    group: group(),
                }]
            }
            What::Gone => {
                self.began.remove(&event.stream);
                vec![Happened::Gone {
                    node: node(),
                    group: group(),
                }]
            }
            What::InForce { took } => {
                metrics.in_force(*took);
                Vec::new()
            }
            What::Acknowledged { sent, took: all } => {
                if let Some(all) = all {
                    metrics.in_force(*all);
                }
                let began = self.began.get(&event.stream).copied();
                let pushes = pushes(sent, publisher);
                let heard = pushes.map(|pushed| {
                    metrics.acknowledged(pushed.side, took(began, pushed, event.at));
                    Happened::Acknowledged {
                        node: node(),
                        side: pushed.side,
                        generation: pushed.generation,
                    }
                });
                heard.collect()
            }
            What::Refused { sent, message } => {
                metrics.refused(&Kind::of(&sent.type_url));
                let (id, group) = (&*event.node, &*event.group);
                tracing::warn!(node = id, group, message, "a node refused a configuration");
                let heard = pushes(sent, publisher).map(|pushed| Happened::Refused {
                    node: node(),
                    side: pushed.side,
                    generation: pushed.generation,
                    reason: message.clone(),
                });
                heard.collect()
            }
        }
    }
}

fn pushes<'a>(sent: &'a Sent, publisher: &'a Publisher) -> impl Iterator<Item = Pushed> + 'a {
    sent.resources
        .iter()
        .filter(|(name, _)| side_of(name).is_some())
        .filter_map(|(_, version)| publisher.pushed(version.as_str()))
}

fn took(began: Option<WallTime>, pushed: Pushed, at: WallTime) -> Option<Duration> {
    began
        .filter(|began| *began <= pushed.at)
        .map(|_| at.since(pushed.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_whose_end_was_missed_are_forgotten() {
        let at = WallTime::from_millis(1_000);
        let mut acknowledgements = Acknowledgements::default();
        acknowledgements.began.insert(1, at);
        acknowledgements.began.insert(2, at);
        acknowledgements.forget([(2, at), (3, at)]);
        let known: Vec<StreamId> = acknowledgements.began.into_keys().collect();
        assert_eq!(known, [2, 3], "also of one whose beginning was missed");
    }
}
