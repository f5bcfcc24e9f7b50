//! A node without a connection, for tests of those who hear of it.

use std::sync::Arc;

use sloop_xds::{Kind, Node, Sent, Verdict};

use super::super::Variant;
use super::super::news::News;
use super::super::place::Place;
use super::{Connection, Hub};

/// A node that is connected for as long as it is there.
#[derive(Debug)]
pub(crate) struct SimulatedNode {
    connection: Connection,
    place: Place,
}

impl SimulatedNode {
    pub(crate) fn connect(hub: &Hub, group: &str, id: &str) -> Self {
        let connection = hub.admit(Variant::Delta, None).unwrap();
        let node = Node {
            id: id.to_owned(),
            cluster: group.to_owned(),
            ..Node::default()
        };
        let place = connection.introduce(&node).unwrap();
        Self { connection, place }
    }

    /// It takes over all configurations of filters that it should have.
    pub(crate) fn accept(&self) {
        let snapshot = self.place.snapshot().unwrap();
        let configs = snapshot.of_type(Kind::EXTENSION).unwrap();
        let resources = configs.resources();
        let resources = resources.map(|it| (it.name().to_owned(), it.version().clone()));
        let sent = Sent {
            type_url: Kind::EXTENSION.to_owned(),
            version: configs.version().clone(),
            nonce: "1".to_owned(),
            resources: resources.collect(),
            removed: Vec::new(),
            is_heartbeat: false,
        };
        self.connection.note(News {
            settled: Some(Verdict::Acknowledged(Arc::new(sent))),
            stands: Some((snapshot.version().clone(), true)),
            ..News::default()
        });
    }
}
