//! The generator against servers whose behaviour is known.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken promise shall fail the test"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sloop_bench::{Arrivals, Call, Cell, Ending, Exchange, Load, Quantile};
use tokio::net::TcpListener;

/// Answers every request after `delay`; requests to `/cut` are never answered, their connection is closed.
async fn server(delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(move |request: http::Request<_>| async move {
                let _: &hyper::body::Incoming = request.body();
                tokio::time::sleep(delay).await;
                if request.uri().path() == "/cut" {
                    return Err(std::io::Error::other("cut"));
                }
                Ok(Response::builder()
                    .header("x-note", "seen")
                    .body(Full::new(Bytes::from_static(b"hello")))
                    .unwrap())
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    address
}

fn load(to: SocketAddr, path: &str, arrivals: Arrivals) -> Load {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::HOST, "test".parse().unwrap());
    let call = Call {
        route: path.into(),
        method: Method::GET,
        path: path.to_owned(),
        headers,
        body: Bytes::new(),
    };
    let calls = vec![call; arrivals.as_slice().len().max(1)];
    Load {
        to,
        calls: calls.into(),
        arrivals,
        timeout: Duration::from_secs(2),
        note: Some("x-note".parse().unwrap()),
    }
}

async fn ended(load: Load) -> Vec<Exchange> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&all);
    load.run(Instant::now(), move |exchange| {
        seen.lock().unwrap().push(exchange);
    })
    .await;
    Arc::into_inner(all).map_or_else(Vec::new, |all| all.into_inner().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_delay_is_measured_and_every_request_is_counted_once() {
    let to = server(Duration::from_millis(40)).await;
    let arrivals = Arrivals::poisson(200.0, Duration::from_secs(1), &[1], 3).unwrap();
    let expected = arrivals.as_slice().len();
    let exchanges = ended(load(to, "/", arrivals)).await;
    assert_eq!(exchanges.len(), expected);
    let mut cell = Cell::default();
    for exchange in &exchanges {
        assert_eq!(exchange.ending, Ending::Status(200));
        assert_eq!(exchange.note.as_deref(), Some("seen"));
        cell.record(exchange.ending, exchange.latency);
    }
    let half = cell.latency(Quantile::P50).unwrap();
    assert!(Duration::from_millis(40) <= half, "{half:?}");
}

#[tokio::test]
async fn a_request_that_was_meant_to_start_earlier_has_waited_since_then() {
    let to = server(Duration::ZERO).await;
    let late = Duration::from_millis(300);
    let load = load(to, "/", Arrivals::at([Duration::ZERO]));
    let all = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&all);
    let lateness = load
        .run(Instant::now().checked_sub(late).unwrap(), move |exchange| {
            seen.lock().unwrap().push(exchange.latency);
        })
        .await;
    assert!(late <= all.lock().unwrap()[0]);
    assert!(late.as_micros() <= u128::from(lateness.max_us));
}

#[tokio::test]
async fn slow_answers_do_not_hold_back_later_requests() {
    let to = server(Duration::from_millis(400)).await;
    let moments = (0..50).map(|index| Duration::from_millis(index * 2));
    let started = Instant::now();
    let exchanges = ended(load(to, "/", Arrivals::at(moments))).await;
    assert_eq!(exchanges.len(), 50);
    // One after the other they would take 20 seconds.
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn every_way_to_fail_is_told_apart() {
    let once = || Arrivals::at([Duration::ZERO]);
    let working = server(Duration::ZERO).await;
    let cut = ended(load(working, "/cut", once())).await;
    assert_eq!(cut[0].ending, Ending::Broken);

    let slow = server(Duration::from_secs(60)).await;
    let mut impatient = load(slow, "/", once());
    impatient.timeout = Duration::from_millis(50);
    assert_eq!(ended(impatient).await[0].ending, Ending::TimedOut);

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = closed.local_addr().unwrap();
    drop(closed);
    let refused = ended(load(nobody, "/", once())).await;
    assert_eq!(refused[0].ending, Ending::NotConnected);
}
