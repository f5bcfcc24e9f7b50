//! How requests end on the real Envoy, where nothing is heard of an answer but its headers, or where what is heard is not the
//! service's: no bodies, retries, upgrades, errors of Envoy under another status. Each counts as exactly what it was.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use sloop_integration::eventually::eventually;
use sloop_integration::ports;
use sloop_model::Outcome;
use support::fixed::{Fixed, Running};
use support::grpc::{self, GrpcApp};
use support::raw::{self, RawApp, Turn};
use support::{Plane, SOON};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How often each case is asked.
const ROUNDS: usize = 3;

/// Requests of a route by outcome, and attempts beyond the first.
type Counted = (BTreeMap<&'static str, u64>, u64);

/// Of one outcome as many as there are rounds, with so many more attempts each.
fn all(outcome: Outcome, retries: usize) -> Counted {
    let rounds = u64::try_from(ROUNDS).unwrap();
    let retries = u64::try_from(ROUNDS * retries).unwrap();
    (BTreeMap::from([(outcome.name(), rounds)]), retries)
}

/// Waits until so many requests were reported by one side (1 is the server's), and says how they are counted, by route.
async fn counted(plane: &Plane, side: i32, requests: usize) -> BTreeMap<String, Counted> {
    let sum = || {
        let mut routes: BTreeMap<String, Counted> = BTreeMap::new();
        let mut sum = 0;
        for scope in plane.reports.all().into_iter().flat_map(|it| it.scopes) {
            if scope.side != side {
                continue;
            }
            let (outcomes, retries) = routes.entry(scope.route).or_default();
            *retries += scope.retries;
            sum += scope.requests;
            for (outcome, count) in Outcome::ALL.iter().zip(scope.outcomes) {
                if count != 0 {
                    *outcomes.entry(outcome.name()).or_default() += count;
                }
            }
        }
        (sum, routes)
    };
    let requests = u64::try_from(requests).unwrap();
    let (given, routes) = eventually(SOON, "all requests are reported", async || {
        let (given, routes) = sum();
        (requests <= given).then_some((given, routes))
    })
    .await
    .unwrap();
    assert_eq!(given, requests, "{routes:#?}");
    routes
}

/// A scope for each first part of a path.
fn scopes<'a>(names: impl Iterator<Item = &'a str>) -> Value {
    let scope = |name: &str| json!({"service": "shop", "route": name, "match": [{"path": {"prefix": format!("/{name}")}}]});
    names.map(scope).collect()
}

/// What is asked, by which method, how the service answers, and what that counts as.
static BODYLESS: [(&str, &str, &[u8], Outcome); 8] = [
    (
        "head",
        "HEAD",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        Outcome::Success,
    ),
    (
        "chunks",
        "HEAD",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        Outcome::Success,
    ),
    (
        "empty",
        "GET",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        Outcome::Success,
    ),
    (
        "none",
        "GET",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        Outcome::Success,
    ),
    (
        "same",
        "GET",
        b"HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n",
        Outcome::Success,
    ),
    (
        "moved",
        "GET",
        b"HTTP/1.1 301 Moved\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
        Outcome::Success,
    ),
    (
        "missing",
        "HEAD",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n",
        Outcome::ClientError,
    ),
    (
        "broken",
        "HEAD",
        b"HTTP/1.1 500 Sorry\r\ncontent-length: 9\r\n\r\n",
        Outcome::ServerError,
    ),
];

#[tokio::test]
async fn answers_without_a_body_are_what_their_status_says() {
    let turns = BODYLESS.iter().map(|(.., answer, _)| Turn::Say(answer));
    let app = RawApp::start_in_turn(turns.collect()).await;
    let plane = Plane::start().await;
    let running = Fixed {
        server: json!({"scopes": scopes(BODYLESS.iter().map(|(name, ..)| *name))}),
        control_plane: Some(plane.address),
        ..Fixed::of(app.address)
    }
    .start()
    .await;
    for _ in 0..ROUNDS {
        for (name, method, ..) in BODYLESS {
            let request = raw::request(method, format!("/{name}").as_bytes(), &[]);
            let answer = raw::ask(running.inbound, &request).await;
            assert!(answer.ends_with(b"\r\n\r\n"), "{name} has no body");
        }
    }
    let routes = counted(&plane, 1, ROUNDS * BODYLESS.len()).await;
    for (name, _, _, outcome) in BODYLESS {
        assert_eq!(routes[name], all(outcome, 0), "{name}");
    }
    running.is_whole().await;
}

