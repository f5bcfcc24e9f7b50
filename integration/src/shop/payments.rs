//! `payments`: charges and wallets, and trouble on order.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use tokio::net::TcpListener;

use super::reply;
use super::trouble::{Episode, Fate, Trouble};
use crate::server::{Cut, Reply, serve as answer_all};

/// A charge or a look into a wallet on a good day.
const TAKES: Duration = Duration::from_millis(10);
/// Longer than any caller waits.
const FOR_EVER: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Payments {
    /// The last one is now.
    episodes: Vec<Episode>,
    requests: u64,
}

type Shared = Arc<Mutex<Payments>>;

/// Runs `payments`.
pub(super) async fn serve(requests: TcpListener, control: TcpListener) {
    let shared: Shared = Arc::new(Mutex::new(Payments {
        episodes: vec![Episode {
            since_ms: now_ms(),
            ..Episode::default()
        }],
        requests: 0,
    }));
    let of_requests = Arc::clone(&shared);
    let answers = answer_all(requests, move |request| {
        answer(Arc::clone(&of_requests), request)
    });
    let control = answer_all(control, move |request| {
        let reply = command(&shared, &request);
        async { Ok(reply) }
    });
    tokio::join!(answers, control);
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

fn locked(shared: &Shared) -> std::sync::MutexGuard<'_, Payments> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Payments {
    /// Draws the fate of a request that comes now; with it goes the episode that it belongs to.
    fn meet(&mut self) -> (usize, Fate) {
        self.requests += 1;
        let number = self.requests;
        let index = self.episodes.len().saturating_sub(1);
        let Some(episode) = self.episodes.get_mut(index) else {
            return (index, Fate::Served);
        };
        let fate = episode.trouble.fate(number);
        if fate != Fate::Served {
            episode.first_hit_ms.get_or_insert_with(now_ms);
            episode.hit += 1;
        }
        (index, fate)
    }

    fn bad_answer(&mut self, index: usize) {
        if let Some(episode) = self.episodes.get_mut(index) {
            episode.first_bad_ms.get_or_insert_with(now_ms);
        }
    }
}

async fn answer(shared: Shared, request: Request<Bytes>) -> Result<Reply, Cut> {
    let served = match (request.method(), request.uri().path()) {
        (&Method::POST, "/charge") => "charged\n",
        (&Method::GET, "/wallet") => "12 doubloons\n",
        _ => return Ok(reply::not_found()),
    };
    let (episode, fate) = locked(&shared).meet();
    match fate {
        Fate::Served => tokio::time::sleep(TAKES).await,
        Fate::Failed => tokio::time::sleep(TAKES / 2).await,
        Fate::Late { by_ms } => tokio::time::sleep(Duration::from_millis(by_ms)).await,
        Fate::Cut => {}
        Fate::Hung => tokio::time::sleep(FOR_EVER).await,
    }
    if fate != Fate::Served {
        locked(&shared).bad_answer(episode);
    }
    match fate {
        Fate::Served | Fate::Late { .. } => Ok(reply::reply(StatusCode::OK, "full", served)),
        Fate::Failed => Ok(reply::reply(
            StatusCode::INTERNAL_SERVER_ERROR,
            "failed",
            "the ledger is on fire\n",
        )),
        Fate::Cut | Fate::Hung => Err(Cut),
    }
}

fn command(shared: &Shared, request: &Request<Bytes>) -> Reply {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/trouble") => reply::json(&locked(shared).episodes),
        (&Method::PUT, "/trouble") => match serde_json::from_slice::<Trouble>(request.body()) {
            Ok(trouble) => {
                let episode = Episode {
                    trouble,
                    since_ms: now_ms(),
                    ..Episode::default()
                };
                locked(shared).episodes.push(episode);
                reply::json(&episode)
            }
            Err(error) => reply::reply(StatusCode::BAD_REQUEST, "failed", format!("{error}\n")),
        },
        _ => reply::not_found(),
    }
}
