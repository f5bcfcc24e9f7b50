//! The cases that every control plane must get right, by the numbers of our conformance list.

mod delta;
mod fleet;
mod force;
mod heartbeat;
mod limits;
mod order;
mod property;
mod refused;
mod sotw;

use std::collections::{BTreeMap, BTreeSet};

use super::{Response, Stream, Verdict};
use crate::{
    DeltaDiscoveryRequest, DeltaStream, DiscoveryRequest, Kind, LegacyWildcard, Resource, Snapshot,
    SotwStream, Status, StreamLimits,
};

/// A snapshot from `type=name:content name:content; ..`; a content of `-` deletes.
fn snapshot(text: &str) -> Snapshot {
    let mut builder = Snapshot::builder();
    for of_type in text.split(';') {
        let (short, resources) = of_type.trim().split_once('=').unwrap();
        let type_url = url(short);
        builder = builder.manage(type_url);
        for resource in resources.split_whitespace() {
            let (name, content) = resource.split_once(':').unwrap();
            builder = match content {
                "-" => builder.delete(type_url, name),
                _ => builder.with(Resource::new(type_url, name, content.as_bytes())),
            };
        }
    }
    builder.build()
}

fn url(short: &str) -> &'static str {
    match short {
        "rtds" => Kind::RUNTIME,
        "cds" => Kind::CLUSTER,
        "eds" => Kind::ENDPOINTS,
        "lds" => Kind::LISTENER,
        "rds" => Kind::ROUTES,
        "ecds" => Kind::EXTENSION,
        _ => panic!("no such type: {short}"),
    }
}

/// Names in a response: `a b`, with removed ones as `-c`.
fn said(response: &Response) -> String {
    let names = response.sent.resources.iter().map(|(name, _)| name.clone());
    let removed = response.sent.removed.iter().map(|name| format!("-{name}"));
    names.chain(removed).collect::<Vec<_>>().join(" ")
}

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn refusal(message: &str) -> Option<Status> {
    Some(Status {
        code: 13,
        message: message.to_owned(),
    })
}

/// A state-of-the-world client of one type.
struct SotwClient {
    stream: SotwStream,
    type_url: &'static str,
}

impl SotwClient {
    fn new(short: &str) -> Self {
        Self {
            stream: SotwStream::default(),
            type_url: url(short),
        }
    }

    /// Asks for `wanted` with a nonce and perhaps an error. Says what was settled.
    fn ask(&mut self, wanted: &str, nonce: &str, error: Option<Status>) -> Option<Verdict> {
        let request = DiscoveryRequest {
            type_url: self.type_url.to_owned(),
            resource_names: names(wanted),
            response_nonce: nonce.to_owned(),
            error_detail: error,
            ..DiscoveryRequest::default()
        };
        self.stream.take(request).unwrap()
    }

    /// Asks on a new stream, with the version of what it has from the last one.
    fn come_back(&mut self, wanted: &str, has: &Snapshot) {
        let request = DiscoveryRequest {
            version_info: has.of_type(self.type_url).unwrap().version().to_string(),
            type_url: self.type_url.to_owned(),
            resource_names: names(wanted),
            ..DiscoveryRequest::default()
        };
        self.stream.take(request).unwrap();
    }

    /// The next response, as `nonce: names`; empty when there is none.
    fn hears(&mut self, snapshot: &Snapshot) -> String {
        let response = next(&mut self.stream, snapshot);
        response.map_or_else(String::new, |it| {
            format!("{}: {}", it.sent.nonce, said(&it))
        })
    }
}

/// The next response, which comes only where one may be due.
fn next<S: Stream>(stream: &mut S, snapshot: &Snapshot) -> Option<Response> {
    let may_owe = stream.may_owe(snapshot);
    let response = stream.next(snapshot);
    assert!(may_owe || response.is_none(), "{response:?} is not owed");
    response
}

/// A delta client of one type.
struct DeltaClient {
    stream: DeltaStream,
    type_url: &'static str,
}

impl DeltaClient {
    fn new(short: &str) -> Self {
        Self {
            stream: DeltaStream::default(),
            type_url: url(short),
        }
    }

    /// Begins with what it has from an earlier stream.
    fn begin(&mut self, subscribe: &str, has: &Snapshot) {
        let of_type = has.of_type(self.type_url).unwrap();
        let versions: BTreeMap<String, String> = of_type
            .resources()
            .map(|it| (it.name().to_owned(), it.version().to_string()))
            .collect();
        let request = DeltaDiscoveryRequest {
            type_url: self.type_url.to_owned(),
            resource_names_subscribe: names(subscribe),
            initial_resource_versions: versions,
            ..DeltaDiscoveryRequest::default()
        };
        self.stream.take(request).unwrap();
    }

    /// Changes the subscription: `a b -c` adds two names and takes one away.
    fn change(&mut self, change: &str, nonce: &str) -> Option<Verdict> {
        self.answer(change, nonce, None)
    }

    fn answer(&mut self, change: &str, nonce: &str, error: Option<Status>) -> Option<Verdict> {
        let (taken, added): (Vec<_>, Vec<_>) = names(change)
            .into_iter()
            .partition(|it| it.starts_with('-'));
        let request = DeltaDiscoveryRequest {
            type_url: self.type_url.to_owned(),
            resource_names_subscribe: added,
            resource_names_unsubscribe: taken.iter().map(|it| it[1..].to_owned()).collect(),
            response_nonce: nonce.to_owned(),
            error_detail: error,
            ..DeltaDiscoveryRequest::default()
        };
        self.stream.take(request).unwrap()
    }

    fn hears(&mut self, snapshot: &Snapshot) -> String {
        let response = next(&mut self.stream, snapshot);
        response.map_or_else(String::new, |it| {
            format!("{}: {}", it.sent.nonce, said(&it))
        })
    }
}
