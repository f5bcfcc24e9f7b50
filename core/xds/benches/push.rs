//! What a push costs: making the snapshot once, and one client's stream for each client.
#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sloop_xds::{
    DeltaDiscoveryRequest, DeltaStream, DiscoveryRequest, Kind, LegacyWildcard, Resource, Response,
    Snapshot, SotwStream, Stream, StreamLimits,
};

/// As large as the configuration of a filter with a few scopes.
const RESOURCE_BYTES: usize = 2_048;

fn name(number: usize) -> String {
    format!("filter-{number}")
}

/// So many resources, the last of which has this `content`.
fn snapshot(resources: usize, content: u8) -> Snapshot {
    let resource = |number: usize| {
        let content = if number + 1 == resources { content } else { 0 };
        Resource::new(Kind::EXTENSION, &name(number), &[content; RESOURCE_BYTES])
    };
    let builder = (0..resources).fold(Snapshot::builder(), |builder, number| {
        builder.with(resource(number))
    });
    builder.build()
}

fn names(resources: usize) -> Vec<String> {
    (0..resources).map(name).collect()
}

/// A delta stream whose client has everything of `at`.
fn settled_delta(resources: usize, at: &Snapshot) -> DeltaStream {
    let mut stream = DeltaStream::new(StreamLimits::default(), LegacyWildcard::Honoured);
    let asks = DeltaDiscoveryRequest {
        type_url: Kind::EXTENSION.to_owned(),
        resource_names_subscribe: names(resources),
        ..DeltaDiscoveryRequest::default()
    };
    stream.take(asks).unwrap();
    let response = stream.next(at).unwrap();
    stream.take(delta_ack(&response)).unwrap();
    stream
}

fn delta_ack(response: &Response) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: Kind::EXTENSION.to_owned(),
        response_nonce: response.sent.nonce.clone(),
        ..DeltaDiscoveryRequest::default()
    }
}

/// The same in state of the world, where each request names everything.
fn settled_sotw(resources: usize, at: &Snapshot) -> SotwStream {
    let mut stream = SotwStream::new(StreamLimits::default(), LegacyWildcard::Honoured);
    let asks = DiscoveryRequest {
        type_url: Kind::EXTENSION.to_owned(),
        resource_names: names(resources),
        ..DiscoveryRequest::default()
    };
    stream.take(asks).unwrap();
    let response = stream.next(at).unwrap();
    stream.take(sotw_ack(resources, &response)).unwrap();
    stream
}

fn sotw_ack(resources: usize, response: &Response) -> DiscoveryRequest {
    DiscoveryRequest {
        type_url: Kind::EXTENSION.to_owned(),
        resource_names: names(resources),
        version_info: response.sent.version.to_string(),
        response_nonce: response.sent.nonce.clone(),
        ..DiscoveryRequest::default()
    }
}

fn pushes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("xds");
    for resources in [2, 100, 1_000] {
        group.throughput(Throughput::Elements(resources as u64));
        group.bench_function(format!("snapshot/{resources}"), |bencher| {
            bencher.iter(|| snapshot(black_box(resources), 1));
        });
        let (before, after) = (snapshot(resources, 1), snapshot(resources, 2));
        group.bench_function(format!("delta, one changes/{resources}"), |bencher| {
            bencher.iter_batched(
                || settled_delta(resources, &before),
                |mut stream| {
                    let response = stream.next(black_box(&after)).unwrap();
                    stream.take(delta_ack(&response)).unwrap();
                    response.encoded_len()
                },
                BatchSize::LargeInput,
            );
        });
        group.bench_function(
            format!("state of the world, one changes/{resources}"),
            |bencher| {
                bencher.iter_batched(
                    || settled_sotw(resources, &before),
                    |mut stream| {
                        let response = stream.next(black_box(&after)).unwrap();
                        stream.take(sotw_ack(resources, &response)).unwrap();
                        response.encoded_len()
                    },
                    BatchSize::LargeInput,
                );
            },
        );
        group.bench_function(format!("nothing changes/{resources}"), |bencher| {
            let mut stream = settled_delta(resources, &before);
            bencher.iter(|| stream.next(black_box(&before)).is_none());
        });
    }
    group.finish();
}

criterion_group!(benches, pushes);
criterion_main!(benches);
