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
                // As texts they are quoted, and none of them is called `message`: that is the sentence.
                let (id, group, reason) = (&*event.node, &*event.group, message.as_str());
                tracing::warn!(node = id, group, reason, "a node refused a configuration");
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
    use std::io;
    use std::sync::{Arc, Mutex};

    use sloop_controllers::ConfigSettings;
    use sloop_model::TraceSettings;
    use sloop_xds::Version;
    use tracing::subscriber::with_default;

    use super::*;
    use crate::metrics::Telemetry;
    use crate::publish::PublishSettings;
    use crate::store::InMemory;

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

    /// What is written to it.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
        }
    }

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_node_says_is_one_field_of_one_line_of_the_log() {
        let settings = PublishSettings {
            config: ConfigSettings {
                report: None,
                trace: TraceSettings::default(),
            },
            module: "/sloop_filter.wasm".to_owned(),
            ttl: None,
        };
        let publisher = Publisher::restore(settings, &InMemory::default()).unwrap();
        let metrics = PushMetrics::register(&Telemetry::begin().unwrap().meter());
        let said = "no\n2026-01-01T00:00:00Z ERROR sloop: forged\u{1b}[2K";
        let event = Event {
            at: WallTime::from_millis(1_000),
            stream: 1,
            node: "n\n1".into(),
            group: "checkout\n".into(),
            what: What::Refused {
                sent: Arc::new(Sent {
                    type_url: Kind::EXTENSION.to_owned(),
                    version: Version::claimed("1"),
                    nonce: "1".to_owned(),
                    resources: Vec::new(),
                    removed: Vec::new(),
                    is_heartbeat: false,
                }),
                message: said.to_owned(),
            },
        };
        let hear = || drop(Acknowledgements::default().hear(&event, &publisher, &metrics));
        let written = Written::default();
        let writer = || {
            let written = written.clone();
            tracing_subscriber::fmt().with_writer(move || written.clone())
        };
        with_default(writer().with_ansi(false).finish(), hear);
        let text = written.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("a node refused a configuration"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        with_default(writer().json().finish(), hear);
        let line: serde_json::Value = serde_json::from_str(&written.text()).unwrap();
        let fields = &line["fields"];
        assert_eq!(fields["message"], "a node refused a configuration");
        assert_eq!(fields["reason"], said);
    }
}
