//! Answers that no service should give, through the real Envoy and the module that looks at answers: no VM dies, nothing
//! that Envoy lets pass is lost, and every request is counted once.
#![cfg(feature = "envoy")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use sloop_integration::ports;
use support::fixed::{Fixed, Running};
use support::raw::{self, RawApp, Turn};
use support::{Plane, answers_module};

/// Everything that looks at answers, on the route `plain`; on `spoilt` a fault changes their headers and bodies, too.
fn everything() -> Value {
    let spoils = json!([{"id": "spoils", "share": 10_000, "side_of_exchange": "response", "expires_at_ms": 4_102_444_800_000_u64,
        "headers": {"set": [["x-new", "1"]], "remove": ["x-odd", "etag"]}, "body": {"corrupt": 5_000}}]);
    let objectives = json!([
        {"id": {"slo": "served", "index": 0}, "bad": {"status": [[500, 599]], "grpc_status": [14], "flags": 4}},
        {"id": {"slo": "fast", "index": 0}, "within_us": 250_000},
    ]);
    let scope = |name: &str, faults: Value| {
        json!({
            "service": "shop", "route": name, "match": [{"path": {"prefix": format!("/{name}")}}],
            "objectives": objectives, "faults": faults,
        })
    };
    json!({
        "trace": {"respond": "always", "context": {"b3": "multi", "deadlines": "enforce"}},
        "dimensions": {"caller": {"xfcc": true}, "attempts": true},
        "spans": {"cluster": "otel", "sampling": 10_000},
        "stats": {"enabled": true},
        "scopes": [scope("plain", json!([])), scope("spoilt", spoils)],
    })
}

/// The routes, and whether requests for them speak gRPC: each answer is given to all.
const ASKED: [(&str, bool); 4] = [
    ("plain", false),
    ("plain", true),
    ("spoilt", false),
    ("spoilt", true),
];

/// The head of an answer with these header lines and a body of two bytes.
fn answer(status: &str, lines: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n").into_bytes();
    for (name, value) in lines {
        answer.extend([*name, b": ", *value, b"\r\n"].concat());
    }
    answer.extend(b"\r\nok");
    answer
}

/// What a caller was told, and whether it was what the service said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    status: Option<u16>,
    passed: bool,
}

const PASSED: Told = Told {
    status: Some(200),
    passed: true,
};

/// An Envoy before a service that gives these answers in turn, each to all of [`ASKED`].
struct Bench {
    running: Running,
    plane: Plane,
    app: RawApp,
    answers: usize,
}

impl Bench {
    async fn start(answers: Vec<Vec<u8>>) -> Self {
        let count = answers.len();
        let mut turns = Vec::new();
        for answer in answers {
            let answer: &'static [u8] = answer.leak();
            turns.extend([Turn::Say(answer); ASKED.len()]);
        }
        let app = RawApp::start_in_turn(turns).await;
        let plane = Plane::start().await;
        let running = Fixed {
            module: answers_module(),
            server: everything(),
            control_plane: Some(plane.address),
            collector: Some(ports::free_address().unwrap()),
            upstream: json!({"common_http_protocol_options": {
                "max_headers_count": 4_000,
                "max_response_headers_kb": 8_192,
            }}),
            ..Fixed::of(app.address)
        }
        .start()
        .await;
        Self {
            running,
            plane,
            app,
            answers: count,
        }
    }

    /// Asks for the next answer by all ways.
    async fn next(&self) -> [Told; ASKED.len()] {
        let mut all = [Told::default(); ASKED.len()];
        for (told, (route, is_grpc)) in all.iter_mut().zip(ASKED) {
            let grpc: [(&str, &[u8]); 1] = [("content-type", b"application/grpc")];
            let lines = if is_grpc { &grpc[..] } else { &[] };
            let request = raw::get(format!("/{route}").as_bytes(), lines);
            let answer = raw::ask(self.running.inbound, &request).await;
            let text = String::from_utf8_lossy(&answer);
            *told = Told {
                status: raw::status(&answer),
                passed: match route {
                    "plain" => text.ends_with("ok"),
                    // Envoy's own answers are spoilt as well.
                    _ => text.contains("x-new: 1\r\n") && text.contains("content-length: 2\r\n"),
                },
            };
        }
        all
    }

    /// Every answer was asked for once by each way, every request was counted once, and no VM died.
    async fn is_whole(&self) {
        assert_eq!(self.app.take().len(), self.answers * ASKED.len());
        let count = u64::try_from(self.answers * ASKED.len() / 2).unwrap();
        for route in ["plain", "spoilt"] {
            self.plane.reports.counted(route, count).await;
        }
        self.running.is_whole().await;
    }
}

