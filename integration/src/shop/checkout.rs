//! `checkout`: catalogue and orders, by a bounded number of workers.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::Service;
use super::caller::{Call, Called, Caller};
use super::reply;
use crate::server::{Reply, serve as answer_all};

/// Requests that are worked on at a time: plenty while `payments` answers in 10 ms, few when it takes a second.
const WORKERS: usize = 12;
/// How long a request waits for a worker.
const WORKER_WITHIN: Duration = Duration::from_millis(1_500);
/// How long one page of the catalogue takes.
const CATALOGUE_TAKES: Duration = Duration::from_millis(4);
/// One charge; long enough for the slowest that `payments` is known for.
const CHARGE: Call = Call {
    to: Service::Payments.name(),
    method: Method::POST,
    path: "/charge",
    within: Duration::from_millis(1_800),
};
/// Orders to be charged later. Beyond that an order is refused, because a promise without a record is a lie.
const LATER_MAX: usize = 10_000;
/// Between two looks for an order that is to be charged later.
const LATER_LOOK: Duration = Duration::from_millis(50);
/// After a later charge that did not succeed.
const LATER_PAUSE: Duration = Duration::from_millis(250);

/// What `GET /status` on the control port answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutStatus {
    /// Orders that were accepted without a charge.
    pub accepted: u64,
    /// Of these, those that were charged since.
    pub charged_later: u64,
    /// Of these, those that still wait.
    pub waiting: u64,
}

struct Checkout {
    caller: Caller,
    workers: Semaphore,
    later: Mutex<Later>,
}

#[derive(Default)]
struct Later {
    orders: VecDeque<HeaderMap>,
    status: CheckoutStatus,
}

/// Runs `checkout`.
pub(super) async fn serve(outbound: SocketAddr, requests: TcpListener, control: TcpListener) {
    let checkout = Arc::new(Checkout {
        caller: Caller::new(outbound),
        workers: Semaphore::new(WORKERS),
        later: Mutex::default(),
    });
    let of_requests = Arc::clone(&checkout);
    let answers = answer_all(requests, move |request| {
        let checkout = Arc::clone(&of_requests);
        async move { Ok(checkout.answer(&request).await) }
    });
    let of_control = Arc::clone(&checkout);
    let control = answer_all(control, move |_| {
        let checkout = Arc::clone(&of_control);
        async move { Ok(reply::json(&checkout.status())) }
    });
    tokio::join!(answers, control, checkout.charge_later());
}

impl Checkout {
    async fn answer(&self, request: &Request<Bytes>) -> Reply {
        let worker = tokio::time::timeout(WORKER_WITHIN, self.workers.acquire()).await;
        let Ok(Ok(_worker)) = worker else {
            let text = "all workers are busy\n";
            return reply::reply(StatusCode::SERVICE_UNAVAILABLE, "busy", text);
        };
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/catalog") => {
                tokio::time::sleep(CATALOGUE_TAKES).await;
                reply::reply(StatusCode::OK, "full", "anchors, ropes, sails\n")
            }
            (&Method::POST, "/checkout") => self.order(request.headers()).await,
            _ => reply::not_found(),
        }
    }

    /// Charges an order, twice if need be; accepts it uncharged when the charge was surely not executed.
    async fn order(&self, headers: &HeaderMap) -> Reply {
        let charged = || reply::reply(StatusCode::OK, "full", "thank you\n");
        match self.caller.call(&CHARGE, headers).await {
            Called::Done(_) => return charged(),
            Called::Refused => return self.accept(headers),
            Called::Failed => {}
        }
        // The first attempt may have been executed, so a refusal of the second makes nothing certain.
        match self.caller.call(&CHARGE, headers).await {
            Called::Done(_) => charged(),
            Called::Refused | Called::Failed => reply::reply(
                StatusCode::BAD_GATEWAY,
                "failed",
                "we do not know whether you paid\n",
            ),
        }
    }

    fn accept(&self, headers: &HeaderMap) -> Reply {
        let mut later = self.locked();
        if LATER_MAX <= later.orders.len() {
            let text = "too many orders wait for payment\n";
            return reply::reply(StatusCode::SERVICE_UNAVAILABLE, "refused", text);
        }
        later.orders.push_back(headers.clone());
        later.status.accepted += 1;
        reply::reply(
            StatusCode::OK,
            "degraded",
            "thank you, we charge you later\n",
        )
    }

    /// Charges accepted orders one by one, for ever.
    async fn charge_later(&self) {
        loop {
            let next = self.locked().orders.front().cloned();
            let Some(headers) = next else {
                tokio::time::sleep(LATER_LOOK).await;
                continue;
            };
            match self.caller.call(&CHARGE, &headers).await {
                Called::Done(_) => {
                    let mut later = self.locked();
                    later.orders.pop_front();
                    later.status.charged_later += 1;
                }
                Called::Refused | Called::Failed => tokio::time::sleep(LATER_PAUSE).await,
            }
        }
    }

    fn status(&self) -> CheckoutStatus {
        let later = self.locked();
        let waiting = u64::try_from(later.orders.len()).unwrap_or(u64::MAX);
        CheckoutStatus {
            waiting,
            ..later.status
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Later> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
