use std::time::Duration;

use super::*;
use crate::closed::Sink;
use crate::{Quantile, quantile};

const REQUEST: &[u8] = b"GET /pay HTTP/1.1\r\nhost: shop\r\n\r\n";
const MS: u64 = 1_000_000;

fn delays(ms: &[u64]) -> Vec<Duration> {
    ms.iter().map(|ms| Duration::from_millis(*ms)).collect()
}

/// What a service that delays like this looks like over so many connections.
fn measured(ms: &[u64], connections: usize, arrivals: &Arrivals) -> Slice {
    let sink = Sink::delaying(delays(ms)).unwrap();
    let mut open = Open::connect(sink.address(), connections, REQUEST.to_vec(), 200).unwrap();
    let slice = open.run(arrivals).unwrap();
    assert_eq!(
        usize::try_from(sink.served()).unwrap(),
        arrivals.as_slice().len()
    );
    slice
}

fn poisson(rate: f64, seconds: f64) -> Arrivals {
    Arrivals::poisson(rate, Duration::from_secs_f64(seconds), &[1], 7).unwrap()
}

fn at(slice: &Slice, share: Quantile) -> u64 {
    quantile(&slice.latency, share).unwrap()
}

#[test]
fn known_delays_are_found_at_their_percentiles() {
    // One request in twenty takes 60 ms, the others 10 ms: all of the first below the 95th percentile, all of the others above.
    let mut pattern = vec![10; 19];
    pattern.push(60);
    let slice = measured(&pattern, 64, &poisson(300.0, 1.0));
    assert!(
        10 * MS <= at(&slice, Quantile::P50),
        "{}",
        at(&slice, Quantile::P50)
    );
    assert!(
        at(&slice, Quantile::P50) < 60 * MS,
        "{}",
        at(&slice, Quantile::P50)
    );
    assert!(
        60 * MS <= at(&slice, Quantile::P99),
        "{}",
        at(&slice, Quantile::P99)
    );
    let least = slice.latency.min();
    // Nothing is faster than the service; the histogram is exact to three digits.
    assert!(9_990_000 <= least, "{least}");
}

#[test]
fn a_stall_is_in_every_request_that_it_delayed() {
    // One connection, whose first request takes 400 ms of a second: who was meant to start after `t` waits for
    // 400 ms - t, so one in ten waits for more than 300 ms. A loop that waits for answers would see one slow request.
    let mut pattern = vec![0; 10_000];
    pattern[0] = 400;
    let slice = measured(&pattern, 1, &poisson(500.0, 1.0));
    let p90 = at(&slice, Quantile::P90);
    assert!(270 * MS <= p90, "{p90}");
    assert!(100 <= slice.waited, "{}", slice.waited);
}

#[test]
fn the_generator_says_how_late_it_was() {
    let slice = measured(&[0], 4, &poisson(500.0, 0.2));
    assert_eq!(slice.late.len(), slice.latency.len());
    // Latency counts from the intended start, so no request was faster than the generator was late.
    assert!(slice.late.min() <= slice.latency.min());
}

#[test]
fn an_empty_schedule_is_over_at_once() {
    assert_eq!(measured(&[0], 1, &Arrivals::default()).latency.len(), 0);
}

#[test]
fn connections_serve_many_schedules() {
    let sink = Sink::start().unwrap();
    let mut open = Open::connect(sink.address(), 3, REQUEST.to_vec(), 200).unwrap();
    let arrivals = poisson(1_000.0, 0.05);
    let mut all = Slice::default();
    for _ in 0..3 {
        all.add(&open.run(&arrivals).unwrap());
    }
    assert_eq!(all.latency.len(), sink.served());
}

#[test]
fn another_status_is_an_error() {
    let sink = Sink::start().unwrap();
    let mut open = Open::connect(sink.address(), 2, REQUEST.to_vec(), 503).unwrap();
    let error = open.run(&poisson(1_000.0, 0.05)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "answered with status 200; 503 was expected"
    );
}

#[test]
fn a_peer_that_ends_the_connection_is_an_error() {
    let sink = Sink::start().unwrap();
    let request = b"POST /x HTTP/1.1\r\n\r\n".to_vec();
    let mut open = Open::connect(sink.address(), 1, request, 200).unwrap();
    let error = open.run(&Arrivals::at([Duration::ZERO])).unwrap_err();
    assert!(
        matches!(error, Broken::Closed | Broken::Connection(_)),
        "{error}"
    );
}
