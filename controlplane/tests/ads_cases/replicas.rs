//! Cases 14 and 21: who comes back, to the same replica or to another.

use std::sync::Arc;
use std::time::Instant;

use rustix::process::{Resource as Limited, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::*;

/// Case 14: what changed is sent and what was deleted is said to be gone, by whichever replica.
#[tokio::test]
async fn who_comes_back_learns_what_changed_and_what_was_deleted() {
    let one = serving("cds=same:1 changed:1 gone:1; ecds=same:1 changed:1 gone:1").await;
    let other = Server::open().await;
    let mut client = subscribing(&one, "ecds", "same changed gone").await;
    let heard = client.client.hears().await.unwrap();
    let versions = heard.resources.into_iter().map(|it| (it.name, it.version));
    let versions: HashMap<_, _> = versions.collect();
    let mut client = asking(&one, "cds", "").await;
    let version = client.client.hears().await.unwrap().version_info;
    drop(client);
    for server in [&one, &other] {
        publish(server, "cds=same:1 changed:2; ecds=same:1 changed:2 gone:-");
        let mut partial = delta_of(server, "ecds").await;
        let request = DeltaDiscoveryRequest {
            initial_resource_versions: versions.clone(),
            ..delta(&["same", "changed", "gone"])
        };
        partial.client.send(request).await;
        assert_eq!(partial.hears().await, "1: changed:2 -gone");
        partial.changes("", "1").await;
        let mut whole = sotw_of(server, "cds").await;
        let request = DiscoveryRequest {
            version_info: version.clone(),
            type_url: Kind::CLUSTER.into(),
            ..sotw(&[])
        };
        whole.client.send(request).await;
        assert_eq!(whole.hears().await, "1: changed:2 same:1");
        whole.asks("", "1").await;
        tokio::join!(whole.client.hears_nothing(), partial.client.hears_nothing());
    }
}

/// How many clients a replica has that is killed. Half of them speak either variant.
const CLIENTS: usize = 1_000;
/// They come back one after the other within this time, as Envoys do that draw when to try first.
const BACKOFF: Duration = Duration::from_millis(500);
/// What a busy machine adds, for a thousand connections made in one program that was not optimised.
const BUSY: Duration = Duration::from_secs(8);

/// Each client has a connection, and both its ends are in this process.
fn may_open_files() {
    let wanted = u64::try_from(CLIENTS * 2 + 500).unwrap();
    let limit = getrlimit(Limited::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(limit.maximum.map_or(wanted, |most| most.min(wanted))),
            maximum: limit.maximum,
        };
        setrlimit(Limited::Nofile, raised).unwrap();
    }
}

/// What a client of either variant says.
trait Says: Sized + Send + 'static {
    type Request: Send + 'static;
    type Response: Send + 'static;

    fn opens(server: &Server)
    -> impl Future<Output = Client<Self::Request, Self::Response>> + Send;
    /// The first request of a stream.
    fn asks(&self) -> Self::Request;
    /// What it says to a response, and the nonce of that.
    fn takes(&mut self, response: Self::Response) -> (String, Self::Request);
}

/// The versions that it has.
#[derive(Default)]
struct Partly(HashMap<String, String>);

impl Says for Partly {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;

    async fn opens(server: &Server) -> Client<Self::Request, Self::Response> {
        server.delta().await
    }

    fn asks(&self) -> Self::Request {
        DeltaDiscoveryRequest {
            initial_resource_versions: self.0.clone(),
            ..delta(&["a"])
        }
    }

    fn takes(&mut self, response: Self::Response) -> (String, Self::Request) {
        let has = response.resources.into_iter();
        self.0.extend(has.map(|it| (it.name, it.version)));
        let accepts = DeltaDiscoveryRequest {
            response_nonce: response.nonce.clone(),
            ..delta(&[])
        };
        (response.nonce, accepts)
    }
}

/// The version that it has.
#[derive(Default)]
struct Whole(String);

impl Says for Whole {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;

    async fn opens(server: &Server) -> Client<Self::Request, Self::Response> {
        server.sotw().await
    }

    fn asks(&self) -> Self::Request {
        DiscoveryRequest {
            type_url: Kind::CLUSTER.into(),
            version_info: self.0.clone(),
            ..sotw(&[])
        }
    }

    fn takes(&mut self, response: Self::Response) -> (String, Self::Request) {
        self.0 = response.version_info;
        let accepts = DiscoveryRequest {
            response_nonce: response.nonce.clone(),
            ..self.asks()
        };
        (response.nonce, accepts)
    }
}

/// Two replicas, and where their clients wait for each other.
struct Replicas {
    first: Server,
    other: Server,
    all: Barrier,
}

impl Replicas {
    async fn all(&self) {
        timeout(SOON, self.all.wait()).await.expect("all come");
    }
}

/// A client has what there is, loses its stream, and comes to the other replica in its turn. There it hears of the change alone, once.
async fn comes_back<S: Says>(mut client: S, turn: usize, replicas: Arc<Replicas>) {
    let mut stream = S::opens(&replicas.first).await;
    stream.send(client.asks()).await;
    let (_nonce, takes_it) = client.takes(stream.hears().await.unwrap());
    stream.send(takes_it).await;
    replicas.all().await;
    let ended = timeout(SOON, stream.responses.message()).await;
    let ended = ended.expect("the stream ends");
    assert!(!matches!(ended, Ok(Some(_))), "it was sent something more");
    drop(stream);
    let turns = u32::try_from(CLIENTS).unwrap();
    tokio::time::sleep(BACKOFF * u32::try_from(turn).unwrap() / turns).await;

    let mut stream = S::opens(&replicas.other).await;
    stream.send(client.asks()).await;
    stream.hears_nothing().await;
    replicas.all().await;
    let (nonce, takes_it) = client.takes(stream.hears().await.unwrap());
    assert_eq!(nonce, "1", "the first response");
    stream.send(takes_it).await;
    stream.hears_nothing().await;
}

/// Case 21: all clients of a replica that is killed come to another one at their first attempt, and are sent nothing that they have.
#[tokio::test]
async fn who_comes_from_a_replica_that_is_gone_hears_nothing_that_it_has() {
    may_open_files();
    let runtime = Runtime::new().unwrap();
    let first = runtime.spawn(serving("cds=a:1; ecds=a:1")).await.unwrap();
    let replicas = Arc::new(Replicas {
        first,
        other: serving("ecds=a:1; cds=a:1").await,
        all: Barrier::new(CLIENTS + 1),
    });
    let mut clients = JoinSet::new();
    for turn in 0..CLIENTS {
        let replicas = Arc::clone(&replicas);
        if turn % 2 == 0 {
            clients.spawn(comes_back(Partly::default(), turn, replicas));
        } else {
            clients.spawn(comes_back(Whole::default(), turn, replicas));
        }
    }
    replicas.all().await;
    assert_eq!(replicas.first.hub.nodes().len(), CLIENTS);
    let killed = Instant::now();
    runtime.shutdown_background();
    while replicas.other.hub.nodes().len() < CLIENTS {
        assert!(killed.elapsed() < BACKOFF + BUSY, "not all are back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    replicas.all().await;
    publish(&replicas.other, "cds=a:2; ecds=a:2");
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
}
