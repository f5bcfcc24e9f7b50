//! Requests of discovery, as anybody who is let in may send them.

use prost::Message;
use sloop_xds::{
    DeltaStream, Kind, LegacyWildcard, Resource, Snapshot, SotwStream, Stream, StreamLimits,
};

/// Small, so that they are reached.
const LIMITS: StreamLimits = StreamLimits {
    types_max: 4,
    names_max: 8,
    name_bytes_max: 80,
};

/// Requests of one stream.
const REQUESTS_MAX: usize = 64;

/// The first byte chooses the variant, whether the old wildcard is honoured, and which of two
/// snapshots is there first. Then requests follow, each after a byte that says how long it is and
/// one whose lowest bits say whether the snapshot changes and whether the connection has room.
pub fn check(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let wildcard = if choice & 2 == 0 {
        LegacyWildcard::Honoured
    } else {
        LegacyWildcard::Off
    };
    let first = usize::from(choice >> 2 & 1);
    if choice & 1 == 0 {
        drive(SotwStream::new(LIMITS, wildcard), rest, first);
    } else {
        drive(DeltaStream::new(LIMITS, wildcard), rest, first);
    }
}

fn drive<S: Stream>(mut stream: S, mut data: &[u8], first: usize) {
    let snapshots = [snapshot(&["a", "b"], "1"), snapshot(&["b", "c"], "2")];
    let mut current = first;
    for _ in 0..REQUESTS_MAX {
        let [length, then, rest @ ..] = data else {
            return;
        };
        let (message, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        data = rest;
        if let Ok(request) = S::Request::decode(message)
            && stream.take(request).is_err()
        {
            // The stream ends.
            return;
        }
        current ^= usize::from(then & 1);
        if then & 2 == 0 {
            answer(&mut stream, &snapshots[current]);
        }
    }
}

/// Takes everything that is due. Nothing comes of a type twice, as none of it is acknowledged.
fn answer<S: Stream>(stream: &mut S, snapshot: &Snapshot) {
    let mut types = Vec::new();
    let mut may_owe = stream.may_owe(snapshot);
    while let Some(response) = stream.next(snapshot) {
        assert!(may_owe, "a response that is not owed");
        may_owe = stream.may_owe(snapshot);
        // A handful of resources of a few bytes, and what names them.
        assert!(response.encoded_len() < 16 << 10);
        let sent = response.sent;
        assert!(
            !types.contains(&sent.type_url),
            "two of one type on their way"
        );
        types.push(sent.type_url.clone());
        assert!(types.len() <= LIMITS.types_max);
    }
    assert!(
        stream.next(snapshot).is_none(),
        "it is over when it says so"
    );
}

fn snapshot(names: &[&str], content: &str) -> Snapshot {
    let kinds = [Kind::CLUSTER, Kind::ROUTES, Kind::EXTENSION];
    let start = Snapshot::builder().manage(Kind::CLUSTER);
    let all = kinds
        .iter()
        .flat_map(|kind| names.iter().map(move |name| (kind, name)));
    let resource =
        |(kind, name): (&&'static str, &&str)| Resource::new(kind, name, content.as_bytes());
    all.map(resource)
        .fold(start, |builder, one| builder.with(one))
        .build()
}
