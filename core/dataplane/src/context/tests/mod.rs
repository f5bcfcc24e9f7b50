//! What a pair of sidecars does around an application that copies the headers.

mod applications;
mod deadlines;
mod members;
mod traceparents;
mod tracestates;

use super::*;
use crate::headers::{HeaderMap, serialised};
use sloop_model::{FilterConfig, TraceOwner};

/// Names in lower case, as Envoy has them.
pub(super) type Headers = Vec<(String, Vec<u8>)>;

/// A sidecar with both of its filters, and the words of the tests.
pub(super) struct Sidecar {
    pub(super) settings: ContextSettings,
    random: Random,
    table: Option<JoinTable>,
    buffer: Vec<u8>,
    /// What the last request that passed was told to do about `tracestate`.
    pub(super) rewrite: Rewrite,
    pub(super) timeliness: Timeliness,
}

pub(super) fn at(millis: u64) -> WallTime {
    WallTime::from_millis(1_800_000_000_000 + millis)
}

pub(super) fn headers(given: &[(&str, &str)]) -> Headers {
    let lower =
        |(name, value): &(&str, &str)| (name.to_ascii_lowercase(), value.as_bytes().to_vec());
    given.iter().map(lower).collect()
}

pub(super) fn lines(headers: &Headers, name: &str) -> Vec<String> {
    let of_name = headers.iter().filter(|(given, _)| given == name);
    of_name
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// What was sent to the next service.
pub(super) struct Sent {
    pub(super) trace: String,
    pub(super) span: String,
    pub(super) flags: String,
    /// None when there is no such header.
    pub(super) tracestate: Option<String>,
}

impl Sidecar {
    pub(super) fn new(settings: &str) -> Self {
        let json = format!(
            r#"{{"version": 1, "service": "shop", "side": "server", "trace": {{"context": {settings}}}}}"#
        );
        let settings = FilterConfig::parse(json.as_bytes()).unwrap().trace.context;
        Self {
            table: settings.join.map(JoinTable::new),
            settings,
            random: Random::seeded([1, 2, 3, 4]),
            buffer: Vec::new(),
            rewrite: Rewrite::Keep,
            timeliness: Timeliness::InTime,
        }
    }

    /// Sends a request through one filter, which says `more` about it.
    pub(super) fn pass(
        &mut self,
        side: Side,
        headers: &Headers,
        wall: WallTime,
        more: impl FnOnce(&mut Said),
    ) -> Headers {
        let borrowed: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_slice()))
            .collect();
        let bytes = serialised(&borrowed);
        let request = Request::read(HeaderMap::new(&bytes));
        let key = RequestKey::of(&request);
        let mut joined = None;
        if let (Some(table), Side::Client, true) =
            (&self.table, side, Context::may_be_joined(&request))
        {
            joined = key.and_then(|key| table.find(key, wall));
        }
        let reading = Reading {
            settings: &self.settings,
            side,
            wall,
        };
        let mut context = Context::read(&request, reading, joined.as_ref(), &mut self.random);
        more(&mut context.said);
        if let (Some(table), Side::Server, Some(key)) = (&mut self.table, side, key)
            && let Some(joined) = context.joined(self.settings.owner)
        {
            table.remember(key, joined, wall);
        }
        self.timeliness = context.timeliness();
        self.rewrite = context.tracestate(&[], &mut self.buffer);
        let mut sent = headers.clone();
        if self.settings.owner == TraceOwner::Sloop {
            assert_eq!(context.traceparent(), context.trace.header());
            replace(&mut sent, "traceparent", &context.traceparent());
        }
        match self.rewrite {
            Rewrite::Keep => {}
            Rewrite::Remove => sent.retain(|(name, _)| name != "tracestate"),
            Rewrite::Replace => replace(&mut sent, "tracestate", &self.buffer),
        }
        context.write_b3(self.settings.b3, |name, value| match value {
            Some(value) => replace(&mut sent, name, value),
            None => sent.retain(|(given, _)| given != name),
        });
        sent
    }

    /// Inbound, and what the application copies outbound.
    pub(super) fn through(&mut self, given: &[(&str, &str)]) -> Sent {
        let inbound = self.pass(Side::Server, &headers(given), at(0), |_| {});
        let outbound = self.pass(Side::Client, &inbound, at(0), |_| {});
        sent(&outbound)
    }
}

fn replace(headers: &mut Headers, name: &str, value: &[u8]) {
    headers.retain(|(given, _)| given != name);
    headers.push((name.to_owned(), value.to_vec()));
}

pub(super) fn sent(headers: &Headers) -> Sent {
    let parents = lines(headers, "traceparent");
    let [parent] = &parents[..] else {
        panic!("one traceparent, not {parents:?}")
    };
    let parts: Vec<&str> = parent.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    assert_eq!(
        (parts[0], &lengths[..]),
        ("00", &[2, 32, 16, 2][..]),
        "{parent}"
    );
    let states = lines(headers, "tracestate");
    assert!(states.len() <= 1, "{states:?}");
    Sent {
        trace: parts[1].to_owned(),
        span: parts[2].to_owned(),
        flags: parts[3].to_owned(),
        tracestate: states.into_iter().next(),
    }
}

pub(super) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(super) const SPAN: &str = "00f067aa0ba902b7";
pub(super) const PARENT: (&str, &str) = (
    "traceparent",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
);

/// What a pair with default settings sends on.
pub(super) fn through(given: &[(&str, &str)]) -> Sent {
    Sidecar::new("{}").through(given)
}