/// Headers of answers that something reads, and one that nothing does.
const READ: [&[u8]; 10] = [
    b"content-type",
    b"grpc-status",
    b"grpc-message",
    b"traceresponse",
    b"x-envoy-upstream-service-time",
    b"x-sloop-verdict",
    b"retry-after",
    b"set-cookie",
    b"etag",
    b"x-odd",
];

#[tokio::test]
async fn every_byte_value_in_every_header_passes_or_is_envoys_to_refuse() {
    let odd = |byte: u8| {
        let value = [b'1', byte, b'1'];
        let lines = READ.map(|name| (name, &value[..]));
        answer("200 OK", &lines)
    };
    let bench = Bench::start((0..=u8::MAX).map(odd).collect()).await;
    let mut passed = 0;
    for byte in 0..=u8::MAX {
        let told = bench.next().await;
        // What is no HTTP, Envoy does not let pass, whatever is asked. In gRPC such an error is an answer of 200.
        let expected = ASKED.map(|(_, is_grpc)| match (told[0].passed, is_grpc) {
            (true, _) => PASSED,
            (false, true) => Told {
                passed: false,
                ..PASSED
            },
            (false, false) => Told {
                status: Some(502),
                passed: false,
            },
        });
        assert_eq!(told, expected, "byte {byte:#x}");
        passed += usize::from(told[0].passed);
    }
    // HTTP allows 224 values in headers.
    assert!((224..=255).contains(&passed), "{passed} of 256");
    bench.is_whole().await;
}

/// Statuses, types and messages as they should not be.
#[tokio::test]
async fn odd_statuses_and_types_pass() {
    const STATUSES: [&str; 12] = [
        "200 OK",
        "200",
        "204 No Content",
        "226 IM Used",
        "299 x",
        "304 Not Modified",
        "400 x",
        "451 x",
        "499 x",
        "500 x",
        "599 x",
        "999 x",
    ];
    const TYPES: [&[u8]; 10] = [
        b"",
        b" ",
        b"application/grpc",
        b"application/grpc-web",
        b"APPLICATION/GRPC+",
        b"application/grpc;",
        b"application/grpc, text/html",
        b"/",
        b"\xff\xfe",
        b"application/grpc\xff",
    ];
    const GRPC: [&[u8]; 14] = [
        b"",
        b"0",
        b"00",
        b"-0",
        b"-1",
        b"16",
        b"17",
        b"255",
        b"256",
        b"4294967296",
        b"99999999999999999999999999",
        b"0x1",
        b"1e3",
        b"\xff",
    ];
    let mut answers = Vec::new();
    for status in STATUSES {
        for grpc in [&b"0"[..], b"14"] {
            let lines: [(&[u8], &[u8]); 2] = [
                (b"content-type", b"application/grpc"),
                (b"grpc-status", grpc),
            ];
            answers.push(answer(status, &lines));
        }
    }
    for kind in TYPES {
        for grpc in GRPC {
            let lines: [(&[u8], &[u8]); 3] = [
                (b"content-type", kind),
                (b"grpc-status", grpc),
                (b"grpc-message", b"%zz%"),
            ];
            answers.push(answer("200 OK", &lines));
        }
    }
    let count = answers.len();
    let bench = Bench::start(answers).await;
    for index in 0..count {
        for told in bench.next().await {
            assert!(told.status.is_some(), "answer {index}");
        }
    }
    bench.is_whole().await;
}

#[tokio::test]
async fn huge_headers_and_a_thousand_headers_pass() {
    const HUGE: usize = 100_000;
    let mut answers = Vec::new();
    for name in READ {
        for text in ["a", "a=1,", "\u{ff}", ",", "0"] {
            let value: Vec<u8> = text.bytes().cycle().take(HUGE).collect();
            answers.push(answer("200 OK", &[(name, &value)]));
        }
        answers.push(answer("200 OK", &vec![(name, &b"1"[..]); 1_000]));
    }
    let names: Vec<String> = (0..1_000).map(|number| format!("x-{number}")).collect();
    let lines: Vec<(&[u8], &[u8])> = names
        .iter()
        .map(|name| (name.as_bytes(), &b"1"[..]))
        .collect();
    answers.push(answer("200 OK", &lines));
    let count = answers.len();
    let bench = Bench::start(answers).await;
    for index in 0..count {
        let told = bench.next().await;
        assert_eq!(told, [PASSED; ASKED.len()], "answer {index}");
    }
    bench.is_whole().await;
}