const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Sorry\r\ncontent-length: 2\r\n\r\nno";

/// Of a route that Envoy tries again up to two times: how the service answers each attempt, what the caller is told, and
/// what the request counts as.
struct Retried {
    name: &'static str,
    turns: &'static [Turn],
    status: u16,
    outcome: Outcome,
    retries: usize,
}

static RETRIED: [Retried; 6] = [
    Retried {
        name: "recovers",
        turns: &[Turn::Say(UNAVAILABLE), Turn::Say(raw::OK)],
        status: 200,
        outcome: Outcome::Success,
        retries: 1,
    },
    Retried {
        name: "fails",
        turns: &[Turn::Say(UNAVAILABLE); 3],
        status: 503,
        outcome: Outcome::ServerError,
        retries: 2,
    },
    Retried {
        name: "returns",
        turns: &[Turn::Close(b""), Turn::Close(b""), Turn::Say(raw::OK)],
        status: 200,
        outcome: Outcome::Success,
        retries: 2,
    },
    Retried {
        name: "leaves",
        turns: &[Turn::Close(b""); 3],
        status: 503,
        outcome: Outcome::UpstreamReset,
        retries: 2,
    },
    Retried {
        name: "sleeps",
        turns: &[Turn::Ignore; 3],
        status: 504,
        outcome: Outcome::Timeout,
        retries: 2,
    },
    // The first attempt's time is over, the second is in time: nothing of the first one stays.
    Retried {
        name: "wakes",
        turns: &[Turn::Ignore, Turn::Say(raw::OK)],
        status: 200,
        outcome: Outcome::Success,
        retries: 1,
    },
];

/// A route of Envoy that is tried three times in all, each for so long.
fn retrying(name: &str, cluster: &str, patience: &str) -> Value {
    json!({"match": {"prefix": format!("/{name}")}, "route": {"cluster": cluster, "timeout": "0s", "retry_policy": {
        "retry_on": "5xx,reset,connect-failure", "num_retries": 2, "per_try_timeout": patience,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"},
    }}})
}

