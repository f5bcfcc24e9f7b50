//! `edge`: what users talk to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use sloop_bench::Answer;
use tokio::net::TcpListener;

use super::caller::{Call, Called, Caller};
use super::reply::{self, ANSWER_HEADER};
use super::{SECOND_CHECKOUT, Service};
use crate::server::{Reply, serve as answer_all};

/// `checkout` may wait for a worker and then try `payments` twice.
const ORDER_WITHIN: Duration = Duration::from_millis(5_500);
/// Nobody waits longer for the number in the corner of a page.
const WALLET_WITHIN: Duration = Duration::from_millis(2_000);

/// Runs `edge`.
pub(super) async fn serve(outbound: SocketAddr, requests: TcpListener, control: TcpListener) {
    let caller = Arc::new(Caller::new(outbound));
    let turns = Arc::new(AtomicUsize::new(0));
    let answers = answer_all(requests, move |request| {
        let caller = Arc::clone(&caller);
        let turn = turns.fetch_add(1, Ordering::Relaxed);
        async move { Ok(answer(&caller, turn, &request).await) }
    });
    let control = answer_all(control, |_| async { Ok(reply::not_found()) });
    tokio::join!(answers, control);
}

/// Both instances of `checkout` take turns.
const CHECKOUTS: [&str; 2] = [Service::Checkout.name(), SECOND_CHECKOUT];

async fn answer(caller: &Caller, turn: usize, request: &Request<Bytes>) -> Reply {
    let [first, second] = CHECKOUTS;
    let checkout = if turn.is_multiple_of(2) {
        first
    } else {
        second
    };
    let call = match (request.method(), request.uri().path()) {
        (&Method::GET, "/catalog") => Call {
            to: checkout,
            method: Method::GET,
            path: "/catalog",
            within: ORDER_WITHIN,
        },
        (&Method::POST, "/checkout") => Call {
            to: checkout,
            method: Method::POST,
            path: "/checkout",
            within: ORDER_WITHIN,
        },
        (&Method::GET, "/wallet") => Call {
            to: Service::Payments.name(),
            method: Method::GET,
            path: "/wallet",
            within: WALLET_WITHIN,
        },
        _ => return reply::not_found(),
    };
    match caller.call(&call, request.headers()).await {
        Called::Done(answer) => passed_on(answer),
        Called::Refused => reply::reply(
            StatusCode::SERVICE_UNAVAILABLE,
            "refused",
            "not available at the moment\n",
        ),
        Called::Failed => reply::reply(StatusCode::BAD_GATEWAY, "failed", "something went wrong\n"),
    }
}

fn passed_on(answer: Answer) -> Reply {
    let mut reply = Response::new(Full::new(answer.body));
    *reply.status_mut() = answer.status;
    if let Some(kind) = answer.headers.get(ANSWER_HEADER) {
        reply.headers_mut().insert(ANSWER_HEADER, kind.clone());
    }
    reply
}
