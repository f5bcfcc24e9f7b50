//! The real program tells a webhook that is there.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::decisions::outage;
use crate::lively::told;
use crate::support::{Home, ROUTES, SOON, report, slo};

/// Takes whatever it is told. Where it is, and what it was told.
async fn webhook() -> (SocketAddr, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let tell = tell.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let tell = tell.clone();
                async move {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    tell.send(serde_json::from_slice(&body).unwrap()).ok();
                    Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), answer),
            );
        }
    });
    (address, told)
}

#[tokio::test]
async fn people_hear_what_burns_and_what_was_done_about_it() {
    let (address, mut heard) = webhook().await;
    let home = Home::new();
    home.write("routes.yaml", ROUTES);
    home.write("slo.yaml", &slo("pay", "0.99"));
    let sloop = home.start();
    let ordered = outage(&sloop, 7, 0).await;

    // Somebody is told from here on, while it goes on.
    let document = told("0.99").replace("127.0.0.1:1/", &format!("{address}/"));
    home.write("slo.yaml", &document);
    let mut client = sloop.reports();
    let goes_on = async {
        for sequence in 1.. {
            client.report(report(8, sequence, 100, 90)).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let message = tokio::select! {
        message = heard.recv() => message.unwrap(),
        () = goes_on => unreachable!(),
        () = tokio::time::sleep(SOON) => panic!("nobody was told"),
    };
    assert_eq!(message["status"], "firing");
    assert_eq!(message["commonLabels"]["slo"], "pay");
    let annotations = &message["alerts"][0]["annotations"];
    assert!(
        annotations["summary"].as_str().unwrap().contains("bad"),
        "{message}"
    );
    let number: u64 = annotations["decision"].as_str().unwrap().parse().unwrap();
    assert!(ordered <= number, "{message}");
    let (status, body) = sloop.get(&format!("/v1/decisions/{number}")).await;
    assert_eq!(status, 200);
    let decision: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(decision["intent"], "SLO/pay");
    assert_eq!(decision["stage"], "protect");
    assert_eq!(decision["because"], annotations["acting"]);
}