/// The routes of both listeners.
fn routed(routes: Vec<Value>) -> Value {
    json!({"route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}})
}

#[tokio::test]
async fn what_envoy_tries_again_is_one_request_that_ends_as_its_last_attempt() {
    let mut turns = Vec::new();
    let mut routes = vec![retrying("nowhere", "app", "20s")];
    for case in &RETRIED {
        turns.extend(case.turns);
        let patience = match case.name {
            "sleeps" => "0.5s",
            // Long enough for the answer that comes on a busy machine.
            "wakes" => "2s",
            _ => "20s",
        };
        routes.push(retrying(case.name, "callee", patience));
    }
    let callee = RawApp::start_in_turn(turns.clone()).await;
    let plane = Plane::start().await;
    let names = RETRIED.iter().map(|case| case.name).chain(["nowhere"]);
    let running = Fixed {
        client: json!({"dimensions": {"attempts": true}, "scopes": scopes(names)}),
        control_plane: Some(plane.address),
        callee: callee.address,
        manager: routed(routes),
        // Nobody is there.
        ..Fixed::of(ports::free_address().unwrap())
    }
    .start()
    .await;
    let ask = async |name: &str| {
        let request = raw::get(format!("/{name}").as_bytes(), &[]);
        raw::status(&raw::ask(running.outbound, &request).await)
    };
    for _ in 0..ROUNDS {
        for case in &RETRIED {
            assert_eq!(ask(case.name).await, Some(case.status), "{}", case.name);
        }
        assert_eq!(ask("nowhere").await, Some(503));
    }
    assert_eq!(callee.take().len(), ROUNDS * turns.len());
    let routes = counted(&plane, 2, ROUNDS * (RETRIED.len() + 1)).await;
    for case in &RETRIED {
        let expected = all(case.outcome, case.retries);
        assert_eq!(routes[case.name], expected, "{}", case.name);
    }
    assert_eq!(routes["nowhere"], all(Outcome::ConnectFailure, 2));
    running.is_whole().await;
}

/// To it each attempt is a request; a header of the caller's Envoy says which of them were repeated.
#[tokio::test]
async fn the_sidecar_that_is_asked_knows_attempts_beyond_the_first() {
    let turns = vec![Turn::Say(UNAVAILABLE), Turn::Say(raw::OK)];
    let app = RawApp::start_in_turn(turns).await;
    let plane = Plane::start().await;
    let asked = Fixed {
        server: json!({"dimensions": {"attempts": true}}),
        control_plane: Some(plane.address),
        ..Fixed::of(app.address)
    }
    .start()
    .await;
    let mut manager = routed(vec![retrying("", "callee", "20s")]);
    manager["route_config"]["virtual_hosts"][0]["include_request_attempt_count"] = json!(true);
    let asking = Fixed {
        callee: asked.inbound,
        manager,
        ..Fixed::of(app.address)
    }
    .start()
    .await;
    for _ in 0..ROUNDS {
        let answer = raw::ask(asking.outbound, &raw::get(b"/", &[])).await;
        assert_eq!(raw::status(&answer), Some(200));
    }
    let routes = counted(&plane, 1, 2 * ROUNDS).await;
    let rounds = u64::try_from(ROUNDS).unwrap();
    let outcomes = [Outcome::Success, Outcome::ServerError].map(|it| (it.name(), rounds));
    assert_eq!(routes["other"], (BTreeMap::from(outcomes), rounds));
    asked.is_whole().await;
    asking.is_whole().await;
}

const UPGRADE: &[u8] =
    b"GET /chat HTTP/1.1\r\nhost: shop\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";

/// Sends an upgrade, waits for these last bytes of the answer, and says its status.
async fn upgrade(to: SocketAddr, until: &[u8]) -> Option<u16> {
    let mut connection = TcpStream::connect(to).await.unwrap();
    connection.write_all(UPGRADE).await.unwrap();
    let mut answer = Vec::new();
    let exchange = async {
        while !answer.ends_with(until) && connection.read_buf(&mut answer).await.unwrap() != 0 {}
    };
    let came = tokio::time::timeout(SOON, exchange).await;
    let text = answer.escape_ascii().to_string();
    assert!(came.is_ok() && answer.ends_with(until), "{text}");
    raw::status(&answer)
}

/// One that is granted is in `envoy_hostile`, whoever ends it.
#[tokio::test]
async fn an_upgrade_that_is_not_granted_is_an_ordinary_request() {
    let turns = vec![
        Turn::Say(b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno"),
        Turn::Say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        Turn::Say(b"HTTP/1.1 500 Sorry\r\ncontent-length: 2\r\n\r\nno"),
        Turn::Close(b""),
        Turn::Close(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nbye"),
    ];
    let told: [(u16, &[u8]); 5] = [
        (403, b"no"),
        // Envoy lets no body of such an answer through.
        (200, b"\r\n\r\n"),
        (500, b"no"),
        (503, b"termination"),
        (101, b"bye"),
    ];
    let app = RawApp::start_in_turn(turns).await;
    let plane = Plane::start().await;
    let running = Fixed {
        control_plane: Some(plane.address),
        ..Fixed::of(app.address)
    }
    .start()
    .await;
    for _ in 0..ROUNDS {
        for (status, until) in told {
            assert_eq!(upgrade(running.inbound, until).await, Some(status));
        }
    }
    let routes = counted(&plane, 1, ROUNDS * 5).await;
    let rounds = u64::try_from(ROUNDS).unwrap();
    let expected = [
        Outcome::ClientError,
        Outcome::Success,
        Outcome::ServerError,
        Outcome::UpstreamReset,
        Outcome::Upgraded,
    ];
    let expected = expected.map(|outcome| (outcome.name(), rounds));
    assert_eq!(routes["other"].0, BTreeMap::from(expected));
    running.is_whole().await;
}

/// What Envoy has to answer itself, and what that is whatever status it is told to give it.
static OWN: [(&str, Outcome); 4] = [
    ("nowhere", Outcome::ConnectFailure),
    ("sleeps", Outcome::Timeout),
    // With the status of an error it would be a reset; so it is an answer that was cut. Both have failed.
    ("leaves", Outcome::Truncated),
    ("lost", Outcome::NoHealthyUpstream),
];

/// An Envoy that gives all of its own errors this status and text.
async fn disguised(plane: &Plane, callee: SocketAddr, (status, text): (u16, &str)) -> Running {
    let own = json!({"status_code_filter": {"comparison": {
        "op": "GE", "value": {"default_value": 400, "runtime_key": "none"},
    }}});
    let mapper = json!({"filter": own, "status_code": status, "body": {"inline_string": text}});
    let route = |name: &str, cluster: &str, timeout: &str| json!({"match": {"prefix": format!("/{name}")}, "route": {"cluster": cluster, "timeout": timeout}});
    let mut manager = routed(vec![
        route("nowhere", "app", "20s"),
        route("sleeps", "callee", "0.5s"),
        route("leaves", "callee", "20s"),
        route("fine", "callee", "20s"),
    ]);
    manager["local_reply_config"] = json!({"mappers": [mapper]});
    let names = OWN.iter().map(|(name, _)| *name).chain(["fine"]);
    Fixed {
        server: json!({"scopes": scopes(names)}),
        control_plane: Some(plane.address),
        callee,
        manager,
        // Nobody is there.
        ..Fixed::of(ports::free_address().unwrap())
    }
    .start()
    .await
}

/// Envoy's errors look like answers of a service then, to who asks; they count as what they are.
#[tokio::test]
async fn errors_that_envoy_is_told_to_disguise_are_counted_as_errors() {
    for (status, text) in [(200, "sorry"), (204, "")] {
        let turns = vec![Turn::Ignore, Turn::Close(b""), Turn::Say(raw::OK)];
        let callee = RawApp::start_in_turn(turns).await;
        let plane = Plane::start().await;
        let running = disguised(&plane, callee.address, (status, text)).await;
        for _ in 0..ROUNDS {
            for (name, _) in OWN {
                let request = raw::get(format!("/{name}").as_bytes(), &[]);
                let answer = raw::ask(running.inbound, &request).await;
                assert_eq!(raw::status(&answer), Some(status), "{name}");
                assert!(answer.ends_with(text.as_bytes()), "{name}");
            }
            let fine = raw::ask(running.inbound, &raw::get(b"/fine", &[])).await;
            assert_eq!(raw::status(&fine), Some(200));
        }
        let routes = counted(&plane, 1, ROUNDS * (OWN.len() + 1)).await;
        for (name, outcome) in OWN {
            assert_eq!(routes[name], all(outcome, 0), "{name}, as {status}");
        }
        assert_eq!(routes["fine"], all(Outcome::Success, 0));
        running.is_whole().await;
    }
}

/// Calls of gRPC: what the caller is told (status, messages), and what each counts as.
static CALLS: [(&str, Option<&str>, usize, Outcome); 5] = [
    ("fine", Some("0"), 1, Outcome::Success),
    // No trailers, since the status is in the headers.
    ("away", Some("14"), 0, Outcome::ServerError),
    ("broken", Some("13"), 1, Outcome::ServerError),
    ("many", Some("0"), 3, Outcome::Success),
    // The service resets the stream after a message: the answer had begun.
    ("torn", None, 1, Outcome::Truncated),
];

#[tokio::test]
async fn calls_of_grpc_are_what_their_status_says_wherever_it_comes() {
    for module in [support::module(), support::answers_module()] {
        let app = GrpcApp::start().await;
        let plane = Plane::start().await;
        let running = Fixed {
            module,
            server: json!({"scopes": scopes(CALLS.iter().map(|(name, ..)| *name))}),
            control_plane: Some(plane.address),
            protocol: json!({"http2_protocol_options": {}}),
            ..Fixed::of(app.address)
        }
        .start()
        .await;
        for _ in 0..ROUNDS {
            for (name, status, messages, _) in CALLS {
                let (told, came) = grpc::call(running.inbound, name).await;
                assert_eq!(told.as_deref(), status, "{name}");
                // What a reset overtakes does not come.
                assert!(came == messages || status.is_none(), "{name}: {came}");
            }
        }
        let routes = counted(&plane, 1, ROUNDS * CALLS.len()).await;
        for (name, .., outcome) in CALLS {
            assert_eq!(routes[name], all(outcome, 0), "{name}");
        }
        running.is_whole().await;
    }
}
